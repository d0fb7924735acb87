//! `sealwright rewrap`: asks `vmafdd` to change the sealing and wrapping keys, and watches it do so.
//!
//! The work is done by a job of the service. This tool may be interrupted at any time, and started
//! again to watch on.

mod flags;
mod progress;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{complain, print_result, say};
use crate::api::rewrap::{DESTROY_OLD, Phase, REWRAP, Rewrap, Start};
use crate::base::{Layout, Service};
use crate::client::{Client, Error};
pub(super) use flags::RewrapFlags;
use progress::Progress;

/// An answer takes a moment: every header in the database is counted for it.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often the job is asked how far it is.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long the service may be away before nobody waits for it any more. It may be restarting.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is wanted of a change of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewrapWish {
    /// How it stands.
    Status,
    /// Begin one, or join the one that is under way.
    Begin {
        /// Whether the old keys are to stay at its end.
        keep_old: bool,
    },
    /// Destroy the old keys that were kept.
    DestroyOld,
}

/// Asks, watches where there is something to watch, and prints how it ended.
pub fn rewrap(layout: &Layout, wish: RewrapWish, json: bool) -> ExitCode {
    let vmafdd = Client::new(&layout.socket(Service::Vmafdd), DEADLINE);
    let answer = match wish {
        RewrapWish::Status => vmafdd.get(REWRAP),
        RewrapWish::Begin { keep_old } => vmafdd.post(REWRAP, &Start { keep_old }),
        RewrapWish::DestroyOld => vmafdd.post(DESTROY_OLD, &()),
    };
    let ended = match (answer, wish) {
        (Ok(standing), RewrapWish::Status) => Ok(standing),
        (Ok(standing), _) => watch(&vmafdd, standing, Progress::new(!json)),
        (Err(error), _) => Err(error),
    };
    let standing: Rewrap = match ended {
        Ok(standing) => standing,
        Err(Error::Refused(problem)) => {
            say(&format!("{} (error {})", problem.detail, problem.code));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            complain(&error);
            if !matches!(wish, RewrapWish::Status) {
                say("if the job was begun it goes on by itself as soon as vmafdd runs; \
                     `sealwright rewrap --status` shows how far it is");
            }
            return ExitCode::FAILURE;
        }
    };
    let text = if json { report::json(&standing) } else { report::text(&standing) };
    let printed = print_result(&text);
    match failure(&standing) {
        Some(sentence) => {
            say(&sentence);
            ExitCode::FAILURE
        }
        None => printed,
    }
}

/// Asks on and on until the job rests.
fn watch(vmafdd: &Client, first: Rewrap, mut progress: Progress) -> Result<Rewrap, Error> {
    let (mut standing, mut last_answer) = (first, Instant::now());
    loop {
        progress.show(&standing, Instant::now());
        if standing.phase.is_at_rest() {
            progress.finish();
            return Ok(standing);
        }
        std::thread::sleep(INTERVAL);
        match vmafdd.get(REWRAP) {
            Ok(next) => (standing, last_answer) = (next, Instant::now()),
            Err(Error::Unreachable { .. }) if last_answer.elapsed() < PATIENCE => {
                progress.note("vmafdd does not answer; waiting for it");
            }
            Err(error) => {
                progress.finish();
                return Err(error);
            }
        }
    }
}

/// Why the command fails although it was answered, and what to do.
fn failure(standing: &Rewrap) -> Option<String> {
    if standing.phase == Phase::Blocked {
        return Some(standing.fault.clone().unwrap_or_else(|| "it is not finished".to_owned()));
    }
    let inventory: u64 = standing.inventory.as_ref()?.iter().map(|sealed| sealed.entries).sum();
    if standing.phase == Phase::Never || standing.entries.add_up(inventory) {
        return None;
    }
    Some(
        "the numbers do not add up: entries came or went behind the back of vmafdd. Keep this output \
         and a copy of the database, and find out who changed it"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::failure;
    use super::report::tests::standing;
    use crate::api::rewrap::Phase;

    #[test]
    fn damaged_entries_and_sums_that_do_not_hold_are_failures() {
        for phase in [Phase::Never, Phase::Resealing, Phase::Kept, Phase::Done] {
            assert_eq!(failure(&standing(phase)), None, "{phase:?}");
        }
        let blocked = failure(&standing(Phase::Blocked)).unwrap();
        assert!(blocked.contains("delete it"), "{blocked}");
        let mut wrong = standing(Phase::Done);
        wrong.entries.created += 1;
        assert!(failure(&wrong).unwrap().contains("do not add up"));
    }
}
