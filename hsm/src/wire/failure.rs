//! An error on its way from the agent to its client: the word, the sentence, the token's own answer.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Answer, Fault, Told};
use crate::{AlarmKind, Error};

/// Characters of the longest text that is taken from an agent. Sentences of ours have a few hundred.
const LONGEST: usize = 2000;

/// An [`Error`] as words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    word: Word,
    #[serde(deserialize_with = "presentable")]
    sentence: String,
    answer: Option<Told>,
    #[serde(deserialize_with = "presentable_if_any")]
    cause: Option<String>,
    /// What a person must see to.
    alarm: Option<AlarmKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    Unavailable,
    Locked,
    NoSuchKey,
    Refused,
    Unreadable,
    Unsupported,
}

/// Text for people from a process that loads foreign code: not more than they read, and nothing that a terminal obeys.
pub(crate) fn presentable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(shown)
}

pub(crate) fn presentable_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(shown))
}

fn shown(text: String) -> String {
    if text.len() <= LONGEST && !text.contains(char::is_control) {
        return text;
    }
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(LONGEST).map(plain).collect()
}

impl Failed {
    pub(crate) fn new(error: &Error) -> Self {
        let (word, fault) = match error {
            Error::Unavailable(fault) => (Word::Unavailable, fault),
            Error::Locked(fault) => (Word::Locked, fault),
            Error::NoSuchKey(fault) => (Word::NoSuchKey, fault),
            Error::Refused(fault) => (Word::Refused, fault),
            Error::Unreadable(fault) => (Word::Unreadable, fault),
            Error::Unsupported(fault) => (Word::Unsupported, fault),
        };
        let answer = fault.answer().map(Answer::told);
        let cause = match answer {
            Some(_) => None,
            None => std::error::Error::source(fault).map(ToString::to_string),
        };
        Self { word, sentence: fault.to_string(), answer, cause, alarm: error.alarm() }
    }

    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Whether a token or a key that is out of sight may be seen by an agent that starts afresh.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.word, Word::Unavailable | Word::NoSuchKey)
            || self.alarm == Some(AlarmKind::Replaced)
    }

    /// Whether it says something of one key only, and nothing of others that the token holds.
    pub(crate) fn is_about_one_key(&self) -> bool {
        self.word == Word::NoSuchKey
    }

    /// An alarm that only a restart of the service ends.
    pub(crate) fn lasting_alarm(&self) -> Option<AlarmKind> {
        self.alarm.filter(|kind| matches!(kind, AlarmKind::Pin | AlarmKind::Quarantine))
    }

    pub(crate) fn into_error(self) -> Error {
        let fault = match (self.answer, self.cause) {
            (Some(told), _) => Fault::caused_by(self.sentence, Answer::from(told)),
            (None, Some(cause)) => Fault::caused_by(self.sentence, std::io::Error::other(cause)),
            (None, None) => Fault::from(self.sentence),
        };
        let fault = match self.alarm {
            Some(kind) => fault.alarming(kind),
            None => fault,
        };
        match self.word {
            Word::Unavailable => Error::Unavailable(fault),
            Word::Locked => Error::Locked(fault),
            Word::NoSuchKey => Error::NoSuchKey(fault),
            Word::Refused => Error::Refused(fault),
            Word::Unreadable => Error::Unreadable(fault),
            Word::Unsupported => Error::Unsupported(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use cryptoki::context::Function;
    use cryptoki::error::{Error as Pkcs11Error, RvError};
    use std::error::Error as _;

    #[test]
    fn an_error_arrives_as_it_was_sent() {
        let answer = Answer::from(Pkcs11Error::Pkcs11(RvError::DeviceRemoved, Function::Sign));
        let error = Error::Unavailable(Fault::caused_by("the token does not sign", answer));
        let arrived = Failed::new(&error).into_error();
        assert_eq!(arrived.to_string(), "the token does not sign");
        let source = arrived.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("C_Sign answered CKR_DEVICE_REMOVED"));
        let Error::Unavailable(fault) = arrived else { panic!("the word changed") };
        assert_eq!(fault.answer().and_then(Answer::function).as_deref(), Some("C_Sign"));
    }

    #[test]
    fn what_an_agent_says_is_short_and_plain() {
        let told = "\u{1b}[2Jowned\u{9b}31m\n".to_owned() + &"x".repeat(5000);
        let octets = postcard::to_stdvec(&Failed {
            word: Word::Refused,
            sentence: told.clone(),
            answer: None,
            cause: Some(told),
            alarm: None,
        });
        let failed: Failed = postcard::from_bytes(&octets.unwrap()).unwrap();
        for text in [failed.sentence, failed.cause.unwrap()] {
            assert!(text.starts_with(" [2Jowned 31m xxx"), "{text:?}");
            assert_eq!(text.chars().count(), LONGEST);
        }
    }

    #[test]
    fn every_word_arrives() {
        for word in [
            Error::Unavailable,
            Error::Locked,
            Error::NoSuchKey,
            Error::Refused,
            Error::Unreadable,
            Error::Unsupported,
        ] {
            let sent = word("a sentence".into());
            let arrived = Failed::new(&sent).into_error();
            assert_eq!(std::mem::discriminant(&arrived), std::mem::discriminant(&sent));
        }
    }
}
