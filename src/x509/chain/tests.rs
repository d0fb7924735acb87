//! Chains made by OpenSSL, right ones and wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod leaves;

use super::{Certificate, Chain, ChainError};
use crate::base::UnixTime;
use crate::x509::tests::judge::Folder;
use crate::x509::{AlternativeNames, SubjectFields};

/// One CA below another: name, key, extensions, days. The first line of extensions is its own.
struct Ca<'a> {
    name: &'a str,
    key: &'a [&'a str],
    extensions: &'a str,
    days: &'a str,
    digest: &'a str,
}

const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

fn ca<'a>(name: &'a str, extensions: &'a str) -> Ca<'a> {
    Ca { name, key: P256, extensions, days: "30", digest: "-sha256" }
}

/// Issues the CAs one below the other; the answer has the lowest first, as files do.
fn issue(cas: &[Ca<'_>]) -> (Folder, Vec<Certificate>) {
    let folder = Folder::new();
    let mut chain = Vec::new();
    for (level, ca) in cas.iter().enumerate() {
        let config = format!(
            "[ext]\n{}subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
             [dir]\nO=Example\n",
            ca.extensions
        );
        folder.write("config", config.as_bytes());
        let (key, request, certificate) =
            (format!("k{level}"), format!("r{level}"), format!("c{level}"));
        let mut arguments =
            vec!["req", "-new", "-nodes", "-utf8", "-keyout", &key, "-out", &request];
        arguments.extend(["-subj", ca.name, "-newkey"]);
        arguments.extend(ca.key);
        folder.openssl(&arguments);
        let (above_key, above) = match level {
            0 => (key.clone(), String::new()),
            _ => (format!("k{}", level - 1), format!("c{}", level - 1)),
        };
        let mut arguments = vec![
            "x509",
            "-req",
            "-in",
            &request,
            "-out",
            &certificate,
            "-days",
            ca.days,
            ca.digest,
            "-extfile",
            "config",
            "-extensions",
            "ext",
        ];
        if level == 0 {
            arguments.extend(["-signkey", &above_key]);
        } else {
            arguments.extend(["-CA", &above, "-CAkey", &above_key, "-CAcreateserial"]);
        }
        folder.openssl(&arguments);
        chain.insert(0, folder.certificate(&certificate));
    }
    (folder, chain)
}

fn now(chain: &[Certificate]) -> UnixTime {
    chain.iter().map(Certificate::not_before).max().unwrap()
}

fn verify(chain: &[Certificate]) -> Result<Chain, ChainError> {
    Chain::verify(chain.to_vec(), now(chain))
}

fn three() -> Vec<Certificate> {
    issue(&[ca("/CN=root", CA), ca("/CN=middle", CA), ca("/CN=vmca", CA)]).1
}

#[test]
fn a_right_chain_of_every_kind_of_key_is_taken() {
    let (folder, chain) = issue(&[
        Ca { key: &["rsa:2048"], digest: "-sha512", ..ca("/CN=root/O=Two/O=Organizations", CA) },
        Ca { key: &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ..ca("/OU=multi+CN=middle", CA) },
        Ca { digest: "-sha384", ..ca("/CN=vmca/DC=vsphere/DC=local", CA) },
    ]);
    let taken = verify(&chain).unwrap();
    assert_eq!(taken.ca(), &chain[0]);
    assert_eq!(taken.root(), &chain[2]);
    // OpenSSL agrees.
    assert!(folder.accepts("openssl", &["verify", "-CAfile", "c0", "-untrusted", "c1", "c2"]));
    verify(&chain[2..]).unwrap();
}

#[test]
fn order_and_completeness() {
    let chain = three();
    let [vmca, middle, root] = &chain[..] else { panic!() };
    for (certificates, expected) in [
        (vec![], "empty"),
        (vec![root, middle, vmca], "self-signed, but more certificates follow"),
        (vec![middle, vmca, root], "put the file in the order"),
        (vec![vmca, root], "put the file in the order"),
        (vec![vmca, middle, root, root], "is there twice"),
        (vec![vmca, middle, middle, root], "is there twice"),
    ] {
        let certificates: Vec<Certificate> = certificates.into_iter().cloned().collect();
        let error = Chain::verify(certificates, vmca.not_before()).unwrap_err();
        assert!(matches!(&error, ChainError::Order(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = verify(&chain[..2]).unwrap_err();
    assert!(matches!(&error, ChainError::Incomplete(_)), "{error:?}");
    let deep: Vec<Ca<'_>> = [
        "/CN=0", "/CN=1", "/CN=2", "/CN=3", "/CN=4", "/CN=5", "/CN=6", "/CN=7", "/CN=8", "/CN=9",
        "/CN=10",
    ]
    .iter()
    .map(|name| ca(name, CA))
    .collect();
    verify(&issue(&deep[..10]).1).unwrap();
    let error = verify(&issue(&deep).1).unwrap_err();
    assert!(error.to_string().contains("at most 10"), "{error}");
}

#[test]
fn another_ca_of_the_same_name_did_not_issue_it() {
    let chain = three();
    let other = three();
    let error = verify(&[chain[0].clone(), other[1].clone(), other[2].clone()]).unwrap_err();
    assert!(matches!(&error, ChainError::Order(_)), "{error:?}");
    assert!(error.to_string().contains("key identifiers differ"), "{error}");
}

#[test]
fn a_changed_octet_under_the_signature_is_seen() {
    let chain = three();
    let mut der = chain[0].as_der().to_vec();
    let serial = der.windows(2).position(|two| two == [0x02, 0x14]).unwrap() + 10;
    der[serial] ^= 1;
    let forged = Certificate::from_der(&der).unwrap();
    let error = verify(&[forged, chain[1].clone(), chain[2].clone()]).unwrap_err();
    assert!(matches!(&error, ChainError::Signature(_)), "{error:?}");
    assert!(error.to_string().contains("certificate 1 of 3"), "{error}");
}

#[test]
fn every_certificate_must_be_valid_now() {
    let (_, chain) = issue(&[ca("/CN=root", CA), Ca { days: "2", ..ca("/CN=vmca", CA) }]);
    let start = now(&chain);
    for (moment, accepted) in [
        (start - 1_000_000, false),
        (start, true),
        (chain[0].not_after(), true),
        (chain[0].not_after() + 1, false),
        (chain[1].not_after() + 1, false),
    ] {
        match Chain::verify(chain.clone(), moment) {
            Ok(_) => assert!(accepted),
            Err(ChainError::Dates(_)) => assert!(!accepted),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn only_cas_that_may_sign() {
    for (extensions, expected) in [
        ("basicConstraints=CA:FALSE\n", "CA:TRUE"),
        ("keyUsage=digitalSignature\n", "CA:TRUE"),
        ("basicConstraints=critical,CA:TRUE\nkeyUsage=cRLSign\n", "keyCertSign"),
        ("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n", "cRLSign"),
        ("basicConstraints=critical,CA:TRUE\n", "no key usage"),
    ] {
        let (_, chain) = issue(&[ca("/CN=root", CA), ca("/CN=vmca", extensions)]);
        let error = verify(&chain).unwrap_err();
        assert!(matches!(&error, ChainError::NotCa(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    // An old root without keyUsage is one all the same (RFC 5280, 6.1.4, n).
    let (_, chain) = issue(&[ca("/CN=root", "basicConstraints=CA:TRUE\n"), ca("/CN=vmca", CA)]);
    verify(&chain).unwrap();
}

#[test]
fn path_lengths_are_counted_down_the_chain() {
    let limited = |length: u8| {
        format!(
            "basicConstraints=critical,CA:TRUE,pathlen:{length}\nkeyUsage=keyCertSign,cRLSign\n"
        )
    };
    for (root, middle, vmca, accepted) in
        [(2, 1, 0, true), (1, 1, 0, false), (2, 0, 0, false), (2, 1, 7, true)]
    {
        let (root, middle, vmca) = (limited(root), limited(middle), limited(vmca));
        let (folder, chain) =
            issue(&[ca("/CN=root", &root), ca("/CN=middle", &middle), ca("/CN=vmca", &vmca)]);
        match verify(&chain) {
            Ok(_) => assert!(accepted),
            Err(ChainError::Constraint(why)) => assert!(!accepted, "{why}"),
            Err(other) => panic!("{other}"),
        }
        // OpenSSL counts the certificate that it verifies as a leaf, so a leaf is needed.
        folder.write("config", b"[ext]\nbasicConstraints=CA:FALSE\n");
        folder.openssl(&[
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "r", "-subj",
            "/CN=leaf",
        ]);
        folder.openssl(&[
            "x509",
            "-req",
            "-in",
            "r",
            "-out",
            "leaf",
            "-CA",
            "c2",
            "-CAkey",
            "k2",
            "-CAcreateserial",
            "-extfile",
            "config",
            "-extensions",
            "ext",
        ]);
        let judged = folder.accepts(
            "openssl",
            &["verify", "-CAfile", "c0", "-untrusted", "c1", "-untrusted", "c2", "leaf"],
        );
        assert_eq!(judged, accepted);
    }
}

#[test]
fn critical_extensions_that_are_not_understood() {
    for (extension, accepted) in [
        ("1.2.3.4=critical,ASN1:NULL\n", false),
        ("1.2.3.4=ASN1:NULL\n", true),
        ("policyConstraints=critical,requireExplicitPolicy:0\n", false),
        ("certificatePolicies=critical,1.2.3\n", true),
    ] {
        let extensions = format!("{CA}{extension}");
        match verify(&issue(&[ca("/CN=root", CA), ca("/CN=vmca", &extensions)]).1) {
            Ok(_) => assert!(accepted, "{extension}"),
            Err(ChainError::Constraint(_)) => assert!(!accepted, "{extension}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn keys_and_algorithms_that_are_not_accepted() {
    let weak = Ca { key: &["rsa:1024"], ..ca("/CN=root", CA) };
    let foreign = Ca { key: &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], ..ca("/CN=root", CA) };
    for root in [weak, foreign] {
        let error = verify(&issue(&[root, ca("/CN=vmca", CA)]).1).unwrap_err();
        assert!(matches!(&error, ChainError::Key(_)), "{error:?}");
    }
    let old = Ca { digest: "-sha1", ..ca("/CN=vmca", CA) };
    let error = verify(&issue(&[ca("/CN=root", CA), old]).1).unwrap_err();
    assert!(matches!(&error, ChainError::Signature(_)), "{error:?}");
    assert!(error.to_string().contains("SHA-1"), "{error}");
}

fn names(fill: impl FnOnce(&mut AlternativeNames)) -> AlternativeNames {
    let mut names = AlternativeNames::default();
    fill(&mut names);
    names
}

#[test]
fn name_constraints_bind_what_is_below() {
    let extensions = format!(
        "{CA}nameConstraints=critical,permitted;DNS:example.com,permitted;IP:10.0.0.0/255.0.0.0,\
         permitted;email:example.com,permitted;dirName:dir,excluded;DNS:secret.example.com\n"
    );
    let (_, chain) = issue(&[ca("/CN=root", &extensions), ca("/O=example /CN=vmca", CA)]);
    let chain = verify(&chain).unwrap();
    let subject = |organization: &str, name: &str| {
        let fields =
            SubjectFields { common_name: Some(name.to_owned()), ..SubjectFields::default() };
        // The constraint is a prefix, so O must come first; certool's own order has CN first.
        let below = SubjectFields {
            organization: Some(organization.to_owned()),
            ..SubjectFields::default()
        };
        let rdns = [below, fields].map(|fields| {
            let der = fields.to_name().unwrap().as_der().to_vec();
            der[2..].to_vec()
        });
        crate::x509::Name::from_der(&crate::x509::asn1::sequence(&[&rdns[0], &rdns[1]])).unwrap()
    };
    for (subject, names, accepted) in [
        (subject("Example", "host"), names(|n| n.add_dns("a.example.com").unwrap()), true),
        (subject("EXAMPLE", "host"), names(|n| n.add_ip("10.1.2.3").unwrap()), true),
        (subject("Other", "host"), AlternativeNames::default(), false),
        (subject("Example", "host"), names(|n| n.add_dns("a.example.org").unwrap()), false),
        (subject("Example", "host"), names(|n| n.add_dns("a.secret.example.com").unwrap()), false),
        (subject("Example", "host"), names(|n| n.add_ip("192.0.2.1").unwrap()), false),
        (subject("Example", "host"), names(|n| n.add_email("a@example.org").unwrap()), false),
        (subject("Example", "host"), names(|n| n.add_uri("https://anything/").unwrap()), true),
        (subject("Example", "www.example.org"), AlternativeNames::default(), false),
        (subject("Example", "www.example.com"), AlternativeNames::default(), true),
    ] {
        let answer = chain.permits_leaf(&subject, &names);
        assert_eq!(answer.is_ok(), accepted, "{subject} {names:?} {answer:?}");
    }
    let error =
        verify(&issue(&[ca("/CN=root", &extensions), ca("/O=Other/CN=vmca", CA)]).1).unwrap_err();
    assert!(matches!(&error, ChainError::Constraint(_)), "{error:?}");
}

#[test]
fn constraints_that_cannot_be_followed_are_refused_when_critical() {
    for (critical, accepted) in [("critical,", false), ("", true)] {
        let extensions =
            format!("{CA}nameConstraints={critical}permitted;otherName:1.2.3;UTF8:x\n");
        let answer = verify(&issue(&[ca("/CN=root", CA), ca("/CN=vmca", &extensions)]).1);
        assert_eq!(answer.is_ok(), accepted, "{answer:?}");
    }
}
