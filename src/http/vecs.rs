//! Paths of `vmafdd`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB
use crate::vecs::Vecs;
use std::sync::Arc;
/// Runs one refresh cycle now and returns when it has ended; the daemon's job provides it.
pub type RefreshNow = Arc<dyn Fn() -> Result<(), crate::api::Problem> + Send + Sync>;
pub fn router(vecs: Arc<Vecs>, refresh: RefreshNow) -> axum::Router {
    todo!()
}
