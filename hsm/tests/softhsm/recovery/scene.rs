//! A SoftHSM token behind the fault module, and everything that we do with one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fault_module::{Control, Controller, Counts};
use hsm::provision::Workshop;
use hsm::{
    Algorithm, Error, KeyGeneration, KeyReference, Purpose, Scheme, SealingKeys, SealingMechanism,
    Token, TokenConfig,
};

use crate::harness::World;

pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) control: Control,
    _controller: Controller,
}

impl<'a> Scene<'a> {
    /// Tokens are made before, because one process uses SoftHSM either directly or through the fault module.
    pub(super) fn new(world: &'a World) -> Self {
        let socket = world.path("fault.sock");
        let controller = Controller::listen(&socket, Vec::new()).unwrap();
        let control = Control::connect(&socket).unwrap();
        Self { world, control, _controller: controller }
    }

    pub(super) fn config(&self, label: &str) -> TokenConfig {
        faulty(self.world, label)
    }

    pub(super) fn token(&self, label: &str) -> Arc<Token> {
        Token::new(self.config(label))
    }

    pub(super) fn add(&self, rule: &str) {
        self.control.add(rule).unwrap();
    }

    /// What `act` calls while these rules are in force.
    pub(super) fn during<T>(&self, rules: &[&str], act: impl FnOnce() -> T) -> (T, Counts) {
        self.control.reset().unwrap();
        rules.iter().for_each(|rule| self.add(rule));
        let outcome = act();
        let counts = self.control.counts().unwrap();
        self.control.clear().unwrap();
        (outcome, counts)
    }
}

/// The selection of a token, through the fault module.
pub(super) fn faulty(world: &World, label: &str) -> TokenConfig {
    TokenConfig { module: fault_module::library().unwrap(), ..world.config(label) }
}

/// Keys of every kind in one token.
pub(super) struct Keys {
    pub(super) issuer: KeyReference,
    pub(super) generation: KeyGeneration,
}

impl Keys {
    pub(super) fn make(world: &World, label: &str) -> Self {
        world.create_token(label);
        let issuer = world.workshop(label).generate_signing_key("issuer", Algorithm::P256).unwrap();
        let generation = world.generation(label, 1, SealingMechanism::Gcm);
        Self { issuer, generation }
    }
}

/// A token in use, with sealed things to open.
pub(super) struct Bench {
    pub(super) token: Arc<Token>,
    issuer: KeyReference,
    keys: SealingKeys,
    secret: Vec<u8>,
    born: Vec<u8>,
    pkcs8: Vec<u8>,
    /// A key that was brought in stays in the token for a while, so each is sealed for a place of its own.
    places: AtomicU64,
}

const CONTEXT: &[u8] = b"context";

impl Bench {
    pub(super) fn new(token: Arc<Token>, keys: &Keys) -> Self {
        let sealing = token.sealing_keys(keys.generation);
        let born = sealing.generate(Algorithm::P256, CONTEXT).unwrap().sealed;
        Self {
            secret: sealing.seal(CONTEXT, b"secret").unwrap(),
            pkcs8: sealing.open(CONTEXT, &born).unwrap().to_vec(),
            issuer: keys.issuer.clone(),
            keys: sealing,
            born,
            token,
            places: AtomicU64::new(0),
        }
    }

    pub(super) fn sign(&self) -> Result<(), Error> {
        self.token.signing_key(self.issuer.clone()).sign(Purpose::Content, b"message").map(drop)
    }

    /// For an agent that signs nothing but certificates.
    pub(super) fn sign_certificate(&self) -> Result<(), Error> {
        self.token.signing_key(self.issuer.clone()).sign(Purpose::Certificate, b"message").map(drop)
    }

    /// Finds the key again, in any case.
    pub(super) fn prove(&self) -> Result<(), Error> {
        self.token.signing_key(self.issuer.clone()).check()
    }

    pub(super) fn seal(&self) -> Result<(), Error> {
        self.keys.seal(CONTEXT, b"secret").map(drop)
    }

    pub(super) fn open(&self) -> Result<(), Error> {
        let opened = self.keys.open(CONTEXT, &self.secret)?;
        assert_eq!(*opened, b"secret");
        Ok(())
    }

    /// Finds the sealing keys again and tries them.
    pub(super) fn prove_sealing(&self) -> Result<(), Error> {
        self.keys.check()
    }

    pub(super) fn reveal_born(&self) -> Result<(), Error> {
        let opened = self.keys.open(CONTEXT, &self.born)?;
        assert_eq!(*opened, self.pkcs8);
        Ok(())
    }

    pub(super) fn generate(&self) -> Result<(), Error> {
        self.keys.generate(Algorithm::P256, CONTEXT).map(drop)
    }

    /// A key from outside, sealed where no signature looked yet.
    pub(super) fn fresh_secret(&self) -> (Vec<u8>, Vec<u8>) {
        let place = self.places.fetch_add(1, Ordering::SeqCst).to_be_bytes().to_vec();
        let sealed = self.keys.seal(&place, &self.pkcs8).unwrap();
        (place, sealed)
    }

    /// A key born in the token, in the same way.
    pub(super) fn fresh_born(&self) -> (Vec<u8>, Vec<u8>) {
        let place = self.places.fetch_add(1, Ordering::SeqCst).to_be_bytes().to_vec();
        let sealed = self.keys.reseal(&self.keys, CONTEXT, &place, &self.born).unwrap();
        (place, sealed)
    }

    pub(super) fn sign_sealed(&self, (place, sealed): &(Vec<u8>, Vec<u8>)) -> Result<(), Error> {
        let scheme = Scheme::EcdsaP256Sha256;
        self.keys.sign(place, sealed, Purpose::Content, scheme, b"message").map(drop)
    }
}

/// Makes a key in administrative mode.
pub(super) fn provision(workshop: &Workshop) -> Result<(), Error> {
    workshop.generate_signing_key("further", Algorithm::P256).map(drop)
}
