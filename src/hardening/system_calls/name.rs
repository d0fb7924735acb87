//! Names of system calls, checked when they are read.

use std::fmt;

use seccompiler::TargetArch;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A system call that this architecture has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SystemCallName(String);

/// A name that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is no system call of this machine; take the name as strace prints it (ausyscall turns the \
     number in a line of the kernel's log into it)"
)]
pub struct UnknownSystemCall(String);

impl SystemCallName {
    /// As strace writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SystemCallName {
    type Error = UnknownSystemCall;

    fn try_from(name: String) -> Result<Self, UnknownSystemCall> {
        // Elsewhere there is no filter anyway.
        let target = TargetArch::try_from(std::env::consts::ARCH).unwrap_or(TargetArch::x86_64);
        if is_known(&name, target) { Ok(Self(name)) } else { Err(UnknownSystemCall(name)) }
    }
}

impl From<SystemCallName> for String {
    fn from(name: SystemCallName) -> Self {
        name.0
    }
}

impl fmt::Display for SystemCallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// seccompiler keeps its tables to itself and shows them through its compiler only.
pub(super) fn is_known(name: &str, target: TargetArch) -> bool {
    let filter = json!({
        "mismatch_action": "allow",
        "match_action": "log",
        "filter": [{ "syscall": name }],
    });
    super::compile(&filter, target).is_ok()
}
