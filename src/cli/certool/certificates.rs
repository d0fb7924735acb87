//! `--gencert` and `--viewcert`: certificates of machines.

use std::path::Path;

use super::command::Values;
use super::failure::{Ending, from_key, from_x509};
use super::vmca::Vmca;
use crate::api::ca as words;
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::new_file::{Audience, NewFile};
use crate::cli::terminal::Terminal;
use crate::x509::{Certificate, CsrTemplate, KeyUsage, PrivateKey, certificates_from_pem, csr_pem};

/// The use that certool asks for; VMCA decides.
const REQUESTED_USAGE: KeyUsage = KeyUsage {
    digital_signature: true,
    non_repudiation: true,
    key_encipherment: true,
    data_encipherment: false,
    key_agreement: false,
    key_cert_sign: false,
    crl_sign: false,
};

/// Name of the original's remote procedure, as it stands in front of the status word.
const PROCEDURE: &str = "VMCAGetSignedCertificatePrivate";

/// Builds a request, has VMCA sign it and writes the chain. The private key does not leave this
/// function.
pub(super) fn generate(
    values: &Values,
    key: &Path,
    certificate: &Path,
    vmca: &Vmca,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let fields = super::authority::read_values(values, terminal)?;
    let subject = fields.subject()?;
    let alternative_names = fields.alternative_names()?;
    let csr = {
        let pem = files::read_secret(key)
            .map_err(|error| Failure::because(codes::KEY_IO_FAILURE, &error))?;
        let private = PrivateKey::from_pem(&pem).map_err(|error| from_key(key, &error))?;
        let template = CsrTemplate {
            subject,
            public_key: private.public_key().clone(),
            alternative_names,
            key_usage: Some(REQUESTED_USAGE),
            ca: false,
        };
        csr_pem(&template, &private).map_err(|error| from_x509(&error))?
    };

    // There must be a place for the certificate before one is asked for.
    let file = NewFile::beside(certificate, Audience::Umask)
        .map_err(|error| Failure::because(codes::CERT_IO_FAILURE, &error))?;

    let request = words::Issue {
        csr,
        not_before: None,
        not_after: None,
    };
    let issued: words::Issued = vmca
        .post(words::CERTIFICATES, &request)
        .map_err(|failure| Ending::Refused {
            procedure: PROCEDURE,
            failure,
        })?;
    write_chain(file, &issued.chain)?;
    Ok(())
}

/// Every certificate on its own, and one blank line more at the end, as the original writes it.
pub(super) fn write_chain(mut file: NewFile, chain: &[String]) -> Result<(), Failure> {
    let mut text = String::new();
    for certificate in chain {
        text.push_str(certificate.trim());
        text.push('\n');
    }
    text.push('\n');
    file.write(&text)
        .and_then(|()| file.keep())
        .map_err(|error| Failure::because(codes::CERT_IO_FAILURE, &error))
}

/// Shows every certificate of a file as text.
pub(super) fn view(certificate: &Path, terminal: &mut Terminal) -> Result<(), Ending> {
    for certificate in read_chain(certificate)? {
        terminal.out(&format!("{}\n", certificate.to_text().trim_end()));
    }
    Ok(())
}

/// Every certificate of a PEM file.
pub(super) fn read_chain(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let octets =
        files::read(path).map_err(|error| Failure::because(codes::CERT_IO_FAILURE, &error))?;
    certificates_from_pem(&octets).map_err(|error| {
        let mut failure = from_x509(&error);
        failure
            .sentence
            .insert_str(0, &format!("{}: ", path.display()));
        failure
    })
}
