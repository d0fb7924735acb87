//! Six words, each a different decision for the caller, over the token's own answer.

use std::fmt;
use std::sync::Arc;

use cryptoki::error::RvError;
use serde::{Deserialize, Serialize};

use crate::AlarmKind;
use crate::wire::{presentable, presentable_if_any};

/// What went wrong, sorted by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The module, the token or a session does not answer. Try again later; nothing was done.
    #[error(transparent)]
    Unavailable(Fault),
    /// The token refused the PIN. Never retried in this process: an operator must act, then restart the service.
    #[error(transparent)]
    Locked(Fault),
    /// The token answers and holds no such key. Retrying does not help unless the key comes back.
    #[error(transparent)]
    NoSuchKey(Fault),
    /// Our own rules forbid it: an ambiguous key, bad attributes, a signature that does not verify, a bad setting.
    #[error(transparent)]
    Refused(Fault),
    /// This sealed data does not open: changed, truncated, sealed under another key or for another context.
    #[error(transparent)]
    Unreadable(Fault),
    /// This token cannot do it. Permanent for this token.
    #[error(transparent)]
    Unsupported(Fault),
}

impl Error {
    /// Which alarm this calls for, where waiting cures nothing and a person must see to the token: a PIN that was not
    /// accepted, a quarantine, a token that was replaced or lost our key. `None` for what may pass by itself.
    pub fn alarm(&self) -> Option<AlarmKind> {
        match self {
            Self::Locked(_) => Some(AlarmKind::Pin),
            Self::NoSuchKey(_) => Some(AlarmKind::Replaced),
            Self::Unavailable(fault)
            | Self::Refused(fault)
            | Self::Unreadable(fault)
            | Self::Unsupported(fault) => fault.alarm,
        }
    }
}

/// One sentence for the operator, and the cause below it where there is one.
#[derive(Debug)]
pub struct Fault {
    sentence: String,
    alarm: Option<AlarmKind>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    pub(crate) fn caused_by(
        sentence: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { sentence: sentence.into(), alarm: None, source: Some(Box::new(source)) }
    }

    /// The same, and a person must see to it.
    pub(crate) fn alarming(self, kind: AlarmKind) -> Self {
        Self { alarm: Some(kind), ..self }
    }

    /// What the token answered, if the token was asked.
    pub fn answer(&self) -> Option<&Answer> {
        self.source.as_ref()?.downcast_ref()
    }
}

impl From<String> for Fault {
    fn from(sentence: String) -> Self {
        Self { sentence, alarm: None, source: None }
    }
}

impl From<&str> for Fault {
    fn from(sentence: &str) -> Self {
        sentence.to_owned().into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// What a PKCS#11 function answered instead of `CKR_OK`.
///
/// Displayed as function and return value (`C_Login answered CKR_PIN_INCORRECT`), because the long texts of the
/// standard say less to an operator than the name that can be looked up.
#[derive(Clone, Debug)]
pub struct Answer(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The module is loaded in this process.
    Here(Arc<cryptoki::error::Error>),
    /// The token's agent was told it.
    Agent(Told),
}

/// An [`Answer`] in words, on its way from an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(deserialize_with = "presentable_if_any")]
    function: Option<String>,
    #[serde(deserialize_with = "presentable_if_any")]
    return_value: Option<String>,
    #[serde(deserialize_with = "presentable")]
    text: String,
}

impl Answer {
    /// The name of the function, as in `C_Sign`. `None` if the fault arose before a function was called.
    pub fn function(&self) -> Option<String> {
        match &self.0 {
            Source::Agent(told) => told.function.clone(),
            Source::Here(error) => match &**error {
                cryptoki::error::Error::Pkcs11(_, function) => Some(format!("C_{function:?}")),
                _ => None,
            },
        }
    }

    /// The name of the return value, as in `CKR_DEVICE_ERROR`; vendor values in hexadecimal.
    pub fn return_value(&self) -> Option<String> {
        match &self.0 {
            Source::Agent(told) => told.return_value.clone(),
            Source::Here(error) => match &**error {
                cryptoki::error::Error::Pkcs11(value, _) => Some(name_of(*value)),
                _ => None,
            },
        }
    }

    /// `None` in a client: its agent has decided already what to do about it.
    pub(crate) fn error(&self) -> Option<&cryptoki::error::Error> {
        match &self.0 {
            Source::Here(error) => Some(error),
            Source::Agent(_) => None,
        }
    }

    pub(crate) fn told(&self) -> Told {
        Told {
            function: self.function(),
            return_value: self.return_value(),
            text: self.to_string(),
        }
    }
}

impl From<cryptoki::error::Error> for Answer {
    fn from(error: cryptoki::error::Error) -> Self {
        Self(Source::Here(Arc::new(error)))
    }
}

impl From<Told> for Answer {
    fn from(told: Told) -> Self {
        Self(Source::Agent(told))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.function(), self.return_value()) {
            (Some(function), Some(value)) => write!(f, "{function} answered {value}"),
            _ => match &self.0 {
                Source::Here(error) => error.fmt(f),
                Source::Agent(told) => f.write_str(&told.text),
            },
        }
    }
}

impl std::error::Error for Answer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Source::Here(error) => std::error::Error::source(&**error),
            Source::Agent(_) => None,
        }
    }
}

/// The standard's name of a return value, rebuilt from the variant's name.
fn name_of(value: RvError) -> String {
    if let RvError::VendorDefined(code) | RvError::UnknownErrorCode(code) = value {
        return format!("{code:#x}");
    }
    let mut name = String::from("CKR");
    for letter in format!("{value:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;
    use std::error::Error as _;

    #[test]
    fn an_answer_reads_as_function_and_return_value() {
        let error = Error::Locked(Fault::caused_by(
            "the PIN is wrong",
            Answer::from(cryptoki::error::Error::Pkcs11(RvError::PinIncorrect, Function::Login)),
        ));
        assert_eq!(error.to_string(), "the PIN is wrong");
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("C_Login answered CKR_PIN_INCORRECT"));
        let Error::Locked(fault) = error else { panic!("the word changed") };
        assert!(fault.answer().is_some());
    }

    #[test]
    fn names_of_return_values_follow_the_standard() {
        for (value, name) in [
            (RvError::GeneralError, "CKR_GENERAL_ERROR"),
            (RvError::UserNotLoggedIn, "CKR_USER_NOT_LOGGED_IN"),
            (RvError::VendorDefined(0x8000_0001), "0x80000001"),
        ] {
            assert_eq!(name_of(value), name);
        }
    }
}
