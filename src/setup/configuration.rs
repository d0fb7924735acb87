//! `sealwright.toml` and the template for certificate requests.

use std::collections::BTreeMap;

use super::step::Done;
use super::{Cause, files};
use crate::base::{KeyAlgorithm, Layout};
use crate::cli::sealwright::{HostName, Request};
use crate::config::{
    AccessSection, CaSection, Config, GatewaySection, NodeSection, TokenSection, VecsSection,
};

/// Seconds between two refreshes of the trusted roots, as the original's default.
const REFRESH_SECONDS: u64 = 60;
/// Kind of the CA key where nothing is said: what vCenter 8 has.
const KEY_ALGORITHM: KeyAlgorithm = KeyAlgorithm::Rsa(3072);
/// Days for which a revocation list is valid.
const CRL_DAYS: u32 = 30;

/// The configuration that a request stands for.
pub(super) fn of(
    host: &HostName,
    request: &Request,
    ca_token: TokenSection,
    sealing_token: TokenSection,
) -> Config {
    let domain = request.domain.clone().unwrap_or_default().to_string();
    Config {
        node: NodeSection { name: host.to_string(), domain },
        access: AccessSection { operators: request.operators.clone(), ..AccessSection::default() },
        ca: CaSection {
            key_algorithm: request.key_algorithm.unwrap_or(KEY_ALGORITHM),
            profile: request.profile.unwrap_or_default(),
            allow_imported_keys: request.allow_imported_ca_keys,
            chain_includes_root: false,
            crl_days: CRL_DAYS,
            token: ca_token,
        },
        vecs: VecsSection {
            refresh_seconds: REFRESH_SECONDS,
            wrapping_key: None,
            seals_per_key: None,
            token: sealing_token,
        },
        gateway: request.listen.map_or_else(GatewaySection::default, |listen| GatewaySection {
            listen,
            ..GatewaySection::default()
        }),
        profile: BTreeMap::new(),
    }
}

/// Writes both files where they are missing.
pub(super) fn write(layout: &Layout, config: &Config) -> Result<Done, Cause> {
    let file = layout.config_file();
    let text = format!(
        "# Configuration of this Sealwright appliance, written by `sealwright init`.\n\
         # A service reads it when it starts: service-control --restart SERVICE.\n\n{}",
        config.to_toml()
    );
    let made = files::write_once(&file, 0o640, &[text.as_bytes()])?;
    write_template(layout)?;
    let place = file.display().to_string();
    Ok(if made { Done::Made(format!("written, {place}")) } else { Done::Found(place) })
}

/// Everybody who asks for certificates copies the template, so everybody may read it.
pub(super) fn write_template(layout: &Layout) -> Result<bool, Cause> {
    files::write_once(&layout.certool_template(), 0o644, &[TEMPLATE.as_bytes()])
}

/// What `certool --config` takes. The values are the original's, so that procedures written for it
/// find what they expect.
const TEMPLATE: &str = "\
#
# Template for certificate requests: copy it, change the copy, and give it to certool --config.
# An option on certool's command line is stronger than the line here.
#

# Two letters (ISO 3166). A certificate cannot be made without it.
Country = US
Name\t= CA
Organization = VMware
OrgUnit = VMware Engineering
State = California
Locality = Palo Alto
IPAddress = 127.0.0.1
Email = email@acme.com
# The name by which clients reach the machine; several are separated by commas.
Hostname = server.acme.com
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{TEMPLATE, of, write};
    use crate::base::{KeyAlgorithm, Layout};
    use crate::cli::sealwright::{Request, TokenChoice};
    use crate::config::{Config, ProfileName, TokenSection};
    use crate::setup::step::Done;

    fn request() -> Request {
        let token = TokenChoice::NewSoftHsm { module: None };
        Request {
            host: None,
            domain: Some("corp.example".parse().unwrap()),
            key_algorithm: Some(KeyAlgorithm::P384),
            profile: Some(ProfileName::Strict),
            listen: Some("127.0.0.1:8443".parse().unwrap()),
            allow_imported_ca_keys: true,
            operators: vec!["alice".to_owned()],
            ca_token: token.clone(),
            sealing_token: token,
        }
    }

    fn token(label: &str) -> TokenSection {
        let uri = format!("pkcs11:token={label};serial=1");
        TokenSection::new("/m.so".into(), uri, "file:/p".to_owned())
    }

    #[test]
    fn what_was_asked_for_is_what_services_read() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        std::fs::create_dir(layout.config_file().parent().unwrap()).unwrap();
        let host = "vc.example".parse().unwrap();
        let config = of(&host, &request(), token("ca"), token("sealing"));
        assert!(matches!(write(&layout, &config).unwrap(), Done::Made(_)));

        let read = Config::load(&layout.config_file()).unwrap();
        assert_eq!(read.node.name, "vc.example");
        assert_eq!(read.node.domain, "corp.example");
        assert_eq!(read.ca.key_algorithm, KeyAlgorithm::P384);
        assert_eq!(read.ca.profile, ProfileName::Strict);
        assert!(read.ca.allow_imported_keys);
        assert_eq!(read.ca.token.uri, "pkcs11:token=ca;serial=1");
        assert_eq!(read.vecs.token.uri, "pkcs11:token=sealing;serial=1");
        assert_eq!(read.vecs.wrapping_key, None);
        assert_eq!(read.gateway.listen.port(), 8443);
        assert_eq!(read.access.operators, ["alice"]);

        assert!(matches!(write(&layout, &config).unwrap(), Done::Found(_)));
    }

    #[test]
    fn the_template_has_every_key_once_and_its_tab() {
        let keys: Vec<&str> = TEMPLATE
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once('=').unwrap().0.trim())
            .collect();
        let expected = [
            "Country",
            "Name",
            "Organization",
            "OrgUnit",
            "State",
            "Locality",
            "IPAddress",
            "Email",
            "Hostname",
        ];
        assert_eq!(keys, expected);
        assert!(TEMPLATE.contains("\nName\t= CA\n"));
    }
}
