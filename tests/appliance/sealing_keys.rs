//! The sealing keys: made by `vmafdd` when its token is there, kept on record, taken over from a
//! former version.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sealwright::api::vecs::{GENERATIONS, Generation};
use sealwright::base::{Layout, Service};
use sealwright::client::Client;

use crate::harness::{Appliance, eventually, text};
use crate::verify::verify;

/// What `vmafdd` lists.
fn generations(appliance: &Appliance) -> Vec<Generation> {
    let socket = Layout::under(appliance.root()).socket(Service::Vmafdd);
    Client::new(&socket, std::time::Duration::from_secs(60)).get(GENERATIONS).unwrap()
}

fn store_entry(appliance: &Appliance, name: &str) {
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.priv"));
    let place = ["entry", "create", "--store", "machine", "--alias", name];
    appliance.ok("vecs-cli", &[&place[..], &["--cert", &certificate, "--key", &key]].concat());
}

fn key_of(appliance: &Appliance, name: &str) -> String {
    appliance.ok("vecs-cli", &["entry", "getkey", "--store", "machine", "--alias", name])
}

fn journal_of_keys(database: &Path) -> Vec<String> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT act || ' ' || outcome FROM journal WHERE act LIKE 'sealing-keys.%' ORDER BY sequence";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// As an appliance that lost its `vmafdd` and was not set up to the end.
fn forget_vmafdd(appliance: &Appliance) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", text(&appliance.database("vmafdd"))));
    }
    let progress = appliance.root().join("lib/init.json");
    let said = std::fs::read_to_string(&progress).unwrap();
    assert!(said.contains("\"finished\": true"), "{said}");
    std::fs::write(progress, said.replace("\"finished\": true", "\"finished\": false")).unwrap();
}

#[test]
fn a_fresh_appliance_has_one_generation_on_record_and_none_in_its_configuration() {
    let appliance = Appliance::bare();
    let said = appliance.init(&["--key-algorithm", "p-256"]);
    assert_eq!(said.status, 0, "{said:?}");
    let told = said.stdout.lines().find(|line| line.trim_start().starts_with("sealing keys"));
    assert!(told.is_some_and(|line| line.contains("made in the sealing token")), "{said:?}");
    let config = std::fs::read_to_string(appliance.config()).unwrap();
    assert!(!config.contains("wrapping_key"), "{config}");

    appliance.start();
    let all = generations(&appliance);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].number, all[0].state.as_str()), (1, "active"));
    assert!(all[0].wrapping.as_ref().is_some_and(|wrapping| *wrapping != all[0].sealing));
    assert!(all[0].seals >= 2, "the check value and the machine's key");
    let expected = ["sealing-keys.generate intended", "sealing-keys.generate done"];
    assert_eq!(journal_of_keys(&appliance.database("vmafdd")), expected);
    // A restart makes no others.
    appliance.ok("service-control", &["--restart", "vmafdd"]);
    store_all(&appliance, &["one"]);
    assert_eq!(generations(&appliance)[0].sealing, all[0].sealing);
    assert_eq!(journal_of_keys(&appliance.database("vmafdd")), expected);
    verify(&appliance);
}

fn store_all(appliance: &Appliance, names: &[&str]) {
    for name in names {
        appliance.certificate(name);
        store_entry(appliance, name);
    }
}

