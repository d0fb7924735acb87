//! The machine's key as TLS sees it while it stays in the sealing token: each signature is asked for.
//!
//! `vmafdd` signs with the key of the entry, inside the token, if it is still the key of the certificate
//! that is presented. What the gateway has is a public key and a way to ask.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{OtherError, SignatureAlgorithm, SignatureScheme as TlsScheme};

use super::certificate::{ALIAS, STORE};
use super::handshake;
use super::health::Standing;
use crate::api::Octets;
use crate::api::vecs::{Sign, Signature, SignaturePurpose, signature};
use crate::base::{KeyAlgorithm, SignatureScheme, sentences};
use crate::client::{self, Client};
use crate::x509::PublicKey;

/// `ERROR_NOT_SUPPORTED`: the token does not sign in this way.
const NOT_SUPPORTED: u32 = 50;

/// The way to the key, and what became of it last.
pub(super) struct Signatures {
    /// With connections that are kept.
    pub(super) vecs: Client,
    pub(super) standing: Arc<Standing>,
}

impl Signatures {
    fn ask(
        &self,
        public_key_sha256: &[u8],
        scheme: SignatureScheme,
        message: &[u8],
    ) -> Result<Vec<u8>, client::Error> {
        let wanted = Sign {
            purpose: SignaturePurpose::Tls,
            scheme: Some(scheme),
            message: Octets(message.to_vec()),
            public_key_sha256: Some(Octets(public_key_sha256.to_vec())),
        };
        // A second signature of the same octets tells nobody anything.
        let made: Signature = self.vecs.post_again(&signature(STORE, ALIAS), &wanted)?;
        Ok(made.signature.0)
    }
}

/// A private key in the token, with the schemes in which it was seen to sign.
pub(super) struct TokenKey {
    signatures: Arc<Signatures>,
    public_key: PublicKey,
    schemes: Vec<SignatureScheme>,
}

impl TokenKey {
    /// The key of the entry, proved in every scheme that suits it. A scheme that the token does not know
    /// is not offered to clients.
    ///
    /// # Errors
    /// `vmafdd` or its token does not sign now, or the entry has another key than this.
    pub(super) fn prove(
        signatures: &Arc<Signatures>,
        public_key: PublicKey,
    ) -> Result<Self, client::Error> {
        let mut schemes = Vec::new();
        let mut refusal = None;
        for scheme in SignatureScheme::ALL {
            if !scheme.suits(public_key.algorithm()) {
                continue;
            }
            match signatures.ask(&public_key.sha256(), scheme, &trial()) {
                Ok(_) => schemes.push(scheme),
                Err(client::Error::Refused(problem)) if problem.code == NOT_SUPPORTED => {
                    refusal = Some(problem);
                }
                Err(cause) => return Err(cause),
            }
        }
        match refusal {
            Some(problem) if schemes.is_empty() => Err(client::Error::Refused(problem)),
            _ => Ok(Self { signatures: Arc::clone(signatures), public_key, schemes }),
        }
    }
}

/// What the server of a TLS 1.3 handshake signs (RFC 8446, 4.4.3), for a handshake that nobody can have:
/// the digest of everything before it would be zero.
fn trial() -> Vec<u8> {
    [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &[0; 32]].concat()
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({:?}, {:?})", self.public_key, self.schemes)
    }
}

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[TlsScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(&in_tls(**scheme)))?;
        Some(Box::new(OneSignature {
            signatures: Arc::clone(&self.signatures),
            public_key_sha256: self.public_key.sha256(),
            scheme,
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.public_key.as_der()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.public_key.algorithm() {
            KeyAlgorithm::Rsa(_) => SignatureAlgorithm::RSA,
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => SignatureAlgorithm::ECDSA,
        }
    }
}

const fn in_tls(scheme: SignatureScheme) -> TlsScheme {
    match scheme {
        SignatureScheme::RsaPkcs1Sha256 => TlsScheme::RSA_PKCS1_SHA256,
        SignatureScheme::RsaPkcs1Sha384 => TlsScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RsaPkcs1Sha512 => TlsScheme::RSA_PKCS1_SHA512,
        SignatureScheme::RsaPssSha256 => TlsScheme::RSA_PSS_SHA256,
        SignatureScheme::RsaPssSha384 => TlsScheme::RSA_PSS_SHA384,
        SignatureScheme::RsaPssSha512 => TlsScheme::RSA_PSS_SHA512,
        SignatureScheme::EcdsaP256Sha256 => TlsScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::EcdsaP384Sha384 => TlsScheme::ECDSA_NISTP384_SHA384,
    }
}

/// The signature of one handshake.
struct OneSignature {
    signatures: Arc<Signatures>,
    public_key_sha256: [u8; 32],
    scheme: SignatureScheme,
}

impl std::fmt::Debug for OneSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OneSignature({})", self.scheme)
    }
}

