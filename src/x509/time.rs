//! UTCTime and GeneralizedTime (RFC 5280, 4.1.2.5).

use std::time::Duration;

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Decode, Encode};
use time::OffsetDateTime;

use super::asn1::{self, Element};
use super::error::{Error, Refusal};
use crate::base::UnixTime;

/// Reads either form. Only the forms that RFC 5280 allows are read: seconds present, zone `Z`.
pub(super) fn read(element: &Element<'_>) -> der::Result<UnixTime> {
    let since_epoch = match element.tag {
        asn1::UTC_TIME => UtcTime::from_der(element.raw)?.to_unix_duration(),
        _ => GeneralizedTime::from_der(element.raw)?.to_unix_duration(),
    };
    UnixTime::try_from(since_epoch.as_secs()).map_err(|_| der::ErrorKind::DateTime.into())
}

/// Writes the form that RFC 5280 wants: UTCTime up to the year 2049, GeneralizedTime after it.
pub(super) fn write(moment: UnixTime) -> der::Result<Vec<u8>> {
    let since_epoch = u64::try_from(moment).map_err(|_| der::ErrorKind::DateTime)?;
    let since_epoch = Duration::from_secs(since_epoch);
    match UtcTime::from_unix_duration(since_epoch) {
        Ok(short) => short.to_der(),
        Err(_) => GeneralizedTime::from_unix_duration(since_epoch)?.to_der(),
    }
}

/// The moment as rcgen takes it; only moments that certificates can hold.
pub(super) fn calendar(moment: UnixTime) -> Result<OffsetDateTime, Error> {
    let calendar = OffsetDateTime::from_unix_timestamp(moment).map_err(|cause| {
        Error::Building(Refusal::because("the date is outside the calendar of certificates", cause))
    })?;
    if (1970..=9999).contains(&calendar.year()) {
        Ok(calendar)
    } else {
        Err(Error::Building(
            format!("a certificate cannot hold a date in the year {}", calendar.year()).into(),
        ))
    }
}

/// `Jan  2 03:04:05 2026 GMT`, as OpenSSL prints times.
pub(super) fn openssl_text(moment: UnixTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    match OffsetDateTime::from_unix_timestamp(moment) {
        Ok(at) => format!(
            "{} {:2} {:02}:{:02}:{:02} {} GMT",
            MONTHS[usize::from(u8::from(at.month())) - 1],
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.year()
        ),
        Err(_) => "Bad time value".to_owned(),
    }
}

/// `2026-01-02T03:04:05Z`, for sentences.
pub(super) fn text(moment: UnixTime) -> String {
    OffsetDateTime::from_unix_timestamp(moment)
        .ok()
        .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| moment.to_string())
}
