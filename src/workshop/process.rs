//! The parent's side: starts the child and asks it.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use super::Error;
use super::wire::{
    self, Answer, Destroyed, LARGEST_CERTIFICATE, PinWords, Request, SecretText, Word, Work,
};
use crate::base::{KeyAlgorithm, Layout, Secret};
use crate::config::{TokenRole, TokenSection};

/// A slow device may take minutes for an RSA key; a child that takes longer is hung and killed.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long a child without work may take to be gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// The child process `sealwright token-workshop ROLE`, waiting for work on its standard input.
///
/// Started before the parent restricts itself, because a child inherits the restriction, and before
/// any module is loaded. It ends when this value is dropped.
pub struct WorkshopProcess {
    pipes: Mutex<Pipes>,
    token: TokenSection,
    /// The user PIN, kept only where its source answers once (`prompt`, `fd:N`).
    asked_once: Mutex<Option<hsm::Pin>>,
}

struct Pipes {
    child: Child,
    /// `None` once the child is known to be useless.
    ends: Option<(ChildStdin, ChildStdout)>,
}

impl WorkshopProcess {
    /// Starts the `sealwright` program that lies beside the running one, with the environment that
    /// the token's module needs.
    ///
    /// # Errors
    /// The program is not there or cannot be started.
    pub fn start(layout: &Layout, role: TokenRole, token: &TokenSection) -> Result<Self, Error> {
        let program = program()
            .map_err(|cause| failed("this program does not know where it lies", Some(cause)))?;
        let mut command = Command::new(&program);
        command
            .args(["token-workshop", role.name()])
            .envs(&token.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // Not `--root`, so that it does not matter where on the command line that stands.
        match layout.root() {
            Some(root) => command.env("SEALWRIGHT_ROOT", root),
            None => command.env_remove("SEALWRIGHT_ROOT"),
        };
        let mut child = command.spawn().map_err(|cause| {
            failed(
                format!("{} cannot be started; is the installation complete?", program.display()),
                Some(cause),
            )
        })?;
        let ends = child.stdin.take().zip(child.stdout.take());
        Ok(Self {
            pipes: Mutex::new(Pipes { child, ends }),
            token: token.clone(),
            asked_once: Mutex::new(None),
        })
    }

    /// Hands over the user PIN of a source that answers once and has been asked already.
    pub fn remember_pin(&self, pin: hsm::Pin) {
        *self.asked_once.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
    }

    /// Initialises a free slot as a token with this label.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn create_token(
        &self,
        label: &str,
        so_pin: &hsm::PinSource,
        user_pin: &hsm::PinSource,
    ) -> Result<hsm::TokenIdentity, Error> {
        let so_pin = pin_words(so_pin)?;
        let user_pin = match self.pin_once(user_pin)? {
            Some(text) => PinWords::Text(text),
            None => PinWords::Source(user_pin.to_string()),
        };
        let work = Work::CreateToken { label: label.to_owned(), so_pin, user_pin };
        identity(self.ask(None, work)?)
    }

