//! Tokens that were there before: chosen by URI, opened with every source of a PIN.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Appliance, eventually, text};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "a pin of the operator";

/// An appliance that is not set up, and a SoftHSM folder with tokens of these labels beside it.
fn with_tokens(labels: &[&str]) -> (Appliance, String) {
    let appliance = Appliance::bare();
    let folder = appliance.file("tokens");
    std::fs::create_dir(&folder).unwrap();
    let configuration =
        appliance.write("softhsm2.conf", format!("directories.tokendir = {}\n", text(&folder)));
    for label in labels {
        let made = Command::new("softhsm2-util")
            .args([
                "--init-token",
                "--free",
                "--label",
                label,
                "--so-pin",
                "12345678",
                "--pin",
                PIN,
            ])
            .env("SOFTHSM2_CONF", &configuration)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let environment = format!("SOFTHSM2_CONF={}", text(&configuration));
    (appliance, environment)
}

/// `sealwright init` with options, the PIN on standard input as often as it is asked for.
fn init(appliance: &Appliance, options: &[&str]) -> crate::harness::Said {
    let listen = format!("127.0.0.1:{}", appliance.port);
    let begin = ["init", "--hostname", "vc.example.com", "--key-algorithm", "p-256", "--listen"];
    let words: Vec<&str> =
        begin.into_iter().chain([listen.as_str()]).chain(options.iter().copied()).collect();
    appliance.run_with_input("sealwright", &words, &format!("{PIN}\n").repeat(8))
}

#[test]
fn a_prompt_and_a_file_open_tokens_that_are_protected_like_ours() {
    let (appliance, environment) = with_tokens(&["theirs", ""]);
    let pin = appliance.write("their.pin", PIN);
    std::fs::set_permissions(pin, PermissionsExt::from_mode(0o600)).unwrap();
    // The CA token has no label: only its serial number names it.
    let listed = Command::new("softhsm2-util")
        .arg("--show-slots")
        .env("SOFTHSM2_CONF", appliance.file("softhsm2.conf"))
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let values = |name: &str| {
        let lines = listed.lines().filter(|line| line.contains(name));
        lines.map(|line| line.split_once(':').unwrap().1.trim().to_owned()).collect::<Vec<_>>()
    };
    let (serial, _) = values("Serial number")
        .into_iter()
        .zip(values("Label"))
        .find(|(serial, label)| label.is_empty() && !serial.is_empty())
        .unwrap();
    let ca = format!("pkcs11:serial={serial}");
    let said = init(
        &appliance,
        &[
            "--ca-token",
            &ca,
            "--ca-module",
            MODULE,
            "--ca-env",
            &environment,
            "--sealing-token",
            "pkcs11:token=theirs",
            "--sealing-module",
            MODULE,
            "--sealing-env",
            &environment,
            "--sealing-pin",
            "file:their.pin",
        ],
    );
    assert_eq!(said.status, 0, "{said:?}\n{}", appliance.logs());
    assert!(said.stderr.contains("The PIN of the ca token is needed"), "{said:?}");

    let config = std::fs::read_to_string(appliance.config()).unwrap();
    let directory = format!("directory = \"{}\"", text(&appliance.file("tokens")));
    assert_eq!(config.matches(&directory).count(), 2, "{config}");
    assert!(config.contains(&format!("uri = \"{ca}\"")), "{config}");
    assert!(!config.contains(PIN) && !appliance.logs().contains(PIN));

    let started =
        appliance.run_with_input("service-control", &["--start", "--all"], &format!("{PIN}\n"));
    assert_eq!(started.status, 0, "{started:?}");
    eventually("health is good", || crate::gateway::health(&appliance).0 == 200);
    // The workshop has the PIN that was asked for once.
    appliance.ok("certool", &["--gencacsr", "--newkey", "--csrfile", "new.csr"]);
    crate::verify::verify(&appliance);
}

#[test]
fn a_pipe_is_refused_before_anything_is_made() {
    let (appliance, environment) = with_tokens(&["theirs"]);
    // Standard input is a pipe here.
    let said = init(
        &appliance,
        &[
            "--ca-token",
            "pkcs11:token=theirs",
            "--ca-module",
            MODULE,
            "--ca-env",
            &environment,
            "--ca-pin",
            "fd:0",
        ],
    );
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.stderr.contains("not open on a regular file"), "{said:?}");
    assert!(!appliance.config().exists() && !appliance.tokens("sealing").exists());
}
