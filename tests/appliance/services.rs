//! Setting up, starting, stopping, dying.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Appliance, eventually};
use crate::verify::verify;

fn pid(appliance: &Appliance, service: &str) -> Pid {
    Pid::from_raw(appliance.pid(service)).unwrap()
}

#[test]
fn init_twice_changes_nothing_and_says_so() {
    let appliance = Appliance::new();
    let tree = |appliance: &Appliance| {
        let output = std::process::Command::new("sh")
            .args(["-c", "find etc lib -type f ! -name '*.lock' ! -name '*-shm' ! -name '*-wal' -exec sha256sum {} + | sort -k2"])
            .current_dir(appliance.root())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let before = tree(&appliance);
    let said = appliance.init(&["--key-algorithm", "p-256"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("nothing changed"), "{said:?}");
    assert_eq!(said.stderr, "");
    assert_eq!(tree(&appliance), before);
    let said = appliance.init(&["--key-algorithm", "p-384"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("nothing changed"), "{said:?}");
    assert!(said.stderr.contains("--key-algorithm p-384 (it has p-256)"), "{said:?}");
    assert_eq!(tree(&appliance), before);
    appliance.start();
    verify(&appliance);
}

#[test]
fn of_two_inits_at_once_one_works_and_one_is_told_to_wait() {
    let appliance = Appliance::bare();
    let said: Vec<_> = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| appliance.init(&["--key-algorithm", "p-256"])));
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let worked = said.iter().filter(|one| one.status == 0).count();
    assert!(worked >= 1, "{said:?}");
    for one in said.iter().filter(|one| one.status != 0) {
        assert!(one.stderr.contains("another"), "{one:?}");
    }
    appliance.start();
    verify(&appliance);
}

#[test]
fn an_init_that_was_killed_goes_on_where_it_stopped() {
    let appliance = Appliance::bare();
    for _ in 0..3 {
        let mut child = appliance
            .command("sealwright")
            .args(["init", "--hostname", crate::harness::HOST, "--key-algorithm", "p-256"])
            .args(["--listen", &format!("127.0.0.1:{}", appliance.port)])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed after its first, second... progress line: different places in every round.
        use std::io::{BufRead, BufReader};
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let _ = lines.next();
        let _ = lines.next();
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = appliance.run("service-control", &["--stop", "--all"]);
    }
    let said = appliance.init(&["--key-algorithm", "p-256"]);
    assert_eq!(said.status, 0, "{said:?}\n{}", appliance.logs());
    appliance.start();
    verify(&appliance);
}

#[test]
fn status_lists_what_runs_and_what_does_not() {
    let appliance = Appliance::running();
    let said = appliance.ok("service-control", &["--status", "--all"]);
    assert_eq!(said, "Running:\n gateway vmafdd vmcad vmdird\n");
    appliance.ok("service-control", &["--stop", "gateway"]);
    let said = appliance.ok("service-control", &["--status", "--all"]);
    assert!(said.contains("Running:\n vmafdd vmcad vmdird\n"), "{said}");
    assert!(said.contains("Stopped:\n gateway\n"), "{said}");
    let list = appliance.ok("service-control", &["--list"]);
    assert!(list.contains("vmcad (VMware Certificate Service)\n"), "{list}");
    verify(&appliance);
}

#[test]
fn a_reader_who_goes_away_does_not_stop_half_of_the_work() {
    let appliance = Appliance::new();
    let unread = |words: &[&str]| {
        let mut child = appliance
            .command("service-control")
            .args(words)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success(), "{words:?}");
        appliance.ok("service-control", &["--status"])
    };
    assert_eq!(
        unread(&["--verbose", "--start", "--all"]),
        "Running:\n gateway vmafdd vmcad vmdird\n"
    );
    assert_eq!(
        unread(&["--verbose", "--stop", "--all"]),
        "Stopped:\n gateway vmafdd vmcad vmdird\n"
    );
    appliance.start();
    verify(&appliance);
}

