//! Files with several certificates in PEM, as chains and trusted roots come.

use super::certificate::Certificate;
use super::error::Error;
use super::pem;

/// All certificates of a PEM text, in order; other blocks beside them are passed over. No
/// certificate at all: [`Error::NoPem`].
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<Certificate>, Error> {
    let text = pem::text_of(text, "a certificate file", pem::MAX_CERTIFICATES)?;
    let found = pem::blocks(text)?;
    let mut certificates = Vec::new();
    for block in
        found.iter().filter(|block| matches!(block.label, "CERTIFICATE" | "X509 CERTIFICATE"))
    {
        let number = certificates.len() + 1;
        let certificate = Certificate::from_der(&block.decode()?).map_err(|error| {
            Error::Malformed(error.into_refusal().reworded(|why| {
                format!("certificate number {number} of the file is not taken: {why}")
            }))
        })?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err(pem::absent(&found, "a certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::certificates_from_pem;
    use crate::x509::Error;
    use crate::x509::tests::judge;

    #[test]
    fn a_bundle_is_read_in_order() {
        let one = judge::self_signed("/CN=one");
        let two = judge::self_signed("/CN=two");
        let text = format!("comment\n{}{}", one.to_pem().trim_end(), two.to_pem());
        assert_eq!(certificates_from_pem(text.as_bytes()).unwrap(), [one, two]);
    }

    #[test]
    fn another_kind_of_file_is_named() {
        for (text, wanted) in [
            (&b""[..], "there is no PEM text"),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "this is a private key, not a certificate",
            ),
            (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "this is a PKCS #7 bundle"),
        ] {
            let error = certificates_from_pem(text).unwrap_err();
            assert!(matches!(&error, Error::NoPem(_)), "{error}");
            assert!(error.to_string().contains(wanted), "{error}");
        }
        let huge = vec![b' '; 1024 * 1024 + 1];
        assert!(matches!(certificates_from_pem(&huge), Err(Error::Malformed(_))));
    }

    #[test]
    fn the_damaged_certificate_of_a_bundle_is_named() {
        let one = judge::self_signed("/CN=one").to_pem();
        let damaged = crate::x509::pem::encode("CERTIFICATE", &[0x30, 0x00]);
        let error = certificates_from_pem(format!("{one}{damaged}").as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("certificate number 2 of the file"), "{error}");
        assert!(std::error::Error::source(&error).unwrap().is::<der::Error>());
    }
}
