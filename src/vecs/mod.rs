//! Floor 3: the room of `vmafdd`, the VMware endpoint certificate store.
//!
//! Stores hold entries: certificates, revocation lists, and private keys with their certificates.
//! Private keys and secrets are sealed in the token (`envelope.rs`); everything else works without
//! a token as well. What a caller may do is decided where a store is opened: [`Vecs::readable`],
//! [`Vecs::writable`], [`Vecs::readable_key`] and [`Vecs::owned`] are the only ways to one, and
//! each gives a value that can do that one thing.

mod entries;
mod envelope;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod generations;
mod grants;
mod handshakes;
mod key_workshop;
mod keys;
mod limits;
mod names;
mod pending;
mod records;
mod refresh;
mod rewrap;
mod stores;
mod uses;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use crate::base::Clock;
use crate::journal::TokenAlarm;
use crate::store::Store;

pub use entries::{Entry, EntryKind, NewEntry, ReadableStore, WritableStore};
pub use error::Error;
pub use generations::{GenerationRow, GenerationState};
pub use grants::{OwnedStore, Permissions, Principal, Right};
pub use key_workshop::{DestroyedKey, Destruction, KeyWorkshop};
pub use keys::{KeyAtWork, ReadableKey, SignaturePurpose, SignatureRequest};
pub use names::{Alias, StoreName};
pub use pending::{NewKey, PENDING_SECONDS, Ticket};
pub use refresh::PublishedRoot;
pub use rewrap::{Damaged, Entries, Evidence, Inventory, KeyEvidence, Phase, Rewrap};

use envelope::Envelope;
use generations::Generations;
use handshakes::Handshakes;

/// The room's schema.
pub const MIGRATIONS: &[&str] = &[
    crate::journal::MIGRATION,
    records::SCHEMA,
    records::GENERATIONS,
    records::PENDING,
    records::REWRAP,
    records::PENDING_VERSION,
    crate::journal::OPEN_INTENTS,
];

/// The certificate stores of this machine.
pub struct Vecs {
    store: Store,
    envelope: Envelope,
    handshakes: Handshakes,
    clock: Arc<dyn Clock>,
    alarm: TokenAlarm,
    /// What was in the way of the re-wrap job when it tried last.
    rewrap_fault: Mutex<Option<String>>,
}

/// What keeps the room's secrets.
pub struct Custody {
    /// The sealing token, in service.
    pub token: Arc<hsm::Token>,
    /// Where its keys are made.
    pub workshop: Box<dyn KeyWorkshop>,
    /// The one sealing key of a former version's appliance, as its configuration names it.
    pub former_key: Option<hsm::KeyId>,
    /// How often a key may seal, where that is less often than the standard allows.
    pub seals_per_key: Option<u64>,
}

/// How the room and its token stand.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The token, as last seen.
    pub token: Option<hsm::TokenIdentity>,
    /// Why no key can be sealed or opened, and what to do; `None` where everything works.
    pub token_fault: Option<String>,
    /// Whether that needs a person, and of what kind it is.
    pub alarm: Option<hsm::Alarm>,
    /// Why the change of keys does not come to its end, and what to do.
    pub rewrap_fault: Option<String>,
    /// What an operator should see to in time, though everything works.
    pub note: Option<String>,
}

impl Vecs {
    /// Opens the room; on first start it makes the default stores, owned by the service's user.
    ///
    /// `service_uid` is the user id the service runs as. A token that does not answer, or not with
    /// the right keys, keeps nobody from opening the room: only sealing and opening keys are refused,
    /// for as long as it lasts. No keys are made here: see [`Self::ensure_keys`].
    ///
    /// # Errors
    /// [`Error::Store`] when the database cannot be used.
    pub fn open(
        store: Store,
        custody: Custody,
        service_uid: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let (token, former_key) = (Arc::clone(&custody.token), custody.former_key);
        let generations = Generations::new(store.clone(), custody, Arc::clone(&clock));
        let vecs = Self {
            envelope: Envelope::new(token, generations),
            handshakes: Handshakes::default(),
            store,
            clock,
            alarm: TokenAlarm::default(),
            rewrap_fault: Mutex::default(),
        };
        vecs.make_default_stores(service_uid)?;
        if let Some(key) = former_key {
            vecs.envelope.generations.adopt(key)?;
        }
        match vecs.prove() {
            Err(failure @ Error::Store(_)) => return Err(failure),
            // They are about to be made.
            Err(Error::NoKeys) | Ok(()) => {}
            Err(fault) => tracing::warn!("{}", fault.sentence()),
        }
        Ok(Arc::new(vecs))
    }

    /// Makes the first generation of sealing keys where it is due; otherwise does nothing.
    ///
    /// # Errors
    /// [`Error::Token`] while the token cannot do it: to be tried again. Others need an operator.
    pub fn ensure_keys(&self) -> Result<(), Error> {
        self.envelope.generations.ensure()
    }

    /// Every generation of sealing keys that ever was, the first one first.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn generations(&self) -> Result<Vec<GenerationRow>, Error> {
        self.envelope.generations.all()
    }

    /// Asks the token, now, whether it answers with the right keys.
    pub fn standing(&self) -> Standing {
        let fault = self.prove().err();
        Standing {
            token: self.envelope.identity(),
            alarm: self.alarm.lasting(),
            token_fault: fault.map(|fault| fault.sentence()),
            rewrap_fault: self.rewrap_complaint(),
            note: self.envelope.generations.warning(),
        }
    }

    /// Asks the token, and tells an alarm once.
    fn prove(&self) -> Result<(), Error> {
        let prove = || self.envelope.generations.prove_all();
        let proven = match prove() {
            Err(replaced @ Error::TokenReplaced(_))
                if !self.alarm.is_told(hsm::AlarmKind::Replaced) =>
            {
                if !self.alarm.second_look_is_due() {
                    return Err(replaced);
                }
                // Where that fails, the proof says why.
                let _asked_of_a_fresh_agent = self.envelope.reload();
                prove()
            }
            other => other,
        };
        let (at, token) = (self.clock.now(), self.envelope.identity());
        let serial = token.as_ref().map(|token| token.serial.as_str());
        match &proven {
            // A token without keys yet answers as ours.
            Ok(()) | Err(Error::NoKeys) => self.alarm.over(&self.store, at, serial),
            // A token that is away says nothing about why: what was told before lasts.
            Err(fault) => {
                if let Some(alarm) = self.envelope.alarm(fault) {
                    self.alarm.raise(&self.store, at, serial, &alarm);
                }
            }
        }
        proven
    }

    /// Whether a failure of the token is more than an outage, told at once and not when somebody asks.
    fn look_into(&self, failure: &Error) {
        if let Some(alarm) = self.envelope.alarm(failure)
            && !self.alarm.is_told(alarm.kind)
        {
            let _told = self.prove();
        }
    }
}
