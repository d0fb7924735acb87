//! The golden vectors of sealed data as seeds: sealed data, records of keys born in a token, and private keys of every
//! algorithm that nobody uses.

use std::collections::BTreeMap;

use crate::in_tests;

/// One file of `tests/vectors/sealed`: its values in hex, by name.
pub type Vector = BTreeMap<String, Vec<u8>>;

/// Every vector, in the order of the files' names.
///
/// # Panics
/// When the folder cannot be read.
pub fn vectors() -> Vec<Vector> {
    let folder = in_tests("vectors/sealed");
    let Ok(files) = std::fs::read_dir(&folder) else {
        panic!("{} cannot be read", folder.display())
    };
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| read(&text))
        .collect()
}

fn read(text: &str) -> Vector {
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(" = \"")?;
        Some((name.to_owned(), octets(value.strip_suffix('"')?)?))
    });
    values.collect()
}

/// Hex digits as octets.
pub fn octets(hex: &str) -> Option<Vec<u8>> {
    let places = (0..hex.len()).step_by(2);
    places.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
