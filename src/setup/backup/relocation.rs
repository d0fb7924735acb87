//! A configuration that moves to another folder.

use std::path::Path;

use crate::base::Layout;
use crate::config::{Config, TokenRole, TokenSection};

/// Lets the configuration of an appliance at `from` name its own PIN files and token folders at `to`.
/// What lies elsewhere stays as it is. Says whether anything changed.
pub(super) fn relocate(config: &mut Config, from: &Layout, to: &Layout) -> bool {
    if from == to {
        return false;
    }
    let before = config.to_toml();
    for (role, section) in
        [(TokenRole::Ca, &mut config.ca.token), (TokenRole::Sealing, &mut config.vecs.token)]
    {
        relocate_token(section, role, from, to);
    }
    config.to_toml() != before
}

fn relocate_token(section: &mut TokenSection, role: TokenRole, from: &Layout, to: &Layout) {
    let home = |layout: &Layout| layout.token_home(role.name());
    if let Some(file) = section.pin.strip_prefix("file:")
        && let Some(moved) = moved(file, &from.pins(), &to.pins())
    {
        section.pin = format!("file:{moved}");
    }
    for value in section.environment.values_mut() {
        if let Some(moved) = moved(value, &home(from), &home(to)) {
            *value = moved;
        }
    }
    if let Some(directory) = &mut section.directory
        && let Ok(rest) = directory.strip_prefix(home(from))
    {
        *directory = home(to).join(rest);
    }
}

fn moved(path: &str, from: &Path, to: &Path) -> Option<String> {
    let rest = Path::new(path).strip_prefix(from).ok()?;
    to.join(rest).to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::relocate;
    use crate::base::Layout;
    use crate::config::Config;

    const TEXT: &str = r#"
        [node]
        name = "vc.example"
        [ca.token]
        module = "/old/module.so"
        uri = "pkcs11:token=ca"
        pin = "file:/old/etc/pins/ca.pin"
        directory = "/old/lib/tokens/ca/tokens"
        [ca.token.environment]
        SOFTHSM2_CONF = "/old/lib/tokens/ca/softhsm2.conf"
        OTHER = "/older/lib/tokens/ca"
        [vecs]
        [vecs.token]
        module = "/m.so"
        uri = "pkcs11:token=sealing"
        pin = "file:/etc/secret/sealing.pin"
    "#;

    #[test]
    fn what_lies_in_the_appliance_moves_and_nothing_else() {
        let mut config: Config = toml::from_str(TEXT).unwrap();
        let (old, new) = (Layout::under("/old"), Layout::under("/new"));
        assert!(!relocate(&mut config, &old, &old));
        assert!(relocate(&mut config, &old, &new));
        let expected =
            TEXT.replace("file:/old/", "file:/new/").replace("\"/old/lib/", "\"/new/lib/");
        let expected: Config = toml::from_str(&expected).unwrap();
        assert_eq!(config.to_toml(), expected.to_toml());
        assert!(relocate(&mut config, &new, &Layout::system()));
        assert_eq!(config.ca.token.pin, "file:/etc/sealwright/pins/ca.pin");
    }
}
