//! How VMCA becomes a CA by itself, and how it asks to become an intermediate.

use der::pem::{self, LineEnding};
use serde_json::{Map, json};

use super::authority::Authority;
use super::error::{Error, Rule};
use super::hex::serial_text;
use super::keys::KeyChoice;
use super::profile::without_wildcards;
use super::settings::Profile;
use super::signing::{Plan, Purpose};
use super::validity::DAY;
use crate::access::{ManageCa, Permit};
use crate::base::UnixTime;
use crate::x509::{
    self, AlternativeNames, CaTemplate, Certificate, Chain, Csr, CsrTemplate, Name, draft_csr,
    draft_self_signed_ca,
};

/// The most minutes by which a self-signed CA may start in the past: seven days.
const MAX_PREDATE_MINUTES: u32 = 10_080;
/// Life of a self-signed CA.
const ROOT_LIFE: UnixTime = 10 * 365 * DAY;

/// A self-signed CA that is wanted.
#[derive(Clone, Debug)]
pub struct NewRoot {
    /// Its subject, and so its issuer.
    pub subject: Name,
    /// Its alternative names; the original allows e-mail and IP addresses.
    pub alternative_names: AlternativeNames,
    /// Minutes by which its validity starts in the past, 0..=10080.
    pub predate_minutes: u32,
    /// The key it is for.
    pub key: KeyChoice,
}

/// A request for a CA certificate that is wanted.
#[derive(Clone, Debug)]
pub struct CaRequest {
    /// Its subject.
    pub subject: Name,
    /// Its alternative names.
    pub alternative_names: AlternativeNames,
    /// The key it is for.
    pub key: KeyChoice,
}

impl Authority {
    /// Makes a self-signed CA with a key in the token, and makes it the active one.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Names`] by rule; [`Error::Workshop`] or [`Error::Token`] when
    /// the token does not make the key or does not sign; [`Error::Store`] when the records cannot
    /// be written. The CA that was active stays so.
    pub fn self_signed(&self, permit: &Permit<ManageCa>, new: &NewRoot) -> Result<Chain, Error> {
        if new.predate_minutes > MAX_PREDATE_MINUTES {
            return Err(Error::refused(
                Rule::Argument,
                format!(
                    "the CA may start 0 to {MAX_PREDATE_MINUTES} minutes in the past: correct \
                     --predate"
                ),
            ));
        }
        names_of_a_ca(self.settings.profile, &new.subject, &new.alternative_names)?;
        let _turn = self.changing();
        let key = self.key(new.key, permit.actor())?;
        let serial = self.new_serial()?;
        let now = self.clock.now();
        let not_before = now - UnixTime::from(new.predate_minutes) * 60;
        let template = CaTemplate {
            serial,
            subject: new.subject.clone(),
            public_key: key.public_key.clone(),
            not_before,
            not_after: not_before + ROOT_LIFE,
            alternative_names: new.alternative_names.clone(),
        };
        let mut details = Map::new();
        details.insert("subject".to_owned(), json!(new.subject.to_text()));
        let plan = Plan {
            purpose: Purpose::Root,
            draft: draft_self_signed_ca(&template)
                .map_err(|cause| Error::drafting(cause, Error::Names))?,
            key: self.token.signing_key(key.reference.clone()),
            authority: None,
            serial: Some(serial_text(&serial)),
            crl_number: None,
            actor: permit.actor().clone(),
            at: now,
            details,
        };
        let intent = self.store.write(move |tx| plan.intend(tx))?;
        let (signed, root) = self.sign(intent, |der| {
            let root = Certificate::from_der(der)?;
            root.verify_signed_by(&key.public_key)?;
            Ok(root)
        })?;
        let at = self.clock.now();
        self.write_outcome(move |tx| signed.conclude(tx, at))?;
        // As of the moment that its dates were made from: the clock may have gone back meanwhile.
        let chain = Chain::verify(vec![root], now).map_err(Error::Records)?;
        self.become_active(key, chain.clone(), now, permit.actor())?;
        Ok(chain)
    }

    /// Makes a request for a CA certificate, signed in the token, in PEM. The CA stays as it is.
    ///
    /// # Errors
    /// As [`Authority::self_signed`].
    pub fn request_root(
        &self,
        permit: &Permit<ManageCa>,
        wanted: &CaRequest,
    ) -> Result<String, Error> {
        names_of_a_ca(self.settings.profile, &wanted.subject, &wanted.alternative_names)?;
        let _turn = self.changing();
        let key = self.key(wanted.key, permit.actor())?;
        let template = CsrTemplate {
            subject: wanted.subject.clone(),
            public_key: key.public_key.clone(),
            alternative_names: wanted.alternative_names.clone(),
            key_usage: None,
            ca: true,
        };
        let mut details = Map::new();
        details.insert("subject".to_owned(), json!(wanted.subject.to_text()));
        let plan = Plan {
            purpose: Purpose::CaRequest,
            draft: draft_csr(&template).map_err(|cause| Error::drafting(cause, Error::Names))?,
            key: self.token.signing_key(key.reference),
            authority: None,
            serial: None,
            crl_number: None,
            actor: permit.actor().clone(),
            at: self.clock.now(),
            details,
        };
        let intent = self.store.write(move |tx| plan.intend(tx))?;
        // Reading a request verifies its signature.
        let (signed, csr) = self.sign(intent, Csr::from_der)?;
        let at = self.clock.now();
        self.write_outcome(move |tx| signed.conclude(tx, at))?;
        pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, csr.as_der())
            .map_err(|_| Error::Fault("a request could not be written as PEM"))
    }
}

fn names_of_a_ca(profile: Profile, subject: &Name, names: &AlternativeNames) -> Result<(), Error> {
    if subject.is_empty() {
        return Err(Error::refused(
            Rule::Field,
            "the CA has an empty subject: give it at least a Name (CN)",
        ));
    }
    without_wildcards(subject, names)?;
    // The CA's name also stands in every certificate that it issues.
    match profile {
        Profile::VmcaCompat => Ok(()),
        Profile::Strict => x509::check_names(subject, names).map_err(Error::Names),
    }
}
