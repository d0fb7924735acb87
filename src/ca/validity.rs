//! From when until when a certificate is valid.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::{Error, Rule};
use crate::base::UnixTime;

/// Seconds in a day.
pub(super) const DAY: UnixTime = 24 * 60 * 60;
/// How far back a start lies where none is asked for: clocks of clients may run behind ours.
pub(super) const BACKDATE: UnixTime = 10 * 60;
/// The oldest start that may be asked for, counted back from now.
const OLDEST_START: UnixTime = 14 * DAY;
/// The longest life: ten years as VMCA counts them.
const LONGEST_LIFE: UnixTime = 10 * 366 * DAY;

/// The first and the last second at which something is valid (RFC 5280, 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
}

impl Validity {
    /// Decides on what a request asks for: inside the CA's own validity, cut at its end.
    ///
    /// `authority` starts with VMCA's certificate and ends with the first certificate of its chain
    /// to expire. The original cuts at the end of VMCA's own; a certificate that outlives an
    /// intermediate CA would stop to verify before its time.
    ///
    /// A start that was asked for is kept or refused. The default start gives way to the CA's.
    pub(super) fn decide(
        not_before: Option<UnixTime>,
        not_after: Option<UnixTime>,
        default_days: u32,
        authority: Self,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let refused = |sentence: String| Err(Error::refused(Rule::Validity, sentence));
        if now > authority.not_after {
            return refused(format!(
                "the CA certificate, or one above it, expired at {}: install a new chain with \
                 `certool --selfca` or `certool --rootca`",
                moment(authority.not_after)
            ));
        }
        if not_before.is_some_and(|start| start < now.saturating_sub(OLDEST_START)) {
            return refused(
                "the start of validity lies more than 14 days in the past: ask for a later start"
                    .to_owned(),
            );
        }
        let start = not_before.unwrap_or_else(|| (now - BACKDATE).max(authority.not_before));
        let end = not_after.unwrap_or_else(|| {
            start.saturating_add(UnixTime::from(default_days).saturating_mul(DAY))
        });
        if end.saturating_sub(start) > LONGEST_LIFE {
            return refused(
                "a certificate lives 3660 days at most: ask for an earlier end of validity"
                    .to_owned(),
            );
        }
        if end <= start {
            return refused("validity would end before it starts: swap start and end".to_owned());
        }
        if end <= now {
            return refused(
                "the certificate would be expired already: ask for a later end of validity"
                    .to_owned(),
            );
        }
        if start < authority.not_before {
            return Err(Error::refused(
                Rule::StartOfAuthority,
                format!(
                    "the CA itself is valid from {}: ask for a start that is not earlier",
                    moment(authority.not_before)
                ),
            ));
        }
        if start >= authority.not_after {
            return refused(format!(
                "the CA itself is valid until {}: ask for an earlier start",
                moment(authority.not_after)
            ));
        }
        Ok(Self { not_before: start, not_after: end.min(authority.not_after) })
    }
}

/// A moment as people read it (RFC 3339), or the number where no calendar has it.
fn moment(at: UnixTime) -> String {
    OffsetDateTime::from_unix_timestamp(at)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}
