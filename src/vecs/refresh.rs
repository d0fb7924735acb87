//! Keeping TRUSTED_ROOTS and TRUSTED_ROOT_CRLS equal to what the directory publishes.
//!
//! An entry is known by its alias, the SHA-1 of its octets. One that is published and missing is
//! added; one that is there already, even by hand, belongs to the refresh from then on; one that
//! belongs to the refresh and is published no more is deleted. What was added by hand and never
//! published stays.
//!
//! One thing differs from the original: an empty list takes nothing away. A directory that lost its
//! database would otherwise take every client's trust with it, until it is published to again.

use std::collections::BTreeSet;

use super::entries::EntryKind;
use super::names::Alias;
use super::records::{self, NewRow, Present};
use super::stores::{TRUSTED_ROOT_CRLS, TRUSTED_ROOTS};
use super::{Error, Vecs};
use crate::base::{Actor, UnixTime};
use crate::journal::{self, Event, Outcome};
use crate::store::{self, Transaction};
use crate::x509::{Certificate, Crl};

const JOB: Actor = Actor::Job("trusted-root refresh");

/// What the directory publishes: one CA certificate and its latest revocation list.
#[derive(Clone, Debug)]
pub struct PublishedRoot {
    /// The certificate.
    pub certificate: Certificate,
    /// The revocation list, where there is one.
    pub crl: Option<Crl>,
}

/// An entry as it should be in one of the two stores.
#[derive(Clone, Debug)]
struct Wanted {
    alias: Alias,
    pem: String,
}

impl Vecs {
    /// Makes the two stores what the directory publishes, in one transaction. It needs no token.
    ///
    /// `published` is the whole of it, so that it must not stand for a directory that did not answer.
    ///
    /// # Errors
    /// [`Error::NothingPublished`] when it is empty while refreshed entries are there; they stay.
    pub fn refresh(&self, published: &[PublishedRoot]) -> Result<(), Error> {
        let roots = published
            .iter()
            .map(|root| Wanted {
                alias: Alias::of_fingerprint(&root.certificate.sha1()),
                pem: root.certificate.to_pem(),
            })
            .collect::<Vec<_>>();
        let crls = published
            .iter()
            .filter_map(|root| root.crl.as_ref())
            .map(|crl| Wanted { alias: Alias::of_fingerprint(&crl.sha1()), pem: crl.to_pem() })
            .collect::<Vec<_>>();
        let now = self.clock.now();
        self.store.write(move |tx| {
            let refreshed = |entry: &Present| entry.auto_refresh;
            if roots.is_empty() && records::present(tx, TRUSTED_ROOTS)?.iter().any(refreshed) {
                return Err(Error::NothingPublished);
            }
            apply(tx, (TRUSTED_ROOTS, "TRUSTED_ROOTS"), EntryKind::TrustedCert, &roots, now)?;
            apply(tx, (TRUSTED_ROOT_CRLS, "TRUSTED_ROOT_CRLS"), EntryKind::Crl, &crls, now)?;
            Ok(())
        })
    }
}

/// What is to be done with one store.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan<'a> {
    /// Positions in what is wanted.
    add: Vec<usize>,
    /// Entries added by hand that belong to the refresh from now on.
    adopt: Vec<&'a Present>,
    /// Entries that are published no more.
    remove: Vec<&'a Present>,
}

fn plan<'a>(present: &'a [Present], wanted: &[String]) -> Plan<'a> {
    let there: BTreeSet<&str> = present.iter().map(|entry| entry.alias_folded.as_str()).collect();
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for (position, alias) in wanted.iter().enumerate() {
        // The directory may name one certificate, or one list, more than once.
        if seen.insert(alias.as_str()) && !there.contains(alias.as_str()) {
            plan.add.push(position);
        }
    }
    for entry in present {
        let published = seen.contains(entry.alias_folded.as_str());
        match (published, entry.auto_refresh) {
            (true, false) => plan.adopt.push(entry),
            (false, true) => plan.remove.push(entry),
            (true, true) | (false, false) => {}
        }
    }
    plan
}

