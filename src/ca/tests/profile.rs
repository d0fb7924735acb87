use super::{DAY, NOW, Requester, self_signed, settings};
use crate::ca::Request;
use crate::ca::profile::judge;
use crate::ca::settings::Profile;
use crate::policy;
use crate::x509::{Certificate, Chain, KeyUsage, LeafTemplate, certificates_from_pem, draft_leaf};

use Profile::{Strict, VmcaCompat};

fn certificate_for(
    requester: &Requester,
    profile: Profile,
    csr: &str,
) -> Result<(LeafTemplate, Vec<String>), u32> {
    let settings = settings(profile, requester.folder.path());
    let issuer = self_signed(NOW - 3 * DAY, NOW + 3650 * DAY);
    let request = Request::parse(csr, None, None).map_err(|refusal| refusal.code())?;
    let judged = judge(&settings, &request, &issuer, NOW).map_err(|refusal| refusal.code())?;
    let ignored = judged.ignored.clone();
    let template = judged.into_template([1; 16], &settings);
    the_policy_of_the_token_lets_it_pass(&template, &issuer);
    Ok((template, ignored))
}

/// What a profile issues, the key of the CA signs.
fn the_policy_of_the_token_lets_it_pass(template: &LeafTemplate, issuer: &Chain) {
    let folder = tempfile::tempdir().unwrap();
    let public_key = issuer.ca().public_key_der().to_vec();
    let key = hsm::KeyReference { id: hsm::KeyId([7; 32]), public_key };
    policy::record(folder.path(), &key, issuer.ca().as_der()).unwrap();
    let issuers = policy::Issuers::open(folder.path());
    let draft = draft_leaf(template, issuer.ca()).unwrap();
    let purpose = hsm::Purpose::Certificate;
    policy::judge(policy::Mode::Service, purpose, &key, draft.tbs(), &issuers, NOW).unwrap();
}

#[test]
fn what_a_profile_refuses_has_vmcas_code() {
    let requester = Requester::new();
    let dns = "subjectAltName = DNS:a.example.test";
    let cases = [
        (VmcaCompat, "/CN=a", "basicConstraints = CA:TRUE", 70012),
        (VmcaCompat, "/CN=a", "keyUsage = keyCertSign", 70012),
        (VmcaCompat, "/CN=a", "keyUsage = cRLSign", 70012),
        (VmcaCompat, "/CN=a", "keyUsage = digitalSignature, dataEncipherment", 70012),
        (VmcaCompat, "/CN=a", "keyUsage = keyAgreement", 70012),
        (VmcaCompat, "/CN=a", "keyUsage = keyEncipherment", 70012), // by an EC key
        (VmcaCompat, "/", dns, 70012),
        (VmcaCompat, "/CN=*.example.test", dns, 70060),
        (VmcaCompat, "/CN=a/CN=b*", dns, 70060),
        (VmcaCompat, "/CN=a", "subjectAltName = DNS:*.example.test", 70061),
        (VmcaCompat, "/CN=a", "subjectAltName = DNS:a.example.test, DNS:*.b.test", 70061),
        (Strict, "/CN=a", "", 70012),
        (Strict, "/CN=a", "subjectAltName = IP:192.0.2.1", 70012),
        (Strict, "/CN=a", "subjectAltName = DNS:localhost", 70012),
        (Strict, "/CN=a+CN=b", dns, 70012),
        (Strict, "/CN=a/emailAddress=a@example.test", dns, 70012),
        (Strict, "/CN=a/DC=local", dns, 70012),
        (Strict, "/CN=a/title=unusual", dns, 70012),
    ];
    for (profile, subject, extensions, code) in cases {
        let csr = requester.csr("ec", subject, extensions);
        let found = certificate_for(&requester, profile, &csr).map(|_| ());
        assert_eq!(found, Err(code), "{profile} {subject} {extensions}");
    }
}

#[test]
fn a_request_that_cannot_be_used_has_vmcas_code() {
    let requester = Requester::new();
    let good = requester.csr("ec", "/CN=a", "");
    let weak_key = requester.file("weak.key");
    super::openssl(&[
        "genpkey",
        "-quiet",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:1024",
        "-out",
        weak_key.to_str().unwrap(),
    ]);
    let weak = requester.csr("weak", "/CN=a", "");
    let truncated = good[..good.len() / 2].to_owned();
    let der = der::pem::decode_vec(good.as_bytes()).unwrap().1;
    let mut forged = der;
    *forged.last_mut().unwrap() ^= 1;
    let forged =
        der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &forged).unwrap();
    for (says, csr, code) in [
        ("empty", "", 70006),
        ("no PEM", "hello", 70006),
        ("truncated", truncated.as_str(), 70006),
        ("a forged signature", forged.as_str(), 70012),
        ("RSA-1024", weak.as_str(), 70015),
    ] {
        let found = certificate_for(&requester, VmcaCompat, csr).map(|_| ());
        assert_eq!(found, Err(code), "{says}");
    }
}

