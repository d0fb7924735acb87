//! What is to be broken, and when.

use std::fmt;
use std::str::FromStr;

use crate::Function;

/// What a rule does to a call. The crate's page says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This return value instead of the call.
    Answer(u64),
    /// The call, then this return value.
    AnswerAfter(u64),
    /// So many milliseconds before the call.
    Delay(u64),
    /// So many milliseconds in all.
    Pace(u64),
    /// Until it is released.
    Hang,
    /// The process ends by `SIGABRT`.
    Abort,
    /// The process exits with this code.
    Exit(u8),
    /// One bit of the output is another one.
    Flip,
    /// The first octets of this attribute, and no more than so many.
    Truncate {
        /// `CKA_…`
        attribute: u64,
        /// What is left of it.
        octets: u64,
    },
    /// A search without this attribute.
    Ignore(u64),
    /// The first object that was found, once more.
    Twice,
    /// Nothing is found, or listed.
    Empty,
    /// Other numbers of slots.
    Renumber,
    /// The PIN locks after so many wrong ones.
    PinTries(u64),
    /// Further flags of the token.
    Flags(u64),
}

/// An effect on the calls of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which function.
    pub function: Function,
    /// What happens to its calls.
    pub effect: Effect,
    /// Calls that go by first.
    pub skip: u64,
    /// Calls that are hit after these; `None` for all.
    pub count: Option<u64>,
}

/// Why a text is no rule.
#[derive(Debug, PartialEq, Eq)]
pub struct NotARule(pub(crate) String);

/// The rules of a text: one a line, or with `;` between them. What follows a `#` is a comment.
///
/// # Errors
/// The first one that is no rule.
pub fn rules(text: &str) -> Result<Vec<Rule>, NotARule> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let rules = lines.flat_map(|line| line.split(';')).map(str::trim);
    rules.filter(|rule| !rule.is_empty()).map(str::parse).collect()
}

impl Effect {
    /// Where it means something; a rule that would do nothing is refused.
    fn fits(self, function: Function) -> bool {
        match self {
            Self::Flip => crate::module::GIVING.contains(&Some(function.name())),
            Self::Truncate { .. } => function.name() == "C_GetAttributeValue",
            Self::Ignore(_) => function.name() == "C_FindObjectsInit",
            Self::Twice => function.name() == "C_FindObjects",
            Self::Empty => ["C_FindObjects", "C_GetSlotList"].contains(&function.name()),
            Self::Renumber => function.name() == "C_Initialize",
            Self::PinTries(_) => function.name() == "C_Login",
            Self::Flags(_) => function.name() == "C_GetTokenInfo",
            // It would leave the caller without what it was promised.
            Self::Answer(value) | Self::AnswerAfter(value) => value != 0,
            _ => true,
        }
    }
}

impl FromStr for Effect {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let (word, value) = text.split_once('=').unwrap_or((text, ""));
        Ok(match word {
            "answer" => Self::Answer(number(value)?),
            "answer-after" => Self::AnswerAfter(number(value)?),
            "delay" => Self::Delay(number(value)?),
            "pace" => Self::Pace(number(value)?),
            "exit" => Self::Exit(
                value.parse().map_err(|_| NotARule(format!("'{value}' is no exit code")))?,
            ),
            "truncate" => {
                let (attribute, octets) = value.split_once(':').unwrap_or((value, ""));
                Self::Truncate { attribute: number(attribute)?, octets: number(octets)? }
            }
            "ignore" => Self::Ignore(number(value)?),
            "pin-tries" => Self::PinTries(number(value)?),
            "flags" => Self::Flags(number(value)?),
            "hang" | "abort" | "flip" | "twice" | "empty" | "renumber" if text.contains('=') => {
                return Err(NotARule(format!("'{word}' takes no value")));
            }
            "hang" => Self::Hang,
            "abort" => Self::Abort,
            "flip" => Self::Flip,
            "twice" => Self::Twice,
            "empty" => Self::Empty,
            "renumber" => Self::Renumber,
            _ => return Err(NotARule(format!("'{word}' is no effect"))),
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(value) => write!(f, "answer={value:#x}"),
            Self::AnswerAfter(value) => write!(f, "answer-after={value:#x}"),
            Self::Delay(milliseconds) => write!(f, "delay={milliseconds}"),
            Self::Pace(milliseconds) => write!(f, "pace={milliseconds}"),
            Self::Hang => f.write_str("hang"),
            Self::Abort => f.write_str("abort"),
            Self::Exit(code) => write!(f, "exit={code}"),
            Self::Flip => f.write_str("flip"),
            Self::Truncate { attribute, octets } => write!(f, "truncate={attribute:#x}:{octets}"),
            Self::Ignore(attribute) => write!(f, "ignore={attribute:#x}"),
            Self::Twice => f.write_str("twice"),
            Self::Empty => f.write_str("empty"),
            Self::Renumber => f.write_str("renumber"),
            Self::PinTries(tries) => write!(f, "pin-tries={tries}"),
            Self::Flags(flags) => write!(f, "flags={flags:#x}"),
        }
    }
}

