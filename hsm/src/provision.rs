//! Administrative mode: creates tokens and keys. Never used by a serving process.
//!
//! What is made here is believed only after it was tried: attributes are read back, a challenge is signed or sealed,
//! and the token is asked to give the key away. A key that fails is destroyed again.
//!
//! The caller serialises administrative work between processes and keeps a copy of a software token's folder from
//! before: on a full disk SoftHSM can destroy a token that it writes to.

mod generation;
pub(crate) mod import;
mod proof;

pub use crate::sealing::self_test::{SelfTest, SelfTestOutcome};
pub use generation::{DestroyedKey, Destruction, MadeGeneration, UnwrapTemplate};

use std::path::Path;
use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use der::Encode;

use crate::error::Fault;
use crate::module::{Module, ModuleUse, Running};
use crate::public_key::{PublicKey, spki_from_token};
use crate::recovery::{Decision, Failure, Operation, decide};
use crate::role::{Origin, Role};
use crate::sessions::{Access, open, random};
use crate::signing::{only, sign_and_verify};
use crate::token::{Remedies, Serving, Token, find, identity_of};
use crate::{Algorithm, Error, KeyId, KeyReference, Pin, TokenConfig, TokenIdentity, TokenUri};

/// Initialises a token in a slot that holds an uninitialised one (`C_InitToken`), and sets its user PIN
/// (`C_InitPIN`). `label`: 1 to 32 octets. Returns the identity under which the token is found from now on.
///
/// Refused if a token with this label exists; Unsupported if the module offers no uninitialised token, as many
/// network modules do: create the token with the vendor's tool then.
pub fn create_token(
    module: &Path,
    label: &str,
    so_pin: &Pin,
    user_pin: &Pin,
) -> Result<TokenIdentity, Error> {
    if label.is_empty()
        || label.len() > 32
        || label.trim() != label
        || label.contains(char::is_control)
    {
        return Err(Error::Refused(
            format!(
                "\"{label}\" cannot be the label of a token: give 1 to 32 octets of text without spaces at the ends"
            )
            .into(),
        ));
    }
    ModuleUse::acquire(module)
        .exclusively(|module, state| {
            // A fresh view first, or a token that another process made would not be seen.
            module.restart(state)?;
            initialise(module, state, label, so_pin, user_pin)
        })
        .map_err(|failure| report(&format!("create the token \"{label}\""), failure))
}

fn initialise(
    module: &Module,
    state: &mut Option<Running>,
    label: &str,
    so_pin: &Pin,
    user_pin: &Pin,
) -> Result<TokenIdentity, Failure> {
    let uri = TokenUri { label: Some(label.to_owned()), ..TokenUri::default() };
    let so_pin = AuthPin::from(so_pin.expose_secret());
    {
        let running = running(state)?;
        if !matches!(find(running, &uri), Err(Failure::Missing(_))) {
            return Err(Failure::Final(Error::Refused(
                format!("a token with the label \"{label}\" exists already: use it, or choose another label").into(),
            )));
        }
        let mut empty = None;
        for slot in running.context.get_slots_with_token()? {
            if !running.context.get_token_info(slot)?.token_initialized() {
                empty = Some(slot);
                break;
            }
        }
        let Some(slot) = empty else {
            return Err(Failure::Final(Error::Unsupported(
                "the module offers no uninitialised token: create the token with the vendor's tool, then select it by \
                 its URI"
                    .into(),
            )));
        };
        running.context.init_token(slot, &so_pin, label)?;
    }
    // Slot numbers change when a token is initialised, so it is looked up again by its label.
    module.restart(state)?;
    let running = running(state)?;
    let (slot, info) = find(running, &uri)?;
    let session = open(&running.context, slot, Access::ReadWrite)?;
    session.login(UserType::So, Some(&so_pin))?;
    session.init_pin(&AuthPin::from(user_pin.expose_secret()))?;
    session.logout()?;
    Ok(identity_of(&info))
}

