//! Fuzz targets: archives, and the manifest in them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{MemfdFlags, memfd_create};

use super::archive::{self, Archive};
use super::content::Part;
use super::manifest::{
    CaKey, CaToken, FORMAT, FileRecord, Generation, Manifest, SealingToken, hex,
};

mutation::targets! {
    backup_archive: archive_seeds, 1500;
    backup_manifest: manifest_seeds, 4000;
}

/// Hex digits of the seal at the end of an archive.
const DIGITS: usize = 64;

/// Changed octets do not pass as they are, so the seal is made anew. An archive that passes then holds the parts that its
/// manifest promises, each once, and each comes out with the length and the SHA-256 that the manifest says.
fn backup_archive(octets: &[u8]) {
    let mut resealed = octets.to_vec();
    if let Some(end) = octets.len().checked_sub(DIGITS) {
        let seal = hex(digest(&SHA256, &octets[..end]).as_ref());
        resealed[end..].copy_from_slice(seal.as_bytes());
    }
    let file = memory(&resealed);
    let Ok(mut archive) = Archive::open(&path(&file)) else { return };
    assert_eq!(archive.sha256, hex(digest(&SHA256, &resealed).as_ref()));
    let parts = archive.parts().to_vec();
    let promised = archive.manifest().files.clone();
    assert_eq!(parts.len(), promised.len());
    for (at, (part, record)) in parts.iter().zip(&promised).enumerate() {
        assert_eq!(part.name(), record.path);
        assert!(!parts[..at].contains(part));
        let mut content = Vec::new();
        archive.extract(*part, &mut content).expect("it was checked");
        assert_eq!(content.len() as u64, record.length);
        assert_eq!(hex(digest(&SHA256, &content).as_ref()), record.sha256);
    }
}

/// A manifest that is taken is the same when written and read again; its parts are parts of an appliance, each once.
fn backup_manifest(octets: &[u8]) {
    let Ok(manifest) = Manifest::parse(octets) else { return };
    assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
    assert_eq!(manifest.format, FORMAT);
    if let Ok(parts) = manifest.parts() {
        for (at, (part, record)) in parts.iter().enumerate() {
            assert!(record.length <= part.bound());
            assert_eq!(record.path, part.name());
            assert!(parts[..at].iter().all(|(before, _)| before != part));
        }
    }
}

/// A file in memory: nothing of a target is written to disk.
fn memory(octets: &[u8]) -> File {
    let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all(octets).expect("memory");
    file
}

fn path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn content(part: Part) -> Vec<u8> {
    format!("content of {}\n", part.name()).into_bytes()
}

fn manifest() -> Manifest {
    let text = |text: &str| text.to_owned();
    let record = |part: Part| FileRecord {
        path: text(part.name()),
        length: content(part).len() as u64,
        sha256: hex(digest(&SHA256, &content(part)).as_ref()),
    };
    Manifest {
        format: FORMAT,
        software: text("0.1.0"),
        made_at: text("2030-01-02T03:04:05Z"),
        host: text("vc.example"),
        root: Some("/srv/appliance".into()),
        files: Part::ALL.into_iter().map(record).collect(),
        ca_token: CaToken {
            label: Some(text("ca")),
            serial: None,
            keys: vec![CaKey { id: "ab".repeat(32), public_key_sha256: "cd".repeat(32) }],
        },
        sealing_token: SealingToken {
            label: None,
            serial: Some(text("1")),
            wrapping_key: None,
            generations: vec![Generation {
                number: 1,
                state: text("active"),
                sealing: "ef".repeat(32),
                wrapping: None,
            }],
        },
    }
}

fn archive_seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    for part in Part::ALL {
        std::fs::write(part.copy_in(folder.path()), content(part)).unwrap();
    }
    let file = archive::write(memory(&[]), &manifest(), folder.path()).unwrap();
    Archive::open(&path(&file)).expect("a seed is taken");
    vec![std::fs::read(path(&file)).unwrap()]
}

fn manifest_seeds() -> Vec<Vec<u8>> {
    vec![manifest().to_text(), br#"{"format": 2, "something": "new"}"#.to_vec()]
}
