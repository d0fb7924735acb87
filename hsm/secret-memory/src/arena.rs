//! Slots of locked pages, so that a small secret does not cost a page. No unsafe code.
//!
//! A region is 64 KiB of pages, cut into slots of one size. A slot is free or has one owner; a bit per slot says which.
//! Regions stay mapped until the process ends, so that an address in one is valid as long as its owner wants. A free
//! slot holds zeros: the kernel gives zeros, and an owner wipes before it gives back.

use std::ptr::NonNull;

use crate::Protection;
use crate::mapping::Mapping;

/// Octets of a region: whole pages wherever Linux runs.
const REGION: usize = 65_536;
/// Octets of a slot: a PIN or an EC key; an RSA key in PEM; what else is brought to be sealed.
const SIZES: [usize; 3] = [1024, 4096, 16_384];

/// Where a secret lies. Whoever holds it is the only one who may make a reference of the address.
#[derive(Debug)]
pub(crate) struct Slot {
    start: NonNull<u8>,
    region: usize,
    bit: u64,
}

impl Slot {
    /// The first octet.
    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }
}

struct Region {
    mapping: Mapping,
    /// Octets of a slot; one of [`SIZES`].
    size: usize,
    /// Bit n is set while slot n has an owner.
    taken: u64,
}

impl Region {
    const fn slots(&self) -> usize {
        REGION / self.size
    }

    /// The first free slot: its number and its bit.
    fn free(&self) -> Option<(usize, u64)> {
        let number = self.taken.trailing_ones() as usize;
        (number < self.slots()).then(|| (number, 1_u64 << number))
    }
}

/// The regions, and how more of them are made.
pub(crate) struct Arena {
    regions: Vec<Region>,
    map: fn(usize) -> Option<Mapping>,
}

impl Arena {
    pub(crate) const fn new(map: fn(usize) -> Option<Mapping>) -> Self {
        Self { regions: Vec::new(), map }
    }

    /// A slot of at least this many octets, all zero, with its protection. `None` if no slot is so large or no more
    /// pages are to be had.
    pub(crate) fn take(&mut self, length: usize) -> Option<(Slot, Protection)> {
        let size = SIZES.into_iter().find(|size| *size >= length)?;
        let fitting = |region: &Region| region.size == size && region.free().is_some();
        let index = match self.regions.iter().position(fitting) {
            Some(index) => index,
            None => {
                self.regions.push(Region { mapping: (self.map)(REGION)?, size, taken: 0 });
                self.regions.len() - 1
            }
        };
        let region = self.regions.get_mut(index)?;
        let (number, bit) = region.free()?;
        region.taken |= bit;
        let start = region.mapping.start().map_addr(|start| start.saturating_add(number * size));
        Some((Slot { start, region: index, bit }, region.mapping.protection()))
    }

    /// Takes a slot back. Its owner has wiped it.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        if let Some(region) = self.regions.get_mut(slot.region) {
            debug_assert!(region.taken & slot.bit != 0, "a slot was given back twice");
            region.taken &= !slot.bit;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Arena, REGION, SIZES};
    use crate::mapping::Mapping;

    #[test]
    fn slots_are_large_enough_and_do_not_overlap() {
        let mut arena = Arena::new(Mapping::locked);
        let lengths = [1, 1024, 1025, 4096, 4097, 16 * 1024];
        let mut ranges = Vec::new();
        let mut slots = Vec::new();
        for length in lengths.into_iter().cycle().take(150) {
            let (slot, _) = arena.take(length).unwrap();
            let size = SIZES.into_iter().find(|size| *size >= length).unwrap();
            let start = slot.start().addr().get();
            ranges.push((start, start + size));
            slots.push(slot);
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
        for region in &arena.regions {
            let start = region.mapping.start().addr().get();
            let inside =
                ranges.iter().filter(|(from, to)| *from >= start && *to <= start + REGION).count();
            assert_eq!(inside, region.taken.count_ones() as usize);
        }
        slots.into_iter().for_each(|slot| arena.give_back(slot));
        assert!(arena.regions.iter().all(|region| region.taken == 0));
    }

    #[test]
    fn a_full_region_is_followed_by_another_and_slots_are_used_again() {
        for size in SIZES {
            let mut arena = Arena::new(Mapping::locked);
            let mut slots: Vec<_> =
                (0..REGION / size).map(|_| arena.take(size).unwrap().0).collect();
            assert_eq!(arena.regions.len(), 1);
            let (further, _) = arena.take(size).unwrap();
            assert_eq!(arena.regions.len(), 2);
            arena.give_back(further);
            let freed = slots.remove(2);
            let start = freed.start();
            arena.give_back(freed);
            assert_eq!(arena.take(size).unwrap().0.start(), start);
            assert_eq!(arena.regions.len(), 2);
        }
    }

    #[test]
    fn what_is_too_large_or_has_no_pages_gets_no_slot() {
        let mut arena = Arena::new(Mapping::locked);
        assert!(arena.take(SIZES[2] + 1).is_none());
        assert!(arena.regions.is_empty());
        let mut arena = Arena::new(|_| None);
        assert!(arena.take(1).is_none());
        assert!(arena.regions.is_empty());
    }
}
