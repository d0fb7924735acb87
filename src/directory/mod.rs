//! Floor 3: the room of `vmdird`, the directory of trusted roots and nodes.
//!
//! CA certificates are published here, each under its subject key identifier, with the latest
//! revocation list of its issuer; `vmafdd` copies them into its stores.

mod error;
mod nodes;
mod records;
mod trusted_roots;

use std::sync::Arc;

use crate::base::Clock;
use crate::store::Store;

pub use error::Error;
pub use nodes::Node;
pub use trusted_roots::{Publication, TrustedRoot};

/// The room's schema.
pub const MIGRATIONS: &[&str] =
    &[crate::journal::MIGRATION, records::SCHEMA, crate::journal::OPEN_INTENTS];

/// The directory of this appliance.
pub struct Directory {
    store: Store,
    node_name: String,
    clock: Arc<dyn Clock>,
}

impl Directory {
    /// Opens the room. `node_name` is the host name by which clients reach this machine.
    ///
    /// # Errors
    /// [`Error::Store`] when what is published cannot be read: better now than at every refresh.
    pub fn open(store: Store, node_name: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        let directory = Self { store, node_name: node_name.to_owned(), clock };
        directory.trusted_roots()?;
        Ok(Arc::new(directory))
    }
}
