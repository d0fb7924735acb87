//! PEM text (RFC 7468), read as administrators write it.
//!
//! Files come with text around the blocks, with Windows line ends, with other line lengths, and
//! from VMware's own tools with two markers on one line. All of that is read; the base64 itself is
//! decoded strictly.

use der::pem::LineEnding;
use zeroize::Zeroizing;

use super::error::{Error, Refusal};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Largest certificate request that is read, in octets of PEM text.
pub(super) const MAX_REQUEST: usize = 64 * 1024;
/// Largest bundle of certificates that is read, in octets of PEM text.
pub(super) const MAX_CERTIFICATES: usize = 1024 * 1024;
/// Largest revocation list that is read, in octets of PEM text.
pub(super) const MAX_CRL: usize = 16 * 1024 * 1024;
/// Largest private key file that is read, in octets of PEM text.
pub(super) const MAX_PRIVATE_KEY: usize = 64 * 1024;

/// One block: its label and the text between its markers.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub label: &'a str,
    pub body: &'a str,
}

impl Block<'_> {
    /// Whether header lines say that the content is encrypted (RFC 1421, `Proc-Type`).
    pub(super) fn says_encrypted(&self) -> bool {
        self.body.contains("Proc-Type:") || self.body.contains("DEK-Info:")
    }

    /// The block again, alone, in the strict form: lines of 64 characters, no header lines.
    ///
    /// The buffer is sized once and wipes itself, because the block may be a private key.
    pub(super) fn strict_text(&self) -> Zeroizing<String> {
        let base64 = || self.body.bytes().filter(|octet| !octet.is_ascii_whitespace());
        let count = base64().count();
        let markers = BEGIN.len() + END.len() + 2 * (self.label.len() + DASHES.len() + 1);
        let mut text = Zeroizing::new(String::with_capacity(markers + count + count / 64 + 1));
        for part in [BEGIN, self.label, DASHES, "\n"] {
            text.push_str(part);
        }
        for (position, octet) in base64().enumerate() {
            if position > 0 && position % 64 == 0 {
                text.push('\n');
            }
            // Anything that is not ASCII becomes a character that the decoder refuses.
            text.push(if octet.is_ascii() { char::from(octet) } else { '?' });
        }
        text.push('\n');
        for part in [END, self.label, DASHES, "\n"] {
            text.push_str(part);
        }
        text
    }

    /// The octets of a block that is not secret.
    pub(super) fn decode(&self) -> Result<Vec<u8>, Error> {
        let text = self.strict_text();
        der::pem::decode_vec(text.as_bytes())
            .map(|(_, octets)| octets)
            .map_err(|cause| damaged(self.label, cause))
    }
}

/// The text of a file, where it is text at all and not too large.
pub(super) fn text_of<'a>(octets: &'a [u8], what: &str, limit: usize) -> Result<&'a str, Error> {
    if octets.len() > limit {
        return Err(Error::Malformed(
            format!(
                "this is {} octets long; {what} has at most {limit}: check that it is the right file",
                octets.len()
            )
            .into(),
        ));
    }
    match octets {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Err(Error::Malformed(
                "this file is UTF-16 text; save it again as UTF-8 or plain ASCII".into(),
            ));
        }
        [0x30, 0x80..=0x84, ..] => {
            return Err(Error::NoPem(
                format!(
                    "this file is binary (DER), not PEM; convert {what} with \"openssl ... -inform DER -outform PEM\""
                )
                .into(),
            ));
        }
        _ => {}
    }
    std::str::from_utf8(octets).map_err(|cause| {
        Error::Malformed(Refusal::because(
            format!("this file is not text; {what} is expected in PEM form, which starts with \"{BEGIN}\""),
            cause,
        ))
    })
}

/// Every block of a text, in order.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, Error> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let after = &rest[start + BEGIN.len()..];
        let Some((label, after)) = after.split_once(DASHES).filter(|(label, _)| is_label(label))
        else {
            return Err(Error::Malformed(
                format!("a line starts with \"{BEGIN}\" but is no PEM marker; the file is damaged, copy it again").into(),
            ));
        };
        let Some((body, after)) = after.split_once(&*format!("{END}{label}{DASHES}")) else {
            return Err(Error::Malformed(
                format!(
                    "the PEM block \"{label}\" has no end; the file is cut off or damaged, copy it again"
                )
                .into(),
            ));
        };
        if body.contains(BEGIN) {
            return Err(Error::Malformed(
                format!(
                    "the PEM block \"{label}\" has no end before the next one starts; the file is damaged, copy it again"
                )
                .into(),
            ));
        }
        found.push(Block { label, body });
        rest = after;
    }
    Ok(found)
}

