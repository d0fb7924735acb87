//! The memory of the running services, read from outside, searched for secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::harness::{Appliance, private_scalar};
use crate::verify::verify;

const SERVICES: [&str; 4] = ["vmcad", "vmafdd", "vmdird", "gateway"];

/// A secret in the forms in which it could lie around, by name.
type Forms = Vec<(&'static str, Vec<u8>)>;

/// The private scalar of an EC key file, and its text, in every form.
fn forms_of_key(path: &Path) -> Forms {
    let scalar = private_scalar(path);
    let pem = std::fs::read_to_string(path).unwrap();
    // The first line of the base64 text holds nothing but the fixed header and the scalar.
    let line = pem.lines().nth(1).unwrap().as_bytes().to_vec();
    let mut forms = forms_of(&scalar);
    forms.push(("PEM", line));
    forms
}

fn forms_of(secret: &[u8]) -> Forms {
    let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
    vec![
        ("raw", secret.to_vec()),
        ("reversed", secret.iter().rev().copied().collect()),
        ("hex", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
    ]
}

/// Where in a process each form was found: form and name of the mapping.
fn hits(pid: i32, forms: &Forms) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    let mut seen = 0_u64;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let name = words.nth(3).unwrap_or("anonymous");
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let start = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        let mut content = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut content, start).is_err() {
            continue;
        }
        seen += end - start;
        for (form, needle) in forms {
            if memchr::memmem::find(&content, needle).is_some() {
                found.push(format!("{form} in {name}"));
            }
        }
    }
    assert!(seen > 256 * 1024, "only {seen} octets of process {pid} could be read");
    found
}

/// What every service, with its child processes, still holds of a secret.
fn scan(appliance: &Appliance, forms: &Forms) -> BTreeMap<&'static str, Vec<String>> {
    SERVICES
        .iter()
        .map(|service| {
            let pid = appliance.pid(service);
            let found = std::iter::once(pid).chain(children(pid)).flat_map(|pid| hits(pid, forms));
            (*service, found.collect::<Vec<_>>())
        })
        .filter(|(_, found)| !found.is_empty())
        .collect()
}

/// The key workshop of a service is a child of its first thread.
fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    text.unwrap_or_default().split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn may_look() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("LOUD: not root, so the memory of the services is NOT searched");
    }
    root
}

#[test]
fn no_service_keeps_a_key_that_passed_through_vecs() {
    if !may_look() {
        return;
    }
    let appliance = Appliance::running();
    appliance.certificate("canary");
    let forms = forms_of_key(&appliance.file("canary.priv"));
    assert_eq!(scan(&appliance, &forms), BTreeMap::new(), "before");

    let words = ["--store", "machine", "--alias", "canary"];
    let files = ["--cert", "canary.crt", "--key", "canary.priv"];
    appliance.ok("vecs-cli", &[&["entry", "create"][..], &words, &files].concat());
    assert_eq!(scan(&appliance, &forms), BTreeMap::new(), "after entry create");

    let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &words].concat());
    assert!(key.contains("BEGIN PRIVATE KEY"));
    assert_eq!(scan(&appliance, &forms), BTreeMap::new(), "after entry getkey");

    let mismatch = ["--cert", "verify.crt", "--key", "canary.priv"];
    appliance.certificate("verify");
    let other = ["--store", "machine", "--alias", "other"];
    appliance.vecs_fails(&[&["entry", "create"][..], &other, &mismatch].concat(), 90018);
    assert_eq!(scan(&appliance, &forms), BTreeMap::new(), "after a refused entry");
    verify(&appliance);
}

#[test]
fn the_search_finds_a_key_that_is_in_use() {
    if !may_look() {
        return;
    }
    let appliance = Appliance::running();
    let words = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &words].concat());
    let path = appliance.write("machine.priv", key);
    let found = scan(&appliance, &forms_of_key(&path));
    // The gateway holds the key with which it does its handshakes, and nobody else does.
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["gateway"], "{found:?}");
    verify(&appliance);
}

#[test]
fn no_pin_stays_where_it_is_not_needed() {
    if !may_look() {
        return;
    }
    let appliance = Appliance::running();
    appliance.certificate("one");
    for role in ["ca", "sealing"] {
        for kind in ["", "-so"] {
            let path = appliance.root().join(format!("etc/pins/{role}{kind}.pin"));
            let pin = std::fs::read_to_string(path).unwrap();
            let forms = forms_of(pin.trim().as_bytes());
            assert_eq!(scan(&appliance, &forms), BTreeMap::new(), "{role}{kind}.pin");
            for service in SERVICES {
                let pid = appliance.pid(service);
                for file in ["cmdline", "environ"] {
                    let content = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
                    let needle = pin.trim().as_bytes();
                    assert!(!content.windows(needle.len()).any(|window| window == needle));
                }
            }
        }
    }
    verify(&appliance);
}

#[test]
fn services_leave_no_core_and_cannot_be_read_by_their_own_user() {
    let appliance = Appliance::running();
    for service in SERVICES {
        let pid = appliance.pid(service);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(
            core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
            ["0", "0"],
            "{core}"
        );
        // PR_SET_DUMPABLE 0 gives the files of the process to root, whoever it runs as.
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
        assert_eq!(std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
    }
    verify(&appliance);
}