impl Signer for OneSignature {
    /// Blocks until `vmafdd` has answered. Handshakes have threads of their own for that.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        match self.signatures.ask(&self.public_key_sha256, self.scheme, message) {
            Ok(signature) => {
                self.signatures.standing.signed();
                Ok(signature)
            }
            Err(cause) => {
                handshake::fault_is_ours();
                self.signatures.standing.signing_failed(&sentences(&cause));
                Err(rustls::Error::Other(OtherError(Arc::new(cause))))
            }
        }
    }

    fn scheme(&self) -> TlsScheme {
        in_tls(self.scheme)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Signatures, TokenKey};
    use crate::api::vecs::{Sign, Signature};
    use crate::api::{Kind, Octets, Problem};
    use crate::base::{KeyAlgorithm, SignatureScheme};
    use crate::client::{self, Client};
    use crate::gateway::health::Standing;
    use crate::x509::PrivateKey;
    use rustls::SignatureScheme as TlsScheme;
    use rustls::sign::SigningKey;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;
    use std::time::Duration;

    /// Proves an RSA key with a `vmafdd` whose answers depend on the scheme.
    fn proved(
        answer: fn(SignatureScheme) -> Result<Vec<u8>, Problem>,
    ) -> Result<TokenKey, client::Error> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("vmafdd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") {
                    let mut octets = [0; 4096];
                    let amount = stream.read(&mut octets).unwrap();
                    asked.extend_from_slice(&octets[..amount]);
                }
                let body = asked.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                let wanted: Sign = serde_json::from_slice(&asked[body..]).unwrap();
                let scheme = wanted.scheme.unwrap();
                let (status, body) = match answer(scheme) {
                    Ok(octets) => {
                        let made = Signature { scheme, signature: Octets(octets) };
                        (200, serde_json::to_string(&made).unwrap())
                    }
                    Err(problem) => (422, serde_json::to_string(&problem).unwrap()),
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        let signatures = Arc::new(Signatures {
            vecs: Client::new(&socket, Duration::from_secs(20)),
            standing: Arc::new(Standing::default()),
        });
        let key = PrivateKey::generate(KeyAlgorithm::Rsa(2048)).unwrap();
        TokenKey::prove(&signatures, key.public_key().clone())
    }

    fn problem(code: u32) -> Problem {
        Problem { kind: Kind::Invalid, code, detail: "no".to_owned() }
    }

    #[test]
    fn only_what_the_token_signs_is_offered() {
        let key = proved(|scheme| match scheme {
            SignatureScheme::RsaPkcs1Sha256 => Ok(vec![1]),
            _ => Err(problem(50)),
        })
        .unwrap();
        let offered = [TlsScheme::RSA_PSS_SHA256, TlsScheme::RSA_PKCS1_SHA256];
        let chosen = key.choose_scheme(&offered).unwrap();
        assert_eq!(chosen.scheme(), TlsScheme::RSA_PKCS1_SHA256);
        assert!(key.choose_scheme(&offered[..1]).is_none());
        assert!(key.choose_scheme(&[TlsScheme::ECDSA_NISTP256_SHA256]).is_none());
    }

    #[test]
    fn a_key_that_signs_nothing_or_fails_is_not_presented() {
        let code = |key: Result<TokenKey, client::Error>| match key {
            Err(client::Error::Refused(problem)) => problem.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(proved(|_| Err(problem(50)))), 50);
        assert_eq!(code(proved(|_| Err(problem(4312)))), 4312);
    }
}
