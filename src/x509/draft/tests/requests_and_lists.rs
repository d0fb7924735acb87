//! Requests and revocation lists.

use super::super::{CrlTemplate, CsrTemplate, RevokedEntry, csr_pem, draft_crl};
use super::{DAY, openssl_ca, start};
use crate::base::KeyAlgorithm;
use crate::x509::tests::judge::Folder;
use crate::x509::{AlternativeNames, Crl, Csr, Error, PrivateKey, SubjectFields};

#[test]
fn requests_are_taken_by_openssl_and_by_ourselves() {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        for ca in [false, true] {
            let folder = Folder::new();
            let key = PrivateKey::generate(algorithm).unwrap();
            let mut alternative_names = AlternativeNames::default();
            if !ca {
                alternative_names.add_dns("a.example").unwrap();
            }
            let fields = SubjectFields {
                common_name: Some("name".into()),
                org_unit: Some("one, two".into()),
                ..SubjectFields::default()
            };
            let template = CsrTemplate {
                subject: fields.to_name().unwrap(),
                public_key: key.public_key().clone(),
                alternative_names,
                key_usage: None,
                ca,
            };
            let text = csr_pem(&template, &key).unwrap();
            folder.write("csr", text.as_bytes());
            let dump = folder.openssl(&["req", "-in", "csr", "-verify", "-noout", "-text"]);
            assert!(dump.contains("CN = name, OU = one, OU = two"), "{dump}");
            assert_eq!(dump.contains("CA:TRUE"), ca);
            assert_eq!(dump.contains("Certificate Sign, CRL Sign"), ca);
            assert!(folder.accepts("certtool", &["--crq-info", "--infile", "csr"]));
            let csr = Csr::from_pem(&text).unwrap();
            assert_eq!(csr.requested().ca, ca);
            assert_eq!(csr.requested().alternative_names, template.alternative_names);
            assert_eq!(csr.subject(), &template.subject);
        }
    }
    // Without any extension the attributes are there, and empty.
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let template = CsrTemplate {
        subject: SubjectFields { common_name: Some("x".into()), ..SubjectFields::default() }
            .to_name()
            .unwrap(),
        public_key: key.public_key().clone(),
        alternative_names: AlternativeNames::default(),
        key_usage: None,
        ca: false,
    };
    assert!(
        Csr::from_pem(&csr_pem(&template, &key).unwrap()).unwrap().requested().others.is_empty()
    );
    let other = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    assert!(matches!(csr_pem(&template, &other), Err(Error::Building(_))));
}

#[test]
fn revocation_lists_are_verified_by_openssl_and_gnutls() {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let folder = Folder::new();
        let (key, ca) = openssl_ca(&folder, algorithm, "/CN=CA/DC=vsphere/DC=local");
        let reasons = [None, Some(0), Some(1), Some(4), Some(10)];
        for revoked in [&reasons[..0], &reasons[..]] {
            let template = CrlTemplate {
                number: 0x8000,
                this_update: start(),
                next_update: start() + 30 * DAY,
                revoked: revoked
                    .iter()
                    .zip(1u8..)
                    .map(|(reason, serial)| RevokedEntry {
                        serial: vec![0, 0x80, serial],
                        revoked_at: start() - DAY,
                        reason: *reason,
                    })
                    .collect(),
            };
            let draft = draft_crl(&template, &ca).unwrap();
            let crl = Crl::from_der(&draft.assemble(&key.sign(draft.tbs()).unwrap())).unwrap();
            folder.write("crl", crl.to_pem().as_bytes());
            assert!(
                folder.accepts("openssl", &["crl", "-in", "crl", "-CAfile", "ca.crt", "-noout"])
            );
            assert!(folder.accepts(
                "certtool",
                &["--verify-crl", "--load-ca-certificate", "ca.crt", "--infile", "crl"]
            ));
            assert_eq!(crl.to_text(), folder.openssl(&["crl", "-in", "crl", "-noout", "-text"]));
            assert_eq!(crl.issuer().as_der(), ca.subject().as_der());
            assert_eq!(crl.number(), Some(0x8000));
            assert_eq!(crl.authority_key_identifier(), ca.subject_key_identifier());
            let serials: Vec<&[u8]> = crl.revoked_serials().collect();
            assert_eq!(serials.len(), revoked.len());
            assert!(serials.iter().all(|serial| serial[0] == 0x80));
            crl.verify_signed_by(&ca.public_key().unwrap()).unwrap();
        }
    }
}

#[test]
fn revocation_lists_that_make_no_sense_are_not_built() {
    let folder = Folder::new();
    let (_, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let entry = |serial: &[u8], reason| RevokedEntry {
        serial: serial.to_vec(),
        revoked_at: start(),
        reason,
    };
    for (next_update, revoked) in [
        (start(), vec![]),
        (start() + DAY, vec![entry(&[1], Some(7))]),
        (start() + DAY, vec![entry(&[1], Some(11))]),
        (start() + DAY, vec![entry(&[1; 30], None)]),
    ] {
        let template = CrlTemplate { number: 0, this_update: start(), next_update, revoked };
        assert!(draft_crl(&template, &ca).is_err());
    }
}
