//! How a service comes to its agent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hsm::{Deadlines, Launch, Program, Socket, Token};

use crate::base::Layout;
use crate::config::{TokenRole, TokenSection};

/// Variables that an agent inherits: where systemd keeps credentials, where the appliance lies.
const INHERITED: [&str; 3] = ["CREDENTIALS_DIRECTORY", "SEALWRIGHT_ROOT", "RUST_BACKTRACE"];

/// The environment of an agent: C code frees memory without wiping it unless the allocator does.
pub(super) const WIPING_MALLOC: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0");

/// A token of the appliance through its agent. Nothing is started before the token is used.
///
/// # Errors
/// The section cannot be: its URI, its PIN source, the name of the agent's user; or this program does not know where
/// it lies.
pub fn launch(
    layout: &Layout,
    role: TokenRole,
    section: &TokenSection,
) -> Result<std::sync::Arc<Token>, Box<dyn std::error::Error + Send + Sync>> {
    let deadlines = Deadlines {
        operation: Duration::from_secs(section.deadline_seconds.into()),
        ..Deadlines::default()
    };
    if let Some(agent) = &section.agent {
        let peer = super::user_id(&agent.user).ok_or_else(|| {
            format!("there is no user {:?}: correct the user of the token agent", agent.user)
        })?;
        let socket = Socket { path: agent.socket.clone(), peer };
        return Ok(Token::through(Launch::Socket(socket), deadlines));
    }
    let mut environment: BTreeMap<OsString, OsString> = INHERITED
        .iter()
        .filter_map(|name| std::env::var_os(name).map(|value| (OsString::from(name), value)))
        .collect();
    if let Some(root) = layout.root() {
        environment.insert("SEALWRIGHT_ROOT".into(), root.into());
    }
    environment.insert(WIPING_MALLOC.0.into(), WIPING_MALLOC.1.into());
    for (name, value) in &section.environment {
        environment.insert(name.into(), value.into());
    }
    let program = Program {
        program: program()?,
        arguments: [&["token-agent", role.name(), "--section"][..], &[&words(section)?]]
            .concat()
            .into_iter()
            .map(OsString::from)
            .collect(),
        environment,
        token: section.selection()?,
    };
    Ok(Token::through(Launch::Program(program), deadlines))
}

/// A section as an argument, which everybody on the machine can read: it names files and holds no secret. Of the
/// module's environment only paths stand there, which the sandbox has to know; the rest may be a password for a vendor's
/// daemon.
pub(super) fn words(section: &TokenSection) -> io::Result<String> {
    let mut section = section.clone();
    section.environment.retain(|_, value| Path::new(value).is_absolute());
    Ok(serde_json::to_string(&section)?)
}

fn program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or_else(|| io::Error::other("the program has no folder"))?;
    Ok(folder.join("sealwright"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_the_modules_environment_only_paths_are_arguments() {
        let mut section = TokenSection::new(
            "/opt/vendor/libpkcs11.so".into(),
            "pkcs11:token=ca".to_owned(),
            "credential:ca-pin".to_owned(),
        );
        let words_of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        section.environment =
            [("CONF", "/etc/vendor.conf"), ("DAEMON_PASSWORD", "hunter2")].map(words_of).into();
        let said = words(&section).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
        let read: TokenSection = serde_json::from_str(&said).unwrap();
        assert_eq!(read.agent_sandbox(None), section.agent_sandbox(None));
    }
}
