//! ECDSA signatures: the token's r||s to DER Ecdsa-Sig-Value (RFC 3279 section 2.2.3).

use der::Encode;
use der::asn1::UintRef;

use crate::public_key::sequence;

/// `None` if the token's signature has not exactly two halves of `octets` octets.
pub(crate) fn to_der(raw: &[u8], octets: usize) -> Option<Vec<u8>> {
    if raw.len() != 2 * octets {
        return None;
    }
    let (r, s) = raw.split_at(octets);
    let encoded = |half| UintRef::new(half).and_then(|half| half.to_der()).ok();
    sequence(&[encoded(r)?, encoded(s)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_integers() {
        let der = |raw: &[u8]| to_der(raw, 2);
        // Leading zeros go; a leading one bit gains a zero octet, or the number would be negative.
        assert_eq!(der(&[0, 1, 0x7f, 0xff]), Some(vec![0x30, 7, 2, 1, 1, 2, 2, 0x7f, 0xff]));
        assert_eq!(der(&[0x80, 0, 0, 0]), Some(vec![0x30, 8, 2, 3, 0, 0x80, 0, 2, 1, 0]));
    }

    #[test]
    fn other_lengths_are_no_signature() {
        for raw in [&[][..], &[1; 3], &[1; 5]] {
            assert_eq!(to_der(raw, 2), None);
        }
    }
}
