//! Sessions of one logged-in token: checked out, put back, dropped when dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use cryptoki::context::Pkcs11;
use cryptoki::session::Session;
use cryptoki::slot::{Limit, Slot};
use zeroize::Zeroizing;

use crate::TokenIdentity;
use crate::module::lock;
use crate::recovery::Failure;
use crate::sealing::stored_key::StoredKeys;

static EPOCH: AtomicU64 = AtomicU64::new(1);

/// What the sessions of a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// In service: nothing in the token is created or changed.
    ReadOnly,
    /// Administrative mode.
    ReadWrite,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    out: usize,
}

/// A token that is logged in.
///
/// Ownership does the locking: a session is `Send` and not `Sync`, so whoever checked it out has it alone.
pub(crate) struct Connection {
    context: Pkcs11,
    slot: Slot,
    access: Access,
    identity: TokenIdentity,
    epoch: u64,
    pool: Mutex<Pool>,
    /// Told when a session is there again, or room for one.
    returned: Condvar,
    /// Sessions that may be checked out at once, where the token has a limit.
    most: Option<usize>,
    stored_keys: StoredKeys,
    /// Never used for an operation: when the last session of a process closes, the token logs the process out.
    _anchor: Mutex<Session>,
}

impl Connection {
    /// `anchor` is the session that logged in. `limit`: sessions that the token gives to a process, that one included.
    pub(crate) fn new(
        context: Pkcs11,
        slot: Slot,
        access: Access,
        identity: TokenIdentity,
        anchor: Session,
        limit: Limit,
    ) -> Self {
        let most = match limit {
            Limit::Max(sessions) => {
                Some(usize::try_from(sessions).unwrap_or(usize::MAX).saturating_sub(1).max(1))
            }
            Limit::Unavailable | Limit::Infinite => None,
        };
        Self {
            context,
            slot,
            access,
            identity,
            epoch: EPOCH.fetch_add(1, Ordering::Relaxed),
            pool: Mutex::default(),
            returned: Condvar::new(),
            most,
            stored_keys: StoredKeys::default(),
            _anchor: Mutex::new(anchor),
        }
    }

    pub(crate) fn identity(&self) -> &TokenIdentity {
        &self.identity
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// Unique in this process. A handle that was found in one epoch means nothing in another.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A session that nobody else has. Where the token gives no more of them, this waits for one that comes back.
    pub(crate) fn check_out(&self) -> Result<CheckedOut<'_>, Failure> {
        let is_full = |pool: &mut Pool| {
            pool.idle.is_empty() && self.most.is_some_and(|most| pool.out >= most)
        };
        let mut pool = self
            .returned
            .wait_while(lock(&self.pool), is_full)
            .unwrap_or_else(PoisonError::into_inner);
        let idle = pool.idle.pop();
        pool.out += 1;
        // The lock is free again before a session is opened: opening calls into the module.
        drop(pool);
        let place = Place(self);
        let session = match idle {
            Some(session) => session,
            None => self.open()?,
        };
        Ok(CheckedOut { session, place })
    }

    /// A session besides those that are checked out.
    pub(crate) fn open(&self) -> Result<Session, Failure> {
        open(&self.context, self.slot, self.access)
    }

    /// Sealed keys that are in the token for a while. They go with the connection.
    pub(crate) fn stored_keys(&self) -> &StoredKeys {
        &self.stored_keys
    }
}

/// A session out of the pool. Dropped, it is closed: after an error SoftHSM and NSS cannot cancel an operation that
/// began, and the session would stay busy.
pub(crate) struct CheckedOut<'a> {
    // Closed before there is room for another one: fields are dropped in this order.
    session: Session,
    place: Place<'a>,
}

/// Room for a session.
struct Place<'a>(&'a Connection);

impl CheckedOut<'_> {
    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    /// Gives back a session whose operation went well.
    pub(crate) fn put_back(self) {
        let Self { session, place } = self;
        lock(&place.0.pool).idle.push(session);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.0.pool).out -= 1;
        self.0.returned.notify_one();
    }
}

pub(crate) fn open(context: &Pkcs11, slot: Slot, access: Access) -> Result<Session, Failure> {
    Ok(match access {
        Access::ReadOnly => context.open_ro_session(slot)?,
        Access::ReadWrite => context.open_rw_session(slot)?,
    })
}

/// Random octets of the token (`C_GenerateRandom`).
///
/// Not by `generate_random_slice`, which writes through a pointer taken from a shared borrow.
pub(crate) fn random<const N: usize>(session: &Session) -> Result<[u8; N], Failure> {
    let mut octets = [0; N];
    random_into(session, &mut octets)?;
    Ok(octets)
}

/// Fills `octets` like [`random`].
pub(crate) fn random_into(session: &Session, octets: &mut [u8]) -> Result<(), Failure> {
    // A chunk at a time, because some tokens bound what one call gives.
    for chunk in octets.chunks_mut(256) {
        let drawn = Zeroizing::new(session.generate_random_vec(chunk.len() as u32)?);
        chunk.copy_from_slice(&drawn);
    }
    Ok(())
}
