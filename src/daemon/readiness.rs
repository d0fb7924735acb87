//! Tells systemd that the service answers (`sd_notify`), for units of `Type=notify`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

use crate::api::{HEALTH, Health};
use crate::client::Client;

/// How often a service that is still starting is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits on a thread of its own until the service itself answers on its socket, then says so to
/// whoever started it. Does nothing where nobody wants to know (`NOTIFY_SOCKET`).
pub(crate) fn announce_when_answering(socket: PathBuf) {
    let Some(listener) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    std::thread::spawn(move || {
        let client = Client::new(&socket, Duration::from_secs(30));
        while client.get::<Health>(HEALTH).is_err() {
            std::thread::sleep(PAUSE);
        }
        if let Err(cause) = notify(&listener, "READY=1") {
            tracing::warn!("systemd was not told that the service is ready: {cause}");
        }
    });
}

/// Sends a state to a socket with a path, or with an abstract name where it begins with `@`.
fn notify(listener: &OsStr, state: &str) -> io::Result<()> {
    let address = match listener.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(listener)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::notify;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn both_kinds_of_socket_names_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("sealwright-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_name).unwrap();

        notify(path.as_os_str(), "READY=1").unwrap();
        notify(format!("@{name}").as_ref(), "READY=1").unwrap();
        for socket in [by_path, by_name] {
            let mut octets = [0; 16];
            let amount = socket.recv(&mut octets).unwrap();
            assert_eq!(&octets[..amount], b"READY=1");
        }
    }
}
