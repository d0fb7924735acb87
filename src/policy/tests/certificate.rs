//! Certificates for end entities, a pair of cases for every rule.

use der::Encode;
use hsm::Purpose::Certificate;

use super::octets::{CRITICAL, Fields, INTEGER, SEQUENCE, element, generalized, purposes, utc};
use super::{DAY, Fixture, NOW, dns, leaf_template, name};
use crate::base::KeyAlgorithm;
use crate::x509::oid;
use crate::x509::tests::judge::public_key;

/// What is refused, with a word of the sentence, and its near twin that passes.
struct Pair<'a> {
    rule: &'a str,
    word: &'a str,
    refused: Fields,
    passes: Fields,
}

fn hold(fixture: &Fixture, pairs: &[Pair<'_>]) {
    for Pair { rule, word, refused, passes } in pairs {
        let twin = fixture.judge(Certificate, &passes.write());
        assert!(twin.is_ok(), "{rule}: the twin should pass: {twin:?}");
        let refusal = fixture.judge(Certificate, &refused.write()).expect_err(rule);
        let said = crate::base::sentences(&refusal);
        assert!(said.contains(word), "{rule}: the sentence should speak of '{word}': {said}");
    }
}

#[test]
fn form() {
    let fixture = Fixture::new();
    let good = Fields::of(&fixture, &leaf_template());
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let serial = |octets: &[u8]| with(&|fields| fields.serial = element(INTEGER, &[octets]));
    let pair = |rule, word, refused: &dyn Fn(&mut Fields)| Pair {
        rule,
        word,
        refused: with(refused),
        passes: good.clone(),
    };
    let twice = good.extensions[1].clone();
    hold(
        &fixture,
        &[
            pair("version 2", "version", &|fields| fields.version[4] = 1),
            pair("version 1", "version", &|fields| fields.version.clear()),
            pair("octets behind", "cannot be read", &|fields| fields.trailing.push(0)),
            pair("a unique identifier", "one form", &|fields| {
                fields.unique_identifiers = element(0x81, &[&[0, 1]]);
            }),
            pair("an extension twice", "twice", &|fields| fields.extensions.push(twice.clone())),
            pair("no extension", "one form", &|fields| fields.extensions.clear()),
            pair("a time in the long form before 2050", "one form", &|fields| {
                let [start, end] = [generalized(NOW), utc(NOW + DAY)];
                fields.validity = element(SEQUENCE, &[&start, &end]);
            }),
            Pair {
                rule: "critical FALSE written out",
                word: "one form",
                refused: good.clone().in_place(oid::KEY_USAGE, &[1, 1, 0], &[3, 2, 7, 0x80]),
                passes: good.clone().in_place(oid::KEY_USAGE, CRITICAL, &[3, 2, 7, 0x80]),
            },
            Pair {
                rule: "a bit of keyUsage in the second octet",
                word: "one form",
                refused: good.clone().in_place(oid::KEY_USAGE, &[], &[3, 3, 7, 0x80, 0x80]),
                passes: good.clone().in_place(oid::KEY_USAGE, &[], &[3, 2, 7, 0x80]),
            },
            Pair {
                rule: "serial zero",
                word: "serial",
                refused: serial(&[0]),
                passes: serial(&[1]),
            },
            Pair {
                rule: "a negative serial",
                word: "serial",
                refused: serial(&[0x80, 1]),
                passes: serial(&[0, 0x80, 1]),
            },
            Pair {
                rule: "a serial of 21 octets",
                word: "serial",
                refused: serial(&[0x7f; 21]),
                passes: serial(&[0x7f; 20]),
            },
        ],
    );
    let other = Fixture::of(KeyAlgorithm::P384);
    let algorithm = other.private.public_key().signature_algorithm();
    fixture.refuses(
        Certificate,
        &with(&|fields| fields.algorithm = algorithm.clone()).write(),
        "signature algorithm",
    );
}

#[test]
fn no_right_of_a_ca() {
    let fixture = Fixture::new();
    let good = Fields::of(&fixture, &leaf_template());
    let usage = |bits: u8| {
        let unused = bits.trailing_zeros() as u8;
        good.clone().in_place(oid::KEY_USAGE, CRITICAL, &[3, 2, unused, bits])
    };
    let extended = |kinds: &[_]| good.clone().and(oid::EXTENDED_KEY_USAGE, &[], &purposes(kinds));
    let constraints = |value: &[u8]| good.clone().and(oid::BASIC_CONSTRAINTS, CRITICAL, value);
    let access = |kind: der::oid::ObjectIdentifier| {
        let url = element(0x86, &[b"https://vc.example.test/ca"]);
        element(SEQUENCE, &[&element(SEQUENCE, &[&kind.to_der().unwrap(), &url])])
    };
    let unknown = || "1.2.3.4".parse().unwrap();
    let both = [oid::SERVER_AUTH, oid::CLIENT_AUTH];
    let upn = element(
        0xa0,
        &[
            // id-ms-UPN, with which a certificate logs in to a domain.
            &[6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3],
            &element(0xa0, &[&element(0x0c, &[b"administrator@example.test"])]),
        ],
    );
    let names = |names: &[&[u8]]| {
        good.clone().in_place(oid::SUBJECT_ALT_NAME, &[], &element(SEQUENCE, names))
    };
    let host = element(0x82, &[b"m.example.test"]);
    hold(
        &fixture,
        &[
            Pair {
                rule: "CA:TRUE",
                word: "CA:TRUE",
                refused: constraints(&[0x30, 3, 1, 1, 0xff]),
                passes: constraints(&[0x30, 0]),
            },
            Pair {
                rule: "CA:FALSE written out, with a path length",
                word: "CA:TRUE",
                refused: constraints(&[0x30, 6, 1, 1, 0, 2, 1, 0]),
                passes: constraints(&[0x30, 0]),
            },
            Pair {
                rule: "keyCertSign",
                word: "keyCertSign",
                refused: usage(0x84),
                passes: usage(0x80),
            },
            Pair { rule: "cRLSign", word: "cRLSign", refused: usage(0x82), passes: usage(0xa0) },
            Pair {
                rule: "OCSPSigning",
                word: "OCSPSigning",
                refused: extended(&[oid::SERVER_AUTH, oid::OCSP_SIGNING]),
                passes: extended(&both),
            },
            Pair {
                rule: "anyExtendedKeyUsage",
                word: "anyExtendedKeyUsage",
                refused: extended(&[oid::ANY_EXTENDED_KEY_USAGE]),
                passes: extended(&[oid::CLIENT_AUTH]),
            },
            Pair {
                rule: "a usage that is not issued",
                word: "1.3.6.1.5.5.7.3.3",
                refused: extended(&["1.3.6.1.5.5.7.3.3".parse().unwrap()]),
                passes: extended(&[oid::SERVER_AUTH]),
            },
            Pair {
                rule: "an extended key usage without any",
                word: "without any usage",
                refused: extended(&[]),
                passes: good.clone(),
            },
            Pair {
                rule: "an unknown critical extension",
                word: "1.2.3.4",
                refused: good.clone().and(unknown(), CRITICAL, &[5, 0]),
                passes: good.clone(),
            },
            Pair {
                rule: "an unknown extension",
                word: "1.2.3.4",
                refused: good.clone().and(unknown(), &[], &[5, 0]),
                passes: good.clone(),
            },
            Pair {
                rule: "Netscape's word for a CA",
                word: "2.16.840.1.113730.1.1",
                refused: good.clone().and(oid::NETSCAPE_CERT_TYPE, &[], &[3, 2, 0, 7]),
                passes: good.clone(),
            },
            Pair {
                rule: "a critical authorityInfoAccess",
                word: "must not be critical",
                refused: good.clone().in_place(
                    oid::AUTHORITY_INFO_ACCESS,
                    CRITICAL,
                    &access(oid::CA_ISSUERS),
                ),
                passes: good.clone().in_place(
                    oid::AUTHORITY_INFO_ACCESS,
                    &[],
                    &access(oid::CA_ISSUERS),
                ),
            },
            Pair {
                rule: "another address than that of the CA certificate",
                word: "address",
                refused: good.clone().in_place(
                    oid::AUTHORITY_INFO_ACCESS,
                    &[],
                    &access("1.3.6.1.5.5.7.48.1".parse().unwrap()),
                ),
                passes: good.clone().without(oid::AUTHORITY_INFO_ACCESS),
            },
            Pair {
                rule: "a name that logs in to a domain",
                word: "otherName",
                refused: names(&[&upn, &host]),
                passes: names(&[&host]),
            },
            Pair {
                rule: "names in another order",
                word: "one form",
                refused: names(&[&host, &element(0x81, &[b"a@example.test"])]),
                passes: names(&[&element(0x81, &[b"a@example.test"]), &host]),
            },
        ],
    );
}

#[test]
fn names_and_keys() {
    let fixture = Fixture::new();
    let good = Fields::of(&fixture, &leaf_template());
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    let key = |arguments: &[&str]| {
        let spki = public_key(arguments);
        with(&|fields| fields.public_key = spki.clone())
    };
    let rsa =
        |bits: &str| key(&["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")]);
    let curve =
        |name: &str| key(&["-algorithm", "EC", "-pkeyopt", &format!("ec_paramgen_curve:{name}")]);
    let same_name_otherwise_written = {
        // PrintableString in place of UTF8String: equal for people, another name for a verifier.
        let mut issuer = good.issuer.clone();
        let tag = issuer.iter().rposition(|octet| *octet == 0x0c).unwrap();
        issuer[tag] = 0x13;
        issuer
    };
    let nobody = with(&|fields| fields.subject = vec![SEQUENCE, 0]);
    let critical_names = |fields: Fields| {
        let value = dns(&["m.example.test"]).to_der().unwrap();
        fields.in_place(oid::SUBJECT_ALT_NAME, CRITICAL, &value)
    };
    hold(
        &fixture,
        &[
            Pair { rule: "RSA-1024", word: "1024", refused: rsa("1024"), passes: rsa("2048") },
            Pair { rule: "P-224", word: "curve", refused: curve("P-224"), passes: curve("P-256") },
            Pair {
                rule: "Ed25519",
                word: "Ed25519",
                refused: key(&["-algorithm", "ED25519"]),
                passes: curve("P-384"),
            },
            Pair {
                rule: "another issuer",
                word: "no CA certificate with the name",
                refused: with(&|fields| fields.issuer = name("Other CA").as_der().to_vec()),
                passes: good.clone(),
            },
            Pair {
                rule: "the issuer's name in other octets",
                word: "no CA certificate with the name",
                refused: with(&|fields| fields.issuer = same_name_otherwise_written.clone()),
                passes: good.clone(),
            },
            Pair {
                rule: "nobody",
                word: "nobody",
                refused: nobody.clone().without(oid::SUBJECT_ALT_NAME),
                passes: critical_names(nobody.clone()),
            },
            Pair {
                rule: "the identifier of another authority",
                word: "another CA",
                refused: good.clone().in_place(
                    oid::AUTHORITY_KEY_IDENTIFIER,
                    &[],
                    &element(SEQUENCE, &[&element(0x80, &[&[9; 20]])]),
                ),
                passes: good.clone().without(oid::AUTHORITY_KEY_IDENTIFIER),
            },
            Pair {
                rule: "the serial number of another authority",
                word: "another CA",
                refused: good.clone().in_place(
                    oid::AUTHORITY_KEY_IDENTIFIER,
                    &[],
                    &element(SEQUENCE, &[&element(0x82, &[&[9; 16]])]),
                ),
                passes: good.clone().in_place(
                    oid::AUTHORITY_KEY_IDENTIFIER,
                    &[],
                    &element(SEQUENCE, &[&element(0x82, &[&fixture.ca.serial()])]),
                ),
            },
        ],
    );
}

