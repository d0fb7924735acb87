//! How many connections callers may hold who do not administer the appliance.
//!
//! Every local user may connect. Without a bound, one of them could take every descriptor and
//! every thread of a service, and nobody else would be served. Administrators have no bound, and
//! what guests can hold together leaves room for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Kind, Problem};

/// The most connections of one user.
pub(super) const EACH: usize = 32;
/// The most connections of all guests together. A service has more threads than this.
pub(super) const ALL: usize = 128;

/// Connections by user id.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<HashMap<u32, usize>>);

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Arc<Guests>,
    uid: u32,
}

impl Guests {
    /// Takes a place for a user.
    ///
    /// # Errors
    /// What to tell the user when there is none.
    pub(super) fn enter(self: &Arc<Self>, uid: u32) -> Result<Place, Problem> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&uid).copied().unwrap_or(0);
        if own >= EACH {
            return Err(full(format!("user {uid} has {own} connections to this service already")));
        }
        if held.values().sum::<usize>() >= ALL {
            return Err(full("this service has as many guests as it takes".to_owned()));
        }
        held.insert(uid, own + 1);
        Ok(Place { guests: Arc::clone(self), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.uid) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.uid);
            }
        }
    }
}

fn full(what: String) -> Problem {
    // 170 is ERROR_BUSY.
    Problem {
        kind: Kind::Unavailable,
        code: 170,
        detail: format!("{what}; wait until some of them have ended, and try again"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ALL, EACH, Guests};
    use std::sync::Arc;

    #[test]
    fn one_user_cannot_take_the_places_of_the_others() {
        let guests = Arc::new(Guests::default());
        let mut held: Vec<_> = (0..EACH).map(|_| guests.enter(7).unwrap()).collect();
        assert!(guests.enter(7).is_err());
        let other = guests.enter(8).unwrap();
        held.pop();
        assert!(guests.enter(7).is_ok(), "an ended connection frees its place");
        drop((held, other));
        assert!(guests.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_guests_together_are_bounded() {
        let guests = Arc::new(Guests::default());
        let held: Vec<_> = (0_u32..).map_while(|uid| guests.enter(uid).ok()).collect();
        assert_eq!(held.len(), ALL);
    }
}