fn apply(
    tx: &mut Transaction<'_>,
    (store, store_name): (i64, &str),
    kind: EntryKind,
    wanted: &[Wanted],
    now: UnixTime,
) -> Result<(), store::Error> {
    let present = records::present(tx, store)?;
    let aliases: Vec<String> = wanted.iter().map(|entry| entry.alias.folded()).collect();
    let plan = plan(&present, &aliases);
    for gone in plan.remove {
        records::delete_by_id(tx, gone.id)?;
        record(tx, "trust.remove", store_name, &gone.alias_folded, now)?;
    }
    for adopted in plan.adopt {
        records::set_auto_refresh(tx, adopted.id)?;
        record(tx, "trust.adopt", store_name, &adopted.alias_folded, now)?;
    }
    for new in plan.add.into_iter().filter_map(|position| wanted.get(position)) {
        // Without a key it is always inserted.
        let _inserted = records::insert_entry(
            tx,
            &NewRow {
                store,
                alias: &new.alias,
                kind,
                pem: &new.pem,
                auto_refresh: true,
                created_at: now,
                sealed: None,
            },
        )?;
        record(tx, "trust.add", store_name, new.alias.as_str(), now)?;
    }
    Ok(())
}

/// One record per entry; the alias is the fingerprint of what came or went.
fn record(
    tx: &mut Transaction<'_>,
    act: &'static str,
    store_name: &str,
    alias: &str,
    at: UnixTime,
) -> Result<(), store::Error> {
    journal::append(
        tx,
        &Event {
            at,
            actor: &JOB,
            act,
            reference: &format!("{store_name}/{alias}"),
            outcome: Outcome::Done,
            details: serde_json::json!({"source": "directory"}),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{Plan, plan};
    use crate::vecs::records::Present;

    /// Present entries (alias, refreshed), wanted aliases, and what must be added, adopted, removed.
    type Case<'a> = (&'a str, &'a [(&'a str, bool)], &'a [&'a str], [&'a [&'a str]; 3]);

    const CASES: &[Case<'_>] = &[
        ("nothing", &[], &[], [&[], &[], &[]]),
        ("new", &[], &["a", "b"], [&["a", "b"], &[], &[]]),
        ("named twice", &[], &["a", "a"], [&["a"], &[], &[]]),
        ("seen again", &[("a", true)], &["a"], [&[], &[], &[]]),
        ("vanished", &[("a", true)], &[], [&[], &[], &["a"]]),
        ("by hand, never published", &[("my root", false)], &[], [&[], &[], &[]]),
        ("by hand, then published", &[("a", false)], &["a"], [&[], &["a"], &[]]),
        (
            "all at once",
            &[("a", true), ("b", false), ("c", true), ("d", false)],
            &["e", "d", "a"],
            [&["e"], &["d"], &["c"]],
        ),
    ];

    #[test]
    fn the_rule_of_refresh_holds_case_by_case() {
        for (name, before, wanted, [add, adopt, remove]) in CASES {
            let present: Vec<Present> = (1..)
                .zip(*before)
                .map(|(id, (alias, auto_refresh))| Present {
                    id,
                    alias_folded: (*alias).to_owned(),
                    auto_refresh: *auto_refresh,
                })
                .collect();
            let wanted: Vec<String> = wanted.iter().map(|alias| (*alias).to_owned()).collect();
            let Plan { add: positions, adopt: adopted, remove: removed } = plan(&present, &wanted);
            let added: Vec<&str> = positions.iter().map(|at| wanted[*at].as_str()).collect();
            let adopted: Vec<&str> = adopted.iter().map(|e| e.alias_folded.as_str()).collect();
            let removed: Vec<&str> = removed.iter().map(|e| e.alias_folded.as_str()).collect();
            assert_eq!(added, *add, "{name}: added");
            assert_eq!(adopted, *adopt, "{name}: adopted");
            assert_eq!(removed, *remove, "{name}: removed");
        }
    }
}