#[test]
fn a_token_that_comes_later_gets_its_keys_without_a_restart() {
    let appliance = Appliance::new();
    forget_vmafdd(&appliance);
    let folder = appliance.tokens("sealing");
    let away = folder.with_file_name("away");
    std::fs::rename(&folder, &away).unwrap();
    appliance.ok("service-control", &["--start", "vmafdd"]);
    appliance.write("secret", "a secret");
    let create = ["entry", "create", "--store", "machine", "--alias", "a", "--key", "secret"];
    let said = appliance.vecs_fails(&create, 90101);
    assert!(said.stderr.contains("sealing token"), "{said:?}");
    assert!(generations(&appliance).is_empty());
    // A token that is absent leaves no record for each time it is asked.
    assert_eq!(journal_of_keys(&appliance.database("vmafdd")), [""; 0]);

    std::fs::rename(&away, &folder).unwrap();
    eventually("the keys are made", || !generations(&appliance).is_empty());
    appliance.ok("vecs-cli", &create);
    assert_eq!(key_of(&appliance, "a").trim(), "a secret");
    assert_eq!(generations(&appliance).len(), 1);

    let made = generations(&appliance)[0].sealing.clone();
    appliance.stop();
    let said = appliance.init(&["--key-algorithm", "p-256"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains(&format!("sealing key {}…", &made[..12])), "{said:?}");
    appliance.start();
    verify(&appliance);
}

#[test]
fn vmafdd_that_is_killed_while_it_makes_its_keys_makes_them_afterwards() {
    let appliance = Appliance::new();
    forget_vmafdd(&appliance);
    for _ in 0..4 {
        appliance.ok("service-control", &["--start", "vmafdd"]);
        let victim = Pid::from_raw(appliance.pid("vmafdd")).unwrap();
        kill_process(victim, Signal::KILL).unwrap();
        eventually("it is dead", || test_kill_process(victim).is_err());
    }
    let said = appliance.init(&["--key-algorithm", "p-256"]);
    assert_eq!(said.status, 0, "{said:?}");
    appliance.start();
    store_all(&appliance, &["one"]);
    assert!(key_of(&appliance, "one").contains("PRIVATE KEY"));
    assert_eq!(generations(&appliance).len(), 1);
    crate::verify::verify_with_failures(&appliance);
}

/// Database and configuration as the former version had them; its one key is the sealing key.
fn turn_back(appliance: &Appliance) -> String {
    let database = Connection::open(appliance.database("vmafdd")).unwrap();
    let (sealing, check): (Vec<u8>, Vec<u8>) = database
        .query_row("SELECT sealing_id, check_value FROM key_generation", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    database
        .execute_batch(
            "DROP TABLE key_generation; DROP TABLE pending_key; DROP TABLE rewrap; DROP TABLE rewrap_damaged;
             CREATE TABLE wrapping_key_check (id BIGINT PRIMARY KEY, sealed BLOB NOT NULL);
             DROP TABLE journal_open;
             CREATE INDEX journal_outcomes ON journal (reference, act, outcome);
             PRAGMA user_version = 2",
        )
        .unwrap();
    database.execute("INSERT INTO wrapping_key_check VALUES (1, ?1)", params![check]).unwrap();
    drop(database);
    let id: String = sealing.iter().map(|octet| format!("{octet:02x}")).collect();
    appliance.configure("[vecs]\n", &format!("[vecs]\nwrapping_key = \"{id}\"\n"));
    id
}

#[test]
fn an_appliance_of_a_former_version_goes_on_with_its_key() {
    let appliance = Appliance::running();
    store_all(&appliance, &["one"]);
    let key = key_of(&appliance, "one");
    appliance.stop();
    let former = turn_back(&appliance);

    // A backup of it is made, and restored, before the new version ever ran.
    let said = appliance.ok("sealwright", &["backup", "--out", "former.swbackup"]);
    assert!(said.contains(&format!("sealing key {former}\n")), "{said}");
    assert!(!said.contains("  wrapping key "), "{said}");
    let said = appliance.ok("sealwright", &["restore", "--from", "former.swbackup", "--replace"]);
    assert!(said.contains("they hold every key that is needed"), "{said}");

    appliance.start();
    assert_eq!(key_of(&appliance, "one"), key);
    let all = generations(&appliance);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&all[0].sealing, &all[0].wrapping), (&former, &None));
    store_all(&appliance, &["two"]);
    assert!(key_of(&appliance, "two").contains("PRIVATE KEY"));

    // What stands in the configuration counts no more.
    appliance.configure(&format!("wrapping_key = \"{former}\"\n"), "");
    appliance.ok("service-control", &["--restart", "vmafdd"]);
    assert_eq!(key_of(&appliance, "one"), key);
    assert_eq!(generations(&appliance).len(), 1);
    verify(&appliance);
}

#[test]
fn a_key_that_has_sealed_as_often_as_it_may_says_what_to_do() {
    let appliance = Appliance::new();
    appliance.configure("[vecs]\n", "[vecs]\nseals_per_key = 1\n");
    appliance.start();
    appliance.certificate("one");
    let place = ["entry", "create", "--store", "machine", "--alias", "one"];
    let said = appliance
        .vecs_fails(&[&place[..], &["--cert", "one.crt", "--key", "one.priv"]].concat(), 1816);
    assert!(said.stderr.contains("sealwright rewrap"), "{said:?}");
    // Certificates need no key, and what is sealed opens.
    appliance.ok("vecs-cli", &[&place[..], &["--cert", "one.crt"]].concat());
    let machine = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let key = appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &machine].concat());
    assert!(key.contains("PRIVATE KEY"));
    verify(&appliance);
}
