//! Restoring: first everything is checked, then what is there is put aside, then the copies take
//! their places.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use super::archive::Archive;
use super::content::{Part, with_end};
use super::custody::{self, Gap};
use super::error::{Damage, Error};
use super::relocation::relocate;
use crate::base::{Clock, Layout, Service, SystemClock};
use crate::cli::sealwright;
use crate::config::{Config, TokenRole};
use crate::hardening;
use crate::setup::lock::Lock;
use crate::setup::softhsm::Home;
use crate::setup::{Cause, files, init, ownership, sealing_keys};
use crate::supervise::{Status, Supervisor};

/// Makes the appliance what the archive says it was. What the tokens lack comes back.
pub(super) fn restore(
    layout: &Layout,
    from: &Path,
    replace: bool,
    out: &mut dyn Write,
) -> Result<Vec<Gap>, Error> {
    hardening::harden()?;
    let refused = |cause| Error::Archive { path: from.to_owned(), cause };
    let mut archive = Archive::open(from).map_err(refused)?;
    init::check_places(layout)?;
    let supervisor = Supervisor::without_systemd(layout.clone())?;
    // Before the locks, so that a refusal leaves no trace; and again with them.
    must_be_quiet(&supervisor, layout, replace)?;
    let _lock = Lock::take(layout)?;
    let _turn = supervisor
        .turn(|| sealwright::say("service-control is at work; waiting until it has finished"))?;
    must_be_quiet(&supervisor, layout, replace)?;

    init::folders(layout)?;
    let copies = Copies::of(&mut archive, layout).map_err(|failure| match failure {
        Failure::Archive(cause) => refused(cause),
        Failure::Folder(error) => error,
    })?;
    let keys = custody::ca_keys(&copies.path(Part::Database(Service::Vmcad)))
        .map_err(Error::database(Path::new(Part::Database(Service::Vmcad).name())))?;
    let text = fs::read(copies.path(Part::Configuration))
        .map_err(Error::file("cannot read", &copies.path(Part::Configuration)))?;
    let mut config = Config::load(&copies.path(Part::Configuration))?;
    let origin = archive.manifest().root.as_ref().map_or_else(Layout::system, Layout::under);
    let generations =
        sealing_keys::in_database(&copies.path(Part::Database(Service::Vmafdd)), &config)
            .map_err(Error::database(Path::new(Part::Database(Service::Vmafdd).name())))?;
    let moved = relocate(&mut config, &origin, layout);
    let text = if moved { moved_text(&config).into_bytes() } else { text };

    let aside = put_aside(layout)?;
    for part in archive.parts() {
        let placed = match part {
            Part::Configuration => files::replace(&part.place(layout), part.mode(), &[&text]),
            part => copies.put_in_place(*part, layout),
        };
        placed.map_err(|cause| Error::Halfway { done: "some files are in their places", cause })?;
    }
    drop(copies);
    prepare_softhsm(layout, &config)
        .map_err(|cause| Error::Halfway { done: "every file is in its place", cause })?;
    let gaps = custody::check(layout, &config, &keys, &generations);
    ownership::hand_over(layout)
        .map_err(|cause| Error::Halfway { done: "every file is in its place", cause })?;
    let told = Told { layout, config: &config, archive: &archive, aside, moved };
    write!(out, "{}", told.text(&gaps)).map_err(Error::Output)?;
    Ok(gaps)
}

/// No service lives, and nothing is there that would have to go.
fn must_be_quiet(supervisor: &Supervisor, layout: &Layout, replace: bool) -> Result<(), Error> {
    for service in Service::ALL {
        if supervisor.status(service)? != Status::Stopped {
            return Err(Error::Refused(format!(
                "{service} is running, so nothing was changed; stop the services first: service-control --stop --all"
            )));
        }
    }
    match present(layout).next() {
        Some(there) if !replace => Err(Error::Refused(format!(
            "there is an appliance already ({}), so nothing was changed; choose an empty folder with --root, or let \
             --replace put the present databases and configuration aside",
            there.display()
        ))),
        _ => Ok(()),
    }
}

