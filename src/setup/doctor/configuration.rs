//! What the configuration allows, and which of it is risky.

use super::report::{Check, Severity};
use super::seen::Seen;
use crate::base::KeyAlgorithm;

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    vec![imported_keys(seen), algorithms(seen), users(seen)]
}

fn imported_keys(seen: &Seen<'_>) -> Check {
    let mut check = Check::new(
        "configuration.imported-keys",
        "CA keys are made in the token and not brought in",
    );
    if seen.config.ca.allow_imported_keys {
        check.find(
            Severity::Warning,
            "allow_imported_keys is on in [ca]",
            "an operator can put in a CA key that lay in a file, and of which copies may exist",
            "set allow_imported_keys = false in sealwright.toml and restart vmcad, unless a key is being brought in \
             right now",
        );
    }
    for authority in seen.authorities.iter().flatten().filter(|authority| authority.imported) {
        let active = authority.state == "active";
        check.find(
            if active { Severity::Warning } else { Severity::Notice },
            format!(
                "the key of CA {} ({}, {}) was brought in from outside",
                authority.id, authority.subject, authority.state
            ),
            "nobody can show that no copy of it exists",
            "make a new CA with a key that is made in the token (`certool --gencacsr --newkey`), and retire this one",
        );
    }
    check
}

fn algorithms(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("configuration.algorithms", "CA keys have RSA-3072, P-256 or more");
    let why = "CNSA 1.0 and most rules for certificate authorities ask for 3072 bits or an elliptic curve";
    let weak = |algorithm| matches!(algorithm, KeyAlgorithm::Rsa(bits) if bits < 3072);
    if weak(seen.config.ca.key_algorithm) {
        check.find(
            Severity::Notice,
            format!("a new CA gets a key of the kind {}", seen.config.ca.key_algorithm),
            why,
            "set key_algorithm in [ca] to rsa-3072, p-256 or p-384",
        );
    }
    let issuing = |state: &str| state == "active";
    for authority in seen.authorities.iter().flatten() {
        if issuing(&authority.state) && weak(authority.algorithm) {
            check.find(
                Severity::Notice,
                format!("the key of the active CA is {}", authority.algorithm),
                why,
                "plan a new CA with a stronger key",
            );
        }
    }
    check
}

fn users(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("configuration.users", "every user in [access] exists");
    let access = &seen.config.access;
    for (key, names) in [("operators", &access.operators), ("requesters", &access.requesters)] {
        for name in names {
            if uzers::get_user_by_name(name).is_none() {
                check.find(
                    Severity::Warning,
                    format!("[access] {key} names '{name}', whom this system does not know"),
                    "the services refuse to start with such a name, because a right would silently be missing",
                    "create the user, or remove the name from sealwright.toml",
                );
            }
        }
    }
    check
}
