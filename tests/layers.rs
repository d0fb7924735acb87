//! The import table as data: rooms own business, floors own technique, imports point down.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module -> what it may import besides itself. The order is the order of the floors.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("x509", &["base"]),
    ("store", &["base"]),
    ("access", &["base"]),
    ("journal", &["base", "store", "hsm"]),
    ("policy", &["base", "x509", "hsm"]),
    ("ca", &["base", "x509", "store", "hsm", "access", "journal"]),
    ("vecs", &["base", "x509", "store", "hsm", "access", "journal"]),
    ("directory", &["base", "x509", "store", "hsm", "access", "journal"]),
    ("api", &["base"]),
    ("agent", &["base", "config", "hsm", "hardening", "log", "policy"]),
    ("log", &[]),
    ("config", &["base", "hsm", "hardening"]),
    ("client", &["base", "api"]),
    ("http", &["base", "api", "access", "ca", "vecs", "directory", "x509"]),
    ("supervise", &["base", "api", "client", "config", "hsm"]),
    ("workshop", &["base", "api", "config", "hsm", "hardening", "policy"]),
    ("hardening", &["base"]),
    (
        "gateway",
        &["base", "api", "access", "client", "config", "http", "x509", "hardening", "daemon"],
    ),
    ("cli", &["base", "x509", "api", "client", "config", "supervise", "hsm"]),
    (
        "daemon",
        &[
            "base",
            "x509",
            "store",
            "hsm",
            "access",
            "journal",
            "policy",
            "ca",
            "vecs",
            "directory",
            "api",
            "config",
            "client",
            "http",
            "supervise",
            "workshop",
            "agent",
            "hardening",
            "log",
        ],
    ),
    (
        "setup",
        &[
            "agent",
            "base",
            "x509",
            "store",
            "hsm",
            "api",
            "config",
            "client",
            "supervise",
            "workshop",
            "cli",
            "hardening",
        ],
    ),
];

/// Files in which a secret may be looked at; a new line here is a review.
const EXPOSING: &[&str] = &[
    // The types themselves.
    "src/api/key_text.rs",
    "src/base/secret.rs",
    // PEM and DER of private keys.
    "src/x509/private_key.rs",
    // Words of a request become a secret, and back.
    "src/http/ca.rs",
    "src/http/vecs/mod.rs",
    // Checked against the certificate and sealed; opened.
    "src/vecs/entries.rs",
    "src/vecs/envelope.rs",
    // Into TLS.
    "src/gateway/certificate.rs",
    // Files and terminals of the command-line tools.
    "src/cli/certool/keys.rs",
    "src/cli/terminal.rs",
    "src/cli/vecs_cli/entries.rs",
    // PINs on their way to a token, to a file, or to a child's standard input.
    "src/daemon/token.rs",
    "src/setup/machine.rs",
    "src/setup/tokens.rs",
    "src/supervise/launch.rs",
    "src/workshop/process.rs",
];

/// Where SQL may stand.
fn may_hold_sql(path: &str) -> bool {
    path.ends_with("/records.rs")
        || path.contains("/records/")
        || path.starts_with("src/store/")
        || path.starts_with("src/journal/")
}

/// Where code may be async.
fn may_be_async(path: &str) -> bool {
    path.starts_with("src/http/") || path.starts_with("src/gateway/")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Tests and fuzz targets of a room may put together what the room itself must not know.
fn is_test(path: &str) -> bool {
    ["/tests/", "/fuzzing/"].iter().any(|folder| path.contains(folder))
        || ["/tests.rs", "/fuzzing.rs"].iter().any(|file| path.ends_with(file))
}

/// Every source file of the package: path from the root of the tree, code without comments and
/// without tests, which stand at the end of a file.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .split("#[cfg(test)]\n#[allow(clippy::unwrap_used")
            .next()
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        (name, code)
    };
    sources(&root.join("src")).iter().map(read).filter(|(path, _)| !is_test(path)).collect()
}

/// Modules named after `crate::` in the code; `use crate::{a, b::c}` names two.
fn imported(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut item) = (1, String::new());
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && character == ',') {
                    names.extend(first_segment(item.trim()));
                    item.clear();
                    if depth == 0 {
                        break;
                    }
                } else {
                    item.push(character);
                }
            }
        } else {
            names.extend(first_segment(rest));
        }
    }
    for (at, _) in code.match_indices("hsm::") {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
            names.insert("hsm".to_owned());
        }
    }
    names
}

fn first_segment(path: &str) -> Option<String> {
    let name: String = path
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn module_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let (module, rest) = below.split_once('/')?;
    (module != "bin" && !rest.is_empty()).then_some(module)
}

