//! What can come between any two steps of a change of keys.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{
    Custody, Destruction, Error, Fixture, GenerationState, HereAndNow, KeyWorkshop, MIGRATIONS,
    Phase, SERVICE, Stopped, Vecs, add, assert_opens, at_rest, change, details_of, permit,
    resealed_on_record, sql, states,
};

/// A workshop that dies at a chosen moment: after the keys were made, or after they were destroyed.
struct Dying {
    inner: HereAndNow,
    made: AtomicUsize,
    destroyed: AtomicUsize,
}

impl KeyWorkshop for Dying {
    fn generate_generation(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        let made = self.inner.generate_generation(number)?;
        match self.made.fetch_add(1, Ordering::Relaxed) {
            1 => Err(hsm::Error::Unavailable("died before it could tell".into())),
            _ => Ok(made),
        }
    }

    fn destroy_generation(&self, keys: &hsm::KeyGeneration) -> Result<Destruction, hsm::Error> {
        let destroyed = self.inner.destroy_generation(keys)?;
        match self.destroyed.fetch_add(1, Ordering::Relaxed) {
            0 => Err(hsm::Error::Unavailable("died before it could tell".into())),
            _ => Ok(destroyed),
        }
    }
}

pub(super) fn it_goes_on_wherever_it_was_interrupted() {
    let fixture = Fixture::new("interrupted");
    let open = || {
        let inner = HereAndNow(fixture.config.clone());
        let workshop = Dying { inner, made: AtomicUsize::new(0), destroyed: AtomicUsize::new(0) };
        let custody = Custody {
            token: hsm::Token::new(fixture.config.clone()),
            workshop: Box::new(workshop),
            former_key: None,
            seals_per_key: None,
        };
        let clock = std::sync::Arc::new(Stopped);
        Vecs::open(fixture.store(MIGRATIONS), custody, SERVICE, clock).unwrap()
    };
    let vecs = open();
    for n in 0..40 {
        add(&vecs, &n.to_string()).unwrap();
    }
    let never = AtomicBool::new(false);
    vecs.begin_rewrap(&permit(), false).unwrap();
    // Made, and nobody was told.
    assert!(matches!(vecs.go_on_with_rewrap(&never), Err(Error::Token(_))));
    assert!(vecs.standing().rewrap_fault.unwrap().contains("died before it could tell"));
    assert_eq!(states(&vecs), [GenerationState::Active]);
    // Stopped before, or in the middle of, the entries; another process goes on.
    vecs.go_on_with_rewrap(&AtomicBool::new(true)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while resealed_on_record(&fixture) == 0 && !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let _ = vecs.go_on_with_rewrap(&stop);
        stop.store(true, Ordering::Relaxed);
    });
    drop(vecs);
    let vecs = open();
    // Destroyed, and nobody was told.
    let outcome = vecs.go_on_with_rewrap(&never);
    assert!(matches!(outcome, Err(Error::Token(_))), "{outcome:?}");
    assert_eq!(vecs.standing().token_fault, None, "what is being destroyed is missed by nobody");
    vecs.go_on_with_rewrap(&never).unwrap();
    let done = at_rest(&vecs, Phase::Done);
    assert_eq!((done.entries.before, done.entries.resealed), (40, 40));
    assert_eq!(resealed_on_record(&fixture), 40, "each once");
    let evidence = done.evidence.unwrap();
    assert!(evidence.keys.iter().all(|key| key.found_afterwards == 0), "{evidence:?}");
    for n in 0..40 {
        assert_opens(&vecs, &n.to_string());
    }
}

pub(super) fn a_token_that_goes_away_only_delays_it() {
    let fixture = Fixture::new("away");
    let vecs = fixture.open(None, None);
    for n in 0..20 {
        add(&vecs, &n.to_string()).unwrap();
    }
    let configuration = std::fs::read_to_string(std::env::var("SOFTHSM2_CONF").unwrap()).unwrap();
    let tokens = configuration.split(['=', '\n']).nth(1).unwrap().trim();
    let away = format!("{tokens}.away");
    vecs.begin_rewrap(&permit(), false).unwrap();
    std::fs::rename(tokens, &away).unwrap();
    std::fs::create_dir(tokens).unwrap();
    // SoftHSM answers from memory for a while; a new look at its folder ends that.
    let _ = vecs.envelope.generations.token().reload();
    let held_up = vecs.go_on_with_rewrap(&AtomicBool::new(false));
    assert!(matches!(held_up, Err(Error::Token(_))), "{held_up:?}");
    let said = vecs.standing().rewrap_fault.unwrap();
    assert!(said.contains("tries again by itself"), "{said}");
    std::fs::remove_dir(tokens).unwrap();
    std::fs::rename(&away, tokens).unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    at_rest(&vecs, Phase::Done);
    assert_eq!(vecs.standing().rewrap_fault, None);
    (0..20).for_each(|n| assert_opens(&vecs, &n.to_string()));
}

