use super::{DAY, NOW};
use crate::base::UnixTime;
use crate::ca::validity::Validity;

const CA: Validity = Validity { not_before: NOW - 3 * DAY, not_after: NOW + 1000 * DAY };
const TEN_MINUTES: UnixTime = 600;

/// What is asked for at `now`, and the validity or the refusal's code that comes of it.
struct Case {
    says: &'static str,
    now: UnixTime,
    not_before: Option<UnixTime>,
    not_after: Option<UnixTime>,
    expected: Result<(UnixTime, UnixTime), u32>,
}

const fn case(
    says: &'static str,
    not_before: Option<UnixTime>,
    not_after: Option<UnixTime>,
    expected: Result<(UnixTime, UnixTime), u32>,
) -> Case {
    Case { says, now: NOW, not_before, not_after, expected }
}

#[test]
fn validity_is_as_asked_for_inside_the_cas_own_or_refused_with_vmcas_code() {
    let default_start = NOW - TEN_MINUTES;
    let cases = [
        case("nothing asked", None, None, Ok((default_start, default_start + 730 * DAY))),
        case("a start", Some(NOW - DAY), None, Ok((NOW - DAY, NOW + 729 * DAY))),
        case("an end", None, Some(NOW + DAY), Ok((default_start, NOW + DAY))),
        case(
            "an end beyond the CA's",
            None,
            Some(NOW + 2000 * DAY),
            Ok((default_start, CA.not_after)),
        ),
        case("the CA's own start", Some(CA.not_before), None, Ok((CA.not_before, NOW + 727 * DAY))),
        case("a second before the CA's start", Some(CA.not_before - 1), None, Err(70034)),
        case("14 days back", Some(NOW - 14 * DAY), None, Err(70034)),
        case("more than 14 days back", Some(NOW - 14 * DAY - 1), None, Err(70002)),
        case("the longest life, cut", Some(NOW), Some(NOW + 3660 * DAY), Ok((NOW, CA.not_after))),
        case("a second longer", Some(NOW), Some(NOW + 3660 * DAY + 1), Err(70002)),
        case("a reversed pair", Some(NOW + 2), Some(NOW + 1), Err(70002)),
        case("an empty span", Some(NOW + 1), Some(NOW + 1), Err(70002)),
        case("expired at birth", Some(NOW - DAY), Some(NOW), Err(70002)),
        case("a start at the CA's end", Some(CA.not_after), None, Err(70002)),
        case("the least of numbers", Some(UnixTime::MIN), Some(UnixTime::MAX), Err(70002)),
        case("the greatest of numbers", Some(UnixTime::MAX), None, Err(70002)),
        case("an end without end", None, Some(UnixTime::MAX), Err(70002)),
        Case {
            now: CA.not_before,
            ..case(
                "a CA that starts now",
                None,
                None,
                Ok((CA.not_before, CA.not_before + 730 * DAY)),
            )
        },
        Case {
            now: CA.not_after,
            ..case(
                "the CA's last second",
                None,
                None,
                Ok((CA.not_after - TEN_MINUTES, CA.not_after)),
            )
        },
        Case { now: CA.not_after + 1, ..case("an expired CA", None, None, Err(70002)) },
    ];
    for Case { says, now, not_before, not_after, expected } in cases {
        let found = Validity::decide(not_before, not_after, 730, CA, now)
            .map(|found| (found.not_before, found.not_after))
            .map_err(|refusal| refusal.code());
        assert_eq!(found, expected, "{says}");
    }
}

#[test]
fn an_expired_ca_says_what_to_do() {
    let refusal = Validity::decide(None, None, 730, CA, CA.not_after + 1).unwrap_err();
    let text = refusal.to_string();
    assert!(text.contains("2028-") && text.contains("--rootca"), "{text}");
}
