#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::process::{Process, boot_id};
use super::systemd::Systemctl;
use super::{By, Error, Started, Status, Stopped, Supervisor};
use crate::base::{Layout, ProcessIdentity, Service};

/// A process that would be hit if a pid file were believed too easily.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn record(&self) -> ProcessIdentity {
        let pid = rustix::process::Pid::from_child(&self.0);
        let process = Process::open(pid).unwrap().unwrap();
        ProcessIdentity {
            pid: process.id(),
            start_ticks: process.start_ticks().unwrap().unwrap(),
            boot_id: boot_id().unwrap(),
        }
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// An appliance in a folder of its own, whose programs are what the test puts there.
struct Appliance {
    folder: tempfile::TempDir,
    supervisor: Supervisor,
}

impl Appliance {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::under(folder.path());
        std::fs::create_dir_all(layout.run()).unwrap();
        let by = By::Ourselves { programs: folder.path().join("bin") };
        Self { supervisor: Supervisor { layout, by }, folder }
    }

    fn layout(&self) -> &Layout {
        &self.supervisor.layout
    }

    fn write_pid_file(&self, service: Service, record: &ProcessIdentity) -> File {
        let file = File::create(self.layout().pid_file(service)).unwrap();
        serde_json::to_writer(&file, record).unwrap();
        file
    }

    fn program(&self, name: &str, text: &str) {
        let folder = self.folder.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        script(&folder.join(name), text);
    }

    fn configured(self) -> Self {
        let token = "module = \"/m.so\"\nuri = \"pkcs11:token=x\"\npin = \"file:/p\"\n";
        let text = format!("[node]\nname = \"n\"\n[ca.token]\n{token}[vecs.token]\n{token}");
        let file = self.layout().config_file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self
    }

    fn stop(&self, service: Service) -> Result<Stopped, Error> {
        self.supervisor.turn(|| {}).unwrap().stop(service)
    }

    fn start(&self, service: Service) -> Result<Started, Error> {
        self.supervisor.turn(|| {}).unwrap().start(service)
    }
}

/// Another process writes the file: a program that we have open for writing while another test starts
/// a process could not be started.
fn script(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    write!(input, "#!/bin/sh\n{text}").unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}

/// Answers every question of one service with this state.
fn answering(layout: &Layout, service: Service, state: &'static str) {
    let listener = UnixListener::bind(layout.socket(service)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _asked = stream.read(&mut [0; 4096]);
            let body =
                format!("{{\"service\":\"{service}\",\"state\":\"{state}\",\"version\":\"1\"}}");
            let _gone = write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
}

#[test]
fn only_the_process_that_locks_its_pid_file_is_stopped() {
    let appliance = Appliance::new();
    let mut victim = Victim::new();
    let file = appliance.write_pid_file(Service::Vmcad, &victim.record());

    // Everything fits, but nobody holds the lock: left behind.
    assert_eq!(appliance.stop(Service::Vmcad).unwrap(), Stopped::Already);
    assert!(victim.lives());

    file.lock().unwrap();
    assert_eq!(appliance.stop(Service::Vmcad).unwrap(), Stopped::Now);
    assert!(!victim.lives_after_reaping());
}

impl Victim {
    /// The supervisor has reaped it, as it does with children of its own.
    fn lives_after_reaping(&self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.0);
        Process::open(pid).unwrap().is_some()
    }
}

#[test]
fn a_process_that_only_has_the_number_is_never_signalled() {
    type Forge = fn(&mut ProcessIdentity);
    let forged: [(Forge, &str); 3] = [
        (|r| r.start_ticks -= 1, "not the one that wrote it"),
        (|r| r.start_ticks += 1, "not the one that wrote it"),
        (
            |r| r.boot_id = "0c5e8a3e-0000-0000-0000-000000000000".to_owned(),
            "before the machine was started",
        ),
    ];
    for (forge, why) in forged {
        let appliance = Appliance::new();
        let mut victim = Victim::new();
        let mut record = victim.record();
        forge(&mut record);
        let file = appliance.write_pid_file(Service::Vmcad, &record);
        file.lock().unwrap();

        let refused = appliance.stop(Service::Vmcad).unwrap_err();
        assert!(matches!(refused, Error::Untrusted { .. }), "{refused:?}");
        assert!(refused.to_string().contains(why), "{refused}");
        assert!(appliance.start(Service::Vmcad).is_err());
        assert!(victim.lives());
    }
}

#[test]
fn numbers_that_are_no_process_are_never_signalled() {
    // 0 and negative numbers mean groups of processes to kill(2); the last one is above every limit.
    for pid in [0, -1, 1 << 30] {
        let appliance = Appliance::new();
        let record = ProcessIdentity { pid, start_ticks: 0, boot_id: boot_id().unwrap() };
        let file = appliance.write_pid_file(Service::Vmcad, &record);
        file.lock().unwrap();
        assert!(matches!(appliance.stop(Service::Vmcad), Err(Error::Untrusted { .. })));
    }
}

