//! The units for systemd: systemd understands every line, and what keeps secrets from a disk is in all of them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/bin/vmcad", env!("CARGO_BIN_EXE_vmcad")),
    ("/usr/bin/vmafdd", env!("CARGO_BIN_EXE_vmafdd")),
    ("/usr/bin/vmdird", env!("CARGO_BIN_EXE_vmdird")),
    ("/usr/bin/gateway", env!("CARGO_BIN_EXE_gateway")),
    ("/usr/bin/sealwright", env!("CARGO_BIN_EXE_sealwright")),
];

/// What every service says, the agent under its own user included.
const EVERYWHERE: &[&str] = &[
    "LimitCORE=0",
    "LimitMEMLOCK=infinity",
    "MemorySwapMax=0",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=strict",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "UMask=0077",
];

/// Units in which a token agent locks itself in.
const WITH_AGENT: &[&str] =
    &["sealwright-vmcad.service", "sealwright-vmafdd.service", "sealwright-token-agent@.service"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/systemd")
}

fn units() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.ends_with(".service") || name.ends_with(".target"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    found.sort();
    found
}

fn services() -> impl Iterator<Item = (String, String)> {
    units().into_iter().filter(|(name, _)| name.ends_with(".service"))
}

#[test]
fn systemd_understands_every_line() {
    // The programs need not be installed where the tests run.
    let place = tempfile::tempdir().unwrap();
    for (name, mut text) in units() {
        for (installed, built) in PROGRAMS {
            text = text.replace(&format!("ExecStart={installed}"), &format!("ExecStart={built}"));
        }
        fs::write(place.path().join(name), text).unwrap();
    }
    let verify = |files: &[PathBuf]| {
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(files).output()
    };
    let files: Vec<PathBuf> = units().iter().map(|(name, _)| place.path().join(name)).collect();
    let Ok(output) = verify(&files) else {
        eprintln!("LOUD: systemd-analyze is missing (package systemd); units are NOT verified");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    // It would have said so.
    let wrong = place.path().join("sealwright-wrong.service");
    let text = "[Service]\nExecStart=/bin/true\nMemorySwapMaximum=0\n";
    fs::write(&wrong, text).unwrap();
    let output = verify(&[wrong]).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("MemorySwapMaximum"), "{output:?}");
}

#[test]
fn every_service_keeps_its_secrets_from_a_disk() {
    for (name, text) in services() {
        for due in EVERYWHERE {
            assert!(text.lines().any(|line| line == *due), "{name} does not say {due}");
        }
    }
}

/// `@system-service` has neither of these in systemd 252.
#[test]
fn the_filters_of_units_let_an_agent_lock_itself_in() {
    for (name, text) in services().filter(|(name, _)| WITH_AGENT.contains(&name.as_str())) {
        let line = text.lines().find(|line| line.starts_with("SystemCallFilter=@")).unwrap();
        for call in ["seccomp", "landlock_restrict_self", "memfd_secret"] {
            assert!(line.split_whitespace().any(|word| word == call), "{name}: {call}");
        }
    }
    assert_eq!(services().filter(|(name, _)| WITH_AGENT.contains(&name.as_str())).count(), 3);
}

/// Everything that the agent's unit names by role exists for both roles.
#[test]
fn the_users_of_agents_are_made() {
    let users = fs::read_to_string(folder().join("sealwright.sysusers")).unwrap();
    for role in ["ca", "sealing"] {
        assert!(users.lines().any(|line| line.starts_with(&format!("u sealwright-token-{role} "))));
    }
}
