//! Entries: what is taken, found, refused.

use super::{SERVICE, alias, caller, name, room, root};
use crate::base::Secret;
use crate::vecs::names::hex;
use crate::vecs::{EntryKind, Error, NewEntry};

#[test]
fn entries_keep_their_order_and_are_found_in_any_case() {
    let room = room();
    let [one, two, three] = ["one", "two", "three"].map(|name| root(name).0);
    room.add("machine", Some("Zulu"), &one).unwrap();
    room.add("machine", Some("alpha"), &two).unwrap();
    let by_content = room.add("machine", None, &three).unwrap();
    assert_eq!(by_content.as_str(), hex(&three.sha1()));
    assert_eq!(room.aliases("machine"), ["Zulu", "alpha", by_content.as_str()]);

    let taken = room.add("machine", Some("ZULU"), &three).unwrap_err();
    assert!(matches!(taken, Error::Exists(_)) && taken.code() == 183, "{taken}");
    // The same alias in another store is another entry.
    room.add("wcp", Some("zulu"), &three).unwrap();

    let readable = room.vecs.readable(&caller(SERVICE), &name("MACHINE")).unwrap();
    let entry = readable.entry(&alias("zULU")).unwrap();
    assert_eq!(entry.alias.as_str(), "Zulu");
    assert_eq!(entry.kind, EntryKind::TrustedCert);
    assert_eq!(entry.pem, one.to_pem());
    assert_eq!(readable.entry(&alias("nobody")).unwrap_err().code(), 4312);

    let no_key = room
        .vecs
        .readable_key(&caller(SERVICE), &name("machine"), &alias("zulu"))
        .unwrap()
        .open()
        .unwrap_err();
    assert_eq!(no_key.code(), 87);
    assert_eq!(no_key.to_string(), "No key was found for entry [Zulu] of type [Trusted Cert].");

    let writable = room.vecs.writable(&caller(SERVICE), &name("machine")).unwrap();
    assert!(writable.delete(&alias("ALPHA")).unwrap());
    assert!(!writable.delete(&alias("ALPHA")).unwrap(), "the second time nothing is there");
    assert_eq!(room.aliases("machine"), ["Zulu", by_content.as_str()]);
}

#[test]
fn certificates_of_a_bundle_are_written_again_in_their_order() {
    let (one, two) = (root("one").0, root("two").0);
    let bundle = format!("Bag Attributes\r\n{}\r\nnotes\r\n{}", two.to_pem(), one.to_pem());
    let room = room();
    let new = NewEntry::read(None, Some(&bundle), None).unwrap();
    let alias = room.vecs.writable(&caller(0), &name("machine")).unwrap().create(new).unwrap();
    assert_eq!(alias.as_str(), hex(&two.sha1()));
    let entry = room.vecs.readable(&caller(0), &name("machine")).unwrap().entry(&alias).unwrap();
    assert_eq!(entry.pem, two.to_pem() + &one.to_pem());
}

#[test]
fn what_cannot_become_an_entry_is_refused_with_its_code() {
    let ((one, one_key), (_, two_key)) = (root("one"), root("two"));
    let pem = one.to_pem();
    let text = |text: &str| Some(Secret::new(text.as_bytes().to_vec()));
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAwAA==\n\
                     -----END ENCRYPTED PRIVATE KEY-----\n";
    let cases = [
        ("nothing", None, None, None, 87),
        ("a secret without alias", None, None, text("secret"), 87),
        ("an empty secret", Some("a"), None, text(""), 87),
        ("a huge secret", Some("a"), None, text(&"x".repeat(64 * 1024 + 1)), 87),
        ("an empty alias", Some(""), Some(pem.as_str()), None, 87),
        ("no PEM", None, Some("hello"), None, 11),
        ("an empty certificate file", None, Some(""), None, 11),
        ("half a certificate", None, Some(&pem[..pem.len() / 2]), None, 11),
        ("a certificate as the key", None, Some(&pem), text(&pem), 11),
        ("a certificate as a secret", Some("a"), None, text(&pem), 11),
        ("a damaged key as a secret", Some("a"), None, text(damaged), 11),
        ("an encrypted key", None, Some(&pem), text(encrypted), 1323),
        ("an encrypted key as a secret", Some("a"), None, text(encrypted), 1323),
        ("another's key", None, Some(&pem), Some(two_key.to_pkcs8_pem()), 90018),
    ];
    for (what, alias, certificates, key, code) in cases {
        match NewEntry::read(alias, certificates, key.as_ref()) {
            Ok(_) => panic!("{what} was taken"),
            Err(refusal) => assert_eq!(refusal.code(), code, "{what}: {refusal}"),
        }
    }
    let taken = NewEntry::read(None, Some(&pem), Some(&one_key.to_pkcs8_pem())).unwrap();
    assert_eq!(taken.kind(), EntryKind::PrivateKey);
    for secret in [one_key.to_pkcs8_pem(), Secret::new(b"opaque".to_vec())] {
        let taken = NewEntry::read(Some("a"), None, Some(&secret)).unwrap();
        assert_eq!(taken.kind(), EntryKind::SecretKey);
    }
}

#[test]
fn without_a_token_keys_are_refused_and_everything_else_goes_on() {
    let room = room();
    let standing = room.vecs.standing();
    assert!(standing.token_fault.is_some() && standing.token.is_none());

    let (certificate, key) = root("one");
    let new =
        NewEntry::read(Some("a"), Some(&certificate.to_pem()), Some(&key.to_pkcs8_pem())).unwrap();
    let refusal =
        room.vecs.writable(&caller(0), &name("machine")).unwrap().create(new).unwrap_err();
    assert!(matches!(refusal, Error::Token(_)), "{refusal:?}");
    assert_eq!(refusal.code(), 90101);
    assert_eq!(room.aliases("machine"), [""; 0]);
    assert!(room.journalled().contains(&(
        "entry.create".to_owned(),
        "machine/a".to_owned(),
        "failed".to_owned()
    )));
    room.add("machine", Some("a"), &certificate).unwrap();
}
