//! PINs that are wrong, or not there.

use std::time::Instant;

use super::alarms;
use super::place::TokenPlace;
use super::scene::Scene;
use super::service;

#[test]
fn a_wrong_pin_at_start_is_tried_once_by_all_processes_together() {
    let mut scene = Scene::not_started("wrong PIN file at start");
    let pin_file = TokenPlace::of(&scene.appliance, "ca").pin_file();
    let right = std::fs::read_to_string(&pin_file).unwrap();
    std::fs::write(&pin_file, "wrong-pin-wrong-pin").unwrap();
    scene.appliance.start();
    let spy = scene.spy.take();
    scene.with_clients(|turn| {
        turn.broken();
        for _ in 0..20 {
            assert!(turn.clients.refusal().contains("PIN"));
        }
        // The key workshop and the doctor are processes of their own.
        let words = ["--gencacsr", "--newkey", "--csrfile", "x.csr"];
        assert_ne!(turn.appliance.run("certool", &words).status, 0);
        alarms::is_raised(turn.appliance, "vmcad", "pin");
        turn.the_rest_goes_on(true);
        if let Some(spy) = &spy {
            assert_eq!(spy.wrong_pins(), 1, "the spy counts: once is not never");
        }
        std::fs::write(&pin_file, right).unwrap();
        let since = Instant::now();
        turn.appliance.ok("service-control", &["--restart", "vmcad"]);
        turn.recovers(since);
    });
    scene.spy = spy;
    alarms::is_over(&scene.appliance);
    assert_eq!(alarms::journalled(&scene.appliance, "vmcad"), ["token.alarm pin"]);
    assert_eq!(alarms::logged(&scene.appliance, "vmcad"), 1);
    let log = std::fs::read_to_string(scene.appliance.root().join("log/vmcad.log")).unwrap();
    assert!(!log.contains("wrong-pin"), "a PIN never reaches a log");
    scene.judge();
}

#[test]
fn a_pin_that_the_workshop_tried_in_vain_is_not_tried_by_the_next_agent() {
    let mut scene = Scene::not_started("wrong PIN file while serving");
    scene.appliance.start();
    let pin_file = TokenPlace::of(&scene.appliance, "ca").pin_file();
    let right = std::fs::read_to_string(&pin_file).unwrap();
    let spy = scene.spy.take();
    scene.with_clients(|turn| {
        turn.at_work();
        std::fs::write(&pin_file, "wrong-pin-wrong-pin").unwrap();
        let words = ["--gencacsr", "--newkey", "--csrfile", "x.csr"];
        assert_ne!(turn.appliance.run("certool", &words).status, 0);
        // Who is logged in stays so; the next agent would have to log in.
        turn.at_work();
        service::kill(service::child(turn.appliance, "vmcad", "token-agent").unwrap());
        turn.broken();
        for _ in 0..3 {
            assert!(turn.clients.refusal().contains("PIN"));
        }
        alarms::is_raised(turn.appliance, "vmcad", "pin");
        if let Some(spy) = &spy {
            assert_eq!(spy.wrong_pins(), 1, "the spy counts: once is not never");
        }
        std::fs::write(&pin_file, right).unwrap();
        let since = Instant::now();
        turn.appliance.ok("service-control", &["--restart", "vmcad"]);
        turn.recovers(since);
    });
    scene.spy = spy;
    alarms::is_over(&scene.appliance);
    scene.judge();
}

#[test]
fn a_pin_file_that_is_not_there_and_then_is_needs_no_restart() {
    let mut scene = Scene::not_started("PIN file missing, then there");
    let pin_file = TokenPlace::of(&scene.appliance, "ca").pin_file();
    let aside = pin_file.with_extension("aside");
    std::fs::rename(&pin_file, &aside).unwrap();
    scene.appliance.start();
    scene.with_clients(|turn| {
        turn.broken();
        assert!(turn.clients.refusal().contains("PIN"));
        let said = turn.appliance.run("service-control", &["--status"]);
        assert_eq!(said.status, 0, "no PIN was refused, so there is no alarm: {said:?}");
        turn.the_rest_goes_on(true);
        std::fs::rename(&aside, &pin_file).unwrap();
        turn.recovers(Instant::now());
    });
    assert_eq!(alarms::journalled(&scene.appliance, "vmcad"), [""; 0]);
    scene.judge();
}
