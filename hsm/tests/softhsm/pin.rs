//! PINs: a wrong one is tried once.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use hsm::agent::{Service, serve};
use hsm::{Algorithm, Deadlines, Error, Health, Launch, Socket};

use crate::agent::Strict;

use crate::harness::{module, scenario, slot_of};

/// `CKF_USER_PIN_COUNT_LOW`: a wrong PIN was tried since the last login.
fn a_wrong_pin_was_tried() -> bool {
    let context = Pkcs11::new(module()).unwrap();
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let low = context.get_token_info(slot_of(&context, "ca")).unwrap().user_pin_count_low();
    context.finalize().unwrap();
    low
}

scenario! {
    fn a_wrong_pin_is_tried_once_however_often_the_token_is_used(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let reference = world.workshop("ca").generate_signing_key("issuer", Algorithm::P256).unwrap();
                world.store("issuer", &reference);
                assert!(!a_wrong_pin_was_tried());
                world.run_step("wrong PIN");
                assert!(a_wrong_pin_was_tried());
                world.run_step("right PIN");
                assert!(!a_wrong_pin_was_tried());
            }
            "wrong PIN" => {
                let right = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                world.write_pin("ca", "not the PIN", 0o600);
                let token = world.token("ca");
                let Err(Error::Locked(fault)) = token.check() else { panic!("it logged in") };
                assert_eq!(fault.answer().unwrap().to_string(), "C_Login answered CKR_PIN_INCORRECT");
                // A second try would be with the right PIN: it would succeed, and clear the token's flag.
                world.write_pin("ca", &right, 0o600);
                let key = token.signing_key(world.stored("issuer"));
                for _ in 0..3 {
                    assert!(matches!(token.check(), Err(Error::Locked(_))));
                    assert!(matches!(key.sign(hsm::Purpose::Content, b"message"), Err(Error::Locked(_))));
                    assert!(matches!(token.reload(), Err(Error::Locked(_))));
                    assert!(matches!(world.token("ca").check(), Err(Error::Locked(_))));
                }
                assert!(matches!(token.health(), Health::Alarm(_)));
            }
            "right PIN" => {
                let token = world.token("ca");
                token.signing_key(world.stored("issuer")).check().unwrap();
                assert!(matches!(token.health(), Health::Serving(_)));
            }
            other => panic!("no step {other}"),
        }
    }
}

scenario! {
    fn a_login_without_an_answer_is_not_tried_again_where_the_token_counted_a_wrong_pin(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let right = std::fs::read_to_string(world.path("ca.pin")).unwrap();
                world.write_pin("ca", "not the PIN", 0o600);
                world.run_step("wrong PIN");
                world.write_pin("ca", &right, 0o600);
                world.run_step("the agent ends while it logs in");
                // A second try would have succeeded, and cleared the token's flag.
                assert!(a_wrong_pin_was_tried());
                world.run_step("restarted");
                assert!(!a_wrong_pin_was_tried());
            }
            "wrong PIN" => assert!(matches!(world.token("ca").check(), Err(Error::Locked(_)))),
            "the agent ends while it logs in" => {
                let path = world.path("agent.sock");
                let listener = UnixListener::bind(&path).unwrap();
                let service = Service { token: Some(world.config("ca")), ..Service::default() };
                std::thread::spawn(move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    take_frame(&mut stream);
                    // The opening went well; then comes the request that logs in.
                    stream.write_all(&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
                    take_frame(&mut stream);
                    drop(stream);
                    for stream in listener.incoming() {
                        let _ = serve(stream.unwrap(), &service, Arc::new(Strict { refuses: false }));
                    }
                });
                let peer = rustix::process::geteuid().as_raw();
                let token = hsm::Token::through(Launch::Socket(Socket { path, peer }), Deadlines::default());
                let said = loop {
                    match token.check() {
                        Err(Error::Unavailable(_)) => std::thread::yield_now(),
                        other => break other,
                    }
                };
                let Err(Error::Locked(fault)) = said else { panic!("{said:?}") };
                assert!(fault.to_string().contains("was never answered"), "{fault}");
                assert!(matches!(token.health(), Health::Alarm(_)));
            }
            "restarted" => drop(world.token("ca").check().unwrap()),
            other => panic!("no step {other}"),
        }
    }
}

/// Reads one frame of the client's and forgets it.
fn take_frame(stream: &mut impl Read) {
    let mut header = [0; 14];
    stream.read_exact(&mut header).unwrap();
    let mut message = vec![0; u32::from_be_bytes(header[2..6].try_into().unwrap()) as usize];
    stream.read_exact(&mut message).unwrap();
}

scenario! {
    fn a_pin_file_that_is_open_to_others_is_not_used(world) {
        world.create_token("ca");
        let pin = std::fs::read_to_string(world.path("ca.pin")).unwrap();
        world.write_pin("ca", &pin, 0o644);
        let token = world.token("ca");
        let Err(Error::Refused(fault)) = token.check() else { panic!("it logged in") };
        assert!(fault.to_string().contains("chmod 600"), "{fault}");
        // No try was spent on it, and putting it right is enough.
        world.write_pin("ca", &pin, 0o600);
        token.check().unwrap();
    }
}

scenario! {
    fn a_pin_from_a_descriptor_serves_for_later_logins_too(world) {
        use std::os::fd::AsRawFd;
        let mut config = world.create_token("ca");
        // A pipe answers once.
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, &std::fs::read(world.path("ca.pin")).unwrap()).unwrap();
        drop(write);
        config.pin = hsm::PinSource::Descriptor(read.as_raw_fd());
        let token = hsm::Token::new(config);
        token.check().unwrap();
        token.reload().unwrap();
        token.check().unwrap();
    }
}

scenario! {
    fn a_pin_that_comes_once_survives_a_login_that_the_token_was_too_ill_for(world) {
        use std::os::fd::AsRawFd;
        let mut config = world.create_token("ca");
        let (read, mut write) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut write, &std::fs::read(world.path("ca.pin")).unwrap()).unwrap();
        drop(write);
        config.pin = hsm::PinSource::Descriptor(read.as_raw_fd());
        // Somebody who looks for another token keeps the module up, and the module knows the slot of ours.
        let looking = world.token("another");
        assert!(matches!(looking.check(), Err(Error::Unavailable(_))));
        let (place, elsewhere) = (world.token_folder(), world.path("elsewhere"));
        std::fs::rename(&place, &elsewhere).unwrap();
        let token = hsm::Token::new(config);
        let Err(Error::Unavailable(_)) = token.check() else { panic!("it logged in") };
        std::fs::rename(&elsewhere, &place).unwrap();
        token.check().unwrap();
    }
}
