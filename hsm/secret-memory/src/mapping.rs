//! Pages of our own: the system calls.

#[cfg(test)]
mod tests;

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Protection;

/// The most octets that are mapped at a time. `RLIMIT_MEMLOCK` is 8 MiB by default with systemd, and
/// modules of tokens lock memory too.
pub(crate) const LIMIT: usize = 4_194_304;

static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// Pages that this value owns alone: readable, writable, zero at first, unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    protection: Protection,
}

// SAFETY: a mapping belongs to the process and not to a thread; this value is its only owner, like a box.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference only the address and the length can be read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The best kind of pages that can be had; `length` is rounded up to whole pages. `None` beyond the bound, or if
    /// the kernel gives neither hidden nor locked pages.
    pub(crate) fn new(length: usize) -> Option<Self> {
        Self::hidden(length).or_else(|| Self::locked(length))
    }

    /// Pages of `memfd_secret`.
    pub(crate) fn hidden(length: usize) -> Option<Self> {
        if cfg!(miri) {
            return None;
        }
        let charge = Charge::take(length)?;
        // SAFETY: the call takes one number and touches no memory of ours.
        let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let descriptor = i32::try_from(descriptor).ok().filter(|number| *number >= 0)?;
        // SAFETY: the kernel just made this descriptor for us; nobody else knows its number.
        let file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(charge.0 as u64).ok()?;
        let mapping = Self::map(charge, libc::MAP_SHARED, file.as_raw_fd(), Protection::Hidden)?;
        // Locked and left out of core dumps by nature. A child process would share the pages.
        if !mapping.advise(libc::MADV_DONTFORK) {
            return None;
        }
        Some(mapping)
    }

    /// Anonymous pages, locked. `None` rather than pages that lack one of the protections.
    pub(crate) fn locked(length: usize) -> Option<Self> {
        let charge = Charge::take(length)?;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mapping = Self::map(charge, kind, -1, Protection::Locked)?;
        if cfg!(miri) {
            return Some(mapping);
        }
        let start = mapping.start.as_ptr().cast::<c_void>();
        // SAFETY: the range is a mapping of our own; locking does not change what is in it.
        let locked = unsafe { libc::mlock(start, mapping.length) } == 0;
        let advised = mapping.advise(libc::MADV_DONTDUMP) && mapping.advise(libc::MADV_WIPEONFORK);
        (locked && advised).then_some(mapping)
    }

    fn map(charge: Charge, kind: i32, descriptor: i32, protection: Protection) -> Option<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so the kernel chooses a range that nothing else uses.
        let start = unsafe { libc::mmap(ptr::null_mut(), charge.0, rights, kind, descriptor, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = NonNull::new(start.cast::<u8>())?;
        // From here on the mapping itself gives the charge back.
        let length = charge.keep();
        Some(Self { start, length, protection })
    }

    fn advise(&self, advice: i32) -> bool {
        // SAFETY: the range is a mapping of our own. The advices used here change what a dump and a child process see,
        // not what this process sees.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, advice) == 0 }
    }

    /// The first octet. Whoever makes a reference of it must be the only one to do so.
    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) const fn protection(&self) -> Protection {
        self.protection
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map`, is unmapped only here, and its owner is going away.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        drop(Charge(self.length));
    }
}

/// Octets counted as mapped; given back when dropped.
struct Charge(usize);

impl Charge {
    /// `length` in whole pages. `None` if that would be more than the bound.
    fn take(length: usize) -> Option<Self> {
        let length = length.checked_next_multiple_of(page())?;
        MAPPED
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mapped| {
                mapped.checked_add(length).filter(|sum| *sum <= LIMIT)
            })
            .ok()
            .map(|_| Self(length))
    }

    fn keep(self) -> usize {
        let length = self.0;
        std::mem::forget(self);
        length
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        MAPPED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn page() -> usize {
    // SAFETY: the call takes one number and touches no memory of ours.
    let octets = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // The call does not fail; if it did, this is whole pages wherever Linux runs.
    usize::try_from(octets).unwrap_or(65_536)
}
