//! For an examination the child gives up writing: a login on a full disk destroys a software token
//! that can be written to, and an attack that succeeds must not last.

use std::path::Path;

use crate::hardening::confinement::confine;

/// Octets that must be free where Landlock cannot protect the token directory.
const FREE: u64 = 16 * 1024 * 1024;

/// From now on this thread can write to no file. On a kernel without Landlock there must be room on
/// the disk of the token directory instead.
///
/// # Errors
/// A sentence for the operator; the token must not be opened then.
pub(super) fn enter(directory: &Path) -> Result<(), String> {
    if confine(&[]).is_ok() {
        return Ok(());
    }
    let found = rustix::fs::statvfs(directory).map_err(|cause| {
        format!("the token directory {} cannot be looked at: {cause}", directory.display())
    })?;
    if found.f_bavail.saturating_mul(found.f_frsize) >= FREE {
        return Ok(());
    }
    Err(format!(
        "the token is not opened: the kernel has no Landlock to protect {}, and a login on a disk that is nearly \
         full could destroy it; make room and try again",
        directory.display()
    ))
}
