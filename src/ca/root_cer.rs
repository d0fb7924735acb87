//! The CA chain as a file, for the scripts that read `root.cer`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::x509::Certificate;

/// Everyone may read certificates.
const MODE: u32 = 0o644;

/// Writes the chain, VMCA first, unless the file says the same already. A reader sees the old file
/// or the new one, never a part.
pub(super) fn keep(path: &Path, chain: &[Certificate]) -> io::Result<()> {
    let wanted: String = chain.iter().map(Certificate::to_pem).collect();
    if fs::read(path).is_ok_and(|found| found == wanted.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("cer.new");
    // A left-over of a process that died is of no use to anyone.
    match fs::remove_file(&unfinished) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished)?;
    file.write_all(wanted.as_bytes())?;
    // The mode at creation was narrowed by the umask.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
