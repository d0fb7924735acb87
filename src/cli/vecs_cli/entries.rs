//! `entry …`: certificates, private keys and secrets in a store.

use std::path::Path;

use super::command::{Content, Detail, EntryName};
use super::failure::Ending;
use super::stores::agreed;
use super::vecs::Vecs;
use crate::api::KeyText;
use crate::api::vecs::{self as words, Created, Deleted, Entry, EntryKey, EntryType, NewEntry};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::new_file::{Audience, NewFile};
use crate::cli::terminal::Terminal;
use crate::x509::{Crl, certificates_from_pem};

pub(super) fn create(
    store: &str,
    alias: Option<String>,
    content: &Content,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let (certificates, key) = match content {
        Content::Certificates(certificates) => (Some(certificates), None),
        Content::Secret(key) => (None, Some(key)),
        Content::PrivateKey { certificates, key } => (Some(certificates), Some(key)),
    };
    let entry = NewEntry {
        alias,
        certificates: certificates.map(|path| read_chain(path)).transpose()?,
        key: key.map(|path| read_key(path)).transpose()?,
    };
    let created: Created = vecs.post(&words::entries(store), &entry)?;
    terminal.out(&format!(
        "Entry with alias [{}] in store [{store}] was created successfully \n",
        created.alias
    ));
    Ok(())
}

/// The certificates of a file and nothing else, so that a private key that stands in the same file
/// does not travel as public text.
fn read_chain(path: &Path) -> Result<String, Failure> {
    let octets =
        files::read(path).map_err(|error| Failure::because(codes::VECS_CERT_IO, &error))?;
    let certificates = certificates_from_pem(&octets).map_err(|error| {
        let mut failure = Failure::because(codes::BAD_FORMAT, &error);
        failure
            .sentence
            .insert_str(0, &format!("{}: ", path.display()));
        failure
    })?;
    Ok(certificates
        .iter()
        .map(|certificate| format!("{}\n", certificate.to_pem().trim_end()))
        .collect())
}

fn read_key(path: &Path) -> Result<KeyText, Failure> {
    files::read_key_text(path).map_err(|error| {
        let code = match error {
            files::Error::Empty(_) | files::Error::NotText(_) => codes::BAD_FORMAT,
            _ => codes::VECS_FILE_IO,
        };
        Failure::because(code, &error)
    })
}

pub(super) fn list(
    store: &str,
    detail: Detail,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let entries: Vec<Entry> = vecs.get(&words::entries(store))?;
    // Texts first: a broken entry must not end a list in the middle.
    let entries = entries
        .into_iter()
        .map(|entry| Ok((described(&entry, detail)?, entry)))
        .collect::<Result<Vec<_>, Failure>>()?;
    terminal.out(&format!(
        "Number of entries in store :\t{}\n",
        entries.len()
    ));
    for (description, entry) in entries {
        if detail == Detail::Aliases {
            terminal.out(&format!("{}\n", entry.alias));
        } else {
            terminal.out(&format!(
                "Alias :\t{}\nEntry type :\t{}\n{description}",
                entry.alias,
                entry.entry_type.label()
            ));
        }
    }
    Ok(())
}

fn described(entry: &Entry, detail: Detail) -> Result<String, Failure> {
    match detail {
        Detail::Aliases => Ok(String::new()),
        Detail::Pem => Ok(format!("Certificate :\t{}\n", with_newline(&entry.pem))),
        Detail::Text => as_text(entry),
    }
}

/// PEM with one newline at its end; nothing for nothing.
fn with_newline(pem: &str) -> String {
    match pem.trim_end() {
        "" => String::new(),
        pem => format!("{pem}\n"),
    }
}

