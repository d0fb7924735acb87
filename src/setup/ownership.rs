//! Giving the files to the user under whom systemd runs the services.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat};

use super::Cause;
use crate::base::Layout;

/// The user of the units in `scripts/systemd`.
const SERVICE_USER: &str = "sealwright";

/// Gives everything that root has made to the service user, where there is one and the system's
/// places are used. Says whether it did.
pub(super) fn hand_over(layout: &Layout) -> Result<bool, Cause> {
    if layout.root().is_some() || !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    let Some(user) = uzers::get_user_by_name(SERVICE_USER) else {
        return Ok(false);
    };
    let owner = (Uid::from_raw(user.uid()), Gid::from_raw(user.primary_group_id()));
    let configuration = layout.config_file();
    let places =
        [configuration.parent().map(Path::to_owned), Some(layout.state()), Some(layout.run())];
    for place in places.into_iter().flatten() {
        give(&place, owner)?;
    }
    Ok(true)
}

/// Links are given, not followed: what they point to is not ours.
fn give(path: &Path, owner: (Uid, Gid)) -> Result<(), Cause> {
    let failed = || Cause::file("cannot give to the service user", path);
    let found = fs::symlink_metadata(path).map_err(failed())?;
    if (found.uid(), found.gid()) != (owner.0.as_raw(), owner.1.as_raw()) {
        chownat(CWD, path, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|cause| failed()(cause.into()))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(failed())? {
            give(&entry.map_err(failed())?.path(), owner)?;
        }
    }
    Ok(())
}
