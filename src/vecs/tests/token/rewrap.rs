//! Changing the keys, on a real token: what is there before, during and after, and what can go wrong
//! between any two steps.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::{
    Custody, Destruction, Error, Fixture, GenerationState, HereAndNow, KeyWorkshop, MIGRATIONS,
    NewEntry, SERVICE, Secret, Stopped, Vecs, add, alias, assert_opens, caller, context, in_child,
    name, records, secret,
};
use crate::access::{ChangeKeys, Permit};
use crate::store::{self, Store};
use crate::vecs::envelope::Sealed;
use crate::vecs::records::{Inserted, NewRow};
use crate::vecs::tests::{NOW, root};
use crate::vecs::{Alias, EntryKind, Phase, Rewrap};
use crate::x509::PrivateKey;

mod interrupted;
mod waiting;

#[test]
fn rewrap_on_a_real_token() {
    in_child("rewrap::rewrap_on_a_real_token", || {
        every_kind_of_entry_is_the_same_afterwards();
        what_does_not_open_is_named_and_stops_only_the_destruction();
        entries_come_and_go_meanwhile();
        old_keys_are_kept_and_destroyed_when_that_is_wanted();
        wishes_that_cannot_be_are_refused();
        interrupted::it_goes_on_wherever_it_was_interrupted();
        interrupted::keys_that_were_only_out_of_sight_are_destroyed();
        interrupted::a_token_that_goes_away_only_delays_it();
        interrupted::rows_changed_behind_our_back_keep_the_old_keys_alive();
        interrupted::another_token_cannot_say_that_the_old_keys_are_gone();
        waiting::keys_that_wait_are_sealed_anew_and_become_entries();
        waiting::what_waits_and_does_not_open_ends();
        waiting::keys_made_while_the_keys_change_become_entries();
    });
}

fn permit() -> Permit<ChangeKeys> {
    caller(0).permit().unwrap()
}

/// Begins a change of keys and does all of it.
fn change(vecs: &Vecs) -> Result<(), Error> {
    vecs.begin_rewrap(&permit(), false)?;
    vecs.go_on_with_rewrap(&AtomicBool::new(false))
}

