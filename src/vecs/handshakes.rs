//! TLS handshakes that were signed with stored keys, counted.
//!
//! A record for each would let any stranger who connects fill the disk. So they are counted in memory, and the
//! journal gets a record for each key and caller once a minute and when the service stops. A service that is
//! killed takes the count of up to a minute along.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::stores::Note;
use super::{Error, Vecs};
use crate::base::{Actor, UnixTime};
use crate::journal::Outcome;

/// Signatures since the last record, by entry and caller.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<BTreeMap<(String, String), Count>>);

#[derive(Clone, Debug)]
struct Count {
    actor: Actor,
    from: UnixTime,
    to: UnixTime,
    signed: u64,
    failed: u64,
}

impl Handshakes {
    /// Counts one.
    pub(super) fn count(&self, reference: String, actor: Actor, at: UnixTime, signed: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((reference, actor.to_string())).or_insert(Count {
            actor,
            from: at,
            to: at,
            signed: 0,
            failed: 0,
        });
        count.to = at;
        *if signed { &mut count.signed } else { &mut count.failed } += 1;
    }

    fn take(&self) -> BTreeMap<(String, String), Count> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts again what could not be recorded.
    fn put_back(&self, taken: BTreeMap<(String, String), Count>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (whose, earlier) in taken {
            counts
                .entry(whose)
                .and_modify(|count| {
                    count.from = earlier.from;
                    count.signed += earlier.signed;
                    count.failed += earlier.failed;
                })
                .or_insert(earlier);
        }
    }
}

impl Vecs {
    /// Writes down the handshakes that were counted; to be called once a minute, and at the end.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be written; the counts are kept.
    pub fn record_handshakes(&self) -> Result<(), Error> {
        let taken = self.handshakes.take();
        if taken.is_empty() {
            return Ok(());
        }
        let (now, counts) = (self.clock.now(), taken.clone());
        let written = self.store.write(move |tx| {
            for ((reference, _), count) in counts {
                // One record says both; it is the outcome of those that failed if no other did better.
                let outcome = if count.signed > 0 { Outcome::Done } else { Outcome::Failed };
                let details = json!({
                    "purpose": "tls",
                    "count": count.signed,
                    "failed": count.failed,
                    "from": count.from,
                    "to": count.to,
                });
                Note::new(now, count.actor, "entry.sign", reference)
                    .append(tx, outcome, details)?;
            }
            Ok::<_, Error>(())
        });
        if written.is_err() {
            self.handshakes.put_back(taken);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::Handshakes;
    use crate::base::Actor;

    #[test]
    fn counts_are_kept_by_entry_and_caller_and_survive_a_failed_record() {
        let handshakes = Handshakes::default();
        let job = Actor::Job("test");
        handshakes.count("a/b".to_owned(), job.clone(), 10, true);
        handshakes.count("a/b".to_owned(), job.clone(), 20, false);
        handshakes.count("a/c".to_owned(), job.clone(), 20, true);
        let taken = handshakes.take();
        assert_eq!(taken.len(), 2);
        assert!(handshakes.take().is_empty());
        handshakes.count("a/b".to_owned(), job, 30, true);
        handshakes.put_back(taken);
        let counts = handshakes.take();
        let count = &counts[&("a/b".to_owned(), "job:test".to_owned())];
        assert_eq!((count.from, count.to, count.signed, count.failed), (10, 30, 2, 1));
        assert_eq!(counts.len(), 2);
    }
}
