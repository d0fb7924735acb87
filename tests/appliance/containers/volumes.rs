//! Volumes that are full, read-only, or somebody else's.

use super::contained::{Contained, user};
use super::engine::{docker, images};
use crate::harness::{HOST, Said, eventually, judge, text};
use crate::storage::SmallDisk;
use crate::verify::{verify, verify_with_failures};

fn gencert(contained: &Contained, config: &str, key: &str) -> Said {
    let words = ["--gencert", "--privkey", key, "--cert", "x.crt", "--config", config];
    contained.appliance.run("certool", &words)
}

#[test]
fn a_full_volume_refuses_with_a_sentence_and_works_again_when_there_is_room() {
    let Some(contained) = Contained::running() else { return };
    contained.remove();
    let folder = contained.appliance.root().join("lib/vmcad");
    let Some(disk) = SmallDisk::over(&folder, "2m") else { return };
    contained.create(&[], &[]);
    contained.wait_ready();
    let before = contained.appliance.certificate("before");
    disk.fill();
    let refused = (0..200)
        .map(|_| gencert(&contained, "before.cfg", "before.priv"))
        .find(|said| said.status != 0)
        .expect("a full volume refuses");
    assert!(refused.stderr.contains("disk is full"), "{refused:?}");
    assert!(contained.is_running(), "{}", contained.logs());
    disk.make_room();
    let after = contained.appliance.certificate("after");
    contained.ready_again(|contained| contained.docker(&["restart"]));
    for certificate in [before, after] {
        judge("openssl", &["verify", "-CAfile", text(&contained.root_cer()), text(&certificate)]);
    }
    verify_with_failures(&contained.appliance);
    contained.remove();
    drop(disk);
}

#[test]
fn a_volume_without_any_room_is_named_at_the_first_start() {
    let Some(contained) = Contained::bare() else { return };
    let owner = user();
    let (user, group) = owner.split_once(':').unwrap();
    let options = format!("/var/lib/sealwright:rw,size=16k,mode=0711,uid={user},gid={group}");
    contained.create(&["--tmpfs", &options], &["--hostname", HOST]);
    assert_ne!(contained.wait_ended(), 0);
    let logs = contained.logs();
    assert!(logs.contains("the disk is full"), "{logs}");
    assert!(!logs.contains("ready: "), "{logs}");
}

#[test]
fn a_read_only_volume_ends_the_start_with_a_sentence_and_changes_nothing() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let before = appliance.certificate("before");
    contained.docker(&["stop"]);
    contained.remove();
    let contents = || {
        let words = ["-c", "find lib -type f ! -path lib/tokens/\\* | sort | xargs sha256sum"];
        let mut command = std::process::Command::new("bash");
        let output = command.args(words).current_dir(appliance.root()).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
        String::from_utf8(output.stdout).unwrap()
    };
    let had = contents();
    let read_only = format!("{}:/var/lib/sealwright:ro", text(&appliance.root().join("lib")));
    contained.create(&["--volume", &read_only], &[]);
    assert_ne!(contained.wait_ended(), 0);
    let logs = contained.logs();
    assert!(logs.contains("the file system is mounted read-only"), "{logs}");
    assert!(!logs.contains("ready: "), "{logs}");
    assert_eq!(contents(), had);

    contained.remove();
    contained.create(&[], &[]);
    contained.wait_ready();
    judge("openssl", &["verify", "-CAfile", text(&contained.root_cer()), text(&before)]);
    appliance.certificate("after");
    verify(appliance);
}

#[test]
fn a_token_on_a_read_only_volume_signs_and_opens() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    contained.docker(&["stop"]);
    contained.remove();
    let tokens = appliance.root().join("lib/tokens");
    contained
        .create(&["--volume", &format!("{}:/var/lib/sealwright/tokens:ro", text(&tokens))], &[]);
    contained.wait_ready();
    let issued = appliance.certificate("one");
    judge("openssl", &["verify", "-CAfile", text(&contained.root_cer()), text(&issued)]);
    let entry = ["entry", "create", "--store", "machine", "--alias", "one", "--cert", "one.crt"];
    appliance.ok("vecs-cli", &[&entry[..], &["--key", "one.priv"]].concat());
    verify(appliance);
}

#[test]
fn another_appliances_tokens_are_refused_and_the_right_ones_work_again() {
    let (Some(one), Some(other)) = (Contained::running(), Contained::running()) else { return };
    let before = one.appliance.certificate("before");
    other.appliance.certificate("before");
    one.docker(&["stop"]);
    other.docker(&["stop"]);
    one.remove();
    let strange = other.appliance.root().join("lib/tokens");
    one.create(&["--volume", &format!("{}:/var/lib/sealwright/tokens", text(&strange))], &[]);
    let mut status = one.exec(&["service-control", "--status"]);
    eventually("both services say that their token is another one", || {
        status = one.exec(&["service-control", "--status"]);
        ["vmcad (replaced): ", "vmafdd (replaced): "]
            .iter()
            .all(|alarm| status.stdout.contains(alarm))
    });
    assert_eq!(status.status, 2, "{status:?}");
    let refused = gencert(&one, "before.cfg", "before.priv");
    assert_ne!(refused.status, 0, "{refused:?}");
    assert!(
        refused.stderr.contains("another") || refused.stderr.contains("same label"),
        "{refused:?}"
    );
    assert!(!one.appliance.file("x.crt").exists());
    // The machine's key does not open either, so the gateway does not serve. It is tried again and again, for the token
    // may come back; and nobody was told that all is well.
    eventually("the gateway says why it does not serve", || {
        one.logs().contains("gateway did not start, trying again: ")
    });
    assert!(one.is_running() && !one.logs().contains("ready: https"), "{}", one.logs());

    one.docker(&["stop"]);
    one.remove();
    one.create(&[], &[]);
    one.wait_ready();
    let after = one.appliance.certificate("after");
    for certificate in [before, after] {
        judge("openssl", &["verify", "-CAfile", text(&one.root_cer()), text(&certificate)]);
    }
    verify_with_failures(&one.appliance);
    // Nobody tried a PIN on the strange token, or it would be closer to its lock: its owner logs in as ever.
    other.ready_again(|other| other.docker(&["start"]));
    other.appliance.certificate("after");
    verify(&other.appliance);
}

#[test]
fn a_folder_that_the_service_may_not_write_is_named() {
    let Some(tag) = images() else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("LOUD: not root, so a volume that belongs to somebody else is NOT tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("{}:/var/lib/sealwright", text(folder.path()));
    let image = format!("sealwright/appliance:{tag}");
    std::os::unix::fs::chown(folder.path(), Some(4711), Some(4711)).unwrap();
    let said = docker(&["run", "--rm", "--volume", &mount, &image]);
    assert_ne!(said.status, 0, "{said:?}");
    let sentence =
        "/var/lib/sealwright belongs to user 4711, and this container runs as user 10443";
    assert!(said.stderr.contains(sentence), "{said:?}");
}
