//! Octets as people compare them.

use std::fmt::Write as _;

/// Lower-case hexadecimal.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// A serial number as VMCA's tools print it.
pub(super) fn serial_text(serial: &[u8; 16]) -> String {
    hex(serial).to_ascii_uppercase()
}
