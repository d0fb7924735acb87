//! Keys that wait for their certificate while the keys change.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Error, Fixture, GenerationState, MIGRATIONS, Over, Phase, SERVICE, Vecs, alias, at_rest,
    caller, change, change_at_last, name, opened, permit, records, resealed_on_record, sql, states,
    store,
};
use crate::base::KeyAlgorithm;
use crate::vecs::tests::NOW;
use crate::vecs::{NewKey, Ticket};
use crate::x509::{
    AlternativeNames, CaTemplate, Certificate, Csr, PrivateKey, SubjectFields, draft_self_signed_ca,
};

fn generate(vecs: &Vecs, text: &str) -> (Ticket, Csr) {
    let new = NewKey {
        alias: alias(text),
        algorithm: KeyAlgorithm::P256,
        subject: SubjectFields::default().to_name().unwrap(),
        alternative_names: AlternativeNames::default(),
    };
    vecs.writable(&caller(SERVICE), &name("machine")).unwrap().generate(&new).unwrap()
}

fn complete(vecs: &Vecs, (ticket, csr): &(Ticket, Csr)) -> Result<(), Error> {
    let draft = draft_self_signed_ca(&CaTemplate {
        serial: [0x11; 16],
        subject: SubjectFields { common_name: Some("born".to_owned()), ..SubjectFields::default() }
            .to_name()
            .unwrap(),
        public_key: csr.public_key().clone(),
        not_before: NOW,
        not_after: NOW + 86_400,
        alternative_names: AlternativeNames::default(),
    })
    .unwrap();
    // Whose certificate it is counts here, and not who signed it.
    let signature = PrivateKey::generate(KeyAlgorithm::P256).unwrap().sign(draft.tbs()).unwrap();
    let pem = Certificate::from_der(&draft.assemble(&signature)).unwrap().to_pem();
    let store = vecs.writable(&caller(SERVICE), &name("machine")).unwrap();
    store.complete(*ticket, &pem).map(drop)
}

#[track_caller]
fn assert_is_the_key_of(vecs: &Vecs, text: &str, (_, csr): &(Ticket, Csr)) {
    let key = PrivateKey::from_pem(&opened(vecs, text).unwrap()).unwrap();
    assert_eq!(key.public_key(), csr.public_key());
}

fn is_needed(fixture: &Fixture, generation: u32) -> bool {
    let needed = |tx: &mut store::Transaction<'_>| records::any_sealed_under(tx, generation);
    fixture.store(MIGRATIONS).read(needed).unwrap()
}

pub(super) fn keys_that_wait_are_sealed_anew_and_become_entries() {
    let fixture = Fixture::new("waiting");
    let vecs = fixture.open(None, None);
    let (before, meanwhile) = (generate(&vecs, "before"), generate(&vecs, "meanwhile"));
    assert!(is_needed(&fixture, 1));
    // The new keys have taken over, and nothing is sealed anew yet.
    vecs.begin_rewrap(&permit(), false).unwrap();
    let row = fixture.store(MIGRATIONS).read(records::last_rewrap).unwrap().unwrap();
    let taken = move |tx: &mut store::Transaction<'_>, to| records::begin_resealing(tx, row.id, to);
    vecs.envelope.generations.take_over(&crate::base::Actor::Job("test"), taken).unwrap();
    complete(&vecs, &meanwhile).unwrap();
    assert_eq!((fixture.generation("meanwhile"), is_needed(&fixture, 1)), (2, true));
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    at_rest(&vecs, Phase::Done);
    assert_eq!(resealed_on_record(&fixture), 2);
    assert!(!is_needed(&fixture, 1));

    // The keys that it was made under are destroyed; those of another change as well.
    change(&vecs).unwrap();
    use GenerationState::{Active, Destroyed};
    assert_eq!(states(&vecs), [Destroyed, Destroyed, Active]);
    complete(&vecs, &before).unwrap();
    assert_eq!(fixture.generation("before"), 3);
    assert_is_the_key_of(&vecs, "before", &before);
    assert_is_the_key_of(&vecs, "meanwhile", &meanwhile);
    assert_eq!(vecs.standing().token_fault, None);
}

pub(super) fn what_waits_and_does_not_open_ends() {
    let fixture = Fixture::new("waiting damaged");
    let vecs = fixture.open(None, None);
    let (good, damaged) = (generate(&vecs, "good"), generate(&vecs, "damaged"));
    sql(
        &fixture,
        "UPDATE pending_key
         SET sealed_key = CAST(SUBSTR(sealed_key, 1, LENGTH(sealed_key) - 1)
         || CASE SUBSTR(sealed_key, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB)
         WHERE alias = 'damaged'",
    );
    change(&vecs).unwrap();
    at_rest(&vecs, Phase::Done);
    complete(&vecs, &good).unwrap();
    assert_is_the_key_of(&vecs, "good", &good);
    assert_eq!(complete(&vecs, &damaged).unwrap_err().code(), 4312);
    let journal = fixture.store(MIGRATIONS).read(records::journalled).unwrap();
    let ended = journal.iter().any(|(act, reference, outcome)| {
        act == "entry.generate" && reference.contains("damaged") && outcome == "failed"
    });
    assert!(ended, "{journal:?}");
}

pub(super) fn keys_made_while_the_keys_change_become_entries() {
    let fixture = Fixture::new("waiting busy");
    let vecs = fixture.open(None, None);
    vecs.ensure_keys().unwrap();
    let over = AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let making = scope.spawn(|| {
            let mut made = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let text = format!("born {}", made.len());
                let key = generate(&vecs, &text);
                complete(&vecs, &key).unwrap();
                made.push((text, key));
            }
            made
        });
        {
            let _over = Over(&over);
            (0..3).for_each(|_| change_at_last(&vecs));
        }
        making.join().unwrap()
    });
    at_rest(&vecs, Phase::Done);
    assert!(!made.is_empty());
    made.iter().for_each(|(text, key)| assert_is_the_key_of(&vecs, text, key));
    assert!(!(1..=3).any(|generation| is_needed(&fixture, generation)));
}
