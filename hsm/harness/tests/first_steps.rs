//! What my service does while its token is away.

#[cfg(feature = "container")]
use token_harness::Failure;
use token_harness::hsm::{Algorithm, Error, Purpose};
use token_harness::{SoftHsm, TestToken};

// Once in each test file: the test program is its own token agent.
token_harness::agent!();

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Written once, for a token on this machine or in a container.
fn a_key_comes_back_with_its_token(token: &dyn TestToken) -> Outcome {
    let reference = token.signing_key(Algorithm::P256)?;
    let key = token.client().signing_key(reference);
    // It signs a challenge, and the signature verifies.
    key.check()?;

    token.kill()?;
    assert!(matches!(key.check(), Err(Error::Unavailable(_))));

    token.restart()?;
    // A client asks again after a pause; nothing was restarted but the agent.
    while key.check().is_err() {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn on_this_machine() -> Outcome {
    let token = SoftHsm::local()?;
    a_key_comes_back_with_its_token(&token)?;
    // The agent here has no policy; the one in the container signs for what its role says.
    let key = token.client().signing_key(token.signing_key(Algorithm::P384)?);
    assert!(!key.sign(Purpose::Content, b"message")?.is_empty());
    Ok(())
}

#[cfg(feature = "container")]
#[test]
fn in_a_container() -> Outcome {
    match SoftHsm::container() {
        Ok(token) => a_key_comes_back_with_its_token(&token),
        // No engine, or no image: the sentence says what to run.
        Err(missing @ Failure::Missing(_)) => {
            eprintln!("LOUD: {missing}");
            Ok(())
        }
        Err(failure) => Err(failure.into()),
    }
}

// Code that loads the module itself gets a process of its own, with this token and no other in its environment.
token_harness::in_process! {
    fn my_library_finds_its_token(token) {
        let client = token_harness::hsm::Token::new(token.config().clone());
        assert!(client.check().is_ok_and(|seen| seen.label == "harness"));
    }
}
