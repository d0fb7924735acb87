//! One restriction each. A case prepares what it needs outside, enters, and tries.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::CapabilitySet;
use sealwright::hardening::{Measure, Outcome, Report, SandboxError, SystemCalls};

use crate::world::{World, log, say, softhsm, vendor};

/// How a case must end.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// By itself.
    Well,
    /// By SIGSYS, after it entered.
    Killed,
}

pub struct Case {
    pub name: &'static str,
    pub ends: Ends,
    pub body: fn(&World),
}

/// Enters and waits for a line; not judged by its name alone.
pub const WAITING: &str = "waits_inside";

macro_rules! cases {
    ($($name:ident: $ends:ident,)*) => {
        pub const ALL: &[Case] =
            &[$(Case { name: stringify!($name), ends: Ends::$ends, body: $name },)*];
    };
}

cases! {
    files_are_read_where_listed_and_nowhere_else: Well,
    the_filter_alone_keeps_files_from_being_written: Well,
    landlock_alone_keeps_files_from_being_written: Well,
    landlock_alone_keeps_programs_from_being_executed: Well,
    a_listed_path_is_written_and_no_other: Well,
    a_path_that_is_missing_is_told: Well,
    a_program_cannot_be_executed: Killed,
    a_process_cannot_be_started: Killed,
    threads_start_and_end: Well,
    a_socket_is_refused_and_the_process_lives: Well,
    a_socket_from_before_cannot_be_connected: Killed,
    landlock_alone_keeps_tcp_away: Well,
    a_signal_to_another_process_kills_the_sender: Killed,
    landlock_alone_keeps_signals_inside: Well,
    inspection_cannot_be_switched_on_again: Killed,
    limits_cannot_be_changed: Killed,
    memory_cannot_be_unlocked: Killed,
    a_second_filter_cannot_be_installed: Killed,
    a_low_limit_on_locked_memory_is_told_and_harms_nothing: Well,
    a_second_thread_is_too_many: Well,
    a_vendors_client_connects: Well,
    a_vendors_module_starts_no_program: Killed,
    logging_refuses_nothing: Well,
    what_is_allowed_besides_is_allowed: Well,
    waits_inside: Well,
}

/// Whether a measure is in force here; where the kernel does not have it there is nothing to try.
fn has(report: &Report, measure: Measure) -> bool {
    match report.outcome(measure) {
        Some(Outcome::Enforced | Outcome::Partly(_)) => true,
        other => {
            eprintln!("LOUD: {measure:?} is not in force here ({other:?}); NOT tested");
            false
        }
    }
}

