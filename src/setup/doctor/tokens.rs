//! The examination of each token, in a child process: this program loads no PKCS#11 module.

use hsm::examination::{Examination, Expected, ExpectedKey, Stranger};

use super::custody;
use super::report::{Check, Severity};
use super::seen::{Seen, said};
use crate::api::ca::{KEYS, Key};
use crate::api::{AlarmKind, Health};
use crate::base::{Service, sentences};
use crate::config::{TokenRole, TokenSection};
use crate::setup::records::GenerationRecord;
use crate::setup::sealing_keys;
use crate::workshop::{self, WorkshopProcess};

/// What is said of a token, and what was seen in it if it could be examined.
pub(super) fn examine(seen: &Seen<'_>, role: TokenRole) -> (Vec<Check>, Option<Examination>) {
    let mut check =
        Check::new(format!("token.{role}.examined"), format!("the {role} token can be examined"));
    let section = seen.config.token(role);
    if let Some((severity, why, action)) = hindrance(seen, role, section) {
        check.find(
            severity,
            format!("the {role} token was not examined: {why}"),
            NOT_SHOWN,
            action,
        );
        return (vec![check], None);
    }
    let (expected, silent) = expected(seen, role);
    if !silent.is_empty() {
        let silent = silent.join(" and ");
        check.find(
            Severity::Warning,
            format!(
                "the keys in the {role} token could not be compared with the records: {silent} does not answer"
            ),
            "a key that was replaced, or that nobody knows, is not seen",
            format!("run `service-control --start {silent}`, then the doctor again"),
        );
    }
    let complete = expected.complete;
    let examined = WorkshopProcess::start(seen.layout, role, section)
        .and_then(|workshop| workshop.examine(expected));
    match examined {
        Ok(mut examination) => {
            if complete {
                forget_the_newest(seen, role, &mut examination.strangers);
            }
            check.saw(format!("{} keys on record", examination.keys.len()));
            let mut checks = vec![check];
            checks.extend(custody::judge(role, &examination, complete));
            (checks, Some(examination))
        }
        Err(failure) => {
            let action = match &failure {
                workshop::Error::Token(hsm::Error::Locked(_)) => {
                    "correct the PIN source, and try the PIN once with the vendor's tool before anything else tries it"
                }
                _ => "do what the sentence says, then run the doctor again",
            };
            let what = format!("the {role} token cannot be examined: {}", sentences(&failure));
            check.find(Severity::Critical, what, NOT_SHOWN, action);
            (vec![check], None)
        }
    }
}

const NOT_SHOWN: &str = "that its keys are held as they must be is not shown";

/// Why the token must not, or cannot, be opened.
fn hindrance(
    seen: &Seen<'_>,
    role: TokenRole,
    section: &TokenSection,
) -> Option<(Severity, String, &'static str)> {
    let service = service_of(role);
    // The next wrong PIN could be the last, so none is tried here.
    if let Some(alarm) = seen.health_of(service).and_then(Health::alarm)
        && alarm.kind == AlarmKind::Pin
    {
        return Some((
            Severity::Critical,
            format!("{service} says \"{}\", and no PIN is tried after that", alarm.what),
            "correct the PIN source, restart the service, and run the doctor again when the service is well",
        ));
    }
    match section.pin.parse() {
        Ok(hsm::PinSource::Credential(name))
            if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() =>
        {
            Some((
                Severity::Warning,
                format!(
                    "its PIN is the systemd credential {name}, which this process was not given"
                ),
                "run the doctor with the credential: systemd-run --pty -p LoadCredential=NAME:FILE sealwright doctor",
            ))
        }
        Ok(hsm::PinSource::Descriptor(number)) => Some((
            Severity::Warning,
            format!("its PIN comes from the descriptor {number}, which only the service was given"),
            "use a PIN source that can be read again (file: or credential:) where the doctor is to examine the token",
        )),
        _ => None,
    }
}

const fn service_of(role: TokenRole) -> Service {
    match role {
        TokenRole::Ca => Service::Vmcad,
        TokenRole::Sealing => Service::Vmafdd,
    }
}

/// What must be in the token, and which services do not say what else must be. Where one token serves
/// both roles, the keys of both are.
fn expected(seen: &Seen<'_>, role: TokenRole) -> (Expected, Vec<&'static str>) {
    let (ca, sealing) = (seen.config.token(TokenRole::Ca), seen.config.token(TokenRole::Sealing));
    let shared = ca.module == sealing.module && ca.uri == sealing.uri;
    let (mut keys, mut silent) = (Vec::new(), Vec::new());
    if role == TokenRole::Ca || shared {
        match ca_keys(seen) {
            Ok(found) => keys.extend(found),
            Err(_silent) => silent.push(Service::Vmcad.name()),
        }
    }
    if role == TokenRole::Sealing || shared {
        match generations(seen) {
            Ok(found) => keys.extend(sealing_keys_of(&found)),
            Err(_silent) => silent.push(Service::Vmafdd.name()),
        }
    }
    (Expected { keys, complete: silent.is_empty() }, silent)
}

fn ca_keys(seen: &Seen<'_>) -> Result<Vec<ExpectedKey>, String> {
    let keys: Vec<Key> = said(seen.client(Service::Vmcad).get(KEYS))?;
    keys.into_iter()
        .map(|key| {
            Ok(ExpectedKey::Signing {
                id: said(key.key_id.parse())?,
                public_key_sha256: Some(key.public_key_sha256),
                imported: Some(key.imported),
            })
        })
        .collect()
}

/// From the service, or from its database where it does not answer.
fn generations(seen: &Seen<'_>) -> Result<Vec<GenerationRecord>, String> {
    let database = seen.layout.database(Service::Vmafdd);
    said(sealing_keys::of_service(&seen.client(Service::Vmafdd)))
        .or_else(|_silent| said(sealing_keys::in_database(&database, seen.config)))
}

/// Both keys of every generation that was not destroyed.
fn sealing_keys_of(generations: &[GenerationRecord]) -> impl Iterator<Item = ExpectedKey> {
    generations.iter().filter(|generation| generation.is_in_use()).flat_map(|generation| {
        let sealing = ExpectedKey::Sealing { id: generation.sealing };
        let wrapping = generation.wrapping.map(|id| ExpectedKey::Wrapping { id });
        std::iter::once(sealing).chain(wrapping)
    })
}

/// A key that was being made while the doctor looked is no stranger any more.
fn forget_the_newest(seen: &Seen<'_>, role: TokenRole, strangers: &mut Vec<Stranger>) {
    if strangers.is_empty() {
        return;
    }
    let known: Vec<String> =
        expected(seen, role).0.keys.iter().map(|key| key.id().to_string()).collect();
    strangers.retain(|stranger| !known.contains(&stranger.id));
}
