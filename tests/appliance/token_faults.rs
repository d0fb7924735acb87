//! Tokens that go away, are replaced, or do not take the PIN.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Appliance, eventually, judge, text};

/// The one folder of a SoftHSM token.
fn token_folder(appliance: &Appliance, role: &str) -> PathBuf {
    let mut folders: Vec<_> = std::fs::read_dir(appliance.tokens(role))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(folders.len(), 1);
    folders.remove(0)
}

/// Where a token is out of the module's sight: beside the folder that the module searches.
fn away(appliance: &Appliance) -> PathBuf {
    appliance.root().join("lib/tokens/away")
}

fn gencert(appliance: &Appliance, name: &str) -> bool {
    let certificate = format!("{name}.crt");
    let said = appliance.run(
        "certool",
        &[
            "--gencert",
            "--privkey",
            "k.priv",
            "--cert",
            &certificate,
            "--config",
            "m.cfg",
            "--Name",
            name,
        ],
    );
    said.status == 0
}

fn prepare(appliance: &Appliance) {
    appliance.machine_config("m.cfg", crate::harness::HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
}

#[test]
fn a_token_folder_that_goes_and_comes_back_never_makes_another_key_sign() {
    let appliance = Appliance::running();
    prepare(&appliance);
    // A second CA key with the same label: what a search by label would find instead.
    appliance.ok("certool", &["--gencacsr", "--csrfile", "second.csr", "--newkey"]);
    let folder = token_folder(&appliance, "ca");
    let away = away(&appliance);
    let root = appliance.root().join("lib/vmca/root.cer");

    let done = AtomicBool::new(false);
    let issued: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let (appliance, done) = (&appliance, &done);
                scope.spawn(move || {
                    let mut issued = Vec::new();
                    for n in 0.. {
                        let name = format!("w{worker}n{n}");
                        if gencert(appliance, &name) {
                            issued.push(name);
                        }
                        if done.load(Ordering::Relaxed) {
                            return issued;
                        }
                    }
                    issued
                })
            })
            .collect();
        for _ in 0..5 {
            std::fs::rename(&folder, &away).unwrap();
            // Away for as long as it takes to see a refusal: a fact, not a time.
            eventually("issuing fails while the token is away", || !gencert(&appliance, "probe"));
            std::fs::rename(&away, &folder).unwrap();
            eventually("issuing works again without a restart", || gencert(&appliance, "probe"));
        }
        done.store(true, Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(!issued.is_empty());
    for name in &issued {
        let path = appliance.file(&format!("{name}.crt"));
        judge("openssl", &["verify", "-CAfile", text(&root), text(&path)]);
    }
    println!(
        "{} certificates while the token went away five times, all by the right key",
        issued.len()
    );
    crate::verify::verify_with_failures(&appliance);
}

#[test]
fn without_the_ca_token_the_other_services_go_on_and_health_says_so() {
    let appliance = Appliance::new();
    let folder = token_folder(&appliance, "ca");
    let away = away(&appliance);
    std::fs::rename(&folder, &away).unwrap();
    appliance.start();
    prepare(&appliance);
    let said = appliance.certool_fails(
        &["--gencert", "--privkey", "k.priv", "--cert", "x.crt", "--config", "m.cfg"],
        70032,
    );
    assert!(said.stderr.to_lowercase().contains("token"), "{said:?}");
    assert!(!appliance.file("x.crt").exists());
    assert!(appliance.ok("vecs-cli", &["store", "list"]).starts_with("MACHINE_SSL_CERT\n"));
    let health = crate::gateway::health(&appliance);
    assert_eq!(health.0, 503, "{health:?}");
    assert!(health.1.contains("vmcad") && health.1.contains("degraded"), "{health:?}");

    std::fs::rename(&away, &folder).unwrap();
    eventually("issuing works when the token is there", || gencert(&appliance, "x"));
    eventually("health is good again", || crate::gateway::health(&appliance).0 == 200);
    crate::verify::verify_with_failures(&appliance);
}

