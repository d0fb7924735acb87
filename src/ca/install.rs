//! A signing chain takes over: VMCA becomes an intermediate CA, or another one.

use std::sync::Arc;

use serde_json::json;

use super::authority::{Authority, Ca};
use super::authority_state::AuthorityState;
use super::chain::Above;
use super::crl::conclude_crl;
use super::error::{Error, Rule};
use super::hex::hex;
use super::records::{self, AuthorityRow, CaKey};
use crate::access::{ManageCa, Permit};
use crate::base::{Actor, Secret, UnixTime, sentences};
use crate::journal::{self, Event, Outcome};
use crate::store::Transaction;
use crate::x509::{Chain, LeafIssuer, PrivateKey, certificates_from_pem};

/// A chain to install, and the CA key in the clear where somebody brings one.
#[derive(Debug)]
pub struct Installation {
    /// PEM text: VMCA, intermediates, self-signed root, in this order.
    pub chain: String,
    /// PEM text of a private key.
    pub private_key: Option<Secret>,
}

impl Authority {
    /// Verifies a chain whole and makes its first certificate the active CA. Installing the active
    /// chain again changes nothing and succeeds.
    ///
    /// # Errors
    /// [`Error::Certificates`], [`Error::Chain`], [`Error::PrivateKey`] or [`Error::Refused`] when
    /// the chain or the key is not one to install; [`Error::Workshop`], [`Error::Token`] or
    /// [`Error::Store`] when it cannot be done now. The CA that was active stays so.
    pub fn install_root(
        &self,
        permit: &Permit<ManageCa>,
        installation: &Installation,
    ) -> Result<Chain, Error> {
        if installation.private_key.is_some() && !self.settings.allow_imported_keys {
            return Err(Error::refused(
                Rule::KeyInTheClear,
                "a CA key that lies in a file is not taken: have `certool --gencacsr` make the \
                 request with a key in the token, and install the chain that comes back without \
                 --privkey (or set allow_imported_keys under [ca] in sealwright.toml)",
            ));
        }
        let certificates =
            certificates_from_pem(installation.chain.as_bytes()).map_err(Error::Certificates)?;
        let now = self.clock.now();
        let chain = Chain::verify(certificates, now).map_err(Error::Chain)?;
        let brought = installation
            .private_key
            .as_ref()
            .map(|pem| PrivateKey::from_pem(pem).map_err(Error::PrivateKey))
            .transpose()?;
        let _turn = self.changing();
        let key = self.key_of_chain(&chain, brought.as_ref(), permit.actor())?;
        let known = self
            .rows()?
            .into_iter()
            .find(|row| row.state.is_in_service() && row.chain.as_slice() == chain.certificates());
        match known {
            Some(row) if row.state == AuthorityState::Active => {}
            Some(row) => self.become_active_again(row, permit.actor())?,
            None => self.become_active(key, chain.clone(), now, permit.actor())?,
        }
        Ok(chain)
    }

    /// Stops signing revocation lists for a CA that issues no more, and publishing its chain.
    ///
    /// # Errors
    /// [`Error::NoSuchAuthority`] for an unknown number, [`Error::Refused`] for the active CA;
    /// retiring one that is retired succeeds.
    pub fn retire(&self, permit: &Permit<ManageCa>, id: i64) -> Result<(), Error> {
        let _turn = self.changing();
        let row =
            self.rows()?.into_iter().find(|row| row.id == id).ok_or(Error::NoSuchAuthority(id))?;
        match row.state {
            AuthorityState::Superseded => {}
            AuthorityState::Retired => return Ok(()),
            _ => {
                return Err(Error::refused(
                    Rule::State,
                    format!("CA number {id} is the active one: install another CA first"),
                ));
            }
        }
        let (actor, at) = (permit.actor().clone(), self.clock.now());
        self.store.write(move |tx| {
            let (from, to) = (AuthorityState::Superseded, AuthorityState::Retired);
            if !records::change_state(tx, id, from, to)? {
                return Err(Error::Fault("a CA changed its state meanwhile"));
            }
            let details = json!({ "authority": id });
            append(tx, &actor, "ca.retire", id, details, at)
        })?;
        self.tell_changed();
        Ok(())
    }

    /// The key of ours that the first certificate is for.
    fn key_of_chain(
        &self,
        chain: &Chain,
        brought: Option<&PrivateKey>,
        actor: &Actor,
    ) -> Result<CaKey, Error> {
        let wanted = chain.ca().public_key().map_err(Error::Certificates)?;
        if brought.is_some_and(|key| *key.public_key() != wanted) {
            return Err(Error::refused(
                Rule::KeyOfOurs,
                "the private key does not belong to the first certificate: bring the key of \
                 VMCA's certificate, and the chain in the order VMCA, intermediates, root",
            ));
        }
        let known = self.store.read(|tx| records::key_of(tx, &wanted))?;
        match (known, brought) {
            (Some(key), _) => Ok(key),
            (None, Some(key)) => self.import_key(&key.to_pkcs8_der(), actor),
            (None, None) => Err(Error::refused(
                Rule::KeyOfOurs,
                "the first certificate is not for a key in our token: make the request with \
                 `certool --gencacsr`, have that one signed, and install the chain in the order \
                 VMCA, intermediates, root",
            )),
        }
    }

