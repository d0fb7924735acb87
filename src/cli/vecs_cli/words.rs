//! Reads a command line of vecs-cli word by word, by the table in `grammar`.

use std::ffi::OsString;

use super::failure::Ending;
use super::grammar::{Opt, Repeated, VERBS, Verb};

/// A verb and the options that count.
#[derive(Debug)]
pub(super) struct Typed {
    /// The verb.
    pub(super) verb: &'static Verb,
    /// Option and value; an option without a value has an empty one. No option is here twice.
    given: Vec<(&'static str, OsString)>,
}

/// What was typed; a call for help instead of a verb or an option is the verb `help`.
#[derive(Debug)]
pub(super) enum Words {
    /// Show the usage text.
    Help,
    /// Show the version.
    Version,
    /// A verb.
    Verb(Typed),
}

impl Typed {
    /// The value of an option, taken out.
    pub(super) fn take(&mut self, option: &str) -> Option<OsString> {
        let at = self.given.iter().position(|(word, _)| *word == option)?;
        Some(self.given.swap_remove(at).1)
    }

    /// Whether an option was given.
    pub(super) fn has(&self, option: &str) -> bool {
        self.given.iter().any(|(word, _)| *word == option)
    }
}

/// Reads the words after the name of the program.
pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Words, Ending> {
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Err(Ending::usage("a command is missing"));
    };
    if first == "--help" || first == "-h" {
        return Ok(Words::Help);
    }
    if first == "--version" {
        return Ok(Words::Version);
    }
    let is_group = VERBS
        .iter()
        .any(|verb| verb.group.is_some_and(|group| first == group));
    let verb = if is_group {
        match words.next() {
            None => {
                return Err(Ending::usage(format!(
                    "a verb is missing after '{}'",
                    first.display()
                )));
            }
            Some(word) if word == "--help" => return Ok(Words::Help),
            Some(word) => VERBS
                .iter()
                .find(|verb| verb.group.is_some_and(|group| first == group) && word == verb.name)
                .ok_or_else(|| {
                    Ending::usage(format!(
                        "'{} {}' is not a command",
                        first.display(),
                        word.display()
                    ))
                })?,
        }
    } else {
        VERBS
            .iter()
            .find(|verb| verb.group.is_none() && first == verb.name)
            .ok_or_else(|| Ending::usage(format!("'{}' is not a command", first.display())))?
    };
    if verb.name == "help" {
        return Ok(Words::Help);
    }
    options(verb, words)
}

fn options(
    verb: &'static Verb,
    mut words: impl Iterator<Item = OsString>,
) -> Result<Words, Ending> {
    let mut typed = Typed {
        verb,
        given: Vec::new(),
    };
    while let Some(word) = words.next() {
        if word == "--help" {
            return Ok(Words::Help);
        }
        let Some(option) = verb.options.iter().find(|option| word == option.word) else {
            return Err(Ending::usage(unknown(&word.to_string_lossy(), verb)));
        };
        let value = match option.value {
            None => OsString::new(),
            Some(value) => words.next().ok_or_else(|| {
                Ending::usage(format!(
                    "a value <{value}> is missing after {}",
                    option.word
                ))
            })?,
        };
        typed.count(option, value);
    }
    if let Some(missing) = verb
        .options
        .iter()
        .find(|option| option.required && !typed.has(option.word))
    {
        return Err(Ending::usage(format!("{} is missing", missing.word)));
    }
    Ok(Words::Verb(typed))
}

impl Typed {
    fn count(&mut self, option: &Opt, value: OsString) {
        match self.given.iter_mut().find(|(word, _)| *word == option.word) {
            None => self.given.push((option.word, value)),
            Some(earlier) if self.verb.repeated == Repeated::LastCounts => earlier.1 = value,
            Some(_) => {}
        }
    }
}

fn unknown(word: &str, verb: &Verb) -> String {
    if word == "--password" {
        // Other users see command lines; and every key is sealed in the token here.
        return "a password on a command line is not accepted, and not needed: the token seals every key".to_owned();
    }
    match word.split_once('=') {
        Some((option, _)) if verb.options.iter().any(|known| known.word == option) => {
            format!("the value of {option} is the next word: write '{option} VALUE'")
        }
        _ => format!("'{word}' is not an option of this command"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Typed, Words, read};

    fn typed(line: &str) -> Typed {
        match read(line.split(' ').map(Into::into)).unwrap() {
            Words::Verb(typed) => typed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_counts_for_entries_and_the_last_for_stores() {
        let mut entry = typed("entry delete --store A --alias a --store B -y");
        assert_eq!(entry.take("--store").unwrap(), "A");
        assert!(entry.has("-y"));
        let mut store = typed("store delete -y --name A --name B");
        assert_eq!(store.take("--name").unwrap(), "B");
    }

    #[test]
    fn a_value_is_the_next_word_whatever_it_is() {
        let mut entry = typed("entry getcert --store --text --alias -y");
        assert_eq!(entry.take("--store").unwrap(), "--text");
        assert_eq!(entry.take("--alias").unwrap(), "-y");
        assert!(!entry.has("--text"));
    }

    #[test]
    fn nothing_else_is_understood() {
        for line in [
            "",
            "store",
            "stores list",
            "store List",
            "store list --all",
            "store create",
            "store create --name",
            "store create --name=A",
            "store create --nam A",
            "entry list --store A stray",
            "store list -y",
            "entry getkey --store A --alias a --password p",
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            assert!(read(words.map(Into::into)).is_err(), "{line}");
        }
        for line in ["help", "--help", "store --help", "store list --help"] {
            let words = read(line.split(' ').map(Into::into)).unwrap();
            assert!(matches!(words, Words::Help), "{line}");
        }
    }
}
