//! No room on the disk: refused, said, nothing half done, and good again when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Appliance, text};

/// A small file system of its own, unmounted when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn over(folder: &Path, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("LOUD: not root, so a full disk is NOT tried");
            return None;
        }
        let kept = folder.with_extension("kept");
        std::fs::rename(folder, &kept).unwrap();
        std::fs::create_dir(folder).unwrap();
        let options = format!("size={size},mode=0700");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs", text(folder)])
            .status()
            .unwrap();
        let disk = status.success().then(|| Self(folder.to_owned()));
        let copied =
            Command::new("cp").arg("-a").arg(format!("{}/.", text(&kept))).arg(folder).status();
        assert!(copied.unwrap().success());
        if disk.is_none() {
            eprintln!("LOUD: no tmpfs can be mounted here, so a full disk is NOT tried");
        }
        disk
    }

    /// Fills what is left.
    pub fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=1k"])
            .arg(format!("of={}", self.0.join("filler").display()))
            .output();
    }

    pub fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", text(&self.0)]).status();
    }
}

#[test]
fn a_full_disk_stops_issuing_with_a_sentence_and_issuing_goes_on_when_there_is_room() {
    let appliance = Appliance::new();
    let Some(disk) = SmallDisk::over(&appliance.root().join("lib/vmcad"), "2m") else { return };
    appliance.start();
    appliance.certificate("before");
    disk.fill();
    let words =
        ["--gencert", "--privkey", "before.priv", "--cert", "x.crt", "--config", "before.cfg"];
    // A few may still fit into what the log has allocated; then it must refuse.
    let refused = (0..200).map(|_| appliance.run("certool", &words)).find(|said| said.status != 0);
    let said = refused.expect("a full disk refuses");
    assert!(said.stdout.contains("Error Code : 70022"), "{said:?}\n{}", appliance.logs());
    assert!(said.stderr.contains("disk is full"), "{said:?}");
    disk.make_room();
    appliance.certificate("after");
    crate::verify::verify_with_failures(&appliance);
    drop(appliance);
    drop(disk);
}

#[test]
fn a_full_disk_refuses_an_entry_and_keeps_the_others() {
    let appliance = Appliance::new();
    let Some(disk) = SmallDisk::over(&appliance.root().join("lib/vmafdd"), "2m") else { return };
    appliance.start();
    appliance.certificate("one");
    let create = |alias: &str| {
        appliance.run(
            "vecs-cli",
            &[
                "entry", "create", "--store", "machine", "--alias", alias, "--cert", "one.crt",
                "--key", "one.priv",
            ],
        )
    };
    assert_eq!(create("kept").status, 0);
    disk.fill();
    let refused = (0..300).map(|n| create(&format!("n{n}"))).find(|said| said.status != 0);
    let said = refused.expect("a full disk refuses");
    assert!(said.stderr.contains("Error 112:"), "{said:?}");
    disk.make_room();
    appliance.ok("vecs-cli", &["entry", "getkey", "--store", "machine", "--alias", "kept"]);
    assert_eq!(create("after").status, 0);
    crate::verify::verify(&appliance);
    drop(appliance);
    drop(disk);
}

#[test]
fn a_full_disk_at_start_does_not_destroy_the_token() {
    let appliance = Appliance::new();
    let Some(disk) = SmallDisk::over(&appliance.root().join("lib/tokens/ca"), "2m") else { return };
    disk.fill();
    // The login that would truncate the token's files on a full disk, were they writable.
    appliance.start();
    appliance.certificate("one");
    appliance.stop();
    disk.make_room();
    appliance.start();
    appliance.certificate("two");
    crate::verify::verify(&appliance);
    drop(appliance);
    drop(disk);
}
