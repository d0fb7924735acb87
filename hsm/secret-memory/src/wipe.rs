//! Overwriting that the compiler may not leave out.

use std::mem::MaybeUninit;
use std::sync::atomic::{Ordering, compiler_fence};

/// Overwrites with zeros.
pub(crate) fn wipe(octets: &mut [u8]) {
    for octet in octets {
        // SAFETY: the pointer comes from a live exclusive reference to one octet.
        unsafe { std::ptr::write_volatile(octet, 0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// Overwrites the whole buffer with zeros, what lies beyond its length too, and empties it.
pub(crate) fn wipe_vec(octets: &mut Vec<u8>) {
    wipe(octets);
    octets.clear();
    for octet in octets.spare_capacity_mut() {
        // SAFETY: the pointer comes from a live exclusive reference to one octet, which may be uninitialised
        // because it is only written.
        unsafe { std::ptr::write_volatile(octet, MaybeUninit::new(0)) };
    }
    compiler_fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::{wipe, wipe_vec};

    #[test]
    fn every_octet_becomes_zero() {
        let mut octets = [0xA5; 77];
        wipe(&mut octets[1..76]);
        assert_eq!((octets[0], octets[76]), (0xA5, 0xA5));
        assert!(octets[1..76].iter().all(|octet| *octet == 0));
    }

    #[test]
    fn what_lies_beyond_the_length_becomes_zero_too() {
        let mut octets = vec![0xA5; 100];
        octets.truncate(10);
        wipe_vec(&mut octets);
        assert!(octets.is_empty() && octets.capacity() >= 100);
        // SAFETY: the first hundred octets were initialised above, and wiped since.
        unsafe { octets.set_len(100) };
        assert_eq!(octets, [0; 100]);
    }
}
