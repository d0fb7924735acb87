//! `certool --rootca`: what the original trusts and we verify. A refused chain changes nothing.

use std::path::{Path, PathBuf};

use crate::enterprise::{CA_EXTENSIONS, Enterprise};
use crate::harness::{Appliance, judge, text};
use crate::verify::verify;

fn active_ca(appliance: &Appliance) -> String {
    std::fs::read_to_string(appliance.root().join("lib/vmca/root.cer")).unwrap()
}

/// Signs VMCA's request with these extensions and options, and offers the chain.
fn offer(
    appliance: &Appliance,
    enterprise: &Enterprise,
    extensions: &str,
    options: &[&str],
) -> PathBuf {
    let vmca =
        enterprise.sign_as("issuing", &appliance.file("vmca.csr"), extensions, options, "vmca.cer");
    enterprise.chain_of("offer.cer", &[&vmca, &enterprise.path("issuing.cer"), &enterprise.root()])
}

fn refused(appliance: &Appliance, chain: &Path, code: u32, word: &str) {
    let before = active_ca(appliance);
    let said = appliance.certool_fails(&["--rootca", "--cert", text(chain)], code);
    let sentence = said.stderr.to_lowercase();
    assert!(sentence.contains(word), "the sentence should speak of '{word}': {said:?}");
    assert_eq!(active_ca(appliance), before, "a refused chain must change nothing");
}

#[test]
fn a_chain_that_is_not_whole_in_order_and_ours_is_refused_with_its_code() {
    let appliance = Appliance::running();
    let enterprise = Enterprise::new(&appliance);
    let good = enterprise.chain_for(&appliance, &[]);
    let [vmca, issuing, root] =
        ["vmca.cer", "issuing.cer", "root.cer"].map(|name| enterprise.path(name));
    let chain = |name: &str, parts: &[&Path]| enterprise.chain_of(name, parts);

    refused(&appliance, &chain("no-root.cer", &[&vmca, &issuing]), 70062, "root");
    refused(&appliance, &chain("gap.cer", &[&vmca, &root]), 70063, "issue");
    refused(&appliance, &chain("swapped.cer", &[&issuing, &vmca, &root]), 70063, "issue");
    refused(
        &appliance,
        &chain("reversed.cer", &[&root, &issuing, &vmca]),
        70063,
        "root comes last",
    );

    // Somebody else's CA: a perfect chain for a key that is not in our token.
    enterprise.issue_ca("stranger", "/O=Example/CN=Stranger", "issuing", "pathlen:0");
    let stranger = enterprise.path("stranger.cer");
    refused(&appliance, &chain("stranger-chain.cer", &[&stranger, &issuing, &root]), 70037, "key");

    // The same name and key identifier, another root key: only a signature check can tell.
    let shown =
        judge("openssl", &["x509", "-in", text(&root), "-noout", "-ext", "subjectKeyIdentifier"]);
    let identifier = format!("subjectKeyIdentifier={}", shown.lines().nth(1).unwrap().trim());
    let impostor = enterprise.path("impostor.cer");
    enterprise.self_signed_with("impostor", "/O=Example/CN=Example Root", &[&identifier]);
    refused(
        &appliance,
        &chain("impostor-chain.cer", &[&vmca, &issuing, &impostor]),
        70063,
        "signature",
    );

    let leaf = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    let days: &[&str] = &["-days", "100"];
    refused(&appliance, &offer(&appliance, &enterprise, leaf, days), 70011, "ca");
    let no_cert_sign = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n";
    refused(&appliance, &offer(&appliance, &enterprise, no_cert_sign, days), 70011, "keycertsign");
    let expired: &[&str] = &["-days", "-1"];
    refused(&appliance, &offer(&appliance, &enterprise, CA_EXTENSIONS, expired), 70002, "expired");

    // An issuing CA that may have no CA below it.
    enterprise.issue_ca("narrow", "/O=Example/CN=Narrow", "root", "pathlen:0");
    let below =
        enterprise.sign_as("narrow", &appliance.file("vmca.csr"), CA_EXTENSIONS, days, "below.cer");
    let too_long = chain("too-long.cer", &[&below, &enterprise.path("narrow.cer"), &root]);
    refused(&appliance, &too_long, 70063, "path length");

    appliance.ok("certool", &["--rootca", "--cert", text(&good)]);
    assert_eq!(active_ca(&appliance).matches("BEGIN CERTIFICATE").count(), 3);
    // The same chain again is no change and no error.
    appliance.ok("certool", &["--rootca", "--cert", text(&good)]);
    verify(&appliance);
}

