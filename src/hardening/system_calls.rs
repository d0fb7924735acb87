//! Which system calls a token agent may make (seccomp(2)): lists as data, turned into filters.
//!
//! The lists lie beside this file in `system_calls/`. What is on none ends the process at once, so that
//! its parent sees `SIGSYS`; a few calls that libraries try and can do without are answered with an
//! error instead. Both are told by filters on top of each other: of all their answers the kernel takes
//! the strictest, and an allow-list cannot refuse.

mod list;
mod name;

use std::collections::BTreeSet;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};

use list::{Action, Rule};
pub use name::{SystemCallName, UnknownSystemCall};

const SOFTHSM: &str = include_str!("system_calls/softhsm.txt");
const VENDOR: &str = include_str!("system_calls/vendor.txt");
const WRITING: &str = include_str!("system_calls/writing.txt");

/// The system calls that are permitted. `also` names further ones, with whatever arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemCalls {
    /// What SoftHSM needs, and nothing else: no socket, no other process, no file to write.
    SoftHsm {
        /// Permitted besides.
        also: Vec<SystemCallName>,
    },
    /// The same with network clients, devices and shared memory.
    Vendor {
        /// Permitted besides.
        also: Vec<SystemCallName>,
    },
    /// Nothing is refused; what is not on SoftHSM's list is logged by the kernel.
    LogOnly {
        /// Not logged either.
        also: Vec<SystemCallName>,
    },
    /// No filter.
    Off,
}

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No list for this architecture.
    #[error("there is no list of system calls for {0}; set system_calls = \"off\"")]
    Architecture(&'static str),
    /// A list of ours is not written as it must be: a defect of this program.
    #[error("line {line} of a list of system calls is not understood: {what}")]
    List {
        /// Its number.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The filter cannot be compiled or installed.
    #[error(
        "the kernel cannot be told which system calls are permitted; use a kernel with seccomp filters, \
         or set system_calls = \"off\""
    )]
    Filter(#[from] seccompiler::Error),
}

impl SystemCalls {
    /// The word in `system_calls = "…"`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SoftHsm { .. } => "softhsm",
            Self::Vendor { .. } => "vendor",
            Self::LogOnly { .. } => "log",
            Self::Off => "off",
        }
    }

    /// Restricts every thread of the process. `writing`: files are written, below paths that
    /// something else restricts.
    ///
    /// # Errors
    /// See [`Error`].
    pub(super) fn install(&self, writing: bool) -> Result<(), Error> {
        let architecture = std::env::consts::ARCH;
        let target = TargetArch::try_from(architecture)
            .ok()
            .filter(|target| matches!(target, TargetArch::x86_64 | TargetArch::aarch64))
            .ok_or(Error::Architecture(architecture))?;
        for program in self.programs(writing, target, std::process::id())? {
            seccompiler::apply_filter_all_threads(&program)?;
        }
        Ok(())
    }

    /// The filters in the order in which they are installed: the strictest last, since each must let
    /// the next one be installed.
    fn programs(
        &self,
        writing: bool,
        target: TargetArch,
        own: u32,
    ) -> Result<Vec<BpfProgram>, Error> {
        let Some(rules) = self.rules(writing, own)? else { return Ok(Vec::new()) };
        let rules: Vec<Rule> =
            rules.into_iter().filter(|rule| name::is_known(&rule.name, target)).collect();
        let logging = matches!(self, Self::LogOnly { .. });
        let mut filters = Vec::new();
        let errors: BTreeSet<u32> = rules.iter().filter_map(|rule| rule.action.error()).collect();
        for error in errors {
            // A call that does not exist is not missed by anybody, so that it stays away when the others
            // are only watched.
            let answer = match logging && error != list::ENOSYS {
                true => json!("log"),
                false => json!({ "errno": error }),
            };
            let refused = rules.iter().filter(|rule| rule.action.error() == Some(error));
            filters.push(filter(&answer, &json!("allow"), refused)?);
        }
        // What is refused must not end the process, so it is on this list too.
        let refused = if logging { "log" } else { "kill_process" };
        filters.push(filter(&json!("allow"), &json!(refused), rules.iter())?);
        filters.iter().map(|filter| compile(filter, target)).collect()
    }

    /// Every line that counts; `None` where there is no filter.
    fn rules(&self, writing: bool, own: u32) -> Result<Option<Vec<Rule>>, Error> {
        let (also, vendor) = match self {
            Self::SoftHsm { also } | Self::LogOnly { also } => (also, false),
            Self::Vendor { also } => (also, true),
            Self::Off => return Ok(None),
        };
        let mut rules = list::parse(SOFTHSM, own)?;
        let mut more = Vec::new();
        if vendor {
            more.extend(list::parse(VENDOR, own)?);
        }
        if writing {
            more.extend(list::parse(WRITING, own)?);
        }
        more.extend(also.iter().map(|name| Rule::allow(name.as_str())));
        rules.retain(|rule| {
            rule.action == Action::Allow || !more.iter().any(|more| more.name == rule.name)
        });
        rules.extend(more);
        Ok(Some(rules))
    }
}

/// In the JSON of seccompiler.
fn filter<'a>(
    found: &Value,
    otherwise: &Value,
    rules: impl Iterator<Item = &'a Rule>,
) -> Result<Value, Error> {
    let rules: Vec<&Rule> = rules.collect();
    // seccompiler refuses a name both with and without a condition; without is the wider one.
    let anyhow: BTreeSet<&str> = rules
        .iter()
        .filter(|rule| rule.condition.is_none())
        .map(|rule| rule.name.as_str())
        .collect();
    let conditional =
        rules.iter().filter(|rule| !anyhow.contains(rule.name.as_str())).filter_map(|rule| {
            Some(json!({ "syscall": rule.name, "args": [rule.condition?.to_json()] }))
        });
    let plain = anyhow.iter().map(|name| json!({ "syscall": name }));
    let rules: Vec<Value> = plain.chain(conditional).collect();
    Ok(json!({ "mismatch_action": otherwise, "match_action": found, "filter": rules }))
}

fn compile(filter: &Value, target: TargetArch) -> Result<BpfProgram, Error> {
    let text = json!({ "filter": filter }).to_string();
    let mut programs = seccompiler::compile_from_json(text.as_bytes(), target)?;
    programs.remove("filter").ok_or(Error::Filter(seccompiler::Error::EmptyFilter))
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;
