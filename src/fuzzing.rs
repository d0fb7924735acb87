//! Fuzz targets: what every room does with octets from outside. Compiled for tests, and with the feature `fuzzing`.
//!
//! A target stands in the room whose parser it tries; it panics when a property does not hold. docs/TESTING.md lists
//! them.

use mutation::Target;

use crate::{api, cli, config, gateway, policy, setup, supervise, vecs, workshop, x509};

/// Every target of this crate and of the custody crate.
pub fn targets() -> Vec<Target> {
    let mut all = [
        x509::fuzzing::der::TARGETS,
        x509::fuzzing::pem::TARGETS,
        x509::fuzzing::names::TARGETS,
        policy::fuzzing::TARGETS,
        api::fuzzing::TARGETS,
        config::fuzzing::TARGETS,
        supervise::fuzzing::TARGETS,
        workshop::fuzzing::TARGETS,
        setup::fuzzing::TARGETS,
        cli::certool::fuzzing::TARGETS,
        gateway::fuzzing::TARGETS,
        vecs::fuzzing::TARGETS,
    ]
    .concat();
    #[cfg(feature = "fuzzing")]
    all.extend(hsm::fuzzing::targets());
    all.sort_by_key(|target| target.name);
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_target_is_in_the_table_of_the_documentation() {
        let folder = env!("CARGO_MANIFEST_DIR");
        let text =
            std::fs::read_to_string(format!("{folder}/docs/TESTING.md")).expect("it is there");
        for target in super::targets() {
            assert!(text.contains(&format!("`{}`", target.name)), "{} is missing", target.name);
        }
    }
}
