//! How the CA stands, and which CAs this appliance is or was.

use std::sync::PoisonError;

use super::authority::{Authority, Ca};
use super::authority_state::AuthorityState;
use super::error::Error;
use super::hex::hex;
use super::records;
use crate::base::{KeyAlgorithm, UnixTime, sentences};
use crate::journal::TokenAlarm;
use crate::x509::{Certificate, Chain};

/// How the CA and its token stand; a live check.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The token as it was last seen.
    pub token: Option<hsm::TokenIdentity>,
    /// What is wrong with the token or the CA key in it; `None` when both answer.
    pub token_fault: Option<String>,
    /// Whether that fault needs a person, and of what kind it is.
    pub alarm: Option<hsm::Alarm>,
    /// Whether there is a CA that issues.
    pub active_ca: bool,
    /// What keeps that CA from serving as it should, though its key works: its chain or its
    /// revocation list expired.
    pub ca_fault: Option<String>,
    /// Signatures that were intended and of which nothing more is known.
    pub unfinished_intents: usize,
}

/// One CA that this appliance is or was.
#[derive(Clone, Debug)]
pub struct AuthoritySummary {
    /// Number in the order of installation.
    pub id: i64,
    /// How it stands.
    pub state: AuthorityState,
    /// Its own certificate.
    pub certificate: Certificate,
    /// `CKA_ID` of its key.
    pub key_id: hsm::KeyId,
    /// Kind of its key.
    pub algorithm: KeyAlgorithm,
    /// Whether its key once lay in a file.
    pub imported: bool,
    /// The last second at which it is valid.
    pub not_after: UnixTime,
    /// SHA-256 of its certificate, lower-case hex.
    pub sha256: String,
}

/// A key in the CA token.
#[derive(Clone, Debug)]
pub struct KeySummary {
    /// `CKA_ID`.
    pub id: hsm::KeyId,
    /// SHA-256 of its SubjectPublicKeyInfo, lower-case hex.
    pub public_key_sha256: String,
    /// Kind of key.
    pub algorithm: KeyAlgorithm,
    /// Whether it once lay in a file.
    pub imported: bool,
}

/// A fault of the token.
struct Seen {
    fault: hsm::Error,
    /// Whether it is an alarm where it looks like one.
    alarming: bool,
}

impl Authority {
    /// Asks the token, and has the CA key sign and verify a challenge.
    ///
    /// Anybody may ask how the CA stands, and a token is slow. So those who ask while the token is
    /// being asked wait for that answer, and one that is good is good for the rest of its second.
    pub fn standing(&self) -> Standing {
        let active = self.active().ok();
        let now = self.clock.now();
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = Some((now, active.as_ref().map(|ca| ca.id)));
        let fault = if *proven == wanted { None } else { self.token_fault(active.as_deref()) };
        *proven = wanted.filter(|_| fault.is_none());
        let token = self.token.identity();
        let serial = token.as_ref().map(|token| token.serial.as_str());
        match &fault {
            None => self.alarm.over(&self.store, now, serial),
            // A token that is away says nothing about why: what was told before lasts.
            Some(Seen { fault, alarming }) => {
                if *alarming && let Some(alarm) = TokenAlarm::of(&self.token, fault) {
                    self.alarm.raise(&self.store, now, serial, &alarm);
                }
            }
        }
        // Until here, so that what one finds good is not told after what another one has found since.
        drop(proven);
        Standing {
            token,
            token_fault: fault.as_ref().map(|seen| sentences(&seen.fault)),
            alarm: self.alarm.lasting(),
            active_ca: active.is_some(),
            ca_fault: active.and_then(|ca| self.ca_fault(&ca, now)),
            unfinished_intents: self.unfinished_intents(),
        }
    }

    fn token_fault(&self, active: Option<&Ca>) -> Option<Seen> {
        let check = || {
            let checked = self.token.check().map(drop);
            checked.and_then(|()| active.map_or(Ok(()), |ca| ca.key.check())).err()
        };
        let fault = check()?;
        let replaced = hsm::AlarmKind::Replaced;
        if fault.alarm() != Some(replaced) || self.alarm.is_told(replaced) {
            return Some(Seen { fault, alarming: true });
        }
        if !self.alarm.second_look_is_due() {
            return Some(Seen { fault, alarming: false });
        }
        // Where that fails, the check says why.
        let _asked_of_a_fresh_agent = self.token.reload();
        check().map(|fault| Seen { fault, alarming: true })
    }

    /// Whether a failure of the token is more than an outage, told at once and not when somebody asks.
    pub(super) fn look_into(&self, failure: &Error) {
        if let Error::Token(failure) = failure
            && let Some(alarm) = TokenAlarm::of(&self.token, failure)
            && !self.alarm.is_told(alarm.kind)
        {
            let _told = self.standing();
        }
    }

    fn ca_fault(&self, ca: &Ca, now: UnixTime) -> Option<String> {
        if now > ca.chain.not_after() {
            return Some(
                "the CA certificate, or one above it, has expired, and nothing is issued: install \
                 a new chain with `certool --selfca` or `certool --rootca`"
                    .to_owned(),
            );
        }
        match self.store.read(|tx| records::latest_crl(tx, ca.id)) {
            Ok(Some(list)) if now <= list.next_update => None,
            Ok(_) => Some(
                "the revocation list has expired: vmcad goes on trying to sign one, and its log \
                 says why it cannot"
                    .to_owned(),
            ),
            Err(cause) => Some(sentences(&cause)),
        }
    }

    /// The chain of the active CA: VMCA first, root last.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without a CA.
    pub fn chain(&self) -> Result<Chain, Error> {
        Ok(self.active()?.chain.clone())
    }

    /// Every CA that is or was active, in the order of installation.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn authorities(&self) -> Result<Vec<AuthoritySummary>, Error> {
        self.rows()?
            .into_iter()
            .map(|row| {
                let certificate = row
                    .chain
                    .first()
                    .cloned()
                    .ok_or(Error::Fault("a CA in the records has no certificate"))?;
                Ok(AuthoritySummary {
                    id: row.id,
                    state: row.state,
                    key_id: row.key.reference.id,
                    algorithm: row.key.algorithm(),
                    imported: row.key.imported,
                    not_after: certificate.not_after(),
                    sha256: hex(&certificate.sha256()),
                    certificate,
                })
            })
            .collect()
    }

    /// Every key of ours that is on record, whether or not a CA uses it.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn keys(&self) -> Result<Vec<KeySummary>, Error> {
        Ok(self
            .store
            .read(records::keys)?
            .into_iter()
            .map(|key| KeySummary {
                id: key.reference.id,
                public_key_sha256: hex(&key.public_key.sha256()),
                algorithm: key.algorithm(),
                imported: key.imported,
            })
            .collect())
    }
}
