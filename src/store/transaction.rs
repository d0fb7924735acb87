//! What a closure may do while its transaction is open.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{Error, Row, Value};

/// An open transaction: two methods, on purpose.
pub struct Transaction<'a> {
    connection: &'a Connection,
}

impl<'a> Transaction<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a broken constraint, [`Error::Full`] without room, else
    /// [`Error::Unavailable`].
    pub fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let changed = statement.execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    /// Runs a query and returns its rows.
    pub fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let columns = (0..width)
                .map(|index| row.get_ref(index).map_err(Error::from).and_then(owned))
                .collect::<Result<_, _>>()?;
            found.push(Row(columns));
        }
        Ok(found)
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(_) => return Err(Error::Content("a floating-point column".to_owned())),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|_| Error::Content("text that is not UTF-8".to_owned()))?
                .to_owned(),
        ),
        ValueRef::Blob(octets) => Value::Blob(octets.to_vec()),
    })
}
