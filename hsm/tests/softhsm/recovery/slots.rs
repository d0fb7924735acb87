//! Tokens that come late, go, or move to another slot.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hsm::{Error, Purpose};

use super::scene::{Bench, Keys, Scene};
use crate::harness::scenario;

scenario! {
    fn no_slots_at_all_is_looked_at_once_in_a_fresh_view(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let bench = Bench::new(scene.token("ca"), &keys);
        let fresh = scene.token("ca");
        // Counted, then listed.
        let (outcome, counts) = scene.during(&["C_GetSlotList empty count=2"], || fresh.check());
        outcome.unwrap();
        assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 1));
        let fresh = scene.token("ca");
        let (outcome, counts) = scene.during(&["C_GetSlotList empty"], || fresh.check());
        let Err(Error::Unavailable(fault)) = outcome else { panic!("{outcome:?}") };
        assert!(fault.to_string().contains("no token answers"), "{fault}");
        assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 0));
        bench.sign().unwrap();
    }
}

scenario! {
    fn a_slot_that_moves_is_found_by_its_token(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let bench = Bench::new(scene.token("ca"), &keys);
        bench.sign().unwrap();
        for _ in 0..3 {
            // The slot of before answers CKR_SLOT_ID_INVALID from here on.
            let rules = ["C_Initialize renumber", "C_Sign answer=0x30 count=1"];
            let (outcome, counts) = scene.during(&rules, || {
                bench.token.signing_key(keys.issuer.clone()).sign(Purpose::Content, b"message")
            });
            assert!(world.openssl_verifies(&keys.issuer, "-sha256", b"message", &outcome.unwrap()));
            assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Sign")), (1, 2));
            bench.open().unwrap();
        }
    }
}

scenario! {
    fn a_token_that_does_not_tell_what_it_is_after_a_login_stays_in_use(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let bench = Bench::new(scene.token("ca"), &keys);
        // SoftHSM's own answer on a folder that is read-only.
        let (outcome, counts) = scene.during(&["C_GetTokenInfo answer=0x5"], || bench.token.check());
        outcome.unwrap();
        assert_eq!((counts.calls("C_GetTokenInfo"), counts.calls("C_Login"), counts.calls("C_Initialize")), (1, 0, 0));
        // Any other answer is a fault of the token.
        let (outcome, counts) = scene.during(&["C_GetTokenInfo answer=0xe0 count=1"], || bench.token.check());
        outcome.unwrap();
        assert_eq!((counts.calls("C_Login"), counts.calls("C_Initialize")), (1, 1));
    }
}

scenario! {
    fn signatures_of_a_slow_token_proceed_side_by_side(world) {
        let keys = Keys::make(world, "ca");
        let scene = Scene::new(world);
        let token = scene.token("ca");
        let signing = token.signing_key(keys.issuer.clone());
        scene.add("C_Sign pace=5");
        let (stop, signed) = (AtomicBool::new(false), AtomicUsize::new(0));
        let most = std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        signing.sign(Purpose::Content, b"message").unwrap();
                        signed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            // An agent has eight workers; the test's own time limit is the deadline.
            let most = loop {
                let most = scene.control.counts().unwrap().of("C_Sign").most;
                if most >= 8 {
                    break most;
                }
                std::thread::yield_now();
            };
            stop.store(true, Ordering::SeqCst);
            most
        });
        assert_eq!(most, 8);
        let counted = scene.control.counts().unwrap().of("C_Sign");
        assert_eq!((counted.calls as usize, counted.inside), (signed.load(Ordering::SeqCst), 0));
    }
}
