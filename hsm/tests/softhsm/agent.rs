//! The agent and its client: the socket, the guard, agents that wear out, end or hang.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hsm::agent::{Guard, Service, serve};
use hsm::{Deadlines, Error, Health, KeyReference, Launch, Purpose, Socket, Token, TokenConfig};

use crate::harness::{World, scenario};

/// Allows certificates and nothing else, and may refuse to begin.
pub(crate) struct Strict {
    pub(crate) refuses: bool,
}

impl Guard for Strict {
    fn enter(&self, _: &TokenConfig) -> Result<(), String> {
        if self.refuses { Err("the sandbox is not there".to_owned()) } else { Ok(()) }
    }

    fn judge(&self, purpose: Purpose, _: &KeyReference, _: &[u8]) -> Result<(), String> {
        match purpose {
            Purpose::Certificate => Ok(()),
            other => Err(format!("{other:?} is not signed here")),
        }
    }

    fn judge_sealed(&self, _: Purpose, _: &[u8], _: &[u8]) -> Result<(), String> {
        Err("nothing stored signs here".to_owned())
    }
}

/// Agents that listen, one for each connection, and what the test sees of them.
struct Listening {
    socket: Socket,
    opened: Arc<AtomicUsize>,
    streams: Arc<Mutex<Vec<UnixStream>>>,
}

fn listening(world: &World, service: Service, refuses: bool) -> Listening {
    let path = world.path("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (opened, streams) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, kept) = (Arc::clone(&opened), Arc::clone(&streams));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            kept.lock().unwrap().push(stream.try_clone().unwrap());
            let service = service.clone();
            std::thread::spawn(move || serve(stream, &service, Arc::new(Strict { refuses })));
        }
    });
    let peer = rustix::process::geteuid().as_raw();
    Listening { socket: Socket { path, peer }, opened, streams }
}

fn client(agents: &Listening) -> Arc<Token> {
    Token::through(Launch::Socket(agents.socket.clone()), Deadlines::default())
}

/// An agent is not started again at once; a bound, nothing is asserted about time.
pub(crate) fn eventually<T>(mut act: impl FnMut() -> Result<T, Error>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match act() {
            Ok(value) => return value,
            Err(error) if Instant::now() > until => panic!("never: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

scenario! {
    fn an_agent_that_listens_serves_its_own_token_and_judges_what_it_signs(world) {
        let config = world.create_token("ca");
        let key = world.workshop("ca").generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let token = client(&agents);
        let signing = token.signing_key(key.clone());
        let signature = signing.sign(Purpose::Certificate, b"message").unwrap();
        assert!(world.openssl_verifies(&key, "-sha256", b"message", &signature));
        let Err(Error::Refused(fault)) = signing.sign(Purpose::Crl, b"message") else { panic!("it signed") };
        assert!(fault.to_string().contains("Crl is not signed here"), "{fault}");
        signing.check().unwrap();
        assert!(matches!(token.health(), Health::Serving(_)));
        assert_eq!(agents.opened.load(Ordering::SeqCst), 1, "one agent served all of it");
    }
}

scenario! {
    fn a_key_that_is_missing_is_missing_to_nobody_who_asks_for_another(world) {
        let config = world.create_token("ca");
        let key = world.workshop("ca").generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let token = client(&agents);
        let (sealing, wrapping) = (hsm::KeyId([1; 32]), hsm::KeyId([2; 32]));
        let gone = hsm::KeyGeneration { number: 1, sealing, wrapping };
        token.check().unwrap();
        for _ in 0..3 {
            let missing = token.sealing_keys(gone).check().unwrap_err();
            assert!(matches!(missing, Error::NoSuchKey(_)), "{missing}");
            // At once: the agent that looked in vain has just ended, and none may be started for a while.
            token.signing_key(key.clone()).sign(Purpose::Certificate, b"message").unwrap();
        }
    }
}

scenario! {
    fn a_client_has_no_say_in_the_token_of_an_agent_that_listens(world) {
        let config = world.create_token("ca");
        let other = world.create_token("other");
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let stream = UnixStream::connect(&agents.socket.path).unwrap();
        drop(stream);
        // The same agent behind a client that names a token of its own.
        let (ours, theirs) = UnixStream::pair().unwrap();
        let own = Service { token: Some(other), ..Service::default() };
        let agent = std::thread::spawn(move || serve(theirs, &own, Arc::new(Strict { refuses: false })));
        hsm_raw_opening(&ours, world);
        assert!(agent.join().unwrap().is_err());
    }
}

/// An opening that names a token, as a client of a private agent sends it: module, URI, PIN source, no PIN, nothing seen, no
/// login in doubt.
fn hsm_raw_opening(stream: &UnixStream, world: &World) {
    use std::io::{Read, Write};
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let source = format!("file:{}", world.path("x").display());
    let message =
        [&[0, 1][..], &text("/m.so"), &text("pkcs11:token=a"), &text(&source), &[0, 0, 0]].concat();
    let mut frame = vec![1, 0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(0_u64.to_be_bytes());
    frame.extend(message);
    (&*stream).write_all(&frame).unwrap();
    let mut told = Vec::new();
    (&*stream).read_to_end(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("has its own token"), "{told}");
}

scenario! {
    fn an_agent_whose_sandbox_fails_does_not_begin(world) {
        let config = world.create_token("ca");
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, true);
        let Err(Error::Refused(fault)) = client(&agents).check() else { panic!("it began") };
        assert!(fault.to_string().contains("the sandbox is not there"), "{fault}");
    }
}

scenario! {
    fn a_process_of_another_user_is_not_spoken_to(world) {
        let config = world.create_token("ca");
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let socket = Socket { peer: agents.socket.peer + 1, ..agents.socket.clone() };
        let token = Token::through(Launch::Socket(socket), Deadlines::default());
        let Err(Error::Unavailable(fault)) = token.check() else { panic!("it was spoken to") };
        let told = format!("{fault} {:?}", std::error::Error::source(&fault).map(ToString::to_string));
        assert!(told.contains("is served by user"), "{told}");
    }
}

scenario! {
    fn an_agent_that_wears_out_is_replaced_and_nothing_fails(world) {
        let config = world.create_token("sealing");
        let made = world.workshop("sealing").generate_generation("sealwright", 1, None).unwrap();
        let service = Service { token: Some(config), wear: 5, ..Service::default() };
        let agents = listening(world, service, false);
        let token = client(&agents);
        let keys = token.sealing_keys(made.keys);
        let sealed = keys.seal(b"context", b"secret").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        assert_eq!(*eventually(|| keys.open(b"context", &sealed)), b"secret");
                    }
                });
            }
        });
        let opened = agents.opened.load(Ordering::SeqCst);
        assert!(opened >= 3, "{opened} agents for 40 session objects, 5 each");
    }
}