#[test]
fn imports_point_down_and_rooms_never_import_each_other() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut broken = Vec::new();
    for (path, code) in files() {
        let Some(module) = module_of(&path) else { continue };
        let Some(allowed) = table.get(module) else {
            broken.push(format!("{path}: '{module}' is not in the table"));
            continue;
        };
        for name in imported(&code) {
            if name != module && !allowed.contains(&name.as_str()) {
                broken.push(format!("{path}: {module} must not import {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_table_itself_has_no_cycle() {
    // Repeatedly take away modules whose imports are all gone; what stays is a cycle.
    let mut left: BTreeMap<&str, BTreeSet<&str>> = TABLE
        .iter()
        .map(|(name, imports)| (*name, imports.iter().copied().filter(|i| *i != "hsm").collect()))
        .collect();
    loop {
        let free: Vec<&str> =
            left.iter().filter(|(_, imports)| imports.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            left.remove(name);
            for imports in left.values_mut() {
                imports.remove(name);
            }
        }
    }
    assert!(left.is_empty(), "a cycle among {:?}", left.keys());
}

fn offenders(pattern: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    files()
        .into_iter()
        .filter(|(path, code)| {
            !allowed(path) && pattern.iter().any(|pattern| code.contains(pattern))
        })
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn async_code_stays_at_the_edge() {
    assert_eq!(offenders(&["async fn", "async move", ".await"], may_be_async), [""; 0]);
}

#[test]
fn secrets_are_exposed_only_where_the_list_says() {
    let found = offenders(&["expose_secret("], |path| EXPOSING.contains(&path));
    assert_eq!(found, [""; 0]);
    let unused: Vec<_> = EXPOSING
        .iter()
        .filter(|listed| {
            !files().iter().any(|(path, code)| path == *listed && code.contains("expose_secret("))
        })
        .collect();
    assert!(unused.is_empty(), "listed but not needed: {unused:?}");
}

#[test]
fn sql_stands_beside_the_types_it_fills() {
    let words = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE TABLE"];
    assert_eq!(offenders(&words, may_hold_sql), [""; 0]);
}

#[test]
fn only_the_custody_crate_knows_cryptoki() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    assert!(!manifest.unwrap().contains("cryptoki ="));
    assert_eq!(offenders(&["cryptoki::"], |_| false), [""; 0]);
}

/// The compiler forbids unsafe code where a manifest takes the lints of the workspace.
#[test]
fn unsafe_code_stays_in_two_small_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest =
        |folder: &str| std::fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
    let top = manifest(".");
    assert!(top.contains("unsafe_code = \"forbid\""));
    let members = top.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<_> =
        members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    let own_rules: Vec<_> = members
        .iter()
        .filter(|member| !manifest(member).contains("[lints]\nworkspace = true\n"))
        .collect();
    assert_eq!(
        own_rules,
        [&"hsm/secret-memory", &"hsm/fault-module"],
        "members that do not take the lints of the workspace"
    );
    // Each stands alone: what it argues can be read in it.
    let needs = |folder: &str| {
        let manifest = manifest(folder);
        let lines =
            manifest.split("[dependencies]\n").nth(1).unwrap().split("\n\n").next().unwrap();
        lines.lines().map(|line| line.split(" =").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(needs("hsm/secret-memory"), ["libc"]);
    assert_eq!(needs("hsm/fault-module"), ["cryptoki-sys", "libloading"]);
}

/// The module that breaks on purpose is for tests: nothing that is shipped is built with it.
#[test]
fn the_fault_module_is_a_dependency_of_tests_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["", "hsm", "hsm/secret-memory"] {
        let manifest = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        let shipped = manifest.split("[dependencies]").nth(1).unwrap();
        let shipped = shipped.split("[dev-dependencies]").next().unwrap();
        assert!(!shipped.contains("fault-module"), "{folder}");
    }
    let top = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let built = top.lines().find(|line| line.starts_with("default-members")).unwrap();
    assert!(!built.contains("fault-module"));
    // All of its unsafe code is in one folder, which the compiler sees to.
    let crate_root = std::fs::read_to_string(root.join("hsm/fault-module/src/lib.rs")).unwrap();
    let code: Vec<_> = crate_root.lines().filter(|line| !line.starts_with("//")).collect();
    assert!(code.contains(&"#![deny(unsafe_code)]"));
    let allowed: Vec<_> = code.iter().filter(|line| line.contains("allow(unsafe_code)")).collect();
    assert_eq!(allowed.len(), 1);
    let of: Vec<_> = sources(&root.join("hsm/fault-module"))
        .iter()
        .filter(|path| std::fs::read_to_string(path).unwrap().contains("allow(unsafe_code"))
        .map(|path| path.strip_prefix(root).unwrap().display().to_string())
        .collect();
    assert_eq!(of, ["hsm/fault-module/src/lib.rs"]);
}
