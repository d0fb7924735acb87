//! Values that go into statements and come out of rows.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::Error;

/// A column value, in the types that every backend has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// `BIGINT`.
    Integer(i64),
    /// `TEXT`.
    Text(String),
    /// `BLOB` (`BYTEA`).
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// One row of an answer, read by column position.
#[derive(Clone, Debug)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    fn column(&self, index: usize) -> Result<&Value, Error> {
        self.0.get(index).ok_or_else(|| Error::Content(format!("no column {index}")))
    }

    /// A `BIGINT` that is not null.
    pub fn integer(&self, index: usize) -> Result<i64, Error> {
        match self.column(index)? {
            Value::Integer(number) => Ok(*number),
            other => Err(unexpected(index, "a number", other)),
        }
    }

    /// A `BIGINT` used as a truth value.
    pub fn boolean(&self, index: usize) -> Result<bool, Error> {
        self.integer(index).map(|number| number != 0)
    }

    /// A `TEXT` that is not null.
    pub fn text(&self, index: usize) -> Result<&str, Error> {
        match self.column(index)? {
            Value::Text(text) => Ok(text),
            other => Err(unexpected(index, "text", other)),
        }
    }

    /// A `BLOB` that is not null.
    pub fn blob(&self, index: usize) -> Result<&[u8], Error> {
        match self.column(index)? {
            Value::Blob(octets) => Ok(octets),
            other => Err(unexpected(index, "octets", other)),
        }
    }

    /// Whether the column is `NULL`.
    pub fn is_null(&self, index: usize) -> Result<bool, Error> {
        self.column(index).map(|value| *value == Value::Null)
    }
}

fn unexpected(index: usize, wanted: &str, found: &Value) -> Error {
    // The value itself stays out of the message: it may be anything that was ever stored.
    let kind = match found {
        Value::Null => "NULL",
        Value::Integer(_) => "a number",
        Value::Text(_) => "text",
        Value::Blob(_) => "octets",
    };
    Error::Content(format!("column {index} should be {wanted} and is {kind}"))
}
