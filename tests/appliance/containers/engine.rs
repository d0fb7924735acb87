//! The Docker engine, and the images of the programs under test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::harness::Said;

/// Set where an engine can be started: then these tests must run.
const REQUIRED: &str = "SEALWRIGHT_REQUIRE_DOCKER";

/// The tag of the images that these tests made, or nothing where there is no engine; the first call says so.
pub fn images() -> Option<&'static str> {
    static TAG: OnceLock<Option<String>> = OnceLock::new();
    TAG.get_or_init(|| {
        let version = docker(&["version", "--format", "{{.Server.Version}}"]);
        if version.status != 0 {
            let required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
            assert!(!required, "no Docker engine answers, and {REQUIRED}=1: {}", version.stderr);
            eprintln!(
                "LOUD: no Docker engine answers (scripts/docker-up starts one), so NOTHING is tried in containers"
            );
            return None;
        }
        remove_what_was_left();
        build();
        Some(tag())
    })
    .as_deref()
}

/// One tag for each tree: others may build on this machine, too.
fn tag() -> String {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    format!("test-{:016x}", hasher.finish())
}

fn build() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = Path::new(env!("CARGO_BIN_EXE_sealwright")).parent().unwrap();
    let said: Said = Command::new(tree.join("scripts/images"))
        .args(["--tag", &tag(), "--programs"])
        .arg(programs)
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into();
    assert_eq!(said.status, 0, "scripts/images: {}{}", said.stdout, said.stderr);
}

/// Labels of a container of this process.
pub fn labels() -> [String; 2] {
    [format!("sealwright.tree={}", tag()), format!("sealwright.process={}", std::process::id())]
}

/// Containers of a run that was killed; those of one that goes on are left alone.
fn remove_what_was_left() {
    let filter = format!("label=sealwright.tree={}", tag());
    let format = "{{.ID}} {{.Label \"sealwright.process\"}}";
    let listed = docker(&["ps", "--all", "--filter", &filter, "--format", format]).stdout;
    for (container, process) in listed.lines().filter_map(|line| line.split_once(' ')) {
        if !Path::new("/proc").join(process).exists() {
            docker(&["rm", "--force", "--volumes", container]);
        }
    }
}

/// Runs the Docker client.
pub fn docker(words: &[&str]) -> Said {
    match Command::new("docker").args(words).stdin(Stdio::null()).output() {
        Ok(output) => output.into(),
        Err(cause) => {
            Said { status: -1, stdout: String::new(), stderr: format!("docker: {cause}") }
        }
    }
}

/// The same, and it must succeed; its standard output.
pub fn docker_ok(words: &[&str]) -> String {
    let said = docker(words);
    assert_eq!(said.status, 0, "docker {words:?}: {said:?}");
    said.stdout
}
