//! Fuzz targets, and hostile input for them that is the same in every run.
//!
//! A [`Target`] is a function of octets that panics when a property does not hold. [`smoke`] runs it on its seeds, on
//! the files of `tests/fuzz/seeds` (inputs that it once failed on among them), and on a fixed number of changed ones; the
//! crate in `tests/fuzz` runs the same function under libFuzzer. docs/TESTING.md lists the targets.

mod change;
mod random;
mod vectors;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

pub use change::{LONGEST, changed};
pub use random::Random;
pub use vectors::{Vector, octets, vectors};

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name on command lines, in the table of docs/TESTING.md, and of its folder in `tests/fuzz/seeds`.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub run: fn(&[u8]),
    /// Real inputs that our own code makes; [`Target::inputs`] adds those in files.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Changed inputs in a smoke run.
    pub rounds: u32,
}

impl Target {
    /// What changed inputs start from: the seeds, and the target's files in `tests/fuzz/seeds`.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        [(self.seeds)(), files(self.name)].concat()
    }
}

/// Declares the targets of a module, `name: seeds, rounds;` for each, where `name` is the function itself; and for each a
/// test of the same name that smokes it.
#[macro_export]
macro_rules! targets {
    ($($name:ident: $seeds:expr, $rounds:expr;)+) => {
        /// The targets of this module.
        pub const TARGETS: &[$crate::Target] = &[$($crate::Target {
            name: stringify!($name),
            run: $name,
            seeds: $seeds,
            rounds: $rounds,
        }),+];

        #[cfg(test)]
        mod smoke {
            $(#[test]
            fn $name() {
                let target = super::TARGETS.iter().find(|target| target.name == stringify!($name));
                $crate::smoke(target.expect("it is in the table"));
            })+
        }
    };
}

/// Runs a target on its inputs and on as many changed ones as it asks for. One that fails is printed in hex, to be added
/// to `tests/fuzz/seeds`.
///
/// # Panics
/// When the target does.
pub fn smoke(target: &Target) {
    let seeds = target.inputs();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    for seed in &seeds {
        run(target, seed);
    }
    let mut random = Random::named(target.name);
    for _ in 0..target.rounds {
        run(target, &changed(&mut random, &seeds));
    }
}

fn run(target: &Target, input: &[u8]) {
    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let hex: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        eprintln!("{} fails on this input, {} octets in hex:\n{hex}", target.name, input.len());
        resume_unwind(cause);
    }
}

/// The files of a target: hex digits; lines that start with `#` say what it is.
fn files(target: &str) -> Vec<Vec<u8>> {
    let folder = in_tests("fuzz/seeds").join(target);
    let Ok(files) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let hex = text.ok().map(|text| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.flat_map(str::split_whitespace).collect::<String>()
        });
        let octets = hex.and_then(|hex| octets(&hex));
        octets.unwrap_or_else(|| panic!("{} is no text of hex digits", path.display()))
    };
    paths.iter().map(read).collect()
}

fn in_tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}
