//! Floor 6: the front ends. Each tool turns words into a command, runs it, and answers in the
//! original's words and codes.
//!
//! What an operator may type is clap's business where clap can be exact, and a tool's own table where
//! it cannot. The tools touch the world (files, environment, terminal); the floors below do not.

pub mod certool;
pub mod place;
pub mod sealwright;
pub mod service_control;
pub mod vecs_cli;

mod codes;
mod exit;
mod failure;
mod files;
mod new_file;
mod terminal;
