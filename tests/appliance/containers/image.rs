//! The image itself: what `docker run` without a word does, and what the doctor says inside.

use super::contained::{Contained, Container};
use super::engine::{docker_ok, images, labels};
use crate::harness::{eventually, judge};
use crate::workflow::bodies;

#[test]
fn without_a_word_it_is_a_target_for_ci() {
    let Some(tag) = images() else { return };
    let labels = labels();
    let image = format!("sealwright/appliance:{tag}");
    let words = ["run", "--detach", "--label", &labels[0], "--label", &labels[1], "--publish-all"];
    let plain = Container(docker_ok(&[&words[..], &[&image]].concat()).trim().to_owned());
    let logs = || docker_ok(&["logs", &plain.0]);
    eventually("it is ready", || logs().contains("\nready: https://localhost:443\n"));

    // Everything that a client needs was printed.
    let folder = tempfile::tempdir().unwrap();
    let anchor = folder.path().join("anchor.pem");
    let printed = bodies(&logs());
    assert_eq!(printed.len(), 1);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", printed[0]);
    std::fs::write(&anchor, pem).unwrap();
    let anchor = crate::harness::text(&anchor);
    let port = docker_ok(&["port", &plain.0, "443"]);
    let port = port.lines().next().unwrap().rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/healthz");
    let health = judge("curl", &["--silent", "--show-error", "--fail", "--cacert", anchor, &url]);
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["state"], "ok", "{health:#}");
    let print = judge("openssl", &["x509", "-in", anchor, "-noout", "-fingerprint", "-sha256"]);
    assert!(logs().contains(print.trim().rsplit('=').next().unwrap()), "{print}");

    eventually("Docker calls it healthy", || {
        docker_ok(&["inspect", "--format", "{{.State.Health.Status}}", &plain.0]).trim()
            == "healthy"
    });
    // Nothing was written outside of its volumes, though it could be.
    assert_eq!(docker_ok(&["diff", &plain.0]), "");
    let user = docker_ok(&["exec", &plain.0, "id", "--user"]);
    assert_eq!(user.trim(), "10443");
    docker_ok(&["stop", &plain.0]);
    let code = docker_ok(&["inspect", "--format", "{{.State.ExitCode}}", &plain.0]);
    assert_eq!(code.trim(), "0", "{}", logs());
}

#[test]
fn the_doctor_finds_nothing_inside() {
    let Some(contained) = Contained::running() else { return };
    contained.appliance.certificate("one");
    let said = contained.exec(&["sealwright", "doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    // The machine's clock, disk and swap are not the image's; everything else is.
    let found: Vec<_> = checks
        .iter()
        .filter(|check| !check["id"].as_str().unwrap().starts_with("machine."))
        .filter(|check| ["warning", "critical"].iter().any(|bad| check["severity"] == *bad))
        .collect();
    assert!(checks.len() > 40, "{report:#}");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn another_name_than_the_one_it_has_is_refused_and_named() {
    let Some(contained) = Contained::running() else { return };
    contained.docker(&["stop"]);
    contained.remove();
    contained.create(&["--env", "SEALWRIGHT_HOSTNAME=other.example.test"], &[]);
    assert_ne!(contained.wait_ended(), 0);
    let logs = contained.logs();
    assert!(
        logs.contains("--hostname other.example.test (it has machine1.example.test)"),
        "{logs}"
    );
}
