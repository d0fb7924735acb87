//! Signals, heard when they are asked for.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

/// How long a question takes that does not wait: the runtime must come to look at all.
const GLANCE: Duration = Duration::from_millis(1);

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// `SIGTERM` or `SIGINT`.
    End,
    /// A child ended.
    Child,
    /// Time is up.
    Nothing,
}

/// The signals that the first process of a container needs. They are kept until they are asked for.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    ends: [Signal; 2],
    child: Signal,
    /// The wish to end was heard; it holds.
    ended: bool,
}

impl Signals {
    /// From now on these signals do nothing by themselves.
    pub(super) fn hear() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (ends, child) = {
            let _inside = runtime.enter();
            let ends = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
            (ends, signal(SignalKind::child())?)
        };
        Ok(Self { runtime, ends, child, ended: false })
    }

    /// Whether somebody asked for the end, now or before.
    pub(super) fn end(&mut self) -> bool {
        self.wait(GLANCE) == Heard::End
    }

    /// The next one, the wish to end first. Once heard, that is the answer for ever.
    pub(super) fn wait(&mut self, limit: Duration) -> Heard {
        let Self { runtime, ends, child, ended } = self;
        if *ended {
            return Heard::End;
        }
        let heard = poll_fn(|context| {
            // Both are looked at, so that both wake this up.
            let asked = ends.each_mut().map(|end| end.poll_recv(context).is_ready());
            if asked.contains(&true) {
                return Poll::Ready(Heard::End);
            }
            child.poll_recv(context).map(|_| Heard::Child)
        });
        let limited = {
            let _inside = runtime.enter();
            timeout(limit, heard)
        };
        let heard = runtime.block_on(limited).unwrap_or(Heard::Nothing);
        *ended = heard == Heard::End;
        heard
    }
}