/// The same while others have the token make keys. SoftHSM then fails to make one now and then where all are in one
/// process, as here; a service goes on by itself.
fn change_at_last(vecs: &Vecs) {
    vecs.begin_rewrap(&permit(), false).unwrap();
    for _ in 0..50 {
        match vecs.go_on_with_rewrap(&AtomicBool::new(false)) {
            Ok(()) => return,
            Err(Error::Token(hsm::Error::Unavailable(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("{:?}", vecs.standing().rewrap_fault);
}

/// How it stands at rest; the numbers fit.
#[track_caller]
fn at_rest(vecs: &Vecs, phase: Phase) -> Rewrap {
    let (rewrap, inventory) = vecs.rewrap().unwrap();
    let (rewrap, inventory) = (rewrap.unwrap(), inventory.unwrap());
    assert_eq!(rewrap.phase, phase, "{rewrap:?}");
    let entries = rewrap.entries;
    assert_eq!(
        inventory.total() + entries.deleted_old + entries.deleted_new,
        entries.before + entries.created,
        "{rewrap:?} {inventory:?}"
    );
    rewrap
}

fn states(vecs: &Vecs) -> Vec<GenerationState> {
    vecs.generations().unwrap().iter().map(|row| row.state).collect()
}

fn sql(fixture: &Fixture, text: &'static str) {
    fixture.store(MIGRATIONS).write(move |tx| tx.execute(text, &[])).unwrap();
}

fn store_certificate(vecs: &Vecs, text: &str) -> PrivateKey {
    let (certificate, key) = root(text);
    let pem = key.to_pkcs8_pem();
    let new = NewEntry::read(Some(text), Some(&certificate.to_pem()), Some(&pem)).unwrap();
    vecs.writable(&caller(SERVICE), &name("machine")).unwrap().create(new).unwrap();
    key
}

fn opened(vecs: &Vecs, text: &str) -> Result<Secret, Error> {
    vecs.readable_key(&caller(SERVICE), &name("machine"), &alias(text)).unwrap().open()
}

/// An entry whose key is born in the token; its PKCS#8, as it opens now.
fn store_born(fixture: &Fixture, vecs: &Vecs, text: &'static str) {
    let keys = vecs.envelope.generations.to_wrap(1).unwrap();
    let (id, alias) = ([0x77; 16], alias(text));
    let made = keys.generate(hsm::Algorithm::P256, &context(4, &id, 1, &alias)).unwrap();
    let inserted = fixture.store(MIGRATIONS).write::<_, store::Error>(move |tx| {
        let sealed = Sealed { id, version: 1, octets: made.sealed };
        records::insert_entry(tx, &new_row(&alias, &sealed))
    });
    assert_eq!(inserted.unwrap(), Inserted::Yes);
}

fn new_row<'a>(alias: &'a Alias, sealed: &'a Sealed) -> NewRow<'a> {
    NewRow {
        store: 4,
        alias,
        kind: EntryKind::SecretKey,
        pem: "",
        auto_refresh: false,
        created_at: NOW,
        sealed: Some(sealed),
    }
}

fn sealed(fixture: &Fixture, text: &'static str) -> Sealed {
    let found = fixture.store(MIGRATIONS).read(|tx| records::sealed_key(tx, 4, &alias(text)));
    found.unwrap().unwrap()
}

fn every_kind_of_entry_is_the_same_afterwards() {
    let fixture = Fixture::new("all kinds");
    let vecs = fixture.open(None, None);
    let key = store_certificate(&vecs, "certificate and key");
    add(&vecs, "secret").unwrap();
    store_born(&fixture, &vecs, "born");
    let born = opened(&vecs, "born").unwrap();
    let (certificate, _) = root("no key");
    let new = NewEntry::read(Some("no key"), Some(&certificate.to_pem()), None).unwrap();
    vecs.writable(&caller(0), &name("machine")).unwrap().create(new).unwrap();
    let old = vecs.generations().unwrap().remove(0);
    let before = sealed(&fixture, "secret");

    change(&vecs).unwrap();
    let done = at_rest(&vecs, Phase::Done);
    assert_eq!((done.entries.before, done.entries.resealed, done.entries.left()), (3, 3, 0));
    assert_eq!((done.from, done.to), (1, Some(2)));
    assert_eq!(states(&vecs), [GenerationState::Destroyed, GenerationState::Active]);
    assert_eq!(vecs.rewrap().unwrap().1.unwrap().generations, BTreeMap::from([(Some(2), 3)]));
    let now = sealed(&fixture, "secret");
    assert_eq!((now.id, now.version), (before.id, 2));
    let reading = |vecs: &Vecs| {
        let found = opened(vecs, "certificate and key").unwrap();
        assert_eq!(found.expose_secret(), key.to_pkcs8_pem().expose_secret());
        assert_opens(vecs, "secret");
        assert_eq!(opened(vecs, "born").unwrap().expose_secret(), born.expose_secret());
    };
    reading(&vecs);
    assert_eq!(vecs.standing().token_fault, None);
    assert_eq!(vecs.standing().rewrap_fault, None);

    // The old keys: gone by their ids for another login, their check value gone as well.
    let evidence = done.evidence.unwrap();
    assert_eq!(evidence.keys.iter().map(|key| key.found_afterwards).sum::<u64>(), 0);
    assert!(evidence.keys.iter().all(|key| key.destroyed.contains("CKR_OK")), "{evidence:?}");
    assert!(!evidence.service_answer.is_empty());
    let other = hsm::Token::new(fixture.config.clone());
    let refused = other.sealing_keys(old.keys()).check().unwrap_err();
    assert!(matches!(refused, hsm::Error::NoSuchKey(_)), "{refused:?}");
    drop(other);
    let check = fixture.store(MIGRATIONS).read(|tx| records::check_value(tx, 1)).unwrap();
    assert_eq!(check, None);
    // A copy of a row from before, as a backup has it, is of no use, and says why.
    let octets = before.octets;
    fixture
        .store(MIGRATIONS)
        .write::<_, store::Error>(move |tx| {
            tx.execute(
                "UPDATE entry SET sealed_key = $1, sealed_version = 1 WHERE alias = 'secret'",
                &[octets.into()],
            )
        })
        .unwrap();
    let refused = opened(&vecs, "secret").unwrap_err();
    assert!(refused.to_string().contains("which was destroyed"), "{refused}");

    let journal = fixture.journal_of_keys();
    let expected = [
        "sealing-keys.generate generation:1 intended",
        "sealing-keys.generate generation:1 done",
        "sealing-keys.rewrap rewrap:1 intended",
        "sealing-keys.generate generation:2 intended",
        "sealing-keys.generate generation:2 done",
        "sealing-keys.rewrap rewrap:1 done",
        "sealing-keys.destroy generation:1 intended",
        "sealing-keys.destroy generation:1 done",
    ];
    assert_eq!(journal, expected);
    assert_eq!(resealed_on_record(&fixture), 3);
    let details = details_of(&fixture.store(MIGRATIONS), "sealing-keys.destroy", "done");
    assert!(details.contains(&old.sealing.to_string()) && details.contains("CKR_"), "{details}");
}

fn details_of(store: &Store, act: &str, outcome: &str) -> String {
    let sql = "SELECT details FROM journal WHERE act = $1 AND outcome = $2 ORDER BY sequence DESC";
    store
        .read::<_, store::Error>(|tx| {
            tx.query(sql, &[act.into(), outcome.into()])?[0].text(0).map(str::to_owned)
        })
        .unwrap()
}

/// What the journal says about single entries.
fn resealed_on_record(fixture: &Fixture) -> usize {
    let all = fixture.store(MIGRATIONS).read(records::journalled).unwrap();
    all.iter().filter(|(act, ..)| act == "entry.rewrap").count()
}

fn what_does_not_open_is_named_and_stops_only_the_destruction() {
    let fixture = Fixture::new("damaged");
    let vecs = fixture.open(None, None);
    for text in ["good", "changed", "cut", "no number", "other keys", "better"] {
        add(&vecs, text).unwrap();
    }
    // The last octet of the tag, all but the head, the number, the id of the sealing key.
    for damage in [
        "UPDATE entry SET sealed_key = CAST(SUBSTR(sealed_key, 1, LENGTH(sealed_key) - 1)
         || CASE SUBSTR(sealed_key, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB)
         WHERE alias = 'changed'",
        "UPDATE entry SET sealed_key = SUBSTR(sealed_key, 1, 40) WHERE alias = 'cut'",
        "UPDATE entry SET sealed_id = NULL WHERE alias = 'no number'",
        "UPDATE entry SET sealed_key = CAST(SUBSTR(sealed_key, 1, 8) || zeroblob(32) || SUBSTR(sealed_key, 41) AS BLOB)
         WHERE alias = 'other keys'",
    ] {
        sql(&fixture, damage);
    }
    change(&vecs).unwrap();
    let blocked = at_rest(&vecs, Phase::Blocked);
    let named: Vec<_> = blocked.damaged.iter().map(|one| one.alias.as_str()).collect();
    assert_eq!(named, ["changed", "cut", "no number", "other keys"]);
    assert!(blocked.damaged.iter().all(|one| one.store == "machine" && !one.reason.is_empty()));
    assert!(blocked.fault.unwrap().contains("4 entries do not open"));
    assert_eq!((blocked.entries.resealed, blocked.entries.left()), (2, 4));
    assert_eq!(states(&vecs), [GenerationState::Retiring, GenerationState::Active]);
    for text in ["good", "better"] {
        assert_opens(&vecs, text);
    }
    let standing = vecs.standing();
    assert!(standing.rewrap_fault.unwrap().contains("do not open"));
    let refused = vecs.destroy_old_keys(&permit()).unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");

    // After a restart it is said again, and deleting and trying again is the way out.
    drop(vecs);
    let vecs = fixture.open(None, None);
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    assert_eq!(at_rest(&vecs, Phase::Blocked).damaged.len(), 4);
    let writable = vecs.writable(&caller(SERVICE), &name("machine")).unwrap();
    assert!(writable.delete(&alias("cut")).unwrap());
    change(&vecs).unwrap();
    assert_eq!(at_rest(&vecs, Phase::Blocked).damaged.len(), 3);
    for text in ["changed", "no number", "other keys"] {
        assert!(writable.delete(&alias(text)).unwrap());
    }
    assert_eq!(at_rest(&vecs, Phase::Blocked).damaged, []);
    change(&vecs).unwrap();
    let done = at_rest(&vecs, Phase::Done);
    assert_eq!((done.entries.resealed, done.entries.deleted_old), (2, 4));
    assert_eq!(states(&vecs), [GenerationState::Destroyed, GenerationState::Active]);
    assert_eq!(vecs.standing().rewrap_fault, None);
}

/// Says so when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn entries_come_and_go_meanwhile() {
    let fixture = Fixture::new("busy");
    let vecs = fixture.open(None, None);
    let stays = |n: usize| format!("stays {n}");
    let goes = |n: usize| format!("goes {n}");
    for n in 0..60 {
        add(&vecs, &stays(n)).unwrap();
        add(&vecs, &goes(n)).unwrap();
    }
    let (over, created) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let reads = AtomicUsize::new(0);
    for round in 2..=3 {
        over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) && n >= 10 {
                        return;
                    }
                    let text = format!("new {round} {n}");
                    add(&vecs, &text).unwrap();
                    created.lock().unwrap().push(text);
                }
            });
            scope.spawn(|| {
                let writable = vecs.writable(&caller(SERVICE), &name("machine")).unwrap();
                for n in (0..60).filter(|n| n % 2 == round % 2) {
                    assert!(writable.delete(&alias(&goes(n))).unwrap());
                    // Deleted and created again: another key under the same alias.
                    if n % 4 == 0 {
                        assert!(writable.delete(&alias(&stays(n))).unwrap());
                        add(&vecs, &stays(n)).unwrap();
                    }
                }
            });
            for worker in 0..2 {
                let (vecs, over, reads) = (&vecs, &over, &reads);
                scope.spawn(move || {
                    for n in (0..60).cycle() {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let text = stays(n);
                        if n % 4 != 0 && n % 2 == worker {
                            assert_opens(vecs, &text);
                            reads.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            // Also where something fails: the others would go on for ever.
            let _over = Over(&over);
            change_at_last(&vecs);
        });
        let done = at_rest(&vecs, Phase::Done);
        assert_eq!(done.to, Some(round as u32));
        assert_eq!(done.entries.left(), 0, "{done:?}");
    }
    assert!(reads.load(Ordering::Relaxed) > 0);
    for n in 0..60 {
        assert_opens(&vecs, &stays(n));
    }
    created.into_inner().unwrap().iter().for_each(|text| assert_opens(&vecs, text));
    let all = vecs.rewrap().unwrap().1.unwrap().generations;
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [Some(3)], "{all:?}");

    // What was sealed before the keys were changed, and comes to be written afterwards.
    let late = vecs.envelope.seal(4, &alias("late"), &secret("late")).unwrap();
    change(&vecs).unwrap();
    let inserted = fixture.store(MIGRATIONS).write::<_, store::Error>(move |tx| {
        records::insert_entry(tx, &new_row(&alias("late"), &late))
    });
    assert_eq!(inserted.unwrap(), Inserted::Superseded);
    let entries = vecs.readable(&caller(SERVICE), &name("machine")).unwrap();
    assert!(entries.entry(&alias("late")).is_err());
}

fn old_keys_are_kept_and_destroyed_when_that_is_wanted() {
    let fixture = Fixture::new("kept");
    let vecs = fixture.open(None, None);
    add(&vecs, "one").unwrap();
    vecs.begin_rewrap(&permit(), true).unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    let kept = at_rest(&vecs, Phase::Kept);
    assert!(kept.keep_old && kept.evidence.is_none());
    assert_eq!(states(&vecs), [GenerationState::Retiring, GenerationState::Active]);
    let refused = vecs.begin_rewrap(&permit(), false).unwrap_err();
    assert!(refused.to_string().contains("--destroy-old"), "{refused}");

    vecs.destroy_old_keys(&permit()).unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    assert!(at_rest(&vecs, Phase::Done).evidence.is_some());
    assert_eq!(states(&vecs), [GenerationState::Destroyed, GenerationState::Active]);
    assert_opens(&vecs, "one");
    // Once more is no error and does nothing.
    let journal = fixture.journal_of_keys().len();
    vecs.destroy_old_keys(&permit()).unwrap();
    assert_eq!(fixture.journal_of_keys().len(), journal);
    // The numbers go on to fit what comes and goes after the end.
    add(&vecs, "two").unwrap();
    let writable = vecs.writable(&caller(SERVICE), &name("machine")).unwrap();
    assert!(writable.delete(&alias("one")).unwrap());
    let done = at_rest(&vecs, Phase::Done);
    assert_eq!((done.entries.created, done.entries.deleted_new), (1, 1));
}

fn wishes_that_cannot_be_are_refused() {
    let fixture = Fixture::new("wishes");
    let vecs = fixture.open(None, None);
    assert!(matches!(vecs.begin_rewrap(&permit(), false), Err(Error::NoKeys)));
    assert!(matches!(vecs.destroy_old_keys(&permit()), Err(Error::NotFound(_))));
    assert!(vecs.rewrap().unwrap().0.is_none());
    vecs.ensure_keys().unwrap();
    // Whoever asks while it runs joins, and can only have more kept.
    vecs.begin_rewrap(&permit(), false).unwrap();
    vecs.begin_rewrap(&permit(), true).unwrap();
    vecs.begin_rewrap(&permit(), false).unwrap();
    assert!(vecs.rewrap().unwrap().0.unwrap().keep_old);
    vecs.destroy_old_keys(&permit()).unwrap();
    assert!(!vecs.rewrap().unwrap().0.unwrap().keep_old);
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    let done = at_rest(&vecs, Phase::Done);
    assert_eq!((done.entries.before, done.to), (0, Some(2)));
    assert!(caller(1001).permit::<ChangeKeys>().is_err());
}

/// Prints how fast it is; nothing is asserted about time.
#[test]
#[ignore = "10,000 entries take a while; cargo test --lib ten_thousand -- --ignored --nocapture"]
fn ten_thousand_entries() {
    let said = in_child("rewrap::ten_thousand_entries", || {
        const ENTRIES: usize = 10_000;
        let fixture = Fixture::new("many");
        let vecs = fixture.open(None, None);
        let next = AtomicUsize::new(0);
        let filling = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    loop {
                        match next.fetch_add(1, Ordering::Relaxed) {
                            ENTRIES.. => return,
                            n => add(&vecs, &n.to_string()).unwrap(),
                        }
                    }
                });
            }
        });
        println!("RATE: filled with {ENTRIES} entries in {:?}", filling.elapsed());
        let began = Instant::now();
        change(&vecs).unwrap();
        let took = began.elapsed();
        let done = at_rest(&vecs, Phase::Done);
        assert_eq!(done.entries.resealed, ENTRIES as u64);
        println!(
            "RATE: {ENTRIES} entries sealed anew in {took:?}, {:.0} entries/s",
            ENTRIES as f64 / took.as_secs_f64()
        );
        (0..ENTRIES).step_by(97).for_each(|n| assert_opens(&vecs, &n.to_string()));
    });
    said.lines().filter(|line| line.contains("RATE:")).for_each(|line| println!("{line}"));
}
