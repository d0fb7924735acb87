//! Read-only connections, made when needed and kept for the next reader.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::schema::open_for_reading;
use super::{Error, Transaction};

/// Idle connections beyond this number are closed instead of kept.
const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn run<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_for_reading(&self.path)?,
        };
        let result = (|| {
            connection.execute_batch("BEGIN DEFERRED").map_err(Error::from)?;
            let result = body(&mut Transaction::new(&connection));
            connection.execute_batch("ROLLBACK").map_err(Error::from)?;
            result
        })();
        // A connection that failed is dropped: whatever was wrong with it ends here.
        if result.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(connection);
            }
        }
        result
    }
}
