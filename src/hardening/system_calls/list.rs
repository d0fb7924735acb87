//! The lines of a list: `ACTION NAME [CONDITION] -- why`.

use serde_json::{Value, json};

use super::Error;

/// The call does not exist on this kernel: libraries then use the one that came before it.
pub(super) const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
const EACCES: u32 = 13;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It is answered with this error.
    Fail(u32),
}

impl Action {
    pub(super) const fn error(self) -> Option<u32> {
        match self {
            Self::Allow => None,
            Self::Fail(error) => Some(error),
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) action: Action,
    pub(super) name: String,
    pub(super) condition: Option<Condition>,
}

impl Rule {
    pub(super) fn allow(name: &str) -> Self {
        Self { action: Action::Allow, name: name.to_owned(), condition: None }
    }
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    argument: u8,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// Some bits have a value. Of the argument the low 32 bits count: it is an `int` or fits one.
    Bits { mask: u32, value: u32 },
    /// No address. All 64 bits count: memory can lie where the low half of its address is zero.
    Null,
}

impl Condition {
    pub(super) fn to_json(self) -> Value {
        let (kind, test, value) = match self.test {
            Test::Bits { mask, value } => ("dword", json!({ "masked_eq": mask }), value),
            Test::Null => ("qword", json!("eq"), 0),
        };
        json!({ "index": self.argument, "type": kind, "op": test, "val": value })
    }
}

/// `own`: the process id that stands where a list says `own`.
pub(super) fn parse(text: &str, own: u32) -> Result<Vec<Rule>, Error> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            rule(line, own).ok_or_else(|| Error::List { line: at + 1, what: format!("'{line}'") })
        })
        .collect()
}

fn rule(line: &str, own: u32) -> Option<Rule> {
    let (rule, why) = line.split_once(" -- ")?;
    let mut words = rule.split_whitespace();
    let action = match words.next()? {
        "allow" => Action::Allow,
        "EPERM" => Action::Fail(EPERM),
        "EACCES" => Action::Fail(EACCES),
        "ENOSYS" => Action::Fail(ENOSYS),
        _ => return None,
    };
    let name = words.next()?.to_owned();
    let condition = match words.next() {
        Some(word) => Some(condition(word, own)?),
        None => None,
    };
    (words.next().is_none() && !why.trim().is_empty()).then_some(Rule { action, name, condition })
}

/// `N=VALUE`, `N&MASK=VALUE` or `N=null`
fn condition(word: &str, own: u32) -> Option<Condition> {
    let (left, value) = word.split_once('=')?;
    let (argument, mask) = match left.split_once('&') {
        Some((argument, mask)) => (argument, number(mask)?),
        None => (left, u32::MAX),
    };
    let argument = argument.parse().ok().filter(|argument| *argument < 6)?;
    if value == "null" {
        return (mask == u32::MAX).then_some(Condition { argument, test: Test::Null });
    }
    let value = if value == "own" { own } else { number(value)? };
    // Bits outside of the mask can never be equal.
    (value & !mask == 0).then_some(Condition { argument, test: Test::Bits { mask, value } })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