#[test]
fn an_empty_locked_pid_file_is_a_service_on_its_way() {
    let appliance = Appliance::new();
    let file = File::create(appliance.layout().pid_file(Service::Vmcad)).unwrap();
    file.lock().unwrap();
    let status = |appliance: &Appliance| appliance.supervisor.status(Service::Vmcad).unwrap();
    assert_eq!(status(&appliance), Status::StartPending);
    file.unlock().unwrap();
    assert_eq!(status(&appliance), Status::Stopped);
}

#[test]
fn a_service_runs_when_it_lives_and_says_so() {
    for (state, expected) in
        [("ok", Status::Running), ("degraded", Status::Running), ("down", Status::StartPending)]
    {
        let appliance = Appliance::new();
        let status = || appliance.supervisor.status(Service::Vmdird).unwrap();
        assert_eq!(status(), Status::Stopped);
        let victim = Victim::new();
        let file = appliance.write_pid_file(Service::Vmdird, &victim.record());
        file.lock().unwrap();
        assert_eq!(status(), Status::StartPending);
        answering(appliance.layout(), Service::Vmdird, state);
        assert_eq!(status(), expected, "{state}");
    }
}

#[test]
fn a_service_that_runs_is_not_started_twice() {
    let appliance = Appliance::new().configured();
    appliance.program("vmdird", "touch \"$0.was-started\"\nexit 1\n");
    let victim = Victim::new();
    let file = appliance.write_pid_file(Service::Vmdird, &victim.record());
    file.lock().unwrap();
    answering(appliance.layout(), Service::Vmdird, "ok");
    let started = appliance.start(Service::Vmdird).unwrap();
    assert!(matches!(started, Started::Already(Some(_))), "{started:?}");
    assert!(!appliance.folder.path().join("bin/vmdird.was-started").exists());
}

#[test]
fn a_service_that_ends_at_once_is_reported_in_its_own_words() {
    let appliance = Appliance::new().configured();
    appliance.program("vmdird", "echo \"arguments: $*\"\necho 'the disk is full' >&2\nexit 3\n");
    std::fs::create_dir(appliance.folder.path().join("log")).unwrap();
    std::fs::write(appliance.layout().log_file(Service::Vmdird), "from before\n").unwrap();

    let failed = appliance.start(Service::Vmdird).unwrap_err();
    assert!(matches!(failed, Error::Ended { .. }), "{failed:?}");
    let text = failed.to_string();
    assert!(text.contains("exit status: 3"), "{text}");
    assert!(text.contains("the disk is full"), "{text}");
    let root = appliance.folder.path().display();
    assert!(text.contains(&format!("--root {root} --detach")), "{text}");
    assert!(!text.contains("from before"), "{text}");
}

#[test]
fn a_service_counts_as_started_when_it_answers_and_its_log_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let appliance = Appliance::new().configured();
    // It ends with the folder of the test.
    appliance.program("vmcad", "while [ -d \"$2\" ]; do sleep 0.1; done\n");
    answering(appliance.layout(), Service::Vmcad, "degraded");
    let started = appliance.start(Service::Vmcad).unwrap();
    assert!(started.health().is_some(), "{started:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let log = appliance.layout().log_file(Service::Vmcad);
    assert_eq!(mode(&log), 0o600);
    assert_eq!(mode(log.parent().unwrap()), 0o700);
}

#[test]
fn nothing_is_started_before_the_appliance_is_set_up() {
    let appliance = Appliance::new();
    let failed = appliance.start(Service::Vmafdd).unwrap_err();
    assert!(matches!(failed, Error::Configuration(_)), "{failed:?}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let appliance = Appliance::new().configured();
    let failed = appliance.start(Service::Vmafdd).unwrap_err().to_string();
    assert!(failed.contains("bin/vmafdd"), "{failed}");
}

#[test]
fn the_second_who_starts_or_stops_waits_for_the_first() {
    let appliance = Appliance::new();
    let first = appliance.supervisor.turn(|| panic!("nobody is before us")).unwrap();
    let (told, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let supervisor = &appliance.supervisor;
        let second = scope.spawn(move || supervisor.turn(|| told.send(()).unwrap()).is_ok());
        waits.recv().unwrap();
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap());
    });
}

#[test]
fn the_end_of_a_service_is_missed_unless_it_was_stopped_or_only_had_the_number() {
    let appliance = Appliance::new();
    let mut victim = Victim::new();
    let record = victim.record();
    let missed = || appliance.supervisor.missed();
    // Left behind by one that had the same number before.
    let before = ProcessIdentity { start_ticks: record.start_ticks - 1, ..record.clone() };
    appliance.write_pid_file(Service::Vmafdd, &before);
    assert_eq!(missed(), []);
    appliance.write_pid_file(Service::Vmcad, &record);
    assert_eq!(missed(), [(record.pid, Service::Vmcad)]);
    // It has ended, and nobody has collected it.
    let process = Process::open(rustix::process::Pid::from_child(&victim.0)).unwrap().unwrap();
    victim.0.kill().unwrap();
    assert!(process.ends_within(std::time::Duration::from_secs(60)).unwrap());
    assert_eq!(missed(), [(record.pid, Service::Vmcad)]);
    assert_eq!(appliance.stop(Service::Vmcad).unwrap(), Stopped::Already);
    assert_eq!(missed(), []);
    appliance.supervisor.turn(|| {}).unwrap().want_all().unwrap();
    assert_eq!(missed(), [(record.pid, Service::Vmcad)]);
    victim.0.wait().unwrap();
    assert_eq!(missed(), []);
}

