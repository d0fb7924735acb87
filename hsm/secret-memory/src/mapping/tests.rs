#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(not(miri))]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::ptr;

use super::{Charge, LIMIT, Mapping};
use crate::Protection;

/// What the kernel says about the mapping that begins at this address: its first line, and its flags.
fn described(mapping: &Mapping) -> (String, Vec<String>) {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let start = format!("{:x}-", mapping.start().addr());
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let name = lines.next().unwrap().to_owned();
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
    (name, flags.split_whitespace().map(str::to_owned).collect())
}

/// The first octets, as another process would read them.
fn through_proc(mapping: &Mapping) -> std::io::Result<[u8; 4]> {
    let memory = fs::File::open("/proc/self/mem").unwrap();
    let mut seen = [0; 4];
    memory.read_exact_at(&mut seen, mapping.start().addr().get() as u64).map(|()| seen)
}

fn write(mapping: &Mapping, octets: [u8; 4]) {
    // SAFETY: the test is the only owner of the mapping, which is far longer.
    unsafe { ptr::write_volatile(mapping.start().as_ptr().cast(), octets) };
}

fn read(mapping: &Mapping) -> [u8; 4] {
    // SAFETY: as above.
    unsafe { ptr::read_volatile(mapping.start().as_ptr().cast()) }
}

/// Asks a question in a child process and returns what it says (0..=255).
fn in_a_fork(question: impl Fn() -> u8) -> i32 {
    // SAFETY: the child calls only functions that are safe between fork and exec, and ends without cleaning up.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let answer = question();
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(answer.into()) };
    }
    let mut status = 0;
    // SAFETY: the place for the status is live.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child ended by a signal: {status:x}");
    libc::WEXITSTATUS(status)
}

fn hidden() -> Option<Mapping> {
    // SAFETY: the call takes one number and touches no memory of ours.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, 0) };
    if descriptor < 0 {
        eprintln!("LOUD: this kernel gives no memfd_secret, so hidden pages are NOT tested");
        return None;
    }
    // SAFETY: the descriptor was made above and is used by nobody.
    unsafe { libc::close(i32::try_from(descriptor).unwrap()) };
    Some(Mapping::hidden(1).expect("the kernel gives memfd_secret"))
}

#[test]
fn hidden_pages_are_read_by_their_process_alone() {
    let Some(mapping) = hidden() else { return };
    assert_eq!(mapping.protection(), Protection::Hidden);
    assert_eq!(read(&mapping), [0; 4]);
    write(&mapping, *b"seen");
    assert_eq!(read(&mapping), *b"seen");
    // The same address, asked for from outside: an input/output error, for root too.
    let refused = through_proc(&mapping).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EIO), "{refused}");

    let (name, flags) = described(&mapping);
    assert!(name.contains("secretmem"), "{name}");
    // Locked, left out of dumps, not copied by fork.
    for flag in ["lo", "dd", "dc"] {
        assert!(flags.iter().any(|found| found == flag), "{flag} is not in {flags:?}");
    }
    let start = mapping.start().as_ptr();
    let not_mapped = in_a_fork(|| {
        // SAFETY: the call only asks about the range.
        let answer = unsafe { libc::msync(start.cast(), 1, libc::MS_ASYNC) };
        u8::from(
            answer == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM),
        )
    });
    assert_eq!(not_mapped, 1, "the pages are in the child process too");
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let named = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    assert!(!named.into_iter().any(|link| link.to_string_lossy().contains("secretmem")));
}

#[test]
fn locked_pages_stay_out_of_swap_dumps_and_child_processes() {
    let mapping = Mapping::locked(1).unwrap();
    assert_eq!(mapping.protection(), Protection::Locked);
    write(&mapping, *b"seen");
    // This is what the level lacks: root reads it.
    match through_proc(&mapping) {
        Ok(seen) => assert_eq!(seen, *b"seen"),
        Err(refused) => assert_eq!(refused.kind(), ErrorKind::PermissionDenied),
    }
    let (_, flags) = described(&mapping);
    for flag in ["lo", "dd", "wf"] {
        assert!(flags.iter().any(|found| found == flag), "{flag} is not in {flags:?}");
    }
    let first = in_a_fork(|| read(&mapping)[0]);
    assert_eq!(first, 0, "the child process sees the octets");
    assert_eq!(read(&mapping), *b"seen");
}

#[test]
fn a_dropped_mapping_is_gone() {
    for make in [Mapping::hidden, Mapping::locked] {
        let Some(mapping) = make(1) else { continue };
        let (name, _) = described(&mapping);
        drop(mapping);
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        // Another test may have been given the same address meanwhile, but not the same pages.
        let again = maps.lines().any(|line| line == name);
        assert!(!again || !name.contains("secretmem"), "{name}");
    }
}

#[test]
fn more_than_the_bound_is_not_mapped_and_the_count_comes_back() {
    assert!(Mapping::new(LIMIT + 1).is_none());
    assert!(Mapping::new(usize::MAX).is_none());
    for _ in 0..2 * LIMIT / (64 * 1024) {
        drop(Mapping::locked(64 * 1024));
        drop(Mapping::hidden(64 * 1024));
    }
    for _ in 0..2 * LIMIT / (64 * 1024) {
        drop(Charge::take(64 * 1024));
    }
    // Other tests hold some, but nothing that was dropped is still counted.
    assert!(Mapping::new(LIMIT / 4).is_some());
}

#[test]
fn whole_pages_are_counted() {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let page = smaps.lines().find_map(|line| line.strip_prefix("KernelPageSize:")).unwrap();
    let page = 1024 * page.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
    assert_eq!(Charge::take(1).unwrap().0, page);
    assert_eq!(Charge::take(page).unwrap().0, page);
    assert_eq!(Charge::take(page + 1).unwrap().0, 2 * page);
}