/// The first block with one of these labels; if there is none, what the file is instead.
pub(super) fn first<'a>(text: &'a str, labels: &[&str], what: &str) -> Result<Block<'a>, Error> {
    let found = blocks(text)?;
    match found.iter().find(|block| labels.contains(&block.label)) {
        Some(block) => Ok(*block),
        None => Err(absent(&found, what)),
    }
}

/// "this is a certificate, not a certificate request", or that there is no PEM at all.
pub(super) fn absent(found: &[Block<'_>], what: &str) -> Error {
    Error::NoPem(match found.first() {
        Some(block) => format!(
            "this is {}, not {what}; check that the right file was given",
            describe(block.label)
        )
        .into(),
        None => format!("there is no PEM text in this file; {what} starts with \"{BEGIN}\"").into(),
    })
}

/// PEM text with lines of 64 characters and a newline at the end.
pub(super) fn encode(label: &str, octets: &[u8]) -> String {
    // The labels used on this floor are valid and the octets fit into memory, so this cannot fail;
    // an empty text would be noticed by whoever reads it.
    der::pem::encode_string(label, LineEnding::LF, octets).unwrap_or_default()
}

pub(super) fn damaged(label: &str, cause: der::pem::Error) -> Error {
    Error::Malformed(Refusal::because(
        format!("the text of the PEM block \"{label}\" is damaged; copy the file again"),
        cause,
    ))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 64
        && label.bytes().all(|octet| matches!(octet, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'#'))
}

fn describe(label: &str) -> String {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => "a certificate".into(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "a certificate request".into(),
        "X509 CRL" => "a certificate revocation list".into(),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => "a private key".into(),
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key".into(),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key".into(),
        "EC PARAMETERS" => "a set of curve parameters".into(),
        "PKCS7" | "CMS" => "a PKCS #7 bundle".into(),
        other => format!("a PEM block of type \"{other}\""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Error, absent, blocks, encode, first, text_of};

    #[test]
    fn blocks_are_found_whatever_stands_around_them() {
        let one = encode("CERTIFICATE", &[1, 2, 3]);
        let glued = format!(
            "Bag Attributes\r\n{}{}",
            encode("PRIVATE KEY", &[9; 100]).trim_end().replace('\n', "\r\n"),
            one
        );
        let found = blocks(&glued).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].decode().unwrap(), [9; 100]);
        assert_eq!(found[1].decode().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn other_line_lengths_are_read() {
        let text = encode("CERTIFICATE", &[5; 90]);
        let lines: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let wide = format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----");
        assert_eq!(blocks(&wide).unwrap()[0].decode().unwrap(), [5; 90]);
    }

    #[test]
    fn a_text_that_is_cut_off_is_refused() {
        let text = encode("CERTIFICATE", &[5; 90]);
        for length in 12..text.len() - 2 {
            assert!(blocks(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_file_of_the_wrong_type_is_named() {
        let text = encode("CERTIFICATE", &[5; 90]);
        let Err(Error::NoPem(sentence)) =
            first(&text, &["CERTIFICATE REQUEST"], "a certificate request")
        else {
            panic!("a certificate was taken for a request");
        };
        assert!(
            sentence.starts_with("this is a certificate, not a certificate request"),
            "{sentence}"
        );
        assert!(matches!(absent(&[], "a certificate"), Error::NoPem(_)));
    }

    #[test]
    fn binary_wide_and_huge_files_are_refused() {
        for (octets, wanted) in [
            (&[0x30, 0x82, 0x01][..], "binary (DER)"),
            (&[0xff, 0xfe, 0x2d, 0x00], "UTF-16"),
            (&[0x80, 0x81], "not text"),
            (&[b'-'; 65], "65 octets long"),
        ] {
            let sentence = text_of(octets, "a certificate", 64).unwrap_err().to_string();
            assert!(sentence.contains(wanted), "{sentence}");
        }
    }
}
