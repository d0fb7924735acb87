//! Sealing entries anew: several at a time, so that their transactions share commits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::{Damaged, JOB};
use crate::journal::Outcome;
use crate::store;
use crate::vecs::generations::GenerationRow;
use crate::vecs::records::{self, SealedRow};
use crate::vecs::stores::Note;
use crate::vecs::{Alias, Error, Vecs};

/// Entries in work at the same time. They mostly wait for a commit, which they share: with half as many
/// it took three times as long.
const WORKERS: usize = 16;
/// Entries that are read at once. For as many uses of the new key it is proved to be ours.
const PAGE: i64 = 256;

/// Seals every entry under older keys anew, and returns those that do not open; `None` when it was
/// stopped before the last one.
///
/// # Errors
/// What is not the fault of one entry: the token, the new key, the database.
pub(super) fn reseal_all(
    vecs: &Vecs,
    to: &GenerationRow,
    stop: &AtomicBool,
) -> Result<Option<Vec<Damaged>>, Error> {
    let feed = Feed { vecs, to, state: Mutex::default() };
    let damaged = Mutex::new(Vec::new());
    let failed = Mutex::new(None);
    let give_up = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) && !give_up.load(Ordering::Relaxed) {
            let done = match feed.next() {
                Ok(Some((row, keys))) => vecs.reseal_row(to, &keys, row),
                Ok(None) => return,
                Err(cause) => Err(cause),
            };
            match done {
                Ok(None) => {}
                Ok(Some(one)) => lock(&damaged).push(one),
                Err(cause) => {
                    give_up.store(true, Ordering::Relaxed);
                    lock(&failed).get_or_insert(cause);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    if let Some(cause) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(cause);
    }
    let finished = lock(&feed.state).finished;
    let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    damaged.sort_by_key(|one| one.entry);
    Ok(finished.then_some(damaged))
}

/// Hands out entries under older keys, in the order of their numbers.
struct Feed<'a> {
    vecs: &'a Vecs,
    to: &'a GenerationRow,
    state: Mutex<FeedState>,
}

#[derive(Default)]
struct FeedState {
    after: i64,
    page: VecDeque<SealedRow>,
    keys: Option<hsm::SealingKeys>,
    finished: bool,
}

impl Feed<'_> {
    fn next(&self) -> Result<Option<(SealedRow, hsm::SealingKeys)>, Error> {
        let mut state = lock(&self.state);
        while state.page.is_empty() && !state.finished {
            let after = state.after;
            let page = self.vecs.store.read(|tx| records::sealed_rows(tx, after, PAGE))?;
            match page.last() {
                Some(last) => state.after = last.entry,
                None => state.finished = true,
            }
            let old = page.into_iter().filter(|row| !is_done(row, self.to));
            state.page = old.collect();
            if !state.page.is_empty() {
                let uses = u32::try_from(state.page.len()).unwrap_or(u32::MAX);
                state.keys = Some(self.vecs.envelope.generations.to_seal(uses)?);
            }
        }
        Ok(state.page.pop_front().zip(state.keys.clone()))
    }
}

fn is_done(row: &SealedRow, to: &GenerationRow) -> bool {
    records::is_under(&row.octets, Some(to))
}

impl Vecs {
    /// `Some`: it does not open. A row that was changed or deleted meanwhile is looked at again.
    fn reseal_row(
        &self,
        to: &GenerationRow,
        keys: &hsm::SealingKeys,
        mut row: SealedRow,
    ) -> Result<Option<Damaged>, Error> {
        let mut keys = keys.clone();
        loop {
            let reason = match self.reseal_once(to, &keys, &row) {
                Ok(true) => return Ok(None),
                Ok(false) => None,
                Err(cause) if is_about_the_row(&cause) => {
                    // Unless it is the token after all: the check values know.
                    self.envelope.generations.prove_all()?;
                    Some(cause.sentence())
                }
                Err(cause) => return Err(cause),
            };
            let entry = row.entry;
            let now = match self.store.read(|tx| records::sealed_row(tx, entry))? {
                None => return Ok(None),
                Some(now) if is_done(&now, to) => return Ok(None),
                Some(now) => now,
            };
            if let Some(reason) = reason
                && now.octets == row.octets
            {
                let SealedRow { entry, store_name: store, alias, .. } = now;
                return Ok(Some(Damaged { entry, store, alias, reason }));
            }
            row = now;
            // The one use that was counted may be made.
            keys = self.envelope.generations.to_seal(1)?;
        }
    }

    /// Returns whether the row was still what was read.
    fn reseal_once(
        &self,
        to: &GenerationRow,
        keys: &hsm::SealingKeys,
        row: &SealedRow,
    ) -> Result<bool, Error> {
        let unreadable = |why: &'static str| Error::Unreadable {
            entry: format!("alias {}", row.alias),
            cause: hsm::Error::Unreadable(why.into()),
        };
        let (Some(id), Some(version)) = (row.id, row.version) else {
            return Err(unreadable("the number or the version of the sealed key is missing"));
        };
        let alias =
            Alias::new(&row.alias).map_err(|_| unreadable("the alias is none that can be"))?;
        let (octets, from) =
            self.envelope.reseal(keys, row.store, &alias, (id, version), &row.octets)?;
        let reference = format!("{}/{}", row.store_name, row.alias);
        let note = Note::new(self.clock.now(), JOB, "entry.rewrap", reference);
        let (entry, to) = (row.entry, to.number);
        self.store
            .write::<_, store::Error>(move |tx| {
                if !records::replace_sealed(tx, entry, (id, version), &octets)? {
                    return Ok(false);
                }
                records::count_resealed(tx)?;
                note.append(tx, Outcome::Done, json!({"from": from, "to": to}))?;
                Ok(true)
            })
            .map_err(Error::from)
    }
}

/// Whether the fault may be that of one row.
pub(super) const fn is_about_the_row(cause: &Error) -> bool {
    matches!(
        cause,
        Error::Unreadable { .. }
            | Error::UnknownKeys(_)
            | Error::Token(hsm::Error::Refused(_) | hsm::Error::Unsupported(_))
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
