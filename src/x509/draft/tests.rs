//! The table of rcgen's defects, row by row, and drafts judged by OpenSSL and GnuTLS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rcgen::{CertificateParams, DnType, PublicKeyData};

use super::recorder::Recorder;
use super::*;
use crate::base::{Clock, KeyAlgorithm, SystemClock, UnixTime};
use crate::x509::judge::Folder;
use crate::x509::{Crl, Csr, KeyUsage, PrivateKey, SubjectFields};

/// The present, because OpenSSL and GnuTLS judge by the clock of this machine.
fn start() -> UnixTime {
    SystemClock.now()
}

const DAY: UnixTime = 86_400;
const CA_EXTENSIONS: &str = "[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

/// A CA whose key is in our hands and whose certificate OpenSSL made, under any subject.
fn openssl_ca(
    folder: &Folder,
    algorithm: KeyAlgorithm,
    subject: &str,
) -> (PrivateKey, Certificate) {
    let key = PrivateKey::generate(algorithm).unwrap();
    folder.write("ca.key", key.to_pkcs8_pem().expose_secret());
    folder.write("config", CA_EXTENSIONS.as_bytes());
    folder.openssl(&[
        "req", "-new", "-utf8", "-key", "ca.key", "-out", "ca.csr", "-subj", subject,
    ]);
    folder.openssl(&[
        "x509",
        "-req",
        "-in",
        "ca.csr",
        "-key",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "3650",
        "-extfile",
        "config",
        "-extensions",
        "ext",
    ]);
    (key, folder.certificate("ca.crt"))
}

/// A request that OpenSSL makes: arguments of `openssl req`, extensions.
fn openssl_csr(folder: &Folder, arguments: &[&str], subject: &str, extensions: &str) -> String {
    folder.write(
        "csr.cnf",
        format!("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n{extensions}\n")
            .as_bytes(),
    );
    let mut all = vec![
        "req", "-new", "-nodes", "-utf8", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj",
        subject, "-config", "csr.cnf",
    ];
    all.extend(arguments);
    folder.openssl(&all);
    folder.read("leaf.csr")
}

fn template(csr: &Csr) -> LeafTemplate {
    LeafTemplate {
        serial: serial_from_random([0x5a; 16]),
        subject: csr.subject().clone(),
        public_key: csr.public_key().clone(),
        not_before: start(),
        not_after: start() + 730 * DAY,
        alternative_names: csr.requested().alternative_names.clone(),
        key_usage: KeyUsage {
            digital_signature: true,
            non_repudiation: true,
            key_encipherment: true,
            ..KeyUsage::default()
        },
        key_usage_critical: false,
        extended_key_usage: Vec::new(),
        subject_key_identifier: true,
        ca_issuers_url: Some("https://vc.example.com/afd/vecs/ca".to_owned()),
    }
}

/// Drafts, signs, writes `leaf.crt`, and lets OpenSSL and GnuTLS verify it under `ca.crt`.
fn issue(
    folder: &Folder,
    template: &LeafTemplate,
    key: &PrivateKey,
    ca: &Certificate,
) -> Certificate {
    let draft = draft_leaf(template, ca).unwrap();
    let leaf = Certificate::from_der(&draft.assemble(&key.sign(draft.tbs()).unwrap())).unwrap();
    assert_eq!(leaf.tbs(), draft.tbs());
    folder.write("leaf.crt", leaf.to_pem().as_bytes());
    assert!(folder.accepts(
        "openssl",
        &[
            "verify",
            "-x509_strict",
            "-check_ss_sig",
            "-CAfile",
            "ca.crt",
            "leaf.crt"
        ]
    ));
    assert!(folder.accepts(
        "certtool",
        &[
            "--verify",
            "--load-ca-certificate",
            "ca.crt",
            "--infile",
            "leaf.crt"
        ]
    ));
    leaf
}

