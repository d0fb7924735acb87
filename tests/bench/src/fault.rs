//! Why a measurement could not be made. Nobody reacts to it but the person who reads it.

use std::fmt;

/// A sentence for whoever runs the benchmark.
#[derive(Debug)]
pub(crate) struct Fault(String);

pub(crate) type Outcome<T> = Result<T, Fault>;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every error of a library becomes its own sentence and those of its causes.
impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

pub(crate) fn fault<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Fault(what.into()))
}

/// Says what was being done.
pub(crate) trait While<T> {
    fn when(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Fault>> While<T> for Result<T, E> {
    fn when(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|cause| Fault(format!("{what}: {}", cause.into())))
    }
}

impl<T> While<T> for Option<T> {
    fn when(self, what: impl fmt::Display) -> Outcome<T> {
        self.ok_or_else(|| Fault(what.to_string()))
    }
}
