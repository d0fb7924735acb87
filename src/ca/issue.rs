//! A certificate for an end entity.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::authority::{Authority, Ca};
use super::chain::Above;
use super::error::Error;
use super::hex::{hex, serial_text};
use super::profile;
use super::records;
use super::request::Request;
use super::signing::{Intent, Plan, Purpose, Signed};
use crate::access::{Issue, Permit};
use crate::base::{Actor, UnixTime, sentences};
use crate::journal::{self, Event, Outcome};
use crate::store::Transaction;
use crate::x509::Certificate;

/// An issued certificate; its record is durable.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub leaf: Certificate,
    /// Serial number in upper-case hex, 32 digits.
    pub serial: String,
    above: Arc<Above>,
}

impl Issued {
    /// Leaf, VMCA, intermediates; the self-signed root where a setting adds it. `CERTIFICATE` in PEM
    /// each, with a newline at the end.
    pub fn to_pem(&self) -> Vec<String> {
        std::iter::once(self.leaf.to_pem()).chain(self.above.pem.iter().cloned()).collect()
    }

    /// What stands above the leaf in [`Self::to_pem`].
    pub fn above(&self) -> &[Certificate] {
        &self.above.certificates
    }
}

/// A request, and the permission to have it issued.
pub struct Order {
    /// Who asks, and may.
    pub permit: Permit<Issue>,
    /// What for.
    pub request: Request,
}

impl Authority {
    /// Has a certificate signed by the active CA, as the profile allows.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without a CA; [`Error::Refused`], [`Error::Request`] or
    /// [`Error::Constrained`] by rule; [`Error::Token`] when the token does not sign;
    /// [`Error::Store`] when the records cannot be written. Nothing was issued then.
    pub fn issue(&self, order: Order) -> Result<Issued, Error> {
        self.issue_each(vec![order]).pop().unwrap_or(Err(Error::NoAuthority))
    }

    /// The same for orders that wait at the same time: they share commits and their way to the
    /// token, and nothing else. Outcomes stand in their order.
    pub fn issue_each(&self, orders: Vec<Order>) -> Vec<Result<Issued, Error>> {
        // One snapshot for all steps: a CA that is replaced meanwhile does not mix in.
        let ca = match self.active() {
            Ok(ca) => ca,
            Err(_) => return orders.iter().map(|_| Err(Error::NoAuthority)).collect(),
        };
        let mut refusals = Vec::new();
        let plan = |order| {
            // A fault of ours over one request is not the matter of those that came at the same time.
            let planned = AssertUnwindSafe(|| self.plan(&ca, order, &mut refusals));
            catch_unwind(planned).unwrap_or(Err(Error::Fault("the request could not be judged")))
        };
        let plans = orders.into_iter().map(plan).collect();
        self.record_refusals(refusals);
        let intents = each(plans, |plans| {
            let intend = |plan: Plan| move |tx: &mut Transaction<'_>| plan.intend(tx);
            self.store.write_each(plans.into_iter().map(intend).collect())
        });
        let signed = each(intents, |intents| self.sign_leaves(&ca, intents));
        let at = self.clock.now();
        let recorded = each(signed, |signed| {
            self.write_outcomes(signed.into_iter().map(|signed| signed.record(ca.id, at)).collect())
        });
        recorded
            .into_iter()
            .map(|recorded| {
                recorded.map(|(leaf, serial)| Issued { leaf, serial, above: Arc::clone(&ca.above) })
            })
            .collect()
    }

    /// What is going to be signed for an order. What the profile refuses is to be written down.
    fn plan(&self, ca: &Ca, order: Order, refusals: &mut Vec<Refused>) -> Result<Plan, Error> {
        let Order { permit, request } = order;
        let now = self.clock.now();
        let mut details = asked(&request, self.settings.profile.name());
        let judged =
            profile::judge(&self.settings, &request, &ca.chain, now).inspect_err(|refusal| {
                refusals.push(Refused::new(permit.actor(), details.clone(), refusal, now));
            })?;
        if !judged.ignored.is_empty() {
            details.insert("ignored".to_owned(), json!(judged.ignored));
        }
        self.known_to_policy(ca)?;
        let serial = self.new_serial()?;
        let template = judged.into_template(serial, &self.settings);
        let serial = serial_text(&serial);
        details.insert("serial".to_owned(), json!(serial));
        let draft = ca
            .leaves
            .draft_for(&template, &request.csr)
            .map_err(|cause| Error::drafting(cause, Error::Request))?;
        Ok(Plan {
            purpose: Purpose::Leaf,
            draft,
            key: ca.key.clone(),
            authority: Some(ca.id),
            serial: Some(serial),
            crl_number: None,
            actor: permit.actor().clone(),
            at: now,
            details,
        })
    }

