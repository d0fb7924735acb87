//! Files and folders: who could read or change them.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::report::{Check, Severity};
use super::seen::{Seen, certificates};
use crate::base::Service;
use crate::config::TokenRole;

/// Bits that let the group or others do anything.
const NOT_PRIVATE: u32 = 0o077;
/// Bits that let the group or others change something.
const WRITABLE: u32 = 0o022;

/// What a file must be like, and what is said if it is not.
struct Rule {
    forbidden: u32,
    severity: Severity,
    why: &'static str,
}

const PIN: Rule = Rule {
    forbidden: NOT_PRIVATE,
    severity: Severity::Critical,
    why: "whoever reads the PIN uses the token's keys, and with a software token takes them away",
};
const DATABASE: Rule = Rule {
    forbidden: NOT_PRIVATE,
    severity: Severity::Critical,
    why: "databases hold what was issued, who may do what, and sealed keys; whoever writes them \
          changes that",
};
const TOKEN_FILE: Rule = Rule {
    forbidden: NOT_PRIVATE,
    severity: Severity::Critical,
    why: "a software token's files hold its keys, protected by the PIN alone; whoever changes them \
          destroys the token",
};
const ISSUERS: Rule = Rule {
    forbidden: WRITABLE,
    severity: Severity::Critical,
    why: "the CA certificates known for a key decide below which names, dates and constraints it signs",
};
const CONFIGURATION: Rule = Rule {
    forbidden: WRITABLE,
    severity: Severity::Critical,
    why: "the configuration says which library is loaded with access to the keys, and who administers",
};
const RUN: Rule = Rule {
    forbidden: WRITABLE,
    severity: Severity::Critical,
    why: "whoever can write here can put a socket of their own in the place of a service's",
};
const PUBLIC: Rule = Rule {
    forbidden: WRITABLE,
    severity: Severity::Critical,
    why: "scripts trust the certificates in this file",
};

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    vec![
        pins(seen),
        databases(seen),
        token_folders(seen),
        configuration(seen),
        sockets(seen),
        root_cer(seen),
    ]
}

/// Looks at one file or folder; what it is comes back if it could be seen.
fn look(check: &mut Check, seen: &Seen<'_>, path: &Path, rule: &Rule) -> Option<Metadata> {
    let place = path.display();
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return None,
        Err(cause) => {
            unseen(check, path, &cause);
            return None;
        }
    };
    if found.is_symlink() {
        check.find(
            Severity::Warning,
            format!("{place} is a symbolic link"),
            "what it points to can be changed without changing anything here",
            "put the file itself in this place",
        );
        return Some(found);
    }
    let mode = found.mode() & 0o7777;
    if mode & rule.forbidden != 0 {
        let right = if found.is_dir() { 0o700 } else { 0o600 };
        check.find(
            rule.severity,
            format!("{place} is open to others: its mode is {mode:04o}"),
            rule.why,
            if rule.forbidden == WRITABLE {
                format!("run `chmod go-w {place}`, and look whether it was changed")
            } else {
                format!(
                    "run `chmod {right:04o} {place}`; treat what is in it as known to others, and \
                     replace it (for a PIN: change the PIN)"
                )
            },
        );
    }
    if let Some(owner) = strange_owner(seen, &found) {
        check.find(
            rule.severity,
            format!("{place} belongs to the user with the number {owner}"),
            rule.why,
            "give it to the user of the services, and find out how it came to belong to another",
        );
    }
    Some(found)
}

/// Root and the user to whom the state folder belongs are no strangers.
fn strange_owner(seen: &Seen<'_>, found: &Metadata) -> Option<u32> {
    let service = fs::metadata(seen.layout.state()).ok()?.uid();
    (found.uid() != 0 && found.uid() != service).then_some(found.uid())
}

fn unseen(check: &mut Check, path: &Path, cause: &std::io::Error) {
    check.find(
        Severity::Warning,
        format!("{} cannot be looked at: {cause}", path.display()),
        "what is not seen is not checked",
        "run the doctor as root or as the user of the services",
    );
}

fn entries(check: &mut Check, folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths
        }
        Err(cause) if cause.kind() == ErrorKind::NotFound => Vec::new(),
        Err(cause) => {
            unseen(check, folder, &cause);
            Vec::new()
        }
    }
}

fn pins(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("files.pins", "PIN files can be read by their owner only");
    let mut files = Vec::new();
    let own = seen.layout.pins();
    if look(&mut check, seen, &own, &PIN).is_some() {
        files.extend(entries(&mut check, &own));
    }
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let section = seen.config.token(role);
        if let Ok(hsm::PinSource::File(path)) = section.pin.parse()
            && !files.contains(&path)
        {
            if matches!(path.try_exists(), Ok(false)) {
                check.find(
                    Severity::Critical,
                    format!("the PIN file of the {role} token, {}, is not there", path.display()),
                    "the service cannot log in to its token when it starts",
                    "bring the file back from where PINs are kept, with mode 0600",
                );
            }
            files.push(path);
        }
    }
    for file in &files {
        look(&mut check, seen, file, &PIN);
    }
    check.saw(format!("{} files", files.len()));
    check
}

