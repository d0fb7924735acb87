//! A token of the appliance, used without anything of ours around it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use sealwright::base::KeyAlgorithm;
use sealwright::config::TokenSection;

use crate::fault::{Outcome, While, fault};

/// Where a token is, for a process that opens it by itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) module: PathBuf,
    pub(crate) serial: String,
    pub(crate) pin_file: PathBuf,
    /// What the module needs in its environment.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn of(section: &TokenSection) -> Outcome<Self> {
        let serial = section
            .uri
            .split([':', ';'])
            .find_map(|part| part.strip_prefix("serial="))
            .when("the configuration selects a token without its serial number")?;
        let pin_file =
            section.pin.strip_prefix("file:").when("the PIN of the token is in no file")?;
        Ok(Self {
            module: section.module.clone(),
            serial: serial.to_owned(),
            pin_file: pin_file.into(),
            environment: section.environment.clone(),
        })
    }
}

/// What is asked of a token again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Sign(KeyAlgorithm),
    Seal,
    Open,
}

/// Octets that are sealed: about what an entry of a store has.
const SEALED: usize = 1200;
/// What a seal is bound to.
const BOUND: [u8; 64] = [7; 64];
const TAG_BITS: u64 = 128;

/// A token that this process has logged in to.
pub(crate) struct Token {
    context: Pkcs11,
    slot: Slot,
    /// The process stays logged in while it has a session.
    anchor: Session,
}

impl Token {
    /// The environment that the module needs must be there before.
    pub(crate) fn open(place: &Place) -> Outcome<Self> {
        let context = Pkcs11::new(&place.module)?;
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let mut found = None;
        for slot in context.get_slots_with_token()? {
            if context.get_token_info(slot)?.serial_number() == place.serial {
                found = Some(slot);
            }
        }
        let slot = found.when("the token is not there")?;
        let anchor = context.open_ro_session(slot)?;
        let pin = std::fs::read_to_string(&place.pin_file).when(place.pin_file.display())?;
        anchor.login(UserType::User, Some(&AuthPin::from(pin.trim_end())))?;
        Ok(Self { context, slot, anchor })
    }

    /// Before the process ends: SoftHSM's exit handlers may crash while sessions are open.
    pub(crate) fn close(self) -> Outcome<()> {
        drop(self.anchor);
        Ok(self.context.finalize()?)
    }

    pub(crate) fn worker(&self, operation: Operation) -> Outcome<Worker> {
        let session = self.context.open_ro_session(self.slot)?;
        let sought = match operation {
            Operation::Sign(_) => {
                [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)]
            }
            Operation::Seal | Operation::Open => {
                [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Encrypt(true)]
            }
        };
        let found = session.find_objects(&sought)?;
        let [key] = found[..] else {
            return fault(format!("{} keys where one was expected: {operation:?}", found.len()));
        };
        let mut worker = Worker { session, key, operation, input: Vec::new(), iv: [1; 12] };
        worker.input = match operation {
            // DigestInfo of SHA-256 and a digest (RFC 8017, 9.2); to the token it is as good as any.
            Operation::Sign(KeyAlgorithm::Rsa(_)) => vec![3; 19 + 32],
            Operation::Sign(KeyAlgorithm::P256) => vec![3; 32],
            Operation::Sign(KeyAlgorithm::P384) => vec![3; 48],
            Operation::Seal => vec![3; SEALED],
            Operation::Open => worker.seal(&[3; SEALED])?,
        };
        Ok(worker)
    }
}

/// A session, a key that was found once, and something to do with it.
pub(crate) struct Worker {
    session: Session,
    key: ObjectHandle,
    operation: Operation,
    input: Vec<u8>,
    iv: [u8; 12],
}

impl Worker {
    /// Once; how many octets came back.
    pub(crate) fn work(&mut self) -> Outcome<usize> {
        Ok(match self.operation {
            Operation::Sign(KeyAlgorithm::Rsa(_)) => {
                self.session.sign(&Mechanism::RsaPkcs, self.key, &self.input)?.len()
            }
            Operation::Sign(_) => {
                self.session.sign(&Mechanism::Ecdsa, self.key, &self.input)?.len()
            }
            Operation::Seal => {
                let plaintext = std::mem::take(&mut self.input);
                let sealed = self.seal(&plaintext)?;
                self.input = plaintext;
                sealed.len()
            }
            Operation::Open => {
                let parameters = GcmParams::new(&mut self.iv, &BOUND, TAG_BITS.into())?;
                self.session.decrypt(&Mechanism::AesGcm(parameters), self.key, &self.input)?.len()
            }
        })
    }

    /// With a new vector of the token each time, as whoever seals must.
    fn seal(&mut self, plaintext: &[u8]) -> Outcome<Vec<u8>> {
        self.iv =
            self.session.generate_random_vec(12)?.try_into().map_err(|_| {
                std::io::Error::other("not so many random octets as were asked for")
            })?;
        let parameters = GcmParams::new(&mut self.iv, &BOUND, TAG_BITS.into())?;
        Ok(self.session.encrypt(&Mechanism::AesGcm(parameters), self.key, plaintext)?)
    }
}
