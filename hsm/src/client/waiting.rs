//! Who waits for which answer, since when the agent is at it, and how much it is asked at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::agent::FEWEST_WORKERS;
use crate::module::lock;
use crate::wire::Frame;

/// Requests that an agent has before it at once; twice what most tokens do at a time, so that none of its sessions waits
/// for work. What is more waits here and not in the socket, where a full buffer would look like an agent that hangs.
const WINDOW: usize = 32;
/// Further room for requests that come alone, such as a question after the agent's health: they do not wait behind all
/// the signatures that are wanted.
const SPARE: usize = 16;

/// Requests without an answer.
#[derive(Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    /// By number: the order in which the agent takes them up.
    unanswered: BTreeMap<u64, Pending>,
    answered: HashMap<u64, Frame>,
    /// What the agent was at for too long when it was given up.
    late: HashSet<u64>,
    /// Room that is promised and not used yet.
    reserved: usize,
    /// Who waits for room.
    in_front: usize,
    /// No more answers will come.
    ended: bool,
}

struct Pending {
    asker: Arc<Asker>,
    /// How long the agent may be at it.
    allowed: Duration,
    /// When the agent had a worker for it for certain.
    started: Option<Instant>,
}

/// Whoever waits for some answers, and is woken when the last one is there.
struct Asker {
    missing: AtomicUsize,
    complete: Condvar,
}

/// Requests whose answers one asker waits for together.
pub(super) struct Awaited {
    asker: Arc<Asker>,
    first: u64,
    amount: usize,
}

/// What became of a request.
pub(super) enum Outcome {
    Answered(Frame),
    /// The agent was at it for too long.
    Late,
    /// No answer will come, for another reason.
    Ended,
}

/// No answer will come any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// It is the finding of this very call that the agent hangs: whoever made it ends the agent.
    pub(super) hangs: bool,
}

impl Waiting {
    /// Waits until the agent has room for so many more, and keeps that room.
    pub(super) fn reserve(&self, amount: usize) -> Result<(), Ended> {
        let most = if amount == 1 { WINDOW + SPARE } else { WINDOW };
        let mut state = lock(&self.state);
        loop {
            if state.ended {
                return Err(Ended { hangs: false });
            }
            let waiting = state.unanswered.len() + state.reserved;
            if waiting + amount <= most || waiting == 0 {
                state.reserved += amount;
                return Ok(());
            }
            let Some(end) = state.earliest_end() else {
                // All of it is promised to others, who are about to use it.
                state.in_front += 1;
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.in_front -= 1;
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.give_up();
                self.room.notify_all();
                return Err(Ended { hangs: true });
            }
            state.in_front += 1;
            state = self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.in_front -= 1;
        }
    }

    /// Enters requests for which room was reserved, in the order in which they are sent; `None` where no answers will
    /// come any more. Their numbers begin with `first` of what is returned.
    pub(super) fn enter(&self, amount: usize, allowed: Duration) -> Option<Awaited> {
        let mut state = lock(&self.state);
        state.reserved -= amount;
        if state.ended {
            return None;
        }
        let asker = Asker { missing: AtomicUsize::new(amount), complete: Condvar::new() };
        let (asker, first) = (Arc::new(asker), state.next);
        state.next += amount as u64;
        let awaited = Awaited { asker, first, amount };
        for number in awaited.numbers() {
            let asker = Arc::clone(&awaited.asker);
            state.unanswered.insert(number, Pending { asker, allowed, started: None });
        }
        state.start();
        Some(awaited)
    }

    /// Takes back what could not be sent.
    pub(super) fn leave(&self, awaited: &Awaited) {
        let mut state = lock(&self.state);
        for number in awaited.numbers() {
            state.unanswered.remove(&number);
        }
        state.start();
        drop(state);
        self.room.notify_all();
    }

    /// Passes an answer on to whoever asked. One that nobody asked for is dropped.
    pub(super) fn hand_out(&self, frame: Frame) {
        let mut state = lock(&self.state);
        let Some(pending) = state.unanswered.remove(&frame.number) else { return };
        state.answered.insert(frame.number, frame);
        state.start();
        let in_front = state.in_front > 0;
        drop(state);
        // Waking costs a system call even where nobody sleeps.
        if in_front {
            self.room.notify_all();
        }
        if pending.asker.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            pending.asker.complete.notify_all();
        }
    }

    /// Tells everybody that no answer will come any more.
    pub(super) fn end(&self) {
        lock(&self.state).give_up();
        self.room.notify_all();
    }

    /// Waits until every answer is there, or none will come any more. Also tells whether this very wait found out that
    /// the agent hangs.
    pub(super) fn wait(&self, awaited: &Awaited) -> (Vec<Outcome>, bool) {
        let mut state = lock(&self.state);
        let mut hangs = false;
        while !state.ended
            && let Some(end) = state.earliest_end_of(awaited)
        {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.give_up();
                self.room.notify_all();
                hangs = true;
                break;
            }
            let waited = awaited.asker.complete.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let outcomes = awaited.numbers().map(|number| {
            if let Some(frame) = state.answered.remove(&number) {
                return Outcome::Answered(frame);
            }
            if state.late.remove(&number) { Outcome::Late } else { Outcome::Ended }
        });
        let outcomes = outcomes.collect();
        (outcomes, hangs)
    }
}

