//! The one writer: takes what is waiting, runs each in a savepoint, commits once, answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::schema::unavailable;
use super::{Error, Transaction};

/// The most jobs that share one commit, so that the first of them does not wait for ever.
const BATCH: usize = 256;

/// A job runs once inside the transaction (or not at all, where none could be begun) and hands back
/// what tells its caller the end of it.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;
/// Called with the outcome of the shared commit.
type Answer = Box<dyn FnOnce(Option<&Error>) + Send>;

pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, Error> {
        let (jobs, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serve(&connection, &waiting))
            .map_err(|cause| {
                unavailable(format!("the writer thread cannot be started: {cause}"))
            })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn run<T, E>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, end) = channel::<Result<T, E>>();
        let job: Job = Box::new(move |connection| {
            let result = connection.map(|connection| in_savepoint(connection, body));
            Box::new(move |failure: Option<&Error>| {
                let result = match (result, failure) {
                    // A refused job stays refused, whatever became of the others.
                    (Some(Err(own)), _) => Err(own),
                    (Some(Ok(value)), None) => Ok(value),
                    (_, Some(failure)) => Err(E::from(copy(failure))),
                    (None, None) => Err(E::from(unavailable("a write was not run".to_owned()))),
                };
                // The caller may have gone; its work stands all the same.
                let _ = answer.send(result);
            })
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        match end.recv() {
            Ok(result) if sent => result,
            _ => {
                Err(E::from(unavailable("the writer has stopped; restart the service".to_owned())))
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut answers: Vec<Answer> = Vec::new();
        let outcome = commit_together(connection, first, waiting, &mut answers);
        if outcome.is_err() {
            // Nothing of this batch may stay; a failed BEGIN leaves nothing to undo.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer(outcome.as_ref().err());
        }
    }
}

fn commit_together(
    connection: &Connection,
    first: Job,
    waiting: &Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    if let Err(failure) = connection.execute_batch("BEGIN IMMEDIATE") {
        answers.push(first(None));
        return Err(failure.into());
    }
    let mut next = Some(first);
    while let Some(job) = next {
        answers.push(job(Some(connection)));
        if connection.is_autocommit() {
            // The transaction was given up (no room, an I/O error): nothing that shared it stands,
            // and a further savepoint would commit alone.
            return Err(rolled_back());
        }
        next = if answers.len() < BATCH { waiting.try_recv().ok() } else { None };
    }
    connection.execute_batch("COMMIT").map_err(Error::from)
}

fn rolled_back() -> Error {
    unavailable(
        "the transaction was rolled back (is the disk full?); nothing was changed".to_owned(),
    )
}

fn in_savepoint<T, E: From<Error>>(
    connection: &Connection,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    connection.execute_batch("SAVEPOINT job").map_err(Error::from)?;
    // A panic in a closure must not take the writer, and everyone's database, with it.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        body(&mut Transaction::new(connection))
    }))
    .unwrap_or_else(|_| {
        Err(E::from(unavailable("a write failed by a fault of ours; see the log".to_owned())))
    });
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    let ended = connection.execute_batch(end);
    if ended.is_err() {
        // What the job wrote can neither be kept nor be undone alone, so the whole batch goes. The
        // engine may have done that already; then there is nothing left to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    // The job's own failure comes first: it is the reason, and an end that failed only follows.
    let value = result?;
    ended.map_err(Error::from)?;
    Ok(value)
}

/// One commit failure, told to every caller that shared the commit.
fn copy(failure: &Error) -> Error {
    match failure {
        Error::Full(cause) => Error::Full(again(cause)),
        Error::Damaged(cause) => Error::Damaged(again(cause)),
        Error::Conflict(cause) => Error::Conflict(again(cause)),
        other => unavailable(format!("the commit failed: {other}")),
    }
}

fn again(cause: &rusqlite::Error) -> rusqlite::Error {
    match cause {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        _ => rusqlite::Error::InvalidQuery,
    }
}
