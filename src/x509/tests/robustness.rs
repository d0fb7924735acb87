//! Every octet of valid input changed, every length cut off: nothing panics, and nothing that was
//! signed still verifies. The loops are deterministic, so a failure can be repeated.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::base::{KeyAlgorithm, Secret};
use crate::x509::tests::judge::Folder;
use crate::x509::{
    Certificate, Chain, Crl, CrlTemplate, Csr, Draft, Error, PrivateKey, RevokedEntry,
    certificates_from_pem, draft_crl, pem,
};

/// The input with each octet changed in two ways, and cut off at each length.
fn damaged(octets: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let changed = (0..octets.len()).flat_map(move |position| {
        [0x01, 0x80].into_iter().map(move |bit| {
            let mut changed = octets.to_vec();
            changed[position] ^= bit;
            changed
        })
    });
    changed.chain((0..octets.len()).map(|length| octets[..length].to_vec()))
}

/// A root and a request with every extension that is looked into, made by OpenSSL.
fn inputs(algorithm: KeyAlgorithm) -> (Folder, PrivateKey, Certificate, Csr) {
    let folder = Folder::new();
    let key = PrivateKey::generate(algorithm).unwrap();
    folder.write("key", key.to_pkcs8_pem().expose_secret());
    let subject = "/OU=multi+CN=name/DC=vsphere/DC=local";
    let extensions = [
        "subjectAltName=DNS:a.example,IP:192.0.2.1,email:a@example.com,URI:https://a/",
        "keyUsage=critical,keyCertSign,cRLSign",
        "extendedKeyUsage=serverAuth",
        "certificatePolicies=1.2.3.4",
        "authorityInfoAccess=caIssuers;URI:https://a/",
        "crlDistributionPoints=URI:http://a/crl",
        "nameConstraints=permitted;DNS:example.com,permitted;IP:10.0.0.0/255.0.0.0",
    ];
    let mut certificate = vec!["req", "-x509", "-key", "key", "-out", "c", "-subj", subject];
    let mut request = vec!["req", "-new", "-key", "key", "-out", "r", "-subj", subject];
    for extension in extensions {
        certificate.extend(["-addext", extension]);
        request.extend(["-addext", extension]);
    }
    folder.openssl(&certificate);
    folder.openssl(&request);
    let root = folder.certificate("c");
    let csr = Csr::from_pem(&folder.read("r")).unwrap();
    (folder, key, root, csr)
}

#[test]
fn a_changed_request_never_verifies() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa(2048)] {
        let (folder, _, _, csr) = inputs(algorithm);
        for changed in damaged(csr.as_der()) {
            assert!(Csr::from_der(&changed).is_err(), "{changed:x?}");
        }
        let text = folder.read("r");
        for changed in damaged(text.as_bytes()) {
            // A line end in another place is no change of the request.
            if let Ok(read) = Csr::from_pem(&String::from_utf8_lossy(&changed)) {
                assert_eq!(read.as_der(), csr.as_der());
            }
        }
    }
}

#[test]
fn a_changed_certificate_never_verifies_and_nothing_panics_on_it() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa(2048)] {
        let (_, _, root, _) = inputs(algorithm);
        let key = root.public_key().unwrap();
        for changed in damaged(root.as_der()) {
            if let Ok(certificate) = Certificate::from_der(&changed) {
                assert!(certificate.verify_signed_by(&key).is_err(), "{changed:x?}");
                certificate.to_text();
                certificate.subject().to_text();
                certificate.subject_hash();
                certificate.alternative_names();
                assert!(Chain::verify(vec![certificate], root.not_before()).is_err());
            }
        }
        for changed in damaged(root.to_pem().as_bytes()) {
            if let Ok(certificates) = certificates_from_pem(&changed) {
                assert_ne!(certificates.len(), 0);
            }
        }
    }
}

#[test]
fn a_changed_revocation_list_never_verifies_and_nothing_panics_on_it() {
    let (_, key, root, _) = inputs(KeyAlgorithm::P256);
    let template = CrlTemplate {
        number: 7,
        this_update: root.not_before(),
        next_update: root.not_after(),
        revoked: vec![RevokedEntry {
            serial: vec![1, 2, 3],
            revoked_at: root.not_before(),
            reason: Some(1),
        }],
    };
    let draft: Draft = draft_crl(&template, &root).unwrap();
    let der = draft.assemble(&key.sign(draft.tbs()).unwrap());
    let public_key = root.public_key().unwrap();
    Crl::from_der(&der).unwrap().verify_signed_by(&public_key).unwrap();
    for changed in damaged(&der) {
        if let Ok(crl) = Crl::from_der(&changed) {
            assert!(crl.verify_signed_by(&public_key).is_err(), "{changed:x?}");
            crl.to_text();
            crl.issuer_hash_old();
            crl.number();
            crl.revoked_serials().count();
        }
    }
}

#[test]
fn nothing_panics_on_a_damaged_private_key() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa(2048)] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let der = key.to_pkcs8_der();
        for changed in damaged(der.expose_secret()) {
            for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
                let text = pem::encode(label, &changed);
                if let Ok(read) = PrivateKey::from_pem(&Secret::new(text.into_bytes())) {
                    // What is taken is a whole key: it signs, and its own public key agrees.
                    read.sign(b"message").unwrap();
                }
            }
        }
    }
}

#[test]
fn deep_nesting_and_huge_lengths_are_refused() {
    let mut nested = vec![0x05, 0x00];
    for _ in 0..2000 {
        nested = crate::x509::asn1::sequence(&[&nested]);
    }
    for octets in [
        nested.as_slice(),
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00],
        &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[],
    ] {
        assert!(matches!(Certificate::from_der(octets), Err(Error::Malformed(_))));
        assert!(matches!(Crl::from_der(octets), Err(Error::Malformed(_))));
        assert!(matches!(Csr::from_der(octets), Err(Error::Malformed(_))));
    }
}
