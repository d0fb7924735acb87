//! What is meant: one command, with everything it needs.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use super::failure::Ending;
use super::grammar::is_field;
use super::words::{Typed, Words};
use crate::api::vecs::{ChangePermission, Right};
use crate::base::{KeyAlgorithm, SignatureScheme};
use crate::cli::certool::Fields;
use crate::cli::codes;
use crate::cli::failure::Failure;

/// Kind of key where nothing is said: what certool makes.
const DEFAULT_KEY: KeyAlgorithm = KeyAlgorithm::Rsa(3072);

/// One command that can be run.
#[derive(Debug)]
pub(super) enum Command {
    Help,
    Version,
    StoreList,
    StoreCreate { name: String },
    StoreDelete { name: String, confirmed: bool },
    StorePermission { name: String, change: ChangePermission },
    StorePermissions { name: String },
    EntryCreate { store: String, alias: Option<String>, content: Content },
    EntryList { store: String, detail: Detail },
    EntryDelete { entry: EntryName, confirmed: bool },
    EntryCertificate { entry: EntryName, output: Option<PathBuf>, as_text: bool },
    EntryKey { entry: EntryName, output: Option<PathBuf> },
    EntryGenerate { entry: EntryName, wanted: Box<NewKey> },
    EntrySign { entry: EntryName, files: SignedFiles, scheme: Option<SignatureScheme> },
    ForceRefresh,
}

/// Where an entry is.
#[derive(Debug)]
pub(super) struct EntryName {
    pub(super) store: String,
    pub(super) alias: String,
}

/// The files of a new entry: one or both.
#[derive(Debug)]
pub(super) enum Content {
    Certificates(PathBuf),
    Secret(PathBuf),
    PrivateKey { certificates: PathBuf, key: PathBuf },
}

/// A key that is to be made, and what its certificate is to say.
#[derive(Debug)]
pub(super) struct NewKey {
    pub(super) algorithm: KeyAlgorithm,
    pub(super) config: PathBuf,
    /// From the command line; they win over those of the file.
    pub(super) typed: Fields,
}

/// What is signed, and where the signature goes.
#[derive(Debug)]
pub(super) struct SignedFiles {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
}

/// How much a list says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Aliases,
    Pem,
    Text,
}

/// Turns what was typed into what is meant, or refuses it.
pub(super) fn meant(words: Words) -> Result<Command, Ending> {
    let mut typed = match words {
        Words::Help => return Ok(Command::Help),
        Words::Version => return Ok(Command::Version),
        Words::Verb(typed) => typed,
    };
    only_this_machine(&typed)?;
    Ok(match (typed.verb.group, typed.verb.name) {
        (Some("store"), "list") => Command::StoreList,
        (Some("store"), "create") => Command::StoreCreate { name: text(&mut typed, "--name")? },
        (Some("store"), "delete") => {
            Command::StoreDelete { name: text(&mut typed, "--name")?, confirmed: typed.has("-y") }
        }
        (Some("store"), "permission") => Command::StorePermission {
            name: text(&mut typed, "--name")?,
            change: change(&mut typed)?,
        },
        (Some("store"), "get-permissions") => {
            Command::StorePermissions { name: text(&mut typed, "--name")? }
        }
        (Some("entry"), "create") => new_entry(typed)?,
        (Some("entry"), "list") => Command::EntryList {
            store: text(&mut typed, "--store")?,
            detail: if typed.has("--aliases") {
                Detail::Aliases
            } else if typed.has("--text") {
                Detail::Text
            } else {
                Detail::Pem
            },
        },
        (Some("entry"), "delete") => {
            Command::EntryDelete { entry: entry(&mut typed)?, confirmed: typed.has("-y") }
        }
        (Some("entry"), "getcert") => Command::EntryCertificate {
            entry: entry(&mut typed)?,
            output: typed.take("--output").map(PathBuf::from),
            as_text: typed.has("--text"),
        },
        (Some("entry"), "getkey") => Command::EntryKey {
            entry: entry(&mut typed)?,
            output: typed.take("--output").map(PathBuf::from),
        },
        (Some("entry"), "generate") => {
            Command::EntryGenerate { entry: entry(&mut typed)?, wanted: new_key(&mut typed)? }
        }
        (Some("entry"), "sign") => Command::EntrySign {
            entry: entry(&mut typed)?,
            files: SignedFiles {
                input: typed.take("--in").map(PathBuf::from).unwrap_or_default(),
                output: typed.take("--out").map(PathBuf::from).unwrap_or_default(),
            },
            scheme: parsed(&mut typed, "--scheme")?,
        },
        (None, "force-refresh") => Command::ForceRefresh,
        // Every verb of the table is above; a test goes through them all.
        (_, other) => return Err(Ending::usage(format!("'{other}' is not a command"))),
    })
}

/// The original wants both options for another machine, or none. Another machine is not offered.
fn only_this_machine(typed: &Typed) -> Result<(), Failure> {
    match (typed.has("--server"), typed.has("--upn")) {
        (false, false) => Ok(()),
        (true, true) => Err(Failure::new(
            codes::NOT_SUPPORTED,
            "stores of another machine are not reachable from here; run vecs-cli on that machine, without --server and --upn",
        )),
        _ => Err(Failure::new(
            codes::INVALID_STATE,
            "--server and --upn go together; leave both out for the stores of this machine",
        )),
    }
}

