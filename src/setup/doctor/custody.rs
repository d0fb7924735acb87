//! From what was seen in a token to what it means.

use hsm::examination::{
    Check as Seen, Examination, ExaminedKey, Observation, Outcome, Stranger, StrangerKind,
    TokenFlag,
};

use super::report::{Check, Severity};
use crate::config::TokenRole;

pub(super) fn judge(role: TokenRole, seen: &Examination, complete: bool) -> Vec<Check> {
    let mut checks = vec![validation(role, seen), state(role, seen), mechanisms(role, seen)];
    checks.extend(GROUPS.iter().map(|group| observed(role, seen, group)));
    if complete {
        checks.push(strangers(role, seen));
    }
    checks
}

fn validation(role: TokenRole, seen: &Examination) -> Check {
    let mut check = Check::new(
        format!("token.{role}.validation"),
        format!("what kind of module the {role} token is"),
    );
    let (token, library) = (&seen.token, &seen.library);
    let identity = format!(
        "{} {} (serial {}, hardware {}, firmware {}), through {} {} {}",
        token.manufacturer,
        token.model,
        token.serial,
        token.hardware,
        token.firmware,
        library.manufacturer,
        library.description,
        library.version
    );
    check.saw(&identity);
    if token.software {
        check.find(
            Severity::Notice,
            format!("software token: not a validated module ({identity})"),
            "its keys are in the memory of the process that uses it, and in files that the PIN alone protects; \
             what it says about itself is asserted by a library on this machine",
            "for production use a hardware module, and compare its model and firmware with its validation certificate",
        );
    }
    check
}

fn state(role: TokenRole, seen: &Examination) -> Check {
    let mut check = Check::new(
        format!("token.{role}.state"),
        format!("the {role} token's PINs are neither locked nor close to it"),
    );
    for flag in &seen.token.flags {
        let (severity, what, action) = match flag {
            TokenFlag::UserPinMissing => {
                (Severity::Critical, "has no user PIN", "set a user PIN as security officer")
            }
            TokenFlag::UserPinCountLow => (
                Severity::Warning,
                "was given a wrong user PIN since the last login",
                "find out who tried; the examination has logged in since, which resets the count",
            ),
            TokenFlag::UserPinFinalTry => (
                Severity::Critical,
                "locks the user PIN at the next wrong try",
                "log in once with the right PIN by the vendor's tool, and find out who tried",
            ),
            TokenFlag::UserPinLocked => {
                (Severity::Critical, "has locked the user PIN", "reset the PIN as security officer")
            }
            TokenFlag::UserPinToBeChanged => {
                (Severity::Warning, "wants its user PIN changed", "change it, and its PIN source")
            }
            TokenFlag::SoPinCountLow => (
                Severity::Notice,
                "was given a wrong PIN of the security officer",
                "find out who tried",
            ),
            TokenFlag::SoPinFinalTry => (
                Severity::Warning,
                "locks the security officer's PIN at the next wrong try",
                "log in once as security officer by the vendor's tool",
            ),
            TokenFlag::SoPinLocked => (
                Severity::Warning,
                "has locked the security officer's PIN",
                "a user PIN that is locked now can no longer be reset: plan how to replace the token",
            ),
            TokenFlag::NoLoginRequired => (
                Severity::Critical,
                "lets its keys be used without a login",
                "set a user PIN, and have the token require a login",
            ),
            TokenFlag::ErrorState => {
                (Severity::Critical, "is in an error state", "follow the vendor's instructions")
            }
        };
        check.find(
            severity,
            format!("the {role} token {what}"),
            "without its PIN a token does nothing; without a login everybody may use it",
            action,
        );
    }
    check
}

fn mechanisms(role: TokenRole, seen: &Examination) -> Check {
    let mut check = Check::new(
        format!("token.{role}.mechanisms"),
        format!("the {role} token lists the mechanisms that are needed"),
    );
    for mechanism in &seen.missing_mechanisms {
        check.find(
            Severity::Critical,
            format!("the {role} token does not list {mechanism}"),
            "keys that need it cannot be used or made",
            "check the token's firmware and policy, or use another token",
        );
    }
    check
}

/// Observations that are told together.
struct Group {
    id: &'static str,
    about: &'static str,
    checks: &'static [Seen],
    /// How bad it is when the token's answer says neither.
    doubtful: Severity,
    why: &'static str,
    action: &'static str,
}

