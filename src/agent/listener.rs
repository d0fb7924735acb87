//! An agent that listens: for a token in a container, or under a user of its own.
//!
//! The listener itself loads no module. It looks who is there, and starts for each client an agent that serves just
//! that client: a client that hangs up, or an agent that hangs, is nobody else's matter.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;

use super::launch::WIPING_MALLOC;
use crate::base::{Layout, sentences};
use crate::config::{Config, TokenRole};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Clients at the same time. A service has one, and for a moment two while a fresh agent takes over.
const MOST: usize = 8;
/// Pause after the kernel could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `sealwright token-agent ROLE --listen PATH --peer USER`: serves until it is ended.
pub fn listen(layout: &Layout, role: TokenRole, path: &Path, peers: &[String]) -> ExitCode {
    crate::log::start();
    match run(layout, role, path, peers) {
        Ok(never) => match never {},
        Err(cause) => {
            tracing::error!("token agent ({role}): {}", sentences(&*cause));
            ExitCode::FAILURE
        }
    }
}

fn run(
    layout: &Layout,
    role: TokenRole,
    path: &Path,
    peers: &[String],
) -> Result<std::convert::Infallible, Failure> {
    crate::hardening::harden()?;
    let section = Config::load(&layout.config_file())?.token(role).clone();
    let peers = peers
        .iter()
        .map(|name| {
            super::user_id(name).ok_or_else(|| {
                format!(
                    "--peer: there is no user {name:?}; a user without a name here goes by number"
                )
            })
        })
        .collect::<Result<Vec<u32>, String>>()?;
    let section_words = super::launch::words(&section)?;
    let listener = bind(path)?;
    let program = std::env::current_exe()?;
    tracing::info!("listening on {} for the {role} token", path.display());
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(cause) => {
                tracing::warn!("no connection could be taken, trying on: {cause}");
                std::thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        // A fault of one connection must not be the end of all.
        let peer = match hsm::agent::peer(&stream) {
            Ok(peer) => peer,
            Err(cause) => {
                tracing::warn!(
                    "the kernel does not say who connects, so he is turned away: {cause}"
                );
                continue;
            }
        };
        if !peers.contains(&peer) {
            tracing::warn!("user {peer} may not use this token agent: --peer names who may");
            continue;
        }
        if clients.fetch_add(1, Ordering::SeqCst) >= MOST {
            clients.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(
                "more than {MOST} clients use this token agent at once: one is turned away"
            );
            continue;
        }
        let Ok(for_the_agent) = stream.try_clone() else {
            clients.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!("no descriptor is left for another client: one is turned away");
            continue;
        };
        let mut command = Command::new(&program);
        if std::env::var_os(WIPING_MALLOC.0).is_none() {
            command.env(WIPING_MALLOC.0, WIPING_MALLOC.1);
        }
        command
            .args(["token-agent", role.name(), "--own-token", "--section", &section_words])
            .envs(&section.environment)
            .stdin(Stdio::from(OwnedFd::from(for_the_agent)))
            .stdout(Stdio::null());
        if let Some(root) = layout.root() {
            command.env("SEALWRIGHT_ROOT", root);
        }
        let place = Arc::clone(&clients);
        // Not `std::thread::spawn`, which panics where the machine has no thread to give.
        let attended = std::thread::Builder::new().name("client".to_owned()).spawn(move || {
            attend(command, &stream);
            place.fetch_sub(1, Ordering::SeqCst);
        });
        if let Err(cause) = attended {
            // His socket was closed with the thread's work.
            clients.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!("no thread is left for another client, one is turned away: {cause}");
            std::thread::sleep(ACCEPT_PAUSE);
        }
    }
}

/// Starts the agent of one client and waits for its end.
fn attend(mut command: Command, stream: &UnixStream) {
    match command.spawn() {
        Ok(mut child) => {
            let ended = child.wait();
            tracing::debug!("the agent of a client ended: {ended:?}");
        }
        Err(cause) => tracing::error!("the agent of a client cannot be started: {cause}"),
    }
    // The listener's own copy of the socket must not keep the client waiting.
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

/// A socket that is left over from before is replaced; anything else at that path is not ours.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    format!("another agent listens on {} already", path.display()),
                ));
            }
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is there and is no socket", path.display()),
            ));
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    // Who may use it is asked of the kernel at each connection. The mode is there from the start: whoever could put a
    // link at the path would have another file opened to everybody by a change of mode.
    let before = umask(Mode::XUSR | Mode::XGRP | Mode::XOTH);
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}
