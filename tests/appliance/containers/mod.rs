//! The appliance in a container, driven from outside: tools on this machine through the mounted run folder, curl and
//! OpenSSL through the published port. docs/CONTAINERS.md says what is promised.

mod compose;
mod contained;
pub mod engine;
mod example;
mod faults;
mod image;
mod module;
mod volumes;
mod workflow;
