//! Sessions of one logged-in token: checked out, put back, dropped when dead.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki::context::Pkcs11;
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use zeroize::Zeroizing;

use crate::TokenIdentity;
use crate::module::lock;
use crate::recovery::Failure;

static EPOCH: AtomicU64 = AtomicU64::new(1);

/// What the sessions of a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// In service: nothing in the token is created or changed.
    ReadOnly,
    /// Administrative mode.
    ReadWrite,
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
    idle: Mutex<Vec<Session>>,
    /// Never used for an operation: when the last session of a process closes, the token logs the process out.
    _anchor: Mutex<Session>,
}

impl Connection {
    /// `anchor` is the session that logged in.
    pub(crate) fn new(
        context: Pkcs11,
        slot: Slot,
        access: Access,
        identity: TokenIdentity,
        anchor: Session,
    ) -> Self {
        Self {
            context,
            slot,
            access,
            identity,
            epoch: EPOCH.fetch_add(1, Ordering::Relaxed),
            idle: Mutex::default(),
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

    pub(crate) fn check_out(&self) -> Result<Session, Failure> {
        // The lock is free again before a session is opened: opening calls into the module.
        let idle = lock(&self.idle).pop();
        match idle {
            Some(session) => Ok(session),
            None => open(&self.context, self.slot, self.access),
        }
    }

    /// Takes back a session whose operation went well. After an error the session is dropped instead: SoftHSM and
    /// NSS cannot cancel an operation that began, and the session would stay busy.
    pub(crate) fn put_back(&self, session: Session) {
        lock(&self.idle).push(session);
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