#[test]
fn a_gateway_whose_port_is_taken_says_so_and_does_not_stay() {
    let appliance = Appliance::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", appliance.port)).unwrap();
    let said = appliance.run("service-control", &["--start", "--all"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("Failed to start services in profile ALL"), "{said:?}");
    assert!(said.stderr.contains("cannot listen on 127.0.0.1:"), "{said:?}");
    assert!(said.stderr.contains("choose another one"), "{said:?}");
    let status = appliance.ok("service-control", &["--status"]);
    assert_eq!(status, "Running:\n vmafdd vmcad vmdird\nStopped:\n gateway\n");
    drop(taken);
    appliance.start();
    verify(&appliance);
}

#[test]
fn a_service_whose_log_cannot_be_written_serves_all_the_same() {
    let appliance = Appliance::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut vmdird = std::process::Command::new(env!("CARGO_BIN_EXE_vmdird"))
        .env("SEALWRIGHT_ROOT", appliance.root())
        .stderr(full)
        .spawn()
        .unwrap();
    eventually("it serves", || {
        assert!(vmdird.try_wait().unwrap().is_none(), "it ended");
        appliance.ok("service-control", &["--status", "vmdird"]) == "Running: vmdird\n"
    });
    appliance.ok("service-control", &["--stop", "vmdird"]);
    assert!(vmdird.wait().unwrap().success());
    appliance.start();
    verify(&appliance);
}

#[test]
fn a_killed_service_is_seen_as_stopped_and_starts_again() {
    let appliance = Appliance::running();
    appliance.certificate("before");
    for service in ["vmcad", "vmafdd", "vmdird", "gateway"] {
        let victim = pid(&appliance, service);
        kill_process(victim, Signal::KILL).unwrap();
        eventually("it is dead", || test_kill_process(victim).is_err());
        let said = appliance.ok("service-control", &["--status", "--all"]);
        assert!(said.contains(&format!("Stopped:\n {service}\n")), "{said}");
        appliance.ok("service-control", &["--start", service]);
        assert_ne!(pid(&appliance, service), victim);
    }
    appliance.certificate("after");
    verify(&appliance);
}

#[test]
fn killing_vmcad_while_it_issues_leaves_no_certificate_without_a_record() {
    let appliance = Appliance::running();
    appliance.machine_config("m.cfg", crate::harness::HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    for round in 0..4 {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let appliance = &appliance;
                    scope.spawn(move || {
                        for n in 0..6 {
                            let file = format!("r{round}w{worker}n{n}.crt");
                            appliance.run(
                                "certool",
                                &[
                                    "--gencert",
                                    "--privkey",
                                    "k.priv",
                                    "--cert",
                                    &file,
                                    "--config",
                                    "m.cfg",
                                ],
                            );
                        }
                    })
                })
                .collect();
            eventually("a certificate of this round is there", || {
                appliance.file(&format!("r{round}w0n1.crt")).exists()
            });
            kill_process(pid(&appliance, "vmcad"), Signal::KILL).unwrap();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        appliance.ok("service-control", &["--start", "vmcad"]);
    }
    crate::verify::verify_with_failures(&appliance);
}

#[test]
fn tools_say_what_to_do_when_services_are_down_or_nothing_is_set_up() {
    let appliance = Appliance::new();
    let said = appliance.certool_fails(&["--getrootca"], 382_312_514);
    assert!(said.stderr.contains("service-control"), "{said:?}");
    let said = appliance.run("vecs-cli", &["store", "list"]);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("service-control"), "{said:?}");

    let bare = Appliance::bare();
    let said = bare.run("service-control", &["--start", "--all"]);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("sealwright init"), "{said:?}");
}

#[test]
fn a_stop_in_the_middle_of_nothing_is_graceful_and_twice_is_no_error() {
    let appliance = Appliance::running();
    appliance.stop();
    appliance.stop();
    let said = appliance.ok("service-control", &["--status", "--all"]);
    assert_eq!(said, "Stopped:\n gateway vmafdd vmcad vmdird\n");
    let left: Vec<_> = std::fs::read_dir(appliance.root().join("run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sock"))
        .collect();
    assert!(left.is_empty(), "sockets left: {left:?}");
    appliance.start();
    verify(&appliance);
}

#[test]
fn another_user_sees_how_services_are_and_cannot_stand_in_their_way() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so service-control is NOT tried as another user");
        return;
    }
    let appliance = Appliance::running();
    appliance.open_for_others();
    let status = appliance.run_as_nobody("service-control", &["--status", "--all"]);
    assert_eq!(status.stdout, "Running:\n gateway vmafdd vmcad vmdird\n", "{status:?}");
    for words in [["--stop", "vmcad"], ["--start", "vmcad"]] {
        let said = appliance.run_as_nobody("service-control", &words);
        assert_ne!(said.status, 0, "{said:?}");
    }
    // Whoever can lock a pid file can make a dead service look alive.
    for service in ["vmafdd", "vmdird", "vmcad", "gateway"] {
        use std::os::unix::fs::PermissionsExt;
        let file = appliance.root().join("run").join(format!("{service}.pid"));
        let mode = std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{service}");
    }
    appliance.stop();
    let status = appliance.run_as_nobody("service-control", &["--status", "--all"]);
    assert_eq!(status.stdout, "Stopped:\n gateway vmafdd vmcad vmdird\n", "{status:?}");
    appliance.start();
    verify(&appliance);
}
