//! A token that does not answer: a lock on SoftHSM's files keeps every call that reads a key waiting.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Instant;

use rustix::fs::{FlockOperation, fcntl_lock};

use super::place::TokenPlace;
use super::scene::Scene;
use super::table::Entry;
use crate::harness::{Appliance, eventually};

/// Locks on the files of a token's keys, held by this process (POSIX locks, as SoftHSM's own).
///
/// They are given up when the last descriptor of such a file is closed, so nobody else in this
/// process may open one meanwhile.
pub struct Blocked(Vec<File>);

impl Blocked {
    pub fn keys_of(place: &TokenPlace<'_>) -> Self {
        let files = std::fs::read_dir(&place.folder).unwrap().map(|entry| entry.unwrap().path());
        let keys = files.filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".object") && name != "token.object"
        });
        let locked: Vec<File> = keys
            .map(|path| {
                let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
                fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
                file
            })
            .collect();
        assert!(!locked.is_empty(), "no key to lock");
        Self(locked)
    }

    /// Whether somebody waits for one of these locks: the kernel's own list (proc_locks(5)).
    pub fn is_waited_for(&self) -> bool {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let inodes: Vec<String> =
            self.0.iter().map(|file| format!(":{} ", file.metadata().unwrap().ino())).collect();
        let waits = |line: &&str| line.contains("-> POSIX");
        locks.lines().filter(waits).any(|line| inodes.iter().any(|inode| line.contains(inode)))
    }
}

#[test]
fn the_lock_blocks_a_signature_of_another_program() {
    let _entry = Entry::without_line();
    let appliance = Appliance::new();
    let place = TokenPlace::of(&appliance, "ca");
    let folder = appliance.tokens("ca");
    let id = place.key_id(&folder);
    let digest = appliance.write("digest", [7; 32]);
    let signature = appliance.file("signature");
    let words = ["--sign", "--mechanism", "ECDSA", "--id", &id, "--input-file"];
    let files = [digest.to_str().unwrap(), "--output-file", signature.to_str().unwrap()];
    let blocked = Blocked::keys_of(&place);
    let mut child = place
        .pkcs11_tool_command(&folder, &[&words[..], &files].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("pkcs11-tool waits for the lock", || blocked.is_waited_for());
    assert!(child.try_wait().unwrap().is_none() && !signature.exists());
    drop(blocked);
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read(signature).unwrap().len(), 64);
}

#[test]
fn a_token_that_hangs_while_certificates_are_issued() {
    let mut scene = Scene::new("token hangs (its files are locked), then answers");
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        for _ in 0..2 {
            turn.at_work();
            let blocked = Blocked::keys_of(&place);
            turn.broken();
            eventually("a call into the token waits for the lock", || blocked.is_waited_for());
            turn.the_rest_goes_on(true);
            drop(blocked);
            turn.recovers(Instant::now());
        }
    });
    scene.judge();
}
