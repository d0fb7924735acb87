//! VECS through its own tool: stores, rights, entries, sealed keys.

use crate::harness::{Appliance, judge, private_scalar, text};
use crate::verify::verify;

#[test]
fn a_key_comes_back_as_it_went_in_and_lies_nowhere_in_the_clear() {
    let appliance = Appliance::running();
    appliance.ok("vecs-cli", &["store", "create", "--name", "mine"]);
    let certificate = appliance.certificate("one");
    let key = appliance.file("one.priv");
    let words = ["--store", "mine", "--alias", "one"];
    let create =
        [&["entry", "create"][..], &words, &["--cert", text(&certificate), "--key", text(&key)]]
            .concat();
    appliance.ok("vecs-cli", &create);

    let out = appliance.file("out.priv");
    appliance
        .ok("vecs-cli", &[&["entry", "getkey"][..], &words, &["--output", text(&out)]].concat());
    let der =
        |path: &std::path::Path| judge("openssl", &["pkey", "-in", text(path), "-outform", "PEM"]);
    assert_eq!(der(&out), der(&key));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    // Every form of the key, searched in every file of the appliance, running and stopped.
    let scalar = private_scalar(&key);
    let pem = std::fs::read_to_string(&key).unwrap();
    let line = pem.lines().nth(1).unwrap().as_bytes().to_vec();
    let reversed: Vec<u8> = scalar.iter().rev().copied().collect();
    let needles = [scalar, reversed, line];
    let hits = |folder: &std::path::Path| -> Vec<String> {
        let mut found = Vec::new();
        visit(folder, &mut |path, content| {
            for needle in &needles {
                if content.windows(needle.len()).any(|window| window == needle.as_slice()) {
                    found.push(path.display().to_string());
                }
            }
        });
        found
    };
    assert!(
        !hits(&appliance.file("")).is_empty(),
        "the search itself finds the key in the work folder"
    );
    assert_eq!(hits(&appliance.root()), [""; 0]);
    appliance.stop();
    assert_eq!(hits(&appliance.root()), [""; 0]);
    appliance.start();
    verify(&appliance);
}

