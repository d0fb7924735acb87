//! What the services say about themselves.

use super::report::{Check, Severity};
use super::seen::Seen;
use crate::api::{AlarmKind, Health, State};
use crate::base::Service;

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    vec![health(seen), alarms(seen), unfinished(seen)]
}

fn health(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("services.health", "every service runs and is well");
    for (service, answer) in &seen.health {
        match answer {
            Ok(health) => judge(&mut check, *service, health),
            Err(why) => check.find(
                Severity::Critical,
                format!("{service} does not run, or does not answer: {why}"),
                match service {
                    Service::Vmcad => "no certificates are issued and no revocation lists signed",
                    Service::Vmafdd => "nobody gets a certificate or key out of VECS",
                    Service::Vmdird => "new trusted roots and revocation lists reach nobody",
                    Service::Gateway => "nobody reaches the appliance over TLS",
                },
                format!(
                    "run `service-control --start {service}`; if it ends again, {} says why",
                    seen.layout.log_file(*service).display()
                ),
            ),
        }
    }
    check
}

fn judge(check: &mut Check, service: Service, health: &Health) {
    let token_down = health.token.as_ref().is_some_and(|token| token.state != State::Ok);
    // A service whose token was never reached has no token to tell of.
    let uses_token = matches!(service, Service::Vmcad | Service::Vmafdd);
    let severity = match health.state {
        State::Down => Severity::Critical,
        _ if token_down => Severity::Critical,
        State::Degraded if uses_token && health.token.is_none() => Severity::Critical,
        State::Degraded => Severity::Warning,
        State::Ok => {
            check.saw(format!("{service} is well"));
            if health.version != env!("CARGO_PKG_VERSION") {
                check.find(
                    Severity::Notice,
                    format!("{service} is of version {}", health.version),
                    format!("this program is of version {}", env!("CARGO_PKG_VERSION")),
                    format!("run `service-control --restart {service}`"),
                );
            }
            return;
        }
    };
    check.find(
        severity,
        format!("{service} says: {}", health.detail.as_deref().unwrap_or("it is not well")),
        "part of what it is for does not work",
        "do what the sentence says; `service-control --status` and the service's log say more",
    );
}

/// What no retry cures: said apart from the services' health, so that it is not one sentence among others.
fn alarms(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("services.alarms", "no token needs a person");
    for (service, answer) in &seen.health {
        let Some(alarm) = answer.as_ref().ok().and_then(Health::alarm) else { continue };
        let (why, action) = match alarm.kind {
            AlarmKind::Pin => (
                "the PIN is not tried again, because the next wrong one could lock the token: what its key does is \
                 not done until then",
                "correct the PIN source, try the PIN once with the vendor's tool, then restart the service",
            ),
            AlarmKind::Quarantine => (
                "the token did not do what it was asked for and said that it did: a fault of the token or its \
                 module, or an attack; nothing it makes is used",
                "keep the token and the log, find the cause, and restart the service only when it is known",
            ),
            AlarmKind::Replaced => (
                "whoever put it there may hope that it is used, or that keys are made in it",
                "bring back the right token, or the copy of its folder; no restart is needed. If nobody exchanged \
                 it on purpose, treat it as an attack",
            ),
        };
        check.find(
            Severity::Critical,
            format!("alarm of {service} ({}): {}", alarm.kind.word(), alarm.what),
            why,
            action,
        );
    }
    check
}

fn unfinished(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("services.unfinished", "every intended signature has an outcome");
    let count = seen.health_of(Service::Vmcad).map_or(0, |health| health.unfinished_intents);
    if count > 0 {
        check.find(
            Severity::Notice,
            format!("signatures of vmcad that were intended and have no recorded outcome: {count}"),
            "vmcad died, or its disk was full, while the token worked: the token may have made a signature \
             that was given to nobody",
            "look into the journal of vmcad for intents without an outcome, and note why they are there",
        );
    }
    check
}
