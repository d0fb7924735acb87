//! Paths of `vmdird`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB
use crate::directory::Directory;
use std::sync::Arc;
pub fn router(directory: Arc<Directory>) -> axum::Router {
    todo!()
}
