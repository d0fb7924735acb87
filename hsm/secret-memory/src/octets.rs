//! The buffer.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::{Mutex, PoisonError};

use crate::Protection;
use crate::arena::{Arena, Slot};
use crate::mapping::Mapping;
use crate::wipe::{wipe, wipe_vec};

static ARENA: Mutex<Arena> = Mutex::new(Arena::new(Mapping::new));

/// Secret octets at one place in memory: never moved, never grown, wiped before the memory is released.
///
/// Made in place: [`zeroed`](Self::zeroed), then written through [`DerefMut`], and [`shorten`](Self::shorten)ed where
/// less was needed. There is no `Clone`, `Debug`, `PartialEq` or `Display` on purpose.
pub struct SecretOctets {
    place: Place,
    length: usize,
    protection: Protection,
}

enum Place {
    /// A slot of [`ARENA`].
    Slot(Slot),
    /// Pages for this secret alone, because no slot is so large or none is left.
    Own(Mapping),
    /// Where there is nothing better.
    Heap(Box<[u8]>),
    /// Given back; only while the buffer is dropped.
    Gone,
}

// SAFETY: a slot has one owner, this buffer, and no tie to a thread; the other places are `Send` by themselves.
unsafe impl Send for SecretOctets {}
// SAFETY: a shared reference gives out nothing but `&[u8]` and copies of plain values.
unsafe impl Sync for SecretOctets {}

impl SecretOctets {
    /// So many zeros, in the best memory that is to be had now.
    pub fn zeroed(length: usize) -> Self {
        if length == 0 {
            // Nothing to protect: it does not count as a secret on the heap.
            return Self {
                place: Place::Heap(Box::default()),
                length,
                protection: Protection::Heap,
            };
        }
        let (place, protection) = Self::find(length);
        protection.note();
        Self { place, length, protection }
    }

    fn find(length: usize) -> (Place, Protection) {
        let slot = ARENA.lock().unwrap_or_else(PoisonError::into_inner).take(length);
        if let Some((slot, protection)) = slot {
            return (Place::Slot(slot), protection);
        }
        if let Some(mapping) = Mapping::new(length) {
            let protection = mapping.protection();
            return (Place::Own(mapping), protection);
        }
        (Place::Heap(vec![0; length].into_boxed_slice()), Protection::Heap)
    }

    /// A copy of octets that somebody else wipes.
    pub fn copy_of(octets: &[u8]) -> Self {
        let mut copy = Self::zeroed(octets.len());
        copy.copy_from_slice(octets);
        copy
    }

    /// Gives up all octets but the first `length`, and wipes the others. More than there are changes nothing.
    pub fn shorten(&mut self, length: usize) {
        if let Some(rest) = self.get_mut(length..) {
            wipe(rest);
            self.length = length;
        }
    }

    /// What keeps these octets.
    pub fn protection(&self) -> Protection {
        self.protection
    }
}

/// Moves the octets; the vector's own memory is wiped.
impl From<Vec<u8>> for SecretOctets {
    fn from(mut octets: Vec<u8>) -> Self {
        let moved = Self::copy_of(&octets);
        wipe_vec(&mut octets);
        moved
    }
}

impl Place {
    /// The first octet, where the memory is not of Rust's allocator.
    const fn start(&self) -> Option<NonNull<u8>> {
        match self {
            Self::Slot(slot) => Some(slot.start()),
            Self::Own(mapping) => Some(mapping.start()),
            Self::Heap(_) | Self::Gone => None,
        }
    }
}

impl Deref for SecretOctets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match (self.place.start(), &self.place) {
            // SAFETY: a slot or a mapping has at least `length` octets, since it was asked for so many and `length`
            // only becomes smaller. They are mapped and initialised for as long as this buffer lives, which is their
            // only owner; the reference borrows it.
            (Some(start), _) => unsafe { slice::from_raw_parts(start.as_ptr(), self.length) },
            (None, Place::Heap(octets)) => octets.get(..self.length).unwrap_or_default(),
            (None, _) => &[],
        }
    }
}

impl DerefMut for SecretOctets {
    fn deref_mut(&mut self) -> &mut [u8] {
        match (self.place.start(), &mut self.place) {
            // SAFETY: as above; the buffer is borrowed exclusively, so there is no other reference.
            (Some(start), _) => unsafe { slice::from_raw_parts_mut(start.as_ptr(), self.length) },
            (None, Place::Heap(octets)) => octets.get_mut(..self.length).unwrap_or_default(),
            (None, _) => &mut [],
        }
    }
}

impl Drop for SecretOctets {
    fn drop(&mut self) {
        // What lay beyond the length was wiped when it was given up.
        wipe(self);
        if let Place::Slot(slot) = std::mem::replace(&mut self.place, Place::Gone) {
            ARENA.lock().unwrap_or_else(PoisonError::into_inner).give_back(slot);
        }
    }
}
