//! Where secrets are and where they are not: the memory of the running services and tools, read from outside, and
//! everything that they leave behind.

mod canary;
mod during;
mod leak;
mod operations;
mod processes;
mod traces;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::harness::{Appliance, eventually};
use crate::verify::verify;
use canary::{Canary, Search};
use operations::{OPERATIONS, Operation, Stage};
use processes::{Hit, Sight};

const SERVICES: [&str; 4] = ["vmcad", "vmafdd", "vmdird", "gateway"];

/// How often all processes are looked at while an operation is done again and again.
const LOOKS: usize = 3;

fn may_look() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("LOUD: not root, so the memory of the services is NOT searched");
    }
    root
}

/// The files with the PINs of an appliance's tokens.
const PINS: [&str; 4] = ["ca.pin", "ca-so.pin", "sealing.pin", "sealing-so.pin"];

fn canaries(stage: &Stage) -> Search {
    let keys = ["ec.priv", "rsa.priv"].map(|key| Canary::key(&stage.appliance.file(key)));
    let pins = PINS.map(|pin| Canary::pin(&stage.appliance.root().join("etc/pins").join(pin)));
    Search::of(keys.into_iter().chain(pins).collect())
}

/// What was seen while the operation was done, at least once and until the processes were looked at often enough.
fn while_doing(operation: &Operation, stage: &Stage, search: &Search) -> Sight {
    let (looks, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut sight = Sight::default();
            while !done.load(Ordering::Relaxed) {
                sight.look(&stage.appliance, search);
                looks.fetch_add(1, Ordering::Relaxed);
            }
            sight
        });
        // Ends the watch also if the operation fails.
        let doing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0.. {
                (operation.run)(stage, round);
                if looks.load(Ordering::Relaxed) > LOOKS || watch.is_finished() {
                    break;
                }
            }
        }));
        done.store(true, Ordering::Relaxed);
        let sight = watch.join().unwrap();
        doing.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        sight
    })
}

/// What stays. A service may be about to close a connection, so it is given some looks; what it keeps, it keeps.
fn settled(appliance: &Appliance, search: &Search) -> Sight {
    let mut sight = Sight::of(appliance, search);
    for _ in 0..5 {
        if sight.hits.is_empty() {
            break;
        }
        sight = Sight::of(appliance, search);
    }
    sight
}

#[test]
fn no_secret_stays_after_any_operation() {
    if !may_look() {
        return;
    }
    let stage = Stage::set(Appliance::running());
    let search = canaries(&stage);
    let nothing: BTreeMap<Hit, usize> = BTreeMap::new();
    assert_eq!(settled(&stage.appliance, &search).hits, nothing, "before");
    for operation in OPERATIONS {
        let during = while_doing(operation, &stage, &search);
        let after = settled(&stage.appliance, &search);
        report(operation, &during, &after);
        for hit in during.hits.keys() {
            let holders = if hit.secret.ends_with(".pin") {
                operation.pin_holders
            } else {
                operation.key_holders
            };
            assert!(holders.contains(&&hit.process[..]), "during {}: {hit:?}", operation.name);
        }
        assert_eq!(after.hits, nothing, "after {}", operation.name);
        assert!(
            during.unread.is_empty() && after.unread.is_empty(),
            "{:?} {:?}",
            during.unread,
            after.unread
        );
        for service in SERVICES {
            assert!(after.searched[service] > 256 * 1024, "{service} was not searched: {after:?}");
        }
        // The token agents, which open and seal.
        for child in ["sealwright of vmcad", "sealwright of vmafdd"] {
            assert!(after.searched.contains_key(child), "{child} was not searched: {after:?}");
        }
        let traces = traces::in_command_lines(&stage.appliance, &search);
        assert!(traces.is_empty(), "after {}: {traces:?}", operation.name);
    }
    let secrets_have_a_place = secret_memory::protection() != secret_memory::Protection::Hidden
        || settled(&stage.appliance, &search).hidden.contains_key("vmafdd");
    assert!(secrets_have_a_place, "vmafdd has no hidden pages, although this kernel gives them");
    verify(&stage.appliance);
}

/// Where and how often secrets were seen in plain memory while they were in use.
fn report(operation: &Operation, during: &Sight, after: &Sight) {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (hit, looks) in &during.hits {
        let most = places.entry((&hit.secret, &hit.process, &hit.mapping)).or_default();
        *most = (*most).max(*looks);
    }
    let total = |octets: &BTreeMap<String, usize>| octets.values().sum::<usize>() / 1024;
    eprintln!(
        "{}: {} looks at services, {} at tools; after it {} KiB searched, {} KiB of hidden pages skipped (unreadable)",
        operation.name,
        SERVICES.iter().filter_map(|name| during.looks.get(*name)).sum::<usize>(),
        during
            .looks
            .iter()
            .filter(|(name, _)| !SERVICES.contains(&&name[..]))
            .map(|(_, looks)| looks)
            .sum::<usize>(),
        total(&after.searched),
        total(&after.hidden),
    );
    for ((secret, process, mapping), looks) in places {
        eprintln!("    during it, in {looks} looks: {secret} in {process}, {mapping}");
    }
}