fn denied<T: std::fmt::Debug>(result: std::io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

fn files_are_read_where_listed_and_nowhere_else(world: &World) {
    // It is there, and this process may read it.
    assert_eq!(fs::read_to_string(world.path("outside/secret")).unwrap(), "secret");
    let before = File::open("/etc/shadow");
    let report = world.enter(softhsm(&[]));
    if !has(&report, Measure::Files) {
        return;
    }
    assert_eq!(fs::read_to_string(world.path("token/key")).unwrap(), "key");
    assert_eq!(fs::read_dir(world.path("token")).unwrap().count(), 1);
    assert!(fs::metadata("/usr/lib").unwrap().is_dir() && fs::read_dir("/usr/lib").is_ok());
    denied(fs::read_to_string(world.path("outside/secret")));
    denied(fs::read_to_string(world.path("token/../outside/secret")));
    denied(fs::read_dir(world.path("outside")));
    denied(fs::read_dir("/"));
    denied(fs::read_to_string("/etc/passwd"));
    if before.is_ok() {
        denied(File::open("/etc/shadow"));
    } else {
        eprintln!("LOUD: not run as root; that root cannot read /etc/shadow is NOT tested");
    }
}

fn nothing_is_written(world: &World) {
    let (key, new) = (world.path("token/key"), world.path("token/new"));
    denied(fs::write(&key, "x"));
    denied(fs::write(&new, "x"));
    denied(OpenOptions::new().read(true).write(true).open(&key));
    denied(OpenOptions::new().append(true).open(&key));
    denied(OpenOptions::new().write(true).truncate(true).open(&key));
    denied(fs::create_dir(&new));
    denied(fs::remove_file(&key));
    denied(fs::rename(&key, &new));
    denied(fs::write(world.path("writable/new"), "x"));
    denied(fs::write("/tmp/sealwright-sandbox-test", "x"));
}

fn the_filter_alone_keeps_files_from_being_written(world: &World) {
    let mut sandbox = world.sandbox(softhsm(&[]));
    sandbox.readable = vec!["/".into()];
    world.enter_as(&sandbox);
    nothing_is_written(world);
}

fn landlock_alone_keeps_files_from_being_written(world: &World) {
    let report = world.enter(SystemCalls::Off);
    assert_eq!(report.outcome(Measure::SystemCalls), Some(&Outcome::SwitchedOff));
    if has(&report, Measure::Files) {
        nothing_is_written(world);
    }
}

fn landlock_alone_keeps_programs_from_being_executed(world: &World) {
    let report = world.enter(SystemCalls::Off);
    if has(&report, Measure::Files) {
        denied(Command::new("/bin/true").status());
        denied::<()>(Err(Command::new("/bin/true").exec()));
    }
}

fn a_listed_path_is_written_and_no_other(world: &World) {
    let mut sandbox = world.sandbox(softhsm(&[]));
    sandbox.writable = vec![world.path("writable")];
    let report = world.enter_as(&sandbox);
    let (one, two) = (world.path("writable/one"), world.path("writable/two"));
    fs::write(&one, "x").unwrap();
    File::open(&one).unwrap().sync_all().unwrap();
    fs::rename(&one, &two).unwrap();
    assert_eq!(fs::read_to_string(&two).unwrap(), "x");
    fs::create_dir(&one).unwrap();
    fs::remove_dir(&one).unwrap();
    fs::remove_file(&two).unwrap();
    if has(&report, Measure::Files) {
        denied(fs::write(world.path("token/key"), "x"));
        denied(fs::write(world.path("token/new"), "x"));
        denied(fs::write(world.path("outside/new"), "x"));
    }
}

fn a_path_that_is_missing_is_told(world: &World) {
    let mut sandbox = world.sandbox(softhsm(&[]));
    sandbox.readable.push(world.path("nothing"));
    let report = world.enter_as(&sandbox);
    assert_eq!(report.absent.len(), 1, "{report:?}");
    assert_eq!(report.absent[0].path, world.path("nothing"));
    assert!(report.gaps().iter().any(|gap| gap.contains("nothing")), "{report:?}");
}

fn a_program_cannot_be_executed(world: &World) {
    world.enter(softhsm(&[]));
    eprintln!("{}", Command::new("/bin/true").exec());
}

fn a_process_cannot_be_started(world: &World) {
    world.enter(softhsm(&[]));
    eprintln!("{:?}", Command::new("/bin/true").status());
}

fn threads_start_and_end(world: &World) {
    let report = world.enter(softhsm(&[]));
    assert_eq!(report.outcome(Measure::SystemCalls), Some(&Outcome::Enforced));
    for _ in 0..3 {
        let threads: Vec<_> = (0_u8..16)
            .map(|number| {
                let thread = std::thread::Builder::new().name(format!("token-{number}"));
                thread
                    .spawn(move || vec![number; 1 << 20].iter().map(|n| u64::from(*n)).sum::<u64>())
                    .unwrap()
            })
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), (number << 20) as u64);
        }
    }
    // Threads are restricted as the one that started them.
    let path = world.path("token/new");
    std::thread::spawn(move || denied(fs::write(path, "x"))).join().unwrap();
}

fn a_socket_is_refused_and_the_process_lives(world: &World) {
    world.enter(softhsm(&[]));
    denied(UnixStream::connect("/dev/log"));
    denied(UnixDatagram::unbound());
    denied(TcpStream::connect(("127.0.0.1", world.port())));
    denied(std::net::UdpSocket::bind("127.0.0.1:0"));
}

fn a_socket_from_before_cannot_be_connected(world: &World) {
    let socket = UnixDatagram::unbound().unwrap();
    world.enter(softhsm(&[]));
    eprintln!("{:?}", socket.connect("/dev/log"));
}

fn tcp_from_before(world: &World) -> impl FnOnce() -> Result<(), Errno> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, world.port());
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    move || rustix::net::connect(&socket, &address)
}

fn landlock_alone_keeps_tcp_away(world: &World) {
    let (one, two) = (tcp_from_before(world), tcp_from_before(world));
    one().expect("somebody listens");
    let report = world.enter(softhsm(&["connect"]));
    if has(&report, Measure::Network) {
        assert_eq!(two(), Err(Errno::ACCESS));
    }
}

fn a_signal_to_another_process_kills_the_sender(world: &World) {
    let parent = rustix::process::getppid().unwrap();
    world.enter(softhsm(&[]));
    eprintln!("{:?}", rustix::process::test_kill_process(parent));
}

