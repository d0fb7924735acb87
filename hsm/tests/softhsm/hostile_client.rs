//! An agent on a real token whose client was taken over. Octets are written by hand here, as such a client would.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hsm::agent::{Guard, Service, serve};
use hsm::{KeyReference, Purpose, SigningKey, TokenConfig};

use crate::harness::{World, scenario};

/// Memory by which the process may grow, whatever its clients do: some frames of the greatest length, and not hundreds.
const GROWTH: usize = 128 * 1024 * 1024;
/// Nothing here takes so long.
const BOUND: Duration = Duration::from_secs(120);
/// The greatest length of a message.
const GREATEST: u32 = 16 * 1024 * 1024;

// Numbers of messages.
const OPEN: &[u8] = &[0, 0, 0, 0];
const CHECK: &[u8] = &[1];
const RANDOM: &[u8] = &[3, 32];
const ORIGIN: u8 = 5;
const SIGN: u8 = 6;
const IDENTITY: u8 = 1;
const SECRET: u8 = 5;
const FAILED: u8 = 7;

struct Anything;

impl Guard for Anything {
    fn enter(&self, _: &TokenConfig) -> Result<(), String> {
        Ok(())
    }

    fn judge(&self, _: Purpose, _: &KeyReference, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Agents of one token, each with a client of its own, and a key that an honest client signs with meanwhile.
struct Agents {
    config: TokenConfig,
    begun: AtomicUsize,
    ended: Arc<AtomicUsize>,
    honest: SigningKey,
    reference: KeyReference,
    memory: usize,
}

impl Agents {
    fn of(world: &World) -> Self {
        let config = world.create_token("ca");
        let workshop = world.workshop("ca");
        let reference = workshop.generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        drop(workshop);
        let honest = world.token("ca").signing_key(reference.clone());
        honest.sign(Purpose::Certificate, b"first").unwrap();
        let (begun, ended) = (AtomicUsize::new(0), Arc::default());
        Self { config, begun, ended, honest, reference, memory: resident() }
    }

    /// A client before its opening.
    fn client(&self) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(BOUND)).unwrap();
        let service = Service { token: Some(self.config.clone()), ..Service::default() };
        let ended = Arc::clone(&self.ended);
        self.begun.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            let _ = serve(theirs, &service, Arc::new(Anything));
            ended.fetch_add(1, Ordering::SeqCst);
        });
        Client(ours)
    }

    fn opened(&self) -> Client {
        let client = self.client();
        client.send(0, OPEN);
        assert_eq!(client.receive().unwrap(), (0, vec![0]), "done");
        client
    }

    /// The others are served, and memory is what it was, more or less.
    fn are_well(&self, after: &str) {
        self.honest.sign(Purpose::Certificate, after.as_bytes()).unwrap();
        let memory = resident();
        assert!(memory < self.memory + GROWTH, "{} -> {memory} octets after {after}", self.memory);
    }

    /// Every agent whose client is gone ends; a bound, nothing is asserted about time.
    fn end(&self) {
        let until = Instant::now() + BOUND;
        while self.ended.load(Ordering::SeqCst) < self.begun.load(Ordering::SeqCst) {
            assert!(Instant::now() < until, "an agent outlives its client");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A connection to an agent, and no client of ours behind it.
struct Client(UnixStream);

impl Client {
    fn send(&self, number: u64, message: &[u8]) {
        (&self.0).write_all(&frame(number, message)).unwrap();
    }

    /// Number and message of an answer; `None`: the agent hung up.
    fn receive(&self) -> Option<(u64, Vec<u8>)> {
        let mut header = [0; 14];
        (&self.0).read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes(header[2..6].try_into().unwrap());
        let mut message = vec![0; length as usize];
        (&self.0).read_exact(&mut message).unwrap();
        Some((u64::from_be_bytes(header[6..].try_into().unwrap()), message))
    }

    fn says(&self, message: &[u8], kind: u8, text: &str) {
        self.send(77, message);
        let (number, answer) = self.receive().unwrap();
        let told = String::from_utf8_lossy(&answer);
        assert!(number == 77 && answer[0] == kind && told.contains(text), "{told}");
    }
}

fn frame(number: u64, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.extend(message);
    frame
}

/// A request about a key.
fn about(request: u8, key: &KeyReference, rest: &[u8]) -> Vec<u8> {
    let mut length = key.public_key.len();
    let mut message = vec![request, 64];
    message.extend(key.id.to_string().bytes());
    while length >= 0x80 {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(&key.public_key);
    message.extend(rest);
    message
}

/// Octets of this process in memory (`VmRSS` of proc(5)).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

scenario! {
    fn half_a_frame_and_frames_without_content_cost_nothing(world) {
        let agents = Agents::of(world);
        let mut greatest = frame(1, &[]);
        greatest[2..6].copy_from_slice(&GREATEST.to_be_bytes());
        let mut silent = Vec::new();
        for _ in 0..20 {
            for octets in [&frame(1, CHECK)[..7], &frame(1, &[9; 100])[..50], &greatest[..]] {
                // Before the opening, and after it.
                for client in [agents.client(), agents.opened()] {
                    (&client.0).write_all(octets).unwrap();
                    silent.push(client);
                }
            }
        }
        agents.are_well("a hundred and twenty clients that say half of something");
        // What no frame can be ends the connection at once, with no answer.
        let longer = (GREATEST + 1).to_be_bytes();
        for (at, octets) in [(0, &[2][..]), (1, &[7]), (2, &[0xff]), (2, &longer)] {
            let client = agents.opened();
            let mut other = greatest.clone();
            other[at..at + octets.len()].copy_from_slice(octets);
            (&client.0).write_all(&other).unwrap();
            assert_eq!(client.receive(), None);
        }
        agents.are_well("octets that are no frame");
        drop(silent);
        agents.end();
    }
}

scenario! {
    fn ten_thousand_requests_wait_for_a_client_that_reads_no_answer(world) {
        let agents = Agents::of(world);
        let client = agents.opened();
        let many: Vec<u8> = (1..=10_000).flat_map(|number| frame(number, RANDOM)).collect();
        std::thread::scope(|scope| {
            let writing = client.0.try_clone().unwrap();
            scope.spawn(move || (&writing).write_all(&many).unwrap());
            agents.are_well("ten thousand requests whose answers nobody reads");
            // They are all there when somebody does.
            let mut numbers: Vec<u64> = (0..10_000)
                .map(|_| {
                    let (number, answer) = client.receive().unwrap();
                    assert_eq!((answer[0], answer.len()), (SECRET, 34));
                    number
                })
                .collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(1..=10_000));
        });
        client.says(CHECK, IDENTITY, "ca");
        // Another never reads them, and goes.
        let client = agents.opened();
        client.0.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let endless = frame(5, RANDOM).repeat(100_000);
        (&client.0).write_all(&endless).unwrap_err();
        agents.are_well("requests without end");
        drop(client);
        agents.are_well("a client that went");
    }
}

scenario! {
    fn messages_that_do_not_exist_are_refused_and_others_served_on(world) {
        let agents = Agents::of(world);
        let client = agents.opened();
        for round in 0..100 {
            for unknown in [&[13][..], &[200, 1], &[0xff; 9], &[], &[3], &[3, 32, 0], &[6, 64]] {
                client.says(unknown, FAILED, "does not know the request");
            }
            client.says(OPEN, FAILED, "opened once");
            let named = [&[0, 1, 4][..], b"/m.s\x0fpkcs11:token=ab\x07file:/x\x00\x00"].concat();
            client.says(&named, FAILED, "");
            if round % 10 == 0 {
                client.says(CHECK, IDENTITY, "ca");
            }
        }
        agents.are_well("messages that do not exist");
        drop(client);
        // Something else before the opening is told so, and the agent ends.
        let client = agents.client();
        client.says(CHECK, FAILED, "first message");
        assert_eq!(client.receive(), None);
        agents.end();
    }
}

scenario! {
    fn keys_without_end_are_not_remembered(world) {
        let agents = Agents::of(world);
        let client = agents.opened();
        let key = |number: u32, public_key| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            KeyReference { id: hsm::KeyId(id), public_key }
        };
        // More of them than memory is allowed for.
        for number in 0..100 {
            client.says(&about(ORIGIN, &key(number, vec![7; 1 << 20]), &[]), FAILED, "public key");
        }
        agents.are_well("keys of a mebibyte");
        // And keys that could be, which are looked for in the token.
        for number in 0..300 {
            let absent = key(number, agents.reference.public_key.clone());
            client.says(&about(ORIGIN, &absent, &[]), FAILED, "");
        }
        agents.are_well("keys that do not exist");
        client.says(&about(ORIGIN, &agents.reference, &[]), 2, "");
        drop(client);
        agents.end();
    }
}

scenario! {
    fn a_client_that_hangs_up_in_the_middle_takes_nobody_along(world) {
        let agents = Agents::of(world);
        let sign = about(SIGN, &agents.reference, &[0, 3, 1, 2, 3]);
        for round in 0..30 {
            let client = agents.opened();
            let many: Vec<u8> = (1..=50).flat_map(|number| frame(number, &sign)).collect();
            (&client.0).write_all(&many).unwrap();
            match round % 3 {
                0 => drop(client),
                1 => client.0.shutdown(Shutdown::Both).unwrap(),
                _ => {
                    client.receive().unwrap();
                    client.0.shutdown(Shutdown::Read).unwrap();
                    client.0.shutdown(Shutdown::Write).unwrap();
                }
            }
            if round % 10 == 9 {
                agents.are_well("clients that hang up");
            }
        }
        agents.end();
        agents.are_well("the end of all others");
    }
}
