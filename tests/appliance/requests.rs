//! What VMCA signs and what it refuses, over its socket and through certool.

use std::time::Duration;

use sealwright::api::ca::{CERTIFICATES, Issue, Issued};
use sealwright::client::{Client, Error};

use crate::harness::{Appliance, HOST, judge, text};
use crate::verify::verify;

fn vmcad(appliance: &Appliance) -> Client {
    Client::new(&appliance.root().join("run/vmcad.sock"), Duration::from_secs(30))
}

/// A request made by OpenSSL: key options, subject, extensions.
fn openssl_csr(appliance: &Appliance, key: &[&str], subject: &str, extensions: &[&str]) -> String {
    let (csr, private) = (appliance.file("openssl.csr"), appliance.file("openssl.key"));
    let mut words = vec![
        "req",
        "-new",
        "-nodes",
        "-subj",
        subject,
        "-keyout",
        text(&private),
        "-out",
        text(&csr),
    ];
    words.extend(key);
    for extension in extensions {
        words.extend(["-addext", extension]);
    }
    judge("openssl", &words);
    appliance.read("openssl.csr")
}

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const DNS: &str = "subjectAltName=DNS:machine1.example.test";

fn issue(appliance: &Appliance, csr: &str) -> Result<Issued, Error> {
    let request = Issue { csr: csr.to_owned(), not_before: None, not_after: None };
    vmcad(appliance).post(CERTIFICATES, &request)
}

fn refusal(result: Result<Issued, Error>) -> (u32, String) {
    match result {
        Err(Error::Refused(problem)) => (problem.code, problem.detail),
        other => panic!("should be refused: {other:?}"),
    }
}

#[test]
fn requests_that_ask_too_much_get_the_references_codes() {
    let appliance = Appliance::running();
    /// What is wrong, key options, subject, extensions, code.
    type Case = (&'static str, &'static [&'static str], &'static str, &'static [&'static str], u32);
    let cases: &[Case] = &[
        ("CA:TRUE", P256, "/CN=a", &["basicConstraints=critical,CA:TRUE", DNS], 70012),
        ("keyCertSign", P256, "/CN=a", &["keyUsage=keyCertSign", DNS], 70012),
        ("cRLSign", P256, "/CN=a", &["keyUsage=cRLSign,digitalSignature", DNS], 70012),
        ("wildcard CN", P256, "/CN=*.example.test", &[DNS], 70060),
        ("wildcard SAN", P256, "/CN=a", &["subjectAltName=DNS:*.example.test"], 70061),
        ("RSA-1024", &["-newkey", "rsa:1024"], "/CN=a", &[DNS], 70015),
        (
            "P-521",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
            "/CN=a",
            &[DNS],
            70015,
        ),
        (
            "secp256k1",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
            "/CN=a",
            &[DNS],
            70015,
        ),
        ("empty subject", P256, "/", &[DNS], 70012),
    ];
    for (what, key, subject, extensions, code) in cases {
        let csr = openssl_csr(&appliance, key, subject, extensions);
        let (found, sentence) = refusal(issue(&appliance, &csr));
        assert_eq!(found, *code, "{what}: {sentence}");
        assert!(sentence.len() > 20, "{what}: a sentence, not '{sentence}'");
    }
    verify(&appliance);
}