/// What rcgen does when it is given a key as it takes them: algorithm and octets.
struct Naive {
    algorithm: &'static rcgen::SignatureAlgorithm,
    octets: Vec<u8>,
}

impl PublicKeyData for Naive {
    fn der_bytes(&self) -> &[u8] {
        &self.octets
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

/// rcgen alone, without the exactness step.
fn naive(params: &CertificateParams, key: &impl PublicKeyData, ca: &CertificateParams) -> Vec<u8> {
    let recorder = Recorder::new(KeyAlgorithm::P256);
    let issuer = rcgen::Issuer::new(ca.clone(), &recorder);
    let outcome = params.signed_by(key, &issuer);
    drop(issuer);
    recorder.finish(outcome).unwrap()
}

fn parsed(tbs: &[u8]) -> Certificate {
    let algorithm = crate::x509::signature::identifier_for(KeyAlgorithm::P256);
    Certificate::from_der(&signed::assemble(tbs, &algorithm, &[0])).unwrap()
}

#[test]
fn row_1_the_key_of_a_csr_is_copied_octet_for_octet_whatever_signed_it() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    for (curve, digest, misleading) in [
        (
            "ec_paramgen_curve:P-384",
            "-sha256",
            &rcgen::PKCS_ECDSA_P256_SHA256,
        ),
        (
            "ec_paramgen_curve:P-256",
            "-sha384",
            &rcgen::PKCS_ECDSA_P384_SHA384,
        ),
    ] {
        let arguments = ["-newkey", "ec", "-pkeyopt", curve, digest];
        let csr = Csr::from_pem(&openssl_csr(&folder, &arguments, "/CN=leaf", "")).unwrap();
        // rcgen takes the curve from the signature algorithm of the request.
        let naive_key = Naive {
            algorithm: misleading,
            octets: csr.public_key().key_octets().to_vec(),
        };
        let damaged = parsed(&naive(
            &CertificateParams::default(),
            &naive_key,
            &CertificateParams::default(),
        ));
        assert_ne!(damaged.public_key_der(), csr.public_key().as_der());
        assert!(damaged.public_key().is_err());
        // We do not.
        let leaf = issue(&folder, &template(&csr), &key, &ca);
        let expected =
            folder.openssl_octets(&["pkey", "-in", "leaf.key", "-pubout", "-outform", "DER"]);
        assert_eq!(leaf.public_key_der(), expected);
    }
}

#[test]
fn row_2_repeated_attributes_stay_in_subject_and_issuer() {
    let folder = Folder::new();
    // rcgen keeps one domain component of two.
    let domain = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(domain.clone(), "vsphere");
    params.distinguished_name.push(domain, "local");
    let any_key = Recorder::new(KeyAlgorithm::P256);
    let damaged = naive(&params, &any_key, &params);
    assert!(!damaged.windows(7).any(|seven| seven == b"vsphere"));
    // We keep both, in both places.
    let subject = "/CN=CA/DC=vsphere/DC=local/C=US/OU=one/OU=two";
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, subject);
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/CN=leaf/OU=first/OU=second/DC=a/DC=b",
        "",
    );
    let csr = Csr::from_pem(&csr).unwrap();
    let leaf = issue(&folder, &template(&csr), &key, &ca);
    assert_eq!(leaf.issuer().as_der(), ca.subject().as_der());
    assert_eq!(leaf.subject().as_der(), csr.subject().as_der());
    assert_eq!(
        leaf.subject().to_text(),
        "DC=b,DC=a,OU=second,OU=first,CN=leaf"
    );
}

#[test]
fn row_3_a_multi_valued_rdn_in_the_name_of_the_ca() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(
        &folder,
        KeyAlgorithm::P384,
        "/OU=PKI+CN=Multi+O=Example/C=DE",
    );
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/UID=7+CN=leaf", "");
    let csr = Csr::from_pem(&csr).unwrap();
    let leaf = issue(&folder, &template(&csr), &key, &ca);
    assert_eq!(leaf.issuer().as_der(), ca.subject().as_der());
    assert_eq!(leaf.subject().as_der(), csr.subject().as_der());
}

