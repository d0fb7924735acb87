//! The child: waits for work, does it in administrative mode, answers.

use std::io::{self, IsTerminal, PipeReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::copies::{self, Moment};
use super::issuers;
use super::read_only;
use super::wire::{self, Answer, Destroyed, PinWords, Request, SecretText, Word, Work};
use crate::base::{Clock, KeyAlgorithm, Layout, SystemClock, sentences};
use crate::config::{TokenRole, TokenSection};

/// What the child runs: `sealwright token-workshop ROLE` (a hidden command).
///
/// Reads requests from standard input and answers on standard output until standard input closes.
pub fn run_child(layout: &Layout, role: TokenRole) -> ExitCode {
    if io::stdin().is_terminal() {
        eprintln!(
            "token-workshop is started by the services and by `sealwright init`, not by hand"
        );
        return ExitCode::from(2);
    }
    let served =
        crate::hardening::harden().map_err(io::Error::other).and_then(|()| serve(layout, role));
    hsm::shut_down();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("token workshop ({role}): {cause}");
            ExitCode::FAILURE
        }
    }
}

fn serve(layout: &Layout, role: TokenRole) -> io::Result<()> {
    // Descriptors of our own: the standard library's buffer for standard input is never wiped.
    let mut from = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut to = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // What a vendor's module prints must not get between the answers.
    rustix::stdio::dup2_stdout(io::stderr())?;
    while let Some(request) = wire::receive::<Request>(&mut from)? {
        let answer = answer(layout, role, request).unwrap_or_else(|failure| failure.into());
        wire::send(&mut to, &answer)?;
    }
    Ok(())
}

/// Why there is no result.
enum Failure {
    Token(hsm::Error),
    Copy(io::Error),
    /// The keys are destroyed, and lie in copies.
    OldCopies(io::Error),
    Request(String),
}

impl From<hsm::Error> for Failure {
    fn from(error: hsm::Error) -> Self {
        Self::Token(error)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let (word, what) = match failure {
            // The typed cause cannot travel; its sentences can.
            Failure::Token(error) => (Word::of(&error), sentences(&error)),
            Failure::Copy(cause) => (
                Word::Workshop,
                format!(
                    "nothing was made, because the token directory could not be copied first: {cause}; \
                     make room where the appliance keeps its state and try again"
                ),
            ),
            Failure::OldCopies(cause) => (
                Word::Workshop,
                format!(
                    "the keys are destroyed in the token, but copies of its directory that still hold them could not \
                     be removed: {cause}; make room where the appliance keeps its state and try again"
                ),
            ),
            Failure::Request(what) => (Word::Workshop, what),
        };
        Self::Failed { word, what }
    }
}

fn answer(layout: &Layout, role: TokenRole, request: Request) -> Result<Answer, Failure> {
    let Request { token, pin, work } = request;
    if let Some((name, _)) =
        token.environment.iter().find(|(name, value)| std::env::var(name).as_ref() != Ok(*value))
    {
        return Err(Failure::Request(format!(
            "the workshop was started without the token's environment variable {name}; restart the service"
        )));
    }
    let writes = !matches!(
        work,
        Work::Identity
            | Work::Examine { .. }
            | Work::ProveGeneration { .. }
            | Work::ProveSigningKey { .. }
    );
    let home = layout.token_home(role.name());
    let _alone = copies::exclusive(&home).map_err(Failure::Copy)?;
    let directory = token.directory.as_deref().filter(|_| writes);
    if let Some(directory) = directory {
        match &work {
            Work::CreateToken { .. } => {
                std::fs::create_dir_all(directory).map_err(Failure::Copy)?
            }
            _ => must_hold_something(directory)?,
        }
    }
    let copy = |moment| match directory {
        Some(directory) => copies::copy(directory, &home, moment, SystemClock.now()).map(Some),
        None => Ok(None),
    };
    copy(Moment::Before).map_err(Failure::Copy)?;
    let mut done = perform(layout, role, &token, pin, work)?;
    let durable = directory.map_or(Ok(()), copies::settle);
    let copied = durable.and_then(|()| copy(Moment::After));
    if let Answer::Destroyed(evidence) = &mut done {
        // A key is not gone while a copy of its token lies beside it.
        let removed =
            copied.and_then(|newest| newest.as_deref().map(copies::forget_all_but).transpose());
        evidence.copies_removed = removed.map_err(Failure::OldCopies)?;
    } else if let Err(cause) = copied {
        // The work is done and cannot be undone; the caller needs its result.
        let _ = writeln!(
            io::stderr(),
            "token workshop ({role}): the token directory could not be made durable or copied after the work: {cause}"
        );
    }
    Ok(done)
}

/// An empty directory is a file system that is not mounted rather than a token without keys.
fn must_hold_something(directory: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(directory).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Request(format!(
            "nothing was made, because the token directory {} is empty: bring the token's files back",
            directory.display()
        ))),
        Err(cause) => Err(Failure::Request(format!(
            "nothing was made, because the token directory {} cannot be read: {cause}; bring it back",
            directory.display()
        ))),
    }
}

