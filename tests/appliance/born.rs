//! Keys born in the token, and keys that sign without leaving it. OpenSSL judges.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use crate::harness::{Appliance, HOST, Said, judge, text};
use crate::verify::verify;

const ALGORITHMS: [&str; 5] = ["p-256", "p-384", "rsa-2048", "rsa-3072", "rsa-4096"];

fn generate(appliance: &Appliance, entry: [&str; 4], algorithm: &str) -> Said {
    let config = appliance.machine_config("born.cfg", HOST);
    let words = ["--config", &config, "--key-algorithm", algorithm, "--Name", "born"];
    appliance.run("vecs-cli", &[&["entry", "generate"][..], &entry, &words].concat())
}

pub fn generated(appliance: &Appliance, entry: [&str; 4], algorithm: &str) {
    let said = generate(appliance, entry, algorithm);
    assert_eq!(said.status, 0, "{said:?}\n{}", appliance.logs());
}

/// Certificate and public key of an entry, as files.
pub fn certificate(appliance: &Appliance, entry: [&str; 4]) -> (PathBuf, PathBuf) {
    let pem = appliance.ok("vecs-cli", &[&["entry", "getcert"][..], &entry].concat());
    let certificate = appliance.write("born.crt", pem);
    let public = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-pubkey"]);
    (certificate, appliance.write("born.pub", public))
}

/// Acts and outcomes of the journal of `vmafdd` whose reference begins so, with their details.
pub fn journal(appliance: &Appliance, reference: &str) -> Vec<(String, String, serde_json::Value)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(appliance.database("vmafdd"), flags).unwrap();
    let mut rows = database
        .prepare(
            "SELECT act, outcome, details FROM journal
             WHERE SUBSTR(reference, 1, LENGTH($1)) = $1 ORDER BY sequence",
        )
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    };
    rows.query_map([reference], read)
        .unwrap()
        .map(|row| row.unwrap())
        .map(|(act, outcome, details)| (act, outcome, serde_json::from_str(&details).unwrap()))
        .collect()
}

pub fn acts(appliance: &Appliance, reference: &str) -> Vec<String> {
    journal(appliance, reference)
        .into_iter()
        .map(|(act, outcome, _)| format!("{act} {outcome}"))
        .collect()
}

/// Number of keys that wait for a certificate.
fn waiting(appliance: &Appliance) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(appliance.database("vmafdd"), flags).unwrap();
    database.query_row("SELECT COUNT(*) FROM pending_key", [], |row| row.get(0)).unwrap()
}

#[test]
fn keys_of_every_kind_are_born_in_the_token_with_their_certificates() {
    let appliance = Appliance::running();
    let root = appliance.root().join("lib/vmca/root.cer");
    for algorithm in ALGORITHMS {
        let entry = ["--store", "machine", "--alias", algorithm];
        generated(&appliance, entry, algorithm);
        let (certificate, public) = certificate(&appliance, entry);
        judge("openssl", &["verify", "-CAfile", text(&root), text(&certificate)]);
        let shown = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-text"]);
        assert!(shown.contains(&format!("DNS:{HOST}")) && shown.contains("CN = born"), "{shown}");
        let size = algorithm.split('-').nth(1).unwrap();
        assert!(shown.contains(&format!("({size} bit)")), "{algorithm}: {shown}");

        let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &entry].concat());
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{algorithm}");
        let key = appliance.write("born.priv", key);
        let own = judge("openssl", &["pkey", "-in", text(&key), "-pubout"]);
        assert_eq!(own, std::fs::read_to_string(&public).unwrap());
        judge("openssl", &["pkey", "-in", text(&key), "-noout", "-check"]);
        assert_eq!(
            acts(&appliance, &format!("machine/{algorithm} key ")),
            ["entry.generate intended", "entry.generate done"]
        );
    }
    let list = appliance.ok("vecs-cli", &["entry", "list", "--store", "machine"]);
    assert_eq!(list.matches("Entry type :\tPrivate Key\n").count(), ALGORITHMS.len(), "{list}");
    assert_eq!(waiting(&appliance), 0);
    verify(&appliance);
}

