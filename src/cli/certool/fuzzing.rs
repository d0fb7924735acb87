//! Fuzz targets: `certool.cfg`, and the names that set-up is given.
#![allow(missing_docs, clippy::expect_used)]

use super::config_file::{decode, parse};
use crate::cli::sealwright::{Domain, HostName};
use crate::x509::{AlternativeNames, Name};

mutation::targets! {
    certool_cfg: seeds, 5000;
    host_name: name_seeds, 8000;
}

/// A file that is taken makes a name and alternative names, or a sentence; a line that is wrong is one of the file's.
fn certool_cfg(octets: &[u8]) {
    let Ok(text) = decode(octets) else { return };
    match parse(text) {
        Ok(fields) => {
            if let Ok(name) = fields.subject() {
                Name::from_der(name.as_der()).expect("a name");
            }
            // Whoever writes them out has them checked.
            if let Ok(names) = fields.alternative_names()
                && names.check().is_ok()
                && let Some(written) = names.to_der()
            {
                AlternativeNames::from_der(&written).expect("names that were checked");
            }
        }
        Err((line, what)) => {
            assert!((1..=text.lines().count()).contains(&line), "line {line}");
            assert!(!what.is_empty());
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let all = "# Template\r\nCountry = US # a comment\nName= CA\nOrganization = VMware, Inc.\nOrgUnit = a,b\n\
               State = California\nLocality = Palo Alto\nIPAddress = 127.0.0.1,::1\nEmail = a@example.test\n\
               Hostname = server.example.test,b.example\nDomainComponent = vsphere.local\n";
    vec![
        all.into(),
        format!("\u{feff}{all}").into(),
        b"[certool]\nName = a".to_vec(),
        b"\xff\xfeN\0a\0".to_vec(),
    ]
}

/// A host name is what DNS could have or an address, and is the same when written and read again; a domain is what DNS
/// could have.
fn host_name(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(name) = text.parse::<HostName>() {
        assert_eq!(name.to_string().parse::<HostName>().expect("it was taken"), name);
        assert!(text.is_ascii() && !text.contains(char::is_control));
    }
    if let Ok(domain) = text.parse::<Domain>() {
        assert_eq!(domain.to_string(), text);
        assert!(text.is_ascii() && !text.contains([' ', '/', ',', '=']));
    }
}

fn name_seeds() -> Vec<Vec<u8>> {
    [
        "vc.example.test",
        "a-b.c",
        "192.0.2.7",
        "2001:db8::7%1",
        "xn--bcher-kva.example",
        &"a".repeat(64),
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec()
}