fn perform(
    layout: &Layout,
    role: TokenRole,
    token: &TokenSection,
    pin: Option<SecretText>,
    work: Work,
) -> Result<Answer, Failure> {
    if let Work::CreateToken { label, so_pin, user_pin } = work {
        let (so_pin, user_pin) = (read_pin(so_pin)?, read_pin(user_pin)?);
        let identity = hsm::provision::create_token(&token.module, &label, &so_pin, &user_pin)?;
        return Ok(identity_answer(identity));
    }
    let mut selection = token.selection()?;
    // Held until the work is done: the module's PIN comes out of this pipe.
    let _pin = match pin {
        Some(pin) => {
            let pipe = into_pipe(pin).map_err(|cause| {
                Failure::Request(format!("the PIN cannot be passed on: {cause}"))
            })?;
            selection.pin = hsm::PinSource::Descriptor(pipe.as_raw_fd());
            Some(pipe)
        }
        None => None,
    };
    if let Work::Examine { expected } = &work {
        if let Some(directory) = &token.directory {
            read_only::enter(directory).map_err(Failure::Request)?;
        }
        let examination = hsm::examination::examine(&selection, expected)?;
        return Ok(Answer::Examined(Box::new(examination)));
    }
    // Dropped, and with it the module finalised, before the next request is read.
    let workshop = || hsm::provision::Workshop::open(&selection);
    Ok(match work {
        Work::CreateToken { .. } | Work::Examine { .. } | Work::Identity => {
            identity_answer(workshop()?.identity())
        }
        Work::GenerateGeneration { number } => {
            // The time keeps keys of an attempt that was not recorded apart from those of the next.
            let label = format!("sealwright {}", SystemClock.now());
            let made = workshop()?.generate_generation(&label, number, None)?;
            Answer::Generation(Box::new(made))
        }
        Work::DestroyGeneration { generation } => {
            let destruction = workshop()?.destroy_generation(&generation)?;
            Answer::Destroyed(Box::new(Destroyed { destruction, copies_removed: None }))
        }
        Work::GenerateSigningKey { label, algorithm } => {
            signing_answer(workshop()?.generate_signing_key(&label, in_token_words(algorithm))?)
        }
        Work::ImportSigningKey { label, pkcs8 } => {
            let der = from_hex(pkcs8)?;
            signing_answer(workshop()?.import_signing_key(&label, &der)?)
        }
        Work::ProveGeneration { generation } => {
            hsm::Token::new(selection).sealing_keys(generation).check()?;
            Answer::Proved
        }
        Work::ProveSigningKey { id, public_key } => {
            let reference = hsm::KeyReference { id: id.parse()?, public_key };
            hsm::Token::new(selection).signing_key(reference).check()?;
            Answer::Proved
        }
        Work::SignCaCertificate { id, public_key, tbs } => {
            let key = hsm::KeyReference { id: id.parse()?, public_key };
            // Before the login: what is refused costs no try of a PIN.
            issuers::judge_ca_certificate(layout, role, &key, &tbs)?;
            let octets = hsm::Token::new(selection)
                .signing_key(key)
                .sign(hsm::Purpose::CaCertificate, &tbs)?;
            Answer::Signature { octets }
        }
        Work::RecordIssuer { id, public_key, certificate } => {
            let key = hsm::KeyReference { id: id.parse()?, public_key };
            // Finds the key, and compares its public key with the one that the token shows.
            hsm::Token::new(selection).signing_key(key.clone()).origin()?;
            issuers::record(layout, role, &key, &certificate)?;
            Answer::Recorded
        }
    })
}

fn identity_answer(identity: hsm::TokenIdentity) -> Answer {
    Answer::Identity {
        label: identity.label,
        serial: identity.serial,
        manufacturer: identity.manufacturer,
        model: identity.model,
    }
}

fn signing_answer(key: hsm::KeyReference) -> Answer {
    Answer::SigningKey { id: key.id.to_string(), public_key: key.public_key }
}

const fn in_token_words(algorithm: KeyAlgorithm) -> hsm::Algorithm {
    match algorithm {
        KeyAlgorithm::Rsa(bits) => hsm::Algorithm::Rsa(bits),
        KeyAlgorithm::P256 => hsm::Algorithm::P256,
        KeyAlgorithm::P384 => hsm::Algorithm::P384,
    }
}

fn read_pin(words: PinWords) -> Result<hsm::Pin, Failure> {
    match words {
        PinWords::Source(source) => Ok(source.parse::<hsm::PinSource>()?.read()?),
        PinWords::Text(text) => Ok(hsm::Pin::new(text.into_inner())),
    }
}

/// A descriptor from which the module can read the PIN once.
fn into_pipe(pin: SecretText) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    // A PIN is far shorter than what a pipe takes without a reader.
    writer.write_all(pin.into_inner().as_bytes())?;
    Ok(reader)
}

fn from_hex(text: SecretText) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text = text.into_inner();
    let wrong = || Failure::Request("the key to import is not written in hex".to_owned());
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        let digits = std::str::from_utf8(pair).map_err(|_| wrong())?;
        if digits.len() != 2 {
            return Err(wrong());
        }
        octets.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{from_hex, into_pipe};
    use crate::workshop::wire::SecretText;
    use std::io::Read;

    fn text(content: &str) -> SecretText {
        SecretText::new(content.to_owned().into())
    }

    #[test]
    fn hex_becomes_octets_or_is_refused() {
        assert!(from_hex(text("00fF10")).is_ok_and(|octets| *octets == [0, 255, 16]));
        for wrong in ["0", "0g", "é0"] {
            assert!(from_hex(text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pin_can_be_read_out_of_its_pipe_to_the_end() {
        let mut read = String::new();
        into_pipe(text("1234")).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "1234");
    }
}