pub(super) fn another_token_cannot_say_that_the_old_keys_are_gone() {
    let fixture = Fixture::new("exchanged");
    let vecs = fixture.open(None, None);
    add(&vecs, "one").unwrap();
    vecs.begin_rewrap(&permit(), true).unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    at_rest(&vecs, Phase::Kept);
    let configuration = std::fs::read_to_string(std::env::var("SOFTHSM2_CONF").unwrap()).unwrap();
    let tokens = configuration.split(['=', '\n']).nth(1).unwrap().trim();
    let away = format!("{tokens}.away");
    std::fs::rename(tokens, &away).unwrap();
    std::fs::create_dir(tokens).unwrap();
    let _ = vecs.envelope.generations.token().reload();
    // Same label, same PIN, none of the keys; the service does not know its serial after a restart.
    fixture.create_token("exchanged");
    drop(vecs);
    let vecs = fixture.open(None, None);
    vecs.envelope.generations.token().reload().unwrap();
    vecs.destroy_old_keys(&permit()).unwrap();
    let refused = vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap_err();
    assert!(matches!(refused, Error::TokenReplaced(_)), "{refused:?}");
    assert_eq!(states(&vecs), [GenerationState::Retiring, GenerationState::Active]);
    std::fs::remove_dir_all(tokens).unwrap();
    std::fs::rename(&away, tokens).unwrap();
    drop(vecs);
    let vecs = fixture.open(None, None);
    vecs.envelope.generations.token().reload().unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    let evidence = at_rest(&vecs, Phase::Done).evidence.unwrap();
    assert!(evidence.keys.iter().all(|key| key.destroyed.contains("CKR_OK")), "{evidence:?}");
    assert_opens(&vecs, "one");
}

pub(super) fn rows_changed_behind_our_back_keep_the_old_keys_alive() {
    let fixture = Fixture::new("numbers");
    let vecs = fixture.open(None, None);
    for text in ["one", "two", "three"] {
        add(&vecs, text).unwrap();
    }
    vecs.begin_rewrap(&permit(), true).unwrap();
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    sql(&fixture, "DELETE FROM entry WHERE alias = 'two'");
    vecs.destroy_old_keys(&permit()).unwrap();
    // Counted anew when it was begun again: what is missing was missing before.
    sql(&fixture, "DELETE FROM entry WHERE alias = 'three'");
    vecs.go_on_with_rewrap(&AtomicBool::new(false)).unwrap();
    let (rewrap, _) = vecs.rewrap().unwrap();
    let rewrap = rewrap.unwrap();
    assert_eq!(rewrap.phase, Phase::Blocked);
    assert!(rewrap.fault.unwrap().contains("do not add up"));
    assert_eq!(states(&vecs), [GenerationState::Retiring, GenerationState::Active]);
    let failed = details_of(&fixture.store(MIGRATIONS), "sealing-keys.rewrap", "failed");
    assert!(failed.contains("\"resealed\""), "{failed}");
    // The way out that the sentence names.
    change(&vecs).unwrap();
    at_rest(&vecs, Phase::Done);
    assert_opens(&vecs, "one");
}

/// A workshop that sees an empty place where the token is, as when its folder is moved away for a moment.
struct Blind {
    inner: HereAndNow,
    questions: AtomicUsize,
}

impl KeyWorkshop for Blind {
    fn generate_generation(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        self.inner.generate_generation(number)
    }

    fn destroy_generation(&self, keys: &hsm::KeyGeneration) -> Result<Destruction, hsm::Error> {
        if self.questions.fetch_add(1, Ordering::Relaxed) >= 2 {
            return self.inner.destroy_generation(keys);
        }
        let gone = |id| crate::vecs::DestroyedKey {
            id,
            gone_before: true,
            destroyed: "it was gone already".to_owned(),
            found_afterwards: 0,
            later_use: "it was gone already".to_owned(),
        };
        Ok(Destruction { keys: vec![gone(keys.sealing), gone(keys.wrapping)] })
    }
}

pub(super) fn keys_that_were_only_out_of_sight_are_destroyed() {
    let fixture = Fixture::new("out of sight");
    let inner = HereAndNow(fixture.config.clone());
    let custody = Custody {
        token: hsm::Token::new(fixture.config.clone()),
        workshop: Box::new(Blind { inner, questions: AtomicUsize::new(0) }),
        former_key: None,
        seals_per_key: None,
    };
    let clock = std::sync::Arc::new(Stopped);
    let vecs = Vecs::open(fixture.store(MIGRATIONS), custody, SERVICE, clock).unwrap();
    vecs.ensure_keys().unwrap();
    add(&vecs, "one").unwrap();
    vecs.begin_rewrap(&permit(), false).unwrap();
    let never = AtomicBool::new(false);
    // Gone, it said twice, and opens with them.
    let Err(Error::Token(refused)) = vecs.go_on_with_rewrap(&never) else { panic!("it is done") };
    assert!(refused.to_string().contains("still opens with them"), "{refused}");
    assert_eq!(states(&vecs), [GenerationState::Retiring, GenerationState::Active]);
    vecs.go_on_with_rewrap(&never).unwrap();
    assert_eq!(states(&vecs), [GenerationState::Destroyed, GenerationState::Active]);
    let details = details_of(&fixture.store(MIGRATIONS), "sealing-keys.destroy", "done");
    assert!(details.contains("CKR_OK"), "{details:?}");
    let failed = details_of(&fixture.store(MIGRATIONS), "sealing-keys.destroy", "failed");
    assert!(failed.contains("gone already"), "{failed:?}");
}
