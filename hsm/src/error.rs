//! Six words, each a different decision for the caller, over the token's own answer.

use std::fmt;
use std::sync::Arc;

use cryptoki::error::RvError;

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

/// One sentence for the operator, and the cause below it where there is one.
#[derive(Debug)]
pub struct Fault {
    sentence: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    pub(crate) fn caused_by(
        sentence: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { sentence: sentence.into(), source: Some(Box::new(source)) }
    }

    /// What the token answered, if the token was asked.
    pub fn answer(&self) -> Option<&Answer> {
        self.source.as_ref()?.downcast_ref()
    }
}

impl From<String> for Fault {
    fn from(sentence: String) -> Self {
        Self { sentence, source: None }
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
pub struct Answer(Arc<cryptoki::error::Error>);

impl Answer {
    /// The name of the function, as in `C_Sign`. `None` if the fault arose before a function was called.
    pub fn function(&self) -> Option<String> {
        match &*self.0 {
            cryptoki::error::Error::Pkcs11(_, function) => Some(format!("C_{function:?}")),
            _ => None,
        }
    }

    /// The name of the return value, as in `CKR_DEVICE_ERROR`; vendor values in hexadecimal.
    pub fn return_value(&self) -> Option<String> {
        match &*self.0 {
            cryptoki::error::Error::Pkcs11(value, _) => Some(name_of(*value)),
            _ => None,
        }
    }

    pub(crate) fn error(&self) -> &cryptoki::error::Error {
        &self.0
    }
}

impl From<cryptoki::error::Error> for Answer {
    fn from(error: cryptoki::error::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.function(), self.return_value()) {
            (Some(function), Some(value)) => write!(f, "{function} answered {value}"),
            _ => self.0.fmt(f),
        }
    }
}

impl std::error::Error for Answer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
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
