//! Fuzz target: names of stores and aliases.
#![allow(missing_docs)]

use super::{Alias, StoreName};

mutation::targets! {
    store_names: seeds, 8000;
}

/// A name that is taken is not empty, not too long, forges no line, and stays as it was given.
fn store_names(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(name) = StoreName::new(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(alias) = Alias::new(text) {
        assert_eq!(alias.as_str(), text);
        assert!((1..=Alias::LONGEST).contains(&text.chars().count()));
        assert!(!text.contains(char::is_control));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    ["MACHINE_SSL_CERT".to_owned(), "Größe ✓".to_owned(), "a".repeat(255), "é".repeat(128)]
        .map(String::into_bytes)
        .to_vec()
}
