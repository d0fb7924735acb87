//! Dumps against OpenSSL's own, octet for octet.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::super::{Certificate, Crl};
use crate::x509::tests::judge::{self, Folder};

fn same_as_openssl(folder: &Folder, file: &str) {
    let expected = folder.openssl(&["x509", "-in", file, "-text", "-noout"]);
    assert_same(&folder.certificate(file).to_text(), &expected);
}

/// Shows the first line that differs, because whole dumps are long.
fn assert_same(ours: &str, openssl: &str) {
    for (ours, openssl) in ours.lines().zip(openssl.lines()) {
        assert_eq!(ours, openssl);
    }
    assert_eq!(ours.len(), openssl.len());
}

fn self_signed(folder: &Folder, key: &[&str], subject: &str, extensions: &[&str]) {
    let mut arguments = vec![
        "req", "-x509", "-nodes", "-utf8", "-keyout", "key", "-out", "c", "-subj", subject,
        "-newkey",
    ];
    arguments.extend(key);
    for extension in extensions {
        arguments.extend(["-addext", extension]);
    }
    folder.openssl(&arguments);
}

const P256: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn keys_and_signatures_of_every_kind() {
    let folder = Folder::new();
    for key in [
        &["rsa:2048"][..],
        &["rsa:3072", "-sha512"],
        &["rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"],
        &P256,
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["ed25519"],
    ] {
        self_signed(&folder, key, "/CN=CA/DC=vsphere/DC=local/C=US", &[]);
        same_as_openssl(&folder, "c");
    }
}

#[test]
fn names_with_everything_that_needs_care() {
    let folder = Folder::new();
    for subject in [
        "/O=Example, Inc./CN=#1 \\\\ \"x\"",
        "/CN= spaces around ",
        "/CN=Zürich/O=a;b<c>",
        "/OU=one+CN=two/UID=me",
        "/CN=#",
        "/emailAddress=a@b.c/street=Way/serialNumber=1/postalCode=2/GN=g/SN=s/title=t",
        "/1.2.3.4=unknown",
    ] {
        self_signed(&folder, &P256, subject, &[]);
        same_as_openssl(&folder, "c");
    }
}

#[test]
fn serial_numbers_of_every_length_and_sign() {
    let folder = Folder::new();
    for serial in [
        "0",
        "1",
        "127",
        "128",
        "0x7fffffffffffffff",
        "0x8000000000000000",
        "0xf75eeea7f5fda09f",
        "0x00ffffffffffffffffffffffffffffff",
        "-1",
        "-0x8000000000000001",
    ] {
        self_signed(&folder, &[&P256[..], &["-set_serial", serial]].concat(), "/CN=c", &[]);
        same_as_openssl(&folder, "c");
    }
}

#[test]
fn dates_on_both_sides_of_2050() {
    let folder = Folder::new();
    self_signed(&folder, &[&P256[..], &["-days", "20000"]].concat(), "/CN=c", &[]);
    same_as_openssl(&folder, "c");
}

#[test]
fn usual_extensions() {
    let folder = Folder::new();
    for extensions in [
        &[
            "subjectAltName=DNS:a.example,IP:192.0.2.1,IP:2001:db8::1,email:a@example.com,URI:https://a/",
        ][..],
        &[
            "subjectAltName=RID:1.2.3.4,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@domain,otherName:1.2.3;UTF8:x,otherName:1.2.4;INTEGER:1",
        ],
        &[
            "nameConstraints=permitted;otherName:1.2.3;UTF8:x,permitted;otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u",
        ],
        &[
            "subjectAltName=otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_x.example,otherName:1.3.6.1.5.5.7.8.5;UTF8:jabber",
        ],
        &[
            "keyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyAgreement,keyCertSign,cRLSign,encipherOnly,decipherOnly",
        ],
        &["keyUsage=digitalSignature", "extendedKeyUsage=critical,serverAuth,clientAuth,1.2.3.4"],
        &["basicConstraints=critical,CA:TRUE,pathlen:0"],
        &["basicConstraints=CA:FALSE"],
        &["authorityInfoAccess=caIssuers;URI:https://vc/afd/vecs/ca,OCSP;URI:http://ocsp/"],
        &["subjectInfoAccess=caRepository;URI:https://vc/"],
        &["crlDistributionPoints=URI:http://a/crl,URI:ldap://b/crl"],
        &["certificatePolicies=1.2.3.4,anyPolicy"],
        &["policyConstraints=requireExplicitPolicy:0,inhibitPolicyMapping:3"],
        &["inhibitAnyPolicy=2"],
        &[
            "nameConstraints=critical,permitted;DNS:example.com,permitted;IP:10.0.0.0/255.0.0.0,excluded;email:.example.org",
        ],
        &["nameConstraints=permitted;IP:2001:db8:0:0:0:0:0:0/ffff:ffff:0:0:0:0:0:0"],
        &["nsComment=made by hand", "nsCertType=client,server,objCA"],
        &["1.2.3.4=ASN1:UTF8String:unknown"],
        &["1.2.3.5=critical,DER:0001ff7f410a42"],
        &["tlsfeature=status_request"],
        &["1.3.6.1.4.1.311.20.2=ASN1:BMPString:SubCA", "1.3.6.1.4.1.311.21.1=ASN1:INTEGER:0"],
        &["2.5.29.30=DER:ff"],
    ] {
        self_signed(&folder, &P256, "/CN=c", extensions);
        same_as_openssl(&folder, "c");
    }
}

