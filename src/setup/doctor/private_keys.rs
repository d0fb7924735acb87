//! No private key lies in the clear where the appliance keeps its things.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::report::{Check, Severity};
use super::seen::Seen;

/// The end of the first line of every PEM private key, encrypted ones included.
const NEEDLE: &[u8] = b"PRIVATE KEY-----";
const CHUNK: usize = 256 * 1024;

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    let mut check =
        Check::new("files.private-keys", "no private key lies in the clear in the appliance");
    let layout = seen.layout;
    let mut waiting = vec![layout.state(), layout.run()];
    waiting.extend(layout.config_file().parent().map(Path::to_owned));
    waiting.extend(layout.log_file(crate::base::Service::Vmcad).parent().map(Path::to_owned));
    let (mut searched, mut unread) = (0, Vec::new());
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            if folder.exists() {
                unread.push(folder);
            }
            continue;
        };
        for entry in entries.flatten() {
            // Links are not followed: what they point to is not ours.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                Ok(kind) if kind.is_file() => match holds_key(&entry.path()) {
                    Ok(found) => {
                        searched += 1;
                        if found {
                            tell(&mut check, &entry.path());
                        }
                    }
                    Err(_) => unread.push(entry.path()),
                },
                _ => {}
            }
        }
    }
    check.saw(format!("{searched} files searched"));
    if !unread.is_empty() {
        let names: Vec<_> = unread.iter().take(5).map(|path| path.display().to_string()).collect();
        check.find(
            Severity::Warning,
            format!("{} files or folders cannot be read: {}", unread.len(), names.join(", ")),
            "what is not seen is not checked",
            "run the doctor as root or as the user of the services",
        );
    }
    vec![check]
}

fn tell(check: &mut Check, path: &Path) {
    check.find(
        Severity::Critical,
        format!("{} holds a private key in the clear (PEM)", path.display()),
        "here keys are in a token or sealed under a key in a token; one in a file is in every backup, \
         and whoever reads it has it",
        "find out whose key it is and where it came from; if it is in use, replace it with a new one; \
         then destroy the file",
    );
}

fn holds_key(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    // It may hold a key, so it is wiped.
    let mut buffer = Zeroizing::new(vec![0_u8; CHUNK]);
    let mut kept = 0;
    loop {
        let amount = file.read(&mut buffer[kept..])?;
        if amount == 0 {
            return Ok(false);
        }
        let filled = kept + amount;
        if buffer[..filled].windows(NEEDLE.len()).any(|window| window == NEEDLE) {
            return Ok(true);
        }
        // The needle may lie across two chunks.
        kept = filled.min(NEEDLE.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{CHUNK, NEEDLE, holds_key};

    #[test]
    fn a_key_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for before in [0, 1, CHUNK - NEEDLE.len(), CHUNK - 3, CHUNK, 2 * CHUNK - 7] {
            let mut content = vec![b'x'; before];
            content.extend_from_slice(b"-----BEGIN EC PRIVATE KEY-----\nMHc");
            std::fs::write(&path, &content).unwrap();
            assert!(holds_key(&path).unwrap(), "{before}");
        }
        std::fs::write(&path, b"Private Key, PRIVATE KEY, PRIVATE KEY----").unwrap();
        assert!(!holds_key(&path).unwrap());
    }
}
