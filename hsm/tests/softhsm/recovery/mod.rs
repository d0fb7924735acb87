//! The recovery table on a token that breaks on purpose: each answer of a token, and what is seen of the decision.
//!
//! Between us and SoftHSM stands the fault module. It gives the answers, and counts what we call, so that each remedy is
//! told from the next one by what was called and not only by how it ended.

mod agents;
mod expected;
mod objects;
mod pin;
mod quarantine;
mod rows;
mod scene;
mod slots;
mod table;
