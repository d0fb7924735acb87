//! The container is restarted, killed, paused; its services die.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use super::contained::Contained;
use crate::harness::{HOST, Over, eventually, judge, text};
use crate::verify::{verify, verify_with_failures};

/// Whether `vmcad` has every one of these certificates on record, and OpenSSL verifies them under the trust anchor.
fn all_on_record(contained: &Contained, certificates: &[PathBuf]) {
    let database = rusqlite::Connection::open_with_flags(
        contained.appliance.database("vmcad"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let mut statement = database.prepare("SELECT certificate FROM certificates").unwrap();
    let recorded: BTreeSet<Vec<u8>> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for certificate in certificates {
        let der = certificate.with_extension("der");
        let words = ["x509", "-in", text(certificate), "-outform", "DER", "-out", text(&der)];
        judge("openssl", &words);
        assert!(recorded.contains(&std::fs::read(&der).unwrap()), "{certificate:?} is lost");
        judge("openssl", &["verify", "-CAfile", text(&contained.root_cer()), text(certificate)]);
    }
}

#[test]
fn a_restart_loses_nothing() {
    let Some(contained) = Contained::running() else { return };
    let root = std::fs::read(contained.root_cer()).unwrap();
    let before = contained.appliance.certificate("before");
    contained.ready_again(|contained| contained.docker(&["restart"]));
    assert_eq!(std::fs::read(contained.root_cer()).unwrap(), root, "the CA is another one");
    // The services ended by themselves: nothing was cut off.
    for service in ["vmafdd", "vmdird", "vmcad", "gateway"] {
        let farewell = format!("{service} has stopped");
        assert!(contained.logs().contains(&farewell), "{farewell}:\n{}", contained.logs());
    }
    let after = contained.appliance.certificate("after");
    all_on_record(&contained, &[before, after]);

    contained.docker(&["stop"]);
    assert_eq!(contained.wait_ended(), 0, "{}", contained.logs());
    contained.ready_again(|contained| contained.docker(&["start"]));
    verify(&contained.appliance);
}

#[test]
fn a_container_that_is_killed_while_it_issues_loses_no_certificate() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let config = appliance.machine_config("m.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    let issue = |name: String| -> Option<PathBuf> {
        let words =
            ["--gencert", "--privkey", "k.priv", "--config", &config, "--Name", "x", "--cert"];
        let said = appliance.run("certool", &[&words[..], &[&name]].concat());
        (said.status == 0).then(|| appliance.file(&name))
    };
    let mut had = Vec::new();
    for round in 0..2 {
        let stop = AtomicBool::new(false);
        let of_round = format!("r{round}-");
        let got = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|client| {
                    let (stop, issue, of_round) = (&stop, &issue, &of_round);
                    scope.spawn(move || {
                        let mut got = Vec::new();
                        let mut number = 0;
                        while !stop.load(Ordering::Relaxed) {
                            got.extend(issue(format!("{of_round}{client}-{number}.crt")));
                            number += 1;
                        }
                        got
                    })
                })
                .collect();
            // In the middle of the work, whatever that is just now.
            let issued = || {
                let files = std::fs::read_dir(appliance.file("")).unwrap().flatten();
                files
                    .filter(|file| file.file_name().to_string_lossy().starts_with(&of_round))
                    .count()
            };
            let over = Over(&stop);
            eventually("some certificates are issued", || issued() > 10);
            contained.docker(&["kill"]);
            drop(over);
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(!got.is_empty());
        had.extend(got);
        contained.ready_again(|contained| contained.docker(&["start"]));
        all_on_record(&contained, &had);
    }
    had.push(appliance.certificate("afterwards"));
    all_on_record(&contained, &had);
    verify_with_failures(appliance);
}

#[test]
fn a_service_that_is_killed_runs_again_and_leaves_no_zombie() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let started = contained.state("{{.State.StartedAt}}");
    for service in ["gateway", "vmcad", "vmdird", "vmafdd"] {
        let before = appliance.pid(service);
        contained.exec_ok(&["bash", "-c", &format!("kill -KILL {before}")]);
        eventually("the service runs again", || {
            appliance.pid_if_any(service).is_some_and(|pid| pid != before)
                && contained.logs().contains(&format!("sealwright: {service} runs again"))
        });
        assert!(contained.logs().contains(&format!("sealwright: {service} died (killed)")));
    }
    let issued = appliance.certificate("afterwards");
    all_on_record(&contained, &[issued]);
    // One that has just ended is collected in a moment; one that stays was forgotten.
    eventually("every process that ended was collected", || {
        let states =
            contained.exec_ok(&["bash", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true"]);
        states.lines().count() >= 6 && !states.contains(") Z ")
    });
    assert_eq!(contained.state("{{.State.StartedAt}}"), started, "the container was restarted");
    verify_with_failures(appliance);
}

#[test]
fn a_service_that_dies_for_good_ends_the_container() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let issued = appliance.certificate("before");
    let folder = appliance.root().join("lib/vmdird");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&folder, 0o000);
    contained.exec_ok(&["bash", "-c", &format!("kill -KILL {}", appliance.pid("vmdird"))]);
    assert_eq!(contained.wait_ended(), 1, "{}", contained.logs());
    let logs = contained.logs();
    assert!(logs.contains("vmdird keeps dying and is not started again"), "{logs}");
    // It says why, and the others were stopped as they should be.
    assert!(logs.contains("Permission denied") && logs.contains("vmcad has stopped"), "{logs}");

    mode(&folder, 0o700);
    contained.ready_again(|contained| contained.docker(&["start"]));
    all_on_record(&contained, &[issued]);
    verify_with_failures(appliance);
}

#[test]
fn a_container_that_is_paused_answers_late_and_loses_nothing() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let config = appliance.machine_config("m.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    let health = || {
        let (port, connect) = (appliance.port, format!("::127.0.0.1:{}", appliance.port));
        let url = format!("https://{HOST}:{port}/healthz");
        let root = contained.root_cer();
        let words = ["--silent", "--fail", "--max-time", "2", "--cacert", text(&root)];
        let mut command = std::process::Command::new("curl");
        command.args(words).args(["--connect-to", &connect, &url]).output().unwrap().status.code()
    };
    assert_eq!(health(), Some(0));

    contained.docker(&["pause"]);
    let words =
        ["--gencert", "--privkey", "k.priv", "--config", &config, "--Name", "x", "--cert", "x.crt"];
    let mut client = appliance
        .command("certool")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(health(), Some(28), "curl should have run out of time");
    assert!(client.try_wait().unwrap().is_none(), "certool did not wait");
    contained.docker(&["unpause"]);
    assert!(client.wait().unwrap().success(), "{}", contained.logs());
    assert_eq!(health(), Some(0));
    all_on_record(&contained, &[appliance.file("x.crt")]);
    verify(appliance);
}
