//! Fuzz target: the one header of a request that is read here and not by hyper.
#![allow(missing_docs)]

use super::negotiation::{Format, negotiate};

mutation::targets! {
    accept_header: seeds, 8000;
}

/// The ZIP goes only to who names it.
fn accept_header(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if negotiate(text) == Format::Zip {
        assert!(text.to_ascii_lowercase().contains("application/zip"));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "Application/ZIP;q=0.5, */*;q=0.1",
        "application/zip;q=NaN",
        "text/plain ; Q=1e9,application/zip;q=inf",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
