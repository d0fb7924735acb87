//! Clients that ask for certificates without a pause, and remember what they were told.
//!
//! One is `certool`, a process for each certificate; what it was told counts when the program has
//! ended well and the file is there. The others speak to the socket themselves, which is faster by
//! far, so that much is in flight when something breaks; an answer counts when it was read whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use der::pem::decode_vec;
use sealwright::api::ca::{CERTIFICATES, Issue, Issued};
use sealwright::base::sentences;
use sealwright::client::Client;

use crate::harness::Appliance;

/// A bound on every wait; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two requests of a client: other tests want the machine as well.
const PACE: Duration = Duration::from_millis(4);

/// The clients, while they run.
pub struct Clients {
    told: Mutex<Told>,
    changed: Condvar,
    done: AtomicBool,
}

#[derive(Default)]
struct Told {
    /// DER of every certificate that a client was told it has.
    acknowledged: Vec<Vec<u8>>,
    /// When the last of them came.
    last_acknowledged: Option<Instant>,
    /// When the request of the last refusal began.
    last_refused: Option<Instant>,
    last_sentence: String,
}

/// Tells the clients to end, also when what happens meanwhile panics.
struct Ending<'a>(&'a Clients);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}

impl Clients {
    /// Runs `meanwhile` while this many clients ask; the certificates that they were given, DER.
    pub fn run<T>(
        appliance: &Appliance,
        count: usize,
        meanwhile: impl FnOnce(&Self) -> T,
    ) -> (T, Vec<Vec<u8>>) {
        let clients =
            Self { told: Mutex::default(), changed: Condvar::new(), done: AtomicBool::new(false) };
        let request =
            Issue { csr: appliance.read("direct.csr"), not_before: None, not_after: None };
        let result = std::thread::scope(|scope| {
            let ending = Ending(&clients);
            scope.spawn(|| clients.ask(|| by_certool(appliance)));
            for _ in 1..count {
                let (clients, request) = (&clients, &request);
                let socket = appliance.root().join("run/vmcad.sock");
                let client = Client::new(&socket, PATIENCE);
                scope.spawn(move || clients.ask(|| directly(&client, request)));
            }
            let result = meanwhile(&clients);
            drop(ending);
            result
        });
        let told = clients.told.into_inner().unwrap_or_else(PoisonError::into_inner);
        (result, told.acknowledged)
    }

    fn ask(&self, request: impl Fn() -> Result<Vec<u8>, String>) {
        while !self.done.load(Ordering::SeqCst) {
            let began = Instant::now();
            let answer = request();
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(certificate) => {
                    told.acknowledged.push(certificate);
                    told.last_acknowledged = Some(Instant::now());
                }
                Err(sentence) => {
                    told.last_refused = Some(began);
                    told.last_sentence = sentence;
                }
            }
            drop(told);
            self.changed.notify_all();
            std::thread::sleep(PACE);
        }
    }

    /// Waits for the next certificate that a client is given.
    pub fn certificate(&self) -> Instant {
        let now = Instant::now();
        self.wait("no certificate", |told| told.last_acknowledged.filter(|at| *at > now))
    }

    /// Waits until the clients were given so many more.
    pub fn certificates(&self, more: usize) {
        let told = || self.told.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.len();
        let wanted = told() + more;
        self.wait("too few certificates", |told| (told.acknowledged.len() >= wanted).then_some(()));
    }

    /// Waits until a request is refused that began after this call; what the client was told.
    pub fn refusal(&self) -> String {
        let now = Instant::now();
        self.wait("no refusal", |told| {
            let refused = told.last_refused.is_some_and(|began| began > now);
            refused.then(|| told.last_sentence.clone())
        })
    }

    fn wait<T>(&self, missing: &str, fact: impl Fn(&Told) -> Option<T>) -> T {
        let start = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = fact(&told) {
                return found;
            }
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("{missing}: {}", told.last_sentence));
            told = self.changed.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The DER of the certificate in a file that did not exist before.
fn by_certool(appliance: &Appliance) -> Result<Vec<u8>, String> {
    let file = appliance.file("certool.crt");
    let _ = std::fs::remove_file(&file);
    let words = ["--gencert", "--privkey", "k.priv", "--config", "m.cfg", "--Name", "certool"];
    let said = appliance.run("certool", &[&words[..], &["--cert", "certool.crt"]].concat());
    match said.status {
        0 => Ok(first_of(&std::fs::read_to_string(file).unwrap())),
        _ => Err(said.stderr),
    }
}

pub fn directly(client: &Client, request: &Issue) -> Result<Vec<u8>, String> {
    let issued = client.post::<Issued>(CERTIFICATES, request);
    issued.map(|issued| first_of(&issued.chain[0])).map_err(|cause| sentences(&cause))
}

/// The first certificate of a PEM text, DER: the leaf, before its chain.
fn first_of(text: &str) -> Vec<u8> {
    let end = "-----END CERTIFICATE-----\n";
    let first = &text[..text.find(end).expect("a certificate") + end.len()];
    decode_vec(first.as_bytes()).unwrap().1
}
