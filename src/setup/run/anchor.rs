//! The trust anchor, for whoever starts a client.

use std::fmt::Write as _;
use std::path::Path;

use crate::x509::{Certificate, certificates_from_pem};

/// The last certificate of the chain in this file: the root, or VMCA itself. Its fingerprint stands above it. A
/// sentence where it cannot be read.
pub(super) fn text(root_cer: &Path) -> String {
    let unread =
        |why: String| format!("trust anchor: {} cannot be read: {why}\n", root_cer.display());
    let octets = match std::fs::read(root_cer) {
        Ok(octets) => octets,
        Err(cause) => return unread(cause.to_string()),
    };
    match certificates_from_pem(&octets).map(|chain| chain.last().map(words)) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => unread(error.to_string()),
    }
}

fn words(anchor: &Certificate) -> String {
    let mut fingerprint = String::new();
    for octet in anchor.sha256() {
        // Writing into memory does not fail.
        let _written =
            write!(fingerprint, "{}{octet:02X}", if fingerprint.is_empty() { "" } else { ":" });
    }
    format!("trust anchor: {}, SHA-256 {fingerprint}\n{}", anchor.subject(), anchor.to_pem())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::text;
    use crate::x509::tests::judge;

    #[test]
    fn the_anchor_is_the_end_of_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.cer");
        let (vmca, root) = (judge::self_signed("/CN=VMCA"), judge::self_signed("/CN=root"));
        std::fs::write(&file, format!("{}{}", vmca.to_pem(), root.to_pem())).unwrap();
        let said = text(&file);
        assert!(said.starts_with("trust anchor: CN=root, SHA-256 "), "{said}");
        assert!(said.ends_with(&root.to_pem()) && !said.contains(&vmca.to_pem()), "{said}");
    }

    #[test]
    fn a_file_that_is_missing_or_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.cer");
        assert!(text(&file).contains("root.cer cannot be read"), "{}", text(&file));
        std::fs::write(&file, "nothing").unwrap();
        assert!(text(&file).contains("root.cer cannot be read"), "{}", text(&file));
    }
}
