//! Fuzz target: lines between a service and its key workshop.
#![allow(missing_docs, clippy::expect_used)]

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Answer, LONGEST_LINE, Request, receive, send};

mutation::targets! {
    workshop_lines: seeds, 2500;
}

/// No more is read than the longest line; a line that is taken is the same when sent and received again.
fn workshop_lines(octets: &[u8]) {
    lines::<Request>(octets);
    lines::<Answer>(octets);
}

fn lines<T: Serialize + DeserializeOwned>(octets: &[u8]) {
    let mut from = octets;
    loop {
        let before = from.len();
        let received = receive::<T>(&mut from);
        assert!(before - from.len() <= LONGEST_LINE + 1);
        match received {
            Ok(None) => break assert!(from.is_empty()),
            Ok(Some(message)) => sent_again(&message),
            // What is no message ends the conversation.
            Err(_) => break,
        }
    }
}

fn sent_again<T: Serialize + DeserializeOwned>(message: &T) {
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    // Values that were left out make it longer.
    if send(&mut once, message).is_err() {
        return;
    }
    let again: T = receive(&mut once.as_slice()).expect("it can be read").expect("it is there");
    send(&mut twice, &again).expect("it is as long");
    assert_eq!(once, twice);
}

fn seeds() -> Vec<Vec<u8>> {
    let token = r#""token":{"module":"/m.so","uri":"pkcs11:token=x","pin":"file:/p"}"#;
    let id = "ab".repeat(32);
    let generation = format!(r#"{{"number":1,"sealing":"{id}","wrapping":"{id}"}}"#);
    let request = |work: String| format!("{{{token},\"pin\":null,\"work\":{work}}}\n").into_bytes();
    let mut seeds: Vec<Vec<u8>> = [
        r#"{"create-token":{"label":"x","so_pin":{"text":"1"},"user_pin":{"source":"fd:0"}}}"#
            .to_owned(),
        r#""identity""#.to_owned(),
        r#"{"generate-generation":{"number":2}}"#.to_owned(),
        r#"{"generate-signing-key":{"label":"x","algorithm":"p-384"}}"#.to_owned(),
        r#"{"import-signing-key":{"label":"x","pkcs8":"3081"}}"#.to_owned(),
        format!(r#"{{"destroy-generation":{{"generation":{generation}}}}}"#),
        format!(r#"{{"prove-signing-key":{{"id":"{id}","public_key":[48,89]}}}}"#),
        format!(r#"{{"sign-ca-certificate":{{"id":"{id}","public_key":[48],"tbs":[48,0]}}}}"#),
        format!(r#"{{"record-issuer":{{"id":"{id}","public_key":[48],"certificate":[48,0]}}}}"#),
    ]
    .map(request)
    .to_vec();
    for line in &seeds {
        receive::<Request>(&mut line.as_slice()).expect("a seed is taken");
    }
    let answers = [
        r#"{"identity":{"label":"a","serial":"1","manufacturer":"m","model":"x"}}"#,
        r#"{"signing-key":{"id":"00","public_key":[1,2,255]}}"#,
        r#"{"signature":{"octets":[0,1]}}"#,
        "\"proved\"\n\"recorded\"",
        r#"{"failed":{"word":"locked","what":"a\nb"}}"#,
    ];
    for line in answers.map(|line| format!("{line}\n").into_bytes()) {
        receive::<Answer>(&mut line.as_slice()).expect("a seed is taken");
        seeds.push(line);
    }
    seeds.push(vec![b'"'; LONGEST_LINE]);
    seeds
}
