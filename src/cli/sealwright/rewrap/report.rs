//! A change of keys in words, and as JSON.

use std::fmt::Write as _;

use crate::api::rewrap::{Evidence, Phase, Rewrap};

/// What every backup from before is worth once the old keys are gone.
const BACKUPS: &str = "\
Backups made before hold entries under the destroyed keys: nobody can open those entries any more.
Make a new one now: sealwright backup --out FILE
";

/// One JSON object and a line feed.
pub(super) fn json(standing: &Rewrap) -> String {
    // These types have no value that JSON cannot say.
    serde_json::to_string_pretty(standing).unwrap_or_default() + "\n"
}

pub(super) fn text(standing: &Rewrap) -> String {
    let Some(from) = standing.from else {
        return "The sealing and wrapping keys were never changed; `sealwright rewrap` does it.\n"
            .to_owned();
    };
    let to = standing.to.map_or("(not made yet)".to_owned(), |to| to.to_string());
    let mut text = format!("Keys: generation {from} -> {to}: {}.\n", state(standing.phase));
    if let (Some(fault), false) = (&standing.fault, standing.phase.is_at_rest()) {
        add(&mut text, format_args!("Waiting: {fault}\n"));
    }
    if standing.phase == Phase::MakingKeys {
        return text;
    }
    numbers(&mut text, standing);
    if !standing.damaged.is_empty() {
        text.push_str("Entries that do not open:\n");
        for damaged in &standing.damaged {
            let (store, alias) = (&damaged.store, &damaged.alias);
            add(&mut text, format_args!("  {store}/{alias}: {}\n", damaged.reason));
        }
    }
    if let Some(evidence) = &standing.evidence {
        proof(&mut text, evidence);
    }
    match standing.phase {
        Phase::Done => text.push_str(BACKUPS),
        Phase::Kept => text.push_str(
            "The old keys are kept; `sealwright rewrap --destroy-old` destroys them. Backups made before\n\
             can be opened until then.\n",
        ),
        _ => {}
    }
    text
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Never => "never changed",
        Phase::MakingKeys => "new keys are being made",
        Phase::Resealing => "entries are being sealed anew",
        Phase::Destroying => "the old keys are being destroyed",
        Phase::Blocked => "not finished, because entries do not open",
        Phase::Kept => "every entry is under the new keys, the old ones are kept",
        Phase::Done => "every entry is under the new keys, the old ones are destroyed",
    }
}

fn numbers(text: &mut String, standing: &Rewrap) {
    let entries = &standing.entries;
    for (what, number) in [
        ("Entries with a key at the start", entries.before),
        ("  sealed anew", entries.resealed),
        ("  deleted before their turn", entries.deleted_old),
        ("  still under older keys", entries.left),
        ("Created since", entries.created),
        ("Deleted since, under the new keys", entries.deleted_new),
    ] {
        add(text, format_args!("{what:<36}{number:>10}\n"));
    }
    let Some(inventory) = &standing.inventory else { return };
    let now: u64 = inventory.iter().map(|sealed| sealed.entries).sum();
    add(text, format_args!("{:<36}{now:>10}\n", "Entries with a key now, by header"));
    for sealed in inventory {
        let of = match sealed.generation {
            Some(number) => format!("  generation {number}"),
            None => "  header names no keys on record".to_owned(),
        };
        add(text, format_args!("{of:<36}{:>10}\n", sealed.entries));
    }
}

fn proof(text: &mut String, evidence: &Evidence) {
    let serial = &evidence.token_serial;
    add(text, format_args!("The token with serial number {serial} destroyed the old keys:\n"));
    for key in &evidence.keys {
        add(
            text,
            format_args!(
                "  {}\n    destroyed: {}; found afterwards: {}; use afterwards: {}\n",
                key.id, key.destroyed, key.found_afterwards, key.later_use
            ),
        );
    }
    add(text, format_args!("  vmafdd, afterwards: {}\n", evidence.service_answer));
}

/// Writing into a string does not fail.
fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _written = text.write_fmt(what);
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{json, text};
    use crate::api::rewrap::{Damaged, DestroyedKey, Entries, Evidence, Phase, Rewrap, Sealed};

    /// A change of keys in this phase whose sums hold.
    pub(in super::super) fn standing(phase: Phase) -> Rewrap {
        let never = phase == Phase::Never;
        let blocked = u64::from(phase == Phase::Blocked);
        let old = Sealed { generation: Some(1), entries: blocked };
        let new = Sealed { generation: Some(2), entries: 6 - blocked };
        Rewrap {
            phase,
            from: (!never).then_some(1),
            to: (!never).then_some(2),
            started_at: None,
            ended_at: None,
            keep_old: phase == Phase::Kept,
            entries: Entries {
                before: 5,
                resealed: 4 - blocked,
                deleted_old: 1,
                left: blocked,
                created: 3,
                deleted_new: 1,
            },
            inventory: Some([old, new].into_iter().filter(|sealed| sealed.entries > 0).collect()),
            fault: (blocked > 0).then(|| "it does not open; delete it".to_owned()),
            damaged: (blocked > 0)
                .then(|| Damaged {
                    store: "machine".to_owned(),
                    alias: "a".to_owned(),
                    reason: "it does not open".to_owned(),
                })
                .into_iter()
                .collect(),
            evidence: (phase == Phase::Done).then(|| Evidence {
                at: 0,
                token_serial: "5bee".to_owned(),
                keys: vec![DestroyedKey {
                    id: "ab".repeat(32),
                    destroyed: "CKR_OK".to_owned(),
                    found_afterwards: 0,
                    later_use: "CKR_OBJECT_HANDLE_INVALID".to_owned(),
                }],
                service_answer: "no such key".to_owned(),
            }),
        }
    }

    #[test]
    fn the_end_shows_numbers_evidence_and_what_backups_are_worth() {
        let said = text(&standing(Phase::Done));
        for line in [
            "Keys: generation 1 -> 2: every entry is under the new keys, the old ones are destroyed.\n",
            "  sealed anew                                4\n",
            "  generation 2                               6\n",
            "destroyed: CKR_OK; found afterwards: 0; use afterwards: CKR_OBJECT_HANDLE_INVALID\n",
            "  vmafdd, afterwards: no such key\n",
            "Make a new one now: sealwright backup",
        ] {
            assert!(said.contains(line), "{line}\n{said}");
        }
        assert!(!said.contains("generation 1    "), "{said}");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let said = text(&standing(Phase::Blocked));
        assert!(said.contains("  machine/a: it does not open\n"), "{said}");
        assert!(!said.contains("backup"), "{said}");
        let mut waiting = standing(Phase::MakingKeys);
        waiting.to = None;
        waiting.fault = Some("the token is away".to_owned());
        let said = text(&waiting);
        assert!(said.contains("1 -> (not made yet)"), "{said}");
        assert!(said.ends_with("Waiting: the token is away\n"), "{said}");
        assert!(text(&standing(Phase::Kept)).contains("--destroy-old"));
        assert!(text(&standing(Phase::Never)).contains("never changed"));
    }

    #[test]
    fn machines_read_what_the_service_said() {
        let done = standing(Phase::Done);
        assert_eq!(serde_json::from_str::<Rewrap>(&json(&done)).unwrap(), done);
    }
}
