//! What rcgen does wrong, row by row: what it would do alone, and what we make of it.

use rcgen::{CertificateParams, DnType, PublicKeyData};

use super::super::recorder::Recorder;
use super::super::{LeafTemplate, draft_leaf, serial_from_random};
use super::{issue, openssl_ca, openssl_csr, start, template};
use crate::base::{KeyAlgorithm, UnixTime};
use crate::x509::tests::judge::Folder;
use crate::x509::{Certificate, Csr, Error, signed};

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
        ("ec_paramgen_curve:P-384", "-sha256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("ec_paramgen_curve:P-256", "-sha384", &rcgen::PKCS_ECDSA_P384_SHA384),
    ] {
        let arguments = ["-newkey", "ec", "-pkeyopt", curve, digest];
        let csr = Csr::from_pem(&openssl_csr(&folder, &arguments, "/CN=leaf", "")).unwrap();
        // rcgen takes the curve from the signature algorithm of the request.
        let naive_key =
            Naive { algorithm: misleading, octets: csr.public_key().key_octets().to_vec() };
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
    let csr =
        openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf/OU=first/OU=second/DC=a/DC=b", "");
    let csr = Csr::from_pem(&csr).unwrap();
    let leaf = issue(&folder, &template(&csr), &key, &ca);
    assert_eq!(leaf.issuer().as_der(), ca.subject().as_der());
    assert_eq!(leaf.subject().as_der(), csr.subject().as_der());
    assert_eq!(leaf.subject().to_text(), "DC=b,DC=a,OU=second,OU=first,CN=leaf");
}

#[test]
fn row_3_a_multi_valued_rdn_in_the_name_of_the_ca() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P384, "/OU=PKI+CN=Multi+O=Example/C=DE");
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
        (&["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"][..], "RSASSA-PSS key"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "P-521"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "curve 1.3.132.0.10"),
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
        (&["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"], "RSASSA-PSS"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha1"], "SHA-1"),
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
    let once =
        || parsed(&naive(&CertificateParams::default(), &stand_in, &CertificateParams::default()));
    assert_eq!(once().serial(), once().serial());
    for random in [[0x00; 16], [0xff; 16], [0x80; 16], [0x01; 16]] {
        let serial = serial_from_random(random);
        let leaf = issue(&folder, &LeafTemplate { serial, ..template(&csr) }, &key, &ca);
        assert_eq!(leaf.serial(), serial);
        assert!((1..0x80).contains(&serial[0]));
    }
    for wrong in [[0x00; 16], [0xff; 16]] {
        let refused = draft_leaf(&LeafTemplate { serial: wrong, ..template(&csr) }, &ca);
        assert!(matches!(refused, Err(Error::Building(_))));
    }
}

#[test]
fn row_7_dates_are_the_given_ones_in_the_form_of_their_century() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
    let csr = Csr::from_pem(&csr).unwrap();
    const YEAR_1975: UnixTime = 157_766_400;
    const YEAR_2050: UnixTime = 2_524_608_000;
    // rcgen has dates of its own.
    let stand_in = Recorder::new(KeyAlgorithm::P256);
    let params = CertificateParams::default();
    assert_eq!(parsed(&naive(&params, &stand_in, &params)).not_before(), YEAR_1975);
    for (not_after, written) in
        [(YEAR_2050 - 1, &b"\x17\x0d491231235959Z"[..]), (YEAR_2050, b"\x18\x0f20500101000000Z")]
    {
        let leaf = issue(&folder, &LeafTemplate { not_after, ..template(&csr) }, &key, &ca);
        assert_eq!(leaf.not_after(), not_after);
        assert!(leaf.tbs().windows(written.len()).any(|octets| octets == written));
    }
    let reversed = LeafTemplate { not_after: start() - 1, ..template(&csr) };
    assert!(matches!(draft_leaf(&reversed, &ca), Err(Error::Building(_))));
}

/// A key that says it signed and did not.
struct Liar(Recorder);

impl PublicKeyData for Liar {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl rcgen::SigningKey for Liar {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01])
    }
}

#[test]
fn row_9_a_wrong_signature_is_seen_before_release() {
    let folder = Folder::new();
    let (key, ca) = openssl_ca(&folder, KeyAlgorithm::P256, "/CN=CA");
    // rcgen gives out what it was given.
    let liar = Liar(Recorder::new(KeyAlgorithm::P256));
    assert!(CertificateParams::default().self_signed(&liar).is_ok());
    // What is released here was verified with the issuer's public key.
    let csr = openssl_csr(&folder, &["-newkey", "rsa:2048"], "/CN=leaf", "");
    let draft = draft_leaf(&template(&Csr::from_pem(&csr).unwrap()), &ca).unwrap();
    let issuer_key = ca.public_key().unwrap();
    let released = |signature: &[u8]| {
        Certificate::from_der(&draft.assemble(signature)).unwrap().verify_signed_by(&issuer_key)
    };
    released(&key.sign(draft.tbs()).unwrap()).unwrap();
    let other = key.sign(b"something else").unwrap();
    assert!(matches!(released(&other), Err(Error::Signature(_))));
    let lie = rcgen::SigningKey::sign(&liar, &[]).unwrap();
    assert!(matches!(released(&lie), Err(Error::Signature(_))));
}
