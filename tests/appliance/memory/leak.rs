//! The search is worth something only if it finds what is there: `vmafdd` with a fault on purpose.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::canary::{Canary, Search};
use super::operations::{OPERATIONS, Stage};
use super::processes::Sight;
use super::{SERVICES, may_look};
use crate::harness::{Appliance, TOOLS, program};
use crate::verify::verify;

/// The program with the fault. Dependencies are those of the other programs, so that only our own crate is compiled
/// again; its name is another one, so that nobody gets it instead of `vmafdd`.
const FAULTY: &str = "vmafdd-deliberate-leak";

/// Builds the program with the fault and puts it in the place of `vmafdd`, in a folder with links to all others.
fn faulty_programs() -> PathBuf {
    let built = Path::new(program("sealwright")).parent().unwrap();
    let target = built.parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What the running cargo says to its tests would make the other one build everything anew.
    for (name, _) in std::env::vars_os() {
        let word = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_CRATE_"]
            .iter()
            .any(|start| word.starts_with(start))
        {
            cargo.env_remove(&name);
        }
    }
    let output = cargo
        .args(["build", "--locked", "--quiet", "--features", "deliberate-leak", "--bin", FAULTY])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let folder = target.join("deliberate-leak");
    std::fs::create_dir_all(&folder).unwrap();
    let link = |from: &Path, name: &str| {
        let place = folder.join(name);
        let _absent = std::fs::remove_file(&place);
        std::fs::hard_link(from, &place).unwrap();
    };
    for name in TOOLS.iter().chain(&SERVICES) {
        link(&built.join(name), name);
    }
    link(&target.join("debug").join(FAULTY), "vmafdd");
    folder
}

#[test]
fn a_service_that_keeps_keys_is_found_out() {
    if !may_look() {
        return;
    }
    let stage = Stage::set(Appliance::of_programs(&faulty_programs()));
    let appliance = &stage.appliance;
    let search = Search::of(vec![
        Canary::key(&appliance.file("ec.priv")),
        Canary::key(&appliance.file("rsa.priv")),
    ]);
    let before = Sight::of(appliance, &search);
    assert!(before.hits.is_empty(), "{:#?}", before.hits);
    let create = OPERATIONS.iter().find(|operation| operation.name == "entry create").unwrap();
    (create.run)(&stage, 0);
    let after = Sight::of(appliance, &search);
    assert_eq!(after.holders().into_iter().collect::<Vec<_>>(), ["vmafdd"]);
    for key in ["ec.priv", "rsa.priv"] {
        let found = after.hits.keys().any(|hit| hit.secret == key && hit.form.contains("PEM"));
        assert!(found, "the copy of {key} was not found: {:#?}", after.hits);
    }
    verify(appliance);
}
