//! Which form of the trusted roots a client wants.

/// A form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Certificates in PEM, one after the other.
    Pem,
    /// Certificates and revocation lists in files named by hash.
    Zip,
}

/// Media type of the ZIP.
const ZIP: &str = "application/zip";
/// Media types under which clients ask for PEM.
const PEM: [&str; 3] =
    ["application/x-pem-file", "application/pem-certificate-chain", "text/plain"];

/// Reads an `Accept` header (RFC 9110, 12.5.1). The ZIP is for whoever asks for it by name and does
/// not like PEM better; everybody else, and every wildcard, gets PEM.
pub(super) fn negotiate(accept: &str) -> Format {
    let weight = |wanted: &[&str]| {
        accept
            .split(',')
            .filter_map(range)
            .filter(|(media, _)| wanted.iter().any(|name| media.eq_ignore_ascii_case(name)))
            .map(|(_, weight)| weight)
            .fold(0.0, f32::max)
    };
    let zip = weight(&[ZIP]);
    if zip > 0.0 && zip >= weight(&PEM) { Format::Zip } else { Format::Pem }
}

/// One media range and its weight.
fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next()?;
    let weight = parts
        .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
        .map_or(Some(1.0), |weight| weight.parse().ok())?;
    Some((media, weight))
}

#[cfg(test)]
mod tests {
    use super::{Format, negotiate};

    #[test]
    fn the_zip_is_for_whoever_asks_for_it() {
        let cases = [
            ("", Format::Pem),
            ("*/*", Format::Pem),
            ("application/*", Format::Pem),
            ("application/zip", Format::Zip),
            ("Application/ZIP;q=0.5, */*;q=0.1", Format::Zip),
            ("text/html, application/zip;q=0.9", Format::Zip),
            ("application/zip;q=0", Format::Pem),
            ("application/zip;q=0.5, application/x-pem-file", Format::Pem),
            ("application/zip, application/x-pem-file;q=0.5", Format::Zip),
            ("application/zip;q=many", Format::Pem),
        ];
        for (accept, expected) in cases {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }
}