fn running(state: &Option<Running>) -> Result<&Running, Failure> {
    state.as_ref().ok_or_else(|| {
        Failure::Final(Error::Unavailable(
            "the PKCS#11 module did not start: check its installation".into(),
        ))
    })
}

fn report(act: &str, failure: Failure) -> Error {
    let answer = match failure {
        Failure::Final(error) | Failure::Missing(error) => return error,
        Failure::Answer(answer) => answer,
    };
    match decide(Operation::Provision, &answer) {
        Decision::Stop => Error::Refused(Fault::caused_by(
            format!(
                "the module did not {act}: it does not accept one of the PINs, so check their length and characters"
            ),
            answer,
        )),
        Decision::Unsupported => Error::Unsupported(Fault::caused_by(
            format!("the module cannot {act}: use the vendor's tool, or another module"),
            answer,
        )),
        _ => Error::Unavailable(Fault::caused_by(
            format!(
                "the module did not {act}: check that its folder can be written and that the disk is not full, and \
                 remove what may be half made"
            ),
            answer,
        )),
    }
}

/// A token that is open for making keys: read-write sessions, logged in as user. The module is finalised when the
/// workshop is dropped and nobody else in this process uses it.
pub struct Workshop {
    token: Arc<Token>,
    identity: TokenIdentity,
}

impl Workshop {
    /// Connects and logs in.
    pub fn open(config: &TokenConfig) -> Result<Self, Error> {
        let token = Arc::new(Token::new(config.clone(), Access::ReadWrite, Remedies::InPlace));
        let identity = token.check()?;
        Ok(Self { token, identity })
    }

    /// The token that this workshop works in.
    pub fn identity(&self) -> TokenIdentity {
        self.identity.clone()
    }

    /// Generates a key pair inside the token. RSA with 2048, 3072 or 4096 bits, P-256 or P-384.
    ///
    /// The label is for people; the key is found by the reference that is returned.
    pub fn generate_signing_key(
        &self,
        label: &str,
        algorithm: Algorithm,
    ) -> Result<KeyReference, Error> {
        let (mechanism, parameters) = key_pair_generation(algorithm)?;
        let id = self.fresh_id()?;
        let mut public = public_template(algorithm, id, label);
        public.extend(parameters);
        let private = Role::Issuer(algorithm).template(id, label);
        self.make(&[id], |serving| {
            let (_, key) = serving.session.generate_key_pair(&mechanism, &public, &private)?;
            self.prove_signing_key(serving, key, id, algorithm, Origin::Generated)
        })
    }

    /// Brings a private key in from outside. `pkcs8`: DER PrivateKeyInfo (RFC 5208), not encrypted; the caller wipes
    /// it. The key stays marked as imported for ever (`CKA_LOCAL` false): copies of it may exist elsewhere.
    pub fn import_signing_key(&self, label: &str, pkcs8: &[u8]) -> Result<KeyReference, Error> {
        let imported = import::parse(pkcs8)?;
        let algorithm = imported.algorithm;
        let id = self.fresh_id()?;
        let mut public = public_template(algorithm, id, label);
        public.extend(imported.public);
        let private = imported.private.joined_to(Role::Issuer(algorithm).template(id, label));
        let reference = self.make(&[id], |serving| {
            let key = serving.session.create_object(private.attributes())?;
            serving.session.create_object(&public)?;
            self.prove_signing_key(serving, key, id, algorithm, Origin::Imported)
        })?;
        if reference.public_key != imported.spki {
            self.destroy(id)?;
            return Err(Error::Refused(
                "the token made another public key of the imported key than the key has: the key was destroyed again"
                    .into(),
            ));
        }
        Ok(reference)
    }

