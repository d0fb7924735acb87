//! The certificate profiles, judged by pkilint's PKIX linter.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::enterprise::Enterprise;
use crate::harness::{Appliance, HOST, judge, text};
use crate::verify::verify;

/// Not a finding of something wrong: the linter names the method of every key identifier, and this
/// is the one of RFC 5280, 4.2.1.2, that VMCA uses.
const IDENTIFIED: &str = "pkix.subject_key_identifier_method_1_identified";

const CERTIFICATE: &[&str] = &["lint_pkix_cert", "lint"];
const ISSUED: &[&str] = &["lint_pkix_signer_signee_cert_chain", "lint"];
const LIST: &[&str] = &["lint_crl", "lint", "-t", "CRL", "-p", "PKIX"];

/// Codes of pkilint's findings; `None` where it is not installed.
fn findings(linter: &[&str], files: &[&Path]) -> Option<Vec<String>> {
    let fallback =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/pkilint/bin/lint_pkix_cert");
    let installed: PathBuf = std::env::var_os("SEALWRIGHT_PKILINT").map_or(fallback, Into::into);
    if !installed.exists() {
        eprintln!("LOUD: pkilint is missing (scripts/test installs it); {files:?} NOT linted");
        return None;
    }
    let [program, words @ ..] = linter else { panic!("no linter") };
    let output = Command::new(installed.with_file_name(program))
        .args(words)
        .args(["-s", "INFO", "-f", "CSV"])
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("node_path") && trouble.is_empty(), "{program}: {said}{trouble}");
    // node_path,validator,severity,code,message
    let code = |line: &str| line.split(',').nth(3).unwrap_or(line).to_owned();
    let lines = said.lines().skip(1).filter(|line| !line.is_empty());
    Some(lines.map(code).filter(|code| code != IDENTIFIED).collect())
}

fn has_no_finding(linter: &[&str], files: &[&Path]) {
    if let Some(found) = findings(linter, files) {
        assert!(found.is_empty(), "{linter:?} {files:?}: {found:?}");
    }
}

/// A key of this kind and the chain of its certificate, a file each.
fn issued(appliance: &Appliance, kind: &str) -> Vec<PathBuf> {
    let config = appliance.machine_config("m.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", kind]);
    let words = ["--gencert", "--privkey", "k.priv", "--cert", "k.crt", "--config", &config];
    appliance.ok("certool", &[&words[..], &["--Name", "a"]].concat());
    split(appliance, "k", &appliance.read("k.crt"))
}

fn split(appliance: &Appliance, name: &str, pem: &str) -> Vec<PathBuf> {
    pem.split_inclusive("-----END CERTIFICATE-----")
        .filter(|block| block.contains("BEGIN"))
        .enumerate()
        .map(|(n, block)| {
            appliance.write(&format!("{name}-{n}.pem"), format!("{}\n", block.trim()))
        })
        .collect()
}

#[test]
fn strict_has_no_finding() {
    for algorithm in ["p-256", "p-384", "rsa-3072"] {
        let appliance = Appliance::with(&["--key-algorithm", algorithm, "--profile", "strict"]);
        appliance.start();
        let root_cer = appliance.root().join("lib/vmca/root.cer");
        // First as its own root, then below an enterprise.
        for certificates in [1, 3] {
            if certificates == 3 {
                Enterprise::new(&appliance).adopt(&appliance);
            }
            let authority = split(&appliance, "ca", &std::fs::read_to_string(&root_cer).unwrap());
            assert_eq!(authority.len(), certificates);
            // What the enterprise made is not ours to judge.
            if certificates == 1 {
                has_no_finding(CERTIFICATE, &[&authority[0]]);
            }
            for kind in ["p-256", "p-384", "rsa-2048"] {
                let chain = issued(&appliance, kind);
                has_no_finding(CERTIFICATE, &[&chain[0]]);
                has_no_finding(ISSUED, &[&authority[0], &chain[0]]);
            }
            appliance.ok("certool", &["--getcrl", "--crl", "vmca.crl"]);
            has_no_finding(LIST, &[&appliance.file("vmca.crl")]);
        }
        verify(&appliance);
    }
}

#[test]
fn strict_wants_a_dns_name() {
    let appliance = Appliance::with(&["--key-algorithm", "p-256", "--profile", "strict"]);
    appliance.start();
    appliance.write("m.cfg", "Country = US\nName = x\n");
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    let words = ["--gencert", "--privkey", "k.priv", "--cert", "k.crt", "--config", "m.cfg"];
    let said = appliance.certool_fails(&words, 70012);
    assert!(said.stderr.contains("Hostname"), "{said:?}");
    appliance.ok("certool", &[&words[..], &["--Hostname", HOST]].concat());
    verify(&appliance);
}

