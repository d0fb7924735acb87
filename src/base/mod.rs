//! Floor 0: values that every floor above may use. No I/O happens here.

pub mod actor;
pub mod algorithm;
pub mod client;
pub mod clock;
pub mod layout;
pub mod process_identity;
pub mod secret;
pub mod sentences;
pub mod service;
pub mod signature_scheme;

pub use actor::Actor;
pub use algorithm::KeyAlgorithm;
pub use client::{ClientName, Fingerprint};
pub use clock::{Clock, SystemClock, UnixTime};
pub use layout::Layout;
pub use process_identity::ProcessIdentity;
pub use secret::Secret;
pub use sentences::sentences;
pub use service::Service;
pub use signature_scheme::SignatureScheme;
