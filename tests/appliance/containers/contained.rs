//! An appliance in a container, with every volume below a folder of this machine that looks like the root folder of an
//! appliance: so the tools and `verify` work on it from outside.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::engine::{docker, docker_ok, images, labels};
use crate::harness::{Appliance, HOST, Said, eventually, text};

/// The user of the images.
const SERVICE_USER: u32 = 10443;

/// What the first process says when everything runs.
const READY: &str = "ready: https://";

/// Where the volumes of the image lie in the root folder of an appliance.
const VOLUMES: [(&str, &str); 5] = [
    ("etc", "/etc/sealwright"),
    ("lib", "/var/lib/sealwright"),
    ("lib/tokens", "/var/lib/sealwright/tokens"),
    ("run", "/run/sealwright"),
    ("log", "/var/log/sealwright"),
];

/// An appliance in a container.
pub struct Contained {
    // Dropped before the folder goes.
    container: Container,
    pub appliance: Appliance,
}

/// A container, by name or id; removed when it is dropped.
pub struct Container(pub String);

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

impl Contained {
    /// Set up and running; nothing where there is no engine.
    pub fn running() -> Option<Self> {
        let contained = Self::bare()?;
        contained.create(&[], &["--hostname", HOST]);
        contained.wait_ready();
        Some(contained)
    }

    /// Folders without a container.
    pub fn bare() -> Option<Self> {
        images()?;
        let appliance = Appliance::bare();
        for (below, _) in VOLUMES {
            let folder = appliance.root().join(below);
            std::fs::create_dir_all(&folder).unwrap();
            give(&folder);
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sealwright-test-{}-{number}", std::process::id());
        Some(Self { container: Container(name), appliance })
    }

    pub fn name(&self) -> &str {
        &self.container.0
    }

    /// Makes and starts the container, with these options of `docker run` besides; a mount replaces the one of the
    /// same place.
    pub fn create(&self, options: &[&str], command: &[&str]) {
        let image = format!("sealwright/appliance:{}", images().unwrap());
        let publish = format!("127.0.0.1:{}:443", self.appliance.port);
        let (labels, user) = (labels(), user());
        let mut words = vec!["run", "--detach", "--read-only", "--name", self.name()];
        words.extend(["--label", &labels[0], "--label", &labels[1], "--publish", &publish]);
        words.extend(["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", &user]);
        let mounts: Vec<String> = VOLUMES
            .iter()
            .filter(|(_, place)| !options.iter().any(|option| mounts_at(option, place)))
            .map(|(below, place)| format!("{}:{place}", text(&self.appliance.root().join(below))))
            .collect();
        mounts.iter().for_each(|mount| words.extend(["--volume", mount]));
        words.extend(options);
        words.push(&image);
        words.extend(command);
        docker_ok(&words);
    }

    /// Takes the container away; the volumes stay.
    pub fn remove(&self) {
        docker_ok(&["rm", "--force", "--volumes", self.name()]);
    }

    /// Waits until the first process of the container has said once more than `before` that everything runs.
    fn wait_ready_after(&self, before: usize) {
        eventually("the container is ready", || {
            if self.ready_lines() > before {
                return true;
            }
            assert!(self.is_running(), "the container ended:\n{}", self.logs());
            false
        });
    }

    pub fn wait_ready(&self) {
        self.wait_ready_after(0);
    }

    /// Does something that makes the container start anew, and waits until it is ready again.
    pub fn ready_again(&self, act: impl FnOnce(&Self)) {
        let before = self.ready_lines();
        act(self);
        self.wait_ready_after(before);
    }

    fn ready_lines(&self) -> usize {
        self.logs().lines().filter(|line| line.starts_with(READY)).count()
    }

    pub fn is_running(&self) -> bool {
        self.state("{{.State.Running}}") == "true"
    }

    /// Waits for its end; the exit status.
    pub fn wait_ended(&self) -> i32 {
        eventually("the container ends", || !self.is_running());
        self.state("{{.State.ExitCode}}").parse().unwrap()
    }

    pub fn state(&self, format: &str) -> String {
        docker_ok(&["inspect", "--format", format, self.name()]).trim().to_owned()
    }

    /// Everything that the container said.
    pub fn logs(&self) -> String {
        let said = docker(&["logs", self.name()]);
        said.stdout + &said.stderr
    }

    /// Does something with the container: `docker VERB … NAME`.
    pub fn docker(&self, words: &[&str]) {
        docker_ok(&[words, &[self.name()]].concat());
    }

    /// Runs a program in the container.
    pub fn exec(&self, words: &[&str]) -> Said {
        docker(&[&["exec", self.name()], words].concat())
    }

    /// The same, and it must succeed; its standard output.
    pub fn exec_ok(&self, words: &[&str]) -> String {
        let said = self.exec(words);
        assert_eq!(said.status, 0, "{words:?}: {said:?}\n{}", self.logs());
        said.stdout
    }

    /// A folder beside the root folder that the services own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.appliance.file(name);
        std::fs::create_dir_all(&folder).unwrap();
        give(&folder);
        folder
    }

    /// What the trust anchor is, as a file.
    pub fn root_cer(&self) -> PathBuf {
        self.appliance.root().join("lib/vmca/root.cer")
    }
}

/// Gives a file to the user of the services. Root does; anybody else has the services run as himself.
pub fn give(path: &std::path::Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(SERVICE_USER), Some(SERVICE_USER)).unwrap();
    }
}

/// The user of the container: a user who is not root gives away no files.
pub fn user() -> String {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    match user.is_root() {
        true => format!("{SERVICE_USER}:{SERVICE_USER}"),
        false => format!("{}:{}", user.as_raw(), group.as_raw()),
    }
}

/// Whether an option of `docker run`, `PLACE:OPTIONS` or `FOLDER:PLACE:OPTIONS`, mounts something there.
fn mounts_at(option: &str, place: &str) -> bool {
    option.split(':').any(|part| part == place)
}
