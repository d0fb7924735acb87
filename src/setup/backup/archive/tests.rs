//! Whole archives pass; everything else is refused, whoever made it.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use zip::{CompressionMethod, ZipWriter};

use super::{Archive, MANIFEST, SEAL, options, seal, write};
use crate::setup::backup::content::Part;
use crate::setup::backup::error::Damage;
use crate::setup::backup::manifest::{FileRecord, Manifest, hex, tests::manifest};

fn content(part: Part) -> Vec<u8> {
    format!("content of {}\n", part.name()).repeat(40).into_bytes()
}

fn record(part: Part) -> FileRecord {
    let content = content(part);
    FileRecord {
        path: part.name().to_owned(),
        length: content.len() as u64,
        sha256: hex(digest(&SHA256, &content).as_ref()),
    }
}

fn whole() -> Manifest {
    manifest(Part::ALL.into_iter().map(record).collect())
}

fn new_file(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap()
}

fn good(folder: &Path) -> PathBuf {
    for part in Part::ALL {
        std::fs::write(part.copy_in(folder), content(part)).unwrap();
    }
    let path = folder.join("good");
    write(new_file(&path), &whole(), folder).unwrap();
    path
}

/// An archive of any files under any names, with a seal that fits.
fn crafted(path: &Path, manifest: &Manifest, files: &[(&str, Vec<u8>)]) {
    let mut zip = ZipWriter::new(new_file(path));
    zip.set_comment(format!("{SEAL}{}", "0".repeat(64))).unwrap();
    zip.start_file(MANIFEST, options(0)).unwrap();
    zip.write_all(&manifest.to_text()).unwrap();
    for (name, content) in files {
        zip.start_file(*name, options(0)).unwrap();
        zip.write_all(content).unwrap();
    }
    seal(zip.finish().unwrap()).unwrap();
}

fn all_files() -> Vec<(&'static str, Vec<u8>)> {
    Part::ALL.into_iter().map(|part| (part.name(), content(part))).collect()
}

fn refused(path: &Path) -> Damage {
    Archive::open(path).unwrap_err()
}

#[test]
fn what_was_written_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::open(&good(folder.path())).unwrap();
    assert_eq!(*archive.manifest(), whole());
    assert_eq!(archive.parts(), Part::ALL);
    for part in Part::ALL {
        let mut out = Vec::new();
        archive.extract(part, &mut out).unwrap();
        assert_eq!(out, content(part));
    }
}

#[test]
fn no_octet_can_be_changed_and_none_taken_away_or_added() {
    let folder = tempfile::tempdir().unwrap();
    let octets = std::fs::read(good(folder.path())).unwrap();
    let path = folder.path().join("changed");
    for at in (0..octets.len()).step_by(37).chain(octets.len() - 120..octets.len()) {
        let mut changed = octets.clone();
        changed[at] ^= 0x20;
        std::fs::write(&path, &changed).unwrap();
        assert!(matches!(refused(&path), Damage::Changed | Damage::NotABackup), "octet {at}");
    }
    for length in [0, 1, 64, 88, 89, 111, octets.len() / 2, octets.len() - 1] {
        std::fs::write(&path, &octets[..length]).unwrap();
        assert!(matches!(refused(&path), Damage::NotABackup), "{length} octets");
    }
    std::fs::write(&path, [&octets[..], b"\n"].concat()).unwrap();
    assert!(matches!(refused(&path), Damage::NotABackup));
    std::fs::write(&path, [b"\n", &octets[..]].concat()).unwrap();
    assert!(matches!(refused(&path), Damage::Changed));
    assert!(matches!(refused(folder.path()), Damage::NotABackup));
    assert!(matches!(refused(&folder.path().join("absent")), Damage::Unreadable(_)));
}

