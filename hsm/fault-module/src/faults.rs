//! The rules in force, and what was called so far.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Effect, Function, Rule};

/// `CKR_OK`, `CKR_PIN_INCORRECT` and `CKR_PIN_LOCKED`.
const OK: u64 = 0;
const PIN_INCORRECT: u64 = 0xa0;
const PIN_LOCKED: u64 = 0xa4;
/// `CKF_USER_PIN_COUNT_LOW`, `CKF_USER_PIN_FINAL_TRY` and `CKF_USER_PIN_LOCKED`.
const COUNT_LOW: u64 = 0x1_0000;
const FINAL_TRY: u64 = 0x2_0000;
const LOCKED: u64 = 0x4_0000;

/// Calls of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often it was called.
    pub calls: u64,
    /// Calls that have not returned yet.
    pub inside: u64,
    /// The most of these at one time.
    pub most: u64,
}

/// Shared by everything that calls, and by whoever makes the rules.
#[derive(Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    counts: BTreeMap<Function, Count>,
    wrong_pins: u64,
    releases: u64,
}

/// Who waits for a release that comes later than this ticket.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

impl Faults {
    pub(crate) fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.state().rules.clone()
    }

    /// Takes the rules away, and with them the wrong PINs that were counted for them.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.wrong_pins = 0;
        drop(state);
        self.release();
    }

    pub(crate) fn release(&self) {
        self.state().releases += 1;
        self.released.notify_all();
    }

    pub(crate) fn counts(&self) -> BTreeMap<Function, Count> {
        self.state().counts.clone()
    }

    /// Calls that have not returned yet stay counted as such.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.counts.retain(|_, count| count.inside > 0);
        for count in state.counts.values_mut() {
            *count = Count { calls: 0, inside: count.inside, most: count.inside };
        }
    }

    /// A call begins: what to do with it, and the ticket of one that hangs.
    pub(crate) fn enter(&self, function: Function) -> (Vec<Effect>, Ticket) {
        let mut state = self.state();
        let count = state.counts.entry(function).or_default();
        count.calls += 1;
        count.inside += 1;
        count.most = count.most.max(count.inside);
        let mut effects = Vec::new();
        for rule in state.rules.iter_mut().filter(|rule| rule.function == function) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.count != Some(0) {
                rule.count = rule.count.map(|count| count - 1);
                effects.push(rule.effect);
            }
        }
        effects.extend(state.of_wrong_pins(function));
        (effects, Ticket(state.releases))
    }

    /// It has returned.
    pub(crate) fn leave(&self, function: Function, value: u64) {
        let mut state = self.state();
        match (function.name(), value) {
            ("C_Login", PIN_INCORRECT) => state.wrong_pins += 1,
            ("C_Login", OK) => state.wrong_pins = 0,
            _ => {}
        }
        state.outside(function);
    }

    /// It will never return: its process is gone.
    pub(crate) fn abandon(&self, function: Function) {
        self.state().outside(function);
    }

    /// Waits until what hangs is released, or for so long.
    pub(crate) fn wait(&self, ticket: Ticket, longest: Duration) -> bool {
        let state = self.state();
        let held = |state: &mut State| state.releases == ticket.0;
        let waited = self.released.wait_timeout_while(state, longest, held);
        waited.map_or(true, |(_, outcome)| !outcome.timed_out())
    }

    /// Each change below is a single step, so a thread that panicked left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn outside(&mut self, function: Function) {
        if let Some(count) = self.counts.get_mut(&function) {
            count.inside = count.inside.saturating_sub(1);
        }
    }

    /// What a token that counts wrong PINs does of itself.
    fn of_wrong_pins(&self, function: Function) -> Option<Effect> {
        let tries = self.rules.iter().find_map(|rule| match rule.effect {
            Effect::PinTries(tries) => Some(tries),
            _ => None,
        })?;
        match function.name() {
            "C_Login" if self.wrong_pins >= tries => Some(Effect::Answer(PIN_LOCKED)),
            "C_GetTokenInfo" if self.wrong_pins > 0 => {
                Some(Effect::Flags(match tries.saturating_sub(self.wrong_pins) {
                    0 => COUNT_LOW | LOCKED,
                    1 => COUNT_LOW | FINAL_TRY,
                    _ => COUNT_LOW,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults(rules: &str) -> Faults {
        let faults = Faults::default();
        crate::rules(rules).unwrap().into_iter().for_each(|rule| faults.add(rule));
        faults
    }

    fn function(name: &str) -> Function {
        name.parse().unwrap()
    }

    /// One call that returns this.
    fn call(faults: &Faults, name: &str, value: u64) -> Vec<Effect> {
        let (effects, _) = faults.enter(function(name));
        faults.leave(function(name), value);
        effects
    }

    #[test]
    fn skip_and_count_choose_the_calls() {
        let faults = faults("C_Sign answer=0x30 skip=2 count=1; C_Sign pace=2");
        let hits: Vec<_> = (0..4).map(|_| call(&faults, "C_Sign", 0).len()).collect();
        assert_eq!(hits, [1, 1, 2, 1]);
        assert_eq!(call(&faults, "C_SignInit", 0), []);
        let left: Vec<_> = faults.rules().iter().map(ToString::to_string).collect();
        assert_eq!(left, ["C_Sign answer=0x30 count=0", "C_Sign pace=2"]);
    }

    #[test]
    fn calls_are_counted_now_and_at_most() {
        let faults = faults("");
        let sign = function("C_Sign");
        let _first = faults.enter(sign);
        let _second = faults.enter(sign);
        faults.leave(sign, 0);
        assert_eq!(faults.counts()[&sign], Count { calls: 2, inside: 1, most: 2 });
        faults.reset();
        assert_eq!(faults.counts()[&sign], Count { calls: 0, inside: 1, most: 1 });
        faults.abandon(sign);
        assert_eq!(faults.counts()[&sign].inside, 0);
        faults.reset();
        assert!(faults.counts().is_empty());
    }

    #[test]
    fn a_pin_locks_and_the_flags_say_so_on_the_way() {
        let faults = faults("C_Login pin-tries=3");
        let shown = |faults: &Faults| call(faults, "C_GetTokenInfo", 0);
        assert_eq!(shown(&faults), []);
        for flags in [COUNT_LOW, COUNT_LOW | FINAL_TRY, COUNT_LOW | LOCKED] {
            assert!(!call(&faults, "C_Login", PIN_INCORRECT).contains(&Effect::Answer(PIN_LOCKED)));
            assert_eq!(shown(&faults), [Effect::Flags(flags)]);
        }
        assert!(call(&faults, "C_Login", PIN_LOCKED).contains(&Effect::Answer(PIN_LOCKED)));
        faults.clear();
        assert_eq!(call(&faults, "C_Login", 0), []);
    }

    #[test]
    fn the_right_pin_is_forgiven_the_wrong_ones() {
        let faults = faults("C_Login pin-tries=2");
        call(&faults, "C_Login", PIN_INCORRECT);
        call(&faults, "C_Login", 0);
        assert_eq!(call(&faults, "C_GetTokenInfo", 0), []);
    }

    #[test]
    fn a_release_is_for_those_who_wait_already() {
        let faults = faults("C_Sign hang");
        faults.release();
        let (effects, ticket) = faults.enter(function("C_Sign"));
        assert_eq!(effects, [Effect::Hang]);
        assert!(!faults.wait(ticket, Duration::ZERO));
        faults.release();
        assert!(faults.wait(ticket, Duration::ZERO));
    }
}