#[test]
fn an_appliance_without_the_file_of_its_ca_certificate_writes_it_down_when_the_token_is_there() {
    let appliance = Appliance::new();
    let issuers = appliance.root().join("lib/tokens/ca/issuers");
    let files = || -> Vec<_> {
        let found = std::fs::read_dir(&issuers).into_iter().flatten().flatten();
        found.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
    };
    let made = files();
    assert_eq!(made.len(), 1, "set-up writes the CA certificate down");
    let file = appliance.write("issuer.der", &made[0].1);
    let certificate = judge("openssl", &["x509", "-inform", "DER", "-in", text(&file)]);
    let root = std::fs::read_to_string(appliance.root().join("lib/vmca/root.cer")).unwrap();
    assert_eq!(certificate, root);

    // As an older version has left it, and with the token away.
    std::fs::remove_dir_all(&issuers).unwrap();
    let (folder, away) = (token_folder(&appliance, "ca"), away(&appliance));
    std::fs::rename(&folder, &away).unwrap();
    appliance.start();
    prepare(&appliance);
    assert!(!gencert(&appliance, "x"));
    assert!(files().is_empty());
    std::fs::rename(&away, &folder).unwrap();
    eventually("issuing works when the token is there", || gencert(&appliance, "x"));
    assert_eq!(files(), made);

    // And with the token there.
    appliance.stop();
    std::fs::remove_dir_all(&issuers).unwrap();
    appliance.start();
    eventually("the CA certificate is written down at start", || files() == made);
    crate::verify::verify_with_failures(&appliance);
}

#[test]
fn a_wrong_pin_is_tried_once_and_never_again() {
    let appliance = Appliance::new();
    let pin = appliance.root().join("etc/pins/ca.pin");
    let right = std::fs::read_to_string(&pin).unwrap();
    std::fs::write(&pin, "wrong-pin-wrong-pin").unwrap();
    appliance.start();
    prepare(&appliance);
    for _ in 0..8 {
        let words = ["--gencert", "--privkey", "k.priv", "--cert", "x.crt", "--config", "m.cfg"];
        let said = appliance.certool_fails(&words, 70032);
        assert!(said.stderr.contains("PIN"), "{said:?}");
    }
    // SoftHSM counts nothing, but other tokens lock after three: the log shows one try.
    let log = std::fs::read_to_string(appliance.root().join("log/vmcad.log")).unwrap();
    assert!(!log.contains("wrong-pin"), "a PIN never reaches a log");
    std::fs::write(&pin, right).unwrap();
    // The key workshop is a process of its own. It would be a second try, with the right PIN by now.
    let objects = || std::fs::read_dir(token_folder(&appliance, "ca")).unwrap().count();
    let before = objects();
    let words = ["--gencacsr", "--newkey", "--csrfile", "x.csr"];
    let said = appliance.certool_fails(&words, 70032);
    assert!(said.stderr.contains("PIN"), "{said:?}");
    assert_eq!(objects(), before, "no key was made");
    appliance.stop();
    appliance.start();
    assert!(gencert(&appliance, "x"));
    crate::verify::verify_with_failures(&appliance);
}

#[test]
fn another_token_with_the_same_label_is_recognised_and_refused() {
    let (ours, other) = (Appliance::new(), Appliance::new());
    for role in ["ca", "sealing"] {
        // The whole home of the other appliance's token, and its PIN: label alike, keys not.
        let (here, there) = (token_folder(&ours, role), token_folder(&other, role));
        std::fs::rename(&here, away(&ours).with_extension(role)).unwrap();
        let status = std::process::Command::new("cp").args(["-a"]).arg(&there).arg(&here).status();
        assert!(status.unwrap().success());
        let pin = format!("etc/pins/{role}.pin");
        std::fs::copy(other.root().join(&pin), ours.root().join(&pin)).unwrap();
        // Even a configuration that names no serial number must not be fooled.
        let config = std::fs::read_to_string(ours.config()).unwrap();
        let stripped = regex_free_strip_serial(&config);
        std::fs::write(ours.config(), stripped).unwrap();
    }
    // Not the gateway: it has no certificate to show, because its key does not open.
    for service in ["vmafdd", "vmdird", "vmcad"] {
        ours.ok("service-control", &["--start", service]);
    }
    prepare(&ours);
    assert!(!gencert(&ours, "x"));
    let create = ours.run(
        "vecs-cli",
        &["entry", "create", "--store", "machine", "--alias", "a", "--key", "k.priv"],
    );
    assert_ne!(create.status, 0, "{create:?}");
    let stored = ours.run(
        "vecs-cli",
        &["entry", "getkey", "--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"],
    );
    assert_ne!(stored.status, 0, "{stored:?}");
    assert!(stored.stderr.to_lowercase().contains("token"), "{stored:?}");
}

/// Takes `;serial=…` and `serial=…;` out of every token URI.
fn regex_free_strip_serial(config: &str) -> String {
    let lines = config.lines().map(|line| {
        let Some(at) = line.find("serial=") else { return line.to_owned() };
        let end = line[at..].find([';', '"']).map_or(line.len(), |length| at + length);
        let (before, after) = (&line[..at], &line[end..]);
        match after.strip_prefix(';') {
            Some(rest) => format!("{before}{rest}"),
            None => format!("{}{after}", before.trim_end_matches(';')),
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
