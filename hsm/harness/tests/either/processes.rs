//! What is left when a token is gone.

use std::os::unix::net::UnixStream;

use token_harness::{SoftHsm, TestToken};

/// Processes that have the token's folder in their environment.
fn processes_of(folder: &std::path::Path) -> usize {
    let folder = folder.to_str().unwrap();
    let own = std::process::id().to_string();
    let has = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        entry.file_name() != own.as_str() && String::from_utf8_lossy(&environment).contains(folder)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| has(entry)).count()
}

#[test]
fn nothing_is_left_of_a_token_that_was_dropped() {
    let token = SoftHsm::local().unwrap();
    let (folder, socket) = (token.home().folder().to_owned(), token.socket().path);
    let client = token.client();
    client.check().unwrap();
    assert!(processes_of(&folder) >= 2, "the listener and the agent of the client");
    drop(token);
    assert!(!folder.exists());
    assert!(UnixStream::connect(socket).is_err());
    // They were killed; the kernel may still be at it.
    while processes_of(&folder) > 0 {
        std::thread::yield_now();
    }
    assert!(matches!(client.check(), Err(hsm::Error::Unavailable(_))));
}

#[test]
fn a_paused_agent_goes_with_its_token_as_well() {
    let token = SoftHsm::local().unwrap();
    let folder = token.home().folder().to_owned();
    token.client().check().unwrap();
    token.pause().unwrap();
    drop(token);
    while processes_of(&folder) > 0 {
        std::thread::yield_now();
    }
}
