//! Tokens that go away, are exchanged, or cannot be read.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::alarms;
use super::place::{TokenPlace, copy};
use super::scene::{Scene, machine_key};
use crate::harness::text;

#[test]
fn both_tokens_go_away_and_come_back() {
    let mut scene = Scene::new("token folders moved away and back");
    scene.with_clients(|turn| {
        let places = ["ca", "sealing"].map(|role| TokenPlace::of(turn.appliance, role));
        for _ in 0..3 {
            turn.at_work();
            places.iter().for_each(TokenPlace::take_away);
            turn.broken();
            turn.clients.refusal();
            assert_ne!(machine_key(turn.appliance).status, 0);
            turn.the_rest_goes_on(true);
            places.iter().for_each(TokenPlace::bring_back);
            turn.recovers(Instant::now());
            turn.keys_open_again();
        }
    });
    // An outage is no alarm: it passes without anybody's doing.
    alarms::is_over(&scene.appliance);
    for service in ["vmcad", "vmafdd"] {
        assert_eq!(alarms::journalled(&scene.appliance, service), [""; 0]);
    }
    scene.judge();
}

/// The token in the place of ours has its label. It is seen, told, and not used.
fn another_token(mut scene: Scene) {
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        turn.at_work();
        place.take_away();
        place.make_another();
        turn.broken();
        turn.clients.refusal();
        alarms::is_raised(turn.appliance, "vmcad", "replaced");
        turn.the_rest_goes_on(true);
        let other = TokenPlace::of(turn.appliance, "ca");
        std::fs::remove_dir_all(&other.folder).unwrap();
        place.bring_back();
        turn.recovers(Instant::now());
    });
    alarms::came_and_went(&scene.appliance, "vmcad", "replaced");
    scene.judge();
}

#[test]
fn another_token_with_the_label_and_another_serial_number() {
    another_token(Scene::new("token replaced, same label"));
}

#[test]
fn another_token_where_no_serial_number_is_configured() {
    let scene = Scene::not_started("token replaced, same label, serial not configured");
    let config = std::fs::read_to_string(scene.appliance.config()).unwrap();
    let lines = config.lines().map(|line| match line.split_once(";serial=") {
        Some((uri, _)) => format!("{uri}\""),
        None => line.to_owned(),
    });
    std::fs::write(scene.appliance.config(), lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    scene.appliance.start();
    another_token(scene);
}

#[test]
fn a_copy_of_the_token_that_holds_another_key_under_our_id() {
    let mut scene = Scene::new("token replaced, same label and serial, other key");
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        let workplace = turn.appliance.file("copy");
        std::fs::create_dir(&workplace).unwrap();
        copy(&place.folder, &workplace);
        let forged = workplace.join(place.folder.file_name().unwrap());
        let id = place.key_id(&workplace);
        place.delete_key(&workplace, &id);
        let make = ["--keypairgen", "--key-type", "EC:prime256v1", "--id", &id, "--label", "vmca"];
        let said = place.pkcs11_tool(&workplace, &make);
        assert_eq!(said.status, 0, "{said:?}");

        turn.at_work();
        place.take_away();
        std::fs::rename(&forged, &place.folder).unwrap();
        turn.broken();
        turn.clients.refusal();
        alarms::is_raised(turn.appliance, "vmcad", "replaced");
        turn.the_rest_goes_on(true);
        std::fs::rename(&place.folder, &forged).unwrap();
        place.bring_back();
        turn.recovers(Instant::now());
    });
    alarms::is_over(&scene.appliance);
    assert_eq!(
        alarms::journalled(&scene.appliance, "vmcad"),
        ["token.alarm replaced", "token.alarm-over replaced"]
    );
    scene.judge();
}

/// Makes the folder unreadable for as long as it lives; says how.
enum Unreadable<'a> {
    /// An empty file system lies over it, read-only: root is not stopped by a mode.
    Covered(&'a Path),
    /// No right to anybody.
    Mode(&'a Path),
}

impl<'a> Unreadable<'a> {
    fn make(folder: &'a Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            set_mode(folder, 0o000);
            return Some(Self::Mode(folder));
        }
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "ro,mode=0000", "tmpfs", text(folder)])
            .output()
            .unwrap();
        mount.status.success().then_some(Self::Covered(folder))
    }
}

impl Drop for Unreadable<'_> {
    fn drop(&mut self) {
        match self {
            Self::Covered(folder) => {
                let _ = Command::new("umount").args(["-l", text(folder)]).status();
            }
            Self::Mode(folder) => set_mode(folder, 0o700),
        }
    }
}

fn set_mode(folder: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_token_folder_that_cannot_be_read() {
    let mut scene = Scene::new("token folder unreadable");
    let tried = scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        turn.at_work();
        let Some(unreadable) = Unreadable::make(&place.folder) else {
            eprintln!("LOUD: nothing can be mounted here, so an unreadable token is NOT tried");
            return false;
        };
        turn.broken();
        turn.clients.refusal();
        turn.the_rest_goes_on(true);
        drop(unreadable);
        turn.recovers(Instant::now());
        true
    });
    if tried {
        alarms::is_over(&scene.appliance);
    }
    scene.judge();
}
