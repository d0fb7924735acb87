//! Backup and restore: everything comes back, nothing secret is in the archive, and what cannot be
//! restored changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Appliance, Said, eventually, judge, text};
use crate::verify::verify;

fn backup(appliance: &Appliance, name: &str) -> PathBuf {
    appliance.ok("sealwright", &["backup", "--out", name]);
    let archive = appliance.file(name);
    let mode = archive.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    archive
}

fn restore(appliance: &Appliance, archive: &Path, options: &[&str]) -> Said {
    appliance.run("sealwright", &[&["restore", "--from", text(archive)][..], options].concat())
}

fn copy_folder(from: &Path, to: &Path) {
    let from = format!("{}/.", text(from));
    judge("mkdir", &["-p", text(to)]);
    judge("cp", &["-a", &from, text(to)]);
}

/// What the message of `restore` asks for.
fn bring_tokens_and_pins(from: &Appliance, to: &Appliance) {
    for role in ["ca", "sealing"] {
        copy_folder(&from.tokens(role), &to.tokens(role));
        let pin = format!("etc/pins/{role}.pin");
        std::fs::copy(from.root().join(&pin), to.root().join(&pin)).unwrap();
    }
}

/// Every file below the configuration and the state, with its content.
fn tree(appliance: &Appliance) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&appliance.root().join("etc"), &mut found);
    walk(&appliance.root().join("lib"), &mut found);
    found
}

/// DER of every certificate in a database of `vmcad`.
fn certificates(database: &Path) -> BTreeSet<Vec<u8>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(database, flags).unwrap();
    let mut statement = database.prepare("SELECT certificate FROM certificates").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn der(appliance: &Appliance, name: &str) -> Vec<u8> {
    let (pem, der) = (format!("{name}.crt"), format!("{name}.der"));
    let (pem, der) = (appliance.file(&pem), appliance.file(&der));
    judge("openssl", &["x509", "-in", text(&pem), "-outform", "DER", "-out", text(&der)]);
    std::fs::read(der).unwrap()
}

fn store_entry(appliance: &Appliance, name: &str) {
    appliance.certificate(name);
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.priv"));
    let place = ["entry", "create", "--store", "machine", "--alias", name];
    let content = ["--cert", &certificate[..], "--key", &key[..]];
    appliance.ok("vecs-cli", &[&place[..], &content[..]].concat());
}

fn assert_holds_no_secret(archive: &Path, appliance: &Appliance) {
    let octets = std::fs::read(archive).unwrap();
    let holds = |needle: &[u8]| memchr::memmem::find(&octets, needle).is_some();
    // The search finds what is there.
    assert!(holds(b"manifest.json") && holds(b"BEGIN CERTIFICATE"));
    for word in [&b"PRIVATE KEY"[..], b"token.object", b"softhsm2.conf\0", b"workshop.lock"] {
        assert!(!holds(word), "{}", String::from_utf8_lossy(word));
    }
    let mut pins = 0;
    for file in std::fs::read_dir(appliance.root().join("etc/pins")).unwrap() {
        let pin = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!holds(pin.trim().as_bytes()));
        pins += 1;
    }
    assert_eq!(pins, 4);
    for (path, content) in tree(appliance) {
        if path.extension().is_some_and(|end| end == "object") && content.len() >= 64 {
            assert!(!holds(&content[content.len() - 64..]), "{}", path.display());
        }
    }
    let key = appliance.read("stored.priv");
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        assert!(!holds(line.as_bytes()));
    }
}

#[test]
fn a_backup_made_while_certificates_are_issued_brings_everything_back_in_another_place() {
    let first = Appliance::running();
    store_entry(&first, "stored");
    let (acknowledged, enough) = (Mutex::new(vec!["stored".to_owned()]), AtomicBool::new(false));
    let issued = || acknowledged.lock().unwrap().len();
    let (before, archive) = std::thread::scope(|scope| {
        for thread in 0..2 {
            let (first, acknowledged, enough) = (&first, &acknowledged, &enough);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("t{thread}-{number}");
                    first.certificate(&name);
                    acknowledged.lock().unwrap().push(name);
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        eventually("issuing has begun", || issued() > 4);
        let before = acknowledged.lock().unwrap().clone();
        let archive = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            backup(&first, "appliance.swbackup")
        }));
        let during = issued();
        eventually("issuing goes on", || issued() > during);
        enough.store(true, Ordering::Relaxed);
        (before, archive.unwrap())
    });
    verify(&first);
    assert_holds_no_secret(&archive, &first);
    assert!(
        !first
            .file(".")
            .read_dir()
            .unwrap()
            .any(|file| { file.unwrap().file_name().to_string_lossy().contains("partial") })
    );
    let evidence = judge("sha256sum", &[text(&archive)]);
    let issued: BTreeMap<String, Vec<u8>> =
        before.iter().map(|name| (name.clone(), der(&first, name))).collect();
    let key = first.ok("vecs-cli", &["entry", "getkey", "--store", "machine", "--alias", "stored"]);
    first.stop();

    let second = Appliance::bare();
    let said = restore(&second, &archive, &[]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains(evidence.split_once(' ').unwrap().0), "{said:?}");
    assert!(
        said.stderr
            .contains("restored; but the token that holds the sealing keys of generation 1 "),
        "{said:?}"
    );
    for role in ["ca", "sealing"] {
        let pin = second.root().join(format!("etc/pins/{role}.pin"));
        for place in [&second.tokens(role), &pin] {
            assert!(said.stdout.contains(text(place)), "{} {said:?}", place.display());
        }
    }
    bring_tokens_and_pins(&first, &second);
    second.start();
    let found = certificates(&second.database("vmcad"));
    for (name, certificate) in issued {
        assert!(found.contains(&certificate), "{name} was acknowledged before the backup began");
    }
    let again = ["entry", "getkey", "--store", "machine", "--alias", "stored"];
    assert_eq!(second.ok("vecs-cli", &again), key);
    store_entry(&second, "afterwards");
    second.ok("sealwright", &["init"]);
    crate::verify::verify_with_failures(&second);
    // The moved appliance does not reach back into the place that it comes from.
    let config = std::fs::read_to_string(second.config()).unwrap();
    assert!(!config.contains(text(&first.root())), "{config}");
}

