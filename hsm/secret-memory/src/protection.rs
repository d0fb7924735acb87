//! How well the secrets of this process are kept.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::SecretOctets;

/// How well a buffer is kept from everything but its process. A greater one is a weaker one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Pages that the kernel itself does not map (`memfd_secret`).
    Hidden,
    /// Pages that are kept out of swap, core dumps and child processes.
    Locked,
    /// Ordinary memory, wiped when it is released.
    Heap,
}

/// The weakest level that a buffer of this process has had; 0 while there was none.
static WEAKEST: AtomicU8 = AtomicU8::new(0);

impl Protection {
    const fn rank(self) -> u8 {
        match self {
            Self::Hidden => 1,
            Self::Locked => 2,
            Self::Heap => 3,
        }
    }

    fn of_rank(rank: u8) -> Option<Self> {
        [Self::Hidden, Self::Locked, Self::Heap].into_iter().find(|level| level.rank() == rank)
    }

    pub(crate) fn note(self) {
        WEAKEST.fetch_max(self.rank(), Ordering::Relaxed);
    }
}

/// The weakest protection that a buffer of this process has had since it started.
///
/// Before the first buffer: what one would have now. [`Protection::Heap`] means that locked memory ran out
/// (`RLIMIT_MEMLOCK`, or the bound of the arena) or that the kernel offers none.
pub fn protection() -> Protection {
    // Making a buffer notes what it got.
    Protection::of_rank(WEAKEST.load(Ordering::Relaxed))
        .unwrap_or_else(|| SecretOctets::zeroed(1).protection())
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "secret memory (memfd_secret)",
            Self::Locked => "locked memory (mlock)",
            Self::Heap => "ordinary memory",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Protection;

    #[test]
    fn a_level_survives_its_number_and_a_weaker_one_is_greater() {
        let levels = [Protection::Hidden, Protection::Locked, Protection::Heap];
        for level in levels {
            assert_eq!(Protection::of_rank(level.rank()), Some(level));
        }
        assert!(levels.is_sorted() && levels.map(Protection::rank).is_sorted());
        assert_eq!(Protection::of_rank(0), None);
    }

    #[test]
    fn each_level_has_a_name_for_the_operator() {
        let names = [Protection::Hidden, Protection::Locked, Protection::Heap]
            .map(|level| level.to_string());
        assert!(names[0].contains("memfd_secret") && names[1].contains("mlock"), "{names:?}");
        assert_eq!(names[2], "ordinary memory");
    }
}
