//! How the CA stands, and which CAs this appliance is or was.

use super::authority::Authority;
use super::authority_state::AuthorityState;
use super::error::Error;
use super::hex::hex;
use crate::base::{KeyAlgorithm, UnixTime, sentences};
use crate::x509::{Certificate, Chain};

/// How the CA and its token stand; a live check.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The token as it was last seen.
    pub token: Option<hsm::TokenIdentity>,
    /// What is wrong with the token or the CA key in it; `None` when both answer.
    pub token_fault: Option<String>,
    /// Whether there is a CA that issues.
    pub active_ca: bool,
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

impl Authority {
    /// Asks the token, and has the CA key sign and verify a challenge.
    pub fn standing(&self) -> Standing {
        let active = self.active().ok();
        let checked = self.token.check();
        let fault = match (&checked, &active) {
            (Err(fault), _) => Some(sentences(fault)),
            (Ok(_), Some(ca)) => ca.key.check().err().map(|fault| sentences(&fault)),
            (Ok(_), None) => None,
        };
        Standing {
            token: checked.ok().or_else(|| self.token.identity()),
            token_fault: fault,
            active_ca: active.is_some(),
            unfinished_intents: self.unfinished_intents(),
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
}