#[test]
fn name_constraints_bind_the_ca_itself_and_every_request() {
    let appliance = Appliance::running();
    let enterprise = Enterprise::new(&appliance);
    enterprise.chain_for(&appliance, &[]);
    let inside = format!("{CA_EXTENSIONS}nameConstraints=critical,permitted;DNS:example.test\n");
    let chain = offer(&appliance, &enterprise, &inside, &["-days", "100"]);
    appliance.ok("certool", &["--rootca", "--cert", text(&chain)]);
    let certificate = appliance.certificate("inside");
    judge(
        "openssl",
        &[
            "verify",
            "-CAfile",
            text(&enterprise.root()),
            "-untrusted",
            text(&certificate),
            text(&certificate),
        ],
    );
    let config = appliance.machine_config("outside.cfg", "machine1.elsewhere.test");
    let said = appliance.certool_fails(
        &["--gencert", "--privkey", "inside.priv", "--cert", "outside.crt", "--config", &config],
        70012,
    );
    assert!(said.stderr.contains("elsewhere.test"), "{said:?}");
    assert!(!appliance.file("outside.crt").exists(), "nothing half done");
    verify(&appliance);
}

#[test]
fn a_new_key_for_the_ca_keeps_the_old_one_for_revocation_lists() {
    let appliance = Appliance::running();
    let before = appliance.certificate("before");
    let old_root = std::fs::read(appliance.root().join("lib/vmca/root.cer")).unwrap();
    appliance.write("old-root.cer", &old_root);
    let enterprise = Enterprise::new(&appliance);
    let chain = enterprise.chain_for(&appliance, &["--newkey", "--key-algorithm", "p-384"]);
    appliance.ok("certool", &["--rootca", "--cert", text(&chain)]);

    let after = appliance.certificate("after");
    let algorithm = judge("openssl", &["x509", "-in", text(&after), "-noout", "-text"]);
    assert!(algorithm.contains("ecdsa-with-SHA384"), "{algorithm}");
    judge("openssl", &["verify", "-CAfile", text(&appliance.file("old-root.cer")), text(&before)]);
    judge(
        "openssl",
        &["verify", "-CAfile", text(&enterprise.root()), "-untrusted", text(&after), text(&after)],
    );
    let list = appliance.ok("sealwright", &["ca", "list"]);
    assert!(list.contains("active") && list.contains("superseded"), "{list}");
    verify(&appliance);
}

#[test]
fn a_ca_key_in_the_clear_is_refused_unless_the_configuration_allows_it() {
    let appliance = Appliance::running();
    let enterprise = Enterprise::new(&appliance);
    enterprise.issue_ca("imported", "/O=Example/CN=Imported", "issuing", "pathlen:0");
    let chain = enterprise.chain_of(
        "imported-chain.cer",
        &[&enterprise.path("imported.cer"), &enterprise.path("issuing.cer"), &enterprise.root()],
    );
    let key = enterprise.path("imported.key");
    let words = ["--rootca", "--cert", text(&chain), "--privkey", text(&key)];
    let said = appliance.certool_fails(&words, 70009);
    assert!(said.stderr.contains("--gencacsr"), "the way out is named: {said:?}");

    appliance.stop();
    appliance.configure("allow_imported_keys = false", "allow_imported_keys = true");
    appliance.start();
    let other = enterprise.path("issuing.key");
    appliance
        .certool_fails(&["--rootca", "--cert", text(&chain), "--privkey", text(&other)], 70037);
    appliance.ok("certool", &words);
    let list = appliance.ok("sealwright", &["ca", "list"]);
    assert!(list.contains("imported"), "an imported key is marked for ever: {list}");
    let certificate = appliance.certificate("leaf");
    judge(
        "openssl",
        &[
            "verify",
            "-CAfile",
            text(&enterprise.root()),
            "-untrusted",
            text(&certificate),
            text(&certificate),
        ],
    );
    verify(&appliance);
}

#[test]
fn selfca_makes_a_new_root_in_the_token() {
    let appliance = Appliance::running();
    let before = active_ca(&appliance);
    let config = appliance.machine_config("ca.cfg", "vmca.example.test");
    let said = appliance.ok("certool", &["--selfca", "--config", &config, "--Name", "New Root"]);
    assert!(said.ends_with("Status : Success\n"), "{said}");
    assert_ne!(active_ca(&appliance), before);
    let root = appliance.root().join("lib/vmca/root.cer");
    let subject = judge(
        "openssl",
        &["x509", "-in", text(&root), "-noout", "-subject", "-nameopt", "RFC2253"],
    );
    assert!(
        subject.contains("CN=New Root")
            && subject.contains("DC=vsphere,DC=local") | subject.contains("DC=local,DC=vsphere"),
        "{subject}"
    );
    let certificate = appliance.certificate("leaf");
    judge("openssl", &["verify", "-x509_strict", "-CAfile", text(&root), text(&certificate)]);
    verify(&appliance);
}
