//! The workflow that others copy: its steps, as they stand, against the image.

use std::path::Path;
use std::process::{Command, Stdio};

use super::contained::Container;
use super::engine::{docker, docker_ok, images, labels};
use crate::harness::{Said, eventually, free_port};

/// The scripts behind `run: |`, in their order: a block of YAML ends where the indentation does.
fn steps(workflow: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() != "run: |" {
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        let mut step = String::new();
        while let Some(line) = lines.next_if(|line| {
            line.trim().is_empty() || line.len() - line.trim_start().len() > indentation
        }) {
            step.push_str(line.get(indentation + 2..).unwrap_or_default());
            step.push('\n');
        }
        steps.push(step);
    }
    steps
}

#[test]
fn the_steps_of_the_workflow_for_github_work() {
    let Some(tag) = images() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/examples/github-workflow.yml");
    let workflow = std::fs::read_to_string(file).unwrap();
    let steps = steps(&workflow);
    assert_eq!(steps.len(), 3, "{steps:#?}");

    // As GitHub starts it: the service's variables, a port, no command.
    let (port, service_port) = (free_port().to_string(), free_port().to_string());
    let (labels, image) = (labels(), format!("sealwright/appliance:{tag}"));
    let publish = format!("127.0.0.1:{port}:443");
    let words =
        ["run", "--detach", "--label", &labels[0], "--label", &labels[1], "--publish", &publish];
    let variables = ["--env", "SEALWRIGHT_HOSTNAME=localhost"];
    let started = docker_ok(&[&words[..], &variables, &[&image]].concat());
    let container = Container(started.trim().to_owned());
    let health =
        || docker(&["inspect", "--format", "{{.State.Health.Status}}", &container.0]).stdout;
    eventually("the service is healthy", || health().trim() == "healthy");

    let folder = tempfile::tempdir().unwrap();
    for step in steps {
        // As GitHub runs a step.
        let said: Said = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step])
            .env("APPLIANCE", &container.0)
            .env("PORT", &port)
            .env("SERVICE_PORT", &service_port)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into();
        assert_eq!(said.status, 0, "{step}\n{said:?}");
    }
    let answer = std::fs::read_to_string(folder.path().join("answer.html")).unwrap();
    assert!(answer.contains("Ciphers supported"), "{answer}");
}