fn change(typed: &mut Typed) -> Result<ChangePermission, Ending> {
    let user = text(typed, "--user")?;
    let (word, grant) = match (typed.take("--grant"), typed.take("--revoke")) {
        (Some(word), None) => (word, true),
        (None, Some(word)) => (word, false),
        _ => return Err(Ending::usage("give either --grant or --revoke")),
    };
    let right = match word.to_str() {
        Some("read") => Right::Read,
        Some("write") => Right::Write,
        Some("readkey") => Right::ReadKey,
        _ => {
            return Err(Ending::usage(format!(
                "'{}' is not a right; the rights are read, write and readkey",
                word.display()
            )));
        }
    };
    Ok(ChangePermission { user, right, grant })
}

fn new_entry(mut typed: Typed) -> Result<Command, Ending> {
    let store = text(&mut typed, "--store")?;
    let alias = typed.take("--alias").map(|alias| readable(alias, "--alias")).transpose()?;
    let certificates = typed.take("--cert").map(PathBuf::from);
    let key = typed.take("--key").map(PathBuf::from);
    let content = match (certificates, key) {
        (Some(certificates), Some(key)) => Content::PrivateKey { certificates, key },
        (Some(certificates), None) => Content::Certificates(certificates),
        (None, Some(key)) => Content::Secret(key),
        (None, None) => {
            return Err(Ending::Failed(Failure::new(
                codes::INVALID_PARAMETER,
                "an entry needs content; add --cert FILE, --key FILE or both",
            )));
        }
    };
    if alias.is_none() && matches!(content, Content::Secret(_)) {
        return Err(Ending::Failed(Failure::new(
            codes::INVALID_PARAMETER,
            "a key without a certificate has no thumbprint to be named by; add --alias ALIAS",
        )));
    }
    Ok(Command::EntryCreate { store, alias, content })
}

fn new_key(typed: &mut Typed) -> Result<Box<NewKey>, Ending> {
    let mut fields = Fields::default();
    for option in typed.verb.options.iter().filter(|option| is_field(option)) {
        if let (Some(value), Some(place)) =
            (typed.take(option.word), fields.place(option.word.trim_start_matches('-')))
        {
            // An empty value says "none".
            *place = Some(value.into_string().map_err(|_| not_text(option.word))?);
        }
    }
    Ok(Box::new(NewKey {
        algorithm: parsed(typed, "--key-algorithm")?.unwrap_or(DEFAULT_KEY),
        config: typed.take("--config").map(PathBuf::from).unwrap_or_default(),
        typed: fields,
    }))
}

/// A value that is one of a few words.
fn parsed<T: FromStr<Err: Display>>(typed: &mut Typed, option: &str) -> Result<Option<T>, Ending> {
    let Some(value) = typed.take(option) else {
        return Ok(None);
    };
    let word = readable(value, option)?;
    word.parse().map(Some).map_err(|cause: T::Err| Ending::usage(cause.to_string()))
}

fn entry(typed: &mut Typed) -> Result<EntryName, Ending> {
    Ok(EntryName { store: text(typed, "--store")?, alias: text(typed, "--alias")? })
}

fn text(typed: &mut Typed, option: &str) -> Result<String, Ending> {
    readable(typed.take(option).unwrap_or_default(), option)
}

/// Names travel as text; one that is not UTF-8 cannot be the name of anything. An empty one would
/// name a folder of things on the wire.
fn readable(value: OsString, option: &str) -> Result<String, Ending> {
    match value.into_string() {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => Err(Ending::usage(format!("the value of {option} is empty"))),
        Err(_) => Err(not_text(option)),
    }
}

fn not_text(option: &str) -> Ending {
    Ending::usage(format!("the value of {option} is not UTF-8 text"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Command, Content, Ending, meant};
    use crate::api::vecs::Right;
    use crate::cli::vecs_cli::grammar::VERBS;
    use crate::cli::vecs_cli::words::read;

    fn command(line: &str) -> Result<Command, Ending> {
        read(line.split(' ').map(Into::into)).and_then(meant)
    }

    #[test]
    fn every_verb_of_the_table_means_something() {
        for verb in VERBS {
            let mut line: Vec<_> = verb.group.iter().copied().chain([verb.name]).collect();
            for option in verb.options.iter().filter(|option| option.required) {
                line.extend([option.word, "x"]);
            }
            if verb.name == "permission" {
                line.extend(["--grant", "read"]);
            }
            if (verb.group, verb.name) == (Some("entry"), "create") {
                line.extend(["--cert", "file"]);
            }
            assert!(command(&line.join(" ")).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn readkey_is_a_right_of_its_own() {
        let Command::StorePermission { change, .. } =
            command("store permission --name s --user u --revoke readkey").unwrap()
        else {
            panic!();
        };
        assert_eq!(change.right, Right::ReadKey);
        assert!(!change.grant);
        for rest in ["", " --grant all", " --grant read --revoke read"] {
            let line = format!("store permission --name s --user u{rest}");
            assert!(command(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_secret_needs_an_alias_and_a_certificate_does_not() {
        assert!(command("entry create --store s --key k").is_err());
        assert!(matches!(
            command("entry create --store s --cert c").unwrap(),
            Command::EntryCreate { alias: None, content: Content::Certificates(_), .. }
        ));
    }
}
