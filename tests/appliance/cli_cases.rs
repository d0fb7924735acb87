//! The golden command-line cases that need running services: tests/cli/appliance/*.toml.

#[path = "../cli/golden.rs"]
mod golden;

use std::path::{Path, PathBuf};

use golden::{Place, run_folder};

use crate::harness::{Appliance, TOOLS, program};
use crate::verify::verify;

/// One appliance for all stories, in the order of their names: each makes stores and files of its own
/// and says nothing about what the others leave.
#[test]
fn every_story_about_running_services_is_as_written() {
    let appliance = Appliance::running();
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/appliance");
    run_folder(&stories, |_| Place {
        root: appliance.root(),
        tools: TOOLS.map(|tool| (tool, PathBuf::from(program(tool)))).to_vec(),
        keep: Box::new(()),
    });
    verify(&appliance);
}
