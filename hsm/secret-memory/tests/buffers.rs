//! What a buffer promises, at whatever level this machine gives.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use secret_memory::{Protection, SecretOctets, protection};

fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31 + seed * 7) % 251 + 1) as u8).collect()
}

#[test]
fn content_survives_in_every_size() {
    // Interpreted by Miri, large buffers take minutes.
    let lengths: &[usize] = if cfg!(miri) {
        &[0, 1, 1024, 4097]
    } else {
        &[0, 1, 32, 1023, 1024, 1025, 4096, 4097, 16384, 16385, 70_000]
    };
    let made: Vec<_> =
        lengths.iter().map(|length| SecretOctets::from(pattern(*length, *length))).collect();
    for (secret, length) in made.iter().zip(lengths.iter().copied()) {
        assert_eq!(secret.len(), length);
        assert!(**secret == pattern(length, length)[..], "{length} octets");
    }
}

#[test]
fn a_new_buffer_is_zero_although_its_place_was_used() {
    let mut reused = 0;
    for length in if cfg!(miri) { &[48][..] } else { &[48, 1024, 3000, 16 * 1024] } {
        let length = *length;
        let mut places = std::collections::HashSet::new();
        for round in 0..if cfg!(miri) { 5 } else { 200 } {
            let mut secret = SecretOctets::zeroed(length);
            assert!(secret.iter().all(|octet| *octet == 0), "round {round} of {length}");
            secret.fill(0xA5);
            if secret.protection() != Protection::Heap {
                reused += usize::from(!places.insert(secret.as_ptr()));
            }
            // Given up in two steps: what was cut off must not stay either.
            secret.shorten(length / 2);
        }
    }
    assert!(reused > 0 || protection() == Protection::Heap);
}

#[test]
fn shortening_keeps_the_beginning() {
    let mut secret = SecretOctets::copy_of(b"secret\r\n");
    secret.shorten(100);
    assert_eq!(&*secret, b"secret\r\n");
    secret.shorten(6);
    assert_eq!(&*secret, b"secret");
    secret.shorten(7);
    assert_eq!(&*secret, b"secret");
    secret.shorten(0);
    assert!(secret.is_empty());
}

#[test]
fn many_threads_never_see_each_others_octets() {
    let shared = Arc::new(SecretOctets::copy_of(b"read by all"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let shared = Arc::clone(&shared);
            scope.spawn(move || {
                let mut held: Vec<(Vec<u8>, SecretOctets)> = Vec::new();
                for round in 0..if cfg!(miri) { 5 } else { 400 } {
                    let expected = pattern(thread * 1000 + round, 1 + (round * 97) % 2000);
                    held.push((expected.clone(), SecretOctets::from(expected)));
                    if held.len() > 5 {
                        let (expected, secret) = held.remove(round % 5);
                        assert!(*secret == expected[..]);
                    }
                    assert_eq!(&**shared, b"read by all");
                }
                // The last one dies on another thread than the one that made it.
                held.pop()
            });
        }
    });
}

/// Without this the crate could quietly give ordinary memory everywhere.
#[test]
#[cfg(not(miri))]
fn a_machine_that_can_lock_memory_gives_better_than_the_heap() {
    let secret = SecretOctets::copy_of(b"x");
    assert_ne!(secret.protection(), Protection::Heap);
    assert!(secret.protection() <= protection());
    // One that is larger than every slot, too.
    assert_eq!(SecretOctets::zeroed(100_000).protection(), secret.protection());
    if secret.protection() != Protection::Hidden {
        eprintln!("LOUD: this kernel gives no memfd_secret; secrets are only locked");
    }
}
