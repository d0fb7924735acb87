//! Certificates over HTTPS, for machines that the configuration names. curl and OpenSSL are the clients.

use std::process::{Command, Stdio};

use rusqlite::{Connection, OpenFlags};

use crate::harness::{Appliance, HOST, Said, judge, text};
use crate::verify::verify;

const PATH: &str = "/v1/certificates";

/// A client's certificate and key, as files `NAME.crt` and `NAME.key`: self-signed, by OpenSSL. Its SHA-256.
fn client(appliance: &Appliance, name: &str, days: &str) -> String {
    let [csr, certificate, key] =
        ["csr", "crt", "key"].map(|end| appliance.file(&format!("{name}.{end}")));
    let mut words = vec!["req", "-new", "-nodes", "-newkey", "ec"];
    words.extend(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=client"]);
    words.extend(["-out", text(&csr), "-keyout", text(&key)]);
    judge("openssl", &words);
    let mut words = vec!["x509", "-req", "-in", text(&csr), "-signkey", text(&key)];
    // With an extension it is of version 3, whichever OpenSSL makes it.
    let extensions = appliance.write("client.ext", "basicConstraints = CA:FALSE\n");
    words.extend(["-days", days, "-extfile", text(&extensions), "-out", text(&certificate)]);
    judge("openssl", &words);
    fingerprint(appliance, name)
}

/// Puts clients into the configuration, as an operator does.
fn configure(appliance: &Appliance, clients: &[(&str, &str)]) {
    let mut config = std::fs::read_to_string(appliance.config()).unwrap();
    config += "\n[access.clients]\n";
    for (name, fingerprint) in clients {
        config += &format!("{name} = \"{fingerprint}\"\n");
    }
    std::fs::write(appliance.config(), config).unwrap();
}

/// An appliance that knows `web1`, whose certificate is valid, and `old`, whose is not any more.
fn with_clients() -> Appliance {
    let appliance = Appliance::new();
    let (web1, old) = (client(&appliance, "web1", "2"), client(&appliance, "old", "-1"));
    client(&appliance, "stranger", "2");
    configure(&appliance, &[("web1", &web1), ("old", &old)]);
    appliance.start();
    let csr = appliance.file("asked.csr");
    let mut words = vec!["req", "-new", "-nodes", "-newkey", "ec"];
    words.extend(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=web1"]);
    words.extend(["-addext", "subjectAltName=DNS:machine1.example.test"]);
    let key = appliance.file("asked.key");
    words.extend(["-keyout", text(&key), "-out", text(&csr)]);
    judge("openssl", &words);
    let body = serde_json::json!({ "csr": appliance.read("asked.csr") });
    appliance.write("body.json", body.to_string());
    appliance
}

/// `curl` with the certificate of this client, where one is named: status, body, and headers as they came.
fn ask(appliance: &Appliance, client: Option<&str>, path: &str, more: &[&str]) -> (u32, String) {
    let root = appliance.root().join("lib/vmca/root.cer");
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--cacert", text(&root)])
        .args(["--resolve", &format!("{HOST}:{}:127.0.0.1", appliance.port)])
        .args(["--write-out", "\n%{http_code}"])
        .arg(format!("https://{HOST}:{}{path}", appliance.port))
        .args(more);
    if let Some(name) = client {
        command
            .arg("--cert")
            .arg(appliance.file(&format!("{name}.crt")))
            .arg("--key")
            .arg(appliance.file(&format!("{name}.key")));
    }
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.status, 0, "{said:?}\n{}", appliance.logs());
    let (body, status) = said.stdout.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The words that make `curl` ask for the certificate.
fn request(appliance: &Appliance) -> [String; 4] {
    let body = format!("@{}", text(&appliance.file("body.json")));
    ["-H", "content-type: application/json", "--data-binary", &body].map(str::to_owned)
}

fn issue(appliance: &Appliance, client: Option<&str>, more: &[&str]) -> (u32, String) {
    let request = request(appliance);
    let words: Vec<&str> = request.iter().map(String::as_str).chain(more.iter().copied()).collect();
    ask(appliance, client, PATH, &words)
}

/// A certificate came, for the key of the request, and OpenSSL verifies it. Its serial number.
fn certificate(appliance: &Appliance, (status, body): (u32, String)) -> String {
    assert_eq!(status, 200, "{body}\n{}", appliance.logs());
    let issued: serde_json::Value = serde_json::from_str(&body).unwrap();
    let leaf = appliance.write("issued.crt", issued["chain"][0].as_str().unwrap());
    let root = appliance.root().join("lib/vmca/root.cer");
    judge("openssl", &["verify", "-CAfile", text(&root), text(&leaf)]);
    let of_leaf = judge("openssl", &["x509", "-in", text(&leaf), "-noout", "-pubkey"]);
    let csr = appliance.file("asked.csr");
    assert_eq!(of_leaf, judge("openssl", &["req", "-in", text(&csr), "-noout", "-pubkey"]));
    issued["serial"].as_str().unwrap().to_owned()
}

/// Refused with this status, in a sentence that has these words.
fn refused((status, body): (u32, String), expected: u32, words: &str) {
    assert_eq!(status, expected, "{body}");
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(words), "'{words}' in '{detail}'");
}

/// Who had certificates issued, by serial number, as the journal of `vmcad` says.
fn journal(appliance: &Appliance) -> Vec<(String, String)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(appliance.database("vmcad"), flags).unwrap();
    let mut rows = database
        .prepare(
            "SELECT actor, details ->> 'serial' FROM journal
             WHERE act = 'certificate.issue' AND outcome = 'done' ORDER BY sequence",
        )
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    rows.query_map([], read).unwrap().map(|row| row.unwrap()).collect()
}

