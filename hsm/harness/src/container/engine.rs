//! The container engine, asked by its own client: what testcontainers does not offer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::Failure;
use crate::error::Asked;

/// The containers of this crate have it; its value says whose they are.
pub(super) const LABEL: &str = "org.sealwright.token-harness";

/// Whether an engine answers.
///
/// # Errors
/// None does. The sentence says how to start one.
pub fn engine() -> Result<(), Failure> {
    docker(&["version", "--format", "{{.Server.Version}}"]).map(drop).map_err(|failure| {
        Failure::Missing(format!(
            "no container engine answers: start one (in this repository: scripts/docker-up), or set DOCKER_HOST \
             ({failure})"
        ))
    })
}

/// Whether the image is there: testcontainers would look for a missing one in a registry first.
pub(super) fn has_image(image: &str) -> Result<(), Failure> {
    engine()?;
    docker(&["image", "inspect", "--format", "{{.Id}}", image]).map(drop).map_err(|_| {
        Failure::Missing(format!(
            "the image {image} is not there: scripts/images token-agent builds it, without a registry where there is none"
        ))
    })
}

/// Runs the client to its end; what it printed.
pub(super) fn docker(words: &[&str]) -> Result<String, Failure> {
    run(words, None)
}

/// The same with something on its standard input.
pub(super) fn docker_with(words: &[&str], input: &str) -> Result<String, Failure> {
    run(words, Some(input))
}

fn run(words: &[&str], input: Option<&str>) -> Result<String, Failure> {
    let mut child = Command::new("docker")
        .args(words)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .asked("run docker")?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).asked("speak to docker")?;
    }
    let output = child.wait_with_output().asked("wait for docker")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Said(format!("docker {}: {}", words.first().unwrap_or(&""), said.trim())))
}

/// Whose the containers of this process are: machine, process, and when that started.
pub(super) fn owner() -> &'static str {
    static OWNER: OnceLock<String> = OnceLock::new();
    OWNER.get_or_init(|| {
        let process = std::process::id();
        format!("{}/{process}/{}", machine(), started(process).unwrap_or_default())
    })
}

/// Where process numbers mean the same: this boot of this machine, and this room of process numbers.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let room = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}{}", boot.trim(), room.display())
}

/// Clock ticks since the boot (`/proc/PID/stat`, the 22nd field). `None`: there is no such process.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    // The name of the program, in parentheses, may hold anything.
    let stat = stat.ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Removes containers that tests left behind which were killed before they could do it themselves. Those of tests that
/// still run, and those of other machines, stay. Called before the first container of a process; may be called at any
/// time.
///
/// # Errors
/// There is no engine.
pub fn remove_leftovers() -> Result<(), Failure> {
    let filter = format!("label={LABEL}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    for line in docker(&["ps", "--all", "--filter", &filter, "--format", &format])?.lines() {
        let Some((container, owner)) = line.split_once(' ') else { continue };
        let mut parts = owner.rsplitn(3, '/');
        let (Some(start), Some(process), Some(of)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let lives = process.parse().ok().and_then(started).is_some_and(|found| found == start);
        if of == machine() && !lives {
            // Somebody else may be at it.
            let _ = docker(&["rm", "--force", "--volumes", container]);
        }
    }
    Ok(())
}