    fn prove_signing_key(
        &self,
        serving: &Serving<'_>,
        key: ObjectHandle,
        id: KeyId,
        algorithm: Algorithm,
        origin: Origin,
    ) -> Result<KeyReference, Failure> {
        let role = Role::Issuer(algorithm);
        let found = role.judge(serving.session, key, id)?;
        born_as(found, origin, id)?;
        let counterpart = only(serving, ObjectClass::PUBLIC_KEY, id)?;
        let spki = spki_from_token(serving.session, counterpart)?;
        let proven = match spki {
            Some(spki) => PublicKey::from_spki(&spki)
                .ok()
                .filter(|public| public.algorithm() == algorithm)
                .map(|public| (spki, public)),
            None => None,
        };
        let Some((public_key, public)) = proven else {
            return Err(distrust(id, "its public key does not read as one"));
        };
        let challenge: [u8; 32] = random(serving.session)?;
        if sign_and_verify(serving.session, key, &public, &challenge)?.is_none() {
            return Err(distrust(id, "its signature does not verify"));
        }
        proof::stays_inside(serving.session, key, role, id)?;
        Ok(KeyReference { id, public_key })
    }

    /// Makes keys and proves them, under the guard around logins and key generation. Whatever fails, nothing with
    /// these ids is left behind.
    fn make<T>(
        &self,
        ids: &[KeyId],
        mut act: impl FnMut(&Serving<'_>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let made = self.token.operate(Operation::Provision, |serving| {
            let _guard = serving.running.admission();
            act(serving)
        });
        if made.is_err() {
            for id in ids {
                if let Err(error) = self.destroy(*id) {
                    tracing::error!(key = %id, %error, "a key that was refused could not be destroyed: remove it by its id");
                }
            }
        }
        made
    }

    fn destroy(&self, id: KeyId) -> Result<(), Error> {
        self.token.operate(Operation::Provision, |serving| {
            let objects = serving
                .session
                .find_objects(&[Attribute::Token(true), Attribute::Id(id.0.to_vec())])?;
            for object in objects {
                serving.session.destroy_object(object)?;
            }
            Ok(())
        })
    }

    fn fresh_id(&self) -> Result<KeyId, Error> {
        let mut id = [0; 32];
        self.token.random(&mut id)?;
        Ok(KeyId(id))
    }
}

fn distrust(id: KeyId, why: &str) -> Failure {
    Failure::Final(Error::Refused(
        format!("the token made a key that cannot be trusted: {why}. The key {id} was destroyed again; use another token")
            .into(),
    ))
}

fn born_as(found: Origin, wanted: Origin, id: KeyId) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(distrust(id, "the token does not tell generated keys from imported ones (CKA_LOCAL)"))
}

/// How the token makes a key pair: the mechanism, and what the public key's template needs for it.
pub(crate) fn key_pair_generation(
    algorithm: Algorithm,
) -> Result<(Mechanism<'static>, Vec<Attribute>), Error> {
    Ok(match algorithm {
        Algorithm::Rsa(bits @ (2048 | 3072 | 4096)) => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![
                Attribute::ModulusBits(u64::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ],
        ),
        Algorithm::Rsa(bits) => return Err(unusual_size(bits)),
        Algorithm::P256 | Algorithm::P384 => {
            (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(curve_parameters(algorithm))])
        }
    })
}

fn unusual_size(bits: u16) -> Error {
    Error::Refused(
        format!("RSA keys of {bits} bits are not made: choose 2048, 3072 or 4096").into(),
    )
}

/// `CKA_EC_PARAMS`: DER of the curve's name.
fn curve_parameters(algorithm: Algorithm) -> Vec<u8> {
    algorithm.curve().and_then(|curve| curve.to_der().ok()).unwrap_or_default()
}

fn public_template(algorithm: Algorithm, id: KeyId, label: &str) -> Vec<Attribute> {
    let key_type = match algorithm {
        Algorithm::Rsa(_) => KeyType::RSA,
        Algorithm::P256 | Algorithm::P384 => KeyType::EC,
    };
    vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(key_type),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Verify(true),
        Attribute::Encrypt(false),
        Attribute::Wrap(false),
        Attribute::Id(id.0.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
    ]
}
