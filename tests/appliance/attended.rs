//! `sealwright run`, as the first process of a container runs it, without a container.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Appliance, eventually, text};
use crate::verify::verify_with_failures;
use crate::workflow::{bodies, presented};

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Started, and ready; what it said until then.
fn attended(appliance: &Appliance) -> (Child, String) {
    let errors = std::fs::File::create(appliance.file("run.err")).unwrap();
    let mut child = appliance
        .command("sealwright")
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
    while !said.contains("ready: https://") {
        let read = lines.read_line(&mut said).unwrap();
        assert!(read > 0, "it ended: {said}{}", appliance.read("run.err"));
    }
    (child, said)
}

#[test]
fn it_keeps_services_running_and_stops_them_when_it_is_asked_to() {
    let appliance = Appliance::new();
    let (mut child, said) = attended(&appliance);
    let root = appliance.root().join("lib/vmca/root.cer");
    assert_eq!(bodies(&said), bodies(&std::fs::read_to_string(&root).unwrap()));
    let ready = format!("ready: https://{}:{}\n", crate::harness::HOST, appliance.port);
    assert!(said.ends_with(&ready), "{said}");
    assert_eq!(presented(&appliance, &root).len(), 1);

    for service in ["vmcad", "gateway"] {
        let before = appliance.pid(service);
        signal(before, Signal::KILL);
        eventually("it runs again", || {
            appliance.read("run.err").contains(&format!("{service} runs again"))
        });
        assert_ne!(appliance.pid(service), before);
    }
    appliance.certificate("one");
    // The logs of the services are passed on with their names.
    eventually("the log is passed on", || {
        appliance.read("run.err").contains("vmcad: ")
            && appliance.read("run.err").contains("vmdird: ")
    });

    // What somebody stops stays stopped: the others are looked after, and this one is not. It hangs, and is killed as
    // `service-control` would kill it in the end.
    let vmdird = appliance.pid("vmdird");
    signal(vmdird, Signal::STOP);
    let mut stopping = appliance.command("service-control");
    let stopping =
        stopping.args(["--stop", "vmdird"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let marker = appliance.root().join("run/vmdird.stopped");
    eventually("it is being stopped", || marker.exists());
    signal(vmdird, Signal::KILL);
    let said = stopping.unwrap().wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let gateway = appliance.pid("gateway");
    signal(gateway, Signal::KILL);
    eventually("the gateway runs again", || {
        appliance.read("run.err").matches("gateway runs again").count() == 2
    });
    let status = appliance.run("service-control", &["--status", "vmdird"]);
    assert!(status.stdout.contains("Stopped"), "{status:?}");
    let said = appliance.read("run.err");
    assert!(!said.contains("vmdird died"), "{said}");

    signal(child.id().cast_signed(), Signal::TERM);
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{}", appliance.read("run.err"));
    let status = appliance.ok("service-control", &["--status"]);
    assert_eq!(status, "Stopped:\n gateway vmafdd vmcad vmdird\n");
    appliance.start();
    verify_with_failures(&appliance);
}

#[test]
fn it_can_be_ended_while_it_waits_for_somebody_who_starts_and_stops() {
    let appliance = Appliance::new();
    let lock = std::fs::File::create(appliance.root().join("run/service-control.lock")).unwrap();
    lock.lock().unwrap();
    let errors = std::fs::File::create(appliance.file("run.err")).unwrap();
    let mut child = appliance
        .command("sealwright")
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    eventually("it waits", || appliance.read("run.err").contains("service-control is at work"));
    signal(child.id().cast_signed(), Signal::TERM);
    eventually("it hears", || appliance.read("run.err").contains("asked to end"));
    lock.unlock().unwrap();
    assert!(child.wait().unwrap().success(), "{}", appliance.read("run.err"));
    appliance.start();
    verify_with_failures(&appliance);
}

#[test]
fn it_ends_with_a_failure_where_a_service_cannot_live() {
    let appliance = Appliance::new();
    let (mut child, _) = attended(&appliance);
    // A folder in the place of a database: whoever opens it dies.
    let database = appliance.database("vmdird");
    let kept = appliance.file("kept.db");
    std::fs::rename(&database, &kept).unwrap();
    std::fs::create_dir(&database).unwrap();
    signal(appliance.pid("vmdird"), Signal::KILL);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = appliance.read("run.err");
    assert!(said.contains("vmdird keeps dying and is not started again"), "{said}");
    assert!(said.contains(text(&database)), "it does not say why: {said}");
    let status = appliance.ok("service-control", &["--status"]);
    assert_eq!(status, "Stopped:\n gateway vmafdd vmcad vmdird\n");

    std::fs::remove_dir(&database).unwrap();
    std::fs::rename(&kept, &database).unwrap();
    appliance.start();
    verify_with_failures(&appliance);
}
