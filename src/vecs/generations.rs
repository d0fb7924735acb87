//! The registry of key generations: which keys seal new data, and which still open old data.
//!
//! A generation is two keys in the sealing token, known by their `CKA_ID`. Exactly one is active and
//! seals what is new; one that is retiring opens what it sealed until everything was sealed anew; one
//! that was destroyed stays on record. Sealed data says in its head which generation it belongs to,
//! so several can be in use at the same time.
//!
//! The first generation is made by itself, as soon as the token is there and either the background
//! job or something to be sealed asks for it. It is never made where keys are sealed already: those
//! belong to keys that the registry should know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::key_workshop::KeyWorkshop;
use super::stores::Note;
use super::uses::Uses;
use super::{Custody, Error, records};
use crate::base::{Actor, Clock, UnixTime, sentences};
use crate::journal::Outcome;
use crate::store::{self, Store, Transaction};

/// The act in the journal.
const GENERATE: &str = "sealing-keys.generate";

pub(super) const CHECK_CONTEXT: &[u8] = b"sealwright/vecs-check/1";
pub(super) const CHECK_TEXT: &[u8] = b"This token holds the wrapping key of this store.";

/// How a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// New data is sealed under it.
    Active,
    /// It opens what it sealed, until all of that was sealed anew.
    Retiring,
    /// Its keys are gone.
    Destroyed,
}

impl GenerationState {
    /// The word in the records and on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Destroyed => "destroyed",
        }
    }

    pub(super) fn from_word(word: &str) -> Result<Self, store::Error> {
        [Self::Active, Self::Retiring, Self::Destroyed]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| store::Error::Content("an unknown state of a key generation".to_owned()))
    }
}

/// A generation, as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRow {
    /// 1 for the first; never given out again.
    pub number: u32,
    /// `CKA_ID` of the sealing key.
    pub sealing: hsm::KeyId,
    /// `CKA_ID` of the wrapping key; none for the key of a former version's appliance.
    pub wrapping: Option<hsm::KeyId>,
    /// How it stands.
    pub state: GenerationState,
    /// When it was made; for the key of a former version's appliance, the first day of its journal.
    pub created_at: UnixTime,
    /// When another took its place.
    pub retired_at: Option<UnixTime>,
    /// When its keys were destroyed.
    pub destroyed_at: Option<UnixTime>,
    /// How often the sealing key may have been used to seal: never less than it was.
    pub seals: u64,
}

impl GenerationRow {
    /// The keys. Where there is no wrapping key the sealing key stands in its place: the token
    /// refuses to wrap with it.
    pub fn keys(&self) -> hsm::KeyGeneration {
        hsm::KeyGeneration {
            number: self.number,
            sealing: self.sealing,
            wrapping: self.wrapping.unwrap_or(self.sealing),
        }
    }
}

pub(super) struct Generations {
    store: Store,
    token: Arc<hsm::Token>,
    workshop: Box<dyn KeyWorkshop>,
    clock: Arc<dyn Clock>,
    uses: Uses,
    /// Held by whoever makes a generation.
    making: Mutex<()>,
    /// Keys that were in use, with the handles they have found.
    at_work: Mutex<Vec<hsm::SealingKeys>>,
}

