//! Revocation lists: one for every CA of ours that is not retired, from its first day.

use serde_json::{Map, json};

use super::authority::{Authority, Ca};
use super::error::Error;
use super::records::{self, CrlRow};
use super::signing::{Intent, Plan, Purpose, Signed};
use super::validity::{BACKDATE, DAY};
use crate::access::{ManageCa, Permit};
use crate::base::{Actor, UnixTime};
use crate::store::Transaction;
use crate::x509::{Crl, CrlTemplate, draft_crl};

/// What the record of a revocation list says besides its octets.
#[derive(Clone, Copy)]
pub(super) struct CrlDates {
    number: i64,
    this_update: UnixTime,
    next_update: UnixTime,
}

impl Authority {
    /// Signs a new list for every CA not retired whose last one is past half its life or not valid
    /// yet, and for every one that has none.
    ///
    /// # Errors
    /// The first failure; the other CAs were tried all the same.
    pub fn refresh_crls(&self) -> Result<(), Error> {
        self.sign_crls(&Actor::Job("crl-refresh"), |latest, now| {
            latest.is_none_or(|latest| {
                let half = latest.this_update + (latest.next_update - latest.this_update) / 2;
                // A list from the future was signed while the clock was wrong; nobody takes it now.
                now >= half || now < latest.this_update
            })
        })
    }

    /// Signs a new list for every CA not retired, and returns the active CA's.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without a CA; otherwise the first failure of any CA.
    pub fn renew_crls(&self, permit: &Permit<ManageCa>) -> Result<Crl, Error> {
        self.active()?;
        self.sign_crls(permit.actor(), |_, _| true)?;
        self.crl()
    }

    /// The newest list of the active CA.
    ///
    /// # Errors
    /// [`Error::NoAuthority`] without a CA; [`Error::Store`] when the records cannot be read.
    pub fn crl(&self) -> Result<Crl, Error> {
        let ca = self.active()?;
        self.store
            .read(|tx| records::latest_crl(tx, ca.id))?
            .map(|row| row.crl)
            .ok_or(Error::Fault("the active CA has no revocation list"))
    }

    fn sign_crls(
        &self,
        actor: &Actor,
        is_due: impl Fn(Option<&CrlRow>, UnixTime) -> bool,
    ) -> Result<(), Error> {
        let _turn = self.changing();
        self.keep_root_cer();
        self.record_issuers_in_service();
        let mut outcome = Ok(());
        let mut signed_any = false;
        for row in self.rows()? {
            if !row.state.is_in_service() {
                continue;
            }
            let latest = self.store.read(|tx| records::latest_crl(tx, row.id))?;
            if !is_due(latest.as_ref(), self.clock.now()) {
                continue;
            }
            match self.ca(row).and_then(|ca| self.sign_crl(&ca, actor)) {
                Ok(()) => signed_any = true,
                Err(failure) => outcome = outcome.and(Err(failure)),
            }
        }
        if signed_any {
            self.tell_changed();
        }
        outcome
    }

    /// Signs a new list for one CA that is in service. Only under `changing`.
    pub(super) fn sign_crl(&self, ca: &Ca, actor: &Actor) -> Result<(), Error> {
        self.known_to_policy(ca)?;
        let (plan, dates) = self.plan_crl(ca, actor)?;
        let id = ca.id;
        let intent = self.store.write(move |tx| plan.intend(tx))?;
        let (signed, row) = self.sign_planned_crl(intent, dates, ca)?;
        let at = self.clock.now();
        self.write_outcome(move |tx| conclude_crl(tx, &signed, id, &row, at))
    }

    /// Drafts the next list of a CA. Only under `changing`: the number is taken when the intent is
    /// written, and nobody else may plan with the same one.
    pub(super) fn plan_crl(&self, ca: &Ca, actor: &Actor) -> Result<(Plan, CrlDates), Error> {
        let issuer = ca.chain.ca();
        let now = self.clock.now();
        let number = self.store.read(records::next_crl_number)?;
        let this_update = now - BACKDATE;
        let next_update = now + UnixTime::from(self.settings.crl_days) * DAY;
        let template = CrlTemplate {
            number: number.unsigned_abs(),
            this_update,
            next_update,
            revoked: Vec::new(),
        };
        let mut details = Map::new();
        details.insert("number".to_owned(), json!(number));
        details.insert("issuer".to_owned(), json!(issuer.subject().to_text()));
        let plan = Plan {
            purpose: Purpose::Crl,
            draft: draft_crl(&template, issuer).map_err(Error::Building)?,
            key: ca.key.clone(),
            authority: Some(ca.id),
            serial: None,
            crl_number: Some(number),
            actor: actor.clone(),
            at: now,
            details,
        };
        let dates = CrlDates { number, this_update, next_update };
        Ok((plan, dates))
    }

    /// Has the token sign a planned list.
    pub(super) fn sign_planned_crl(
        &self,
        intent: Intent,
        dates: CrlDates,
        ca: &Ca,
    ) -> Result<(Signed, CrlRow), Error> {
        self.sign(intent, |der| {
            let crl = Crl::from_der(der)?;
            crl.verify_signed_by(&ca.public_key)?;
            Ok(CrlRow {
                number: dates.number,
                this_update: dates.this_update,
                next_update: dates.next_update,
                crl,
            })
        })
    }
}

/// Writes down a signed list, in the transaction that may also make its CA the active one.
pub(super) fn conclude_crl(
    tx: &mut Transaction<'_>,
    signed: &Signed,
    authority: i64,
    row: &CrlRow,
    at: UnixTime,
) -> Result<(), Error> {
    signed.conclude(tx, at)?;
    Ok(records::insert_crl(tx, signed.draft_id(), authority, row)?)
}