#[test]
fn a_backup_of_a_stopped_appliance_is_restored_over_it_and_what_was_there_is_kept() {
    let appliance = Appliance::running();
    store_entry(&appliance, "early");
    appliance.stop();
    let comment = "# A comment of the operator.\n";
    let config = std::fs::read_to_string(appliance.config()).unwrap();
    std::fs::write(appliance.config(), format!("{comment}{config}")).unwrap();
    let archive = backup(&appliance, "a.swbackup");

    let said = appliance.run("sealwright", &["backup", "--out", "a.swbackup"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("exists already"), "{said:?}");

    appliance.start();
    store_entry(&appliance, "late");
    let late = der(&appliance, "late");
    let before = restore(&appliance, &archive, &["--replace"]);
    assert_eq!(before.status, 1);
    assert!(before.stderr.contains("service-control --stop --all"), "{before:?}");
    appliance.stop();
    let there = tree(&appliance);
    let said = restore(&appliance, &archive, &[]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("--replace"), "{said:?}");
    assert_eq!(tree(&appliance), there, "a refusal changes nothing");

    let said = restore(&appliance, &archive, &["--replace"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("they hold every key"), "{said:?}");
    assert!(!certificates(&appliance.database("vmcad")).contains(&late));
    let kept = appliance.root().join("lib/vmcad");
    let kept = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = kept
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("vmcad.db.before-restore-") && name.ends_with('Z')
        })
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(certificates(&kept[0]).contains(&late));
    assert!(std::fs::read_to_string(appliance.config()).unwrap().starts_with(comment));

    appliance.start();
    let list = appliance.ok("vecs-cli", &["entry", "list", "--store", "machine"]);
    assert!(list.contains("early") && !list.contains("late"), "{list}");
    verify(&appliance);
}

#[test]
fn a_damaged_archive_is_refused_and_nothing_changes() {
    let appliance = Appliance::new();
    let archive = backup(&appliance, "a.swbackup");
    let octets = std::fs::read(&archive).unwrap();
    let there = tree(&appliance);
    let empty = Appliance::bare();
    let mut damaged: Vec<Vec<u8>> =
        [0, 40, 700, octets.len() / 2, octets.len() - 300, octets.len() - 1]
            .map(|at| {
                let mut changed = octets.clone();
                changed[at] ^= 1;
                changed
            })
            .into();
    damaged.extend([0, 100, octets.len() / 2, octets.len() - 1].map(|end| octets[..end].to_vec()));
    damaged.push(b"not an archive at all\n".repeat(100));
    for (number, content) in damaged.into_iter().enumerate() {
        let path = appliance.write("damaged", content);
        let said = restore(&appliance, &path, &["--replace"]);
        assert_eq!(said.status, 1, "{number}: {said:?}");
        assert!(said.stderr.contains("nothing was changed"), "{said:?}");
        assert_eq!(restore(&empty, &path, &[]).status, 1);
    }
    assert_eq!(tree(&appliance), there);
    assert!(!empty.root().exists());
}

#[test]
fn a_token_without_the_keys_is_named() {
    let first = Appliance::new();
    let archive = backup(&first, "a.swbackup");
    let second = Appliance::bare();
    // The tokens are there before the restore, but their keys are gone.
    for role in ["ca", "sealing"] {
        let pin = format!("etc/pins/{role}.pin");
        judge("mkdir", &["-p", "-m", "700", text(&second.root().join("etc/pins"))]);
        std::fs::copy(first.root().join(&pin), second.root().join(&pin)).unwrap();
        copy_folder(&first.tokens(role), &second.tokens(role));
        let objects = judge("find", &[text(&second.tokens(role)), "-name", "*.object"]);
        for object in objects.lines().filter(|path| !path.ends_with("/token.object")) {
            std::fs::remove_file(object).unwrap();
        }
    }
    let said = restore(&second, &archive, &[]);
    assert_eq!(said.status, 1, "{said:?}");
    for key in [" does not hold the sealing keys of generation 1 ", " does not hold CA key "] {
        assert!(said.stderr.contains(key), "{said:?}");
    }
    // With the right folders in their places it says that all is well.
    bring_tokens_and_pins(&first, &second);
    let said = restore(&second, &archive, &["--replace"]);
    assert_eq!(said.status, 0, "{said:?}");
    second.start();
    verify(&second);
}

#[test]
fn only_an_appliance_that_is_set_up_can_be_backed_up() {
    let appliance = Appliance::bare();
    let said = appliance.run("sealwright", &["backup", "--out", "a"]);
    assert_eq!(said.status, 1);
    assert!(said.stderr.contains("sealwright init"), "{said:?}");
    assert!(!appliance.file("a").exists() && !appliance.root().exists());
}