const GROUPS: [Group; 5] = [
    Group {
        id: "records",
        about: "every key on record is there once, with the public key on record",
        checks: &[Seen::Present, Seen::PublicKey, Seen::Label, Seen::Origin],
        doubtful: Severity::Notice,
        why: "a key that is missing signs and opens nothing; one that was replaced belongs to somebody else; one that \
              cannot be told from another is refused",
        action: "bring back the token or the copy of its folder that holds the key; if the key was replaced, treat \
                 it as an attack: stop the service, keep the token, and make a new CA or restore the sealed keys",
    },
    Group {
        id: "attributes",
        about: "every key's attributes read as its role demands",
        checks: &[Seen::Attributes],
        doubtful: Severity::Notice,
        why: "attributes are what keeps a key inside the token and to its one purpose",
        action: "make a new key with this software and stop using this one; a key that was ever readable stays \
                 suspect, whatever its attributes say later",
    },
    Group {
        id: "attempts",
        about: "every attempt to read, copy, wrap, weaken or misuse a key is refused",
        checks: &[
            Seen::ValueNotTold,
            Seen::AttributesHold,
            Seen::NotCopied,
            Seen::NotWrapped,
            Seen::OneUsage,
        ],
        doubtful: Severity::Warning,
        why: "the token did, or could not be seen to refuse, what an attacker with the PIN would try",
        action: "treat the key as known to others: make a new one in a token that refuses this, replace what was \
                 issued or sealed with it, and report the fault to the token's vendor",
    },
    Group {
        id: "wrapped-keys",
        about: "what a wrapping key wrapped cannot be unwrapped as readable",
        checks: &[Seen::NotTakenOut],
        doubtful: Severity::Warning,
        why: "whoever has the PIN and a sealed key could have a private key that was born in the token unwrapped as \
              something readable. Even a token that refuses this does not stop whoever has the PIN from unwrapping \
              the key as what it is and wrapping it again under a key of their own",
        action: "guard the PIN as you guard the keys; use a token that honours CKA_UNWRAP_TEMPLATE, then change the \
                 sealing keys",
    },
    Group {
        id: "proof",
        about: "every key does what it is for, and its result verifies",
        checks: &[Seen::Proof],
        doubtful: Severity::Warning,
        why: "a key that does not work, or whose signature does not verify, is not the key it is taken for",
        action: "stop the service that uses it, and find out what happened to the token before it is used again",
    },
];

fn observed(role: TokenRole, seen: &Examination, group: &Group) -> Check {
    let mut check =
        Check::new(format!("token.{role}.{}", group.id), format!("{role} token: {}", group.about));
    for key in &seen.keys {
        let told: Vec<&Observation> = key
            .observations
            .iter()
            .filter(|observed| group.checks.contains(&observed.check))
            .collect();
        for observed in &told {
            let severity = match observed.outcome {
                Outcome::Held => continue,
                Outcome::Doubtful => group.doubtful,
                Outcome::Broken => Severity::Critical,
            };
            let (why, action) = match (observed.check, observed.outcome) {
                (Seen::Label, _) => (
                    "keys are found by id and public key, never by label; people and other tools may still mix them up",
                    "give the other key another label, if it is needed at all",
                ),
                _ => (group.why, group.action),
            };
            let what = format!("{}: {}: {}", name(key), words(observed.check), observed.detail);
            check.find(severity, what, why, action);
        }
        if !told.is_empty() && told.iter().all(|observed| observed.outcome == Outcome::Held) {
            let details: Vec<_> = told.iter().map(|observed| observed.detail.as_str()).collect();
            check.saw(format!("{}: {}", name(key), details.join(", ")));
        }
    }
    check
}

fn name(key: &ExaminedKey) -> String {
    let id: String = key.id.to_string().chars().take(12).collect();
    match (key.kind.as_str(), key.label.as_str()) {
        ("", _) => format!("key {id}…"),
        (kind, label) => format!("{kind} key \"{label}\" ({id}…)"),
    }
}

const fn words(check: Seen) -> &'static str {
    match check {
        Seen::Present => "not exactly one",
        Seen::PublicKey => "public key",
        Seen::Label => "label",
        Seen::Attributes => "attributes",
        Seen::Origin => "origin",
        Seen::ValueNotTold => "reading its value",
        Seen::AttributesHold => "making it readable",
        Seen::NotCopied => "copying it",
        Seen::NotWrapped => "wrapping it under another key",
        Seen::OneUsage => "using it for what it is not for",
        Seen::NotTakenOut => "unwrapping a wrapped key as readable",
        Seen::Proof => "proof",
    }
}