/// Everything that a restored file could meet at its place, the configuration first: without it no
/// service starts.
fn present(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    let layout = layout.clone();
    Part::ALL
        .into_iter()
        .rev()
        .flat_map(move |part| part.places(&layout))
        .filter(|place| place.symlink_metadata().is_ok())
}

/// Renames what is there, beside its place. Says how the names end, where anything was there.
fn put_aside(layout: &Layout) -> Result<Option<String>, Error> {
    let places: Vec<PathBuf> = Part::ALL.into_iter().map(|part| part.place(layout)).collect();
    let there: Vec<PathBuf> = present(layout).collect();
    let end = free_end(&places);
    for path in &there {
        // A log must keep the name of its database: NAME.db-wal goes with NAME.db.
        let target = places
            .iter()
            .find_map(|place| {
                let beside = path.to_str()?.strip_prefix(place.to_str()?)?;
                Some(with_end(&with_end(place, &end), beside))
            })
            .unwrap_or_else(|| with_end(path, &end));
        fs::rename(path, &target).and_then(|()| files::sync_folder(path)).map_err(|cause| {
            let done = "some of the present files were put aside";
            Error::Halfway { done, cause: Cause::file("cannot put aside", path)(cause) }
        })?;
    }
    Ok((!there.is_empty()).then_some(end))
}

/// An end of names that nothing at these places has yet.
fn free_end(places: &[PathBuf]) -> String {
    let time = OffsetDateTime::from_unix_timestamp(SystemClock.now())
        .ok()
        .and_then(|time| {
            time.format(format_description!("[year][month][day]T[hour][minute][second]Z")).ok()
        })
        .unwrap_or_default();
    let first = format!(".before-restore-{time}");
    let mut end = first.clone();
    let mut number = 1;
    while places.iter().any(|place| with_end(place, &end).symlink_metadata().is_ok()) {
        number += 1;
        end = format!("{first}-{number}");
    }
    end
}

/// The content of the archive in a private folder of the appliance; gone when it is dropped.
struct Copies(PathBuf);

enum Failure {
    Archive(Damage),
    Folder(Error),
}

impl Copies {
    /// Everything is written durably, and was compared with the manifest once more on its way.
    fn of(archive: &mut Archive, layout: &Layout) -> Result<Self, Failure> {
        let folder = layout.state().join("restore.partial");
        // Left by a restore that was killed; the lock says that it is gone.
        if folder.is_dir() {
            fs::remove_dir_all(&folder).map_err(failed("cannot empty", &folder))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(failed("cannot make the folder", &folder))?;
        let copies = Self(folder);
        for part in archive.parts().to_vec() {
            let path = copies.path(part);
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed("cannot write", &path))?;
            archive.extract(part, &mut file).map_err(Failure::Archive)?;
            file.sync_all().map_err(failed("cannot write", &path))?;
        }
        Ok(copies)
    }

    fn path(&self, part: Part) -> PathBuf {
        part.copy_in(&self.0)
    }

