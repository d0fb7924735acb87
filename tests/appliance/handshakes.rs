//! TLS handshakes of the gateway, with its key in the token and in its memory. OpenSSL judges.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::born::{acts, certificate, journal};
use crate::harness::{Appliance, HOST, eventually, judge, text};
use crate::verify::{verify, verify_with_failures};

/// The machine's own entry.
const MACHINE: [&str; 4] = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];

/// `openssl s_client` in one version of TLS, trusting VMCA: whether the handshake came to its end, and all it said.
fn shakes_hands(appliance: &Appliance, version: &str) -> (bool, String) {
    let root = appliance.root().join("lib/vmca/root.cer");
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", appliance.port), version])
        .args(["-CAfile", text(&root), "-verify_return_error", "-servername", HOST])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success() && said.contains("Verify return code: 0 (ok)"), said)
}

fn health_of_gateway(appliance: &Appliance) -> serde_json::Value {
    let socket = appliance.root().join("run/gateway.sock");
    let words = ["--silent", "--unix-socket", text(&socket), "http://localhost/v1/health"];
    serde_json::from_str(&judge("curl", &words)).unwrap()
}

/// Puts another key into the machine's entry; the gateway finds out by itself.
fn replace_machine_entry(appliance: &Appliance, create: &[&str]) {
    appliance.ok("vecs-cli", &[&["entry", "delete"][..], &MACHINE, &["-y"]].concat());
    appliance.ok("vecs-cli", create);
}

/// What the gateway shows is the certificate of the entry.
fn presents_its_entry(appliance: &Appliance, said: &str) -> bool {
    let (certificate, _) = certificate(appliance, MACHINE);
    let print =
        |path: &PathBuf| judge("openssl", &["x509", "-in", text(path), "-noout", "-serial"]);
    let shown = appliance.write("shown.crt", said);
    print(&certificate) == print(&shown)
}

#[test]
fn handshakes_are_signed_in_the_token_for_every_kind_of_key_and_wherever_it_was_made() {
    let appliance = Appliance::running();
    for algorithm in ["p-256", "p-384", "rsa-2048", "rsa-3072"] {
        let born = [&["entry", "generate"][..], &MACHINE, &["--config", "m.cfg"]].concat();
        let born = [&born[..], &["--key-algorithm", algorithm]].concat();
        appliance.machine_config("m.cfg", HOST);
        appliance.ok("certool", &["--genkey", "--privkey", "k", "--key-algorithm", algorithm]);
        let gencert = ["--gencert", "--privkey", "k", "--cert", "c", "--config", "m.cfg"];
        appliance.ok("certool", &gencert);
        let brought = [&["entry", "create"][..], &MACHINE, &["--cert", "c", "--key", "k"]].concat();
        for create in [born, brought] {
            replace_machine_entry(&appliance, &create);
            // Once with a restart, once without: the first handshake that fails has the certificate fetched.
            if create[1] == "generate" {
                appliance.ok("service-control", &["--restart", "gateway"]);
            }
            for version in ["-tls1_2", "-tls1_3"] {
                eventually("the new certificate is presented", || {
                    let (well, said) = shakes_hands(&appliance, version);
                    well && presents_its_entry(&appliance, &said)
                });
            }
        }
    }
    // Nobody read the key: the handshakes were done without it. What `verify` reads comes later.
    let entry = journal(&appliance, "MACHINE_SSL_CERT/__MACHINE_CERT");
    assert!(entry.iter().all(|(act, _, _)| act != "entry.read-key"), "{entry:?}");

    // They were counted: the sum is there at the latest when the service stops.
    let before = handshakes_on_record(&appliance);
    for _ in 0..3 {
        assert!(shakes_hands(&appliance, "-tls1_3").0);
    }
    appliance.ok("service-control", &["--stop", "vmafdd"]);
    assert!(handshakes_on_record(&appliance) >= before + 3, "{before}");
    appliance.start();
    verify(&appliance);
}

fn handshakes_on_record(appliance: &Appliance) -> u64 {
    journal(appliance, "MACHINE_SSL_CERT/__MACHINE_CERT")
        .iter()
        .filter(|(act, _, details)| act == "entry.sign" && details["purpose"] == "tls")
        .map(|(_, _, details)| details["count"].as_u64().unwrap())
        .sum()
}

#[test]
fn without_the_token_a_handshake_fails_cleanly_and_comes_back_without_a_restart() {
    let appliance = Appliance::running();
    assert!(shakes_hands(&appliance, "-tls1_3").0);
    let tokens = appliance.tokens("sealing");
    let folder = std::fs::read_dir(&tokens)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    let away = appliance.root().join("lib/tokens/away");
    std::fs::rename(&folder, &away).unwrap();
    // SoftHSM goes on with what it has in memory; whoever opens the token anew does not find it.
    let said = appliance.run("service-control", &["--restart", "vmafdd"]);
    assert!(said.stderr.contains("token"), "{said:?}");
    for version in ["-tls1_2", "-tls1_3"] {
        let (well, said) = shakes_hands(&appliance, version);
        assert!(!well && said.contains("alert internal error"), "{said}");
    }
    let health = health_of_gateway(&appliance);
    assert_eq!(health["state"], "degraded", "{health}");
    assert!(health["detail"].as_str().unwrap().contains("token"), "{health}");
    // Whoever asks the machine itself still gets an answer.
    appliance.ok("vecs-cli", &["store", "list"]);

    std::fs::rename(&away, &folder).unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        eventually("handshakes succeed again", || shakes_hands(&appliance, version).0);
    }
    eventually("the gateway is well again", || health_of_gateway(&appliance)["state"] == "ok");

    // The same for the service in between.
    appliance.ok("service-control", &["--stop", "vmafdd"]);
    let (well, said) = shakes_hands(&appliance, "-tls1_3");
    assert!(!well && said.contains("alert internal error"), "{said}");
    appliance.ok("service-control", &["--start", "vmafdd"]);
    eventually("handshakes succeed again", || shakes_hands(&appliance, "-tls1_2").0);
    verify_with_failures(&appliance);
}

#[test]
fn a_key_in_memory_is_used_where_the_configuration_says_so() {
    let appliance = Appliance::new();
    appliance.configure("key = \"token\"", "key = \"memory\"");
    appliance.start();
    for version in ["-tls1_2", "-tls1_3"] {
        let (well, said) = shakes_hands(&appliance, version);
        assert!(well, "{said}");
    }
    // Read once, at the start, and no signature asked for.
    let journal = acts(&appliance, "MACHINE_SSL_CERT/__MACHINE_CERT");
    assert_eq!(journal.last().unwrap(), "entry.read-key done", "{journal:?}");
    // Without vmafdd it goes on.
    appliance.ok("service-control", &["--stop", "vmafdd"]);
    assert!(shakes_hands(&appliance, "-tls1_3").0);
    appliance.start();
    verify(&appliance);
}
