//! How many connections strangers may hold.
//!
//! Everybody may connect. Without a bound, one of them could take every descriptor and every thread
//! of a service, and nobody else would be served.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections by whatever tells strangers apart: a user id, an address.
#[derive(Debug)]
pub struct Places<K: Copy + Eq + Hash> {
    each: usize,
    all: usize,
    held: Mutex<HashMap<K, usize>>,
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub struct Place<K: Copy + Eq + Hash> {
    places: Arc<Places<K>>,
    whose: K,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This stranger has as many as one may have.
    Own,
    /// All strangers together have as many as they may have.
    All,
}

impl<K: Copy + Eq + Hash> Places<K> {
    /// At most `each` for one and `all` together.
    pub fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { each, all, held: Mutex::new(HashMap::new()) })
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Full`] when there is none.
    pub fn enter(self: &Arc<Self>, whose: K) -> Result<Place<K>, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&whose).copied().unwrap_or(0);
        if own >= self.each {
            return Err(Full::Own);
        }
        if held.values().sum::<usize>() >= self.all {
            return Err(Full::All);
        }
        held.insert(whose, own + 1);
        Ok(Place { places: Arc::clone(self), whose })
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Full, Places};

    #[test]
    fn one_cannot_take_the_places_of_the_others() {
        let places = Places::new(2, 3);
        let mut held: Vec<_> = (0..2).map(|_| places.enter(7).unwrap()).collect();
        assert_eq!(places.enter(7).unwrap_err(), Full::Own);
        held.push(places.enter(8).unwrap());
        assert_eq!(places.enter(9).unwrap_err(), Full::All);
        held.remove(0);
        held.push(places.enter(7).unwrap());
        drop(held);
        assert!(places.held.lock().unwrap().is_empty());
    }
}