    /// Label and serial of the configured token.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn identity(&self) -> Result<hsm::TokenIdentity, Error> {
        identity(self.ask(self.user_pin()?, Work::Identity)?)
    }

    /// Looks at the token and tries to break its custody. Nothing in it changes. A software token's
    /// directory is read-only for the child from then on, so it makes no keys any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn examine(
        &self,
        expected: hsm::examination::Expected,
    ) -> Result<hsm::examination::Examination, Error> {
        match self.ask(self.user_pin()?, Work::Examine { expected })? {
            Answer::Examined(examination) => Ok(*examination),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the sealing key and the wrapping key of a generation.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn generate_generation(
        &self,
        number: u32,
    ) -> Result<hsm::provision::MadeGeneration, Error> {
        match self.ask(self.user_pin()?, Work::GenerateGeneration { number })? {
            Answer::Generation(made) => Ok(*made),
            other => Err(unexpected(&other)),
        }
    }

    /// Destroys the sealing key and the wrapping key of a generation, and the copies of a software
    /// token's directory that still hold them. May be asked again, whatever became of it.
    ///
    /// # Errors
    /// See [`Error`]. Also where the keys are gone and a copy is not.
    pub fn destroy_generation(&self, generation: &hsm::KeyGeneration) -> Result<Destroyed, Error> {
        let work = Work::DestroyGeneration { generation: *generation };
        match self.ask(self.user_pin()?, work)? {
            Answer::Destroyed(evidence) => Ok(*evidence),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a key pair whose private key can only sign.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn generate_signing_key(
        &self,
        label: &str,
        algorithm: KeyAlgorithm,
    ) -> Result<hsm::KeyReference, Error> {
        let work = Work::GenerateSigningKey { label: label.to_owned(), algorithm };
        signing_key(self.ask(self.user_pin()?, work)?)
    }

    /// Brings in a key pair that lay outside: PKCS#8, DER. It stays marked as imported.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn import_signing_key(
        &self,
        label: &str,
        pkcs8: &Secret,
    ) -> Result<hsm::KeyReference, Error> {
        let octets = pkcs8.expose_secret();
        let mut hex = Zeroizing::new(String::with_capacity(2 * octets.len()));
        for nibble in octets.iter().flat_map(|octet| [octet >> 4, octet & 15]) {
            hex.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        let work = Work::ImportSigningKey { label: label.to_owned(), pkcs8: SecretText::new(hex) };
        signing_key(self.ask(self.user_pin()?, work)?)
    }

    /// Finds the keys of a generation and has them seal and open a challenge, and wrap a key that
    /// comes back.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn prove_generation(&self, generation: hsm::KeyGeneration) -> Result<(), Error> {
        self.prove(Work::ProveGeneration { generation })
    }

    /// Finds the signing key with this id and public key and has it sign a challenge.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn prove_signing_key(&self, key: &hsm::KeyReference) -> Result<(), Error> {
        let public_key = key.public_key.clone();
        self.prove(Work::ProveSigningKey { id: key.id.to_string(), public_key })
    }

    /// Has this key sign a CA certificate (TBSCertificate, DER) for itself: the one thing that the
    /// policy of a serving token never allows. It is judged in the child, and verified before the
    /// signature comes back.
    ///
    /// # Errors
    /// See [`Error`]; a refusal of the policy is [`hsm::Error::Refused`].
    pub fn sign_ca_certificate(
        &self,
        key: &hsm::KeyReference,
        tbs: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let work = Work::SignCaCertificate {
            id: key.id.to_string(),
            public_key: key.public_key.clone(),
            tbs: fitting(tbs)?,
        };
        match self.ask(self.user_pin()?, work)? {
            Answer::Signature { octets } => Ok(octets),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes a CA certificate (DER) of this key down for the policy of the token
    /// ([`Layout::issuers`]), durably. The token must hold the key with this public key.
    ///
    /// # Errors
    /// See [`Error`]; nothing is written down then.
    pub fn record_issuer(&self, key: &hsm::KeyReference, certificate: &[u8]) -> Result<(), Error> {
        let work = Work::RecordIssuer {
            id: key.id.to_string(),
            public_key: key.public_key.clone(),
            certificate: fitting(certificate)?,
        };
        match self.ask(self.user_pin()?, work)? {
            Answer::Recorded => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn prove(&self, work: Work) -> Result<(), Error> {
        match self.ask(self.user_pin()?, work)? {
            Answer::Proved => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn user_pin(&self) -> Result<Option<SecretText>, Error> {
        self.pin_once(&self.token.pin.parse()?)
    }

    /// The PIN itself where its source answers only once: the answer is kept for the next time.
    fn pin_once(&self, source: &hsm::PinSource) -> Result<Option<SecretText>, Error> {
        if answers_again(source) {
            return Ok(None);
        }
        let mut asked = self.asked_once.lock().unwrap_or_else(PoisonError::into_inner);
        let pin = match asked.take() {
            Some(pin) => pin,
            None => source.read()?,
        };
        Ok(Some(secret_text(asked.insert(pin))))
    }

    fn ask(&self, pin: Option<SecretText>, work: Work) -> Result<Answer, Error> {
        let request = Request { token: self.token.clone(), pin, work };
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let pipes = &mut *pipes;
        let Some((to, from)) = &mut pipes.ends else {
            return Err(failed("the token workshop is gone; restart the service", None));
        };
        let mut from = Until { from, end: Instant::now() + DEADLINE };
        let answer = wire::send(to, &request).and_then(|()| wire::receive::<Answer>(&mut from));
        let cause = match answer {
            Ok(Some(Answer::Failed { word, what })) => return Err(refusal(word, what)),
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(cause) => Some(cause),
        };
        // What comes next on the pipes would belong to this request, so nothing may come next.
        pipes.ends = None;
        let _ = pipes.child.kill();
        let _ = pipes.child.wait();
        Err(failed(
            "the token workshop ended or hung during its work, which may be half done: look into \
             the log, then restart the service",
            cause,
        ))
    }
}

impl Drop for WorkshopProcess {
    fn drop(&mut self) {
        let pipes = self.pipes.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A closed standard input is the sign to end.
        pipes.ends = None;
        // A module that hangs in its last call must not keep a service from ending.
        let until = Instant::now() + FAREWELL;
        while matches!(pipes.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = pipes.child.kill();
        let _ = pipes.child.wait();
    }
}

/// Reads until a moment, not longer.
struct Until<'a> {
    from: &'a mut ChildStdout,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut waiting = [PollFd::new(&*self.from, PollFlags::IN)];
        match poll(&mut waiting, Some(&left)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => self.from.read(buffer),
            Err(cause) => Err(cause.into()),
        }
    }
}

fn program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or_else(|| io::Error::other("the program has no folder"))?;
    Ok(folder.join("sealwright"))
}

fn failed(what: impl Into<String>, cause: Option<io::Error>) -> Error {
    Error::Failed { what: what.into(), cause }
}

/// What would not fit into a line is refused before anything is sent.
fn fitting(octets: &[u8]) -> Result<Vec<u8>, Error> {
    if octets.len() <= LARGEST_CERTIFICATE {
        return Ok(octets.to_vec());
    }
    let what = format!(
        "the CA certificate has {} octets; up to {LARGEST_CERTIFICATE} are taken: ask for a smaller one",
        octets.len()
    );
    Err(Error::Token(hsm::Error::Refused(what.into())))
}

fn unexpected(answer: &Answer) -> Error {
    failed(format!("the token workshop gave an answer to another question: {answer:?}"), None)
}

fn refusal(word: Word, what: String) -> Error {
    Error::Token(match word {
        Word::Unavailable => hsm::Error::Unavailable(what.into()),
        Word::Locked => hsm::Error::Locked(what.into()),
        Word::NoSuchKey => hsm::Error::NoSuchKey(what.into()),
        Word::Refused => hsm::Error::Refused(what.into()),
        Word::Unreadable => hsm::Error::Unreadable(what.into()),
        Word::Unsupported => hsm::Error::Unsupported(what.into()),
        Word::Workshop => return failed(what, None),
    })
}

fn identity(answer: Answer) -> Result<hsm::TokenIdentity, Error> {
    match answer {
        Answer::Identity { label, serial, manufacturer, model } => {
            Ok(hsm::TokenIdentity { label, serial, manufacturer, model })
        }
        other => Err(unexpected(&other)),
    }
}

fn signing_key(answer: Answer) -> Result<hsm::KeyReference, Error> {
    match answer {
        Answer::SigningKey { id, public_key } => {
            Ok(hsm::KeyReference { id: id.parse()?, public_key })
        }
        other => Err(unexpected(&other)),
    }
}

const fn answers_again(source: &hsm::PinSource) -> bool {
    match source {
        hsm::PinSource::File(_) | hsm::PinSource::Credential(_) => true,
        hsm::PinSource::Descriptor(_) | hsm::PinSource::Prompt => false,
    }
}

fn pin_words(source: &hsm::PinSource) -> Result<PinWords, Error> {
    if answers_again(source) {
        Ok(PinWords::Source(source.to_string()))
    } else {
        Ok(PinWords::Text(secret_text(&source.read()?)))
    }
}

fn secret_text(pin: &hsm::Pin) -> SecretText {
    let pin = pin.expose_secret();
    let mut text = Zeroizing::new(String::with_capacity(pin.len()));
    text.push_str(pin);
    SecretText::new(text)
}
