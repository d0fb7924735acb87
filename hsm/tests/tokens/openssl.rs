//! OpenSSL, the judge.

use std::path::Path;
use std::process::{Command, Stdio};

use hsm::Algorithm;

use crate::bench::Bench;

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn openssl(arguments: &[&str]) -> bool {
    Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("OpenSSL is missing: install the package openssl")
        .success()
}

/// The hash that belongs to a key.
pub(crate) const fn hash_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::P384 => "-sha384",
        Algorithm::Rsa(_) | Algorithm::P256 => "-sha256",
    }
}

/// `options`: what OpenSSL is told about the padding.
pub(crate) fn verifies(
    bench: &Bench,
    spki: &[u8],
    hash: &str,
    options: &[&str],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let files = ["spki", "message", "signature"].map(|name| bench.path(name));
    for (file, octets) in files.iter().zip([spki, message, signature]) {
        std::fs::write(file, octets).unwrap();
    }
    let [spki, message, signature] = &files;
    let mut words = vec!["dgst", hash, "-keyform", "DER", "-verify", text(spki)];
    words.extend(options);
    words.extend(["-signature", text(signature), text(message)]);
    openssl(&words)
}

/// A key that OpenSSL makes: PKCS#8 and SubjectPublicKeyInfo, DER.
pub(crate) fn make_key(bench: &Bench, algorithm: Algorithm) -> [Vec<u8>; 2] {
    let (kind, option) = match algorithm {
        Algorithm::Rsa(bits) => ("RSA", format!("rsa_keygen_bits:{bits}")),
        Algorithm::P256 => ("EC", "ec_paramgen_curve:P-256".to_owned()),
        Algorithm::P384 => ("EC", "ec_paramgen_curve:P-384".to_owned()),
    };
    let [pem, der, spki] = ["made.pem", "made.der", "made.spki"].map(|name| bench.path(name));
    assert!(openssl(&["genpkey", "-algorithm", kind, "-pkeyopt", &option, "-out", text(&pem)]));
    let to_der = ["-in", text(&pem), "-outform", "DER", "-out"];
    assert!(openssl(&[&["pkcs8", "-topk8", "-nocrypt"], &to_der[..], &[text(&der)]].concat()));
    assert!(openssl(&[&["pkey", "-pubout"], &to_der[..], &[text(&spki)]].concat()));
    [der, spki].map(|path| std::fs::read(path).unwrap())
}
