//! Floor 5: HTTP at the edge. With the gateway's assembly the only place where code is async.
//!
//! A handler does three things: it turns credentials and words into checked values, calls a room on
//! a thread that may block, and turns the answer into words. It adds no rules of its own.

pub mod ca;
pub mod directory;
pub mod vecs;

mod blocking;
mod connection;
mod note;
mod peer;
mod places;
mod problem;
mod rewrap;
mod serve;
mod shared;
mod token;

pub use blocking::on_blocking_thread;
pub use note::with_note;
pub use peer::{Asking, AskingOrClient};
pub use places::{Full, Place, Places};
pub use problem::Reject;
pub use rewrap::WakeRewrap;
pub use serve::{Shutdown, serve_unix};
pub use shared::Shared;
