//! Custody of keys in PKCS#11 tokens.
//!
//! A [`Token`] is in service: it logs in once, uses read-only sessions, and comes back after an outage. Its keys are
//! a [`SigningKey`], bound to its public key and never releasing a signature that does not verify, and
//! [`SealingKeys`], which seal data for one context. [`provision`] is the administrative mode that creates tokens
//! and keys. What goes wrong is one of the six words of [`Error`].
//!
//! ```no_run
//! # fn main() -> Result<(), hsm::Error> {
//! let token = hsm::Token::new(hsm::TokenConfig {
//!     module: "/usr/lib/softhsm/libsofthsm2.so".into(),
//!     uri: "pkcs11:token=sealing".parse()?,
//!     pin: "file:/etc/sealwright/sealing.pin".parse()?,
//! });
//! let generation =
//!     hsm::KeyGeneration { number: 1, sealing: hsm::KeyId([0; 32]), wrapping: hsm::KeyId([1; 32]) };
//! let key = token.sealing_keys(generation);
//! let sealed = key.seal(b"store 1, entry 2", b"secret")?;
//! assert_eq!(key.open(b"store 1, entry 2", &sealed)?.as_slice(), b"secret");
//! # Ok(())
//! # }
//! ```

pub mod agent;
mod client;
mod config;
mod ecdsa;
mod error;
pub mod examination;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod key_id;
mod module;
mod pin;
pub mod provision;
mod public_key;
mod purpose;
mod recovery;
mod role;
mod sealed;
mod sealing;
mod sessions;
mod signing;
mod token;
mod wire;

pub use client::{Deadlines, Launch, Program, SealingKeys, SigningKey, Socket, Token};
pub use config::{TokenConfig, TokenIdentity, TokenUri};
pub use error::{Answer, Error, Fault};
pub use health::{Alarm, AlarmKind, Health};
pub use key_id::KeyId;
pub use module::shut_down;
pub use pin::{Pin, PinSource};
pub use public_key::Algorithm;
pub use purpose::{Purpose, Scheme};
pub use role::Origin;
pub use sealed::{Content, Header, SealingMechanism};
pub use sealing::{GeneratedKey, KeyGeneration};
pub use signing::KeyReference;