/// OpenSSL's dump of the first certificate, as the original shows it: scripts pair an alias with the
/// one date that follows it.
fn as_text(entry: &Entry) -> Result<String, Failure> {
    let broken = |error: &crate::x509::Error| {
        let mut failure = Failure::because(codes::BAD_FORMAT, error);
        failure
            .sentence
            .insert_str(0, &format!("entry [{}]: ", entry.alias));
        failure
    };
    let text = match entry.entry_type {
        _ if entry.pem.trim().is_empty() => return Ok(String::new()),
        EntryType::Crl => Crl::from_pem(&entry.pem)
            .map_err(|error| broken(&error))?
            .to_text(),
        EntryType::PrivateKey | EntryType::SecretKey | EntryType::TrustedCert => {
            certificates_from_pem(entry.pem.as_bytes())
                .map_err(|error| broken(&error))?
                .first()
                .map(crate::x509::Certificate::to_text)
                .unwrap_or_default()
        }
    };
    Ok(with_newline(&text))
}

pub(super) fn certificate(
    name: &EntryName,
    output: Option<&Path>,
    text: bool,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let entry: Entry = vecs.get(&words::entry(&name.store, &name.alias))?;
    if entry.pem.trim().is_empty() {
        return Err(Ending::Explained {
            line: format!(
                "Error: No certificates were found for entry [{}] of type [{}].",
                name.alias,
                entry.entry_type.label()
            ),
            failure: Failure::new(
                codes::INVALID_PARAMETER,
                "the entry holds a secret only; vecs-cli entry getkey shows it",
            ),
        });
    }
    let shown = if text {
        as_text(&entry)?
    } else {
        // The PEM text has its own newline; the original writes another one.
        format!("{}\n", with_newline(&entry.pem))
    };
    match output {
        None => terminal.out(&shown),
        Some(place) => {
            let mut file = NewFile::beside(place, Audience::Owner).map_err(unwritable)?;
            file.write(&shown)
                .and_then(|()| file.keep())
                .map_err(unwritable)?;
        }
    }
    Ok(())
}

pub(super) fn key(
    name: &EntryName,
    output: Option<&Path>,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    // Reading a key leaves a record; find out first whether there is a place for it.
    let file = output
        .map(|place| NewFile::beside(place, Audience::Owner))
        .transpose()
        .map_err(unwritable)?;
    let answer: EntryKey = vecs
        .post(&words::entry_key(&name.store, &name.alias), &())
        .map_err(|failure| no_key(name, failure, vecs))?;
    match file {
        None => terminal.out_key(&answer.key),
        Some(mut file) => {
            file.write_secret(answer.key.expose_secret().as_bytes())
                .and_then(|()| file.keep())
                .map_err(unwritable)?;
        }
    }
    Ok(())
}

/// The original has a line of its own for an entry without a key. Whether it is that is asked only
/// after the refusal, because the right to read keys need not come with the right to read entries.
fn no_key(name: &EntryName, failure: Failure, vecs: &Vecs) -> Ending {
    let entry = match failure.code {
        codes::INVALID_PARAMETER => vecs.get::<Entry>(&words::entry(&name.store, &name.alias)),
        _ => return Ending::Failed(failure),
    };
    match entry {
        Ok(entry) if matches!(entry.entry_type, EntryType::TrustedCert | EntryType::Crl) => {
            Ending::Explained {
                line: format!(
                    "Error: No key was found for entry [{}] of type [{}].",
                    name.alias,
                    entry.entry_type.label()
                ),
                failure,
            }
        }
        _ => Ending::Failed(failure),
    }
}

pub(super) fn delete(
    name: &EntryName,
    confirmed: bool,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let EntryName { store, alias } = name;
    if !confirmed {
        let question = format!(
            "Deleting the entry with alias [{alias}] in store [{store}] cannot be undone. Continue? Y/N [N] "
        );
        agreed(&question, terminal)?;
    }
    let deleted: Deleted = vecs.delete(&words::entry(store, alias))?;
    // The blank after the line is the original's.
    terminal.out(&format!(
        "Deleted entry with alias [{alias}] in store [{store}] successfully\n "
    ));
    if !deleted.existed {
        terminal.err(&format!(
            "note: no entry with alias [{alias}] was in store [{store}]; 'vecs-cli entry list --store {store} --aliases' shows what is there"
        ));
    }
    Ok(())
}

fn unwritable(error: crate::cli::new_file::Error) -> Failure {
    Failure::because(codes::VECS_FILE_IO, &error)
}
