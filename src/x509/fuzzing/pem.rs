//! PEM as files bring it: certificates, a request, a list, a private key.

use super::{der::is_shown, values};
use crate::base::Secret;
use crate::x509::{Crl, Csr, PrivateKey, certificates_from_pem, pem};

mutation::targets! {
    pem_blocks: block_seeds, 6000;
    pem_material: material_seeds, 2000;
    pem_private_key: private_key_seeds, 1200;
}

/// Every block that is found decodes to nothing, or to octets that are the same when written and read again; what is
/// refused is refused in a sentence.
fn pem_blocks(octets: &[u8]) {
    let text = match pem::text_of(octets, "a file", 32 * 1024) {
        Ok(text) => text,
        Err(error) => return is_shown(&error.to_string()),
    };
    let found = match pem::blocks(text) {
        Ok(found) => found,
        Err(error) => return is_shown(&error.to_string()),
    };
    for block in &found {
        let Ok(decoded) = block.decode() else { continue };
        let again = pem::encode(block.label, &decoded);
        let again = pem::blocks(&again).unwrap();
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].label, again[0].decode().unwrap()), (block.label, decoded));
    }
    is_shown(&pem::absent(&found, "a file").to_string());
}

fn block_seeds() -> Vec<Vec<u8>> {
    let one = pem::encode("CERTIFICATE", &[5; 90]);
    let windows = one.replace('\n', "\r\n");
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    [
        format!("Bag Attributes\n{one}{windows}"),
        format!("{}{one}", one.trim_end()),
        one.replace('=', ""),
        encrypted.to_owned(),
        format!("{}{}", pem::encode("PKCS7", &[1]), pem::encode("X509 CRL", &[])),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// Certificates, a request or a list that are taken are taken again from what is written of them.
fn pem_material(octets: &[u8]) {
    match certificates_from_pem(octets) {
        Ok(certificates) => {
            let text: String =
                certificates.iter().map(|certificate| certificate.to_pem()).collect();
            assert_eq!(certificates_from_pem(text.as_bytes()).unwrap(), certificates);
        }
        Err(error) => is_shown(&error.to_string()),
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Crl::from_pem(text) {
        Ok(list) => assert_eq!(Crl::from_pem(&list.to_pem()).unwrap(), list),
        Err(error) => is_shown(&error.to_string()),
    }
    match Csr::from_pem(text) {
        Ok(request) => {
            assert_eq!(Csr::from_der(request.as_der()).unwrap().sha256(), request.sha256())
        }
        Err(error) => is_shown(&error.to_string()),
    }
}

fn material_seeds() -> Vec<Vec<u8>> {
    let key = values::private_key();
    let ca = values::ca(&key);
    let list = pem::encode("X509 CRL", &values::signed(&values::crl_draft(&ca), &key));
    let request =
        pem::encode("CERTIFICATE REQUEST", &values::signed(&values::request_draft(&key), &key));
    vec![
        format!("a chain\n{}{}", ca.to_pem(), ca.to_pem()).into_bytes(),
        list.clone().into_bytes(),
        request.clone().into_bytes(),
        format!("{request}{list}{}", ca.to_pem()).into_bytes(),
    ]
}

/// A private key that is taken signs, and is the same key when written and read again. Raw octets count as the content of
/// each kind of block.
fn pem_private_key(octets: &[u8]) {
    let mut texts = vec![octets.to_vec()];
    if !octets.starts_with(b"-") {
        let labels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
        texts = labels.map(|label| pem::encode(label, octets).into_bytes()).to_vec();
    }
    for text in texts {
        match PrivateKey::from_pem(&Secret::new(text)) {
            Ok(key) => {
                key.sign(b"message").expect("it is a whole key");
                let again = PrivateKey::from_pem(&key.to_pkcs8_pem()).expect("it was written here");
                assert_eq!(again.public_key(), key.public_key());
            }
            Err(error) => is_shown(&error.to_string()),
        }
    }
}

fn private_key_seeds() -> Vec<Vec<u8>> {
    let mut seeds = values::private_keys();
    for der in values::private_keys() {
        seeds.push(pem::encode("PRIVATE KEY", &der).into_bytes());
        // PKCS #1 and SEC 1 lie inside, as an OCTET STRING.
        if let Ok((_, _, key)) = crate::x509::private_key::load::read_pkcs8(&der) {
            seeds.push(key.to_vec());
        }
    }
    seeds
}
