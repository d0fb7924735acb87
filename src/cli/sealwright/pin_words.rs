//! A PIN on a command line is in the process table and in the shell's history: there is no option
//! for it, and whoever tries is told where a PIN may come from.

use std::ffi::OsString;

/// The options that take a PIN's source, which is no secret.
const SOURCES: [&str; 2] = ["--ca-pin", "--sealing-pin"];

/// Somebody tried to give a PIN. What was given is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{option}: a PIN is never given on the command line, where other users can read it. Name its source \
     with --ca-pin or --sealing-pin: file:PATH (a file of mode 0600), fd:NUMBER (an open descriptor), \
     credential:NAME (a systemd credential) or prompt (you are asked). If a PIN was typed here, change it"
)]
pub(super) struct PinTyped {
    option: String,
}

/// Refuses options that look as if they carried a PIN, and PINs where a source is due.
pub(super) fn refuse(arguments: &[OsString]) -> Result<(), PinTyped> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    for (at, word) in words.iter().enumerate().skip(1) {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word.as_ref(), words.get(at + 1).map(AsRef::as_ref)),
        };
        if !option.starts_with("--") {
            continue;
        }
        let suspicious = if SOURCES.contains(&option) {
            value.is_some_and(|value| value.parse::<hsm::PinSource>().is_err())
        } else {
            ["pin", "password", "passphrase"].iter().any(|end| option.ends_with(end))
        };
        if suspicious {
            return Err(PinTyped { option: option.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::refuse;
    use std::ffi::OsString;

    fn judged(line: &str) -> Result<(), String> {
        let words: Vec<OsString> =
            std::iter::once("sealwright").chain(line.split(' ')).map(OsString::from).collect();
        refuse(&words).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_pin_is_refused_and_not_repeated() {
        for line in [
            "init --pin 73551",
            "init --pin=73551",
            "init --so-pin 73551",
            "init --ca-so-pin=73551",
            "init --user-pin=73551",
            "init --password 73551",
            "init --ca-pin 73551",
            "init --sealing-pin=73551",
            "init --ca-pin pin:73551",
        ] {
            let refused = judged(line).unwrap_err();
            assert!(refused.contains("file:PATH"), "{line}: {refused}");
            assert!(!refused.contains("73551"), "{line}: {refused}");
        }
    }

    #[test]
    fn sources_pass() {
        for line in [
            "init --ca-pin file:/run/pin --sealing-pin=prompt",
            "init --ca-pin fd:3",
            "init --ca-pin credential:ca",
            "init --hostname pin",
        ] {
            assert_eq!(judged(line), Ok(()), "{line}");
        }
    }
}
