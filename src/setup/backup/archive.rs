//! The archive: a ZIP file without compression whose comment is the SHA-256 of everything before it.
//!
//! ZIP, so that an operator without this program can take it apart; sealed in its comment, so that no
//! changed octet passes, in whatever part of the file. The seal shows damage. It is no signature:
//! whoever can change the archive can also make the seal anew.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::content::Part;
use super::error::Damage;
use super::manifest::{FileRecord, Manifest, hex};

const MANIFEST: &str = "manifest.json";
/// The most octets of a manifest.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// The comment begins with this; 64 hex digits follow and end the file.
const SEAL: &str = "sealwright-backup sha256:";
const DIGITS: u64 = 64;

/// Writes an archive into an empty file, durably. Each part is read from its copy in `folder`.
pub(super) fn write(file: File, manifest: &Manifest, folder: &Path) -> io::Result<File> {
    let file = pack(file, manifest, folder).map_err(io::Error::from)?;
    seal(file)
}

fn pack(file: File, manifest: &Manifest, folder: &Path) -> zip::result::ZipResult<File> {
    let mut zip = ZipWriter::new(BufWriter::new(file));
    zip.set_comment(format!("{SEAL}{}", "0".repeat(64)))?;
    zip.start_file(MANIFEST, options(0))?;
    zip.write_all(&manifest.to_text())?;
    for record in &manifest.files {
        let part = Part::named(&record.path).ok_or(zip::result::ZipError::FileNotFound)?;
        zip.start_file(part.name(), options(record.length))?;
        let copied = io::copy(&mut File::open(part.copy_in(folder))?, &mut zip)?;
        if copied != record.length {
            return Err(io::Error::other("a copy changed while it was packed").into());
        }
    }
    Ok(zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?)
}

/// A fixed time, so that equal contents give equal octets.
fn options(length: u64) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o600)
        .large_file(length >= u64::from(u32::MAX))
}

fn seal(mut file: File) -> io::Result<File> {
    let sealed = file.metadata()?.len() - DIGITS;
    let digest = hex(&sha256(&mut file, sealed)?);
    file.seek(SeekFrom::Start(sealed))?;
    file.write_all(digest.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

/// SHA-256 of the first octets of a file.
pub(super) fn sha256(file: &mut File, octets: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut hashing = Hashing { digest: Context::new(&SHA256), to: io::sink() };
    let hashed = io::copy(&mut file.take(octets), &mut hashing)?;
    if hashed != octets {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(hashing.digest.finish().as_ref().to_vec())
}

/// Hashes what passes through.
struct Hashing<W> {
    digest: Context,
    to: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.to.write(octets)?;
        self.digest.update(&octets[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// An archive of which every octet was checked.
#[derive(Debug)]
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    manifest: Manifest,
    parts: Vec<Part>,
    /// Of the whole file, hex.
    pub(super) sha256: String,
}

impl Archive {
    /// Reads the whole file once and takes it only if it is exactly what [`write`] writes.
    pub(super) fn open(path: &Path) -> Result<Self, Damage> {
        let mut file = File::open(path).map_err(Damage::Unreadable)?;
        let found = file.metadata().map_err(Damage::Unreadable)?;
        if !found.is_file() {
            return Err(Damage::NotABackup);
        }
        let comment = check_seal(&mut file, found.len())?;
        let sha256 = hex(&sha256(&mut file, found.len()).map_err(Damage::Unreadable)?);
        // Only now is anything of it interpreted.
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(Damage::zip)?;
        if zip.comment() != comment || zip.offset() != 0 {
            return Err(Damage::Content("its ZIP structure is ambiguous".to_owned()));
        }
        // No name twice, nothing hidden between the files.
        zip.validate_header_consistency().map_err(Damage::zip)?;
        let manifest = read_manifest(&mut zip)?;
        let parts: Vec<Part> = manifest.parts()?.iter().map(|(part, _)| *part).collect();
        let mut archive = Self { zip, manifest, parts, sha256 };
        archive.check_names()?;
        for part in archive.parts.clone() {
            archive.extract(part, &mut io::sink())?;
        }
        Ok(archive)
    }

    pub(super) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it holds, in its order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Writes the content of a part, and says at its end whether it was what the manifest promises.
    pub(super) fn extract(&mut self, part: Part, to: &mut impl Write) -> Result<(), Damage> {
        let missing = || Damage::Content(format!("{} is missing", part.name()));
        let at = self.parts.iter().position(|known| *known == part).ok_or_else(missing)?;
        let record = self.manifest.files.get(at).ok_or_else(missing)?;
        // The manifest comes first.
        let mut file = self.zip.by_index(at + 1).map_err(Damage::zip)?;
        let mut hashing = Hashing { digest: Context::new(&SHA256), to };
        let copied = io::copy(&mut (&mut file).take(record.length + 1), &mut hashing)
            .map_err(Damage::Unreadable)?;
        let fits =
            copied == record.length && hex(hashing.digest.finish().as_ref()) == record.sha256;
        if fits { Ok(()) } else { Err(differs(record)) }
    }

    /// Compares what the ZIP lists with what the manifest promises, before any of it is read.
    fn check_names(&mut self) -> Result<(), Damage> {
        for at in 1..self.zip.len() {
            let file = self.zip.by_index(at).map_err(Damage::zip)?;
            let name = file.name_raw();
            let plain = file.is_file()
                && !file.encrypted()
                && file.compression() == CompressionMethod::Stored;
            match self.manifest.files.get(at - 1) {
                Some(record) if record.path.as_bytes() == name => {
                    if !plain || file.size() != record.length {
                        return Err(differs(record));
                    }
                }
                _ => return Err(Damage::Foreign(String::from_utf8_lossy(name).into_owned())),
            }
        }
        if self.zip.len() == self.manifest.files.len() + 1 {
            Ok(())
        } else {
            Err(Damage::Content("its manifest names files that are not there".to_owned()))
        }
    }
}

fn differs(record: &FileRecord) -> Damage {
    Damage::Content(format!("{} is not what the manifest says", record.path))
}

/// The comment, where it seals what stands before it.
fn check_seal(file: &mut File, length: u64) -> Result<Vec<u8>, Damage> {
    let comment_length = SEAL.len() as u64 + DIGITS;
    let start = length.checked_sub(comment_length).ok_or(Damage::NotABackup)?;
    let mut comment = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(comment_length).read_to_end(&mut comment))
        .map_err(Damage::Unreadable)?;
    let digits = comment.strip_prefix(SEAL.as_bytes()).ok_or(Damage::NotABackup)?;
    let sealed = sha256(file, length - DIGITS).map_err(Damage::Unreadable)?;
    if hex(&sealed).as_bytes() == digits { Ok(comment) } else { Err(Damage::Changed) }
}

fn read_manifest(zip: &mut ZipArchive<BufReader<File>>) -> Result<Manifest, Damage> {
    let first = zip.by_index(0).map_err(|_| Damage::Content("it is empty".to_owned()))?;
    if first.name_raw() != MANIFEST.as_bytes()
        || first.compression() != CompressionMethod::Stored
        || first.size() > LARGEST_MANIFEST
    {
        return Err(Damage::Content("it does not begin with its manifest".to_owned()));
    }
    let mut text = Vec::new();
    first.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(Damage::Unreadable)?;
    Manifest::parse(&text)
}

#[cfg(test)]
mod tests;
