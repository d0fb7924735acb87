//! The line between clients and an agent: a Unix socket whose other end is another Unix socket, and which can be cut.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use crate::Failure;
use crate::error::Asked;

/// Ends when it is dropped, and all its connections with it.
pub(crate) struct Relay {
    path: PathBuf,
    line: Arc<Line>,
}

struct Line {
    /// Where the agent listens.
    agent: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cut: bool,
    ended: bool,
    /// Both ends of every connection, while it lasts.
    streams: Vec<Weak<UnixStream>>,
}

impl Relay {
    pub(crate) fn start(path: &Path, agent: &Path) -> Result<Self, Failure> {
        let listener = UnixListener::bind(path).asked(format!("listen on {}", path.display()))?;
        let line = Arc::new(Line {
            agent: agent.to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.has_ended() {
                    break;
                }
                if let Ok(client) = stream {
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || shared.connect(client));
                }
            }
        });
        Ok(Self { path: path.to_owned(), line })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn cut(&self, cut: bool) {
        self.line.lock().cut = cut;
        self.line.changed.notify_all();
    }
}

impl Relay {
    /// Ends the connections that there are.
    #[cfg_attr(not(feature = "container"), allow(dead_code))]
    pub(crate) fn hang_up(&self) {
        let streams = std::mem::take(&mut self.line.lock().streams);
        for stream in streams.iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.lock().ended = true;
        self.hang_up();
        self.line.changed.notify_all();
        // Whoever waits for the next connection gets this one, and ends.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Line {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits while the line is cut. False at its end.
    fn is_open(&self) -> bool {
        let mut state = self.lock();
        while state.cut && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.ended
    }

    fn connect(self: Arc<Self>, client: UnixStream) {
        if !self.is_open() {
            return;
        }
        // Where nobody listens the client finds the end of its connection.
        let Ok(agent) = UnixStream::connect(&self.agent) else { return };
        let (client, agent) = (Arc::new(client), Arc::new(agent));
        {
            let mut state = self.lock();
            state.streams.retain(|stream| stream.strong_count() > 0);
            state.streams.extend([Arc::downgrade(&client), Arc::downgrade(&agent)]);
        }
        let other = Arc::clone(&self);
        let (from, to) = (Arc::clone(&agent), Arc::clone(&client));
        std::thread::spawn(move || other.carry(&from, &to));
        self.carry(&client, &agent);
    }

    fn carry(&self, mut from: &UnixStream, mut to: &UnixStream) {
        let mut octets = vec![0; 64 * 1024];
        while let Ok(length) = from.read(&mut octets) {
            if length == 0 || !self.is_open() || to.write_all(&octets[..length]).is_err() {
                break;
            }
        }
        // A hang-up is news as well: it waits while the line is cut.
        self.is_open();
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
