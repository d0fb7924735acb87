//! What is seen from outside of a decision of the table.

use super::rows::{Operation, Place, State, Times};
use super::table::Decision;

/// What is seen of a decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) outcome: &'static str,
    /// Calls of the function that answers wrongly.
    pub(super) tries: u64,
    pub(super) initialised: u64,
    pub(super) logins: u64,
    /// Whether keys were looked for again.
    pub(super) searched: bool,
}

impl Expected {
    pub(super) fn of(place: Place, decision: Decision, times: Times) -> Self {
        let once = times == Times::Once;
        let ended = |outcome| Self {
            outcome,
            tries: 1,
            initialised: 0,
            logins: 0,
            // Administrative mode removes what may be half made.
            searched: place.operation == Operation::Provision,
        };
        let end = match decision {
            Decision::Stop => ended("locked"),
            Decision::Unreadable => ended("unreadable"),
            Decision::Unsupported => ended("unsupported"),
            Decision::GiveUp => ended("unavailable"),
            // Never repeated: the token may have done it already.
            _ if place.operation == Operation::Provision => ended("unavailable"),
            _ => return Self::remedied(place, decision, once),
        };
        end.in_state(place)
    }

    /// Each remedy is tried once, from the mildest to the strongest.
    fn remedied(place: Place, decision: Decision, once: bool) -> Self {
        let outcome = if once { "done" } else { "unavailable" };
        let (tries, initialised, logins) = match (decision, once) {
            (Decision::FindAgain, true) => (2, 0, 0),
            (Decision::FindAgain, false) => (3, 1, 1),
            (Decision::Reconnect, true) => (2, 0, 1),
            (Decision::Reconnect, false) => (3, 1, 2),
            (_, true) => (2, 1, 1),
            (_, false) => (2, 1, 1),
        };
        let searched = place.operation != Operation::Connect;
        Self { outcome, tries, initialised, logins, searched }.in_state(place)
    }

    /// Where nobody was logged in, a login is no remedy but the way there.
    fn in_state(mut self, place: Place) -> Self {
        if place.state != State::Warm {
            self.logins = u64::from(self.outcome == "done");
        }
        match place.function {
            "C_Login" => self.logins = self.tries,
            // What is tried is itself the remedy.
            "C_Initialize" => self.initialised = self.tries,
            // Counted and listed; one that stays and one to work in; private and public key.
            "C_GetSlotList" | "C_OpenSession" | "C_FindObjectsInit" if self.outcome == "done" => {
                self.tries += 1;
            }
            _ => {}
        }
        self.searched |= place.function == "C_FindObjectsInit";
        self
    }
}
