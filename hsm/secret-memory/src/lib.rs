//! Secret octets in memory that the kernel hides, else locks, and that is wiped before it is released.
//!
//! | Level | Memory | Not in | Wiped |
//! |---|---|---|---|
//! | [`Protection::Hidden`] | `memfd_secret(2)`, shared with nobody, `MADV_DONTFORK` | swap, core dumps, child processes, `/proc/PID/mem`, `ptrace`, the kernel's own map of all memory | by us, and by the kernel at the end |
//! | [`Protection::Locked`] | anonymous, `mlock(2)`, `MADV_DONTDUMP`, `MADV_WIPEONFORK` | swap, core dumps, child processes | by us |
//! | [`Protection::Heap`] | a block of the allocator | nothing | by us |
//!
//! A buffer gets the best level that the kernel and `RLIMIT_MEMLOCK` allow at that moment; [`protection`] says what
//! the process had to be content with. Hibernation keeps a level below: it writes all memory to a disk, except that
//! Linux refuses it while memory of the first level is in use.
//!
//! # Why there is unsafe code, and why it is sound
//!
//! Memory from `mmap` is not memory of Rust's allocator, so somebody has to make a slice of it. All other crates that
//! are shipped forbid unsafe code, and this one has it in three places:
//!
//! 1. `mapping`: the system calls. A `Mapping` is an exclusive owner of a range of pages: made
//!    readable, writable and zero, never moved, unmapped when dropped. Nobody else gets its address as a reference.
//! 2. `octets`: making `&[u8]` and `&mut [u8]` of a range that a buffer owns. It owns either a whole mapping, or a slot
//!    of the arena. The arena (no unsafe code) gives a slot to one owner at a time, slots do not overlap, and mappings
//!    of the arena live until the process ends. So the range is valid for as long as the buffer lives, initialised
//!    (the kernel gives zeros, and a slot is wiped before it goes back), and borrowed only through the buffer.
//! 3. `wipe`: writes that the compiler may not leave out, to memory that is borrowed exclusively.
//!
//! After `fork` without `exec` a child has no hidden pages, and touching a buffer there ends it: nothing of ours does
//! that (`fork` is unsafe code), and a crash is better than a copy.

mod arena;
mod mapping;
mod octets;
mod protection;
mod wipe;

pub use octets::SecretOctets;
pub use protection::{Protection, protection};
