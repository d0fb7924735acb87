//! `entry generate` and `entry sign`: keys that are made in the token, and signatures that are made there.

use std::path::Path;

use serde::de::IgnoredAny;

use super::command::{EntryName, NewKey, SignedFiles};
use super::failure::Ending;
use super::vecs::Vecs;
use crate::api::Octets;
use crate::api::ca::{CERTIFICATES, Issue, Issued};
use crate::api::vecs::{
    self as words, Complete, Created, Generate, LARGEST_MESSAGE, Pending, Sign, Signature,
    SignaturePurpose,
};
use crate::base::SignatureScheme;
use crate::cli::certool::{Vmca, read_config};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::new_file::{Audience, NewFile};
use crate::cli::terminal::Terminal;

/// Two services take part, and neither calls the other: VECS makes the key and a request, VMCA the
/// certificate, VECS the entry.
pub(super) fn generate(
    name: &EntryName,
    wanted: NewKey,
    vecs: &Vecs,
    vmca: &Vmca,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let EntryName { store, alias } = name;
    let file = read_config(&wanted.config, terminal).map_err(|ending| ending.into_failure())?;
    let fields = wanted.typed.over(file);
    // What can be found wrong here is found before a key is made.
    fields.alternative_names()?;
    let request = Generate {
        alias: alias.clone(),
        algorithm: wanted.algorithm,
        subject: Octets(fields.subject()?.as_der().to_vec()),
        alternative_names: fields.alternative_names_as_typed(),
    };
    let pending: Pending = vecs.post(&words::pending(store), &request)?;
    match completed(store, &pending, vecs, vmca) {
        Ok(created) => {
            terminal.out(&format!(
                "Entry with alias [{}] in store [{store}] was created successfully \n",
                created.alias
            ));
            Ok(())
        }
        Err(failure) => {
            // Where this does not work either, the key goes by itself.
            let _ = vecs.delete::<IgnoredAny>(&words::completion(store, &pending.ticket));
            Err(failure.into())
        }
    }
}

fn completed(store: &str, pending: &Pending, vecs: &Vecs, vmca: &Vmca) -> Result<Created, Failure> {
    let request = Issue { csr: pending.csr.clone(), not_before: None, not_after: None };
    let issued: Issued = vmca.post(CERTIFICATES, &request)?;
    let certificates =
        issued.chain.iter().map(|certificate| format!("{}\n", certificate.trim())).collect();
    vecs.post(&words::completion(store, &pending.ticket), &Complete { certificates })
}

/// Has a file signed. The signature is public; the mode of its file is that of the umask.
pub(super) fn sign(
    name: &EntryName,
    files: &SignedFiles,
    scheme: Option<SignatureScheme>,
    vecs: &Vecs,
) -> Result<(), Ending> {
    let message = read_message(&files.input)?;
    apart(files)?;
    // Signing leaves a record; find out first whether there is a place for the signature.
    let unwritable = |error| Failure::because(codes::VECS_FILE_IO, &error);
    let mut file = NewFile::beside(&files.output, Audience::Umask).map_err(unwritable)?;
    let wanted = Sign {
        purpose: SignaturePurpose::Content,
        scheme,
        message: Octets(message),
        public_key_sha256: None,
    };
    let made: Signature = vecs.post(&words::signature(&name.store, &name.alias), &wanted)?;
    file.write_octets(&made.signature.0).and_then(|()| file.keep()).map_err(unwritable)?;
    Ok(())
}

fn read_message(path: &Path) -> Result<Vec<u8>, Failure> {
    let message = files::read(path).map_err(|error| match error {
        files::Error::TooLarge(_) => Failure::new(
            codes::INVALID_PARAMETER,
            format!(
                "{} is larger than {LARGEST_MESSAGE} octets, which is the most that is signed; sign a file \
                 that holds its SHA-256",
                path.display()
            ),
        ),
        error => Failure::because(codes::VECS_FILE_IO, &error),
    })?;
    Ok(message.to_vec())
}

/// The signature would take the place of what it signs.
fn apart(files: &SignedFiles) -> Result<(), Failure> {
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    if place(&files.input) == place(&files.output) {
        return Err(Failure::new(
            codes::INVALID_PARAMETER,
            format!("--in and --out both name {}; name two files", files.input.display()),
        ));
    }
    Ok(())
}
