//! Golden cases of the command-line tools that need no running service.
//!
//! The cases in `appliance/` need one; `tests/appliance` runs them with the same `golden` module.
#![allow(clippy::unwrap_used)]

mod golden;

use std::path::{Path, PathBuf};

use golden::{Place, run_folder};

/// An appliance that was never set up: no service answers below its root.
fn nowhere(_story: &str) -> Place {
    let root = tempfile::tempdir().unwrap();
    Place {
        root: root.path().join("appliance"),
        tools: vec![
            ("certool", PathBuf::from(env!("CARGO_BIN_EXE_certool"))),
            ("vecs-cli", PathBuf::from(env!("CARGO_BIN_EXE_vecs-cli"))),
            ("service-control", PathBuf::from(env!("CARGO_BIN_EXE_service-control"))),
            ("sealwright", PathBuf::from(env!("CARGO_BIN_EXE_sealwright"))),
        ],
        keep: Box::new(root),
    }
}

fn stories(tool: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(tool)
}

#[test]
fn certool() {
    run_folder(&stories("certool"), nowhere);
}

#[test]
fn vecs_cli() {
    run_folder(&stories("vecs-cli"), nowhere);
}

#[test]
fn service_control() {
    run_folder(&stories("service-control"), nowhere);
}

#[test]
fn sealwright() {
    run_folder(&stories("sealwright"), nowhere);
}
