//! Unix sockets as a transport for ureq.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Connects every request to one socket, whatever its URI says.
#[derive(Debug)]
pub(super) struct UnixConnector {
    socket: PathBuf,
}

impl UnixConnector {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }
}

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<UnixTransport>, Error> {
        let stream = connect(&self.socket, &details.timeout)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

/// Connects in time: a service that hangs takes no connections, and once its queue is full the
/// kernel would wait for ever. For Unix sockets it waits as long as for sending (`unix(7)`).
fn connect(socket: &Path, timeout: &NextTimeout) -> Result<UnixStream, Error> {
    let address = SocketAddrUnix::new(socket).map_err(std::io::Error::from)?;
    let stream = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(std::io::Error::from)?;
    set_socket_timeout(&stream, Timeout::Send, limit(timeout)).map_err(std::io::Error::from)?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&stream, &address))
        .map_err(|cause| in_time(cause.into(), timeout))?;
    Ok(UnixStream::from(stream))
}

pub(super) struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl std::fmt::Debug for UnixTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The buffers may hold a private key.
        f.debug_struct("UnixTransport").finish_non_exhaustive()
    }
}

fn limit(timeout: &NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|duration| *duration)
}

fn in_time(error: std::io::Error, timeout: &NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(limit(&timeout))?;
        let output = &self.buffers.output()[..amount];
        match self.stream.write_all(output) {
            // A service may refuse a request and hang up before it has read all of it. Its answer
            // is waiting then, and says more than this error; without an answer, reading fails.
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            result => result.map_err(|error| in_time(error, &timeout)),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(limit(&timeout))?;
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match self.stream.read(input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| in_time(error, &timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // A kept connection whose service was restarted reads as ended; one that would block lives.
        let alive = self.stream.set_nonblocking(true).is_ok()
            && matches!(
                self.stream.read(&mut [0]),
                Err(error) if error.kind() == ErrorKind::WouldBlock
            );
        alive && self.stream.set_nonblocking(false).is_ok()
    }
}
