//! What was issued, a page at a time.

use super::authority::Authority;
use super::error::Error;
use super::records;
use crate::access::{ListCertificates, Permit};
use crate::store::{self, Transaction};
use crate::x509::Certificate;

/// Octets of the certificates of a page, where it has more than one: certificates of ordinary size are limited by their
/// number long before.
const PAGE_OCTETS: i64 = 1024 * 1024;

/// Which certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every one.
    All,
    /// Those that are not revoked; one that has expired is among them, as the original has it.
    Active,
    /// Those that are revoked.
    Revoked,
}

/// Where a page ended. Certificates come in the order in which they were asked for; what is issued while somebody reads
/// comes after what was issued before, so no page has a certificate of another one, and none that was on record
/// before the first page is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub i64);

/// Some certificates in their order.
#[derive(Clone, Debug)]
pub struct Page {
    /// The certificates.
    pub certificates: Vec<Certificate>,
    /// Where the next page begins; none after the last one.
    pub next: Option<Cursor>,
}

impl Authority {
    /// Up to `limit` certificates after a cursor, whichever CA of this appliance signed them. A page can be shorter, and
    /// empty, where another one follows.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot be read.
    pub fn page(
        &self,
        _permit: &Permit<ListCertificates>,
        filter: Filter,
        after: Cursor,
        limit: u32,
    ) -> Result<Page, Error> {
        match filter {
            Filter::All | Filter::Active => {
                self.store.read(|tx| Ok(page(tx, after, limit, PAGE_OCTETS)?))
            }
            // Nothing can be revoked yet.
            Filter::Revoked => Ok(Page { certificates: Vec::new(), next: None }),
        }
    }
}

pub(super) fn page(
    tx: &mut Transaction<'_>,
    after: Cursor,
    limit: u32,
    most_octets: i64,
) -> Result<Page, store::Error> {
    let sizes = records::certificate_sizes(tx, after.0, limit)?;
    let mut octets = 0;
    let mut fits = |size: &i64| {
        let first = octets == 0;
        octets += size;
        first || octets <= most_octets
    };
    let taken = sizes.iter().take_while(|(_, size)| fits(size)).count();
    let Some((last, _)) = taken.checked_sub(1).and_then(|at| sizes.get(at)) else {
        return Ok(Page { certificates: Vec::new(), next: None });
    };
    let is_last = taken == sizes.len() && taken < limit as usize;
    Ok(Page {
        certificates: records::certificates_between(tx, after.0, *last)?,
        next: (!is_last).then_some(Cursor(*last)),
    })
}