#[test]
fn a_key_signs_files_in_every_scheme_of_its_kind_and_each_leaves_a_record() {
    let appliance = Appliance::running();
    for algorithm in ["p-256", "p-384", "rsa-2048"] {
        generated(&appliance, ["--store", "machine", "--alias", algorithm], algorithm);
    }
    // A key that was brought from outside does the same.
    appliance.certificate("brought");
    let brought = ["--store", "machine", "--alias", "brought"];
    let files = ["--cert", "brought.crt", "--key", "brought.priv"];
    appliance.ok("vecs-cli", &[&["entry", "create"][..], &brought, &files].concat());

    let file = appliance.write("file", [0, 1, 2, 0xff, b'\n'].repeat(1000));
    let digest = judge("openssl", &["dgst", "-sha256", "-r", text(&file)]);
    let digest = digest.split(' ').next().unwrap();
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let cases: [(&str, &str, &[&str]); 10] = [
        ("p-256", "", &["-sha256"]),
        ("p-256", "ecdsa-p256-sha256", &["-sha256"]),
        ("p-384", "", &["-sha384"]),
        ("brought", "", &["-sha256"]),
        ("rsa-2048", "", &["-sha256"]),
        ("rsa-2048", "rsa-pkcs1-sha384", &["-sha384"]),
        ("rsa-2048", "rsa-pkcs1-sha512", &["-sha512"]),
        ("rsa-2048", "rsa-pss-sha256", &["-sha256"]),
        ("rsa-2048", "rsa-pss-sha384", &["-sha384"]),
        ("rsa-2048", "rsa-pss-sha512", &["-sha512"]),
    ];
    for (alias, scheme, judged) in cases {
        let entry = ["--store", "machine", "--alias", alias];
        let (_, public) = certificate(&appliance, entry);
        let mut words = [&["entry", "sign"][..], &entry, &["--in", "file", "--out", "s"]].concat();
        if !scheme.is_empty() {
            words.extend(["--scheme", scheme]);
        }
        appliance.ok("vecs-cli", &words);
        let signature = appliance.file("s");
        let mut words = [&["dgst"], judged].concat();
        if scheme.contains("pss") {
            words.extend(pss);
        }
        words.extend(["-verify", text(&public), "-signature", text(&signature), text(&file)]);
        assert_eq!(judge("openssl", &words), "Verified OK\n", "{alias} {scheme}");
        let (act, outcome, details) =
            journal(&appliance, &format!("machine/{alias}")).into_iter().last().unwrap();
        assert_eq!((act.as_str(), outcome.as_str()), ("entry.sign", "done"));
        assert_eq!(details["sha256"], digest);
    }

    // What is no handshake is not signed as one, for that would leave no record of its own.
    let path = "/v1/stores/machine/entries/p-256/signature";
    let wanted = serde_json::json!({"purpose": "tls", "message": "20".repeat(98)});
    let refused = post(&appliance, path, &wanted);
    assert_eq!(refused["code"], 50, "{refused}");

    // A scheme of another kind of key, a file that is too large, a signature over its own file.
    fn sign<'a>(rest: &[&'a str]) -> Vec<&'a str> {
        let entry = ["entry", "sign", "--store", "machine", "--alias", "p-256"];
        [&entry[..], rest].concat()
    }
    appliance.vecs_fails(&sign(&["--in", "file", "--out", "t", "--scheme", "rsa-pss-sha256"]), 87);
    appliance.write("large", vec![0; 1024 * 1024 + 1]);
    let said = appliance.vecs_fails(&sign(&["--in", "large", "--out", "t"]), 87);
    assert!(said.stderr.contains("1048576"), "{said:?}");
    appliance.vecs_fails(&sign(&["--in", "file", "--out", "./file"]), 87);
    assert!(!appliance.file("t").exists());
    appliance.write("large", vec![7; 1024 * 1024]);
    appliance.ok("vecs-cli", &sign(&["--in", "large", "--out", "t"]));
    verify(&appliance);
}