fn databases(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("files.databases", "databases can be read by their service only");
    for service in [Service::Vmafdd, Service::Vmdird, Service::Vmcad] {
        let database = seen.layout.database(service);
        if let Some(folder) = database.parent() {
            look(&mut check, seen, folder, &DATABASE);
            // With the write-ahead log and whatever else lies beside it.
            for file in entries(&mut check, folder) {
                look(&mut check, seen, &file, &DATABASE);
            }
        }
        if matches!(database.try_exists(), Ok(false)) {
            check.find(
                Severity::Critical,
                format!("{} is not there", database.display()),
                format!("{service} has lost its records, or was never set up"),
                "restore it from a backup, or continue the set-up with `sealwright init`",
            );
        }
    }
    check
}

fn token_folders(seen: &Seen<'_>) -> Check {
    let mut check =
        Check::new("files.token-folders", "software tokens can be read by their owner only");
    // Above the homes of the tokens there is nothing to hide, only names that must not be changed.
    let homes = seen.layout.state().join("tokens");
    look(&mut check, seen, &homes, &Rule { forbidden: WRITABLE, ..TOKEN_FILE });
    let mut folders = entries(&mut check, &homes);
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let Some(directory) = &seen.config.token(role).directory else { continue };
        let filled = entries(&mut check, directory).iter().any(|path| path.is_dir());
        if !filled {
            check.find(
                Severity::Critical,
                format!("the folder of the {role} token, {}, holds no token", directory.display()),
                "the token's keys are not there: nothing is signed or opened with them, and if the \
                 folder was taken away, so were the keys",
                format!(
                    "bring the folder back; copies from before and after each key was made are in {}",
                    seen.layout.token_home(role.name()).join("copies").display()
                ),
            );
        }
        folders.push(directory.clone());
    }
    let issuers = [TokenRole::Ca, TokenRole::Sealing].map(|role| seen.layout.issuers(role.name()));
    let (mut waiting, mut count) = (folders, 0);
    waiting.dedup();
    let mut looked_at = Vec::new();
    while let Some(path) = waiting.pop() {
        if looked_at.contains(&path) {
            continue;
        }
        let is_issuer = issuers.iter().any(|folder| path.starts_with(folder));
        let rule = if is_issuer { &ISSUERS } else { &TOKEN_FILE };
        if let Some(found) = look(&mut check, seen, &path, rule) {
            count += 1;
            if found.is_dir() {
                waiting.extend(entries(&mut check, &path));
            }
        }
        looked_at.push(path);
    }
    check.saw(format!("{count} files and folders"));
    check
}

fn configuration(seen: &Seen<'_>) -> Check {
    let mut check =
        Check::new("files.configuration", "nobody but its owner can change the configuration");
    let file = seen.layout.config_file();
    look(&mut check, seen, &file, &CONFIGURATION);
    if let Some(folder) = file.parent() {
        look(&mut check, seen, folder, &CONFIGURATION);
    }
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let module = &seen.config.token(role).module;
        // The link that a distribution makes to a module is followed: what is loaded counts.
        let module = module.canonicalize().unwrap_or_else(|_| module.clone());
        look(&mut check, seen, &module, &CONFIGURATION);
    }
    check
}

fn sockets(seen: &Seen<'_>) -> Check {
    let mut check =
        Check::new("files.sockets", "sockets are sockets, in a folder that only services write to");
    look(&mut check, seen, &seen.layout.run(), &RUN);
    for (service, _) in &seen.health {
        let path = seen.layout.socket(*service);
        // Its mode is open on purpose: who may do what is decided by the caller's credentials.
        let rule = Rule { forbidden: 0, ..RUN };
        if let Some(found) = look(&mut check, seen, &path, &rule)
            && !found.file_type().is_socket()
        {
            check.find(
                Severity::Critical,
                format!("{} is not a socket", path.display()),
                RUN.why,
                format!("find out where it comes from, remove it, and restart {service}"),
            );
        }
    }
    check
}

fn root_cer(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("files.root-cer", "root.cer is the chain of the active CA");
    let path = seen.layout.root_cer();
    look(&mut check, seen, &path, &PUBLIC);
    let again = "run `service-control --restart vmcad`, which writes it again, and look into its log if it does not";
    let written = match fs::read_to_string(&path) {
        Ok(text) => certificates(&text),
        Err(cause) => Err(cause.to_string()),
    };
    match (written, &seen.chain) {
        (Err(cause), _) => check.find(
            Severity::Warning,
            format!("{} cannot be read: {cause}", path.display()),
            "scripts take the CA's certificates from it",
            again,
        ),
        (Ok(_), Err(why)) => check.saw(format!("not compared, vmcad does not answer: {why}")),
        (Ok(written), Ok(chain)) if written != *chain => check.find(
            Severity::Critical,
            format!("{} is not the chain of the active CA", path.display()),
            "scripts trust what is in it: either it is out of date, or somebody put another CA there",
            again,
        ),
        (Ok(written), Ok(_)) => check.saw(format!("{} certificates", written.len())),
    }
    check
}
