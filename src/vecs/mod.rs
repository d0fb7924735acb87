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
mod grants;
mod limits;
mod names;
mod records;
mod refresh;
mod stores;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::Clock;
use crate::store::Store;

pub use entries::{Entry, EntryKind, NewEntry, ReadableKey, ReadableStore, WritableStore};
pub use error::Error;
pub use grants::{OwnedStore, Permissions, Principal, Right};
pub use names::{Alias, StoreName};
pub use refresh::PublishedRoot;

use envelope::Envelope;

/// The room's schema.
pub const MIGRATIONS: &[&str] = &[crate::journal::MIGRATION, records::SCHEMA];

/// The certificate stores of this machine.
pub struct Vecs {
    store: Store,
    envelope: Envelope,
    clock: Arc<dyn Clock>,
}

/// How the room and its token stand.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The token, as last seen.
    pub token: Option<hsm::TokenIdentity>,
    /// Why no key can be sealed or opened, and what to do; `None` where everything works.
    pub token_fault: Option<String>,
}

impl Vecs {
    /// Opens the room; on first start it makes the default stores, owned by the service's user.
    ///
    /// `service_uid` is the user id the service runs as. A token that does not answer, or not with
    /// the right wrapping key, keeps nobody from opening the room: only sealing and opening keys
    /// are refused, for as long as it lasts.
    ///
    /// # Errors
    /// [`Error::Store`] when the database cannot be used.
    pub fn open(
        store: Store,
        token: Arc<hsm::Token>,
        wrapping_key: hsm::KeyId,
        service_uid: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let vecs = Self { envelope: Envelope::new(token, wrapping_key), store, clock };
        vecs.make_default_stores(service_uid)?;
        match vecs.envelope.prove(&vecs.store) {
            Err(failure @ Error::Store(_)) => return Err(failure),
            Err(fault) => tracing::warn!("{}", fault.sentence()),
            Ok(()) => {}
        }
        Ok(Arc::new(vecs))
    }

    /// Asks the token, now, whether it answers with the right wrapping key.
    pub fn standing(&self) -> Standing {
        let fault = self.envelope.prove(&self.store).err();
        Standing {
            token: self.envelope.identity(),
            token_fault: fault.map(|fault| fault.sentence()),
        }
    }
}
