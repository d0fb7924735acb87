//! What the examination (`sealwright doctor`) says of keys that our code has made.

use hsm::Algorithm;
use hsm::examination::{Expected, ExpectedKey, Outcome, examine};

use crate::bench::Bench;

pub(crate) fn examined(bench: &Bench) {
    let workshop = bench.workshop();
    let mut keys = Vec::new();
    for algorithm in [Algorithm::P256, Algorithm::Rsa(2048)] {
        if let Ok(made) = workshop.generate_signing_key(&format!("issuer {algorithm}"), algorithm) {
            let imported = Some(false);
            keys.push(ExpectedKey::Signing { id: made.id, public_key_sha256: None, imported });
        }
    }
    if let Ok(made) = workshop.generate_generation("sealwright", 1, None) {
        keys.push(ExpectedKey::Sealing { id: made.keys.sealing });
        keys.push(ExpectedKey::Wrapping { id: made.keys.wrapping });
    }
    drop(workshop);
    if keys.is_empty() {
        assert!(!bench.is_reference());
        return bench.facts.tell("of our keys", "no key is accepted");
    }
    let expected = Expected { keys, complete: true };
    let seen = bench.need("examined", examine(&bench.config(), &expected));
    bench
        .facts
        .tell("found to be a software token", if seen.token.software { "yes" } else { "no" });
    bench.facts.tell(
        "mechanisms missing",
        match seen.missing_mechanisms.is_empty() {
            true => "none".to_owned(),
            false => seen.missing_mechanisms.join(", "),
        },
    );
    for key in &seen.keys {
        let role = if key.label.contains("wrapping") { "wrapping key" } else { &key.kind };
        let mut differs = Vec::new();
        for observed in &key.observations {
            if observed.outcome != Outcome::Held
                // Nobody put it on record here.
                && observed.check != hsm::examination::Check::PublicKey
            {
                differs.push(format!(
                    "{:?} {:?}: {}",
                    observed.check, observed.outcome, observed.detail
                ));
            }
        }
        assert!(differs.is_empty() || !bench.is_reference(), "{differs:?}");
        let told =
            if differs.is_empty() { "everything holds".to_owned() } else { differs.join("; ") };
        bench.facts.tell(role, told);
    }
    bench.facts.tell("left behind", seen.strangers.len().to_string());
}