scenario! {
    fn an_agent_that_ends_in_the_middle_is_replaced(world) {
        let config = world.create_token("ca");
        let key = world.workshop("ca").generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let token = client(&agents);
        let signing = token.signing_key(key.clone());
        for round in 0..5_u8 {
            let signature = eventually(|| signing.sign(Purpose::Certificate, &[round]));
            assert!(world.openssl_verifies(&key, "-sha256", &[round], &signature));
            for stream in agents.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
        assert!(agents.opened.load(Ordering::SeqCst) >= 5);
    }
}

scenario! {
    fn a_silent_agent_is_given_up_at_the_deadline(world) {
        let path = world.path("silent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = rustix::process::geteuid().as_raw();
        let deadlines = Deadlines { connect: Duration::from_millis(300), ..Deadlines::default() };
        let token = Token::through(Launch::Socket(Socket { path, peer }), deadlines);
        let Err(Error::Unavailable(fault)) = token.check() else { panic!("it answered") };
        assert!(fault.to_string().contains("did not log in within 0.3 s"), "{fault}");
        // Its connection was closed: whoever is at the other end sees the end of the stream.
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    }
}

scenario! {
    fn many_requests_are_under_way_over_one_connection(world) {
        let config = world.create_token("ca");
        let key = world.workshop("ca").generate_signing_key("issuer", hsm::Algorithm::P256).unwrap();
        let agents = listening(world, Service { token: Some(config), ..Service::default() }, false);
        let signing = client(&agents).signing_key(key.clone());
        std::thread::scope(|scope| {
            for thread in 0..32_u8 {
                let (signing, key) = (&signing, &key);
                scope.spawn(move || {
                    for round in 0..20 {
                        let message = [thread, round];
                        let signature = signing.sign(Purpose::Certificate, &message).unwrap();
                        let public = aws_lc_rs::signature::UnparsedPublicKey::new(
                            &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
                            // The point is the last 65 octets of a SubjectPublicKeyInfo on P-256.
                            &key.public_key[key.public_key.len() - 65..],
                        );
                        public.verify(&message, &signature).unwrap();
                    }
                });
            }
        });
        assert_eq!(agents.opened.load(Ordering::SeqCst), 1);
    }
}