fn landlock_alone_keeps_signals_inside(world: &World) {
    let parent = rustix::process::getppid().unwrap();
    rustix::process::test_kill_process(parent).expect("it may be signalled from outside");
    let report = world.enter(softhsm(&["kill"]));
    if has(&report, Measure::Scope) {
        assert_eq!(rustix::process::test_kill_process(parent), Err(Errno::PERM));
        assert_eq!(rustix::process::kill_process(parent, Signal::URG), Err(Errno::PERM));
    }
    rustix::process::test_kill_process(rustix::process::getpid()).unwrap();
}

fn inspection_cannot_be_switched_on_again(world: &World) {
    world.enter(softhsm(&[]));
    assert_eq!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    eprintln!("{:?}", rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable));
}

fn limits_cannot_be_changed(world: &World) {
    world.enter(softhsm(&[]));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    assert_eq!(rustix::process::getrlimit(Resource::Core), none);
    eprintln!("{:?}", rustix::process::setrlimit(Resource::Core, none));
}

fn memory_cannot_be_unlocked(world: &World) {
    world.enter(softhsm(&[]));
    eprintln!("{:?}", rustix::mm::munlockall());
}

fn a_second_filter_cannot_be_installed(world: &World) {
    world.enter(softhsm(&[]));
    eprintln!("{:?}", world.sandbox(SystemCalls::Off).enter());
}

fn a_low_limit_on_locked_memory_is_told_and_harms_nothing(world: &World) {
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::IPC_LOCK);
    sets.permitted.remove(CapabilitySet::IPC_LOCK);
    rustix::thread::set_capabilities(None, sets).unwrap();
    let limit = 1 << 20;
    let low = Rlimit { current: Some(limit / 2), maximum: Some(limit) };
    rustix::process::setrlimit(Resource::Memlock, low).unwrap();
    let report = world.enter(softhsm(&[]));
    let outcome = report.outcome(Measure::MemoryLock);
    assert!(
        matches!(outcome, Some(Outcome::Missing(why)) if why.contains("1024 KiB") && why.contains("LimitMEMLOCK")),
        "{outcome:?}"
    );
    assert_eq!(rustix::process::getrlimit(Resource::Memlock).current, Some(limit));
    assert_eq!(vec![1_u8; 64 << 20].iter().map(|n| u64::from(*n)).sum::<u64>(), 64 << 20);
}

fn a_second_thread_is_too_many(world: &World) {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || held.recv());
    let refusal = world.sandbox(softhsm(&[])).enter().unwrap_err();
    assert!(matches!(refusal, SandboxError::Threads(2)), "{refusal:?}");
    drop(hold);
    let _ = thread.join().unwrap();
    // Nothing is in force.
    Command::new("/bin/true").status().unwrap();
}

fn a_vendors_client_connects(world: &World) {
    let report = world.enter(vendor());
    assert_eq!(report.outcome(Measure::Network), Some(&Outcome::SwitchedOff));
    TcpStream::connect(("127.0.0.1", world.port())).unwrap();
    nothing_is_written(world);
}

fn a_vendors_module_starts_no_program(world: &World) {
    world.enter(vendor());
    eprintln!("{:?}", Command::new("/bin/true").status());
}

fn logging_refuses_nothing(world: &World) {
    let report = world.enter(log());
    assert_eq!(report.outcome(Measure::SystemCalls), Some(&Outcome::SwitchedOff));
    TcpStream::connect(("127.0.0.1", world.port())).unwrap();
    rustix::process::setrlimit(Resource::Nproc, rustix::process::getrlimit(Resource::Nproc))
        .unwrap();
    if has(&report, Measure::Files) {
        // Files stay restricted: a new process can start, and finds no program.
        denied(Command::new("/bin/true").status());
        nothing_is_written(world);
    }
}

fn what_is_allowed_besides_is_allowed(world: &World) {
    world.enter(softhsm(&["socket", "munlockall"]));
    UnixDatagram::unbound().unwrap();
    rustix::mm::munlockall().unwrap();
    denied(fs::create_dir(world.path("token/new")));
}

fn waits_inside(world: &World) {
    let report = world.enter(softhsm(&[]));
    let mut line = [0; 16];
    let _ = std::io::stdin().read(&mut line).unwrap();
    match report.outcome(Measure::MemoryLock) {
        Some(Outcome::Enforced) => say("locked"),
        _ => say("not locked"),
    }
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}
