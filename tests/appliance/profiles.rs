//! The certificate profiles, judged by pkilint's PKIX linter.

use std::path::Path;
use std::process::Command;

use crate::enterprise::Enterprise;
use crate::harness::{Appliance, HOST, judge, text};
use crate::verify::verify;

/// Findings of the linter, one a line; `None` where the linter is not installed.
fn findings(kind: &str, file: &Path) -> Option<Vec<String>> {
    let variable = if kind == "crl" { "SEALWRIGHT_PKILINT_CRL" } else { "SEALWRIGHT_PKILINT" };
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/tools/pkilint/bin")
        .join(format!("lint_pkix_{}", if kind == "crl" { "signer_signee_crl" } else { "cert" }));
    let program = std::env::var_os(variable).map_or(fallback, Into::into);
    if !program.exists() {
        eprintln!(
            "LOUD: pkilint is missing (scripts/test installs it); {} is NOT linted",
            file.display()
        );
        return None;
    }
    let output =
        Command::new(program).args(["lint", "-s", "INFO", "-f", "csv"]).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("node_path"), "pkilint did not run: {said}{trouble}");
    Some(said.lines().skip(1).map(str::to_owned).collect())
}

#[test]
fn strict_has_no_finding() {
    for algorithm in ["p-256", "p-384", "rsa-3072"] {
        let appliance = Appliance::with(&["--key-algorithm", algorithm, "--profile", "strict"]);
        appliance.start();
        let enterprise = Enterprise::new(&appliance);
        enterprise.adopt(&appliance);
        for kind in ["p-256", "p-384", "rsa-2048"] {
            let config = appliance.machine_config("m.cfg", HOST);
            appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", kind]);
            appliance.ok(
                "certool",
                &[
                    "--gencert",
                    "--privkey",
                    "k.priv",
                    "--cert",
                    "k.crt",
                    "--config",
                    &config,
                    "--Name",
                    "a",
                ],
            );
            let file = appliance.file("k.crt");
            if let Some(found) = findings("cert", &file) {
                assert!(found.is_empty(), "{algorithm} CA, {kind} leaf:\n{}", found.join("\n"));
            }
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
    // A genuine VMCA certificate has a key usage that is not critical (RFC 5280, 4.2.1.3 SHOULD);
    // with an EC key, keyEncipherment is what VMCA's own request asks for.
    let genuine = ["pkix.key_usage_extension_not_critical", "key_encipherment", "key_usage"];
    if let Some(found) = findings("cert", &certificate) {
        let beyond: Vec<_> =
            found.iter().filter(|line| !genuine.iter().any(|known| line.contains(known))).collect();
        assert!(beyond.is_empty(), "{beyond:#?}");
    }
    verify(&appliance);
}

#[test]
fn revocation_lists_exist_from_the_start_and_verify() {
    let appliance = Appliance::running();
    appliance.ok("certool", &["--getcrl", "--crl", "vmca.crl"]);
    let (crl, root) = (appliance.file("vmca.crl"), appliance.root().join("lib/vmca/root.cer"));
    judge("openssl", &["crl", "-in", text(&crl), "-noout", "-CAfile", text(&root)]);
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
