//! Keys that wait for a certificate. There is no token here, so the rows are put there by hand.

use super::{ANNA, BERT, NOW, OPERATOR, Room, alias, caller, name, room, root, sealed_under};
use crate::base::KeyAlgorithm;
use crate::vecs::envelope::Sealed;
use crate::vecs::records::{self, PendingRow};
use crate::vecs::{Error, NewKey, Principal, Right, Ticket};
use crate::x509::{AlternativeNames, Certificate, SubjectFields};

impl Room {
    /// Puts a key of this maker into the row that `number` names, as a token would have made it.
    fn wait(
        &self,
        number: u8,
        maker: u32,
        expires_at: i64,
        generation: u32,
        key: &Certificate,
    ) -> Ticket {
        let id = [number; 16];
        let row = PendingRow {
            store: (4, name("machine")),
            alias: alias("born"),
            maker,
            expires_at,
            number: id,
            key: None,
        };
        let sealed = Sealed { id, version: 1, octets: sealed_under(generation) };
        let public_key = key.public_key().unwrap().as_der().to_vec();
        self.store
            .write::<_, Error>(move |tx| {
                records::insert_pending(tx, &row)?;
                assert!(records::set_pending_key(tx, &sealed, &public_key)?);
                Ok(())
            })
            .unwrap();
        Ticket::new(&format!("{number:02x}").repeat(16)).unwrap()
    }

    fn complete(&self, uid: u32, ticket: Ticket, pem: &str) -> Result<(), Error> {
        let store = self.vecs.writable(&caller(uid), &name("machine"))?;
        store.complete(ticket, pem).map(drop)
    }

    fn waiting(&self) -> i64 {
        self.store.read(|tx| records::count_pending(tx, 0)).unwrap().0
    }
}

#[test]
fn a_ticket_is_for_its_maker_for_a_while_and_once() {
    let room = room();
    let (certificate, _) = root("one");
    let pem = certificate.to_pem();
    for uid in [ANNA, BERT] {
        let owned = room.vecs.owned(&caller(OPERATOR), &name("machine")).unwrap();
        owned.change(Principal::User(uid), Right::Write, true).unwrap();
    }
    let ticket = room.wait(1, ANNA, NOW + 1, 1, &certificate);
    assert_eq!(room.complete(BERT, ticket, &pem).unwrap_err().code(), 4312);
    let (other, _) = root("other");
    let refused = room.complete(ANNA, ticket, &other.to_pem()).unwrap_err();
    assert!(matches!(refused, Error::KeyMismatch), "{refused}");
    assert!(!room.vecs.writable(&caller(BERT), &name("machine")).unwrap().abandon(ticket).unwrap());
    room.complete(ANNA, ticket, &pem).unwrap();
    assert_eq!(room.aliases("machine"), ["born"]);
    assert_eq!(room.complete(ANNA, ticket, &pem).unwrap_err().code(), 4312);
    assert_eq!(room.waiting(), 0);

    let late = room.wait(2, ANNA, NOW, 1, &certificate);
    assert_eq!(room.complete(ANNA, late, &pem).unwrap_err().code(), 4312);
    let taken = room.wait(3, ANNA, NOW + 1, 1, &certificate);
    assert_eq!(room.complete(ANNA, taken, &pem).unwrap_err().code(), 183);
    assert_eq!(room.waiting(), 2);
    room.vecs.end_pending().unwrap();
    assert_eq!(room.waiting(), 1);
    assert!(room.vecs.writable(&caller(ANNA), &name("machine")).unwrap().abandon(taken).unwrap());
    let ends: Vec<_> = room
        .journalled()
        .into_iter()
        .filter(|(act, ..)| act == "entry.generate")
        .map(|(_, _, outcome)| outcome)
        .collect();
    assert_eq!(ends, ["done", "failed", "failed"]);
}

#[test]
fn a_key_under_former_sealing_keys_becomes_no_entry_as_it_is() {
    let room = room();
    let (certificate, _) = root("one");
    let ticket = room.wait(1, OPERATOR, NOW + 1, 2, &certificate);
    let refused = room.complete(OPERATOR, ticket, &certificate.to_pem()).unwrap_err();
    // It has to be sealed anew first, and goes on waiting for that.
    assert!(matches!(refused, Error::Token(_)), "{refused}");
    assert_eq!((room.aliases("machine"), room.waiting()), (Vec::new(), 1));
    let needed = |number| room.store.read(|tx| records::any_sealed_under(tx, number)).unwrap();
    assert!(needed(2) && !needed(1), "what waits needs its keys as an entry does");
}

#[test]
fn without_a_token_nothing_waits_and_a_stranger_makes_nothing() {
    let room = room();
    let new = NewKey {
        alias: alias("born"),
        algorithm: KeyAlgorithm::P256,
        subject: SubjectFields::default().to_name().unwrap(),
        alternative_names: AlternativeNames::default(),
    };
    assert!(room.vecs.writable(&caller(ANNA), &name("machine")).is_err());
    let store = room.vecs.writable(&caller(OPERATOR), &name("machine")).unwrap();
    assert!(matches!(store.generate(&new).unwrap_err(), Error::Token(_)));
    assert_eq!(room.waiting(), 0);
    // A row whose key was never made, as a service that was killed leaves it, goes the same way.
    let row = PendingRow {
        store: (4, name("machine")),
        alias: alias("born"),
        maker: OPERATOR,
        expires_at: NOW,
        number: [9; 16],
        key: None,
    };
    room.store.write::<_, Error>(move |tx| Ok(records::insert_pending(tx, &row)?)).unwrap();
    room.vecs.end_pending().unwrap();
    assert_eq!(room.waiting(), 0);
    for text in ["", "00", "zz", &"0".repeat(31), &"+0".repeat(16)] {
        assert!(Ticket::new(text).is_err(), "{text}");
    }
}
