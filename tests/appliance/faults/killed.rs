//! Every service killed while certificates are issued, at points that nobody chose.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::scene::Scene;
use super::service;

/// Some time below this one; another one in every run.
fn any_below(limit: Duration) -> Duration {
    let limit = u64::try_from(limit.as_micros()).unwrap();
    Duration::from_micros(RandomState::new().hash_one(limit) % limit)
}

/// Without the one that is killed the CA issues on, or not.
fn killed(fault: &'static str, name: &str, rounds: usize) {
    let mut scene = Scene::new(fault);
    scene.with_clients(|turn| {
        for round in 0..rounds {
            turn.at_work();
            // Not to wait for anything: so that it dies in another place each time.
            std::thread::sleep(any_below(Duration::from_millis(80)));
            service::kill(service::process(turn.appliance, name));
            turn.broken();
            if name == "vmcad" {
                turn.clients.refusal();
                if round == 0 {
                    turn.the_rest_goes_on(false);
                }
            } else {
                turn.at_work();
            }
            let since = Instant::now();
            turn.appliance.ok("service-control", &["--start", name]);
            if name == "vmcad" {
                turn.recovers(since);
            }
        }
    });
    scene.judge();
}

#[test]
fn vmcad_is_killed_while_it_issues() {
    killed("kill -9 of vmcad", "vmcad", 8);
}

#[test]
fn vmafdd_is_killed_while_vmcad_issues() {
    killed("kill -9 of vmafdd", "vmafdd", 3);
}

#[test]
fn vmdird_is_killed_while_vmcad_issues() {
    killed("kill -9 of vmdird", "vmdird", 3);
}

#[test]
fn the_gateway_is_killed_while_vmcad_issues() {
    killed("kill -9 of gateway", "gateway", 3);
}