#[test]
fn dates() {
    let fixture = Fixture::new();
    let good = Fields::of(&fixture, &leaf_template());
    let lives = |start, end| good.clone().lives(start, end);
    let (start, end) = (fixture.ca.not_before(), fixture.ca.not_after());
    hold(
        &fixture,
        &[
            Pair {
                rule: "starts before its CA",
                word: "start before its CA",
                refused: lives(start - 1, NOW + DAY),
                passes: lives(start, NOW + DAY),
            },
            Pair {
                rule: "outlives its CA",
                word: "outlive",
                refused: lives(NOW, end + 1),
                passes: lives(NOW, end),
            },
            Pair {
                rule: "ends before it starts",
                word: "end before",
                refused: lives(NOW + DAY, NOW + DAY - 1),
                passes: lives(NOW + DAY, NOW + DAY),
            },
            Pair {
                rule: "has ended",
                word: "has ended",
                refused: lives(NOW - DAY, NOW - 1),
                passes: lives(NOW - DAY, NOW),
            },
        ],
    );
    // What a CA that lives longer could be made to sign.
    let mut template = super::ca_template(&fixture.private);
    (template.not_before, template.not_after) = (NOW - 100 * DAY, NOW + 10_000 * DAY);
    let draft = crate::x509::draft_self_signed_ca(&template).unwrap();
    let der = draft.assemble(&fixture.private.sign(draft.tbs()).unwrap());
    super::record(fixture.folder.path(), &fixture.key, &der).unwrap();
    hold(
        &fixture,
        &[
            Pair {
                rule: "more than ten years",
                word: "3660",
                refused: lives(NOW, NOW + 3660 * DAY + 1),
                passes: lives(NOW, NOW + 3660 * DAY),
            },
            Pair {
                rule: "starts long ago",
                word: "in the past",
                refused: lives(NOW - 15 * DAY - 1, NOW + DAY),
                passes: lives(NOW - 15 * DAY, NOW + DAY),
            },
        ],
    );
    // From 2050 on dates have the long form.
    let late = 2_600_000_000;
    let mut fields = good.clone();
    fields.validity = element(SEQUENCE, &[&utc(NOW), &generalized(late)]);
    fixture.refuses(Certificate, &fields.write(), "3660");
}
