//! A certificate for an end entity.

use serde_json::{Map, Value, json};

use super::authority::{Authority, Ca};
use super::chain;
use super::error::Error;
use super::hex::{hex, serial_text};
use super::profile::{self, Judged};
use super::records;
use super::request::Request;
use super::signing::{Plan, Purpose};
use crate::access::{Issue, Permit};
use crate::base::{Actor, UnixTime, sentences};
use crate::journal::{self, Event, Outcome};
use crate::x509::{Certificate, draft_leaf};

/// An issued certificate; its record is durable.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Leaf, VMCA, intermediates; the self-signed root where a setting adds it.
    pub chain: Vec<Certificate>,
    /// Serial number in upper-case hex, 32 digits.
    pub serial: String,
}

impl Authority {
    /// Has a certificate signed by the active CA, as the profile allows.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without a CA; [`Error::Refused`], [`Error::Request`] or
    /// [`Error::Constrained`] by rule; [`Error::Token`] when the token does not sign;
    /// [`Error::Store`] when the records cannot be written. Nothing was issued then.
    pub fn issue(&self, permit: Permit<Issue>, request: &Request) -> Result<Issued, Error> {
        // One snapshot for all steps: a CA that is replaced meanwhile does not mix in.
        let ca = self.active()?;
        let now = self.clock.now();
        let asked = asked(request, self.settings.profile.name());
        let judged = profile::judge(&self.settings, request, &ca.chain, now)
            .inspect_err(|refusal| self.record_refusal(permit.actor(), &asked, refusal, now))?;
        self.issue_judged(&ca, request, judged, asked, permit.actor().clone(), now)
    }

    fn issue_judged(
        &self,
        ca: &Ca,
        request: &Request,
        judged: Judged,
        mut details: Map<String, Value>,
        actor: Actor,
        now: UnixTime,
    ) -> Result<Issued, Error> {
        if !judged.ignored.is_empty() {
            details.insert("ignored".to_owned(), json!(judged.ignored));
        }
        let serial = self.new_serial()?;
        let template = judged.into_template(serial, &self.settings);
        let serial = serial_text(&serial);
        details.insert("serial".to_owned(), json!(serial));
        let draft = draft_leaf(&template, ca.chain.ca())
            .map_err(|cause| Error::drafting(cause, Error::Request))?;
        draft.check_request(&request.csr).map_err(Error::Building)?;
        let plan = Plan {
            purpose: Purpose::Leaf,
            draft,
            key: ca.key.clone(),
            authority: Some(ca.id),
            serial: Some(serial.clone()),
            crl_number: None,
            actor,
            at: now,
            details,
        };
        let intent = self.store.write(move |tx| plan.intend(tx))?;
        let (signed, leaf) = self.sign(intent, |der| {
            let leaf = Certificate::from_der(der)?;
            leaf.verify_signed_by(&ca.public_key)?;
            Ok(leaf)
        })?;
        let at = self.clock.now();
        let (authority, number, record) = (ca.id, serial.clone(), leaf.clone());
        self.write_outcome(move |tx| {
            signed.conclude(tx, at)?;
            let draft = signed.draft_id();
            Ok(records::insert_certificate(tx, draft, authority, &number, &record, at)?)
        })?;
        Ok(Issued {
            chain: chain::answer(leaf, ca.chain.certificates(), self.settings.chain_includes_root),
            serial,
        })
    }

    fn record_refusal(
        &self,
        actor: &Actor,
        asked: &Map<String, Value>,
        refusal: &Error,
        at: UnixTime,
    ) {
        let mut details = asked.clone();
        details.insert("code".to_owned(), json!(refusal.code()));
        details.insert("reason".to_owned(), json!(sentences(refusal)));
        let actor = actor.clone();
        let written: Result<(), crate::store::Error> = self.store.write(move |tx| {
            let event = Event {
                at,
                actor: &actor,
                act: Purpose::Leaf.act(),
                reference: "request",
                outcome: Outcome::Refused,
                details: Value::Object(details),
            };
            journal::append(tx, &event)
        });
        if let Err(cause) = written {
            // A refusal changes nothing, so it stands without its record.
            tracing::error!(cause = sentences(&cause), "a refusal is not recorded");
        }
    }
}

/// What the journal says about a request: whose, for which key, never its whole content.
fn asked(request: &Request, profile: &str) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("subject".to_owned(), json!(request.csr.subject().to_text()));
    details.insert("csr_sha256".to_owned(), json!(hex(&request.csr.sha256())));
    details.insert("profile".to_owned(), json!(profile));
    details
}
