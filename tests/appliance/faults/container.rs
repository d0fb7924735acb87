//! The CA token in a container: its files lie in a volume that only the container has, its agent listens on a socket, and
//! the services run here. Then the container breaks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use token_harness::{AgentContainer, Role};

use super::alarms;
use super::scene::{Scene, Turn};
use super::table::Entry;
use crate::containers::engine::images;
use crate::harness::{Appliance, text};

/// The token agent of the appliance, in a container.
struct Contained {
    agent: AgentContainer,
    /// The token's files. Nobody but the container uses them.
    volume: PathBuf,
    /// Where the container puts them, which is empty here.
    place: PathBuf,
}

impl Contained {
    /// Moves the CA token of an appliance that has not started yet into a container.
    fn take(scene: &Scene, tag: &str) -> Self {
        let appliance = &scene.appliance;
        let (root, place) = (appliance.root(), appliance.tokens("ca"));
        // Beside the root, with a short path: sockets lie in it.
        let folder = root.with_file_name("c");
        let volume = folder.join("volume");
        std::fs::create_dir(&folder).unwrap();
        std::fs::rename(&place, &volume).unwrap();
        std::fs::create_dir(&place).unwrap();
        let mut mounts = vec![(volume.as_path(), text(&place))];
        let spy = spy(appliance);
        if let Some(spy) = &spy {
            mounts.push((spy.as_path(), text(spy)));
        }
        let image = format!("sealwright/token-agent:{tag}");
        let agent = AgentContainer::start(&image, Role::Ca, &folder, (&root, text(&root)), &mounts)
            .unwrap();
        let socket = agent.socket();
        let section = format!(
            "[ca.token.agent]\nsocket = {:?}\nuser = \"{}\"\n",
            text(&socket.path),
            socket.peer
        );
        let config = std::fs::read_to_string(appliance.config()).unwrap();
        std::fs::write(appliance.config(), format!("{config}\n{section}")).unwrap();
        appliance.configure("[ca.token]\n", "[ca.token]\ndeadline_seconds = 1\n");
        appliance.start();
        Self { agent, volume, place }
    }

    /// Another token with the label of ours, in the same volume.
    fn replace(&self, appliance: &Appliance) {
        let ours = self.token();
        std::fs::rename(&ours, self.volume.with_file_name("aside")).unwrap();
        let configuration = appliance.write(
            "volume.conf",
            format!("directories.tokendir = {}\nlog.level = ERROR\n", text(&self.volume)),
        );
        let config = std::fs::read_to_string(appliance.config()).unwrap();
        let labels = config.split("pkcs11:token=").skip(1);
        let label = labels.map(|rest| rest.split([';', '"']).next().unwrap());
        let label = label.into_iter().find(|label| label.ends_with("ca")).unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "another-so-pin", "--pin", "another-pin"])
            .env("SOFTHSM2_CONF", configuration)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn bring_back(&self) {
        let other = self.token();
        let name = std::fs::read_to_string(self.volume.with_file_name("name")).unwrap();
        std::fs::remove_dir_all(other).unwrap();
        std::fs::rename(self.volume.with_file_name("aside"), self.volume.join(name)).unwrap();
    }

    /// The one folder of the token.
    fn token(&self) -> PathBuf {
        let folders = std::fs::read_dir(&self.volume).unwrap();
        let folders: Vec<_> =
            folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1);
        folders[0].clone()
    }
}

/// The file of the module that the appliance is told to load, if that is the spy.
fn spy(appliance: &Appliance) -> Option<PathBuf> {
    let config = std::fs::read_to_string(appliance.config()).unwrap();
    let modules = config.lines().filter_map(|line| line.strip_prefix("module = "));
    let spy = modules.map(|path| path.trim_matches('"')).find(|path| path.ends_with("-spy.so"))?;
    Some(Path::new(spy).to_owned())
}

/// A line of the table, where there is an engine.
fn fault(name: &'static str, breaking: impl FnOnce(&mut Turn<'_>, &Contained)) {
    let Some(tag) = images() else {
        // The first call has said it aloud.
        drop(Entry::without_line());
        return;
    };
    let mut scene = Scene::not_started(name);
    let contained = Contained::take(&scene, tag);
    assert_eq!(std::fs::read_dir(&contained.place).unwrap().count(), 0, "the token is here, too");
    scene.with_clients(|turn| breaking(turn, &contained));
    alarms::is_over(&scene.appliance);
    if let Some(spy) = &scene.spy {
        assert_eq!(spy.wrong_pins(), 0, "a PIN was tried that is wrong");
    }
    scene.judge();
}

#[test]
fn the_container_is_killed_and_started() {
    fault("container of the CA token: docker kill, docker start", |turn, contained| {
        for round in 0..3 {
            turn.at_work();
            contained.agent.kill().unwrap();
            turn.broken();
            turn.clients.refusal();
            if round == 0 {
                turn.the_rest_goes_on(true);
            }
            contained.agent.restart().unwrap();
            turn.recovers(Instant::now());
        }
    });
}

#[test]
fn the_container_is_restarted_under_the_clients() {
    fault("container of the CA token: restarted at once", |turn, contained| {
        for _ in 0..3 {
            turn.at_work();
            contained.agent.restart().unwrap();
            turn.broken();
            turn.recovers(Instant::now());
        }
    });
}

#[test]
fn the_container_is_paused() {
    fault("container of the CA token: docker pause (deadline 1 s)", |turn, contained| {
        for _ in 0..2 {
            turn.at_work();
            contained.agent.pause().unwrap();
            turn.broken();
            let said = turn.clients.refusal();
            assert!(!said.is_empty());
            turn.the_rest_goes_on(true);
            contained.agent.resume().unwrap();
            turn.recovers(Instant::now());
        }
    });
}

#[test]
fn the_line_to_the_container_is_cut() {
    fault("container of the CA token: line cut (deadline 1 s)", |turn, contained| {
        for _ in 0..2 {
            turn.at_work();
            contained.agent.cut(true);
            turn.broken();
            turn.clients.refusal();
            turn.the_rest_goes_on(true);
            contained.agent.cut(false);
            turn.recovers(Instant::now());
        }
    });
}

#[test]
fn the_socket_of_the_container_is_gone() {
    fault("container of the CA token: socket gone, connections ended", |turn, contained| {
        for _ in 0..3 {
            turn.at_work();
            contained.agent.hide_socket(true).unwrap();
            contained.agent.hang_up();
            turn.broken();
            turn.clients.refusal();
            turn.the_rest_goes_on(true);
            contained.agent.hide_socket(false).unwrap();
            turn.recovers(Instant::now());
        }
    });
}

#[test]
fn the_volume_of_the_container_holds_another_token() {
    fault("container of the CA token: volume replaced, same label", |turn, contained| {
        let name = contained.token().file_name().unwrap().to_owned();
        std::fs::write(contained.volume.with_file_name("name"), text(Path::new(&name))).unwrap();
        turn.at_work();
        contained.replace(turn.appliance);
        turn.broken();
        turn.clients.refusal();
        alarms::is_raised(turn.appliance, "vmcad", "replaced");
        turn.the_rest_goes_on(true);
        contained.bring_back();
        turn.recovers(Instant::now());
    });
}