    /// Signatures that are under way at once. The key verifies each before it lets go of it.
    fn sign_leaves(&self, ca: &Ca, intents: Vec<Intent>) -> Vec<Result<SignedLeaf, Error>> {
        let messages: Vec<&[u8]> = intents.iter().map(Intent::message).collect();
        let signatures = ca.key.sign_all(hsm::Purpose::Certificate, &messages);
        let signed = intents.into_iter().zip(signatures).map(|(intent, signature)| {
            let (signed, leaf) = self.conclude(intent, signature, Certificate::from_der)?;
            Ok(SignedLeaf { signed, leaf })
        });
        signed.collect()
    }

    fn record_refusals(&self, refusals: Vec<Refused>) {
        let record = |refused: Refused| move |tx: &mut Transaction<'_>| refused.append(tx);
        for written in self.store.write_each(refusals.into_iter().map(record).collect()) {
            if let Err(cause) = written {
                // A refusal changes nothing, so it stands without its record.
                tracing::error!(cause = sentences(&cause), "a refusal is not recorded");
            }
        }
    }
}

/// What the profile refused, for the journal.
struct Refused {
    actor: Actor,
    details: Map<String, Value>,
    at: UnixTime,
}

impl Refused {
    fn new(actor: &Actor, mut details: Map<String, Value>, refusal: &Error, at: UnixTime) -> Self {
        details.insert("code".to_owned(), json!(refusal.code()));
        details.insert("reason".to_owned(), json!(sentences(refusal)));
        Self { actor: actor.clone(), details, at }
    }

    fn append(self, tx: &mut Transaction<'_>) -> Result<(), crate::store::Error> {
        let event = Event {
            at: self.at,
            actor: &self.actor,
            act: Purpose::Leaf.act(),
            reference: "request",
            outcome: Outcome::Refused,
            details: Value::Object(self.details),
        };
        journal::append(tx, &event)
    }
}

/// A leaf whose record is not durable yet.
struct SignedLeaf {
    signed: Signed,
    leaf: Certificate,
}

impl SignedLeaf {
    /// The write that makes it durable, and gives it and its serial number back.
    fn record(
        self,
        authority: i64,
        at: UnixTime,
    ) -> impl FnOnce(&mut Transaction<'_>) -> Result<(Certificate, String), Error> + Send + 'static
    {
        move |tx| {
            let Self { signed, leaf } = self;
            signed.conclude(tx, at)?;
            let serial = hex(&leaf.serial()).to_uppercase();
            records::insert_certificate(tx, signed.draft_id(), authority, &serial, &leaf, at)?;
            Ok((leaf, serial))
        }
    }
}

/// Takes those that are well one step further, together; what failed before keeps its place and its
/// reason.
fn each<T, U, F: Into<Error>>(
    before: Vec<Result<T, Error>>,
    step: impl FnOnce(Vec<T>) -> Vec<Result<U, F>>,
) -> Vec<Result<U, Error>> {
    let mut well = Vec::with_capacity(before.len());
    let places: Vec<Result<(), Error>> =
        before.into_iter().map(|item| item.map(|item| well.push(item))).collect();
    // Where nothing is left the step is not taken: it would cost a token that hangs its time.
    let stepped = if well.is_empty() { Vec::new() } else { step(well) };
    let mut stepped = stepped.into_iter();
    places
        .into_iter()
        .map(|place| {
            place?;
            stepped.next().map_or(Err(Error::Fault("an order was lost")), |outcome| {
                outcome.map_err(Into::into)
            })
        })
        .collect()
}

/// What the journal says about a request: whose, for which key, never its whole content.
fn asked(request: &Request, profile: &str) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("subject".to_owned(), json!(request.csr.subject().to_text()));
    details.insert("csr_sha256".to_owned(), json!(hex(&request.csr.sha256())));
    details.insert("profile".to_owned(), json!(profile));
    details
}
