//! The trusted roots and their revocation lists, as `vmafdd` has them now.

use super::bundle::Item;
use crate::api::vecs::{Entry, entries};
use crate::client::{self, Client};
use crate::x509::{self, Certificate, Crl};

/// Store of the trusted roots.
const ROOTS: &str = "TRUSTED_ROOTS";
/// Store of their revocation lists.
const CRLS: &str = "TRUSTED_ROOT_CRLS";

/// Certificates of TRUSTED_ROOTS in the order of the store, each once.
pub(super) fn certificates(vecs: &Client) -> Result<Vec<Item>, client::Error> {
    let mut items: Vec<Item> = Vec::new();
    for entry in vecs.get::<Vec<Entry>>(&entries(ROOTS))? {
        match x509::certificates_from_pem(entry.pem.as_bytes()) {
            Ok(found) => items.extend(found.iter().map(named_certificate)),
            Err(cause) => skipped(ROOTS, &entry, &cause),
        }
    }
    Ok(each_once(items))
}

/// Revocation lists of TRUSTED_ROOT_CRLS in the order of the store, each once.
pub(super) fn crls(vecs: &Client) -> Result<Vec<Item>, client::Error> {
    let mut items: Vec<Item> = Vec::new();
    for entry in vecs.get::<Vec<Entry>>(&entries(CRLS))? {
        match Crl::from_pem(&entry.pem) {
            Ok(found) => items.push(named_crl(&found)),
            Err(cause) => skipped(CRLS, &entry, &cause),
        }
    }
    Ok(each_once(items))
}

/// One entry that cannot be read must not take the others from the clients.
fn skipped(store: &str, entry: &Entry, cause: &x509::Error) {
    tracing::warn!("entry {} of {store} is not published: {cause}", entry.alias);
}

fn named_certificate(certificate: &Certificate) -> Item {
    Item {
        hash: certificate.subject_hash(),
        old_hash: certificate.subject_hash_old(),
        pem: certificate.to_pem(),
    }
}

fn named_crl(crl: &Crl) -> Item {
    Item { hash: crl.issuer_hash(), old_hash: crl.issuer_hash_old(), pem: crl.to_pem() }
}

fn each_once(items: Vec<Item>) -> Vec<Item> {
    let mut once: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}