fn visit(folder: &std::path::Path, look: &mut impl FnMut(&std::path::Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, look);
        } else if path.is_file() {
            look(&path, &std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_90018() {
    let appliance = Appliance::running();
    appliance.certificate("one");
    appliance.certificate("two");
    appliance.vecs_fails(
        &[
            "entry", "create", "--store", "machine", "--alias", "a", "--cert", "one.crt", "--key",
            "two.priv",
        ],
        90018,
    );
    let list = appliance.ok("vecs-cli", &["entry", "list", "--store", "machine"]);
    assert_eq!(list, "Number of entries in store :\t0\n");
    verify(&appliance);
}

#[test]
fn swapped_rows_do_not_open() {
    let appliance = Appliance::running();
    for name in ["one", "two"] {
        appliance.certificate(name);
        appliance.ok(
            "vecs-cli",
            &[
                "entry",
                "create",
                "--store",
                "machine",
                "--alias",
                name,
                "--cert",
                &format!("{name}.crt"),
                "--key",
                &format!("{name}.priv"),
            ],
        );
    }
    appliance.stop();
    // An attacker with the database but not the token moves everything that is sealed in one row,
    // with all that travels with it, to another row.
    let database = rusqlite::Connection::open(appliance.database("vmafdd")).unwrap();
    database
        .execute_batch(
            "CREATE TEMP TABLE moved AS SELECT sealed_id, sealed_version, sealed_key FROM entry WHERE alias = 'one';
             DELETE FROM entry WHERE alias = 'one';
             UPDATE entry SET (sealed_id, sealed_version, sealed_key) = (SELECT * FROM moved) WHERE alias = 'two'",
        )
        .unwrap();
    drop(database);
    appliance.start();
    let said =
        appliance.run("vecs-cli", &["entry", "getkey", "--store", "machine", "--alias", "two"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(!said.stdout.contains("PRIVATE KEY"), "{said:?}");
}

#[test]
fn bad_files_get_a_sentence_and_a_code() {
    let appliance = Appliance::running();
    appliance.certificate("one");
    appliance.write("empty", "");
    appliance.write("binary", [0_u8, 159, 146, 150, 255]);
    let pem = appliance.read("one.crt");
    appliance.write("truncated", &pem[..pem.len() / 2]);
    for file in ["empty", "binary", "truncated", "one.priv"] {
        let said = appliance.run(
            "vecs-cli",
            &["entry", "create", "--store", "machine", "--alias", "a", "--cert", file],
        );
        assert_ne!(said.status, 0, "{file}: {said:?}");
        assert!(said.stderr.contains("vecs-cli failed. Error "), "{file}: {said:?}");
    }
    appliance.vecs_fails(
        &[
            "entry", "create", "--store", "machine", "--alias", "a", "--cert", "one.crt", "--key",
            "one.crt",
        ],
        11,
    );
    appliance.vecs_fails(&["entry", "list", "--store", "nowhere"], 4312);
    appliance.vecs_fails(&["store", "delete", "--name", "MACHINE_SSL_CERT", "-y"], 5);
    assert_eq!(
        appliance.ok("vecs-cli", &["entry", "list", "--store", "machine"]),
        "Number of entries in store :\t0\n"
    );
    verify(&appliance);
}

#[test]
fn reading_a_private_key_needs_its_own_right_and_leaves_a_record() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so rights of another user are NOT tried on the real socket");
        return;
    }
    let appliance = Appliance::running();
    appliance.certificate("one");
    appliance.ok("vecs-cli", &["store", "create", "--name", "mine"]);
    appliance.ok(
        "vecs-cli",
        &[
            "entry", "create", "--store", "mine", "--alias", "one", "--cert", "one.crt", "--key",
            "one.priv",
        ],
    );
    appliance.open_for_others();
    let as_nobody = |words: &[&str]| appliance.run_as_nobody("vecs-cli", words);
    let getkey = ["entry", "getkey", "--store", "mine", "--alias", "one"];
    assert_eq!(as_nobody(&["entry", "list", "--store", "mine"]).status, 5);
    let grant = |right: &str| {
        appliance.ok(
            "vecs-cli",
            &["store", "permission", "--name", "mine", "--user", "nobody", "--grant", right],
        )
    };
    assert_eq!(grant("read"), "Permissions for store [mine] set  successfully\n ");
    let listed = as_nobody(&["entry", "list", "--store", "mine"]);
    assert!(listed.stdout.contains("Alias :\tone"), "{listed:?}");
    assert_eq!(as_nobody(&getkey).status, 5, "read alone does not give the key");
    grant("readkey");
    assert!(as_nobody(&getkey).stdout.contains("PRIVATE KEY"));

    let journal = rusqlite::Connection::open(appliance.database("vmafdd")).unwrap();
    let count = |outcome: &str| -> i64 {
        journal
            .query_row(
                "SELECT count(*) FROM journal WHERE act = 'entry.read-key' AND actor LIKE 'user:nobody%' AND outcome = $1",
                [outcome],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!((count("refused"), count("done")), (1, 1));
    verify(&appliance);
}

#[test]
fn one_user_cannot_keep_the_others_from_being_served() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so many connections of another user are NOT tried");
        return;
    }
    let appliance = Appliance::running();
    appliance.open_for_others();
    let socket = appliance.root().join("run/vmafdd.sock");
    let as_user = |uid: u32| {
        let mut command = std::process::Command::new("setpriv");
        command
            .args([format!("--reuid={uid}"), format!("--regid={uid}")])
            .arg("--clear-groups")
            .env("SEALWRIGHT_ROOT", appliance.root())
            .current_dir("/");
        command
    };
    // Each sends the head of a request and then waits for its own input before it goes on.
    let mut holding: Vec<_> = (0..32)
        .map(|_| {
            as_user(65534)
                .args(["curl", "--silent", "--unix-socket", text(&socket), "--upload-file", "."])
                .arg("http://localhost/v1/stores")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let tool = appliance.tool_for_others("vecs-cli");
    let list = |uid| {
        let words = [text(&tool), "store", "list"];
        crate::harness::Said::from(as_user(uid).args(words).output().unwrap())
    };
    crate::harness::eventually("the user has as many connections as one can", || {
        let refused = list(65534);
        refused.status == 170 && refused.stderr.contains("ERROR_BUSY")
    });
    assert_eq!(list(65533).status, 0);
    appliance.ok("vecs-cli", &["store", "list"]);
    for held in &mut holding {
        drop(held.stdin.take());
        held.wait().unwrap();
    }
    crate::harness::eventually("the user is served again", || list(65534).status == 0);
    verify(&appliance);
}