#[test]
fn the_search_finds_a_key_that_is_in_use() {
    if !may_look() {
        return;
    }
    let appliance = Appliance::new();
    appliance.configure("key = \"token\"", "key = \"memory\"");
    appliance.start();
    let sight = settled(&appliance, &Search::of(vec![machine_key(&appliance)]));
    // The gateway holds the key with which it does its handshakes, and nobody else does.
    assert_eq!(sight.holders().into_iter().collect::<Vec<_>>(), ["gateway"], "{sight:?}");
    verify(&appliance);
}

#[test]
fn a_key_that_shakes_hands_in_the_token_is_in_nobodys_memory() {
    if !may_look() {
        return;
    }
    let appliance = Appliance::running();
    let entry = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let config = appliance.machine_config("m.cfg", crate::harness::HOST);
    let generate = ["--config", &config, "--key-algorithm", "p-256"];
    // First the key that init brought, then one that was born in the token.
    for born in [false, true] {
        if born {
            appliance.ok("vecs-cli", &[&["entry", "delete"][..], &entry, &["-y"]].concat());
            appliance.ok("vecs-cli", &[&["entry", "generate"][..], &entry, &generate].concat());
            appliance.ok("service-control", &["--restart", "gateway"]);
        }
        let search = Search::of(vec![machine_key(&appliance)]);
        for _ in 0..5 {
            assert_eq!(crate::gateway::health(&appliance).0, 200);
        }
        let sight = settled(&appliance, &search);
        assert!(sight.hits.is_empty(), "born: {born}: {sight:?}");
    }
    verify(&appliance);
}

fn machine_key(appliance: &Appliance) -> Canary {
    let words = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &words].concat());
    Canary::key(&appliance.write("machine.priv", key))
}

#[test]
fn nothing_that_stays_on_disk_holds_a_secret() {
    let stage = Stage::set(Appliance::running());
    let search = canaries(&stage);
    let appliance = &stage.appliance;
    for operation in OPERATIONS {
        (operation.run)(&stage, 0);
    }
    // The files in which secrets belong prove that the search finds them.
    let mut expected: BTreeMap<String, Vec<String>> =
        ["ec.priv", "rsa.priv"].map(|key| (format!("work/{key}"), vec![key.to_owned()])).into();
    expected.extend(PINS.map(|pin| (format!("r/etc/pins/{pin}"), vec![pin.to_owned()])));
    let searched = |name: &str| appliance.root().join("lib").join(name).exists();
    assert!(searched("vmafdd/vmafdd.db") && searched("vmafdd/vmafdd.db-wal"));
    assert_eq!(traces::in_files(appliance, &search), expected);

    // Services that end by a signal that asks for a core.
    let control = tempfile::tempdir().unwrap();
    if !traces::cores_are_left(control.path()) {
        eprintln!(
            "LOUD: this machine leaves no cores in the folder of a program; only the folders are searched"
        );
    }
    // Not SIGQUIT: a shell that starts the tests in the background has all of them ignore it.
    for (service, signal) in
        [("vmafdd", Signal::ABORT), ("vmcad", Signal::ILL), ("gateway", Signal::TRAP)]
    {
        let pid = appliance.pid(service);
        let places = traces::core_places(pid);
        let before = traces::cores(&places);
        traces::kill_for_a_core(pid, signal);
        assert_eq!(traces::cores(&places), before, "{service} left a core");
    }
    assert_eq!(traces::in_files(appliance, &search), expected);
    appliance.start();
    eventually("all is well again", || appliance.run("service-control", &["--status"]).status == 0);
    verify(appliance);
}

#[test]
fn services_leave_no_core_and_cannot_be_read_by_their_own_user() {
    use std::os::unix::fs::MetadataExt;
    let appliance = Appliance::running();
    for service in SERVICES {
        let pid = appliance.pid(service);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let limit = |name: &str| -> Vec<String> {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).map(str::to_owned).collect()
        };
        assert_eq!(limit("Max core file size"), ["0", "0"]);
        let [soft, hard] = limit("Max locked memory").try_into().unwrap();
        assert_eq!(soft, hard, "{service} may not lock what it could");
        // PR_SET_DUMPABLE 0 gives the files of the process to root, whoever it runs as.
        assert_eq!(std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
        assert_eq!(std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
    }
    verify(&appliance);
}
