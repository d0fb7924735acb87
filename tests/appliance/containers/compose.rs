//! `docker/compose.yml`: the appliance under its stand-in enterprise CA, twice.

use std::path::Path;
use std::process::{Command, Stdio};

use super::engine::{docker, docker_ok, images};
use crate::harness::{Said, eventually, free_port, judge, text};

/// A project of docker-compose; everything of it is removed when it is dropped.
struct Project {
    name: String,
    port: u16,
    program: &'static [&'static str],
}

impl Project {
    fn new() -> Option<Self> {
        images()?;
        let programs: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let found = programs.into_iter().find(|program| {
            let mut command = Command::new(program[0]);
            command
                .args(&program[1..])
                .arg("version")
                .output()
                .is_ok_and(|said| said.status.success())
        });
        let Some(program) = found else {
            eprintln!("LOUD: there is no docker-compose, so docker/compose.yml is NOT tried");
            return None;
        };
        let name = format!("sealwright-test-{}", std::process::id());
        Some(Self { name, port: free_port(), program })
    }

    fn run(&self, words: &[&str]) -> Said {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/compose.yml");
        Command::new(self.program[0])
            .args(&self.program[1..])
            .args(["--project-name", &self.name, "--file", text(&file)])
            .args(words)
            .env("SEALWRIGHT_TAG", images().unwrap())
            .env("SEALWRIGHT_PUBLISH", format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.status, 0, "{words:?}: {said:?}");
        said.stdout
    }

    /// Waits until the service that does one thing has done it; what it said.
    fn enrolled(&self) -> String {
        let container = self.ok(&["ps", "--quiet", "enrol"]);
        let container = container.trim();
        let state = |format: &str| docker_ok(&["inspect", "--format", format, container]);
        eventually("the enrolment has ended", || state("{{.State.Status}}").trim() == "exited");
        let said = docker(&["logs", container]);
        assert_eq!(state("{{.State.ExitCode}}").trim(), "0", "{said:?}");
        said.stdout
    }

    /// The certificate that the published port presents, verified up to this root.
    fn presented(&self, root: &str) -> String {
        let connect = format!("127.0.0.1:{}", self.port);
        let name = "appliance.example.test";
        let words =
            ["s_client", "-connect", &connect, "-servername", name, "-verify_hostname", name];
        let said =
            judge("openssl", &[&words[..], &["-CAfile", root, "-verify_return_error"]].concat());
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        said.split("-----BEGIN CERTIFICATE-----")
            .nth(1)
            .unwrap()
            .split("-----END")
            .next()
            .unwrap()
            .to_owned()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--timeout", "20"]);
    }
}

#[test]
fn it_sets_itself_up_under_the_enterprise_ca_and_survives_a_restart() {
    let Some(project) = Project::new() else { return };
    project.ok(&["up", "--detach"]);
    assert!(project.enrolled().contains("enrolled: trust the root"));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.cer");
    let written = project.ok(&["exec", "-T", "enterprise-ca", "cat", "/srv/desk/root.cer"]);
    std::fs::write(&root, written).unwrap();
    let before = project.presented(text(&root));

    // Containers are made anew, volumes stay.
    project.ok(&["down"]);
    project.ok(&["up", "--detach"]);
    assert!(project.enrolled().contains("enrolled already"));
    assert_eq!(project.presented(text(&root)), before);
    let listed = project.ok(&["exec", "-T", "appliance", "sealwright", "ca", "list"]);
    assert!(listed.contains("Example"), "the active CA is no intermediate:\n{listed}");
}
