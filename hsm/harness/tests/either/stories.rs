//! The stories.

use std::time::Duration;

use hsm::{Algorithm, Deadlines, Error, Health, KeyGeneration, Purpose, Scheme};
use token_harness::TestToken;

/// Waits for a fact; the bound is there so that a story ends, and nothing is asserted about time.
fn eventually<T>(mut act: impl FnMut() -> Result<T, Error>) -> T {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match act() {
            Ok(value) => return value,
            Err(error) if std::time::Instant::now() > until => panic!("it never came: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn impatient() -> Deadlines {
    Deadlines {
        connect: Duration::from_secs(1),
        operation: Duration::from_secs(1),
        ..Deadlines::default()
    }
}

fn keys_of(token: &dyn TestToken) -> KeyGeneration {
    token.sealing_keys(1).unwrap().keys
}

pub(crate) fn keys_are_made_and_work(token: &dyn TestToken) {
    let client = token.client();
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa(2048)] {
        let key = token.signing_key(algorithm).unwrap();
        client.signing_key(key).check().unwrap();
    }
    let keys = client.sealing_keys(keys_of(token));
    keys.check().unwrap();
    let sealed = keys.seal(b"row 1", b"secret").unwrap();
    assert_eq!(keys.open(b"row 1", &sealed).unwrap().as_slice(), b"secret");
    assert!(matches!(keys.open(b"row 2", &sealed), Err(Error::Unreadable(_))));
    // A key that is born in the token signs there, judged by another implementation.
    let born = keys.generate(Algorithm::P256, b"row 3").unwrap();
    let scheme = Scheme::EcdsaP256Sha256;
    let signature =
        keys.sign(b"row 3", &born.sealed, Purpose::Content, scheme, b"message").unwrap();
    let verification = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
    let public =
        aws_lc_rs::signature::ParsedPublicKey::new(verification, &born.public_key).unwrap();
    public.verify_sig(b"message", &signature).unwrap();
    assert!(public.verify_sig(b"another", &signature).is_err());
}

pub(crate) fn an_agent_that_was_killed_is_missed_and_comes_back(token: &dyn TestToken) {
    let keys = keys_of(token);
    let client = token.client();
    let keys = client.sealing_keys(keys);
    let sealed = keys.seal(b"row 1", b"secret").unwrap();
    for _ in 0..2 {
        token.kill().unwrap();
        assert!(matches!(keys.open(b"row 1", &sealed), Err(Error::Unavailable(_))));
        token.restart().unwrap();
        eventually(|| keys.open(b"row 1", &sealed));
    }
    // A second kill of what is dead, and a restart of what runs, are nothing special.
    token.kill().unwrap();
    token.kill().unwrap();
    token.restart().unwrap();
    token.restart().unwrap();
    eventually(|| keys.open(b"row 1", &sealed));
    assert!(matches!(client.health(), Health::Serving(_)));
}

pub(crate) fn a_paused_agent_is_late_and_goes_on(token: &dyn TestToken) {
    let keys = keys_of(token);
    let client = token.client_with(impatient());
    let keys = client.sealing_keys(keys);
    eventually(|| keys.check());
    token.pause().unwrap();
    let Err(Error::Unavailable(fault)) = keys.check() else { panic!("it answered") };
    assert!(fault.to_string().contains("did not answer within 1 s"), "{fault}");
    token.resume().unwrap();
    eventually(|| keys.check());
}

pub(crate) fn another_token_in_its_place_is_seen_and_not_used(token: &dyn TestToken) {
    let keys = keys_of(token);
    let client = token.client();
    let before = client.check().unwrap();
    let keys = client.sealing_keys(keys);
    let sealed = keys.seal(b"row 1", b"secret").unwrap();
    token.replace_token().unwrap();
    token.restart().unwrap();
    // A fresh client knows nothing of the first token, and finds the other one.
    let other = eventually(|| token.client().check());
    assert_eq!(before.label, other.label);
    assert_ne!(before.serial, other.serial);
    let refused = loop {
        match keys.open(b"row 1", &sealed) {
            Err(Error::Unavailable(_)) => std::thread::sleep(Duration::from_millis(10)),
            other => break other,
        }
    };
    assert_eq!(refused.unwrap_err().alarm(), Some(hsm::AlarmKind::Replaced));
    token.return_token().unwrap();
    token.restart().unwrap();
    assert_eq!(eventually(|| keys.open(b"row 1", &sealed)).as_slice(), b"secret");
    assert_eq!(client.check().unwrap(), before);
}

pub(crate) fn a_cut_line_is_late_and_goes_on(token: &dyn TestToken) {
    let keys = keys_of(token);
    let client = token.client_with(impatient());
    let keys = client.sealing_keys(keys);
    eventually(|| keys.check());
    token.lose_network();
    assert!(matches!(keys.check(), Err(Error::Unavailable(_))));
    // Nor does anybody else get through.
    assert!(matches!(token.client_with(impatient()).check(), Err(Error::Unavailable(_))));
    token.restore_network();
    eventually(|| keys.check());
}

pub(crate) fn an_agent_is_restarted_under_a_client(token: &dyn TestToken) {
    let keys = keys_of(token);
    let client = token.client();
    let keys = client.sealing_keys(keys);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answered = 0;
            while answered < 100 {
                let sealed = eventually(|| keys.seal(b"row 1", b"secret"));
                assert_eq!(eventually(|| keys.open(b"row 1", &sealed)).as_slice(), b"secret");
                answered += 1;
            }
        });
        for _ in 0..3 {
            token.restart().unwrap();
        }
        asking.join().unwrap();
    });
}
