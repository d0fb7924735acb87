//! Each story is written once, for any token behind the trait.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

token_harness::agent!();

#[path = "either/processes.rs"]
mod processes;
#[path = "either/stories.rs"]
mod stories;

use token_harness::{Failure, Kind, Local, SoftHsm, TestToken};

/// A token, or `None` and a loud line where this machine has none.
fn had<T: TestToken + 'static>(token: Result<T, Failure>) -> Option<Box<dyn TestToken>> {
    match token {
        Ok(token) => Some(Box::new(token)),
        Err(Failure::Missing(why)) => {
            eprintln!("LOUD: {why}; this is NOT tried");
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// The same for a container, which must be had where the environment says so.
#[cfg(feature = "container")]
fn contained() -> Option<Box<dyn TestToken>> {
    let token = had(SoftHsm::container());
    let required = std::env::var("SEALWRIGHT_REQUIRE_DOCKER").is_ok_and(|value| value == "1");
    assert!(token.is_some() || !required, "SEALWRIGHT_REQUIRE_DOCKER=1, and there is no container");
    token
}

macro_rules! on {
    ($place:ident, $token:expr, [$($story:ident),* $(,)?]) => {
        mod $place {
            use super::*;

            $(#[test]
            fn $story() {
                if let Some(token) = $token {
                    stories::$story(token.as_ref());
                }
            })*
        }
    };
}

on!(
    local,
    Some(Box::new(SoftHsm::local().unwrap())),
    [
        keys_are_made_and_work,
        an_agent_that_was_killed_is_missed_and_comes_back,
        a_paused_agent_is_late_and_goes_on,
        another_token_in_its_place_is_seen_and_not_used,
        a_cut_line_is_late_and_goes_on,
        an_agent_is_restarted_under_a_client,
    ]
);

#[cfg(feature = "container")]
on!(
    container,
    contained(),
    [
        keys_are_made_and_work,
        an_agent_that_was_killed_is_missed_and_comes_back,
        a_paused_agent_is_late_and_goes_on,
        another_token_in_its_place_is_seen_and_not_used,
        a_cut_line_is_late_and_goes_on,
        an_agent_is_restarted_under_a_client,
    ]
);

// It wraps no keys as ours are wrapped, so none is born in it: docs/TOKENS.md.
on!(
    kryoptic,
    had(Local::of(Kind::Kryoptic)),
    [
        an_agent_that_was_killed_is_missed_and_comes_back,
        a_paused_agent_is_late_and_goes_on,
        another_token_in_its_place_is_seen_and_not_used,
        a_cut_line_is_late_and_goes_on,
        an_agent_is_restarted_under_a_client,
    ]
);

/// A key of one token is in no other.
#[test]
fn tokens_of_tests_that_run_at_once_never_meet() {
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let token = SoftHsm::local().unwrap();
                    let key = token.signing_key(hsm::Algorithm::P256).unwrap();
                    (token, key)
                })
            })
            .collect();
        made.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (at, (token, _)) in tokens.iter().enumerate() {
        let client = token.client();
        for (of, (_, key)) in tokens.iter().enumerate() {
            let found = client.signing_key(key.clone()).check();
            match at == of {
                true => found.unwrap(),
                false => assert!(matches!(found, Err(hsm::Error::NoSuchKey(_))), "{found:?}"),
            }
        }
    }
}

token_harness::in_process! {
    fn a_library_in_this_process_finds_one_token(token) {
        let client = hsm::Token::new(token.config().clone());
        let seen = client.check().unwrap();
        assert_eq!(seen.label, "harness");
        let context = cryptoki::context::Pkcs11::new(&token.config().module).unwrap();
        let slots = context.get_slots_with_initialized_token().unwrap();
        assert_eq!(slots.len(), 1, "only its own");
    }
}

/// Who copies the example from the README copies what was compiled and run.
#[test]
fn the_example_in_the_readme_is_a_test_that_runs() {
    let readme = include_str!("../README.md");
    let shown = readme.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(shown, include_str!("first_steps.rs"));
}