impl FromStr for Rule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let mut words = text.split_whitespace();
        let (Some(function), Some(effect)) = (words.next(), words.next()) else {
            return Err(NotARule(format!("'{text}' is not FUNCTION EFFECT [skip=N] [count=N]")));
        };
        let (function, effect): (Function, Effect) = (function.parse()?, effect.parse()?);
        if !effect.fits(function) {
            return Err(NotARule(format!("'{effect}' means nothing at {function}")));
        }
        let mut rule = Self { function, effect, skip: 0, count: None };
        for word in words {
            match word.split_once('=') {
                Some(("skip", value)) => rule.skip = number(value)?,
                Some(("count", value)) => rule.count = Some(number(value)?),
                _ => return Err(NotARule(format!("'{word}' is neither skip=N nor count=N"))),
            }
        }
        Ok(rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.function, self.effect)?;
        if self.skip > 0 {
            write!(f, " skip={}", self.skip)?;
        }
        self.count.map_or(Ok(()), |count| write!(f, " count={count}"))
    }
}

impl fmt::Display for NotARule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotARule {}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Result<u64, NotARule> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|_| NotARule(format!("'{text}' is no number")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rule_reads_back_as_it_was_written() {
        for text in [
            "C_Sign answer=0x30 skip=2 count=1",
            "C_Sign answer-after=0x100",
            "C_Sign delay=5",
            "C_Sign pace=2 count=16",
            "C_Initialize hang count=1",
            "C_Decrypt abort",
            "C_GetFunctionList exit=3",
            "C_SignFinal flip",
            "C_GetAttributeValue truncate=0x102:4",
            "C_FindObjectsInit ignore=0x102",
            "C_FindObjects twice",
            "C_GetSlotList empty",
            "C_Initialize renumber",
            "C_Login pin-tries=3",
            "C_GetTokenInfo flags=0x40000",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        for text in [
            "",
            "C_Sign",
            "C_Sgin hang",
            "C_Sign hung",
            "C_Sign hang=2",
            "C_Sign answer",
            "C_Sign answer=0",
            "C_Sign answer-after=0",
            "C_Sign answer=CKR_OK",
            "C_Sign twice",
            "C_Login flip",
            "C_Sign hang for=2",
            "C_Sign exit=256",
            "C_GetAttributeValue truncate=0x102",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn rules_stand_in_lines_or_between_semicolons() {
        let text = "# of a network HSM\nC_Sign pace=2; C_Login delay=20 # slow\n\n;\nC_Sign flip\n";
        let read: Vec<_> = rules(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(read, ["C_Sign pace=2", "C_Login delay=20", "C_Sign flip"]);
        assert_eq!(
            rules("C_Sign flip; nonsense").unwrap_err().to_string().split('\'').nth(1),
            Some("nonsense")
        );
    }
}
