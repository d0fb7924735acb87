//! A service that stands still and goes on.

use std::time::Instant;

use super::scene::Scene;
use super::service::{self, StandingStill};

#[test]
fn vmcad_stands_still_and_goes_on() {
    let mut scene = Scene::new("SIGSTOP of vmcad");
    scene.with_clients(|turn| {
        for _ in 0..2 {
            turn.at_work();
            let still = StandingStill::of(service::process(turn.appliance, "vmcad"));
            turn.broken();
            turn.the_rest_goes_on(false);
            drop(still);
            turn.recovers(Instant::now());
        }
    });
    scene.judge();
}