#[test]
fn row_4_extensions_of_a_csr_that_rcgen_refuses_are_read_and_left_to_the_profile() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/CN=leaf",
        "subjectKeyIdentifier=hash\ncertificatePolicies=1.2.3.4\nsubjectAltName=DNS:leaf.example.com\n\
         extendedKeyUsage=serverAuth\nkeyUsage=digitalSignature,dataEncipherment\nbasicConstraints=CA:TRUE",
    );
    let csr = Csr::from_pem(&csr).unwrap();
    let requested = csr.requested();
    assert_eq!(requested.others, ["2.5.29.14", "2.5.29.32"]);
    assert_eq!(requested.extended_key_usage, ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(requested.alternative_names.dns, ["leaf.example.com"]);
    assert!(requested.ca && requested.key_usage.unwrap().data_encipherment);
    let leaf = issue(&folder, &template(&csr), &key, &ca);
    assert!(!leaf.is_ca() && leaf.extended_key_usage().is_empty());
}

#[test]
fn row_5_csrs_with_keys_or_signatures_that_are_not_accepted_are_refused_clearly() {
    let folder = Folder::new();
    for (arguments, expected) in [
        (
            &["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"][..],
            "RSASSA-PSS key",
        ),
        (
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
            "P-521",
        ),
        (
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
            "curve 1.3.132.0.10",
        ),
        (&["-newkey", "ed25519"], "Ed25519"),
        (&["-newkey", "rsa:1024"], "1024 bits"),
    ] {
        let error = Csr::from_pem(&openssl_csr(&folder, arguments, "/CN=leaf", "")).unwrap_err();
        assert!(matches!(&error, Error::KeyNotAccepted(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    for (arguments, expected) in [
        (&["-newkey", "rsa:2048", "-sha1"][..], "SHA-1"),
        (&["-newkey", "rsa:2048", "-md5"], "MD5"),
        (
            &["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"],
            "RSASSA-PSS",
        ),
        (
            &[
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-sha1",
            ],
            "SHA-1",
        ),
    ] {
        let error = Csr::from_pem(&openssl_csr(&folder, arguments, "/CN=leaf", "")).unwrap_err();
        assert!(matches!(&error, Error::Signature(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn row_6_the_serial_number_is_the_given_one() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
    let csr = Csr::from_pem(&csr).unwrap();
    // rcgen hashes the key, so two certificates for one key have one number.
    let stand_in = Recorder::new(KeyAlgorithm::P256);
    let once = || {
        parsed(&naive(
            &CertificateParams::default(),
            &stand_in,
            &CertificateParams::default(),
        ))
    };
    assert_eq!(once().serial(), once().serial());
    for random in [[0x00; 16], [0xff; 16], [0x80; 16], [0x01; 16]] {
        let serial = serial_from_random(random);
        let leaf = issue(
            &folder,
            &LeafTemplate {
                serial,
                ..template(&csr)
            },
            &key,
            &ca,
        );
        assert_eq!(leaf.serial(), serial);
        assert!((1..0x80).contains(&serial[0]));
    }
    for wrong in [[0x00; 16], [0xff; 16]] {
        let refused = draft_leaf(
            &LeafTemplate {
                serial: wrong,
                ..template(&csr)
            },
            &ca,
        );
        assert!(matches!(refused, Err(Error::Building(_))));
    }
}

#[test]
fn row_7_dates_are_the_given_ones_in_the_form_of_their_century() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
    let csr = Csr::from_pem(&csr).unwrap();
    const YEAR_2050: UnixTime = 2_524_608_000;
    for (not_after, written) in [
        (YEAR_2050 - 1, &b"\x17\x0d491231235959Z"[..]),
        (YEAR_2050, b"\x18\x0f20500101000000Z"),
    ] {
        let leaf = issue(
            &folder,
            &LeafTemplate {
                not_after,
                ..template(&csr)
            },
            &key,
            &ca,
        );
        assert_eq!(leaf.not_after(), not_after);
        assert!(
            leaf.tbs()
                .windows(written.len())
                .any(|octets| octets == written)
        );
    }
    let reversed = LeafTemplate {
        not_after: start() - 1,
        ..template(&csr)
    };
    assert!(matches!(
        draft_leaf(&reversed, &ca),
        Err(Error::Building(_))
    ));
}

#[test]
fn leaf_extensions_stand_in_the_order_of_vmca() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::Rsa(2048), "/CN=CA");
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/CN=leaf",
        "subjectAltName=DNS:a.example,URI:https://a.example/,IP:192.0.2.1,email:a@example.com",
    );
    let csr = Csr::from_pem(&csr).unwrap();
    let purposes = vec!["1.3.6.1.5.5.7.3.1".to_owned()];
    let leaf = issue(
        &folder,
        &LeafTemplate {
            extended_key_usage: purposes,
            ..template(&csr)
        },
        &key,
        &ca,
    );
    let dump = folder.openssl(&["x509", "-in", "leaf.crt", "-noout", "-text"]);
    let titles: Vec<&str> = dump
        .lines()
        .filter(|line| {
            line.starts_with("            X509v3") || line.starts_with("            Authority")
        })
        .map(str::trim)
        .collect();
    assert_eq!(
        titles,
        [
            "X509v3 Subject Alternative Name:",
            "X509v3 Key Usage:",
            "X509v3 Extended Key Usage:",
            "X509v3 Subject Key Identifier:",
            "X509v3 Authority Key Identifier:",
            "Authority Information Access:",
        ]
    );
    assert!(dump.contains(
        "email:a@example.com, IP Address:192.0.2.1, URI:https://a.example/, DNS:a.example"
    ));
    assert!(dump.contains("CA Issuers - URI:https://vc.example.com/afd/vecs/ca"));
    assert_eq!(leaf.authority_key_identifier(), ca.subject_key_identifier());
    assert_eq!(leaf.to_text(), dump);
}

#[test]
fn an_empty_subject_makes_the_alternative_names_critical() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/",
        "subjectAltName=DNS:a.example",
    );
    let csr = Csr::from_pem(&csr).unwrap();
    assert!(csr.subject().is_empty());
    issue(&folder, &template(&csr), &key, &ca);
    let dump = folder.openssl(&["x509", "-in", "leaf.crt", "-noout", "-text"]);
    assert!(dump.contains("X509v3 Subject Alternative Name: critical"));
    let nameless = LeafTemplate {
        alternative_names: AlternativeNames::default(),
        ..template(&csr)
    };
    assert!(matches!(draft_leaf(&nameless, &ca), Err(Error::Field(_))));
}

#[test]
fn self_signed_cas_and_what_they_sign() {
    for algorithm in [
        KeyAlgorithm::Rsa(3072),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
    ] {
        let folder = Folder::new();
        let key = PrivateKey::generate(algorithm).unwrap();
        let fields = SubjectFields {
            common_name: Some("CA".into()),
            domain_component: Some("vsphere.local".into()),
            country: Some("US".into()),
            organization: Some("vc.example.com".into()),
            ..SubjectFields::default()
        };
        let mut alternative_names = AlternativeNames::default();
        alternative_names.add_email("email@acme.com").unwrap();
        alternative_names.add_ip("127.0.0.1").unwrap();
        let template_of_ca = CaTemplate {
            serial: serial_from_random([7; 16]),
            subject: fields.to_name().unwrap(),
            public_key: key.public_key().clone(),
            not_before: start() - 3 * DAY,
            not_after: start() + 3650 * DAY,
            alternative_names,
        };
        let draft = draft_self_signed_ca(&template_of_ca).unwrap();
        let ca = Certificate::from_der(&draft.assemble(&key.sign(draft.tbs()).unwrap())).unwrap();
        folder.write("ca.crt", ca.to_pem().as_bytes());
        assert_eq!(
            ca.subject_key_identifier().unwrap(),
            key.public_key().key_identifier()
        );
        assert_eq!(ca.authority_key_identifier(), None);
        assert_eq!(ca.key_usage(), Some(KeyUsage::CA));
        let dump = folder.openssl(&["x509", "-in", "ca.crt", "-noout", "-text"]);
        assert!(dump.contains("X509v3 Basic Constraints: critical\n                CA:TRUE\n"));
        assert!(
            dump.contains(
                "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n"
            )
        );
        let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
        issue(&folder, &template(&Csr::from_pem(&csr).unwrap()), &key, &ca);
        crate::x509::Chain::verify(vec![ca], start()).unwrap();
    }
}

#[test]
fn requests_are_taken_by_openssl_and_by_ourselves() {
    for algorithm in [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
    ] {
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
            assert_eq!(
                csr.requested().alternative_names,
                template.alternative_names
            );
            assert_eq!(csr.subject(), &template.subject);
        }
    }
    // Without any extension the attributes are there, and empty.
    let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let template = CsrTemplate {
        subject: SubjectFields {
            common_name: Some("x".into()),
            ..SubjectFields::default()
        }
        .to_name()
        .unwrap(),
        public_key: key.public_key().clone(),
        alternative_names: AlternativeNames::default(),
        key_usage: None,
        ca: false,
    };
    assert!(
        Csr::from_pem(&csr_pem(&template, &key).unwrap())
            .unwrap()
            .requested()
            .others
            .is_empty()
    );
    let other = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    assert!(matches!(
        csr_pem(&template, &other),
        Err(Error::Building(_))
    ));
}

#[test]
fn revocation_lists_are_verified_by_openssl_and_gnutls() {
    for algorithm in [
        KeyAlgorithm::Rsa(2048),
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
    ] {
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
            assert!(folder.accepts(
                "openssl",
                &["crl", "-in", "crl", "-CAfile", "ca.crt", "-noout"]
            ));
            assert!(folder.accepts(
                "certtool",
                &[
                    "--verify-crl",
                    "--load-ca-certificate",
                    "ca.crt",
                    "--infile",
                    "crl"
                ]
            ));
            assert_eq!(
                crl.to_text(),
                folder.openssl(&["crl", "-in", "crl", "-noout", "-text"])
            );
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
        let template = CrlTemplate {
            number: 0,
            this_update: start(),
            next_update,
            revoked,
        };
        assert!(draft_crl(&template, &ca).is_err());
    }
}

#[test]
fn a_difference_anywhere_is_refused_by_the_comparison() {
    let folder = Folder::new();
    let (_, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(
        &folder,
        &["-newkey", "rsa:2048"],
        "/CN=leaf",
        "subjectAltName=DNS:a.example",
    );
    let template = template(&Csr::from_pem(&csr).unwrap());
    let draft = draft_leaf(&template, &ca).unwrap();
    leaf::compare_with(&draft, &template, &ca).unwrap();
    // Every octet of the draft is accounted for: changing any of them is noticed.
    for position in 0..draft.tbs().len() {
        let mut tbs = draft.tbs().to_vec();
        tbs[position] ^= 1;
        let changed = Draft::from_parts(tbs, draft.signature_algorithm().to_vec());
        assert!(
            leaf::compare_with(&changed, &template, &ca).is_err(),
            "octet {position}"
        );
    }
    for position in 0..draft.signature_algorithm().len() {
        let mut algorithm = draft.signature_algorithm().to_vec();
        algorithm[position] ^= 1;
        let changed = Draft::from_parts(draft.tbs().to_vec(), algorithm);
        assert!(
            leaf::compare_with(&changed, &template, &ca).is_err(),
            "octet {position}"
        );
    }
}
