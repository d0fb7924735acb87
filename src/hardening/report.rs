//! What a sandbox keeps in force, and what it does not.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One thing that a sandbox does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Programs with more rights cannot be started (`PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// No core dump, and no inspection by other processes of the same user.
    NoInspection,
    /// Memory never reaches a swap device.
    MemoryLock,
    /// Files: read below the listed paths, written below others or nowhere, executed nowhere.
    Files,
    /// No TCP connection, no TCP port.
    Network,
    /// No signal to processes outside, no abstract socket of theirs.
    Scope,
    /// A list of system calls.
    SystemCalls,
}

impl Measure {
    const fn words(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "no new privileges",
            Self::NoInspection => "no core dump, no inspection",
            Self::MemoryLock => "memory kept out of swap",
            Self::Files => "files only where listed",
            Self::Network => "no TCP",
            Self::Scope => "no signals to other processes",
            Self::SystemCalls => "system calls only where listed",
        }
    }
}

/// How far a measure goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum Outcome {
    /// In force.
    Enforced,
    /// In force with a hole that the text names.
    Partly(String),
    /// Not in force; why, and what to do.
    Missing(String),
    /// The configuration says so.
    SwitchedOff,
}

/// A measure and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// What it is.
    pub measure: Measure,
    /// How far it goes.
    pub outcome: Outcome,
}

/// A path that was listed and could not be opened: nothing below it can be reached, even if it appears
/// later. A new process sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// The path.
    pub path: PathBuf,
    /// Why it could not be opened.
    pub why: String,
}

/// What a sandbox keeps in force, measure by measure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Every measure, once.
    pub standings: Vec<Standing>,
    /// Listed paths that are not there.
    pub absent: Vec<Absent>,
}

impl Report {
    pub(super) fn add(&mut self, measure: Measure, outcome: Outcome) {
        self.standings.push(Standing { measure, outcome });
    }

    /// How far a measure goes.
    pub fn outcome(&self, measure: Measure) -> Option<&Outcome> {
        let standing = self.standings.iter().find(|standing| standing.measure == measure)?;
        Some(&standing.outcome)
    }

    /// A sentence for everything that is not in force although it should be, and for every absent
    /// path. Empty where nothing is missing; what was switched off on purpose is not missing.
    pub fn gaps(&self) -> Vec<String> {
        let standings = self.standings.iter().filter_map(|standing| match &standing.outcome {
            Outcome::Enforced | Outcome::SwitchedOff => None,
            Outcome::Partly(why) => Some(format!("{}: {why}", standing.measure.words())),
            Outcome::Missing(why) => Some(format!("not {}: {why}", standing.measure.words())),
        });
        let absent = self
            .absent
            .iter()
            .map(|absent| format!("{} cannot be opened ({})", absent.path.display(), absent.why));
        standings.chain(absent).collect()
    }

    /// One line for a log.
    pub fn summary(&self) -> String {
        let words = |wanted: fn(&Outcome) -> bool| {
            let found = self.standings.iter().filter(|standing| wanted(&standing.outcome));
            found.map(|standing| standing.measure.words()).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            "sandbox: {}",
            words(|outcome| matches!(outcome, Outcome::Enforced | Outcome::Partly(_)))
        );
        let off = words(|outcome| *outcome == Outcome::SwitchedOff);
        if !off.is_empty() {
            text.push_str("; switched off: ");
            text.push_str(&off);
        }
        for gap in self.gaps() {
            text.push_str("; ");
            text.push_str(&gap);
        }
        text
    }
}