fn strangers(role: TokenRole, seen: &Examination) -> Check {
    let mut check = Check::new(
        format!("token.{role}.strangers"),
        format!("every key in the {role} token is on record"),
    );
    for stranger in &seen.strangers {
        let Stranger { kind, id, label, resembles_ours } = stranger;
        let severity = match (resembles_ours, kind) {
            (true, _) => Severity::Critical,
            (false, StrangerKind::PublicKey) => Severity::Notice,
            (false, _) => Severity::Warning,
        };
        let likeness = if *resembles_ours {
            "; it has the label or the id of a key of ours, as a substitute would"
        } else {
            ""
        };
        check.find(
            severity,
            format!("a {kind} that nobody knows: label \"{label}\", id {id}{likeness}"),
            "it is what an interrupted act left behind, or what somebody with the PIN put there to be taken for a key \
             of ours",
            "find out where it comes from (the journal tells of interrupted acts, with their labels); if nobody needs \
             it, stop the service and delete the object by its id with the vendor's tool",
        );
    }
    if seen.more_strangers > 0 {
        check.find(
            Severity::Warning,
            format!("{} more key objects that nobody knows", seen.more_strangers),
            "they are what interrupted acts left behind, or the token is used by somebody else as well",
            "list them with the vendor's tool; give the appliance a token of its own",
        );
    }
    check
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{GROUPS, Seen, judge, words};
    use crate::config::TokenRole;
    use crate::setup::doctor::report::{Check, Severity};
    use hsm::examination::{
        Examination, ExaminedKey, Library, Observation, Outcome, Stranger, StrangerKind,
        TokenFacts, TokenFlag,
    };

    fn examination() -> Examination {
        let text = || "x".to_owned();
        Examination {
            library: Library {
                manufacturer: text(),
                description: text(),
                version: text(),
                cryptoki_version: text(),
            },
            token: TokenFacts {
                label: text(),
                serial: text(),
                manufacturer: text(),
                model: text(),
                hardware: text(),
                firmware: text(),
                software: false,
                flags: Vec::new(),
            },
            missing_mechanisms: Vec::new(),
            keys: Vec::new(),
            strangers: Vec::new(),
            more_strangers: 0,
        }
    }

    fn worst(seen: &Examination) -> Severity {
        judge(TokenRole::Ca, seen, true).iter().map(Check::severity).max().unwrap()
    }

    const ALL: [Seen; 12] = [
        Seen::Present,
        Seen::PublicKey,
        Seen::Label,
        Seen::Attributes,
        Seen::Origin,
        Seen::ValueNotTold,
        Seen::AttributesHold,
        Seen::NotCopied,
        Seen::NotWrapped,
        Seen::OneUsage,
        Seen::NotTakenOut,
        Seen::Proof,
    ];

    #[test]
    fn whatever_is_broken_is_critical_and_nothing_is_left_out() {
        assert_eq!(worst(&examination()), Severity::Ok);
        for check in ALL {
            let groups = GROUPS.iter().filter(|group| group.checks.contains(&check)).count();
            assert_eq!(groups, 1, "{}", words(check));
            let with = |outcome| {
                let observations = vec![Observation { check, outcome, detail: "d".to_owned() }];
                let id = hsm::KeyId([1; 32]);
                let key = ExaminedKey { id, label: "l".into(), kind: "k".into(), observations };
                worst(&Examination { keys: vec![key], ..examination() })
            };
            assert_eq!(with(Outcome::Held), Severity::Ok);
            assert_eq!(with(Outcome::Broken), Severity::Critical);
            assert!(with(Outcome::Doubtful) > Severity::Ok);
        }
    }

    #[test]
    fn strangers_flags_and_software_are_told_with_their_weight() {
        let stranger = |kind, resembles_ours| {
            let stranger = Stranger { kind, id: "01".into(), label: "l".into(), resembles_ours };
            worst(&Examination { strangers: vec![stranger], ..examination() })
        };
        assert_eq!(stranger(StrangerKind::PrivateKey, false), Severity::Warning);
        assert_eq!(stranger(StrangerKind::PublicKey, false), Severity::Notice);
        assert_eq!(stranger(StrangerKind::SecretKey, true), Severity::Critical);
        let with = |change: fn(&mut TokenFacts)| {
            let mut seen = examination();
            change(&mut seen.token);
            worst(&seen)
        };
        assert_eq!(with(|token| token.software = true), Severity::Notice);
        let locked = |token: &mut TokenFacts| token.flags = vec![TokenFlag::UserPinLocked];
        assert_eq!(with(locked), Severity::Critical);
        let missing = Examination { missing_mechanisms: vec!["m".into()], ..examination() };
        assert_eq!(worst(&missing), Severity::Critical);
    }
}