    fn put_in_place(&self, part: Part, layout: &Layout) -> Result<(), Cause> {
        let (copy, place) = (self.path(part), part.place(layout));
        if let Part::Database(_) = part {
            // In the same file system, because databases may be large.
            return fs::rename(&copy, &place)
                .and_then(|()| files::sync_folder(&place))
                .map_err(Cause::file("cannot write", place));
        }
        let text = fs::read(&copy).map_err(Cause::file("cannot read", copy))?;
        files::replace(&place, part.mode(), &[&text])
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let error = Error::file(what, path);
    move |cause| Failure::Folder(error(cause))
}

fn moved_text(config: &Config) -> String {
    format!(
        "# Configuration of this Sealwright appliance, written by `sealwright restore`: the appliance moved\n\
         # to another folder, and so did the paths below.\n\n{}",
        config.to_toml()
    )
}

/// SoftHSM finds a token through a file that names its folder. The file is ours to make; one that came
/// with a token's folder from another place would lead back to that place.
fn prepare_softhsm(layout: &Layout, config: &Config) -> Result<(), Cause> {
    for role in [TokenRole::Ca, TokenRole::Sealing] {
        let folder = layout.token_home(role.name());
        let home = Home(&folder);
        if config.token(role).directory.as_ref() != Some(&home.tokens()) {
            continue;
        }
        let file = home.configuration();
        let ours = format!("directories.tokendir = {}", home.tokens().display());
        match fs::read_to_string(&file) {
            Ok(text) if !text.lines().any(|line| line.trim() == ours) => {
                let aside = with_end(&file, &free_end(std::slice::from_ref(&file)));
                fs::rename(&file, aside).map_err(Cause::file("cannot put aside", &file))?;
            }
            _ => {}
        }
        home.make()?;
    }
    Ok(())
}

/// What is said at the end.
struct Told<'a> {
    layout: &'a Layout,
    config: &'a Config,
    archive: &'a Archive,
    aside: Option<String>,
    moved: bool,
}

impl Told<'_> {
    fn text(&self, gaps: &[Gap]) -> String {
        let manifest = self.archive.manifest();
        let mut text = format!(
            "Restored {} as it was at {} (made by version {}):\n",
            manifest.host, manifest.made_at, manifest.software
        );
        for part in self.archive.parts() {
            text.push_str(&format!("  {}\n", part.place(self.layout).display()));
        }
        text.push_str(&format!("  SHA-256 of the archive: {}\n", self.archive.sha256));
        if let Some(end) = &self.aside {
            text.push_str(&format!(
                "What was there before lies beside it; the names end in {end}\n"
            ));
        }
        if self.moved {
            text.push_str(
                "The appliance has moved: its configuration names the PIN files and token folders of this place\n",
            );
        }
        text.push_str("\nLeft to do by hand:\n");
        if gaps.is_empty() {
            text.push_str("  nothing for the tokens: they hold every key that is needed\n");
        } else {
            for role in [TokenRole::Ca, TokenRole::Sealing] {
                text.push_str(&self.by_hand(role));
            }
        }
        text.push_str(&format!(
            "  service-control --start --all      vmafdd then opens its check value: the last proof of the right token\n\
             \n{} knows nothing of what happened after {}: certificates that were issued and keys that were stored \
             since then are not in it. Revocation list numbers that were used since then will be used again.\n",
            manifest.host, manifest.made_at
        ));
        text
    }

    fn by_hand(&self, role: TokenRole) -> String {
        let token = self.config.token(role);
        let place = match &token.directory {
            Some(directory) => {
                format!("put the files of the token into {}", directory.display())
            }
            None => format!("connect the token, with its module {}", token.module.display()),
        };
        let pin = match token.pin.strip_prefix("file:") {
            Some(file) => format!("put its PIN into {file} (mode 0600)"),
            None => format!("have its PIN ready: {}", token.pin),
        };
        format!("  {role} token {}\n    {place}\n    {pin}\n", token.uri)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{present, put_aside};
    use crate::base::{Layout, Service};

    #[test]
    fn what_is_there_is_put_aside_with_its_logs_and_nothing_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        let database = layout.database(Service::Vmcad);
        let folder = database.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        assert_eq!(put_aside(&layout).unwrap(), None);
        let mut ends = Vec::new();
        for round in ["first", "second"] {
            std::fs::write(&database, round).unwrap();
            std::fs::write(folder.join("vmcad.db-wal"), round).unwrap();
            ends.push((put_aside(&layout).unwrap().unwrap(), round));
            assert_eq!(present(&layout).count(), 0);
        }
        for (end, round) in ends {
            for beside in ["", "-wal"] {
                let kept = folder.join(format!("vmcad.db{end}{beside}"));
                assert_eq!(std::fs::read_to_string(kept).unwrap(), round);
            }
        }
    }
}