#[test]
fn extensions_with_sections_of_their_own() {
    let folder = Folder::new();
    folder.write(
        "config",
        b"[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=c\n[ext]\n\
          authorityKeyIdentifier=keyid,issuer:always\nsubjectKeyIdentifier=hash\n\
          subjectAltName=dirName:dir,DNS:a\nissuerAltName=dirName:dir\n\
          crlDistributionPoints=point,other\ncertificatePolicies=1.2.3,@policy,@bare\n\
          nameConstraints=permitted;dirName:dir\n\
          [dir]\nC=DE\nO=Example, AG\n\
          [point]\nfullname=URI:http://a/,dirName:dir\nCRLissuer=dirName:dir\nreasons=keyCompromise,CACompromise\n\
          [other]\nrelativename=relative\n[relative]\nCN=relative\n\
          [policy]\npolicyIdentifier=1.2.3.4\nCPS.1=http://cps/\nuserNotice.1=@notice\n\
          [notice]\nexplicitText=UTF8:read this\n[bare]\npolicyIdentifier=1.2.3.5\nCPS=http://b/\n",
    );
    folder.openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-utf8", "-keyout", "key", "-out", "c",
        "-config", "config",
    ]);
    same_as_openssl(&folder, "c");
}

#[test]
fn long_directory_names_are_cut_like_openssl_cuts_them() {
    let folder = Folder::new();
    let long = "x".repeat(60);
    let config = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=c\n[ext]\n\
         subjectAltName=dirName:dir\n[dir]\n0.OU={long}\n1.OU={long}\n2.OU={long}\n3.OU={long}\n4.OU={long}\n"
    );
    folder.write("config", config.as_bytes());
    folder.openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "c", "-config",
        "config",
    ]);
    same_as_openssl(&folder, "c");
}

#[test]
fn version_1_certificates() {
    let folder = Folder::new();
    folder.openssl(&[
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "r", "-subj", "/CN=v1",
    ]);
    folder.openssl(&["x509", "-req", "-in", "r", "-signkey", "key", "-out", "c"]);
    same_as_openssl(&folder, "c");
}

#[test]
fn revocation_lists() {
    let folder = Folder::new();
    self_signed(&folder, &["rsa:2048"], "/O=Example, Inc./CN=CA", &[]);
    folder.write(
        "config",
        b"[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n\
          [full]\nauthorityKeyIdentifier=keyid,issuer:always\nissuingDistributionPoint=critical,@idp\n\
          [idp]\nfullname=URI:http://a/crl\nonlyuser=TRUE\nindirectCRL=TRUE\nonlysomereasons=keyCompromise\n\
          [plain]\nauthorityKeyIdentifier=keyid\n",
    );
    for (index, section, number) in [
        (&b""[..], &["-crlexts", "plain"][..], "01"),
        (
            b"R\t300101000000Z\t250101000000Z,keyCompromise\t7FFFFFFFFFFFFFFFFF\tunknown\t/CN=a\n\
              R\t300101000000Z\t250203040506Z\t01\tunknown\t/CN=b\n\
              R\t300101000000Z\t250101000000Z,CAkeyTime,20240101000000Z\t02\tunknown\t/CN=c\n",
            &["-crlexts", "full"],
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        ),
        (b"R\t300101000000Z\t250101000000Z,superseded\t0A\tunknown\t/CN=a\n", &[], "0400"),
    ] {
        folder.write("index", index);
        folder.write("number", number.as_bytes());
        let mut arguments = vec![
            "ca", "-gencrl", "-config", "config", "-keyfile", "key", "-cert", "c", "-out", "crl",
        ];
        arguments.extend(section);
        folder.openssl(&arguments);
        let crl = Crl::from_pem(&folder.read("crl")).unwrap();
        let expected = folder.openssl(&["crl", "-in", "crl", "-text", "-noout"]);
        assert_same(&crl.to_text(), &expected);
        let ca = folder.certificate("c");
        crl.verify_signed_by(&ca.public_key().unwrap()).unwrap();
        let hashes = folder.openssl(&["crl", "-in", "crl", "-hash", "-hash_old", "-noout"]);
        assert_eq!(
            hashes,
            format!(
                "issuer name hash={:08x}\nissuer name old hash={:08x}\n",
                crl.issuer_hash(),
                crl.issuer_hash_old()
            )
        );
    }
}

#[test]
fn certificates_that_are_installed_on_this_machine() {
    // Public roots hold what no test would think of.
    let Ok(bundle) = std::fs::read("/etc/ssl/certs/ca-certificates.crt") else {
        return;
    };
    let certificates: Vec<Certificate> = super::super::certificates_from_pem(&bundle).unwrap();
    for certificate in certificates {
        let expected =
            judge::run_on_der(&["x509", "-inform", "DER", "-text", "-noout"], certificate.as_der());
        assert_same(&certificate.to_text(), &expected);
    }
}

#[test]
fn text_in_a_certificate_forges_no_line_and_commands_no_terminal() {
    let folder = Folder::new();
    let hostile = |tag: u8| [&[tag, 10][..], b"a\x1b[2J\nb\r\x7fc"].concat();
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let names = [&[0x30, 12][..], &hostile(0x82)].concat();
    folder.write(
        "config",
        format!(
            "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=c\n[ext]\nnsComment=DER:{}\n\
             issuerAltName=DER:{}\n",
            hex(&hostile(0x16)),
            hex(&names)
        )
        .as_bytes(),
    );
    folder.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"]);
    let certificate = ["req", "-x509", "-new", "-config", "config", "-key", "key", "-out", "c"];
    folder.openssl(&certificate);
    let text = folder.certificate("c").to_text();
    assert_eq!(text.matches("a.[2J.b..c").count(), 2, "{text}");
    assert!(!text.contains(|found: char| found.is_control() && found != '\n'), "{text}");
}
