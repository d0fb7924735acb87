//! Floor 6: `sealwright init`.
//!
//! Setting up is a row of steps. Each looks first whether it is done already, so that an interrupted
//! set-up continues where it stopped and a finished one changes nothing.

mod authority;
mod configuration;
mod error;
mod files;
mod init;
mod lock;
mod machine;
mod ownership;
mod progress;
mod request;
mod services;
mod softhsm;
mod step;
mod tokens;
mod trust;

pub use error::{Cause, Error};
pub use init::{Outcome, init};
pub use request::{Domain, HostName, NotAName, Request, TokenChoice};
pub use softhsm::{NoModule, find_module};
pub use step::Step;
