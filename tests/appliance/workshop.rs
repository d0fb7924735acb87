//! The key workshop, asked directly: what a service that was taken over could ask of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use sealwright::base::KeyAlgorithm;
use sealwright::config::{Config, TokenRole, TokenSection};
use sealwright::x509::{
    CaTemplate, Certificate, Draft, PrivateKey, certificates_from_pem, draft_self_signed_ca,
};
use serde_json::{Value, json};

use crate::harness::Appliance;

/// The program that `vmcad` starts, in our hands.
struct Workshop {
    child: Child,
    token: TokenSection,
}

impl Workshop {
    fn start(appliance: &Appliance, role: TokenRole) -> Self {
        let token = Config::load(&appliance.config()).unwrap().token(role).clone();
        let child = appliance
            .command("sealwright")
            .args(["token-workshop", role.name()])
            .envs(&token.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, token }
    }

    fn ask(&mut self, work: Value) -> Value {
        let request = json!({ "token": self.token, "pin": null, "work": work });
        let to = self.child.stdin.as_mut().unwrap();
        writeln!(to, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn sign(&mut self, key: &hsm::KeyReference, tbs: &[u8]) -> Value {
        let (id, public_key) = (key.id, &key.public_key);
        self.ask(json!({
            "sign-ca-certificate": { "id": id, "public_key": public_key, "tbs": tbs }
        }))
    }

    fn record(&mut self, key: &hsm::KeyReference, certificate: &[u8]) -> Value {
        let (id, public_key) = (key.id, &key.public_key);
        self.ask(json!({
            "record-issuer": { "id": id, "public_key": public_key, "certificate": certificate }
        }))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn refused(answer: &Value, word: &str) {
    let failure = &answer["failed"];
    assert!(failure["what"].as_str().is_some_and(|what| what.contains(word)), "{word}: {answer}");
}

#[test]
fn it_signs_a_ca_certificate_for_the_key_itself_alone_and_writes_down_no_other() {
    let appliance = Appliance::new();
    let root = std::fs::read(appliance.root().join("lib/vmca/root.cer")).unwrap();
    let root = certificates_from_pem(&root).unwrap().remove(0);
    let issuers = appliance.root().join("lib/tokens/ca/issuers");
    let files = || std::fs::read_dir(&issuers).unwrap().count();
    let database = rusqlite::Connection::open(appliance.database("vmcad")).unwrap();
    let id: String =
        database.query_row("SELECT key_id FROM ca_keys", [], |row| row.get(0)).unwrap();
    let key =
        hsm::KeyReference { id: id.parse().unwrap(), public_key: root.public_key_der().to_vec() };
    let stranger = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let template = |public_key: &sealwright::x509::PublicKey| CaTemplate {
        serial: [1; 16],
        subject: root.subject(),
        public_key: public_key.clone(),
        not_before: root.not_before() + 3600,
        not_after: root.not_after(),
        alternative_names: Default::default(),
    };
    let own: Draft = draft_self_signed_ca(&template(&root.public_key().unwrap())).unwrap();
    let foreign: Draft = draft_self_signed_ca(&template(stranger.public_key())).unwrap();
    let leaf: Vec<u8> = database
        .query_row("SELECT tbs FROM drafts WHERE kind = 'leaf'", [], |row| row.get(0))
        .unwrap();

    let mut workshop = Workshop::start(&appliance, TokenRole::Ca);
    // As long as it lives it can be asked again; what it refuses does not end it.
    refused(&workshop.sign(&key, foreign.tbs()), "only for the key itself");
    refused(&workshop.sign(&key, &leaf), "key itself");
    refused(&workshop.sign(&key, b"anything"), "no certificate");
    let wrong_key =
        hsm::KeyReference { id: key.id, public_key: stranger.public_key().as_der().to_vec() };
    refused(&workshop.sign(&wrong_key, foreign.tbs()), "another public key");
    let answer = workshop.sign(&key, own.tbs());
    let signature: Vec<u8> =
        serde_json::from_value(answer["signature"]["octets"].clone()).expect("a signature");
    let renewed = own.assemble(&signature);
    let public_key = root.public_key().unwrap();
    Certificate::from_der(&renewed).unwrap().verify_signed_by(&public_key).unwrap();

    let before = files();
    let forged = foreign.assemble(&stranger.sign(foreign.tbs()).unwrap());
    refused(&workshop.record(&key, &forged), "another key");
    refused(&workshop.record(&wrong_key, &forged), "another public key");
    let nobody = hsm::KeyReference { id: hsm::KeyId([9; 32]), ..wrong_key.clone() };
    refused(&workshop.record(&nobody, &forged), "holds no");
    assert_eq!(files(), before);
    assert_eq!(workshop.record(&key, root.as_der()), json!("recorded"));
    assert_eq!(files(), before);
    assert_eq!(workshop.record(&key, &renewed), json!("recorded"));
    assert_eq!(files(), before + 1);
}

#[test]
fn sealing_keys_are_made_proved_and_destroyed_with_every_copy_of_them() {
    let appliance = Appliance::new();
    let mut workshop = Workshop::start(&appliance, TokenRole::Sealing);
    let made = workshop.ask(json!({ "generate-generation": { "number": 7 } }));
    let made = &made["generation"];
    assert_eq!((&made["mechanism"], &made["unwrap_template"]), (&json!("gcm"), &json!("honoured")));
    for test in made["self_tests"].as_array().unwrap() {
        assert_eq!(test["outcome"], json!("known-answer"), "{made}");
    }
    let keys = made["keys"].clone();
    assert_eq!(keys["number"], 7);
    let work = |act: &str| json!({ act: { "generation": keys } });
    assert_eq!(workshop.ask(work("prove-generation")), json!("proved"));

    let copies = appliance.root().join("lib/tokens/sealing/copies");
    let copies = || std::fs::read_dir(&copies).unwrap().count();
    let before = copies();
    assert!(before >= 2, "{before}");
    let answer = workshop.ask(work("destroy-generation"));
    let evidence = &answer["destroyed"];
    assert!(evidence["copies_removed"].as_u64().unwrap() >= before as u64, "{answer}");
    assert_eq!(copies(), 1);
    for (key, id) in ["sealing", "wrapping"].into_iter().enumerate() {
        let seen = &evidence["destruction"]["keys"][key];
        assert_eq!(seen["id"], keys[id]);
        assert_eq!(seen["answers"], json!(["C_DestroyObject answered CKR_OK"]), "{answer}");
        assert_eq!(
            (&seen["left"], &seen["used_afterwards"]),
            (&json!(0), &Value::Null),
            "{answer}"
        );
    }
    let gone = workshop.ask(work("prove-generation"));
    assert_eq!(gone["failed"]["word"], json!("no-such-key"), "{gone}");

    // Asked again, as after an interruption.
    let answer = workshop.ask(work("destroy-generation"));
    for key in answer["destroyed"]["destruction"]["keys"].as_array().unwrap() {
        assert_eq!((&key["answers"], &key["left"]), (&json!([]), &json!(0)), "{answer}");
    }
    assert_eq!(copies(), 1);
}