#[test]
fn damaged_requests_are_refused_and_never_signed() {
    let appliance = Appliance::running();
    let good = openssl_csr(&appliance, P256, "/CN=a", &[DNS]);
    let middle = good.len() / 2;
    let mut flipped = good.clone().into_bytes();
    // Inside the base64 of the signature at the end: still PEM, still DER, another signature.
    let at = good.rfind("-----END").unwrap() - 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let cases = [
        ("empty", String::new(), 70006),
        ("not PEM", "hello".to_owned(), 70006),
        ("truncated", good[..middle].to_owned(), 70006),
        (
            "a certificate",
            appliance.ok("certool", &["--getrootca", "--cert", "root.crt"])
                + &appliance.read("root.crt"),
            70006,
        ),
        ("huge", format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A".repeat(200_000)), 70006),
    ];
    for (what, csr, code) in cases {
        let (found, sentence) = refusal(issue(&appliance, &csr));
        assert_eq!(found, code, "{what}: {sentence}");
    }
    let (code, _) = refusal(issue(&appliance, &String::from_utf8(flipped).unwrap()));
    assert!([70012, 70006].contains(&code), "{code}");
    issue(&appliance, &good).unwrap();
    verify(&appliance);
}

#[test]
fn validity_is_the_profiles_and_never_beyond_the_ca() {
    let appliance = Appliance::running();
    let csr = openssl_csr(&appliance, P256, "/CN=a", &[DNS]);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let day = 86_400;
    let ask = |not_before: Option<i64>, not_after: Option<i64>| {
        vmcad(&appliance)
            .post::<Issued>(CERTIFICATES, &Issue { csr: csr.clone(), not_before, not_after })
    };
    // VMCA starts three days ago: earlier is the code that every ESXi renewal after a new root knows.
    assert_eq!(refusal(ask(Some(now - 4 * day), None)).0, 70034);
    assert_eq!(refusal(ask(Some(now - 15 * day), None)).0, 70002);
    assert_eq!(refusal(ask(Some(now), Some(now + 3700 * day))).0, 70002);
    assert_eq!(refusal(ask(Some(now), Some(now - day))).0, 70002);
    let life = |issued: &Issued| {
        appliance.write("life.crt", &issued.chain[0]);
        let path = appliance.file("life.crt");
        judge("openssl", &["x509", "-in", text(&path), "-noout", "-checkend", "62899200"]) // 728 days
    };
    life(&ask(None, None).unwrap());
    life(&ask(Some(now - day), None).unwrap());
    verify(&appliance);
}

#[test]
fn every_accepted_key_gets_a_certificate_that_openssl_and_gnutls_verify() {
    let appliance = Appliance::running();
    let root = appliance.root().join("lib/vmca/root.cer");
    let p384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    // OpenSSL signs a P-384 request with SHA-256 by default: the curve must survive.
    for key in [P256, p384, &["-newkey", "rsa:2048"], &["-newkey", "rsa:4096"]] {
        let csr = openssl_csr(&appliance, key, "/DC=vsphere/DC=local/OU=one/OU=two/CN=a b", &[DNS]);
        let issued = issue(&appliance, &csr).unwrap();
        let path = appliance.write("issued.crt", &issued.chain[0]);
        judge("openssl", &["verify", "-x509_strict", "-CAfile", text(&root), text(&path)]);
        judge(
            "certtool",
            &["--verify", "--load-ca-certificate", text(&root), "--infile", text(&path)],
        );
        let public = |kind: &str, file: &std::path::Path| {
            judge("openssl", &[kind, "-in", text(file), "-noout", "-pubkey"])
        };
        assert_eq!(public("x509", &path), public("req", &appliance.file("openssl.csr")));
        let subject = |kind: &str, file: &std::path::Path| {
            judge(
                "openssl",
                &[kind, "-in", text(file), "-noout", "-subject", "-nameopt", "RFC2253"],
            )
        };
        assert_eq!(subject("x509", &path), subject("req", &appliance.file("openssl.csr")));
        assert!(issued.serial.len() == 32, "16 octets: {}", issued.serial);
    }
    verify(&appliance);
}

#[test]
fn leaf_certificates_name_the_place_where_the_roots_are() {
    let appliance = Appliance::running();
    let config = appliance.machine_config("aia.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "aia.priv", "--key-algorithm", "rsa-2048"]);
    appliance.ok(
        "certool",
        &["--gencert", "--privkey", "aia.priv", "--cert", "aia.crt", "--config", &config],
    );
    let certificate = appliance.file("aia.crt");
    let shown = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-text"]);
    assert!(shown.contains(&format!("CA Issuers - URI:https://{HOST}")), "{shown}");
    assert!(shown.contains("/afd/vecs/ca"), "{shown}");
    assert!(shown.contains("Digital Signature, Non Repudiation, Key Encipherment"), "{shown}");
    verify(&appliance);
}

#[test]
fn a_caller_without_a_role_is_refused() {
    // Only root can become somebody else; elsewhere the role table's unit tests stand alone.
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so the peer-credential test is NOT run");
        return;
    }
    let appliance = Appliance::running();
    let socket = appliance.root().join("run/vmcad.sock");
    appliance.open_for_others();
    let body =
        serde_json::to_string(&Issue { csr: "x".to_owned(), not_before: None, not_after: None })
            .unwrap();
    let said = judge(
        "setpriv",
        &[
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "curl",
            "--silent",
            "--unix-socket",
            text(&socket),
            "-H",
            "content-type: application/json",
            "--data",
            &body,
            "http://localhost/v1/certificates",
        ],
    );
    assert!(said.contains("\"denied\"") && said.contains("nobody"), "{said}");
    verify(&appliance);
}
