//! Requests that wait: bounded, and every caller in turn.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::access::CallerId;

/// The most that wait, of one caller and of all together. What is more is turned away at once: it would wait longer
/// than whoever asked.
pub(super) const BOUNDS: Bounds = Bounds { each: 512, all: 2048 };

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) each: usize,
    pub(super) all: usize,
}

/// Waiting items of many callers.
#[derive(Debug)]
pub(super) struct Queue<T> {
    bounds: Bounds,
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    of_callers: BTreeMap<CallerId, VecDeque<T>>,
    /// Callers of whom something waits, the next one first.
    turns: VecDeque<CallerId>,
    /// Items that wait.
    amount: usize,
    /// Items that were taken and are not done yet.
    taken: usize,
    /// Takers that sleep.
    asleep: usize,
    closed: bool,
}

/// There is no room for another item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full<T>(pub(super) T);

impl<T> Queue<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (of_callers, turns) = (BTreeMap::new(), VecDeque::new());
        let state =
            Mutex::new(State { of_callers, turns, amount: 0, taken: 0, asleep: 0, closed: false });
        Self { bounds, state, filled: Condvar::new() }
    }

    /// Puts an item behind those of the same caller.
    pub(super) fn put(&self, caller: CallerId, item: T) -> Result<(), Full<T>> {
        let mut state = self.lock();
        let own = state.of_callers.get(&caller).map_or(0, VecDeque::len);
        if state.closed || state.amount >= self.bounds.all || own >= self.bounds.each {
            return Err(Full(item));
        }
        if own == 0 {
            state.turns.push_back(caller);
        }
        state.of_callers.entry(caller).or_default().push_back(item);
        state.amount += 1;
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes some, one of each caller in turn; none once the queue is closed and
    /// empty. `takers` share what is there: none of them takes more than its part, nor more than `most`.
    pub(super) fn take(&self, takers: usize, most: usize) -> Vec<T> {
        let mut state = self.lock();
        state.asleep += 1;
        let mut state = self
            .filled
            .wait_while(state, |state| state.amount == 0 && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.asleep -= 1;
        let most = (state.amount + state.taken).div_ceil(takers.max(1)).min(most);
        let mut taken = Vec::with_capacity(most.min(state.amount));
        while taken.len() < most
            && let Some(caller) = state.turns.pop_front()
        {
            let Some(own) = state.of_callers.get_mut(&caller) else { continue };
            taken.extend(own.pop_front());
            if own.is_empty() {
                // A caller that comes no more leaves nothing behind.
                state.of_callers.remove(&caller);
            } else {
                state.turns.push_back(caller);
            }
        }
        state.amount -= taken.len();
        state.taken += taken.len();
        if state.amount > 0 && state.asleep > 0 {
            self.filled.notify_one();
        }
        taken
    }

    /// Tells that so many of those that were taken are done.
    pub(super) fn done(&self, amount: usize) {
        self.lock().taken -= amount;
    }

    /// Takes nothing more in, and gives back what waits.
    pub(super) fn close(&self) -> Vec<T> {
        let mut state = self.lock();
        state.closed = true;
        state.amount = 0;
        state.turns.clear();
        let left = std::mem::take(&mut state.of_callers);
        drop(state);
        self.filled.notify_all();
        left.into_values().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Bounds, Full, Queue};
    use crate::access::CallerId::{Client, User};

    #[test]
    fn callers_take_turns_and_each_keeps_its_order() {
        let queue = Queue::new(Bounds { each: 10, all: 20 });
        for item in ["a1", "a2", "a3", "a4"] {
            queue.put(User(1), item).unwrap();
        }
        queue.put(User(2), "b1").unwrap();
        queue.put(Client(2), "c1").unwrap();
        queue.put(User(2), "b2").unwrap();
        assert_eq!(queue.take(1, 4), ["a1", "b1", "c1", "a2"]);
        // Who had a turn waits for the others, also from one taking to the next.
        queue.put(Client(2), "c2").unwrap();
        assert_eq!(queue.take(1, 10), ["b2", "a3", "c2", "a4"]);
    }

    #[test]
    fn what_is_too_much_is_given_back() {
        let queue = Queue::new(Bounds { each: 2, all: 3 });
        queue.put(User(1), 'a').unwrap();
        queue.put(User(1), 'b').unwrap();
        assert_eq!(queue.put(User(1), 'c'), Err(Full('c')), "of one caller");
        queue.put(User(2), 'd').unwrap();
        assert_eq!(queue.put(Client(2), 'e'), Err(Full('e')), "of all");
        assert_eq!(queue.take(1, 1), ['a']);
        queue.put(Client(2), 'e').unwrap();
    }

    #[test]
    fn a_closed_queue_gives_back_what_waits_and_ends() {
        let queue = Queue::new(Bounds { each: 2, all: 3 });
        queue.put(User(1), 'a').unwrap();
        assert_eq!(queue.close(), ['a']);
        assert_eq!(queue.put(User(1), 'b'), Err(Full('b')));
        assert!(queue.take(1, 8).is_empty());
    }

    #[test]
    fn takers_share_what_waits_and_what_is_being_done() {
        let queue = Queue::new(Bounds { each: 100, all: 100 });
        (0..16).for_each(|item| queue.put(User(1), item).unwrap());
        assert_eq!(queue.take(4, 100), [0, 1, 2, 3]);
        assert_eq!(queue.take(4, 100).len(), 4, "the first four are still being done");
        queue.done(8);
        assert_eq!(queue.take(4, 100).len(), 2);
        assert_eq!(queue.take(4, 1).len(), 1);
    }
}
