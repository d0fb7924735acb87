//! Sealing: opens for its context and for no other; chosen by what the token does, not by what it lists.

use hsm::provision::{SelfTestOutcome, UnwrapTemplate};
use hsm::{Error, Header, SealingMechanism};

use crate::bench::Bench;
use crate::facts::said;

pub(crate) fn generation(bench: &Bench) {
    let made = bench.workshop().generate_generation("sealwright", 1, None);
    let Some(made) = bench.try_to("made and proved", made) else { return };
    bench.facts.tell("seals with", made.mechanism.to_string());
    bench.try_to("found and proved by a service", bench.token().sealing_keys(made.keys).check());
    for test in &made.self_tests {
        let found = match &test.outcome {
            SelfTestOutcome::KnownAnswer => "known answers".to_owned(),
            SelfTestOutcome::RoundTrip(why) => format!("round trip only ({why})"),
            SelfTestOutcome::Failed(why) => format!("failed: {why}"),
        };
        assert!(!bench.is_reference() || found == "known answers", "{found}");
        bench.facts.tell(&format!("self-test of {}", test.mechanism), found);
    }
    bench.facts.tell("keys can be born", if made.keys_can_be_born() { "yes" } else { "no" });
    assert!(!bench.is_reference() || made.unwrap_template == UnwrapTemplate::Honoured);
    let template = match &made.unwrap_template {
        UnwrapTemplate::Honoured => "honoured".to_owned(),
        UnwrapTemplate::Ignored(what) => format!("IGNORED: {}", what.join("; ")),
        UnwrapTemplate::Refused(why) => format!("refused: {why}"),
        UnwrapTemplate::Untried => "untried".to_owned(),
    };
    bench.facts.tell("unwrap template", template);
}

pub(crate) fn gcm(bench: &Bench) {
    seals(bench, SealingMechanism::Gcm);
}

pub(crate) fn key_wrap(bench: &Bench) {
    seals(bench, SealingMechanism::KeyWrap);
}

fn seals(bench: &Bench, mechanism: SealingMechanism) {
    let workshop = bench.workshop();
    let make = |number| workshop.generate_generation("sealwright", number, Some(mechanism));
    let Some(made) = bench.try_to("keys are made", make(5)) else { return };
    assert_eq!(made.mechanism, mechanism);
    let token = bench.token();
    let keys = token.sealing_keys(made.keys);
    let sealed: Vec<_> = match [&b""[..], b"x", &[7; 1704], &[8; 100_000]]
        .into_iter()
        .map(|secret| {
            let sealed = keys.seal(b"store 1, entry 2", secret)?;
            let opened = keys.open(b"store 1, entry 2", &sealed)?;
            assert_eq!(opened.as_slice(), secret);
            Ok(sealed)
        })
        .collect::<Result<_, Error>>()
    {
        Ok(sealed) => sealed,
        Err(error) => {
            assert!(!bench.is_reference(), "{error}");
            return bench.facts.tell("sealed and opened, 0 to 100,000 octets", said(&error));
        }
    };
    bench.facts.tell("sealed and opened, 0 to 100,000 octets", "yes");
    for sealed in &sealed {
        assert_eq!(Header::read(sealed).map(|header| header.mechanism), Some(mechanism));
        let moved = keys.open(b"store 1, entry 3", sealed);
        assert!(matches!(moved, Err(Error::Unreadable(_))), "{moved:?}");
    }
    bench.facts.tell("opened for another context", "unreadable");
    // Each octet of the shortest: none may open, and the token must stay well. In which word it is refused may differ.
    let mut words = std::collections::BTreeSet::new();
    for at in 0..sealed[1].len() {
        let mut changed = sealed[1].clone();
        changed[at] ^= 1;
        words.insert(match keys.open(b"store 1, entry 2", &changed) {
            Ok(_) => panic!("it opened with octet {at} changed"),
            Err(Error::Unreadable(_)) => "unreadable".to_owned(),
            Err(error) => said(&error),
        });
    }
    let words = words.into_iter().collect::<Vec<_>>().join("; ");
    assert!(!bench.is_reference() || words == "unreadable", "{words}");
    bench.facts.tell("opened with one octet changed", words);
    assert_eq!(keys.open(b"store 1, entry 2", &sealed[1]).unwrap().as_slice(), b"x");
    let next = token.sealing_keys(bench.need("more keys are made", make(6)).keys);
    let anew = next.reseal(&keys, b"store 1, entry 2", b"version 2", &sealed[1]);
    if let Some(anew) = bench.try_to("sealed anew under the next keys", anew) {
        assert_eq!(next.open(b"version 2", &anew).unwrap().as_slice(), b"x");
        assert!(matches!(keys.open(b"version 2", &anew), Err(Error::Unreadable(_))));
    }
    let seen = workshop.destroy_generation(&made.keys);
    let gone = seen.inspect(|seen| {
        assert!(!bench.is_reference() || seen.is_complete(), "{seen:?}");
    });
    match gone {
        Ok(seen) if seen.is_complete() => bench.facts.tell("destroyed", "gone"),
        Ok(seen) => {
            let left = seen.keys.iter().map(|key| key.left).sum::<usize>();
            let used: Vec<_> =
                seen.keys.iter().filter_map(|key| key.used_afterwards.clone()).collect();
            bench.facts.tell("destroyed", format!("{left} left; old handles: {}", used.join(", ")));
        }
        Err(error) => bench.facts.tell("destroyed", said(&error)),
    }
}
