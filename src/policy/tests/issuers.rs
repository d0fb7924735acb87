//! The folder of CA certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use hsm::Purpose;

use super::super::{CaPolicy, is_recorded};
use super::{Fixture, Issuers, Mode, NOW, ca_template, judge, leaf_template, name, record};
use crate::base::{Clock, UnixTime};
use crate::x509::{CaTemplate, Certificate, draft_leaf, draft_self_signed_ca};

struct Always;

impl Clock for Always {
    fn now(&self) -> UnixTime {
        NOW
    }
}

fn files(fixture: &Fixture) -> Vec<String> {
    let found = fs::read_dir(fixture.folder.path()).unwrap();
    let mut names: Vec<String> =
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_certificate_is_recorded_once_under_the_name_of_key_and_content_for_everybody_to_read() {
    let fixture = Fixture::new();
    record(fixture.folder.path(), &fixture.key, fixture.ca.as_der()).unwrap();
    let sha256 = hsm::KeyId(fixture.ca.sha256());
    assert_eq!(files(&fixture), [format!("{}-{sha256}.der", fixture.key.id)]);
    let file = fixture.folder.path().join(&files(&fixture)[0]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(is_recorded(fixture.folder.path(), &fixture.key, fixture.ca.as_der()));
    // A file that was damaged is written again.
    fs::write(&file, "damaged").unwrap();
    assert!(!is_recorded(fixture.folder.path(), &fixture.key, fixture.ca.as_der()));
    record(fixture.folder.path(), &fixture.key, fixture.ca.as_der()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), fixture.ca.as_der());
    // A folder that is not there yet is made.
    let deep = fixture.folder.path().join("tokens/ca/issuers");
    assert!(!is_recorded(&deep, &fixture.key, fixture.ca.as_der()));
    record(&deep, &fixture.key, fixture.ca.as_der()).unwrap();
    assert!(is_recorded(&deep, &fixture.key, fixture.ca.as_der()));
    assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn what_is_no_ca_certificate_of_the_key_is_not_recorded_and_nothing_is_left_behind() {
    let fixture = Fixture::new();
    let before = files(&fixture);
    let other = Fixture::new();
    let draft = draft_leaf(&leaf_template(), &fixture.ca).unwrap();
    let leaf = draft.assemble(&fixture.private.sign(draft.tbs()).unwrap());
    let mut own_leaf = leaf_template();
    own_leaf.public_key = fixture.private.public_key().clone();
    let draft = draft_leaf(&own_leaf, &fixture.ca).unwrap();
    let own_leaf = draft.assemble(&fixture.private.sign(draft.tbs()).unwrap());
    for (says, octets) in [
        ("nothing", &[][..]),
        ("a part", &fixture.ca.as_der()[1..]),
        ("another CA", other.ca.as_der()),
        ("a leaf", &leaf),
        ("a leaf for the key", &own_leaf),
        ("too much", &vec![0x30; 70_000]),
    ] {
        assert!(record(fixture.folder.path(), &fixture.key, octets).is_err(), "{says}");
        assert!(!is_recorded(fixture.folder.path(), &fixture.key, octets), "{says}");
    }
    assert_eq!(files(&fixture), before);
    // A disk on which nothing can be written.
    let blocked = fixture.folder.path().join("blocked");
    fs::write(&blocked, "").unwrap();
    let refusal = record(&blocked, &fixture.key, fixture.ca.as_der()).unwrap_err();
    assert!(refusal.contains("cannot be written"), "{refusal}");
}

#[test]
fn a_file_is_believed_only_if_it_holds_what_its_name_says() {
    let fixture = Fixture::new();
    let message = fixture.leaf(&leaf_template());
    let file = fixture.folder.path().join(&files(&fixture)[0]);
    let asks_anew = || {
        let issuers = Issuers::open(fixture.folder.path());
        judge(Mode::Service, Purpose::Certificate, &fixture.key, &message, &issuers, NOW)
    };
    asks_anew().unwrap();
    let good = fs::read(&file).unwrap();
    for damaged in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), b""] {
        fs::write(&file, damaged).unwrap();
        assert!(asks_anew().is_err());
    }
    // A CA certificate of the same key under the name of another one.
    let longer = CaTemplate { not_after: NOW + 3500 * super::DAY, ..ca_template(&fixture.private) };
    let draft = draft_self_signed_ca(&longer).unwrap();
    let longer = draft.assemble(&fixture.private.sign(draft.tbs()).unwrap());
    fs::write(&file, &longer).unwrap();
    assert!(asks_anew().is_err());
    record(fixture.folder.path(), &fixture.key, &longer).unwrap();
    asks_anew().unwrap();
    // Strangers in the folder do no harm.
    for stranger in ["README", "unfinished.partial", &format!("{}-x.der", fixture.key.id)] {
        fs::write(fixture.folder.path().join(stranger), "x").unwrap();
    }
    asks_anew().unwrap();
}

#[test]
fn a_ca_certificate_that_is_added_is_found_without_a_restart() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("later");
    let policy = CaPolicy::new(Mode::Service, &folder, Arc::new(Always));
    let ask = |message: &[u8]| policy.judge(Purpose::Certificate, &fixture.key, message);
    let first = fixture.leaf(&leaf_template());
    let why = ask(&first).unwrap_err();
    assert!(why.contains("no CA certificate with the name \"CN=CA\""), "{why}");
    record(&folder, &fixture.key, fixture.ca.as_der()).unwrap();
    ask(&first).unwrap();

    // The same key becomes a CA of another name, beside the first.
    let template = CaTemplate { subject: name("New CA"), ..ca_template(&fixture.private) };
    let draft = draft_self_signed_ca(&template).unwrap();
    let der = draft.assemble(&fixture.private.sign(draft.tbs()).unwrap());
    let new = Certificate::from_der(&der).unwrap();
    let second = draft_leaf(&leaf_template(), &new).unwrap();
    assert!(ask(second.tbs()).is_err());
    record(&folder, &fixture.key, &der).unwrap();
    ask(second.tbs()).unwrap();
    ask(&first).unwrap();

    // What was parsed once is not read again for every signature.
    fs::remove_dir_all(&folder).unwrap();
    ask(&first).unwrap();
    assert_eq!(ask(&[]).unwrap_err(), ask(&[]).unwrap_err());
}
