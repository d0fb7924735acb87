//! What is left of secrets outside memory: command lines, environments, and every file of an appliance.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::canary::Search;
use super::processes::processes;
use crate::harness::{Appliance, eventually};

/// Names of secrets by the place where they were found.
pub type Traces = BTreeMap<String, Vec<String>>;

fn note(traces: &mut Traces, place: String, octets: &[u8], search: &Search) {
    let mut found: Vec<_> =
        search.found_in(octets).iter().map(|(secret, _)| (*secret).to_owned()).collect();
    found.dedup();
    if !found.is_empty() {
        traces.insert(place, found);
    }
}

/// In what anybody on the machine can see of a process.
pub fn in_command_lines(appliance: &Appliance, search: &Search) -> Traces {
    let mut traces = Traces::new();
    for process in processes(appliance) {
        for file in ["cmdline", "environ"] {
            let content = fs::read(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
            note(&mut traces, format!("{file} of {}", process.name), &content, search);
        }
    }
    traces
}

/// In every file below the folder of a test: databases with what lies beside them, logs, journals, configuration,
/// tokens, archives, cores. The paths are relative.
pub fn in_files(appliance: &Appliance, search: &Search) -> Traces {
    let folder = appliance.root().parent().unwrap().to_owned();
    let mut traces = Traces::new();
    let mut seen = 0;
    for path in files(&folder) {
        // A service may have removed it meanwhile.
        let Ok(content) = fs::read(&path) else { continue };
        seen += 1;
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        note(&mut traces, name, &content, search);
    }
    assert!(seen > 20, "only {seen} files were searched");
    traces
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

/// Folders in which the kernel would leave the core of this process.
pub fn core_places(pid: i32) -> Vec<PathBuf> {
    let mut places = vec![fs::read_link(format!("/proc/{pid}/cwd")).unwrap()];
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('/') {
        places.extend(Path::new(pattern.trim()).parent().map(Path::to_owned));
    }
    places
}

/// Whether a program without protection leaves a core in its folder on this machine.
pub fn cores_are_left(folder: &Path) -> bool {
    let _killed = Command::new("sh")
        .args(["-c", "ulimit -c unlimited && kill -ABRT $$"])
        .current_dir(folder)
        .status()
        .unwrap();
    let left = cores(&[folder.to_owned()]);
    left.iter().for_each(|core| fs::remove_file(core).unwrap());
    !left.is_empty()
}

/// Files that look like cores.
pub fn cores(places: &[PathBuf]) -> Vec<PathBuf> {
    let entries =
        places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let name =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("core"));
    files.map(|entry| entry.path()).filter(|path| name(path)).collect()
}

/// Ends a process by a signal that asks for a core.
pub fn kill_for_a_core(pid: i32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
    eventually("the killed service is gone", || {
        // A zombie has no memory map any more.
        fs::read_to_string(format!("/proc/{pid}/maps")).map_or(true, |maps| maps.is_empty())
    });
}
