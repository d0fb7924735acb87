//! The target that `SEALWRIGHT_FUZZ_TARGET` names, under libFuzzer. With `SEALWRIGHT_FUZZ_SEEDS=FOLDER` it writes what each
//! target starts from into `FOLDER/TARGET/`, prints the names of the targets, and ends.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sealwright::fuzzing::targets;

fuzz_target!(
    init: if let Some(folder) = std::env::var_os("SEALWRIGHT_FUZZ_SEEDS") {
        write_seeds(Path::new(&folder)).expect("the seeds can be written");
        std::process::exit(0);
    },
    |octets: &[u8]| {
        static RUN: OnceLock<fn(&[u8])> = OnceLock::new();
        RUN.get_or_init(chosen)(octets);
    }
);

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("SEALWRIGHT_FUZZ_TARGET").unwrap_or_default();
    let found = targets().into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no target {name:?}: scripts/fuzz lists them")).run
}

fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for target in targets() {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, input) in target.inputs().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), input)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
