//! The main job, as an administrator types it.

use std::process::{Command, Stdio};

use crate::enterprise::Enterprise;
use crate::harness::{Appliance, HOST, eventually, judge, text};
use crate::verify::verify;

const STORES: &str = "MACHINE_SSL_CERT\nTRUSTED_ROOTS\nTRUSTED_ROOT_CRLS\nmachine\nvsphere-webclient\nvpxd\n\
    vpxd-extension\nhvc\ndata-encipherment\nSMS\nAPPLMGMT_PASSWORD\nwcp\n";

/// What a TLS client is shown: every certificate, PEM.
pub fn presented(appliance: &Appliance, root: &std::path::Path) -> Vec<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", appliance.port)])
        .args(["-servername", HOST, "-verify_hostname", HOST, "-CAfile", text(root)])
        .args(["-verify_return_error", "-showcerts"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("Verify return code: 0 (ok)"),
        "{said}\n{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        appliance.logs()
    );
    said.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|part| part.split("-----END").next().unwrap().trim().to_owned())
        .collect()
}

/// The base64 bodies of a PEM file.
pub fn bodies(pem: &str) -> Vec<String> {
    pem.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|part| part.split("-----END").next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn the_whole_workflow_with_rsa_under_an_enterprise_ca() {
    let appliance = Appliance::with(&[]);
    appliance.start();
    let enterprise = Enterprise::new(&appliance);
    enterprise.adopt(&appliance);

    let config = appliance.machine_config("machine1.cfg", HOST);
    assert_eq!(
        appliance.ok("certool", &["--genkey", "--privkey=machine1.priv"]),
        "Status : Success\n"
    );
    let said = appliance.ok(
        "certool",
        &[
            "--gencert",
            "--privkey=machine1.priv",
            "--cert",
            "machine42.crt",
            "--Name=Machine42_Cert",
            "--config",
            &config,
        ],
    );
    assert_eq!(said, "Using config file : machine1.cfg\nStatus : Success\n");
    let chain = bodies(&appliance.read("machine42.crt"));
    assert_eq!(chain.len(), 3, "leaf, VMCA, issuing CA; not the root");
    let certificate = appliance.file("machine42.crt");
    let subject = judge("openssl", &["x509", "-in", text(&certificate), "-noout", "-subject"]);
    assert!(subject.contains("CN = Machine42_Cert"), "{subject}");
    judge(
        "openssl",
        &[
            "verify",
            "-x509_strict",
            "-verify_hostname",
            HOST,
            "-CAfile",
            text(&enterprise.root()),
            "-untrusted",
            text(&certificate),
            text(&certificate),
        ],
    );

    appliance.ok("service-control", &["--stop", "--all"]);
    for service in ["vmafdd", "vmdird", "vmcad"] {
        let said = appliance.ok("service-control", &["--start", service]);
        assert_eq!(
            said,
            format!(
                "Operation not cancellable. Please wait for it to finish...\n\
                 Performing start operation on service {service}...\n\
                 Successfully started service {service}\n"
            )
        );
    }
    let entry = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    let delete = [&["entry", "delete"][..], &entry].concat();
    let said = appliance.run_with_input("vecs-cli", &delete, "Y\n");
    assert!(said.stdout.contains("Deleted entry with alias [__MACHINE_CERT]"), "{said:?}");
    let create =
        [&["entry", "create"][..], &entry, &["--cert", "machine42.crt", "--key", "machine1.priv"]]
            .concat();
    let said = appliance.ok("vecs-cli", &create);
    assert!(said.contains("was created successfully"), "{said}");
    appliance.vecs_fails(&create, 183);
    assert_eq!(appliance.ok("vecs-cli", &["store", "list"]), STORES);
    let said = appliance.ok("service-control", &["--start", "--all"]);
    assert!(said.ends_with("Successfully started profile: ALL.\n"), "{said}");

    assert_eq!(presented(&appliance, &enterprise.root()), chain);
    verify(&appliance);
}

#[test]
fn a_self_signed_vmca_answers_with_the_leaf_alone_and_the_gateway_is_up_after_init() {
    let appliance = Appliance::running();
    let certificate = appliance.certificate("plain");
    assert_eq!(bodies(&appliance.read("plain.crt")).len(), 1);
    let root = appliance.root().join("lib/vmca/root.cer");
    judge("openssl", &["verify", "-x509_strict", "-CAfile", text(&root), text(&certificate)]);
    judge(
        "certtool",
        &["--verify", "--load-ca-certificate", text(&root), "--infile", text(&certificate)],
    );
    assert_eq!(presented(&appliance, &root).len(), 1);
    verify(&appliance);
}

#[test]
fn every_certificate_of_an_installed_chain_becomes_a_trusted_root_with_its_crl() {
    let appliance = Appliance::running();
    let aliases = |store: &str| -> Vec<String> {
        appliance
            .ok("vecs-cli", &["entry", "list", "--store", store, "--aliases"])
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect()
    };
    eventually("the first root is trusted", || {
        appliance.ok("vecs-cli", &["force-refresh"]);
        aliases("TRUSTED_ROOTS").len() == 1 && aliases("TRUSTED_ROOT_CRLS").len() == 1
    });
    let enterprise = Enterprise::new(&appliance);
    enterprise.adopt(&appliance);
    eventually("VMCA, issuing CA, root and the old root are trusted", || {
        appliance.ok("vecs-cli", &["force-refresh"]);
        aliases("TRUSTED_ROOTS").len() == 4
    });
    for file in ["vmca.cer", "issuing.cer", "root.cer"] {
        let path = enterprise.path(file);
        let print =
            judge("openssl", &["x509", "-in", text(&path), "-noout", "-fingerprint", "-sha1"]);
        let alias = print.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
        assert!(aliases("TRUSTED_ROOTS").contains(&alias), "{file} is not in TRUSTED_ROOTS");
    }
    verify(&appliance);
}