#[test]
fn what_cannot_become_an_entry_leaves_nothing_behind() {
    let appliance = Appliance::running();
    let entry = ["--store", "machine", "--alias", "One"];
    generated(&appliance, entry, "p-256");
    let (before, _) = certificate(&appliance, entry);
    let before = std::fs::read(before).unwrap();
    let said = generate(&appliance, ["--store", "machine", "--alias", "ONE"], "p-256");
    assert!(said.stderr.contains("Error 183: "), "{said:?}");
    let said = generate(&appliance, ["--store", "nowhere", "--alias", "one"], "p-256");
    assert!(said.stderr.contains("Error 4312: "), "{said:?}");
    let (after, _) = certificate(&appliance, entry);
    assert_eq!(std::fs::read(after).unwrap(), before);

    // The CA goes away between the two steps; it is the CLI that asks it.
    appliance.ok("service-control", &["--stop", "vmcad"]);
    let said = generate(&appliance, ["--store", "machine", "--alias", "two"], "p-256");
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("VMCA does not answer"), "{said:?}");
    let list = appliance.ok("vecs-cli", &["entry", "list", "--store", "machine", "--aliases"]);
    assert_eq!(list, "Number of entries in store :\t1\nOne\n");
    assert_eq!(waiting(&appliance), 0);
    assert_eq!(
        acts(&appliance, "machine/two key "),
        ["entry.generate intended", "entry.generate failed"]
    );
    appliance.start();
    generated(&appliance, ["--store", "machine", "--alias", "two"], "p-256");
    verify(&appliance);
}

