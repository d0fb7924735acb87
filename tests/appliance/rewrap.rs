//! Changing the sealing and wrapping keys of a running appliance.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Appliance, Over, Said, eventually, judge, text};
use crate::verify::verify;

/// Asks `vmafdd` without a tool between, because a thousand processes take their time.
fn ask(appliance: &Appliance, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(appliance.root().join("run/vmafdd.sock")).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn secret(alias: &str) -> String {
    format!("the secret of {alias}")
}

fn store(appliance: &Appliance, alias: &str) {
    let body = serde_json::json!({"alias": alias, "key": secret(alias)}).to_string();
    let answer = ask(appliance, "POST", "/v1/stores/machine/entries", &body);
    assert_eq!(answer.0, 200, "{alias}: {answer:?}");
}

fn delete(appliance: &Appliance, alias: &str) {
    let answer = ask(appliance, "DELETE", &format!("/v1/stores/machine/entries/{alias}"), "");
    assert_eq!(answer, (200, "{\"existed\":true}".to_owned()), "{alias}");
}

fn key(appliance: &Appliance, alias: &str) -> (u16, String) {
    ask(appliance, "POST", &format!("/v1/stores/machine/entries/{alias}/key"), "")
}

#[track_caller]
fn assert_opens(appliance: &Appliance, alias: &str) {
    let (status, body) = key(appliance, alias);
    assert_eq!(status, 200, "{alias}: {body}\n{}", appliance.logs());
    let found: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(found["key"], secret(alias), "{alias}");
}

/// The answer of `sealwright rewrap --json` with these words.
fn json(said: &Said) -> serde_json::Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

fn status(appliance: &Appliance) -> serde_json::Value {
    json(&appliance.run("sealwright", &["rewrap", "--status", "--json"]))
}

/// What the database says, whether `vmafdd` runs or not.
fn query<T: rusqlite::types::FromSql>(appliance: &Appliance, sql: &str) -> Vec<T> {
    let database = rusqlite::Connection::open(appliance.database("vmafdd")).unwrap();
    database.busy_timeout(Duration::from_secs(30)).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Entries with a key, by the generation in octets 4..8 (docs/FORMATS.md).
fn by_generation(appliance: &Appliance) -> BTreeMap<u32, usize> {
    let mut found = BTreeMap::new();
    for sealed in
        query::<Vec<u8>>(appliance, "SELECT sealed_key FROM entry WHERE sealed_key IS NOT NULL")
    {
        let number = u32::from_be_bytes(sealed[4..8].try_into().unwrap());
        *found.entry(number).or_default() += 1;
    }
    found
}

fn phase(appliance: &Appliance) -> String {
    query(appliance, "SELECT phase FROM rewrap ORDER BY id DESC LIMIT 1").pop().unwrap_or_default()
}

/// Nothing in the sealing token that is not on record, and no old key is on record.
fn only_the_new_keys_are_in_the_token(appliance: &Appliance) {
    let said = appliance.run("sealwright", &["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    for id in ["token.sealing.strangers", "token.sealing.records", "token.sealing.proof"] {
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        assert_eq!(check["severity"], "ok", "{check}");
    }
    let in_use = "SELECT number FROM key_generation WHERE state <> 'destroyed'";
    assert_eq!(query::<i64>(appliance, in_use).len(), 1);
}

fn spawn(appliance: &Appliance, words: &[&str]) -> Child {
    appliance
        .command("sealwright")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn the_keys_change_while_entries_come_and_go() {
    let appliance = Appliance::running();
    let certificate = appliance.certificate("one");
    let key_file = appliance.file("one.priv");
    let words = ["entry", "create", "--store", "machine", "--alias", "certified"];
    let parts = ["--cert", text(&certificate), "--key", text(&key_file)];
    appliance.ok("vecs-cli", &[&words[..], &parts].concat());
    for n in 0..60 {
        store(&appliance, &format!("stays{n}"));
        store(&appliance, &format!("goes{n}"));
    }
    // One that was born in the token.
    let config = appliance.machine_config("born.cfg", crate::harness::HOST);
    let generate = ["entry", "generate", "--store", "machine", "--alias", "born"];
    appliance.ok("vecs-cli", &[&generate[..], &["--config", &config]].concat());
    let born = ["entry", "getkey", "--store", "machine", "--alias", "born"];
    let born_key = appliance.ok("vecs-cli", &born);
    let over = AtomicBool::new(false);
    let created = std::thread::scope(|scope| {
        let creating = scope.spawn(|| {
            let mut created = Vec::new();
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let alias = format!("new{n}");
                store(&appliance, &alias);
                created.push(alias);
            }
            created
        });
        scope.spawn(|| {
            for n in 0..60 {
                delete(&appliance, &format!("goes{n}"));
                // Changed: deleted and created again under the same name.
                delete(&appliance, &format!("stays{n}"));
                store(&appliance, &format!("stays{n}"));
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // The machine's own key, which nobody changes meanwhile.
                let words = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
                appliance.ok("vecs-cli", &[&["entry", "getkey"][..], &words].concat());
                appliance.ok(
                    "vecs-cli",
                    &["entry", "getkey", "--store", "machine", "--alias", "certified"],
                );
            }
        });
        let told = Over(&over);
        for to in 2..=4 {
            let said = appliance.run("sealwright", &["rewrap", "--json"]);
            assert_eq!(said.status, 0, "{said:?}\n{}", appliance.logs());
            let done = json(&said);
            assert_eq!((&done["phase"], &done["to"]), (&"done".into(), &to.into()), "{said:?}");
            assert_eq!(done["entries"]["left"], 0, "{said:?}");
            let keys = done["evidence"]["keys"].as_array().unwrap();
            assert_eq!(keys.len(), 2);
            assert!(keys.iter().all(|key| key["found_afterwards"] == 0), "{said:?}");
        }
        drop(told);
        creating.join().unwrap()
    });
    assert!(!created.is_empty());
    assert_eq!(by_generation(&appliance).keys().copied().collect::<Vec<_>>(), [4]);
    (0..60).for_each(|n| assert_opens(&appliance, &format!("stays{n}")));
    created.iter().for_each(|alias| assert_opens(&appliance, alias));
    assert_eq!(appliance.ok("vecs-cli", &born), born_key);
    let out = appliance.file("out.priv");
    let getkey = ["entry", "getkey", "--store", "machine", "--alias", "certified", "--output"];
    appliance.ok("vecs-cli", &[&getkey[..], &[text(&out)]].concat());
    let canonical = |path: &std::path::Path| judge("openssl", &["pkey", "-in", text(path)]);
    assert_eq!(canonical(&out), canonical(&key_file));

    let destroyed: Vec<String> = query(
        &appliance,
        "SELECT details FROM journal WHERE act = 'sealing-keys.destroy' AND outcome = 'done'",
    );
    assert_eq!(destroyed.len(), 3);
    for details in destroyed {
        assert!(details.contains("CKR_OK") && details.contains("token_serial"), "{details}");
    }
    only_the_new_keys_are_in_the_token(&appliance);
    // The gateway reads its key when it starts.
    appliance.ok("service-control", &["--restart", "gateway"]);
    assert_eq!(crate::gateway::health(&appliance).0, 200);
    verify(&appliance);
}

/// A number below `end`, another each time.
fn random(end: u64) -> u64 {
    let mut octets = [0; 8];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut octets).unwrap();
    u64::from_le_bytes(octets) % end
}

#[test]
fn killed_at_any_moment_it_goes_on_by_itself() {
    const ENTRIES: usize = 400;
    let appliance = Appliance::running();
    (0..ENTRIES).for_each(|n| store(&appliance, &format!("e{n}")));
    let before: usize = by_generation(&appliance).values().sum();
    let (mut killed, mut changes) = (BTreeMap::<String, usize>::new(), 0);
    while killed.values().sum::<usize>() < 12 && changes < 9 {
        let mut watching = spawn(&appliance, &["rewrap"]);
        eventually("it has begun", || {
            query::<i64>(&appliance, "SELECT id FROM rewrap").len() == changes + 1
        });
        changes += 1;
        for _ in 0..8 {
            // Not for something to happen: the moment of the kill is to be another one each time.
            std::thread::sleep(Duration::from_millis(random(250)));
            let vmafdd = Pid::from_raw(appliance.pid("vmafdd")).unwrap();
            kill_process(vmafdd, Signal::KILL).unwrap();
            eventually("it is dead", || test_kill_process(vmafdd).is_err());
            let found = phase(&appliance);
            let over = found == "done";
            if !over {
                *killed.entry(found).or_default() += 1;
            }
            // Consistent at every such moment: each entry once, under the old or the new keys.
            let entries = by_generation(&appliance);
            assert_eq!(entries.values().sum::<usize>(), before, "{entries:?}");
            let newest = u32::try_from(changes + 1).unwrap();
            let numbers = newest - 1..=newest;
            assert!(entries.keys().all(|number| numbers.contains(number)), "{entries:?}");
            appliance.ok("service-control", &["--start", "vmafdd"]);
            if over {
                // There is nothing left to break.
                break;
            }
        }
        eventually("it comes to its end by itself", || phase(&appliance) == "done");
        // Whoever watched was told, or lost patience with a service that kept dying.
        let _ = watching.wait().unwrap();
    }
    println!("killed by the phase it was in: {killed:?}, in {changes} changes of keys");
    let done = status(&appliance);
    assert_eq!(done["phase"], "done", "{done}");
    assert_eq!(done["entries"]["left"], 0, "{done}");
    assert_eq!(by_generation(&appliance).len(), 1);
    (0..ENTRIES).for_each(|n| assert_opens(&appliance, &format!("e{n}")));
    verify(&appliance);
}

#[test]
fn an_entry_that_does_not_open_is_named_and_the_old_keys_stay() {
    let appliance = Appliance::running();
    ["good", "bad", "better"].iter().for_each(|alias| store(&appliance, alias));
    let never = appliance.run("sealwright", &["rewrap", "--status"]);
    assert_eq!(never.status, 0);
    assert!(never.stdout.contains("never changed"), "{never:?}");
    appliance.stop();
    query::<i64>(
        &appliance,
        "UPDATE entry SET sealed_key = CAST(SUBSTR(sealed_key, 1, LENGTH(sealed_key) - 4) || x'00010203' AS BLOB)
         WHERE alias = 'bad'",
    );
    appliance.start();
    let said = appliance.run("sealwright", &["rewrap"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("  machine/bad: "), "{said:?}");
    assert!(said.stderr.contains("1 entries do not open, so the old keys are kept"), "{said:?}");
    assert!(said.stderr.contains("Delete each"), "{said:?}");
    let again = appliance.run("sealwright", &["rewrap", "--status"]);
    assert_eq!(again.status, 1, "{again:?}");
    assert!(again.stdout.contains("  machine/bad: "), "{again:?}");
    assert_eq!(by_generation(&appliance).get(&1), Some(&1));
    ["good", "better"].iter().for_each(|alias| assert_opens(&appliance, alias));
    let (_, health) = ask(&appliance, "GET", "/v1/health", "");
    assert!(health.contains("degraded") && health.contains("do not open"), "{health}");

    delete(&appliance, "bad");
    let said = appliance.run("sealwright", &["rewrap"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("Make a new one now: sealwright backup"), "{said:?}");
    let (_, health) = ask(&appliance, "GET", "/v1/health", "");
    assert!(health.contains("\"state\":\"ok\""), "{health}");
    only_the_new_keys_are_in_the_token(&appliance);
    // Damage that was made on purpose leaves a failed act; nothing else does.
    verify(&appliance);
}

#[test]
fn without_its_token_it_waits_and_says_so() {
    let appliance = Appliance::running();
    (0..100).for_each(|n| store(&appliance, &format!("e{n}")));
    let folders = std::fs::read_dir(appliance.tokens("sealing")).unwrap();
    let mut folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let (token, away) = (folders.next().unwrap(), appliance.root().join("lib/tokens/away"));
    std::fs::rename(&token, &away).unwrap();
    let mut watching = spawn(&appliance, &["rewrap"]);
    eventually("health says that it waits", || {
        let (_, health) = ask(&appliance, "GET", "/v1/health", "");
        health.contains("degraded") && health.contains("the change of keys waits")
    });
    let said = appliance.run("sealwright", &["rewrap", "--status"]);
    assert!(said.stdout.contains("Waiting: "), "{said:?}");
    std::fs::rename(&away, &token).unwrap();
    assert!(watching.wait().unwrap().success());

    // And in the middle, wherever that is.
    for round in 0..3 {
        let mut watching = spawn(&appliance, &["rewrap"]);
        let begun = format!("SELECT id FROM rewrap WHERE id = {} AND to_generation > 0", round + 2);
        eventually("the new keys are made", || !query::<i64>(&appliance, &begun).is_empty());
        std::fs::rename(&token, &away).unwrap();
        eventually("the token is missed, or was not needed any more", || {
            let now = status(&appliance);
            now["fault"].is_string() || now["phase"] == "done"
        });
        std::fs::rename(&away, &token).unwrap();
        assert!(watching.wait().unwrap().success(), "{}", appliance.logs());
        assert_eq!(phase(&appliance), "done");
    }
    eventually("health is good again", || {
        ask(&appliance, "GET", "/v1/health", "").1.contains("\"state\":\"ok\"")
    });
    (0..100).for_each(|n| assert_opens(&appliance, &format!("e{n}")));
    only_the_new_keys_are_in_the_token(&appliance);
    // Keys could not be made while the token was away, which is on record as failed.
    verify(&appliance);
}

#[test]
fn old_keys_stay_as_long_as_wanted_and_backups_with_them() {
    let appliance = Appliance::running();
    store(&appliance, "one");
    let back_up = |name: &str| {
        let file = appliance.file(name);
        appliance.ok("sealwright", &["backup", "--out", text(&file)]);
        file
    };
    let restore = |file: &std::path::Path| {
        appliance.stop();
        appliance.run("sealwright", &["restore", "--from", text(file), "--replace"])
    };
    let before = back_up("before.swbackup");
    let said = appliance.run("sealwright", &["rewrap", "--keep-old"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("--destroy-old"), "{said:?}");
    let refused = appliance.run("sealwright", &["rewrap"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("--destroy-old"), "{refused:?}");

    // The old keys are there, so what the backup holds can be opened.
    let kept = back_up("kept.swbackup");
    for file in [&before, &kept] {
        let said = restore(file);
        assert_eq!(said.status, 0, "{said:?}");
        appliance.start();
        assert_opens(&appliance, "one");
    }

    // Interrupting the tool does not stop the work.
    let mut watching = spawn(&appliance, &["rewrap", "--destroy-old"]);
    eventually("it was asked for", || phase(&appliance) != "kept");
    kill_process(Pid::from_child(&watching), Signal::INT).unwrap();
    watching.wait().unwrap();
    eventually("it is done", || phase(&appliance) == "done");
    let said = appliance.run("sealwright", &["rewrap", "--destroy-old"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("nobody can open those entries any more"), "{said:?}");
    assert_opens(&appliance, "one");
    only_the_new_keys_are_in_the_token(&appliance);

    // Now they are gone, and restoring says so.
    let after = back_up("after.swbackup");
    let said = restore(&before);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("does not hold the sealing keys of generation 1"), "{said:?}");
    let said = restore(&after);
    assert_eq!(said.status, 0, "{said:?}");
    appliance.start();
    assert_opens(&appliance, "one");
    verify(&appliance);
}

#[test]
fn only_administrators_change_keys() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so sealwright rewrap is NOT tried as another user");
        return;
    }
    let appliance = Appliance::running();
    appliance.open_for_others();
    for words in [&["rewrap"][..], &["rewrap", "--status"], &["rewrap", "--destroy-old"]] {
        let said = appliance.run_as_nobody("sealwright", words);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("may not change the sealing keys"), "{said:?}");
    }
    assert_eq!(query::<i64>(&appliance, "SELECT id FROM rewrap"), [0; 0]);
    verify(&appliance);
}
