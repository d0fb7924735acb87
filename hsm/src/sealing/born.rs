//! Keys born in the token: made as session objects, out only wrapped (`CKM_AES_KEY_WRAP_PAD`, RFC 5649), back in by
//! unwrapping.
//!
//! SoftHSM wants each unwrapping to name the attributes of the wrapping key's template itself, and other tokens do not
//! mind, so the template below names them: see `unwrap_template.rs`.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::{Reader, SliceReader};
use zeroize::Zeroizing;

use super::session_object::{SessionObject, known_key};
use super::unreadable;
use crate::provision::{import, key_pair_generation};
use crate::public_key::{PublicKey, spki_from_token};
use crate::recovery::Failure;
use crate::sessions::random;
use crate::signing::sign_and_verify;
use crate::token::Serving;
use crate::{Algorithm, Error};

/// What sealed data of a key born in the token holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Born<'a> {
    /// SubjectPublicKeyInfo, DER.
    pub(crate) public_key: &'a [u8],
    /// PKCS#8, wrapped.
    pub(crate) wrapped: &'a [u8],
}

impl<'a> Born<'a> {
    pub(crate) fn parse(plaintext: &'a [u8]) -> Option<Self> {
        let public_key = SliceReader::new(plaintext).ok()?.tlv_bytes().ok()?;
        let wrapped = plaintext.get(public_key.len()..)?;
        (wrapped.len() >= 16 && wrapped.len().is_multiple_of(8))
            .then_some(Self { public_key, wrapped })
    }

    pub(crate) fn to_octets(&self) -> Vec<u8> {
        [self.public_key, self.wrapped].concat()
    }

    fn public(&self) -> Result<PublicKey, Failure> {
        PublicKey::from_spki(self.public_key).map_err(|_| unreadable())
    }

    /// Back into the token, as a session object that signs.
    pub(super) fn unwrap<'s>(
        &self,
        session: &'s Session,
        wrapping: ObjectHandle,
    ) -> Result<SessionObject<'s>, Failure> {
        let key_type = match self.public()?.algorithm() {
            Algorithm::Rsa(_) => KeyType::RSA,
            Algorithm::P256 | Algorithm::P384 => KeyType::EC,
        };
        let mut template = vec![Attribute::KeyType(key_type)];
        template.extend(private_template());
        let mechanism = Mechanism::AesKeyWrapPad;
        let key = session.unwrap_key(&mechanism, wrapping, self.wrapped, &template)?;
        Ok(SessionObject::new(session, key))
    }

    /// From one wrapping key to another. What comes back is wrapped; the key itself stays in the token.
    pub(super) fn rewrap(
        &self,
        session: &Session,
        old: ObjectHandle,
        new: ObjectHandle,
    ) -> Result<Vec<u8>, Failure> {
        let key = self.unwrap(session, old)?;
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, new, key.handle()?)?;
        key.destroy()?;
        Ok(Born { public_key: self.public_key, wrapped: &wrapped }.to_octets())
    }

    /// The private key in clear, as PKCS#8 DER: unwrapped in the token, wrapped there once more under a key that was
    /// drawn for this and is known here, and unwrapped here.
    pub(super) fn reveal(
        &self,
        session: &Session,
        wrapping: ObjectHandle,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let key = self.unwrap(session, wrapping)?;
        let carrier = known_key(session, &[Attribute::Wrap(true)])?;
        let mechanism = Mechanism::AesKeyWrapPad;
        let carried = session.wrap_key(&mechanism, carrier.object.handle()?, key.handle()?)?;
        carrier.object.destroy()?;
        key.destroy()?;
        let mut opened = Zeroizing::new(vec![0; carried.len()]);
        let length = AesKek::new(&AES_256, carrier.octets.as_slice())
            .and_then(|carrier| carrier.unwrap_with_padding(&carried, &mut opened))
            .map_err(|_| changed())?
            .len();
        opened.truncate(length);
        let length = without_padding(&opened).ok_or_else(changed)?.len();
        opened.truncate(length);
        match import::parse(&opened) {
            Ok(key) if key.spki == self.public_key => Ok(opened),
            _ => Err(changed()),
        }
    }
}

fn changed() -> Failure {
    Failure::Final(Error::Refused(
        "the token unwrapped a key to something else than the private key that was wrapped: use another token, and \
         restore the record from a copy if it does not open there either"
            .into(),
    ))
}

/// PKCS#8 without the zeros that SoftHSM 2.6.1 puts behind it. `None`: there is something else behind it.
pub(crate) fn without_padding(octets: &[u8]) -> Option<&[u8]> {
    let pkcs8 = SliceReader::new(octets).ok()?.tlv_bytes().ok()?;
    let behind = octets.get(pkcs8.len()..)?;
    (behind.len() < 8 && behind.iter().all(|octet| *octet == 0)).then_some(pkcs8)
}

/// A private key for as long as a session; it can be wrapped, and it signs.
fn private_template() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]
}

/// Makes a key pair and wraps the private key. Neither is left in the token. What was wrapped is unwrapped once and
/// signs, because a key that does not come back is lost with everything it was certified for.
///
/// The caller holds the guard around logins and key generation. `Ok(None)`: it did not come back.
pub(crate) fn generate(
    session: &Session,
    wrapping: ObjectHandle,
    algorithm: Algorithm,
) -> Result<Option<Vec<u8>>, Failure> {
    let (mechanism, parameters) = key_pair_generation(algorithm)?;
    let mut public =
        vec![Attribute::Token(false), Attribute::Private(false), Attribute::Verify(true)];
    public.extend(parameters);
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private_template())?;
    let (public, private) =
        (SessionObject::new(session, public), SessionObject::new(session, private));
    let spki = spki_from_token(session, public.handle()?)?;
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, private.handle()?)?;
    public.destroy()?;
    private.destroy()?;
    let Some(public_key) = spki else { return Ok(None) };
    let octets = Born { public_key: &public_key, wrapped: &wrapped }.to_octets();
    let Some(born) = Born::parse(&octets) else { return Ok(None) };
    let Ok(public) = PublicKey::from_spki(born.public_key) else { return Ok(None) };
    if public.algorithm() != algorithm {
        return Ok(None);
    }
    let challenge: [u8; 32] = random(session)?;
    let back = born.unwrap(session, wrapping)?;
    let signed = sign_and_verify(session, back.handle()?, &public, &challenge)?;
    back.destroy()?;
    Ok(signed.map(|_| octets))
}

/// Whether keys can be born in this token at all: whether it wraps as they need it. Where it does not, a wrapping key is
/// there and of no use, and nothing can be proved of it.
pub(crate) fn are_possible(serving: &Serving<'_>) -> Result<bool, Failure> {
    let listed = serving.running.context.get_mechanism_list(serving.connection.slot())?;
    Ok(listed.contains(&MechanismType::AES_KEY_WRAP_PAD))
}

/// The kind of key that is quickest to make in this token.
pub(crate) fn quickest(serving: &Serving<'_>) -> Result<Algorithm, Failure> {
    let listed = serving.running.context.get_mechanism_list(serving.connection.slot())?;
    Ok(match listed.contains(&MechanismType::ECC_KEY_PAIR_GEN) {
        true => Algorithm::P256,
        false => Algorithm::Rsa(2048),
    })
}