#[test]
fn vmca_compat_has_no_finding_beyond_a_genuine_vmca_certificate() {
    let appliance = Appliance::running();
    let certificate = appliance.certificate("compat");
    let shown = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-text"]);
    for label in [
        "X509v3 Subject Alternative Name",
        "X509v3 Key Usage",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "Authority Information Access",
    ] {
        assert!(shown.contains(label), "{label} is missing:\n{shown}");
    }
    for label in ["Basic Constraints", "Extended Key Usage", "CRL Distribution"] {
        assert!(!shown.contains(label), "VMCA never adds {label}:\n{shown}");
    }
    let genuine = genuine(&appliance);
    for kind in ["p-256", "p-384", "rsa-2048"] {
        let chain = issued(&appliance, kind);
        if let (Some(known), Some(found)) =
            (findings(CERTIFICATE, &[&genuine]), findings(CERTIFICATE, &[&chain[0]]))
        {
            let beyond: Vec<_> = found.iter().filter(|code| !known.contains(code)).collect();
            assert!(beyond.is_empty(), "{kind}: {beyond:?}, and a genuine one has {known:?}");
        }
    }
    has_no_finding(CERTIFICATE, &[&appliance.root().join("lib/vmca/root.cer")]);
    verify(&appliance);
}

/// A certificate such as VMCA itself issues for certool's request, made by OpenSSL: RSA, a serial
/// number of nine octets, the extensions of the request as they are, then key identifier and AIA.
fn genuine(appliance: &Appliance) -> PathBuf {
    let (ca_key, ca) = (appliance.file("genuine-ca.key"), appliance.file("genuine-ca.crt"));
    let (key, csr) = (appliance.file("genuine.key"), appliance.file("genuine.csr"));
    let (extensions, certificate) = (appliance.file("genuine.ext"), appliance.file("genuine.crt"));
    let root =
        "/CN=CA/DC=vsphere/DC=local/C=US/ST=California/O=vc.example.test/OU=VMware Engineering";
    let subject = "/CN=a/C=US/ST=California/L=Palo Alto/O=VMware/OU=VMware Engineering";
    let new = ["req", "-new", "-newkey", "rsa:2048", "-nodes"];
    let of_root = ["-x509", "-keyout", text(&ca_key), "-out", text(&ca), "-subj", root];
    judge("openssl", &[&new[..], &of_root].concat());
    let of_leaf = ["-keyout", text(&key), "-out", text(&csr), "-subj", subject];
    judge("openssl", &[&new[..], &of_leaf].concat());
    let says = format!(
        "subjectAltName=email:email@acme.com,IP:127.0.0.1,DNS:{HOST}\n\
         keyUsage=digitalSignature,nonRepudiation,keyEncipherment\nsubjectKeyIdentifier=hash\n\
         authorityKeyIdentifier=keyid\n\
         authorityInfoAccess=caIssuers;URI:https://vc.example.test/afd/vecs/ca\n"
    );
    std::fs::write(&extensions, says).unwrap();
    let sign = ["x509", "-req", "-sha256", "-days", "730", "-set_serial", "0xF75EEEA7F5FDA09F"];
    let files = [
        "-in",
        text(&csr),
        "-CA",
        text(&ca),
        "-CAkey",
        text(&ca_key),
        "-extfile",
        text(&extensions),
        "-out",
        text(&certificate),
    ];
    judge("openssl", &[&sign[..], &files].concat());
    certificate
}

#[test]
fn revocation_lists_exist_from_the_start_and_verify() {
    let appliance = Appliance::running();
    appliance.ok("certool", &["--getcrl", "--crl", "vmca.crl"]);
    let (crl, root) = (appliance.file("vmca.crl"), appliance.root().join("lib/vmca/root.cer"));
    judge("openssl", &["crl", "-in", text(&crl), "-noout", "-CAfile", text(&root)]);
    has_no_finding(LIST, &[&crl]);
    judge(
        "certtool",
        &["--verify-crl", "--load-ca-certificate", text(&root), "--infile", text(&crl)],
    );
    let shown = judge("openssl", &["crl", "-in", text(&crl), "-noout", "-text"]);
    assert!(
        shown.contains("X509v3 CRL Number") && shown.contains("Authority Key Identifier"),
        "{shown}"
    );
    let certificate = appliance.certificate("checked");
    judge(
        "openssl",
        &[
            "verify",
            "-crl_check",
            "-CRLfile",
            text(&crl),
            "-CAfile",
            text(&root),
            text(&certificate),
        ],
    );
    verify(&appliance);
}

#[test]
fn the_text_dump_is_openssls() {
    let appliance = Appliance::running();
    let certificate = appliance.certificate("dump");
    let said = appliance.ok("certool", &["--viewcert", "--cert", text(&certificate)]);
    let openssl = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-text"]);
    assert!(said.contains(openssl.trim_end()), "{said}\n--- openssl\n{openssl}");
    verify(&appliance);
}
