//! Octets as people compare them.

/// Lower-case hexadecimal. By a table: the formatter costs more than the digest that is written.
pub(super) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0x0f)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

/// A serial number as VMCA's tools print it.
pub(super) fn serial_text(serial: &[u8; 16]) -> String {
    hex(serial).to_ascii_uppercase()
}
