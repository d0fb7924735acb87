//! Connections: a Unix socket, TCP, TLS over TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::answer::Answers;
use crate::fault::Outcome;

/// Where to connect to.
pub(crate) enum Door {
    Unix(PathBuf),
    Tcp(SocketAddr),
    Tls { address: SocketAddr, name: ServerName<'static>, config: Arc<ClientConfig> },
}

/// A connection that does not block.
pub(crate) enum Channel {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<(ClientConnection, TcpStream)>),
}

impl Door {
    pub(crate) fn connect(&self) -> Outcome<Channel> {
        Ok(match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Channel::Unix(stream)
            }
            Self::Tcp(address) => Channel::Tcp(tcp(*address)?),
            Self::Tls { address, name, config } => {
                let mut stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let mut tls = ClientConnection::new(Arc::clone(config), name.clone())?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream)?;
                }
                stream.set_nonblocking(true)?;
                Channel::Tls(Box::new((tls, stream)))
            }
        })
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(both) => both.1.as_fd(),
        }
    }
}

impl Channel {
    pub(super) fn send(&mut self, request: &[u8]) -> Outcome<()> {
        match self {
            Self::Unix(stream) => write_all(stream, request)?,
            Self::Tcp(stream) => write_all(stream, request)?,
            Self::Tls(both) => {
                let (tls, stream) = &mut **both;
                tls.writer().write_all(request)?;
                while tls.wants_write() {
                    match tls.write_tls(stream) {
                        Err(cause) if cause.kind() == ErrorKind::WouldBlock => wait(&*stream)?,
                        written => drop(written?),
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes what has come. One call is enough: if more has come, `epoll` says so again.
    pub(super) fn receive(&mut self, answers: &mut Answers) -> Outcome<()> {
        let taken = match self {
            Self::Unix(stream) => stream.read(answers.room()),
            Self::Tcp(stream) => stream.read(answers.room()),
            Self::Tls(both) => {
                let (tls, stream) = &mut **both;
                match tls.read_tls(stream) {
                    Ok(0) => Ok(0),
                    Ok(_) => return decrypted(tls, answers),
                    Err(cause) => Err(cause),
                }
            }
        };
        match taken {
            Ok(0) => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(length) => {
                answers.filled(length);
                Ok(())
            }
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }
}

/// Everything that was decrypted; `epoll` does not know about it.
fn decrypted(tls: &mut ClientConnection, answers: &mut Answers) -> Outcome<()> {
    tls.process_new_packets()?;
    loop {
        match tls.reader().read(answers.room()) {
            Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(length) => answers.filled(length),
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(cause) => return Err(cause.into()),
        }
    }
}

/// A request is far smaller than what a socket holds, so this hardly ever waits.
fn write_all<S: AsFd + Write>(stream: &mut S, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(written) => octets = &octets[written..],
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => wait(&*stream)?,
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn wait(stream: &impl AsFd) -> io::Result<()> {
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], None)?;
    Ok(())
}
