//! A key that signs nothing: it remembers what it is asked to sign.

use std::cell::RefCell;

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use super::super::error::{Error, Refusal};
use crate::base::KeyAlgorithm;

/// Stands in for the issuer's key while rcgen builds.
///
/// rcgen can only pass on "remote key error", so the real cause is kept here beside it.
pub(super) struct Recorder {
    algorithm: &'static SignatureAlgorithm,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    recorded: Option<Vec<u8>>,
    failure: Option<AskedTwice>,
}

/// More than one thing to sign would make it unclear which of them the draft is.
#[derive(Debug, thiserror::Error)]
#[error("rcgen asked for a second signature")]
struct AskedTwice;

impl Recorder {
    /// A recorder that names the signature algorithm of a key of this kind.
    pub(super) fn new(key: KeyAlgorithm) -> Self {
        Self {
            algorithm: match key {
                KeyAlgorithm::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
                KeyAlgorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
                KeyAlgorithm::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            },
            state: RefCell::default(),
        }
    }

    /// What was recorded, given how rcgen's run ended. What rcgen assembled itself carries an
    /// empty signature and is thrown away.
    pub(super) fn finish<T>(self, outcome: Result<T, rcgen::Error>) -> Result<Vec<u8>, Error> {
        let state = self.state.into_inner();
        match (outcome, state.failure, state.recorded) {
            (_, Some(failure), _) => {
                Err(Error::Building(Refusal::because("rcgen did not build one thing", failure)))
            }
            (Err(cause), None, _) => Err(super::refused_by_rcgen(cause)),
            (Ok(_), None, Some(recorded)) => Ok(recorded),
            (Ok(_), None, None) => Err(super::building("rcgen built nothing to sign")),
        }
    }
}

impl PublicKeyData for Recorder {
    /// No octets: rcgen would wrap them into an algorithm of its own choice, which is wrong for a
    /// P-384 key that signs with SHA-256, so the real key is put in afterwards.
    fn der_bytes(&self) -> &[u8] {
        &[]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for Recorder {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut state = self.state.borrow_mut();
        if state.recorded.is_some() {
            state.failure = Some(AskedTwice);
            return Err(rcgen::Error::RemoteKeyError);
        }
        state.recorded = Some(message.to_vec());
        Ok(Vec::new())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::Recorder;
    use crate::base::KeyAlgorithm;
    use rcgen::SigningKey;
    use std::error::Error;

    #[test]
    fn row_8_the_real_cause_is_kept_beside_the_error_of_rcgen() {
        let recorder = Recorder::new(KeyAlgorithm::P256);
        recorder.sign(b"one").unwrap();
        let outcome = recorder.sign(b"two");
        assert_eq!(outcome, Err(rcgen::Error::RemoteKeyError));
        let error = recorder.finish(outcome).unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "rcgen asked for a second signature");
    }
}
