//! `--genkey`: a key pair, made and kept on this machine.

use std::path::Path;

use super::failure::Ending;
use crate::base::KeyAlgorithm;
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::new_file::{Audience, NewFile};
use crate::x509::PrivateKey;

/// The original writes both files with the umask's mode and the private key without a newline at its
/// end; here the private key is for its owner alone and ends in a newline.
pub(super) fn generate(
    private: &Path,
    public: Option<&Path>,
    algorithm: KeyAlgorithm,
) -> Result<(), Ending> {
    let unwritable = |error| Failure::because(codes::KEY_IO_FAILURE, &error);
    let mut private_file = NewFile::beside(private, Audience::Owner).map_err(unwritable)?;
    let public_file = public
        .map(|place| NewFile::beside(place, Audience::Umask))
        .transpose()
        .map_err(unwritable)?;

    let key = PrivateKey::generate(algorithm)
        .map_err(|error| Failure::because(codes::KEY_CREATION_FAILURE, &error))?;
    private_file
        .write_secret(key.to_pkcs8_pem().expose_secret())
        .map_err(unwritable)?;
    let public_file = public_file
        .map(|mut file| {
            file.write(&format!("{}\n", key.public_key_pem().trim_end()))?;
            Ok(file)
        })
        .transpose()
        .map_err(unwritable)?;

    // The private key first: one whose public half is missing can still be used, but a public key
    // that belongs to no private key is a trap.
    private_file.keep().map_err(unwritable)?;
    if let Some(file) = public_file {
        file.keep().map_err(unwritable)?;
    }
    Ok(())
}