/// A `systemctl` that writes down what it was asked and keeps its unit's state in a file.
const SYSTEMCTL: &str = r#"
state="$0.state"
echo "$1 $2" >> "$0.asked"
case $1 in
cat) [ "$2" = sealwright-vmcad.service ] ;;
is-active) cat "$state"; [ "$(cat "$state")" = active ] ;;
start) [ "$2" != sealwright-gateway.service ] || { echo 'Job failed.' >&2; exit 1; }; echo active > "$state" ;;
stop) echo inactive > "$state" ;;
esac
"#;

#[test]
fn units_are_driven_where_systemd_knows_them() {
    let mut appliance = Appliance::new();
    let program = appliance.folder.path().join("systemctl");
    script(&program, SYSTEMCTL);
    std::fs::write(appliance.folder.path().join("systemctl.state"), "inactive\n").unwrap();
    appliance.supervisor.by = By::Systemd(Systemctl::with_units(program.clone()).unwrap());

    let status = |appliance: &Appliance| appliance.supervisor.status(Service::Vmcad).unwrap();
    assert_eq!(status(&appliance), Status::Stopped);
    assert!(matches!(appliance.start(Service::Vmcad).unwrap(), Started::Now(None)));
    assert_eq!(status(&appliance), Status::Running);
    assert_eq!(appliance.stop(Service::Vmcad).unwrap(), Stopped::Now);
    assert_eq!(appliance.stop(Service::Vmcad).unwrap(), Stopped::Already);

    let failed = appliance.start(Service::Gateway).unwrap_err().to_string();
    assert!(failed.contains("Job failed."), "{failed}");
    assert!(failed.contains("journalctl -u sealwright-gateway.service"), "{failed}");

    let asked = std::fs::read_to_string(appliance.folder.path().join("systemctl.asked")).unwrap();
    assert!(asked.contains("start sealwright-vmcad.service\n"), "{asked}");
}

#[test]
fn a_systemd_without_our_units_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("systemctl");
    script(&program, "exit 1\n");
    assert!(Systemctl::with_units(program).is_none());
    assert!(Systemctl::with_units(folder.path().join("none")).is_none());
    assert!(Systemctl::detect(&Layout::under("/tmp/x")).is_none());
}

#[test]
fn a_child_that_was_stopped_ended_by_the_signal_that_asks() {
    let mut victim = Victim::new();
    let pid = rustix::process::Pid::from_child(&victim.0);
    let process = Process::open(pid).unwrap().unwrap();
    process.signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(victim.0.wait().unwrap().signal(), Some(15));
    assert!(process.ends_within(std::time::Duration::ZERO).unwrap());
}

#[test]
fn who_waits_for_a_turn_or_a_start_can_give_up() {
    let appliance = Appliance::new().configured();
    let first = appliance.supervisor.turn(|| {}).unwrap();
    let mut asked = 0;
    let mut at_the_third = || {
        asked += 1;
        asked == 3
    };
    let second = appliance.supervisor.turn_unless(|| {}, &mut at_the_third);
    assert!(matches!(second, Err(Error::GivenUp)), "{second:?}");
    assert_eq!(asked, 3);

    // It never answers.
    appliance.program("vmdird", "echo $$ >\"$2/number\"\nexec sleep 600\n");
    let number = || std::fs::read_to_string(appliance.folder.path().join("number"));
    let mut once_it_lives = || number().is_ok_and(|number| number.ends_with('\n'));
    let started = first.start_unless(Service::Vmdird, &mut once_it_lives);
    assert!(matches!(started, Err(Error::GivenUp)), "{started:?}");
    // It has ended, and was collected.
    assert!(!Path::new("/proc").join(number().unwrap().trim()).exists());
}

#[test]
fn a_service_on_its_way_keeps_the_turn_of_a_starter_that_is_gone() {
    let appliance = Appliance::new().configured();
    let on_its_way = appliance.folder.path().join("on-its-way");
    File::create(&on_its_way).unwrap();
    appliance.program(
        "vmdird",
        // A shell gives what it puts into the background another standard input.
        "exec 3<&0\n(while [ -e \"$2/on-its-way\" ]; do sleep 0.05; done) <&3 >&- 2>&- &\nexit 3\n",
    );
    appliance.start(Service::Vmdird).unwrap_err();
    let mut waited = false;
    let next = appliance.supervisor.turn(|| {
        waited = true;
        std::fs::remove_file(&on_its_way).unwrap();
    });
    next.unwrap();
    assert!(waited);
}