#[test]
fn names_that_no_backup_holds_are_refused() {
    for (number, name) in [
        "/etc/sealwright.toml",
        "../etc/sealwright.toml",
        "etc/../../sealwright.toml",
        "etc/pins/ca.pin",
        "lib/tokens/ca/tokens/x/token.object",
        "etc/sealwright.toml/",
        "etc\\sealwright.toml",
    ]
    .into_iter()
    .enumerate()
    {
        let folder = tempfile::tempdir().unwrap();
        // As one more file that the manifest does not name ...
        let path = folder.path().join(format!("{number}-added"));
        let mut files = all_files();
        files.push((name, b"x".to_vec()));
        crafted(&path, &whole(), &files);
        assert!(matches!(refused(&path), Damage::Foreign(_) | Damage::Content(_)), "{name}");
        // ... in place of one that it names ...
        let path = folder.path().join(format!("{number}-instead"));
        let mut files = all_files();
        files[5].0 = name;
        crafted(&path, &whole(), &files);
        assert!(matches!(refused(&path), Damage::Foreign(_)), "{name}");
        // ... and in both.
        let path = folder.path().join(format!("{number}-both"));
        let mut manifest = whole();
        manifest.files[5].path = name.to_owned();
        crafted(&path, &manifest, &files);
        assert!(matches!(refused(&path), Damage::Foreign(found) if found == name), "{name}");
    }
}

#[test]
fn a_name_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twice");
    let mut files = all_files();
    files.push(("lib/init.jsoX", b"another".to_vec()));
    crafted(&path, &whole(), &files);
    // No writer makes such a file, so the name is changed afterwards, in both of its places.
    let mut octets = std::fs::read(&path).unwrap();
    let name = b"lib/init.jsoX";
    let places: Vec<usize> =
        (0..octets.len() - name.len()).filter(|at| octets[*at..].starts_with(name)).collect();
    assert_eq!(places.len(), 2);
    for at in places {
        octets[at + name.len() - 1] = b'n';
    }
    std::fs::write(&path, octets).unwrap();
    seal(OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
    let said = refused(&path).to_string();
    assert!(said.contains("uplicate"), "{said}");
}

#[test]
fn contents_that_are_not_what_the_manifest_says_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, change) in [
        ("other", (|files| files[0].1[0] ^= 1) as fn(&mut Vec<(&str, Vec<u8>)>)),
        ("longer", |files| files[1].1.push(0)),
        ("shorter", |files| files[2].1.truncate(3)),
        ("missing", |files| drop(files.remove(6))),
        ("swapped", |files| files.swap(0, 1)),
    ] {
        let path = folder.path().join(name);
        let mut files = all_files();
        change(&mut files);
        crafted(&path, &whole(), &files);
        assert!(matches!(refused(&path), Damage::Content(_) | Damage::Foreign(_)), "{name}");
    }
    let path = folder.path().join("newer");
    let mut newer = whole();
    newer.format = 2;
    crafted(&path, &newer, &all_files());
    assert!(matches!(refused(&path), Damage::Newer(2)));
}

#[test]
fn a_symbolic_link_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let target = "/etc/shadow";
    let mut manifest = whole();
    manifest.files[5].length = target.len() as u64;
    manifest.files[5].sha256 = hex(digest(&SHA256, target.as_bytes()).as_ref());
    let mut zip = ZipWriter::new(new_file(&path));
    zip.set_comment(format!("{SEAL}{}", "0".repeat(64))).unwrap();
    zip.start_file(MANIFEST, options(0)).unwrap();
    zip.write_all(&manifest.to_text()).unwrap();
    for (at, (name, content)) in all_files().into_iter().enumerate() {
        if at == 5 {
            zip.add_symlink(name, target, options(0)).unwrap();
        } else {
            zip.start_file(name, options(0).compression_method(CompressionMethod::Stored)).unwrap();
            zip.write_all(&content).unwrap();
        }
    }
    seal(zip.finish().unwrap()).unwrap();
    assert!(matches!(refused(&path), Damage::Content(_)));
}
