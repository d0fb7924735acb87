//! The first file of an archive: what is in it, and which keys it needs.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::content::Part;
use super::error::Damage;
use crate::setup::records::GenerationRecord;

/// The format that is written, and the newest that is read.
pub(super) const FORMAT: u32 = 1;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Version of the archive's format.
    pub(super) format: u32,
    /// Version of the program that made it.
    pub(super) software: String,
    /// When, RFC 3339.
    pub(super) made_at: String,
    /// `node.name` of the configuration.
    pub(super) host: String,
    /// The root folder of the appliance; none: the system's places.
    pub(super) root: Option<PathBuf>,
    /// Every other file of the archive, in its order.
    pub(super) files: Vec<FileRecord>,
    /// The token that holds the CA's keys.
    pub(super) ca_token: CaToken,
    /// The token that holds the sealing keys.
    pub(super) sealing_token: SealingToken,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRecord {
    pub(super) path: String,
    /// Octets.
    pub(super) length: u64,
    /// Hex.
    pub(super) sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaToken {
    pub(super) label: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) keys: Vec<CaKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaKey {
    /// `CKA_ID`, hex.
    pub(super) id: String,
    /// Of the SubjectPublicKeyInfo, hex.
    pub(super) public_key_sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealingToken {
    pub(super) label: Option<String>,
    pub(super) serial: Option<String>,
    /// `CKA_ID` of the one sealing key, hex: in archives of a former version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrapping_key: Option<String>,
    /// Every generation that ever was, the first one first.
    #[serde(default)]
    pub(super) generations: Vec<Generation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generation {
    pub(super) number: u32,
    /// `active`, `retiring` or `destroyed`.
    pub(super) state: String,
    /// `CKA_ID` of the sealing key, hex.
    pub(super) sealing: String,
    /// `CKA_ID` of the wrapping key, hex; null for keys that a former version made.
    pub(super) wrapping: Option<String>,
}

/// What every format has in common.
#[derive(Deserialize)]
struct Numbered {
    format: u32,
}

impl Manifest {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Damage> {
        // The number first: a later format may have fields that are unknown here.
        let numbered: Numbered = serde_json::from_slice(text).map_err(Damage::manifest)?;
        if numbered.format > FORMAT {
            return Err(Damage::Newer(numbered.format));
        }
        if numbered.format == 0 {
            return Err(Damage::Content("its manifest has the format number 0".to_owned()));
        }
        serde_json::from_slice(text).map_err(Damage::manifest)
    }

    pub(super) fn to_text(&self) -> Vec<u8> {
        // Serialisation fails only for maps with keys that are no strings; there are none.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The parts in the order of the archive, each at most once and none missing.
    pub(super) fn parts(&self) -> Result<Vec<(Part, &FileRecord)>, Damage> {
        let mut rest = Part::ALL.into_iter();
        let mut parts = Vec::new();
        for record in &self.files {
            let part =
                Part::named(&record.path).ok_or_else(|| Damage::Foreign(record.path.clone()))?;
            if record.length > part.bound() {
                return Err(Damage::Content(format!(
                    "{} claims to have {} octets, more than it can have",
                    record.path, record.length
                )));
            }
            // Skips only parts that may be missing; a part that came before is not found any more.
            let next = rest.by_ref().find(|next| *next == part || !next.is_optional());
            if next != Some(part) {
                return Err(Damage::Content(format!(
                    "{} is named twice or in the wrong place, or what comes before it is missing",
                    record.path
                )));
            }
            parts.push((part, record));
        }
        match rest.find(|part| !part.is_optional()) {
            Some(missing) => Err(Damage::Content(format!("{} is missing", missing.name()))),
            None => Ok(parts),
        }
    }
}

impl CaKey {
    pub(super) fn of(key: &hsm::KeyReference) -> Self {
        let sha256 = digest(&SHA256, &key.public_key);
        Self { id: key.id.to_string(), public_key_sha256: hex(sha256.as_ref()) }
    }
}

impl Generation {
    pub(super) fn of(record: &GenerationRecord) -> Self {
        Self {
            number: record.number,
            state: record.state.clone(),
            sealing: record.sealing.to_string(),
            wrapping: record.wrapping.map(|id| id.to_string()),
        }
    }

    /// Whether its keys must be in the token.
    pub(super) fn is_in_use(&self) -> bool {
        self.state != "destroyed"
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{CaKey, CaToken, FORMAT, FileRecord, Generation, Manifest, SealingToken};
    use crate::setup::backup::content::Part;
    use crate::setup::backup::error::Damage;

    /// A manifest of these files.
    pub(in crate::setup::backup) fn manifest(files: Vec<FileRecord>) -> Manifest {
        Manifest {
            format: FORMAT,
            software: "0.1.0".to_owned(),
            made_at: "2030-01-02T03:04:05Z".to_owned(),
            host: "vc.example".to_owned(),
            root: Some("/srv/sealwright".into()),
            files,
            ca_token: CaToken {
                label: Some("sealwright-ca".to_owned()),
                serial: Some("1".to_owned()),
                keys: vec![CaKey { id: "ab".repeat(32), public_key_sha256: "cd".repeat(32) }],
            },
            sealing_token: SealingToken {
                label: None,
                serial: Some("2".to_owned()),
                wrapping_key: None,
                generations: vec![Generation {
                    number: 1,
                    state: "active".to_owned(),
                    sealing: "ef".repeat(32),
                    wrapping: Some("0e".repeat(32)),
                }],
            },
        }
    }

    fn records(parts: &[&str]) -> Vec<FileRecord> {
        let record = |path: &&str| FileRecord {
            path: (*path).to_owned(),
            length: 1,
            sha256: "00".repeat(32),
        };
        parts.iter().map(record).collect()
    }

    #[test]
    fn a_manifest_survives_its_text() {
        let manifest = manifest(records(&["etc/sealwright.toml"]));
        assert_eq!(Manifest::parse(&manifest.to_text()).unwrap(), manifest);
    }

    #[test]
    fn a_newer_format_is_named_whatever_else_it_says() {
        let newer = br#"{"format": 2, "something": "new"}"#;
        assert!(matches!(Manifest::parse(newer), Err(Damage::Newer(2))));
        for other in [&b"{}"[..], b"[]", b"", br#"{"format": 0}"#, br#"{"format": 1}"#] {
            assert!(matches!(Manifest::parse(other), Err(Damage::Content(_))));
        }
        let mut text = serde_json::to_value(manifest(Vec::new())).unwrap();
        text["surprise"] = true.into();
        assert!(Manifest::parse(text.to_string().as_bytes()).is_err());
    }

    #[test]
    fn files_come_once_each_in_their_order_and_all_that_is_needed() {
        let all: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
        assert_eq!(manifest(records(&all)).parts().unwrap().len(), all.len());
        let optional = [3, 4];
        for skipped in 0..all.len() {
            let mut some = all.clone();
            some.remove(skipped);
            assert_eq!(manifest(records(&some)).parts().is_ok(), optional.contains(&skipped));
            let mut twice = all.clone();
            twice.insert(skipped, all[skipped]);
            assert!(manifest(records(&twice)).parts().is_err());
        }
        let mut swapped = all.clone();
        swapped.swap(3, 4);
        assert!(manifest(records(&swapped)).parts().is_err());
        assert!(manifest(Vec::new()).parts().is_err());
    }

    #[test]
    fn hostile_names_and_sizes_are_refused() {
        for name in ["/etc/passwd", "../etc/sealwright.toml", "etc/pins/ca.pin", "manifest.json"] {
            let files = records(&[name]);
            assert!(
                matches!(manifest(files).parts(), Err(Damage::Foreign(found)) if found == name)
            );
        }
        let all: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
        for at in 0..all.len() {
            let mut files = records(&all);
            files[at].length = Part::ALL[at].bound() + 1;
            assert!(matches!(manifest(files).parts(), Err(Damage::Content(_))));
        }
    }
}