impl State {
    /// The agent takes requests up in their order and has some workers at least, so these are being worked on.
    fn start(&mut self) {
        for pending in self.unanswered.values_mut().take(FEWEST_WORKERS) {
            pending.started.get_or_insert_with(Instant::now);
        }
    }

    /// When the first of those that are being worked on is late.
    fn earliest_end(&self) -> Option<Instant> {
        self.unanswered.values().filter_map(Pending::end).min()
    }

    /// The same of one asker; what has not been started gets its time later. `None` where nothing is missing.
    fn earliest_end_of(&self, awaited: &Awaited) -> Option<Instant> {
        let now = Instant::now();
        let missing = self.unanswered.range(awaited.range()).map(|(_, pending)| pending);
        missing.map(|pending| pending.end().unwrap_or(now + pending.allowed)).min()
    }

    /// No more answers. What the agent was at for too long is told apart from what others lose by it.
    fn give_up(&mut self) {
        self.ended = true;
        let now = Instant::now();
        for (number, pending) in std::mem::take(&mut self.unanswered) {
            if pending.end().is_some_and(|end| end <= now) {
                self.late.insert(number);
            }
            pending.asker.complete.notify_all();
        }
    }
}

impl Pending {
    fn end(&self) -> Option<Instant> {
        self.started.map(|started| started + self.allowed)
    }
}

impl Awaited {
    /// The number of the first request.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    fn range(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.amount as u64
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.range()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::{Awaited, Ended, Outcome, WINDOW, Waiting};
    use crate::wire::{Answer, Frame, Frames, send};

    const LONG: Duration = Duration::from_secs(3600);

    fn frame(number: u64) -> Frame {
        let mut octets = Vec::new();
        send(&mut octets, number, false, &Answer::Done).unwrap();
        Frames::new(&octets[..]).next().unwrap().unwrap()
    }

    fn entered(waiting: &Waiting, amount: usize, allowed: Duration) -> Awaited {
        waiting.reserve(amount).unwrap();
        waiting.enter(amount, allowed).unwrap()
    }

    fn words(outcomes: &[Outcome]) -> String {
        let word = |outcome: &Outcome| match outcome {
            Outcome::Answered(_) => 'a',
            Outcome::Late => 'l',
            Outcome::Ended => 'e',
        };
        outcomes.iter().map(word).collect()
    }

    #[test]
    fn answers_in_any_order_find_their_places() {
        let waiting = Waiting::default();
        let (one, two) = (entered(&waiting, 3, LONG), entered(&waiting, 2, LONG));
        for number in [4, 2, 0, 3, 1, 9] {
            waiting.hand_out(frame(number));
        }
        for awaited in [two, one] {
            let (outcomes, hangs) = waiting.wait(&awaited);
            let numbers: Vec<u64> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Outcome::Answered(frame) => Some(frame.number),
                    _ => None,
                })
                .collect();
            assert_eq!(numbers, awaited.numbers().collect::<Vec<_>>());
            assert!(!hangs);
        }
        let state = waiting.state.lock().unwrap();
        assert!(state.answered.is_empty() && state.unanswered.is_empty());
    }

    #[test]
    fn only_what_was_being_worked_on_is_late() {
        let waiting = Waiting::default();
        let short = Duration::from_millis(50);
        // The first two are being worked on; the third has its time still before it.
        let awaited = entered(&waiting, 4, short);
        waiting.hand_out(frame(1));
        let (outcomes, hangs) = waiting.wait(&awaited);
        assert!(hangs);
        let words = words(&outcomes);
        assert!(words == "laee" || words == "lale", "{words}");
        assert_eq!(waiting.reserve(1), Err(Ended { hangs: false }));
    }

    #[test]
    fn who_waits_for_room_finds_out_that_the_agent_hangs() {
        let waiting = Waiting::default();
        let stuck = entered(&waiting, WINDOW, Duration::from_millis(50));
        assert_eq!(waiting.reserve(2), Err(Ended { hangs: true }));
        let (outcomes, hangs) = waiting.wait(&stuck);
        assert!(!hangs);
        assert_eq!(words(&outcomes), format!("ll{}", "e".repeat(WINDOW - 2)));
    }

    #[test]
    fn a_question_alone_finds_room_where_many_wait() {
        let waiting = Waiting::default();
        let many = entered(&waiting, WINDOW, LONG);
        let alone = entered(&waiting, 1, LONG);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| waiting.reserve(2));
            waiting.hand_out(frame(alone.first()));
            waiting.hand_out(frame(0));
            waiting.hand_out(frame(1));
            assert_eq!(next.join().unwrap(), Ok(()));
        });
        waiting.end();
        let (outcomes, _) = waiting.wait(&many);
        assert_eq!(words(&outcomes), format!("aa{}", "e".repeat(WINDOW - 2)));
        assert!(waiting.enter(2, LONG).is_none());
    }
}
