//! The judge himself: a table of zeros says something only if other numbers can stand there.

use std::time::Duration;

use sealwright::api::ca::Issue;
use sealwright::client::Client;

use super::clients::directly;
use super::scene::Judgement;
use super::table::Entry;
use crate::harness::{Appliance, judge, text};

#[test]
fn what_is_lost_forged_or_given_twice_is_counted() {
    let _entry = Entry::without_line();
    let appliance = Appliance::running();
    let (key, csr) = (appliance.file("k.priv"), appliance.file("k.csr"));
    let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let subject = ["-subj", "/CN=direct", "-addext", "subjectAltName=DNS:direct.example.test"];
    let files = ["-keyout", text(&key), "-out", text(&csr)];
    judge("openssl", &[&new[..], &subject, &files].concat());
    let client = Client::new(&appliance.root().join("run/vmcad.sock"), Duration::from_secs(60));
    let request = Issue { csr: appliance.read("k.csr"), not_before: None, not_after: None };
    let mut issued: Vec<_> = (0..3).map(|_| directly(&client, &request).unwrap()).collect();
    let none = Judgement { lost: 0, wrong_key: 0, duplicates: 0 };
    assert_eq!(Judgement::of(&appliance, &issued), none);

    issued.push(issued[0].clone());
    assert_eq!(Judgement::of(&appliance, &issued), Judgement { duplicates: 1, ..none });
    issued.pop();
    let forged = appliance.file("forged.der");
    let words = ["req", "-x509", "-key", text(&key), "-outform", "DER", "-out", text(&forged)];
    judge("openssl", &[&words[..], &subject].concat());
    issued.push(std::fs::read(forged).unwrap());
    // In no record, and signed by itself.
    let expected = Judgement { lost: 1, wrong_key: 1, duplicates: 0 };
    assert_eq!(Judgement::of(&appliance, &issued), expected);
    crate::verify::verify(&appliance);
}
