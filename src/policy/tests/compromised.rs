//! A service whose process was taken over asks for what it should not have.

use hsm::Purpose;

use super::octets::{Fields, element};
use super::{DAY, Fixture, Issuers, Mode, NOW, ca_template, judge, leaf_template, name, reference};
use crate::base::KeyAlgorithm;
use crate::x509::tests::judge::Folder;
use crate::x509::{
    AlternativeNames, CaTemplate, CrlTemplate, CsrTemplate, PrivateKey, draft_crl, draft_csr,
    draft_self_signed_ca,
};

/// One valid message of every kind that the key of a CA signs, and two that it does not.
fn messages(fixture: &Fixture) -> Vec<(Purpose, Vec<u8>)> {
    let crl = CrlTemplate {
        number: 7,
        this_update: NOW,
        next_update: NOW + 30 * DAY,
        revoked: Vec::new(),
    };
    let csr = CsrTemplate {
        subject: name("CA"),
        public_key: fixture.private.public_key().clone(),
        alternative_names: AlternativeNames::default(),
        key_usage: None,
        ca: true,
    };
    let root = draft_self_signed_ca(&ca_template(&fixture.private)).unwrap();
    let handshake = [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &[7; 32]].concat();
    vec![
        (Purpose::Certificate, fixture.leaf(&leaf_template())),
        (Purpose::CaCertificate, root.tbs().to_vec()),
        (Purpose::Crl, draft_crl(&crl, &fixture.ca).unwrap().tbs().to_vec()),
        (Purpose::Possession, draft_csr(&csr).unwrap().tbs().to_vec()),
        (Purpose::Tls, handshake),
        (Purpose::Content, b"content".to_vec()),
    ]
}

const PURPOSES: [Purpose; 8] = [
    Purpose::Certificate,
    Purpose::CaCertificate,
    Purpose::Crl,
    Purpose::Ocsp,
    Purpose::Journal,
    Purpose::Tls,
    Purpose::Possession,
    Purpose::Content,
];

#[test]
fn a_message_of_one_kind_never_passes_as_another() {
    let service = [Purpose::Certificate, Purpose::Crl, Purpose::Possession];
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let fixture = Fixture::of(algorithm);
        for (kind, message) in messages(&fixture) {
            for asked in PURPOSES {
                let in_service = kind == asked && service.contains(&kind);
                let answer = fixture.judge(asked, &message);
                assert_eq!(answer.is_ok(), in_service, "{kind:?} as {asked:?}: {answer:?}");
                let in_workshop = in_service || (kind == asked && kind == Purpose::CaCertificate);
                let answer = fixture.administer(asked, &message);
                assert_eq!(answer.is_ok(), in_workshop, "{kind:?} as {asked:?}: {answer:?}");
            }
        }
    }
}

#[test]
fn no_ca_certificate_and_no_longer_life_comes_out() {
    let fixture = Fixture::new();
    let accomplice = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let good = Fields::of(&fixture, &leaf_template());
    fixture.judge(Purpose::Certificate, &good.write()).unwrap();

    // A CA of its own, in the name of ours, and in its own name.
    for subject in ["CA", "Other CA"] {
        let template = CaTemplate { subject: name(subject), ..ca_template(&accomplice) };
        let draft = draft_self_signed_ca(&template).unwrap();
        fixture.refuses(Purpose::Certificate, draft.tbs(), "CA:TRUE");
        fixture.refuses(Purpose::CaCertificate, draft.tbs(), "key workshop");
        let refusal = fixture.administer(Purpose::CaCertificate, draft.tbs()).unwrap_err();
        assert!(refusal.contains("only for the key itself"), "{refusal}");
    }
    // Ours again, for longer.
    let longer = CaTemplate { not_after: NOW + 9000 * DAY, ..ca_template(&fixture.private) };
    let draft = draft_self_signed_ca(&longer).unwrap();
    fixture.refuses(Purpose::Certificate, draft.tbs(), "3660");
    assert!(fixture.administer(Purpose::CaCertificate, draft.tbs()).is_err());

    let longer = good.clone().lives(NOW, fixture.ca.not_after() + DAY);
    fixture.refuses(Purpose::Certificate, &longer.write(), "outlive");
    let mut foreign = good.clone();
    foreign.issuer = name("Somebody Else's CA").as_der().to_vec();
    fixture.refuses(Purpose::Certificate, &foreign.write(), "no CA certificate with the name");
    for (says, message) in messages(&fixture).into_iter().skip(1) {
        let answer = fixture.judge(Purpose::Certificate, &message);
        assert!(answer.is_err(), "{says:?} as a certificate");
    }
    // Two in one: whoever reads the first half sees something else than who reads the second.
    let twice = element(0x30, &[&good.write(), &good.write()]);
    assert!(fixture.judge(Purpose::Certificate, &twice).is_err());
}

#[test]
fn excluded_names_do_not_come_out() {
    let folder = Folder::new();
    let fixture = Fixture::by_openssl(
        &folder,
        KeyAlgorithm::P256,
        &[
            "keyUsage=critical,keyCertSign,cRLSign",
            "nameConstraints=critical,permitted;DNS:example.test,excluded;DNS:secret.example.test",
        ],
    );
    for (host, common_name, passes) in [
        ("m.example.test", "m.example.test", true),
        ("m.elsewhere.test", "m.example.test", false),
        ("m.secret.example.test", "machine", false),
        ("", "m.elsewhere.test", false),
        ("", "machine", true),
    ] {
        let mut template = leaf_template();
        (template.not_before, template.not_after) = (fixture.now, fixture.now + DAY);
        template.subject = name(common_name);
        template.alternative_names = match host {
            "" => AlternativeNames::default(),
            host => super::dns(&[host]),
        };
        let message = fixture.leaf(&template);
        assert_eq!(
            fixture.judge(Purpose::Certificate, &message).is_ok(),
            passes,
            "{host} {common_name}"
        );
        if !passes {
            fixture.refuses(Purpose::Certificate, &message, "name constraints");
        }
    }
}

#[test]
fn a_certificate_of_one_key_says_nothing_about_another() {
    let fixture = Fixture::new();
    let other = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
    let message = fixture.leaf(&leaf_template());
    fixture.judge(Purpose::Certificate, &message).unwrap();
    // Another key, whose certificates nobody recorded; then the same id with another public key.
    for key in [reference(&other, 0xb2), reference(&other, 0xa1)] {
        let ask = |issuers: &Issuers| {
            judge(Mode::Service, Purpose::Certificate, &key, &message, issuers, NOW)
        };
        assert!(ask(&fixture.issuers).is_err());
        assert!(super::record(fixture.folder.path(), &key, fixture.ca.as_der()).is_err());
        // A file of the right name that is put there by hand is not believed either.
        let id = key.id.to_string();
        let sha256 = hsm::KeyId(fixture.ca.sha256()).to_string();
        let file = fixture.folder.path().join(format!("{id}-{sha256}.der"));
        std::fs::write(file, fixture.ca.as_der()).unwrap();
        assert!(ask(&Issuers::open(fixture.folder.path())).is_err());
    }
}
