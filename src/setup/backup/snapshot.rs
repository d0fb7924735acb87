//! Making a backup.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::archive;
use super::content::{Part, with_end};
use super::custody;
use super::error::Error;
use super::manifest::{FORMAT, FileRecord, Manifest, hex};
use crate::base::{Clock, Layout, Service, SystemClock};
use crate::config::{Config, TokenRole};
use crate::hardening;
use crate::setup::lock::Lock;
use crate::setup::progress::Progress;
use crate::setup::{Cause, files, sealing_keys};
use crate::store;

/// Writes the archive `to`, which must not exist.
pub(super) fn backup(layout: &Layout, to: &Path, out: &mut dyn Write) -> Result<(), Error> {
    hardening::harden()?;
    let to = std::path::absolute(to).map_err(Error::file("cannot write", to))?;
    must_be_free(&to)?;
    let config = Config::load(&layout.config_file())?;
    if !Progress::load(layout).finished {
        return Err(Error::Refused(
            "setting up this appliance has not come to its end; run `sealwright init` again, then back it up".into(),
        ));
    }
    let _lock = Lock::take(layout)?;
    let copies = Copies::beside(&to)?;
    writeln!(out, "Backing up {}:", config.node.name).map_err(Error::Output)?;
    for part in Part::ALL {
        if copies.take(layout, part)? {
            writeln!(out, "  {}", part.name()).map_err(Error::Output)?;
        }
    }
    let (manifest, config) = describe(layout, &copies)?;
    let sha256 = put_in_place(&copies, &manifest, &to)?;
    drop(copies);
    write!(out, "{}", farewell(layout, &config, &manifest, &to, &sha256)).map_err(Error::Output)
}

fn must_be_free(to: &Path) -> Result<(), Error> {
    match to.symlink_metadata() {
        Ok(_) => Err(Error::Refused(format!(
            "{} exists already, and a backup replaces nothing; name another file",
            to.display()
        ))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::file("cannot look at", to)(cause)),
    }
}

/// A private folder beside the archive, in which the copies are made; gone when it is dropped.
struct Copies(PathBuf);

impl Copies {
    fn beside(to: &Path) -> Result<Self, Error> {
        let name = to.file_name().ok_or_else(|| {
            Error::Refused(format!(
                "{} is not the name of a file; name the file to make",
                to.display()
            ))
        })?;
        // The number tells apart what runs at the same time, and keeps what another has left.
        let hidden = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let folder = to.with_file_name(hidden);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file("cannot make the folder", &folder))?;
        Ok(Self(folder))
    }

    /// Copies a part; false where the appliance has none.
    fn take(&self, layout: &Layout, part: Part) -> Result<bool, Error> {
        let (from, to) = (part.place(layout), part.copy_in(&self.0));
        if part.is_optional() && !from.exists() {
            return Ok(false);
        }
        if let Part::Database(_) = part {
            store::snapshot(&from, &to).map_err(Error::database(&from))?;
            return Ok(true);
        }
        let mut octets = Vec::new();
        File::open(&from)
            .and_then(|file| file.take(part.bound() + 1).read_to_end(&mut octets))
            .map_err(Error::file("cannot read", &from))?;
        if octets.len() as u64 > part.bound() {
            return Err(Error::Refused(format!(
                "{} has more than {} octets, which no file of this kind has; look at it",
                from.display(),
                part.bound()
            )));
        }
        fs::write(&to, octets).map_err(Error::file("cannot write", &to))?;
        Ok(true)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// The manifest of the copies, and the configuration among them.
fn describe(layout: &Layout, copies: &Copies) -> Result<(Manifest, Config), Error> {
    let copy = |part: Part| part.copy_in(&copies.0);
    let mut records = Vec::new();
    for part in Part::ALL {
        let path = copy(part);
        if part.is_optional() && !path.exists() {
            continue;
        }
        let hashed = File::open(&path).and_then(|mut file| {
            let length = file.metadata()?.len();
            archive::sha256(&mut file, length).map(|digest| (length, hex(&digest)))
        });
        let (length, sha256) = hashed.map_err(Error::file("cannot read", &path))?;
        records.push(FileRecord { path: part.name().to_owned(), length, sha256 });
    }
    let config = Config::load(&copy(Part::Configuration))?;
    let keys = custody::ca_keys(&copy(Part::Database(Service::Vmcad)))
        .map_err(Error::database(&layout.database(Service::Vmcad)))?;
    let generations = sealing_keys::in_database(&copy(Part::Database(Service::Vmafdd)), &config)
        .map_err(Error::database(&layout.database(Service::Vmafdd)))?;
    let manifest = Manifest {
        format: FORMAT,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: OffsetDateTime::from_unix_timestamp(SystemClock.now())
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default(),
        host: config.node.name.clone(),
        root: layout.root().map(Path::to_owned),
        files: records,
        ca_token: custody::ca_token(&config, &keys).map_err(Cause::from)?,
        sealing_token: custody::sealing_token(&config, &generations).map_err(Cause::from)?,
    };
    Ok((manifest, config))
}

/// Writes the archive, durably, and only then gives it its name. Its SHA-256 comes back, in hex.
fn put_in_place(copies: &Copies, manifest: &Manifest, to: &Path) -> Result<String, Error> {
    let made = with_end(&copies.0.join("archive"), ".new");
    let written = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made)
        .and_then(|file| archive::write(file, manifest, &copies.0))
        .and_then(|mut file| {
            let length = file.metadata()?.len();
            let sha256 = hex(&archive::sha256(&mut file, length)?);
            rename_to_new(&made, to)?;
            files::sync_folder(to)?;
            Ok(sha256)
        });
    written.map_err(Error::file("cannot write", to))
}

/// A name that was free a moment ago may be taken by now; it is not taken away from its file.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot do it in one step; then the name is linked, which replaces nothing either.
        Err(Errno::INVAL | Errno::NOSYS) => fs::hard_link(from, to),
        renamed => renamed.map_err(io::Error::from),
    }
}

fn farewell(
    layout: &Layout,
    config: &Config,
    manifest: &Manifest,
    to: &Path,
    sha256: &str,
) -> String {
    let mut text = format!("\n{}\n  SHA-256 {sha256}\n", to.display());
    for generation in manifest.sealing_token.generations.iter().filter(|one| one.is_in_use()) {
        text.push_str(&format!("  sealing key {}\n", generation.sealing));
        if let Some(wrapping) = &generation.wrapping {
            text.push_str(&format!("  wrapping key {wrapping}\n"));
        }
    }
    for key in &manifest.ca_token.keys {
        text.push_str(&format!("  CA key {}\n", key.id));
    }
    text.push_str(
        "\nNot in it: keys and PINs. It is of no use without the following; back that up by itself, the tokens apart \
         from the PINs:\n",
    );
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let token = config.token(role);
        match &token.directory {
            Some(directory) => text.push_str(&format!(
                "  {role} token: {} (copy it while no service runs)\n",
                directory.display()
            )),
            None => text
                .push_str(&format!("  {role} token: {}, by the means of its vendor\n", token.uri)),
        }
        text.push_str(&format!("    its PIN: {}\n", token.pin));
    }
    if config.ca.token.directory.is_some() || config.vecs.token.directory.is_some() {
        text.push_str(&format!(
            "    PINs of their security officers: {}\n",
            layout.pins().display()
        ));
    }
    text
}
