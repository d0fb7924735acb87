//! Paths of `vmcad`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB
use crate::ca::Authority;
use std::sync::Arc;
pub fn router(authority: Arc<Authority>) -> axum::Router {
    todo!()
}
