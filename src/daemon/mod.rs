//! Floor 6: assembly of the services: configuration, log, protection, token, store, room, listener, jobs.
//!
//! A service whose token is absent or refuses its PIN starts all the same: its room answers with the
//! original's codes, and its health says what is wrong and what to do.

mod arguments;
mod backoff;
mod foundation;
mod key_making;
mod pid_file;
mod publishing;
mod readiness;
mod refreshing;
mod rewrapping;
mod roles;
mod sealing_keys;
mod serving;
mod tidying;
mod token;
mod vmafdd;
mod vmcad;
mod vmdird;
mod workshop;

pub use arguments::ROOT_VARIABLE;
pub(crate) use backoff::Backoff;
pub(crate) use foundation::{Failure, Foundation, run};
pub(crate) use readiness::announce_when_answering;
pub(crate) use serving::runtime_of_a_door;
pub use vmafdd::vmafdd;
pub use vmcad::vmcad;
pub use vmdird::vmdird;