    /// Makes a new CA the active one, complete with its first revocation list, or changes nothing.
    /// `verified_at` is when its chain was found valid; the records are held to the same moment.
    /// Only under `changing`.
    pub(super) fn become_active(
        &self,
        key: CaKey,
        chain: Chain,
        verified_at: UnixTime,
        actor: &Actor,
    ) -> Result<(), Error> {
        let mut ca = Ca {
            // The number comes with the record; nothing is signed before.
            id: 0,
            public_key: key.public_key.clone(),
            key: self.token.signing_key(key.reference.clone()),
            leaves: Arc::new(LeafIssuer::of(chain.ca()).map_err(Error::Building)?),
            above: Arc::new(Above::of(chain.certificates(), self.settings.chain_includes_root)),
            chain,
        };
        self.make_visible(&ca.key)?;
        // First of all: without it the token would not sign the list, and where it fails nothing has
        // changed. A certificate that is written down and whose CA never becomes active does no harm:
        // it is for this key, and the chain is whole.
        self.record_issuer(&ca)?;
        let (mut plan, dates) = self.plan_crl(&ca, actor)?;
        let (key_id, certificates) = (key.reference.id, ca.chain.certificates().to_vec());
        let (id, intent) = self.store.write::<_, Error>(move |tx| {
            let id = records::insert_pending(tx, key_id, &certificates, verified_at)?;
            plan.authority = Some(id);
            Ok((id, plan.intend(tx)?))
        })?;
        ca.id = id;
        self.issuers.add(id);
        let (signed, row) =
            self.sign_planned_crl(intent, dates, &ca).inspect_err(|_| self.abandon(id))?;
        let description = describe(&ca, key.imported);
        let (actor, at) = (actor.clone(), self.clock.now());
        self.write_outcome(move |tx| {
            conclude_crl(tx, &signed, id, &row, at)?;
            if !records::activate(tx, id, AuthorityState::Pending)? {
                return Err(Error::Fault("a CA changed its state meanwhile"));
            }
            append(tx, &actor, "ca.install", id, description, at)
        })?;
        self.take_over(ca);
        Ok(())
    }

    /// Makes a superseded CA the active one again, with a fresh revocation list. Only under
    /// `changing`.
    fn become_active_again(&self, row: AuthorityRow, actor: &Actor) -> Result<(), Error> {
        let imported = row.key.imported;
        let ca = self.ca(row)?;
        // Also the proof that the key is still there.
        self.sign_crl(&ca, actor)?;
        let description = describe(&ca, imported);
        let (id, actor, at) = (ca.id, actor.clone(), self.clock.now());
        self.store.write(move |tx| {
            if !records::activate(tx, id, AuthorityState::Superseded)? {
                return Err(Error::Fault("a CA changed its state meanwhile"));
            }
            append(tx, &actor, "ca.install", id, description, at)
        })?;
        self.take_over(ca);
        Ok(())
    }

    fn take_over(&self, ca: Ca) {
        self.replace_active(Arc::new(ca));
        self.keep_root_cer();
        self.tell_changed();
    }

    fn abandon(&self, id: i64) {
        let (from, to) = (AuthorityState::Pending, AuthorityState::Abandoned);
        let written: Result<bool, crate::store::Error> =
            self.store.write(move |tx| records::change_state(tx, id, from, to));
        if let Err(cause) = written {
            // It never became active, and the next start gives it up.
            tracing::error!(cause = sentences(&cause), id, "a CA is not given up yet");
        }
    }
}

fn describe(ca: &Ca, imported: bool) -> serde_json::Value {
    json!({
        "authority": ca.id,
        "subject": ca.chain.ca().subject().to_text(),
        "sha256": hex(&ca.chain.ca().sha256()),
        "key": ca.key.reference().id.to_string(),
        "imported": imported,
    })
}

fn append(
    tx: &mut Transaction<'_>,
    actor: &Actor,
    act: &'static str,
    id: i64,
    details: serde_json::Value,
    at: UnixTime,
) -> Result<(), Error> {
    Ok(journal::append(
        tx,
        &Event {
            at,
            actor,
            act,
            reference: &format!("authority:{id}"),
            outcome: Outcome::Done,
            details,
        },
    )?)
}
