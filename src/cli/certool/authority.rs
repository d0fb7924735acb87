//! `--selfca`, `--rootca`, `--gencacsr`, `--getrootca`, `--getcrl`, `--version`: the CA itself.

use std::path::Path;

use super::certificates::{read_chain, write_chain};
use super::command::{Config, Values};
use super::config_file;
use super::failure::{Ending, from_key_file, from_x509};
use super::fields::Fields;
use super::vmca::Vmca;
use crate::api::ca as words;
use crate::base::{Clock as _, SystemClock};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::new_file::{Audience, NewFile};
use crate::cli::terminal::Terminal;
use crate::x509::{Chain, ChainError, Name, certificates_from_pem};

/// Name of the original's remote procedure, as it stands in front of the status word.
const PROCEDURE: &str = "VMCAAddRootCertificatePrivate";

/// What was typed, over what stands in the configuration file.
pub(super) fn read_values(values: &Values, terminal: &mut Terminal) -> Result<Fields, Ending> {
    let file = match &values.config {
        Config::File(path) => config_file::read(path, terminal)?,
        Config::HereOrTemplate { here, .. } if here.exists() => config_file::read(here, terminal)?,
        Config::HereOrTemplate { template, .. } => config_file::read(template, terminal)?,
    };
    Ok(values.typed.clone().over(file))
}

/// The original makes the key here and sends it over; ours is made in the token, on the server.
pub(super) fn self_signed(
    values: &Values,
    predate_minutes: u32,
    key: words::KeyChoice,
    vmca: &Vmca,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let fields = read_values(values, terminal)?;
    let node: words::Node = vmca.get(words::NODE)?;
    let request = words::SelfSign {
        subject: hex(&fields.root_subject(&node)?),
        alternative_names: fields.alternative_names_as_typed(),
        predate_minutes,
        key,
    };
    let _: words::Chain = vmca.post(words::SELF_SIGNED, &request)?;
    Ok(())
}

/// Sends the certificates of a file, and nothing else that may stand in it.
pub(super) fn install(chain: &Path, key: Option<&Path>, vmca: &Vmca) -> Result<(), Ending> {
    let certificates = read_chain(chain)?;
    let pem = certificates
        .iter()
        .map(|certificate| format!("{}\n", certificate.to_pem().trim_end()))
        .collect();
    // The server judges everything. These two are looked at here as well because the original finds
    // them on this side, and then prints no name of a remote procedure.
    match Chain::verify(certificates, SystemClock.now()) {
        Err(error @ ChainError::Incomplete(_)) => {
            return Err(Failure::because(codes::INCOMPLETE_CHAIN, &error).into());
        }
        Err(error @ ChainError::Order(_)) => {
            return Err(Failure::because(codes::INVALID_CHAIN, &error).into());
        }
        Ok(_) | Err(_) => {}
    }
    let private_key =
        key.map(files::read_key_text).transpose().map_err(|error| from_key_file(&error))?;
    let request = words::InstallChain { chain: pem, private_key };
    let _: words::Chain = vmca
        .post(words::CHAIN, &request)
        .map_err(|failure| Ending::Refused { procedure: PROCEDURE, failure })?;
    Ok(())
}

/// A request that an enterprise CA can sign as it is.
pub(super) fn request(
    values: &Values,
    place: &Path,
    key: words::KeyChoice,
    vmca: &Vmca,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let fields = read_values(values, terminal)?;
    let request = words::RequestCa {
        subject: hex(&fields.subject()?),
        alternative_names: fields.alternative_names_as_typed(),
        key,
    };
    let unwritable = |error| Failure::because(codes::FILE_IO_ERROR, &error);
    let mut file = NewFile::beside(place, Audience::Umask).map_err(unwritable)?;
    let answer: words::CaRequest = vmca.post(words::REQUEST, &request)?;
    file.write(&format!("{}\n", answer.csr.trim_end()))
        .and_then(|()| file.keep())
        .map_err(unwritable)?;
    Ok(())
}

/// Shows the first certificate of the chain and writes all of them where a file is named.
pub(super) fn fetch(
    place: Option<&Path>,
    vmca: &Vmca,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let file = place
        .map(|place| NewFile::beside(place, Audience::Umask).map(|file| (place, file)))
        .transpose()
        .map_err(|error| Failure::because(codes::CERT_IO_FAILURE, &error))?;
    let answer: words::Chain = vmca.get(words::CHAIN)?;
    let first = answer
        .chain
        .first()
        .map(|pem| certificates_from_pem(pem.as_bytes()))
        .transpose()
        .map_err(|error| from_x509(&error))?
        .unwrap_or_default();
    for certificate in first.iter().take(1) {
        terminal.out(&format!("{}\n", certificate.to_text().trim_end()));
    }
    if let Some((place, file)) = file {
        write_chain(file, &answer.chain)?;
        terminal.out(&format!("CA chain written to : {}\n", place.display()));
    }
    Ok(())
}

/// Writes the revocation list.
pub(super) fn fetch_crl(place: &Path, vmca: &Vmca) -> Result<(), Ending> {
    let unwritable = |error| Failure::because(codes::CRL_LOCAL_ERROR, &error);
    let mut file = NewFile::beside(place, Audience::Umask).map_err(unwritable)?;
    let answer: words::Crl = vmca.get(words::CRL)?;
    file.write(&format!("{}\n", answer.crl.trim_end()))
        .and_then(|()| file.keep())
        .map_err(unwritable)?;
    Ok(())
}

/// Two lines: who answers, and whose work it is.
pub(super) fn version(vmca: &Vmca, terminal: &mut Terminal) -> Result<(), Ending> {
    let version: words::Version = vmca.get(words::VERSION)?;
    terminal.out(&format!(
        "{} {}\nCopyright (c) the Sealwright authors; licensed under Apache-2.0\n",
        version.product, version.version
    ));
    Ok(())
}

fn hex(name: &Name) -> String {
    name.as_der().iter().map(|octet| format!("{octet:02x}")).collect()
}
