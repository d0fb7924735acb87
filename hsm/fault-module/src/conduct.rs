//! How a call of the module goes: what to do with it is asked, done, and told again.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cryptoki_sys::CK_RV;

use crate::faults::Faults;
use crate::line::Line;
use crate::{CONTROL, Effect, Function, NO_CONTROL, RULES};

static RULED_BY: OnceLock<Ruler> = OnceLock::new();

/// Who knows the rules.
enum Ruler {
    /// This process, for itself.
    Here(Faults),
    /// A controller behind a socket.
    There { path: PathBuf, idle: Mutex<Idle> },
    /// Nobody, because the environment makes no sense.
    Nobody,
}

/// Connections that no call uses at the moment: each call has one alone, because it may hang there.
#[derive(Default)]
struct Idle {
    /// The process that opened them. One that was forked from it must not speak into them.
    process: u32,
    lines: Vec<Line>,
}

/// What is done to one call on its way.
pub(crate) struct Turn {
    effects: Vec<Effect>,
    began: Instant,
}

/// Runs one call. `call` forwards it, and changes what the effects say.
pub(crate) fn conduct(function: Function, call: impl FnOnce(&Turn) -> CK_RV) -> CK_RV {
    let ruler = RULED_BY.get_or_init(Ruler::from_environment);
    let (began, mut line) = (Instant::now(), None);
    let effects = match ruler.enter(function, &mut line) {
        Ok(effects) => effects,
        Err(cause) => {
            eprintln!("fault module: {function} is not let in: {cause}");
            return NO_CONTROL;
        }
    };
    let turn = Turn { effects, began };
    turn.before();
    let value = turn.answer().unwrap_or_else(|| call(&turn));
    let value = turn.answer_after().unwrap_or(value);
    turn.pace();
    if let Err(cause) = ruler.leave(function, value, line) {
        eprintln!("fault module: {function} is not let out: {cause}");
        return NO_CONTROL;
    }
    value
}

impl Turn {
    fn before(&self) {
        for effect in &self.effects {
            match effect {
                Effect::Delay(milliseconds) => sleep(Duration::from_millis(*milliseconds)),
                Effect::Abort => std::process::abort(),
                Effect::Exit(code) => std::process::exit(i32::from(*code)),
                // A controller keeps such a call waiting; here nobody could release it.
                Effect::Hang => loop {
                    std::thread::park();
                },
                _ => {}
            }
        }
    }

    fn pace(&self) {
        for effect in &self.effects {
            if let Effect::Pace(milliseconds) = effect {
                sleep(Duration::from_millis(*milliseconds).saturating_sub(self.began.elapsed()));
            }
        }
    }

    fn answer(&self) -> Option<CK_RV> {
        self.first(|effect| match effect {
            Effect::Answer(value) => Some(value),
            _ => None,
        })
    }

    fn answer_after(&self) -> Option<CK_RV> {
        self.first(|effect| match effect {
            Effect::AnswerAfter(value) => Some(value),
            _ => None,
        })
    }

    /// Whether this effect, which has no value, was asked for.
    pub(crate) fn has(&self, effect: Effect) -> bool {
        self.effects.contains(&effect)
    }

    /// How much of this attribute is given.
    pub(crate) fn octets_of(&self, of: u64) -> Option<u64> {
        self.first(|effect| match effect {
            Effect::Truncate { attribute, octets } if attribute == of => Some(octets),
            _ => None,
        })
    }

    /// Whether a search is made without this attribute.
    pub(crate) fn ignores(&self, attribute: u64) -> bool {
        self.has(Effect::Ignore(attribute))
    }

    /// Further flags of a token.
    pub(crate) fn flags(&self) -> u64 {
        self.effects.iter().fold(0, |flags, effect| match effect {
            Effect::Flags(more) => flags | more,
            _ => flags,
        })
    }

    fn first<T>(&self, of: impl Fn(Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().find_map(|effect| of(*effect))
    }
}

impl Ruler {
    fn from_environment() -> Self {
        match (std::env::var_os(CONTROL), std::env::var(RULES)) {
            (Some(path), Err(_)) => Self::There { path: path.into(), idle: Mutex::default() },
            (None, Err(_)) => Self::Here(Faults::default()),
            (None, Ok(rules)) => Self::ruled_by(&rules).unwrap_or_else(|cause| {
                eprintln!("fault module: {RULES}: {cause}");
                Self::Nobody
            }),
            (Some(_), Ok(_)) => {
                eprintln!("fault module: set {CONTROL} or {RULES}, not both");
                Self::Nobody
            }
        }
    }

    fn ruled_by(rules: &str) -> io::Result<Self> {
        let text = match rules.starts_with('/') {
            true => std::fs::read_to_string(rules)?,
            false => rules.to_owned(),
        };
        let faults = Faults::default();
        crate::rules(&text)
            .map_err(io::Error::other)?
            .into_iter()
            .for_each(|rule| faults.add(rule));
        Ok(Self::Here(faults))
    }

    /// What to do with a call. `line`: where it is told that the call is over.
    fn enter(&self, function: Function, line: &mut Option<Line>) -> io::Result<Vec<Effect>> {
        match self {
            Self::Here(faults) => Ok(faults.enter(function).0),
            Self::There { path, idle } => {
                let found = mine(&mut idle.lock().unwrap_or_else(PoisonError::into_inner)).pop();
                let mut free = match found {
                    Some(line) => line,
                    None => Line::connect(path)?,
                };
                let told = free.ask(&format!("enter {function}"))?;
                *line = Some(free);
                told.iter().map(|effect| effect.parse().map_err(io::Error::other)).collect()
            }
            Self::Nobody => Err(io::Error::other("the module's environment makes no sense")),
        }
    }

    fn leave(&self, function: Function, value: CK_RV, line: Option<Line>) -> io::Result<()> {
        match (self, line) {
            (Self::Here(faults), _) => faults.leave(function, value),
            (Self::There { idle, .. }, Some(mut line)) => {
                line.ask(&format!("leave {function} {value:#x}"))?;
                mine(&mut idle.lock().unwrap_or_else(PoisonError::into_inner)).push(line);
            }
            _ => {}
        }
        Ok(())
    }
}

fn mine(idle: &mut Idle) -> &mut Vec<Line> {
    let process = std::process::id();
    if idle.process != process {
        *idle = Idle { process, lines: Vec::new() };
    }
    &mut idle.lines
}
