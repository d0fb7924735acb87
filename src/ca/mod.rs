//! Floor 3: the room of `vmcad`. A CA whose key never leaves its token.
//!
//! [`Authority`] is the door. A certificate is made in this order, and so is everything else that
//! the CA key signs: the profile judges the request, the exact octets to be signed and the intent
//! become durable, the token signs exactly those octets, the outcome becomes durable, and only
//! then does an answer leave. The token is never called inside a transaction.

mod authority;
mod authority_state;
mod chain;
mod crl;
mod error;
mod hex;
mod install;
mod issue;
mod issuers;
mod keys;
mod lanes;
mod listing;
mod profile;
mod queue;
mod records;
mod request;
mod root;
mod root_cer;
mod settings;
mod signing;
mod standing;
mod validity;

pub use authority::{Authority, Publication};
pub use authority_state::AuthorityState;
pub use error::{Error, Rule};
pub use hsm::AlarmKind;
pub use install::Installation;
pub use issue::{Issued, Order};
pub use keys::{KeyChoice, Workshop};
pub use lanes::{Asked, Asker, Lanes};
pub use listing::{Cursor, Filter, Page};
pub use records::MIGRATIONS;
pub use request::Request;
pub use root::{CaRequest, NewRoot};
pub use settings::{Profile, Settings};
pub use standing::{AuthoritySummary, KeySummary, Standing};

#[cfg(test)]
mod tests;
