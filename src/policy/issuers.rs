//! The CA certificates that are known for the keys of a token: a folder with one DER file for each,
//! `<CKA_ID hex>-<SHA-256 hex>.der`. The key workshop writes them; who signs only reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::Refusal;
use crate::x509::{Certificate, NameConstraints, PublicKey};

/// Octets of the largest certificate that is taken.
const LARGEST: u64 = 64 * 1024;
/// Certificates are no secret.
const MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// The CA certificates known for the keys of one token.
pub struct Issuers {
    folder: PathBuf,
    known: RwLock<BTreeMap<hsm::KeyId, Arc<Known>>>,
}

/// What is known about one key.
pub(super) struct Known {
    pub(super) public_key: PublicKey,
    pub(super) issuers: Vec<Issuer>,
}

/// One CA certificate of a key.
pub(super) struct Issuer {
    pub(super) certificate: Certificate,
    pub(super) constraints: Option<NameConstraints>,
}

impl Issuers {
    /// On this folder, which is read when a key is judged for the first time, and again whenever
    /// nothing in it fitted: the key workshop adds files.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), known: RwLock::default() }
    }

    /// Judges by what is known about a key, and once more by what the folder says now, if the first
    /// answer is no.
    pub(super) fn judge_by(
        &self,
        key: &hsm::KeyReference,
        rule: impl Fn(&Known) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key.id).cloned();
        if let Some(known) = known.filter(|known| known.public_key.as_der() == key.public_key)
            && rule(&known).is_ok()
        {
            return Ok(());
        }
        let known = Arc::new(self.read(key)?);
        let outcome = rule(&known);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key.id, known);
        outcome
    }

    fn read(&self, key: &hsm::KeyReference) -> Result<Known, Refusal> {
        let public_key = PublicKey::from_spki_der(&key.public_key).map_err(|cause| {
            Refusal::because("the key on record is none that signs here", cause)
        })?;
        let issuers = read_folder(&self.folder, key).map_err(|cause| {
            Refusal::because(
                format!(
                    "the CA certificates in {} cannot be read; make the folder readable for the service",
                    self.folder.display()
                ),
                cause,
            )
        })?;
        Ok(Known { public_key, issuers })
    }
}

/// A file that does not hold what its name says, or a CA certificate of another key, is no issuer.
fn read_folder(folder: &Path, key: &hsm::KeyReference) -> io::Result<Vec<Issuer>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    let prefix = format!("{}-", key.id);
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) else { continue };
        let Ok(der) = read_file(&entry.path()) else { continue };
        if let Ok(issuer) = Issuer::read(key, &der)
            && name == file_name(key.id, &issuer.certificate)
        {
            found.push(issuer);
        }
    }
    found.sort_by_key(|issuer| issuer.certificate.sha256());
    Ok(found)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut der = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut der)?;
    Ok(der)
}

impl Issuer {
    /// Believes a certificate that belongs to the key and may sign certificates. Who signed it is
    /// not asked: whoever relies on a certificate below asks that.
    fn read(key: &hsm::KeyReference, der: &[u8]) -> Result<Self, Refusal> {
        if der.len() as u64 > LARGEST {
            return Err(format!("a CA certificate has more than {LARGEST} octets").into());
        }
        let certificate = Certificate::from_der(der)
            .map_err(|cause| Refusal::because("the CA certificate is not taken", cause))?;
        if certificate.public_key_der() != key.public_key {
            return Err(
                "the CA certificate is for another key: bring the certificate of this key".into()
            );
        }
        if !certificate.is_ca() || certificate.key_usage().is_none_or(|usage| !usage.key_cert_sign)
        {
            return Err(
                "the certificate is not one of a CA that may sign certificates: ask the issuer for a CA certificate"
                    .into(),
            );
        }
        let constraints = NameConstraints::of(&certificate).map_err(|cause| {
            Refusal::because("the name constraints of the CA certificate cannot be followed", cause)
        })?;
        Ok(Self { certificate, constraints })
    }
}

/// Whether this certificate is recorded for this key already, as it is.
pub fn is_recorded(folder: &Path, key: &hsm::KeyReference, certificate: &[u8]) -> bool {
    Issuer::read(key, certificate).is_ok_and(|issuer| {
        fs::read(folder.join(file_name(key.id, &issuer.certificate)))
            .is_ok_and(|found| found == certificate)
    })
}

/// Writes a CA certificate (DER) down for a key, durably and readable for everybody; one that is
/// there already stays. The caller has seen that the token holds this key with this public key.
///
/// # Errors
/// The certificate is not one of a CA with this key, or the folder cannot be written; then nothing
/// is recorded.
pub fn record(folder: &Path, key: &hsm::KeyReference, certificate: &[u8]) -> Result<(), Refusal> {
    let issuer = Issuer::read(key, certificate)?;
    write(folder, &file_name(key.id, &issuer.certificate), certificate).map_err(|cause| {
        Refusal::because(
            format!(
                "the CA certificate cannot be written into {}; make room and make the folder writable for the key \
                 workshop",
                folder.display()
            ),
            cause,
        )
    })
}

fn write(folder: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if !fs::read(&path).is_ok_and(|found| found == octets) {
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
            // The mode at creation was narrowed by the umask.
            fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
            if let Some(parent) = folder.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        let unfinished = folder.join("unfinished.partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&unfinished)?;
        let written = file
            .write_all(octets)
            .and_then(|()| file.set_permissions(Permissions::from_mode(MODE)))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            // Half a file is worth nothing; the next attempt writes over it where this fails.
            let _ = fs::remove_file(&unfinished);
        }
        written?;
    }
    // Also for a file that was there: who wrote it may have died before this.
    File::open(folder)?.sync_all()
}

fn file_name(id: hsm::KeyId, certificate: &Certificate) -> String {
    let mut name = format!("{id}-");
    for octet in certificate.sha256() {
        // Writing to a string cannot fail.
        let _ = write!(name, "{octet:02x}");
    }
    name + ".der"
}
