//! The trusted roots as a PEM bundle, and as the ZIP that clients of the original unpack.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};

use zip::ZipWriter;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

/// A certificate or a revocation list, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// OpenSSL's hash of the subject, or of a revocation list's issuer.
    pub(super) hash: u32,
    /// The same by OpenSSL before 1.0, which used MD5.
    pub(super) old_hash: u32,
    pub(super) pem: String,
}

/// What a file in the ZIP holds; each kind is numbered for itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Certificate,
    Crl,
}

/// One platform's folder.
struct Folder {
    name: &'static str,
    /// Whether the old hash names are there as well.
    old_names: bool,
    certificate_end: &'static str,
    crl_end: &'static str,
}

const FOLDERS: [Folder; 3] = [
    Folder { name: "lin", old_names: true, certificate_end: "", crl_end: "" },
    Folder { name: "mac", old_names: false, certificate_end: "", crl_end: "" },
    Folder { name: "win", old_names: false, certificate_end: ".crt", crl_end: ".crl" },
];

/// All certificates, one after the other.
pub(super) fn pem(certificates: &[Item]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(certificate.pem.trim_end());
        text.push('\n');
    }
    text
}

/// The ZIP: `certs/lin/HASH.0`, `HASH.r0` for a revocation list, the same in `certs/mac`, and
/// `certs/win/HASH.0.crt`, `HASH.r0.crl`. The number tells names with the same hash apart, as
/// OpenSSL expects it. Equal contents give equal octets.
pub(super) fn zip(certificates: &[Item], crls: &[Item]) -> io::Result<Vec<u8>> {
    write(certificates, crls).map_err(io::Error::other)
}

fn write(certificates: &[Item], crls: &[Item]) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored, not compressed: it is small. A fixed time, so that equal contents are equal octets.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    for folder in FOLDERS {
        let mut taken = BTreeMap::new();
        let all = certificates
            .iter()
            .map(|item| (Kind::Certificate, item))
            .chain(crls.iter().map(|item| (Kind::Crl, item)));
        for (kind, item) in all {
            for name in folder.names(kind, item, &mut taken) {
                archive.start_file(name, options)?;
                archive.write_all(item.pem.as_bytes())?;
            }
        }
    }
    Ok(archive.finish()?.into_inner())
}

impl Folder {
    fn names(
        &self,
        kind: Kind,
        item: &Item,
        taken: &mut BTreeMap<(Kind, u32), u32>,
    ) -> Vec<String> {
        let mut hashes = vec![item.hash];
        if self.old_names {
            hashes.push(item.old_hash);
        }
        let (mark, end) = match kind {
            Kind::Certificate => ("", self.certificate_end),
            Kind::Crl => ("r", self.crl_end),
        };
        hashes
            .into_iter()
            .map(|hash| {
                let next = taken.entry((kind, hash)).or_insert(0);
                let number = *next;
                *next += 1;
                format!("certs/{}/{hash:08x}.{mark}{number}{end}", self.name)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Item, pem, zip};
    use std::collections::BTreeMap;
    use std::io::{Cursor, Read};

    fn item(hash: u32, old_hash: u32, pem: &str) -> Item {
        Item { hash, old_hash, pem: pem.to_owned() }
    }

    fn files(octets: Vec<u8>) -> BTreeMap<String, String> {
        let mut archive = zip::ZipArchive::new(Cursor::new(octets)).unwrap();
        (0..archive.len())
            .map(|index| {
                let mut file = archive.by_index(index).unwrap();
                let mut content = String::new();
                file.read_to_string(&mut content).unwrap();
                (file.name().unwrap().into_owned(), content)
            })
            .collect()
    }

    #[test]
    fn every_platform_finds_its_names() {
        let octets =
            zip(&[item(0xab, 0x0100_0001, "root")], &[item(0xab, 0x0100_0001, "crl")]).unwrap();
        let expected = [
            ("certs/lin/000000ab.0", "root"),
            ("certs/lin/000000ab.r0", "crl"),
            ("certs/lin/01000001.0", "root"),
            ("certs/lin/01000001.r0", "crl"),
            ("certs/mac/000000ab.0", "root"),
            ("certs/mac/000000ab.r0", "crl"),
            ("certs/win/000000ab.0.crt", "root"),
            ("certs/win/000000ab.r0.crl", "crl"),
        ];
        let expected = expected.map(|(name, content)| (name.to_owned(), content.to_owned()));
        assert_eq!(files(octets), BTreeMap::from(expected));
    }

    #[test]
    fn names_with_one_hash_are_numbered() {
        // The third root's old hash is the others' new one: they share the folder of Linux.
        let roots = [item(1, 9, "a"), item(1, 9, "b"), item(2, 1, "c")];
        let found = files(zip(&roots, &[]).unwrap());
        let lin: Vec<(&str, &str)> = found
            .iter()
            .filter(|(name, _)| name.starts_with("certs/lin/"))
            .map(|(name, content)| (&name["certs/lin/".len()..], content.as_str()))
            .collect();
        assert_eq!(
            lin,
            [
                ("00000001.0", "a"),
                ("00000001.1", "b"),
                ("00000001.2", "c"),
                ("00000002.0", "c"),
                ("00000009.0", "a"),
                ("00000009.1", "b"),
            ]
        );
        assert_eq!(found["certs/win/00000001.1.crt"], "b");
    }

    #[test]
    fn equal_contents_are_equal_octets_and_nothing_is_an_empty_archive() {
        let roots = [item(1, 2, "a")];
        assert_eq!(zip(&roots, &[]).unwrap(), zip(&roots, &[]).unwrap());
        assert!(files(zip(&[], &[]).unwrap()).is_empty());
    }

    #[test]
    fn the_bundle_has_one_line_end_between_certificates() {
        assert_eq!(pem(&[item(1, 2, "a\n\n"), item(1, 2, "b")]), "a\nb\n");
    }
}
