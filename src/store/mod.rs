//! Floor 1: transactions. One writer, any number of readers, nothing about what is stored.
//!
//! A room opens its own [`Store`] with its own schema and says what it wants in closures; SQL is
//! written in the subset that SQLite and PostgreSQL share (`$1` parameters, `BIGINT`, no triggers),
//! so that another backend can stand behind the same two methods.

mod error;
mod readers;
mod schema;
mod snapshot;
mod transaction;
mod value;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use error::Error;
pub use snapshot::{read_file, snapshot};
pub use transaction::Transaction;
pub use value::{Row, Value};

use readers::Readers;
use writer::Writer;

/// A database of one service.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
}

impl Store {
    /// Opens or creates the database file (mode 0600) and brings its schema up to date.
    ///
    /// `migrations` are applied once each, in order, every one in its own transaction; they are
    /// only ever appended to.
    ///
    /// # Errors
    /// [`Error::Open`], whose cause is [`Error::Unavailable`] when the file cannot be opened,
    /// [`Error::Damaged`] when it is no database, [`Error::Newer`] when a later version of this
    /// program wrote it.
    pub fn open(path: &Path, migrations: &[&str]) -> Result<Self, Error> {
        let connection = schema::open_for_writing(path)
            .and_then(|connection| schema::migrate(&connection, migrations).map(|()| connection))
            .map_err(|cause| Error::Open { path: path.to_owned(), cause: Box::new(cause) })?;
        Ok(Self {
            writer: Arc::new(Writer::of(connection)),
            readers: Arc::new(Readers::new(path.to_owned())),
        })
    }

    /// Runs a closure on a consistent snapshot. It must not write; a write fails.
    pub fn read<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.readers.run(body)
    }

    /// Runs a closure in the writer and returns when what it wrote is durable.
    ///
    /// The closure runs in a savepoint of its own: its failure undoes its own work and nobody
    /// else's. Whatever waits at the same time shares one commit, and each caller gets its answer
    /// only after that commit.
    pub fn write<T, E>(
        &self,
        body: impl FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let alone = self.writer.run(vec![body]).pop();
        alone.unwrap_or_else(|| Err(E::from(schema::unavailable("a write was not run".to_owned()))))
    }

    /// The same for several closures that belong to different askers: each in a savepoint of its own, all in one
    /// commit. Outcomes stand in their order.
    pub fn write_each<T, E, B>(&self, bodies: Vec<B>) -> Vec<Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        B: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        if bodies.is_empty() {
            return Vec::new();
        }
        self.writer.run(bodies)
    }

    /// How the engine goes about a statement, a step an element.
    #[cfg(test)]
    pub fn query_plan(&self, sql: &str, values: &[Value]) -> Result<Vec<String>, Error> {
        self.read(|tx| {
            tx.query(&format!("EXPLAIN QUERY PLAN {sql}"), values)?
                .iter()
                .map(|row| row.text(3).map(str::to_owned))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests;
