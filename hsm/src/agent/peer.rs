//! Who is at the other end of a Unix socket, as the kernel says.

use std::io;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// The user at the other end (`SO_PEERCRED`), as it was when the connection was made.
///
/// Not by rustix: it has no room for the process number 0, which the kernel gives for a process that is not in this
/// namespace of process numbers. So it is with everybody outside, seen from a container; rustix then answers with an
/// error that says "success".
///
/// # Errors
/// The kernel does not say.
pub fn peer(stream: &UnixStream) -> io::Result<u32> {
    Ok(getsockopt(stream, PeerCredentials)?.uid())
}
