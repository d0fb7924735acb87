//! Token agents that are killed, stand still, or hang inside the module.

use std::time::Instant;

use rustix::process::Pid;

use super::blocked::Blocked;
use super::place::TokenPlace;
use super::scene::{Scene, Turn};
use super::service::{self, StandingStill};
use crate::harness::eventually;

fn agent(turn: &Turn<'_>) -> Pid {
    let mut found = None;
    eventually("vmcad has a token agent", || {
        found = service::child(turn.appliance, "vmcad", "token-agent");
        found.is_some()
    });
    found.unwrap()
}

fn impatient(fault: &'static str) -> Scene {
    let scene = Scene::not_started(fault);
    scene.appliance.configure("[ca.token]\n", "[ca.token]\ndeadline_seconds = 1\n");
    scene.appliance.start();
    scene
}

#[test]
fn the_agent_is_killed_while_it_signs() {
    let mut scene = Scene::new("kill -9 of the token agent");
    scene.with_clients(|turn| {
        for _ in 0..8 {
            turn.at_work();
            service::kill(agent(turn));
            turn.broken();
            turn.recovers(Instant::now());
        }
    });
    scene.judge();
}

#[test]
fn the_agent_stands_still_and_is_ended_at_its_deadline() {
    let mut scene = impatient("SIGSTOP of the token agent (deadline 1 s)");
    scene.with_clients(|turn| {
        for _ in 0..2 {
            turn.at_work();
            let hung = agent(turn);
            let still = StandingStill::of(hung);
            turn.broken();
            let since = Instant::now();
            turn.the_rest_goes_on(true);
            // Nobody continues it: the service ends it and starts another.
            turn.recovers(since);
            eventually("the agent that stood still is gone", || service::is_gone(hung));
            drop(still);
        }
    });
    scene.judge();
}

#[test]
fn a_call_hangs_in_the_module_past_its_deadline() {
    let mut scene = impatient("module hangs past the deadline of 1 s");
    scene.with_clients(|turn| {
        let place = TokenPlace::of(turn.appliance, "ca");
        for _ in 0..2 {
            turn.at_work();
            let hung = agent(turn);
            let blocked = Blocked::keys_of(&place);
            turn.broken();
            eventually("a call into the token waits for the lock", || blocked.is_waited_for());
            eventually("the agent that hangs is ended", || service::is_gone(hung));
            turn.the_rest_goes_on(true);
            drop(blocked);
            turn.recovers(Instant::now());
        }
    });
    scene.judge();
}
