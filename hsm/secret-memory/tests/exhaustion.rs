//! Locked memory runs out: the secrets that come then lie in ordinary memory, and nothing fails. A program of its own,
//! because the level that a process had to be content with never rises again.
#![allow(clippy::unwrap_used, missing_docs)]
#![cfg(not(miri))]

use std::process::Command;

use secret_memory::{Protection, SecretOctets, protection};

#[test]
fn beyond_the_bound_secrets_go_to_the_heap_and_the_process_says_so() {
    let first = protection();
    assert_ne!(first, Protection::Heap, "nothing was made yet");
    let mut secrets: Vec<_> = (0..6000_u32)
        .map(|number| {
            let mut secret = SecretOctets::zeroed(1000);
            secret[..4].copy_from_slice(&number.to_be_bytes());
            secret
        })
        .collect();
    assert_eq!(secrets[0].protection(), first);
    assert_eq!(secrets.last().unwrap().protection(), Protection::Heap);
    assert_eq!(protection(), Protection::Heap);
    for (number, secret) in (0_u32..).zip(&secrets) {
        assert_eq!(secret[..4], number.to_be_bytes());
        assert!(secret[4..].iter().all(|octet| *octet == 0));
    }
    // A large one finds no room either, and lives.
    let large = SecretOctets::from(vec![7; 100_000]);
    assert_eq!(large.protection(), Protection::Heap);
    assert!(large.iter().all(|octet| *octet == 7));
    // What is given back is given out again.
    secrets.truncate(10);
    assert_eq!(SecretOctets::zeroed(1000).protection(), first);
    assert_eq!(protection(), Protection::Heap, "it stays said");
}

/// Run by the next test in a process that may lock nothing.
#[test]
#[ignore = "run by another test"]
fn child_with_a_small_limit() {
    let secret = SecretOctets::copy_of(b"still here");
    assert_eq!(&*secret, b"still here");
    println!("level: {:?} {:?}", secret.protection(), protection());
}

#[test]
fn without_the_right_to_lock_memory_secrets_go_to_the_heap() {
    // Root may lock without a limit as long as it has that capability.
    let drop_capability = ["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
    let mut command = if unlimited() {
        let mut command = Command::new("setpriv");
        command.args(drop_capability).arg("prlimit");
        command
    } else {
        Command::new("prlimit")
    };
    let output = command
        .arg("--memlock=0:0")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_with_a_small_limit", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("level: Heap Heap"), "{said}");
}

/// Whether this process has CAP_IPC_LOCK (capability 14).
fn unlimited() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() >> 14 & 1 == 1
}
