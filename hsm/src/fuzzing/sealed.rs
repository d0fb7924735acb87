//! Sealed data, and the record of a wrapped key inside it.

use crate::sealed::{Header, IV, Sealed, SealingMechanism, TAG, WRAPPED_DATA_KEY};
use crate::sealing::born::{Born, without_padding};

mutation::targets! {
    sealed_data: sealed_seeds, 20_000;
    born_key: born_seeds, 20_000;
}

/// Octets of the header.
const HEADER: usize = 40;

/// What is read is written again as the same octets; the header alone says the same; nothing shorter than the header and
/// the shortest body is taken; the header is the beginning of what the tag covers.
fn sealed_data(octets: &[u8]) {
    let parsed = Sealed::parse(octets);
    assert_eq!(Header::read(octets), parsed.as_ref().map(|sealed| sealed.header));
    let Some(sealed) = parsed else { return };
    assert_eq!(sealed.header.followed_by(sealed.body), octets);
    assert_eq!(sealed.header.additional_data(b"context"), [&octets[..HEADER], b"context"].concat());
    let shortest = match sealed.header.mechanism {
        SealingMechanism::Gcm => HEADER + IV + TAG,
        SealingMechanism::KeyWrap => HEADER + WRAPPED_DATA_KEY + IV + TAG,
    };
    assert!(octets.len() >= shortest);
    for length in 0..shortest {
        assert_eq!(Sealed::parse(&octets[..length]), None);
    }
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    mutation::vectors().into_iter().filter_map(|mut vector| vector.remove("sealed")).collect()
}

/// A record that is read is written again as the same octets, and its wrapped key can be one; padding is zeros, and
/// fewer than a block of them.
fn born_key(octets: &[u8]) {
    if let Some(born) = Born::parse(octets) {
        assert_eq!(born.to_octets(), octets);
        assert!(born.wrapped.len() >= 16 && born.wrapped.len().is_multiple_of(8));
    }
    if let Some(pkcs8) = without_padding(octets) {
        let (found, behind) = octets.split_at(pkcs8.len());
        assert_eq!(found, pkcs8);
        assert!(behind.len() < 8 && behind.iter().all(|octet| *octet == 0));
    }
}

fn born_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for vector in mutation::vectors() {
        if let (Some(record), Some(pkcs8)) = (vector.get("plaintext"), vector.get("pkcs8")) {
            seeds.push(record.clone());
            seeds.push([&pkcs8[..], &[0; 3]].concat());
        }
    }
    seeds
}
