//! Environment that a token module needs. It must be there before the module is loaded.
//!
//! Changing the environment of a running process is unsafe, so a service whose environment is not
//! as configured replaces itself once by the same program with the right one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Tells the new program that it has been through here, so that it never replaces itself twice.
pub(super) const MARKER: &str = "SEALWRIGHT_ENVIRONMENT_SET";

/// Why the environment is not as it must be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It was set, and it still is not there: a variable that cannot be set.
    #[error(
        "the environment variable {0} of the token cannot be set; correct it in sealwright.toml"
    )]
    Stubborn(String),
    /// The program could not be started again.
    #[error("the service cannot start itself again with the environment that its token needs")]
    Exec(#[source] std::io::Error),
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    GoOn,
    Replace,
    GiveUp(String),
}

/// Returns when the environment is as wanted; otherwise this process becomes a new one.
///
/// # Errors
/// See [`Error`].
pub(crate) fn ensure(wanted: &BTreeMap<String, String>) -> Result<(), Error> {
    match step(wanted, |name| std::env::var_os(name)) {
        Step::GoOn => Ok(()),
        Step::GiveUp(name) => Err(Error::Stubborn(name)),
        Step::Replace => {
            let program = std::env::current_exe().map_err(Error::Exec)?;
            let mut arguments = std::env::args_os();
            let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
            let refusal = Command::new(&program)
                .arg0(name)
                .args(arguments)
                .envs(wanted)
                .env(MARKER, "1")
                .exec();
            Err(Error::Exec(refusal))
        }
    }
}

fn step(wanted: &BTreeMap<String, String>, present: impl Fn(&str) -> Option<OsString>) -> Step {
    let missing = wanted
        .iter()
        .find(|(name, value)| present(name).as_deref() != Some(std::ffi::OsStr::new(value)));
    match missing {
        None => Step::GoOn,
        Some((name, _)) if present(MARKER).is_some() => Step::GiveUp(name.clone()),
        Some(_) => Step::Replace,
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKER, Step, step};
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    fn judged(present: &[(&str, &str)]) -> Step {
        let wanted = BTreeMap::from([("SOFTHSM2_CONF".to_owned(), "/a.conf".to_owned())]);
        step(&wanted, |name| {
            present.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_service_replaces_itself_at_most_once() {
        assert_eq!(judged(&[("SOFTHSM2_CONF", "/a.conf")]), Step::GoOn);
        assert_eq!(judged(&[("SOFTHSM2_CONF", "/b.conf")]), Step::Replace);
        assert_eq!(judged(&[]), Step::Replace);
        assert_eq!(judged(&[(MARKER, "1")]), Step::GiveUp("SOFTHSM2_CONF".to_owned()));
        assert_eq!(judged(&[(MARKER, "1"), ("SOFTHSM2_CONF", "/a.conf")]), Step::GoOn);
    }

    #[test]
    fn nothing_wanted_is_always_there() {
        assert_eq!(step(&BTreeMap::new(), |_| None), Step::GoOn);
    }
}
