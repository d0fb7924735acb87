//! Keys that another process deletes or exchanges.

use std::time::Instant;

use super::alarms;
use super::place::{TokenPlace, copy};
use super::scene::{Scene, machine_key};
use crate::harness::eventually;

#[test]
fn the_ca_key_is_deleted_by_another_process_and_brought_back_from_a_copy() {
    let mut scene = Scene::new("key deleted by another process");
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        let folder = turn.appliance.tokens("ca");
        let kept = place.aside();
        copy(&place.folder, &kept);
        let id = place.key_id(&folder);
        turn.at_work();
        place.delete_key(&folder, &id);
        turn.broken();
        turn.clients.refusal();
        alarms::is_raised(turn.appliance, "vmcad", "replaced");
        turn.the_rest_goes_on(true);
        std::fs::remove_dir_all(&place.folder).unwrap();
        place.bring_back();
        turn.recovers(Instant::now());
    });
    alarms::came_and_went(&scene.appliance, "vmcad", "replaced");
    scene.judge();
}

#[test]
fn the_sealing_key_is_exchanged_for_another_one_with_its_id() {
    let mut scene = Scene::new("sealing key exchanged under its id");
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "sealing");
        let folder = turn.appliance.tokens("sealing");
        let kept = place.aside();
        copy(&place.folder, &kept);
        let id = place.id_of_sealing_key(&folder);
        turn.at_work();
        let delete = ["--delete-object", "--type", "secrkey", "--id", &id];
        assert_eq!(place.pkcs11_tool(&folder, &delete).status, 0);
        let make = ["--keygen", "--key-type", "AES:32", "--id", &id, "--label", "another"];
        assert_eq!(place.pkcs11_tool(&folder, &make).status, 0);
        turn.broken();
        eventually("a stored key does not open", || machine_key(turn.appliance).status != 0);
        alarms::is_raised(turn.appliance, "vmafdd", "replaced");
        turn.the_rest_goes_on(true);
        turn.at_work();
        std::fs::remove_dir_all(&place.folder).unwrap();
        place.bring_back();
        turn.keys_recover(Instant::now());
    });
    alarms::came_and_went(&scene.appliance, "vmafdd", "replaced");
    scene.judge();
}
