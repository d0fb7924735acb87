//! Floor 4: the words on the wire between clients and services. Types and paths, no behaviour.
//!
//! HTTP/1.1 with JSON bodies over each service's Unix socket. Certificates travel as PEM text;
//! times as seconds since 1970. Unknown fields are refused, so that a typing error is not silence.

pub mod ca;
pub mod client;
pub mod directory;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod health;
pub mod key_text;
pub mod octets;
pub mod problem;
pub mod rewrap;
pub mod vecs;

pub use client::{CLIENT, Vouched};
pub use health::{Alarm, AlarmKind, Health, State, TokenHealth};
pub use key_text::KeyText;
pub use octets::Octets;
pub use problem::{Kind, Problem};

/// `GET`: every service answers with [`Health`].
pub const HEALTH: &str = "/v1/health";

/// `GET` on the gateway's own socket: `state`, the worst of all, and `services`, the [`Health`] of
/// each. What `/healthz` keeps from strangers is here.
pub const OVERALL: &str = "/v1/overall";
