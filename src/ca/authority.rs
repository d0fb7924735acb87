//! The door of the room: one CA, its records, its token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::authority_state::AuthorityState;
use super::chain::Above;
use super::error::Error;
use super::issuers::RecordedIssuers;
use super::keys::Workshop;
use super::records::{self, AuthorityRow};
use super::root_cer;
use super::settings::Settings;
use crate::base::{Clock, UnixTime};
use crate::journal;
use crate::store::Store;
use crate::x509::{Certificate, Chain, Crl, LeafIssuer, PublicKey};

/// The certificate authority of this appliance.
pub struct Authority {
    pub(super) store: Store,
    pub(super) token: Arc<hsm::Token>,
    pub(super) workshop: Box<dyn Workshop>,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    changed: Sender<()>,
    /// Replaced as a whole: whoever issues works on the one it took, chain and key together.
    active: RwLock<Option<Arc<Ca>>>,
    /// Held by whoever changes the CA or signs revocation lists; issuing goes on meanwhile.
    changing: Mutex<()>,
    /// When token and key last proved to work, and for which CA; see [`Self::standing`].
    pub(super) proven: Mutex<Option<(UnixTime, Option<i64>)>>,
    /// Which CAs the policy of the token knows; see [`Self::known_to_policy`].
    pub(super) issuers: RecordedIssuers,
    /// Serial numbers drawn from the token and not used yet.
    pub(super) serials: Mutex<Vec<[u8; 16]>>,
    /// What was told of the token.
    pub(super) alarm: journal::TokenAlarm,
    /// Intents without an outcome: found at start, and those whose outcome could not be written.
    pub(super) unfinished: AtomicUsize,
}

/// A CA of ours that can sign.
#[derive(Clone)]
pub(super) struct Ca {
    pub(super) id: i64,
    pub(super) chain: Chain,
    pub(super) public_key: PublicKey,
    pub(super) key: hsm::SigningKey,
    /// What every leaf takes over from this CA.
    pub(super) leaves: Arc<LeafIssuer>,
    /// What goes out with every leaf.
    pub(super) above: Arc<Above>,
}

/// A CA certificate and its latest revocation list, for the directory.
#[derive(Clone, Debug)]
pub struct Publication {
    /// A certificate of a chain.
    pub certificate: Certificate,
    /// Its revocation list, where its key is ours.
    pub crl: Option<Crl>,
}

impl Authority {
    /// Opens the CA on its records. The token is not needed: it may be absent today and there
    /// tomorrow, and the service stays up meanwhile. It is asked only by the workshop, for a CA whose
    /// certificate the token's policy does not know yet.
    ///
    /// `changed` is told whenever there is something new to publish.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be used, [`Error::Fault`] when they contradict
    /// themselves.
    pub fn open(
        store: Store,
        token: Arc<hsm::Token>,
        workshop: Box<dyn Workshop>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        changed: Sender<()>,
    ) -> Result<Arc<Self>, Error> {
        // A CA that was being set up when the process died was never answered for.
        store.write::<_, Error>(|tx| Ok(records::abandon_pending(tx)?))?;
        let unfinished = store.read(journal::unfinished)?;
        for reference in &unfinished {
            tracing::warn!(
                reference,
                "the journal has an intent without an outcome: the process died, or the disk was \
                 full, while the token worked; nothing was answered"
            );
        }
        let authority = Self {
            store,
            token,
            workshop,
            settings,
            clock,
            changed,
            active: RwLock::new(None),
            changing: Mutex::new(()),
            proven: Mutex::new(None),
            issuers: RecordedIssuers::default(),
            serials: Mutex::default(),
            alarm: journal::TokenAlarm::default(),
            unfinished: AtomicUsize::new(unfinished.len()),
        };
        let active = authority.rows()?.into_iter().find(|row| row.state == AuthorityState::Active);
        if let Some(row) = active {
            let ca = Arc::new(authority.ca(row)?);
            authority.replace_active(ca);
            authority.keep_root_cer();
        }
        authority.record_issuers_in_service();
        Ok(Arc::new(authority))
    }

    /// Every certificate of every chain not retired, once each, with the newest revocation list of
    /// those whose key is ours.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn publications(&self) -> Result<Vec<Publication>, Error> {
        self.store.read(|tx| {
            let mut found: Vec<(Publication, i64)> = Vec::new();
            for row in records::authorities(tx)? {
                if !row.state.is_in_service() {
                    continue;
                }
                let mut crl = records::latest_crl(tx, row.id)?;
                for certificate in row.chain {
                    // Only the first certificate of a chain is ours.
                    let (crl, number) =
                        crl.take().map_or((None, 0), |row| (Some(row.crl), row.number));
                    match found.iter_mut().find(|(known, _)| known.certificate == certificate) {
                        Some(known) if known.1 < number => {
                            *known = (Publication { certificate, crl }, number)
                        }
                        Some(_) => {}
                        None => found.push((Publication { certificate, crl }, number)),
                    }
                }
            }
            Ok(found.into_iter().map(|(publication, _)| publication).collect())
        })
    }

    /// The CA that issues now.
    pub(super) fn active(&self) -> Result<Arc<Ca>, Error> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::NoAuthority)
    }

    /// Turns the CA that issues over to another. Only under [`Self::changing`], and at start.
    pub(super) fn replace_active(&self, ca: Arc<Ca>) {
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(ca);
    }

    /// Waits for its turn to change the CA.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data: whoever panicked left the records as its last commit did.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rows(&self) -> Result<Vec<AuthorityRow>, Error> {
        Ok(self.store.read(records::authorities)?)
    }

    /// Makes a CA of its records. The chain is verified again, as of the day when it was installed,
    /// and its first certificate must belong to the key: records that were tampered with sign
    /// nothing.
    pub(super) fn ca(&self, row: AuthorityRow) -> Result<Ca, Error> {
        let chain = Chain::verify(row.chain, row.installed_at).map_err(Error::Records)?;
        if chain.ca().public_key().map_err(Error::Building)? != row.key.public_key {
            return Err(Error::Fault("a CA certificate in the records does not belong to its key"));
        }
        Ok(Ca {
            id: row.id,
            leaves: Arc::new(LeafIssuer::of(chain.ca()).map_err(Error::Building)?),
            above: Arc::new(Above::of(chain.certificates(), self.settings.chain_includes_root)),
            chain,
            key: self.token.signing_key(row.key.reference),
            public_key: row.key.public_key,
        })
    }

    /// Tells the publisher that there is something new.
    pub(super) fn tell_changed(&self) {
        // Where nobody publishes (a test, a stopping service) there is nobody to tell.
        let _ = self.changed.send(());
    }

    /// Brings the file for scripts in line with the active CA. A file that cannot be written is no
    /// reason to refuse a CA that is active already; it is tried again with every refresh.
    pub(super) fn keep_root_cer(&self) {
        let Ok(ca) = self.active() else { return };
        let path = &self.settings.root_cer;
        if let Err(cause) = root_cer::keep(path, ca.chain.certificates()) {
            tracing::error!(
                path = %path.display(),
                %cause,
                "the CA chain cannot be written for scripts; make its folder writable"
            );
        }
    }

    /// Intents without an outcome.
    pub(super) fn unfinished_intents(&self) -> usize {
        self.unfinished.load(Ordering::Relaxed)
    }
}
