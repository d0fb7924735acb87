//! Copies of a token's directory, made before and after something is written to the token.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::base::UnixTime;

/// How many copies are kept; the oldest go first.
const KEPT: usize = 8;

/// What the copy shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

impl Moment {
    const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Waits until no other workshop works on the token, and keeps others out until the file is dropped.
pub(super) fn exclusive(home: &Path) -> io::Result<File> {
    private_folder(home)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(home.join("workshop.lock"))?;
    file.lock()?;
    Ok(file)
}

/// Copies the directory to `HOME/copies/TIME-NUMBER-before` or `-after`, durably, and forgets the
/// oldest copies. Where the newest copy shows the same already, nothing is copied: work that fails
/// again and again must not push the good copies out.
pub(super) fn copy(
    directory: &Path,
    home: &Path,
    moment: Moment,
    now: UnixTime,
) -> io::Result<PathBuf> {
    let copies = home.join("copies");
    private_folder(&copies)?;
    let partial = copies.join("unfinished.partial");
    remove_if_there(&partial)?;
    if let Some(newest) = finished(&copies)?.pop()
        && same_content(directory, &newest)?
    {
        return Ok(newest);
    }
    let target = free_name(&copies, moment, now)?;
    let copied = copy_folder(directory, &partial).and_then(|()| fs::rename(&partial, &target));
    if let Err(cause) = copied {
        // Half a copy is worth nothing, and the room that it takes may be what is missing.
        let _ = remove_if_there(&partial);
        return Err(cause);
    }
    File::open(&copies)?.sync_all()?;
    File::open(home)?.sync_all()?;
    forget_oldest(&copies)?;
    Ok(target)
}

/// Removes every copy but this one, durably, and tells how many there were: the others hold a key
/// that was destroyed.
///
/// The octets may stay on the medium until it writes over them, as with every file that is removed.
pub(super) fn forget_all_but(kept: &Path) -> io::Result<usize> {
    let copies = kept.parent().ok_or_else(|| io::Error::other("a copy lies in no folder"))?;
    let mut removed = 0;
    for entry in fs::read_dir(copies)? {
        let found = entry?.path();
        if found != kept {
            fs::remove_dir_all(&found)?;
            removed += 1;
        }
    }
    File::open(copies)?.sync_all()?;
    Ok(removed)
}

/// Makes durable what a module has written: SoftHSM leaves that to the kernel, and a key must
/// survive a power failure from the moment that somebody is told of it.
pub(super) fn settle(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}

/// Whether two folders hold the same names and the same octets.
fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let names = |folder: &Path| -> io::Result<BTreeSet<OsString>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    };
    let found = names(one)?;
    if found != names(other)? {
        return Ok(false);
    }
    for name in found {
        let (one, other) = (one.join(&name), other.join(&name));
        let same = match (one.is_dir(), other.is_dir()) {
            (true, true) => same_content(&one, &other)?,
            (false, false) => fs::read(&one)? == fs::read(&other)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Names sort by age, even where the clock went back: the time, and a number among the copies of the
/// same second.
fn free_name(copies: &Path, moment: Moment, now: UnixTime) -> io::Result<PathBuf> {
    let mut time = OffsetDateTime::from_unix_timestamp(now)
        .map_err(io::Error::other)?
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .map_err(io::Error::other)?;
    let mut number = 0;
    if let Some((newest_time, newest_number)) = newest(copies)?
        && newest_time >= time
    {
        time = newest_time;
        number = newest_number + 1;
    }
    Ok(copies.join(format!("{time}-{number:04}-{}", moment.name())))
}

fn newest(copies: &Path) -> io::Result<Option<(String, u32)>> {
    let finished = finished(copies)?;
    Ok(finished.last().and_then(|name| {
        let mut parts = name.file_name()?.to_str()?.split('-');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?))
    }))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    private_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}

fn forget_oldest(copies: &Path) -> io::Result<()> {
    let finished = finished(copies)?;
    let excess = finished.len().saturating_sub(KEPT);
    finished.iter().take(excess).try_for_each(fs::remove_dir_all)
}

/// Complete copies, the oldest first.
fn finished(copies: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<PathBuf> = fs::read_dir(copies)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    names.retain(|name| name.extension().is_none());
    names.sort();
    Ok(names)
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{KEPT, Moment, copy, exclusive, forget_all_but};
    use std::fs;

    #[test]
    fn a_copy_holds_what_was_there_and_the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let token = home.join("tokens/4711");
        fs::create_dir_all(&token).unwrap();
        let mut names = Vec::new();
        for round in 0..KEPT + 3 {
            fs::write(token.join("token.object"), round.to_string()).unwrap();
            let moment = if round % 2 == 0 { Moment::Before } else { Moment::After };
            // The clock goes back once; the order of the names does not.
            let now = if round == 5 { 1_600_000_000 } else { 1_700_000_000 };
            names.push(copy(&home.join("tokens"), home, moment, now).unwrap());
        }
        assert!(names.is_sorted(), "{names:?}");
        for (round, name) in names.iter().enumerate() {
            let content = fs::read_to_string(name.join("4711/token.object"));
            match round {
                0..3 => assert!(content.is_err(), "{} was kept", name.display()),
                _ => assert_eq!(content.unwrap(), round.to_string()),
            }
        }
        assert!(names[0].ends_with("copies/20231114T221320Z-0000-before"));
    }

    #[test]
    fn work_that_fails_again_and_again_pushes_no_good_copy_out() {
        let folder = tempfile::tempdir().unwrap();
        let (home, tokens) = (folder.path(), folder.path().join("tokens"));
        fs::create_dir(&tokens).unwrap();
        fs::write(tokens.join("token.object"), "good").unwrap();
        let good = copy(&tokens, home, Moment::After, 1_700_000_000).unwrap();
        fs::write(tokens.join("token.object"), "").unwrap();
        let bad = copy(&tokens, home, Moment::Before, 1_700_000_001).unwrap();
        for round in 0..2 * KEPT as i64 {
            let again = copy(&tokens, home, Moment::Before, 1_700_000_002 + round).unwrap();
            assert_eq!(again, bad);
        }
        assert_eq!(fs::read(good.join("token.object")).unwrap(), b"good");
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (home, tokens) = (folder.path(), folder.path().join("tokens"));
        copy(&tokens, home, Moment::Before, 1_700_000_000).unwrap_err();
        assert_eq!(fs::read_dir(home.join("copies")).unwrap().count(), 0);
    }

    #[test]
    fn after_a_destruction_only_the_newest_copy_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (home, tokens) = (folder.path(), folder.path().join("tokens"));
        fs::create_dir(&tokens).unwrap();
        for round in 0..4 {
            fs::write(tokens.join("token.object"), round.to_string()).unwrap();
            copy(&tokens, home, Moment::Before, 1_700_000_000 + round).unwrap();
        }
        fs::write(tokens.join("token.object"), "without the key").unwrap();
        let kept = copy(&tokens, home, Moment::After, 1_700_000_009).unwrap();
        fs::create_dir(home.join("copies/unfinished.partial")).unwrap();
        assert_eq!(forget_all_but(&kept).unwrap(), 5);
        let left: Vec<_> =
            fs::read_dir(home.join("copies")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&kept));
        assert_eq!(fs::read(kept.join("token.object")).unwrap(), b"without the key");
        // Once more, after an interruption.
        assert_eq!(forget_all_but(&kept).unwrap(), 0);
    }

    #[test]
    fn only_one_workshop_works_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = exclusive(folder.path()).unwrap();
        let other = fs::File::open(folder.path().join("workshop.lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        other.try_lock().unwrap();
    }
}
