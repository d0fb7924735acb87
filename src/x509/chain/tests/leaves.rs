//! Leaves below name constraints: what is permitted here is what OpenSSL verifies.

use super::{CA, ca, issue, verify};
use crate::x509::Certificate;
use crate::x509::tests::judge::Folder;

/// A leaf that OpenSSL issues below the lowest CA of a chain of two.
fn leaf(folder: &Folder, subject: &str, names: &str) -> Certificate {
    let names = if names.is_empty() { String::new() } else { format!("subjectAltName={names}\n") };
    let config = format!("[ext]\nbasicConstraints=CA:FALSE\n{names}");
    folder.write("config", config.as_bytes());
    folder.openssl(&[
        "req",
        "-new",
        "-nodes",
        "-utf8",
        "-keyout",
        "k",
        "-out",
        "r",
        "-subj",
        subject,
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    folder.openssl(&[
        "x509",
        "-req",
        "-in",
        "r",
        "-out",
        "leaf",
        "-CA",
        "c1",
        "-CAkey",
        "k1",
        "-CAcreateserial",
        "-extfile",
        "config",
        "-extensions",
        "ext",
    ]);
    folder.certificate("leaf")
}

#[test]
fn what_openssl_refuses_is_not_permitted() {
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "permitted;DNS:example.com",
            &[
                ("/CN=a", "DNS:a.example.com"),
                ("/CN=a", "DNS:EXAMPLE.com"),
                ("/CN=a", "DNS:badexample.com"),
                ("/CN=a", "DNS:a.example.com,DNS:a.example.org"),
                ("/CN=a", "IP:192.0.2.1"),
                ("/CN=a.example.org", ""),
                ("/CN=a_b.example.org", ""),
                ("/CN=10.0.0.1", ""),
                ("/CN=a.example.org.", ""),
                ("/CN=a..example.org", ""),
                ("/CN=-a.example.org", ""),
                ("/CN=a-.example.org", ""),
                ("/CN=Jane Doe, Ltd.", ""),
                ("/CN=a.example.org", "DNS:a.example.com"),
                ("/CN=a.example.com/CN=b.example.org", ""),
                ("/CN=a.example.org", "IP:192.0.2.1"),
            ],
        ),
        (
            "permitted;DNS:.example.com",
            &[("/CN=a", "DNS:a.example.com"), ("/CN=a", "DNS:example.com")],
        ),
        (
            "permitted;email:example.com,permitted;email:.sub.example.com,excluded;email:x@example.com",
            &[
                ("/CN=a", "email:a@example.com"),
                ("/CN=a", "email:x@example.com"),
                ("/CN=a", "email:a@b.sub.example.com"),
                ("/CN=a", "email:a@sub.example.com"),
                ("/CN=a/emailAddress=a@example.com", ""),
                ("/CN=a/emailAddress=a@example.org", ""),
                ("/CN=a/emailAddress=a@example.org", "email:a@example.com"),
                ("/CN=a/emailAddress=a@example.com/emailAddress=b@example.org", ""),
            ],
        ),
        (
            "permitted;IP:10.0.0.0/255.0.0.0,excluded;IP:10.1.0.0/255.255.0.0",
            &[
                ("/CN=a", "IP:10.2.3.4"),
                ("/CN=a", "IP:10.1.3.4"),
                ("/CN=a", "IP:11.1.3.4"),
                ("/CN=a", "IP:2001:db8::1"),
                ("/CN=a", "DNS:a.example"),
            ],
        ),
        (
            "permitted;URI:host.example.com,permitted;URI:.sub.example.com",
            &[
                ("/CN=a", "URI:https://host.example.com/x"),
                ("/CN=a", "URI:https://HOST.example.com:443/x"),
                ("/CN=a", "URI:https://a.host.example.com/"),
                ("/CN=a", "URI:https://a.sub.example.com/"),
                ("/CN=a", "URI:https://sub.example.com/"),
                ("/CN=a", "URI:urn:uuid:1"),
                ("/CN=a", "URI:https://10.0.0.1/"),
            ],
        ),
        (
            "permitted;dirName:dir",
            &[
                ("/O=Example/CN=a", ""),
                ("/O=EXAMPLE  /CN=a", ""),
                ("/CN=a/O=Example", ""),
                ("/O=Other/CN=a", ""),
            ],
        ),
    ];
    for (constraints, leaves) in cases {
        let extensions = format!("{CA}nameConstraints=critical,{constraints}\n");
        let vmca = if constraints.contains("dirName") { "/O=Example/CN=vmca" } else { "/CN=vmca" };
        let (folder, chain) = issue(&[ca("/CN=root", &extensions), ca(vmca, CA)]);
        let chain = verify(&chain).unwrap();
        for (subject, names) in leaves {
            let leaf = leaf(&folder, subject, names);
            let judged =
                folder.accepts("openssl", &["verify", "-CAfile", "c0", "-untrusted", "c1", "leaf"]);
            let answer = chain.permits_certificate(&leaf);
            assert_eq!(answer.is_ok(), judged, "{constraints} {subject} {names} {answer:?}");
            let answer = chain.permits_leaf(&leaf.subject(), &leaf.alternative_names());
            assert_eq!(answer.is_ok(), judged, "{constraints} {subject} {names} {answer:?}");
        }
    }
}

/// RFC 5280, 4.2.1.10: where hosts of URIs are constrained, a URI without a host name is refused.
#[test]
fn a_uri_without_a_host_name_is_not_permitted_even_where_hosts_are_only_excluded() {
    let extensions = format!("{CA}nameConstraints=critical,excluded;URI:host.example.com\n");
    let (folder, chain) = issue(&[ca("/CN=root", &extensions), ca("/CN=vmca", CA)]);
    let chain = verify(&chain).unwrap();
    for (names, accepted) in [
        ("URI:https://other.example.com/", true),
        ("URI:https://host.example.com/", false),
        ("URI:https://[2001:db8::1]/", false),
        ("URI:https://192.0.2.1/", false),
        ("URI:urn:uuid:1", false),
    ] {
        let answer = chain.permits_certificate(&leaf(&folder, "/CN=a", names));
        assert_eq!(answer.is_ok(), accepted, "{names} {answer:?}");
    }
}
