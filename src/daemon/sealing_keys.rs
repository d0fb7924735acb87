//! What the key workshop tells of sealing keys, in the words of the room and of the log.

use hsm::provision::{self, MadeGeneration, SelfTestOutcome, UnwrapTemplate};

use crate::vecs::{DestroyedKey, Destruction};
use crate::workshop::Destroyed;

/// Logs what was found about the token while keys were made in it.
pub(super) fn tell(made: &MadeGeneration) {
    let number = made.keys.number;
    tracing::info!("sealing keys of generation {number} made; they seal with {}", made.mechanism);
    for test in &made.self_tests {
        match &test.outcome {
            SelfTestOutcome::KnownAnswer => {}
            SelfTestOutcome::RoundTrip(why) => tracing::warn!(
                "self-test of {}: the token takes no known key, so it was tried with one of its own ({why})",
                test.mechanism
            ),
            SelfTestOutcome::Failed(why) => {
                tracing::warn!("self-test of {} failed: {why}", test.mechanism)
            }
        }
    }
    match &made.unwrap_template {
        UnwrapTemplate::Honoured => {}
        UnwrapTemplate::Untried => {
            tracing::warn!(
                "no key can be born in this token: it does not wrap keys as RFC 5649 says"
            )
        }
        other => tracing::warn!(
            "the token does not hold the keys that it unwraps to a template ({other:?}): whoever has its PIN could read a \
             key born in it; `sealwright doctor` says what to do"
        ),
    }
}

/// The evidence for the journal. Refused if a key was only said to be destroyed.
pub(super) fn evidence(destroyed: Destroyed) -> Result<Destruction, hsm::Error> {
    let Destroyed { destruction, copies_removed } = destroyed;
    let copies = copies_removed.map_or_else(String::new, |removed| {
        format!("; older copies of the token's directory removed: {removed}")
    });
    let keys = destruction.keys.into_iter().map(|key| in_words(key, &copies));
    Ok(Destruction { keys: keys.collect::<Result<_, _>>()? })
}

fn in_words(key: provision::DestroyedKey, copies: &str) -> Result<DestroyedKey, hsm::Error> {
    let provision::DestroyedKey { id, answers, left, refusals, used_afterwards } = key;
    if let Some(what) = used_afterwards {
        return Err(hsm::Error::Refused(
            format!(
                "the token said that it destroyed key {id} and still lets it be used ({what}): restart the service and \
                 try again; if it stays so, initialise the token anew and replace it"
            )
            .into(),
        ));
    }
    let or_gone = |said: Vec<String>| match said.is_empty() {
        true => "it was gone already".to_owned(),
        false => said.join("; "),
    };
    Ok(DestroyedKey {
        id,
        gone_before: answers.is_empty(),
        destroyed: format!("{}{copies}", or_gone(answers)),
        found_afterwards: left as u64,
        later_use: or_gone(refusals),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Destroyed, evidence, provision};

    fn destroyed(used_afterwards: Option<String>) -> Destroyed {
        let key = provision::DestroyedKey {
            id: hsm::KeyId([1; 32]),
            answers: vec!["C_DestroyObject answered CKR_OK".to_owned()],
            left: 0,
            refusals: vec!["C_EncryptInit answered CKR_OBJECT_HANDLE_INVALID".to_owned()],
            used_afterwards,
        };
        let destruction = provision::Destruction { number: 1, keys: vec![key] };
        Destroyed { destruction, copies_removed: Some(3) }
    }

    #[test]
    fn evidence_says_what_was_answered_and_what_became_of_the_copies() {
        let seen = evidence(destroyed(None)).unwrap();
        assert!(seen.is_complete());
        assert_eq!(
            seen.keys[0].destroyed,
            "C_DestroyObject answered CKR_OK; older copies of the token's directory removed: 3"
        );
        assert!(seen.keys[0].later_use.contains("HANDLE_INVALID"));
    }

    #[test]
    fn a_key_that_still_works_was_not_destroyed() {
        let refused = evidence(destroyed(Some("use".to_owned())));
        assert!(matches!(refused, Err(hsm::Error::Refused(_))));
    }
}
