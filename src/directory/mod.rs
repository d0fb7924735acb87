//! Floor 3: the room of `vmdird`.
#![allow(missing_docs, clippy::todo, unused_variables)] // STUB: removed when the room is written.

use crate::base::Clock;
use crate::store::Store;
use std::sync::Arc;

pub const MIGRATIONS: &[&str] = &[crate::journal::MIGRATION];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

pub struct Directory;
impl Directory {
    pub fn open(store: Store, node_name: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        todo!()
    }
}
