//! Published CA certificates and their revocation lists.

use super::{Directory, Error, records};
use crate::access::{Caller, Permit, Publish};
use crate::base::Actor;
use crate::journal::{self, Event, Outcome};
use crate::store;
use crate::x509::{self, Certificate, Crl};

/// A published certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRoot {
    /// Subject key identifier, upper-case hex; SHA-1 of the key where the certificate has none.
    pub id: String,
    /// Subject, RFC 4514 text.
    pub subject: String,
    /// Certificate, PEM.
    pub certificate: String,
    /// Its latest revocation list, PEM.
    pub crl: Option<String>,
}

/// What is to be published: read, but not yet compared with what is there.
#[derive(Clone, Debug)]
pub struct Publication {
    certificate: Certificate,
    id: String,
    crl: Option<Crl>,
}

impl Publication {
    /// Reads exactly one certificate and, where given, one revocation list, both PEM. The
    /// certificate need not be one of a CA, as in the original.
    ///
    /// # Errors
    /// [`Error::Material`] for what cannot be read, [`Error::NotOne`] for several certificates.
    pub fn read(certificate: &str, crl: Option<&str>) -> Result<Self, Error> {
        let certificates =
            x509::certificates_from_pem(certificate.as_bytes()).map_err(Error::Material)?;
        let count = certificates.len();
        let [certificate] =
            <[Certificate; 1]>::try_from(certificates).map_err(|_| Error::NotOne(count))?;
        Ok(Self {
            id: identifier(&certificate)?,
            certificate,
            crl: crl.map(Crl::from_pem).transpose().map_err(Error::Material)?,
        })
    }
}

fn identifier(certificate: &Certificate) -> Result<String, Error> {
    let octets = match certificate.subject_key_identifier() {
        Some(identifier) => identifier,
        None => certificate.public_key().map_err(Error::Material)?.key_identifier().to_vec(),
    };
    Ok(octets.iter().map(|octet| format!("{octet:02X}")).collect())
}

impl Directory {
    /// Asks for the permit to publish; a refusal is recorded.
    ///
    /// # Errors
    /// [`Error::Denied`] for everybody but administrators.
    pub fn publisher(&self, caller: &Caller) -> Result<Permit<Publish>, Error> {
        match caller.permit() {
            Ok(permit) => Ok(permit),
            Err(denied) => {
                self.record_refusal(caller.actor(), "trusted roots".to_owned(), &denied)?;
                Err(denied.into())
            }
        }
    }

    /// Publishes a certificate, or the revocation list of one that is published.
    ///
    /// A certificate that is there already changes nothing and is no error. Another certificate
    /// with the same identifier (VMCA's key, certified first by itself and then by the enterprise
    /// CA) is published beside the first and never in its place: the product's rule, so that
    /// nothing that others trust vanishes unasked.
    ///
    /// # Errors
    /// [`Error::ForeignCrl`] when the list was not signed under the certificate,
    /// [`Error::OldCrl`] when a later one is published. Both are recorded.
    pub fn publish(&self, permit: Permit<Publish>, new: Publication) -> Result<(), Error> {
        let (actor, id) = (permit.actor().clone(), new.id.clone());
        let result = self.take_over(permit, new);
        if let Err(refusal @ (Error::ForeignCrl(_) | Error::OldCrl)) = &result {
            self.record_refusal(actor, id, refusal)?;
        }
        result
    }

    fn record_refusal(
        &self,
        actor: Actor,
        reference: String,
        refusal: &dyn std::error::Error,
    ) -> Result<(), Error> {
        let (at, reason) = (self.clock.now(), refusal.to_string());
        self.store.write(move |tx| {
            journal::append(
                tx,
                &Event {
                    at,
                    actor: &actor,
                    act: "trusted-root.publish",
                    reference: &reference,
                    outcome: Outcome::Refused,
                    details: serde_json::json!({"reason": reason}),
                },
            )?;
            Ok(())
        })
    }

    fn take_over(&self, permit: Permit<Publish>, new: Publication) -> Result<(), Error> {
        if let Some(crl) = &new.crl {
            check_issuer(crl, &new.certificate)?;
        }
        let now = self.clock.now();
        self.store.write(move |tx| {
            let certificate = new.certificate.to_pem();
            let mut done = Vec::new();
            match records::trusted_root(tx, &certificate)? {
                None => {
                    records::insert(
                        tx,
                        &TrustedRoot {
                            id: new.id.clone(),
                            subject: new.certificate.subject().to_text(),
                            certificate,
                            crl: new.crl.as_ref().map(Crl::to_pem),
                        },
                    )?;
                    done.push(("trusted-root.publish", new.certificate.sha1()));
                    done.extend(new.crl.iter().map(|crl| ("crl.publish", crl.sha1())));
                }
                Some(root) => {
                    if let Some(crl) = later(new.crl.as_ref(), root.crl.as_deref())? {
                        records::replace_crl(tx, &certificate, &crl.to_pem())?;
                        done.push(("crl.publish", crl.sha1()));
                    }
                }
            }
            for (act, sha1) in done {
                let sha1: String = sha1.iter().map(|octet| format!("{octet:02x}")).collect();
                journal::append(
                    tx,
                    &Event {
                        at: now,
                        actor: permit.actor(),
                        act,
                        reference: &new.id,
                        outcome: Outcome::Done,
                        details: serde_json::json!({"sha1": sha1}),
                    },
                )?;
            }
            Ok(())
        })
    }

    /// Everything that is published, in the order of publication.
    pub fn trusted_roots(&self) -> Result<Vec<TrustedRoot>, Error> {
        Ok(self.store.read(records::trusted_roots)?)
    }
}

fn check_issuer(crl: &Crl, certificate: &Certificate) -> Result<(), Error> {
    if crl.issuer() != certificate.subject() {
        return Err(Error::ForeignCrl(None));
    }
    let key = certificate.public_key().map_err(Error::Material)?;
    crl.verify_signed_by(&key).map_err(|cause| Error::ForeignCrl(Some(cause)))
}

/// The list that takes the place of the published one; `None` where nothing changes.
fn later<'a>(new: Option<&'a Crl>, published: Option<&str>) -> Result<Option<&'a Crl>, Error> {
    let (Some(new), Some(published)) = (new, published) else {
        return Ok(new);
    };
    let published = Crl::from_pem(published)
        .map_err(|_| store::Error::Content("a revocation list that cannot be read".to_owned()))?;
    if *new == published {
        return Ok(None);
    }
    // RFC 5280, 5.2.3: the number only grows. Lists without one are compared by their date.
    let older = match (new.number(), published.number()) {
        (Some(number), Some(before)) if number != before => number < before,
        _ => new.this_update() < published.this_update(),
    };
    if older {
        return Err(Error::OldCrl);
    }
    Ok(Some(new))
}

#[cfg(test)]
mod tests;
