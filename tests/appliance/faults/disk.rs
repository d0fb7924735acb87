//! No room for the records of `vmcad`.

use std::time::Instant;

use super::scene::Scene;
use crate::storage::SmallDisk;

#[test]
fn no_room_for_the_record_of_a_certificate() {
    let mut scene = Scene::not_started("disk full below vmcad");
    let place = scene.appliance.root().join("lib/vmcad");
    let disk = SmallDisk::over(&place, "8m");
    scene.appliance.start();
    scene.with_clients(|turn| {
        turn.at_work();
        let Some(disk) = &disk else { return };
        disk.fill();
        turn.broken();
        let said = turn.clients.refusal();
        assert!(said.contains("disk is full"), "{said}");
        turn.the_rest_goes_on(true);
        disk.make_room();
        turn.recovers(Instant::now());
    });
    scene.judge();
    drop(disk);
}
