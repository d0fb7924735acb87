//! One writes at a time. Whoever finds nobody at it commits for all that wait: each job in a savepoint of its own, one
//! commit for all of them. Nobody hands work over to a thread and waits for it to wake up.

use std::collections::VecDeque;
use std::sync::mpsc::{TryRecvError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
    state: Mutex<State>,
    /// Somebody has ended a commit.
    committed: Condvar,
}

struct State {
    /// Of callers that sleep, or are about to look.
    jobs: VecDeque<Job>,
    /// With whoever commits, meanwhile.
    connection: Option<Connection>,
    /// Callers that sleep.
    asleep: usize,
}

/// The connection of whoever commits. It goes back even if that one panics.
struct Turn<'a> {
    writer: &'a Writer,
    connection: Option<Connection>,
}

impl Writer {
    pub(super) fn of(connection: Connection) -> Self {
        let state = State { jobs: VecDeque::new(), connection: Some(connection), asleep: 0 };
        Self { state: Mutex::new(state), committed: Condvar::new() }
    }

    /// Runs each body in a savepoint of its own; all of them share a commit.
    pub(super) fn run<T, E, B>(&self, bodies: Vec<B>) -> Vec<Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        B: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let amount = bodies.len();
        let (answer, end) = channel::<Vec<Result<T, E>>>();
        let job: Job = Box::new(move |connection| {
            let results: Vec<_> =
                bodies.into_iter().map(|body| in_transaction(connection?, body)).collect();
            Box::new(move |failure: Option<&Error>| {
                let conclude = |result| match (result, failure) {
                    // A refused job stays refused, whatever became of the others.
                    (Some(Err(own)), _) => Err(own),
                    (Some(Ok(value)), None) => Ok(value),
                    (_, Some(failure)) => Err(E::from(copy(failure))),
                    (None, None) => Err(E::from(unavailable("a write was not run".to_owned()))),
                };
                // The caller may have gone; its work stands all the same.
                let _ = answer.send(results.into_iter().map(conclude).collect());
            })
        });
        let mut state = self.lock();
        state.jobs.push_back(job);
        loop {
            match end.try_recv() {
                Ok(results) => return results,
                // Whoever had the job lost it: it panicked.
                Err(TryRecvError::Disconnected) => {
                    let lost = || {
                        unavailable("a write was lost by a fault of ours; see the log".to_owned())
                    };
                    return (0..amount).map(|_| Err(E::from(lost()))).collect();
                }
                Err(TryRecvError::Empty) => {}
            }
            state = match state.connection.take() {
                Some(connection) => {
                    drop(state);
                    let turn = Turn { writer: self, connection: Some(connection) };
                    turn.connection.iter().for_each(|connection| self.commit(connection));
                    drop(turn);
                    self.lock()
                }
                None => self.sleep(state),
            };
        }
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.asleep += 1;
        let mut state = self.committed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.asleep -= 1;
        state
    }

    /// Commits what waits, and tells its callers.
    fn commit(&self, connection: &Connection) {
        let mut answers: Vec<Answer> = Vec::new();
        let outcome = self.commit_together(connection, &mut answers);
        if outcome.is_err() {
            // Nothing of this batch may stay; a failed BEGIN leaves nothing to undo.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer(outcome.as_ref().err());
        }
    }

    fn commit_together(
        &self,
        connection: &Connection,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Error> {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        while answers.len() < BATCH
            && let Some(job) = self.next()
        {
            if begun.is_err() {
                answers.push(job(None));
                break;
            }
            answers.push(job(Some(connection)));
            if connection.is_autocommit() {
                // The transaction was given up (no room, an I/O error): nothing that shared it stands,
                // and a further savepoint would commit alone.
                return Err(rolled_back());
            }
        }
        begun?;
        connection.execute_batch("COMMIT").map_err(Error::from)
    }

    fn next(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take();
        if let Some(left) = connection.as_ref().filter(|left| !left.is_autocommit()) {
            // Whoever panicked had begun something, and was told nothing of it.
            let _ = left.execute_batch("ROLLBACK");
        }
        let mut state = self.writer.lock();
        state.connection = connection;
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            // Those whose answer is there, and one of those whose jobs still wait.
            self.writer.committed.notify_all();
        }
    }
}

fn rolled_back() -> Error {
    unavailable(
        "the transaction was rolled back (is the disk full?); nothing was changed".to_owned(),
    )
}

/// `None` where the transaction was given up before: a further savepoint would commit alone.
fn in_transaction<T, E: From<Error>>(
    connection: &Connection,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Option<Result<T, E>> {
    (!connection.is_autocommit()).then(|| in_savepoint(connection, body))
}

fn in_savepoint<T, E: From<Error>>(
    connection: &Connection,
    body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    run(connection, "SAVEPOINT job")?;
    // A panic in a closure must not take the writer, and everyone's database, with it.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        body(&mut Transaction::new(connection))
    }))
    .unwrap_or_else(|_| {
        Err(E::from(unavailable("a write failed by a fault of ours; see the log".to_owned())))
    });
    let undone = if result.is_ok() { Ok(()) } else { run(connection, "ROLLBACK TO job") };
    let ended = undone.and_then(|()| run(connection, "RELEASE job"));
    if ended.is_err() {
        // What the job wrote can neither be kept nor be undone alone, so the whole batch goes. The
        // engine may have done that already; then there is nothing left to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    // The job's own failure comes first: it is the reason, and an end that failed only follows.
    let value = result?;
    ended?;
    Ok(value)
}

/// A statement without values and rows, parsed once.
fn run(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
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