#[test]
fn a_key_that_waits_becomes_an_entry_only_for_its_maker_and_with_its_own_certificate() {
    let appliance = Appliance::running();
    appliance.certificate("other");
    let pending = begin(&appliance, "born");
    assert_eq!(waiting(&appliance), 1);
    let list = appliance.ok("vecs-cli", &["entry", "list", "--store", "machine", "--aliases"]);
    assert_eq!(list, "Number of entries in store :\t0\n");

    // A certificate for another key.
    let other = serde_json::json!({"certificates": appliance.read("other.crt")});
    let ticket = pending["ticket"].as_str().unwrap();
    let path = format!("/v1/stores/machine/pending/{ticket}");
    assert_eq!(post(&appliance, &path, &other)["code"], 90018);
    // A ticket that was never given out.
    let wrong = format!("/v1/stores/machine/pending/{}", "0".repeat(32));
    assert_eq!(post(&appliance, &wrong, &other)["code"], 4312);
    // Another store.
    let elsewhere = format!("/v1/stores/wcp/pending/{ticket}");
    assert_eq!(post(&appliance, &elsewhere, &other)["code"], 4312);

    // Its own: certified by certool's way, from the request that vmafdd made.
    let csr = appliance.write("born.csr", pending["csr"].as_str().unwrap());
    judge("openssl", &["req", "-in", text(&csr), "-noout", "-verify"]);
    let issue = serde_json::json!({"csr": pending["csr"]});
    let issued = post_to(&appliance, "vmcad", "/v1/certificates", &issue);
    let chain: String = issued["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|certificate| certificate.as_str().unwrap().trim().to_owned() + "\n")
        .collect();
    let own = serde_json::json!({"certificates": chain});
    // Somebody takes the alias meanwhile.
    let words = ["entry", "create", "--store", "machine", "--alias", "BORN", "--cert", "other.crt"];
    appliance.ok("vecs-cli", &words);
    assert_eq!(post(&appliance, &path, &own)["code"], 183);
    appliance.ok("vecs-cli", &["entry", "delete", "--store", "machine", "--alias", "born", "-y"]);
    assert_eq!(post(&appliance, &path, &own)["alias"], "born");
    assert_eq!(post(&appliance, &path, &own)["code"], 4312, "a ticket is good once");

    // A key that waits goes with its store.
    appliance.ok("vecs-cli", &["store", "create", "--name", "short"]);
    begin_in(&appliance, "short", "born");
    appliance.ok("vecs-cli", &["store", "delete", "--name", "short", "-y"]);
    assert_eq!(waiting(&appliance), 0);
    verify(&appliance);
}

#[test]
fn who_may_not_read_a_key_may_not_sign_with_it_or_make_one() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so nobody else's rights are tried");
        return;
    }
    let appliance = Appliance::running();
    appliance.open_for_others();
    let entry = ["--store", "machine", "--alias", "one"];
    generated(&appliance, entry, "p-256");
    let config = appliance.root().join("etc/certool.cfg");
    let sign = ["entry", "sign", "--store", "machine", "--alias", "one", "--in", "/etc/hostname"];
    let sign = [&sign[..], &["--out", "/tmp/sw-nobody.sig"]].concat();
    let make = ["entry", "generate", "--store", "machine", "--alias", "two", "--config"];
    let copy = appliance.root().join("run/readable.cfg");
    std::fs::copy(&config, &copy).unwrap();
    let make = [&make[..], &[text(&copy), "--key-algorithm", "p-256"]].concat();
    for words in [&sign, &make] {
        let said = appliance.run_as_nobody("vecs-cli", words);
        assert!(said.stderr.contains("Error 5: "), "{said:?}");
    }
    assert_eq!(acts(&appliance, "machine/one").last().unwrap(), "entry.sign refused");

    let grant = ["store", "permission", "--name", "machine", "--user", "nobody", "--grant"];
    appliance.ok("vecs-cli", &[&grant[..], &["read"]].concat());
    assert!(appliance.run_as_nobody("vecs-cli", &sign).stderr.contains("Error 5: "));
    appliance.ok("vecs-cli", &[&grant[..], &["readkey"]].concat());
    let said = appliance.run_as_nobody("vecs-cli", &sign);
    assert_eq!(said.status, 0, "{said:?}");
    std::fs::remove_file("/tmp/sw-nobody.sig").unwrap();
    verify(&appliance);
}

fn begin(appliance: &Appliance, alias: &str) -> serde_json::Value {
    begin_in(appliance, "machine", alias)
}

/// The first step alone, as the CLI would take it.
fn begin_in(appliance: &Appliance, store: &str, alias: &str) -> serde_json::Value {
    let wanted = serde_json::json!({
        "alias": alias,
        "algorithm": "p-256",
        // C=US, CN=born, as DER.
        "subject": "301c310b3009060355040613025553310d300b06035504030c04626f726e",
        "alternative_names": {"email": [], "ip": [], "dns": [HOST]},
    });
    let pending = post(appliance, &format!("/v1/stores/{store}/pending"), &wanted);
    assert!(pending["csr"].as_str().is_some(), "{pending}");
    pending
}

fn post(appliance: &Appliance, path: &str, body: &serde_json::Value) -> serde_json::Value {
    post_to(appliance, "vmafdd", path, body)
}

fn post_to(
    appliance: &Appliance,
    service: &str,
    path: &str,
    body: &serde_json::Value,
) -> serde_json::Value {
    let socket = appliance.root().join(format!("run/{service}.sock"));
    let body = appliance.write("body.json", body.to_string());
    let data = format!("@{}", text(&body));
    let said = judge(
        "curl",
        &[
            "--silent",
            "--unix-socket",
            text(&socket),
            "--header",
            "content-type: application/json",
            "--data-binary",
            &data,
            &format!("http://localhost{path}"),
        ],
    );
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
}