fn actor(fingerprint: &str) -> String {
    format!("client:web1({})", fingerprint.replace(':', "").to_lowercase().get(..16).unwrap())
}

fn fingerprint(appliance: &Appliance, name: &str) -> String {
    let certificate = appliance.file(&format!("{name}.crt"));
    let words = ["x509", "-in", text(&certificate), "-noout", "-fingerprint", "-sha256"];
    judge("openssl", &words).trim().split_once('=').unwrap().1.to_owned()
}

#[test]
fn a_client_gets_certificates_and_everybody_else_a_sentence() {
    let appliance = with_clients();
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let serial = certificate(&appliance, issue(&appliance, Some("web1"), &version));
        let expected = (actor(&fingerprint(&appliance, "web1")), serial);
        assert_eq!(journal(&appliance).last(), Some(&expected));

        refused(issue(&appliance, None, &version), 403, "client's certificate and key");
        let stranger = fingerprint(&appliance, "stranger").replace(':', "").to_lowercase();
        refused(issue(&appliance, Some("stranger"), &version), 403, &stranger);
        refused(issue(&appliance, Some("old"), &version), 403, "client old has expired");

        // What anybody may have, anybody has, whatever certificate it shows.
        for client in [None, Some("web1"), Some("stranger"), Some("old")] {
            for path in ["/", "/afd/vecs/ca", "/afd/vecs/ca.zip", "/healthz"] {
                let more = [&version[..], &["--output", "/dev/null"]].concat();
                assert_eq!(ask(&appliance, client, path, &more).0, 200, "{client:?} {path}");
            }
        }
    }
    // What vmcad refuses it refuses a client as well, in the same words.
    let json = ["-H", "content-type: application/json", "--data", r#"{"csr":"x"}"#];
    refused(ask(&appliance, Some("web1"), PATH, &json), 422, "PEM");
    // A web page of somebody else's could send this.
    let plain = ["-H", "content-type: text/plain", "--data", r#"{"csr":"x"}"#];
    refused(ask(&appliance, Some("web1"), PATH, &plain), 422, "application/json");
    let large = appliance.write("large", vec![b'a'; 70_000]);
    let large = format!("@{}", text(&large));
    let large = ["-H", "content-type: application/json", "--data-binary", &large];
    refused(ask(&appliance, Some("web1"), PATH, &large), 422, "64 KiB");
    // Nothing else of vmcad is there.
    assert_eq!(ask(&appliance, Some("web1"), "/v1/ca/self-signed", &json).0, 404);
    verify(&appliance);
}

#[test]
fn nobody_is_a_client_by_saying_so() {
    let appliance = with_clients();
    let print = fingerprint(&appliance, "web1").replace(':', "").to_lowercase();
    let forged = format!("sealwright-client: web1 {print}");
    // From outside the header is nothing: without a certificate, with another one.
    refused(issue(&appliance, None, &["-H", &forged]), 403, "certificate and key");
    refused(issue(&appliance, Some("stranger"), &["-H", &forged]), 403, "belongs to no machine");
    // A client stays who it is.
    let other = format!("sealwright-client: old {}", "0".repeat(64));
    certificate(&appliance, issue(&appliance, Some("web1"), &["-H", &other]));
    let issued = journal(&appliance);
    assert_eq!(issued.last().unwrap().0, actor(&print));

    // On the socket it is taken from the user of the gateway, which this test shares.
    let socket = appliance.root().join("run/vmcad.sock");
    let body = format!("@{}", text(&appliance.file("body.json")));
    let local = |header: &str, path: &str| {
        let place = format!("http://localhost{path}");
        let mut words = vec!["--silent", "--unix-socket", text(&socket), "-H", header];
        words.extend(["-H", "content-type: application/json", "--data-binary", &body, &place]);
        judge("curl", &words)
    };
    assert!(local(&forged, PATH).contains("BEGIN CERTIFICATE"));
    assert_eq!(journal(&appliance).last().unwrap().0, actor(&print));
    // Then the caller is the client, which does not administer, although that user does.
    let asked = local(&forged, "/v1/ca/self-signed");
    assert!(asked.contains("denied"), "{asked}");
    for wrong in [
        format!("sealwright-client: web1 {}", "0".repeat(64)),
        format!("sealwright-client: web2 {print}"),
        "sealwright-client: web1".to_owned(),
        "sealwright-client;".to_owned(),
    ] {
        let said = local(&wrong, PATH);
        assert!(said.contains("\"denied\""), "{wrong}: {said}");
    }

    if rustix::process::geteuid().is_root() {
        appliance.open_for_others();
        let body = appliance.read("body.json");
        let mut words = vec!["--reuid=65534", "--regid=65534", "--clear-groups", "curl"];
        words.extend(["--silent", "--unix-socket", text(&socket), "-H", &forged, "--data", &body]);
        words.extend(["-H", "content-type: application/json", "http://localhost/v1/certificates"]);
        let said = judge("setpriv", &words);
        assert!(said.contains("only the gateway speaks for clients"), "{said}");
    } else {
        eprintln!("LOUD: not root, so another user's forged header is NOT tried");
    }
    verify(&appliance);
}

/// `openssl s_client` as a client, asking for the certificate: all that it said.
fn s_client(appliance: &Appliance, client: Option<&str>, version: &str, words: &[&str]) -> String {
    let root = appliance.root().join("lib/vmca/root.cer");
    let body = appliance.read("body.json");
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", appliance.port), version])
        .args(["-CAfile", text(&root), "-verify_return_error", "-servername", HOST, "-ign_eof"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(name) = client {
        command
            .arg("-cert")
            .arg(appliance.file(&format!("{name}.crt")))
            .arg("-key")
            .arg(appliance.file(&format!("{name}.key")));
    }
    let mut child = command.spawn().unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), head.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[test]
fn a_resumed_session_is_whose_it_was() {
    let appliance = with_clients();
    let print = fingerprint(&appliance, "web1");
    for version in ["-tls1_2", "-tls1_3"] {
        for (client, status) in [(Some("web1"), "200 OK"), (None, "403"), (Some("stranger"), "403")]
        {
            let session = appliance.file("session");
            let _ = std::fs::remove_file(&session);
            let said = s_client(&appliance, client, version, &["-sess_out", text(&session)]);
            assert!(said.contains(&format!("HTTP/1.1 {status}")), "{version} {client:?}: {said}");
            assert!(!said.contains("Reused, "), "{said}");
            let before = journal(&appliance).len();
            // The certificate is not shown again: the session is all that says who it is.
            let said = s_client(&appliance, None, version, &["-sess_in", text(&session)]);
            assert!(said.contains("Reused, "), "{version} {client:?}: {said}");
            assert!(said.contains(&format!("HTTP/1.1 {status}")), "{version} {client:?}: {said}");
            let after = journal(&appliance);
            assert_eq!(after.len() - before, usize::from(client == Some("web1")));
            if client == Some("web1") {
                assert_eq!(after.last().unwrap().0, actor(&print));
            }
        }
    }
    verify(&appliance);
}

#[test]
fn without_vmcad_a_client_is_told_and_with_it_it_is_served_again() {
    let appliance = with_clients();
    certificate(&appliance, issue(&appliance, Some("web1"), &[]));
    appliance.ok("service-control", &["--stop", "vmcad"]);
    refused(issue(&appliance, Some("web1"), &[]), 503, "nothing was issued");
    // Who is no client learns nothing of it.
    refused(issue(&appliance, None, &[]), 403, "certificate and key");
    appliance.ok("service-control", &["--start", "vmcad"]);
    certificate(&appliance, issue(&appliance, Some("web1"), &[]));

    // Both ends must know the client: one that was taken from the configuration of vmcad alone is none.
    appliance.configure("web1 = ", "web2 = ");
    appliance.ok("service-control", &["--restart", "vmcad"]);
    refused(issue(&appliance, Some("web1"), &[]), 403, "restart vmcad and the gateway");
    appliance.ok("service-control", &["--restart", "gateway"]);
    certificate(&appliance, issue(&appliance, Some("web1"), &[]));
    assert!(journal(&appliance).last().unwrap().0.starts_with("client:web2("));
    verify(&appliance);
}

#[test]
fn without_clients_nobody_is_asked_for_a_certificate() {
    let appliance = Appliance::running();
    client(&appliance, "web1", "2");
    appliance.write("body.json", "{}");
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(&appliance, Some("web1"), version, &["-msg"]);
        assert!(said.contains("HTTP/1.1 403") && said.contains("there is none"), "{said}");
        assert!(said.contains("ServerHello") && !said.contains("CertificateRequest"), "{said}");
    }
    verify(&appliance);
}