impl Generations {
    pub(super) fn new(store: Store, custody: Custody, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            token: custody.token,
            workshop: custody.workshop,
            clock,
            uses: Uses::up_to(custody.seals_per_key),
            making: Mutex::default(),
            at_work: Mutex::default(),
        }
    }

    /// The keys that new data is sealed under. Nothing may be sealed with them that was not counted:
    /// who seals takes them from [`Self::to_seal`].
    ///
    /// Where there are none yet, and nothing was ever sealed, they are made. Must not be called
    /// inside a transaction.
    #[cfg(test)]
    pub(super) fn active(&self) -> Result<hsm::SealingKeys, Error> {
        Ok(self.at_work(&self.active_row()?))
    }

    /// Sees to it that the serving sessions know the keys. Whoever made them may have found the token
    /// gone before they could learn of it.
    pub(super) fn make_visible(&self, row: &GenerationRow) -> Result<(), Error> {
        if self.at_work(row).check().is_err() {
            self.token.reload().map_err(Error::Token)?;
        }
        Ok(())
    }

    /// The keys that new data is sealed under, to seal so many times; proved to be ours, and the uses
    /// counted, durably, before they are made. The count is never given back.
    ///
    /// # Errors
    /// [`Error::Limit`] when the key has sealed as often as a key may.
    pub(super) fn to_seal(&self, times: u32) -> Result<hsm::SealingKeys, Error> {
        let row = self.active_row()?;
        self.prove(&row)?;
        self.uses.spend(&self.store, row.number, times.into())?;
        Ok(self.at_work(&row))
    }

    /// As [`Self::to_seal`], for a key that is born in the token and leaves it wrapped.
    ///
    /// # Errors
    /// [`Error::NoWrappingKey`] for the keys of a former version's appliance.
    pub(super) fn to_wrap(&self, times: u32) -> Result<hsm::SealingKeys, Error> {
        let row = self.active_row()?;
        if row.wrapping.is_none() {
            return Err(Error::NoWrappingKey);
        }
        self.to_seal(times)
    }

    /// Does what seals under the active keys: once more where it says with `None` that they were changed
    /// meanwhile, or fails and they were. Must not be called inside a transaction.
    pub(super) fn under_active<T>(
        &self,
        act: impl Fn() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let active =
            || self.store.read(records::active_generation).map(|row| row.map(|row| row.number));
        loop {
            let before = active()?;
            match act() {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(failure) if active()? == before => return Err(failure),
                Err(_) => {}
            }
        }
    }

    /// The keys that sealed data says it belongs to.
    ///
    /// # Errors
    /// [`Error::UnknownKeys`] when the registry does not know them, knows them otherwise, or knows
    /// that they were destroyed.
    pub(super) fn of(&self, header: &hsm::Header) -> Result<hsm::SealingKeys, Error> {
        let number = header.generation;
        let row = self.store.read(|tx| records::generation(tx, number))?;
        let unknown = |why: String| Err(Error::UnknownKeys(why));
        match row {
            None => unknown(format!(
                "it is sealed under generation {number} of the sealing keys, and there was never one"
            )),
            Some(row) if row.sealing != header.sealing => unknown(format!(
                "it is sealed under key {}, and the sealing key of generation {number} is {}",
                header.sealing, row.sealing
            )),
            Some(row) if row.state == GenerationState::Destroyed => unknown(format!(
                "it is sealed under generation {number} of the sealing keys, which was destroyed"
            )),
            Some(row) => Ok(self.at_work(&row)),
        }
    }

    /// Every generation that ever was, the first one first.
    pub(super) fn all(&self) -> Result<Vec<GenerationRow>, Error> {
        Ok(self.store.read(records::generations)?)
    }

    /// Makes the first generation where it is due; does nothing where there is one.
    pub(super) fn ensure(&self) -> Result<(), Error> {
        self.active_row().map(drop)
    }

    /// [`Self::take_over`] where nothing else happens at the same time.
    #[cfg(test)]
    pub(super) fn make_next(&self, actor: &Actor) -> Result<GenerationRow, Error> {
        self.take_over(actor, |_, _| Ok(()))
    }

    /// Makes a new generation and has it take the place of the active one, which retires. `took_over`
    /// runs in the transaction that does this, with the number of the new one.
    pub(super) fn take_over(
        &self,
        actor: &Actor,
        took_over: impl FnOnce(&mut Transaction<'_>, u32) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<GenerationRow, Error> {
        let _alone = self.making();
        // A token that is absent today leaves no record each time it is asked.
        self.token.check().map_err(Error::Token)?;
        let last = self.store.read(records::generations)?.last().map_or(0, |row| row.number);
        let next = last
            .checked_add(1)
            .ok_or_else(|| Error::Limit("there can be no more generations of keys".to_owned()))?;
        self.make(next, actor, took_over)
    }

    /// Where keys are made and destroyed.
    pub(super) fn workshop(&self) -> &dyn KeyWorkshop {
        &*self.workshop
    }

    /// The token in which they lie.
    pub(super) fn token(&self) -> &Arc<hsm::Token> {
        &self.token
    }

    /// The key of a former version's appliance, as its configuration names it: on record as generation
    /// 1, unless there is one already.
    pub(super) fn adopt(&self, sealing: hsm::KeyId) -> Result<(), Error> {
        let note = self.note(Actor::Job("first start"), "sealing-keys.adopt", 1);
        self.store.write(move |tx| {
            if records::generations(tx)?.is_empty() {
                records::insert_generation(tx, 1, sealing, None, note.at)?;
                note.append(tx, Outcome::Done, json!({"sealing": sealing.to_string()}))?;
            }
            Ok(())
        })
    }

    /// What an operator should know about how often the active key was used.
    pub(super) fn warning(&self) -> Option<String> {
        let row = self.store.read(records::active_generation).ok()??;
        self.uses.warning(row.number, row.seals)
    }

    /// Whether the token answers with every key that is still needed.
    pub(super) fn prove_all(&self) -> Result<(), Error> {
        let rows = self.all()?;
        if rows.is_empty() {
            self.may_begin()?;
            self.token.check().map_err(Error::Token)?;
            return Err(Error::NoKeys);
        }
        for row in &rows {
            let needed = match row.state {
                GenerationState::Active => true,
                GenerationState::Retiring => {
                    self.store.read(|tx| records::any_sealed_under(tx, row.number))?
                }
                GenerationState::Destroyed => false,
            };
            if needed {
                self.prove(row)?;
            }
        }
        Ok(())
    }

    /// Whether the token answers with this generation's key: see [`Self::prove`].
    pub(super) fn prove_number(&self, number: u32) -> Result<(), Error> {
        match self.store.read(|tx| records::generation(tx, number))? {
            Some(row) => self.prove(&row),
            None => Ok(()),
        }
    }

    /// Opens the check value of a generation; seals it first where there is none yet.
    fn prove(&self, row: &GenerationRow) -> Result<(), Error> {
        let (keys, number) = (self.at_work(row), row.number);
        let (check, any_sealed) = self.store.read(|tx| {
            let check = records::check_value(tx, number)?;
            // Looked for only where it matters: it looks at every entry.
            let any_sealed = check.is_none() && records::any_sealed_under(tx, number)?;
            Ok::<_, store::Error>((check, any_sealed))
        })?;
        match check {
            Some(sealed) => {
                let text = keys.open(CHECK_CONTEXT, &sealed).map_err(misfit)?;
                if text.as_slice() == CHECK_TEXT {
                    Ok(())
                } else {
                    Err(store::Error::Content("a wrong check value".to_owned()).into())
                }
            }
            // A new check value would vouch for a token that never sealed these keys.
            None if any_sealed => Err(store::Error::Content(
                "sealed keys, but not the check value of the wrapping key: it was taken away"
                    .to_owned(),
            )
            .into()),
            None => {
                self.uses.spend(&self.store, number, 1)?;
                let sealed = keys.seal(CHECK_CONTEXT, CHECK_TEXT).map_err(Error::Token)?;
                self.store.write(move |tx| {
                    records::insert_check_value(tx, number, &sealed)?;
                    Ok(())
                })
            }
        }
    }

    /// The generation that new data is sealed under. Where there is none yet, and nothing was ever
    /// sealed, it is made. Must not be called inside a transaction.
    pub(super) fn active_row(&self) -> Result<GenerationRow, Error> {
        if let Some(row) = self.store.read(records::active_generation)? {
            return Ok(row);
        }
        let _alone = self.making();
        if let Some(row) = self.store.read(records::active_generation)? {
            return Ok(row);
        }
        self.may_begin()?;
        // A token that is absent today leaves no record each time it is asked.
        self.token.check().map_err(Error::Token)?;
        self.make(1, &Actor::Job("first start"), |_, _| Ok(()))
    }

    /// The first generation is made in an empty registry, and for no key that is sealed already.
    fn may_begin(&self) -> Result<(), Error> {
        let (known, sealed) = self.store.read(|tx| {
            Ok::<_, store::Error>((!records::generations(tx)?.is_empty(), records::any_sealed(tx)?))
        })?;
        if known {
            return Err(
                store::Error::Content("sealing keys, none of which is active".to_owned()).into()
            );
        }
        if sealed {
            return Err(Error::UnknownKeys(
                "keys are sealed, and the registry names no key that sealed them".to_owned(),
            ));
        }
        Ok(())
    }

    /// Only under `making`.
    fn make(
        &self,
        number: u32,
        actor: &Actor,
        took_over: impl FnOnce(&mut Transaction<'_>, u32) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<GenerationRow, Error> {
        let note = || self.note(actor.clone(), GENERATE, number);
        self.record(note(), Outcome::Intended, json!({}))?;
        let made = match self.workshop.generate_generation(number) {
            Ok(made) => made,
            Err(cause) => {
                let details = json!({"failure": sentences(&cause)});
                self.record(note(), Outcome::Failed, details)?;
                return Err(Error::Token(cause));
            }
        };
        // The serving sessions see the keys only through a fresh agent. Before they are on record, so that
        // nobody is given keys that are not seen yet; if it fails, they are seen when the token is.
        let seen = self.token.reload();
        let done = note();
        let row = self.store.write::<_, Error>(move |tx| {
            if let Some(active) = records::active_generation(tx)? {
                records::retire(tx, active.number, done.at)?;
            }
            let (sealing, wrapping) = (made.sealing, made.wrapping);
            records::insert_generation(tx, number, sealing, Some(wrapping), done.at)?;
            let details = json!({"sealing": sealing.to_string(), "wrapping": wrapping.to_string()});
            done.append(tx, Outcome::Done, details)?;
            took_over(tx, number)?;
            records::generation(tx, number)?
                .ok_or_else(|| store::Error::Content("no new generation".to_owned()).into())
        })?;
        seen.map_err(Error::Token)?;
        Ok(row)
    }

    fn at_work(&self, row: &GenerationRow) -> hsm::SealingKeys {
        let keys = row.keys();
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = at_work.iter().find(|known| known.generation() == keys) {
            return known.clone();
        }
        let new = self.token.sealing_keys(keys);
        at_work.push(new.clone());
        new
    }

    fn making(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data: whoever panicked left the records as its last commit did.
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, actor: Actor, act: &'static str, number: u32) -> Note {
        Note::new(self.clock.now(), actor, act, format!("generation:{number}"))
    }

    fn record(
        &self,
        note: Note,
        outcome: Outcome,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        self.store.write(move |tx| Ok(note.append(tx, outcome, details)?))
    }
}

/// What a failure to open under our key says about the token.
pub(super) fn misfit(cause: hsm::Error) -> Error {
    match cause {
        hsm::Error::NoSuchKey(_) | hsm::Error::Unreadable(_) => Error::TokenReplaced(cause),
        other => Error::Token(other),
    }
}