const DIGITAL_SIGNATURE: KeyUsage = KeyUsage {
    digital_signature: true,
    non_repudiation: false,
    key_encipherment: false,
    data_encipherment: false,
    key_agreement: false,
    key_cert_sign: false,
    crl_sign: false,
};

#[test]
fn key_usage_is_what_was_asked_for_or_the_profiles_own() {
    let requester = Requester::new();
    let signs = DIGITAL_SIGNATURE;
    let enciphers = KeyUsage { key_encipherment: true, ..signs };
    let vmca = KeyUsage { non_repudiation: true, ..enciphers };
    let asked = "keyUsage = digitalSignature, nonRepudiation, keyEncipherment";
    let cases = [
        (VmcaCompat, "rsa", "", vmca),
        (VmcaCompat, "rsa", asked, vmca),
        (VmcaCompat, "rsa", "keyUsage = digitalSignature", signs),
        (VmcaCompat, "ec", "", KeyUsage { non_repudiation: true, ..signs }),
        (Strict, "rsa", "", enciphers),
        (Strict, "rsa", asked, vmca),
        (Strict, "ec", "", signs),
        (Strict, "ec", asked, KeyUsage { non_repudiation: true, ..signs }),
    ];
    for (profile, key, usage, expected) in cases {
        let extensions = format!("subjectAltName = DNS:a.example.test\n{usage}");
        let csr = requester.csr(key, "/CN=a", &extensions);
        let (template, _) = certificate_for(&requester, profile, &csr).unwrap();
        assert_eq!(template.key_usage, expected, "{profile} {key} {usage}");
        assert_eq!(template.key_usage_critical, profile == Strict);
    }
}

#[test]
fn only_allowed_extensions_are_taken_and_the_others_are_named() {
    let requester = Requester::new();
    let csr = requester.csr(
        "ec",
        "/CN=a/C=US",
        "subjectAltName = email:a@example.test, IP:192.0.2.1, DNS:a.example.test\n\
         extendedKeyUsage = serverAuth, codeSigning\n\
         certificatePolicies = 1.2.3.4\n\
         crlDistributionPoints = URI:http://example.test/crl",
    );
    let (template, ignored) = certificate_for(&requester, VmcaCompat, &csr).unwrap();
    assert_eq!(template.alternative_names.dns, ["a.example.test"]);
    assert_eq!(template.alternative_names.email, ["a@example.test"]);
    assert_eq!(template.alternative_names.ip.len(), 1);
    assert!(template.extended_key_usage.is_empty());
    for oid in ["2.5.29.32", "2.5.29.31", "2.5.29.37"] {
        assert!(ignored.iter().any(|found| found == oid), "{oid} in {ignored:?}");
    }
    let (template, ignored) = certificate_for(&requester, Strict, &csr).unwrap();
    assert_eq!(template.extended_key_usage, ["1.3.6.1.5.5.7.3.1"]);
    assert!(ignored.contains(&"1.3.6.1.5.5.7.3.3".to_owned()), "{ignored:?}");
}

#[test]
fn no_certificate_outlives_any_ca_of_its_chain() {
    let requester = Requester::new();
    let file = |name: &str| requester.file(name).to_str().unwrap().to_owned();
    let root_csr = requester.csr("rsa", "/CN=Root", "");
    let vmca_csr = requester.csr("ec", "/CN=VMCA", "");
    std::fs::write(file("root.csr"), root_csr).unwrap();
    std::fs::write(file("vmca.csr"), vmca_csr).unwrap();
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
    std::fs::write(file("ext"), extensions).unwrap();
    // OpenSSL's certificates start at the present, not at the day on which the tests happen.
    let root = super::openssl(&[
        "x509",
        "-req",
        "-in",
        &file("root.csr"),
        "-signkey",
        &file("rsa.key"),
        "-days",
        "100",
        "-extfile",
        &file("ext"),
    ]);
    std::fs::write(file("root.pem"), &root).unwrap();
    let vmca = super::openssl(&[
        "x509",
        "-req",
        "-in",
        &file("vmca.csr"),
        "-CA",
        &file("root.pem"),
        "-CAkey",
        &file("rsa.key"),
        "-days",
        "1000",
        "-extfile",
        &file("ext"),
    ]);
    let certificates = certificates_from_pem((vmca + &root).as_bytes()).unwrap();
    let now = certificates.iter().map(Certificate::not_before).max().unwrap();
    let chain = Chain::verify(certificates, now).unwrap();
    let csr = requester.csr("ec", "/CN=a", "");
    let settings = settings(VmcaCompat, requester.folder.path());
    let request = Request::parse(&csr, None, None).unwrap();
    let judged = judge(&settings, &request, &chain, now).unwrap();
    let template = judged.into_template([1; 16], &settings);
    assert_eq!(template.not_after, chain.root().not_after());
    let refusal = judge(&settings, &request, &chain, chain.root().not_after() + 1).unwrap_err();
    assert_eq!(refusal.code(), 70002);
}
