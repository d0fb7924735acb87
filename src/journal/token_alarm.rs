//! The alarm of a service's token, told once: in the log, and in the journal as `token.alarm`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Event, Outcome, append};
use crate::base::{Actor, UnixTime, sentences};
use crate::store::{Error, Store};

/// Who says so in the journal.
const JOB: Actor = Actor::Job("token watch");

/// What was told of one token. An alarm is told when it begins and when it is over, however often it is seen.
#[derive(Debug, Default)]
pub struct TokenAlarm {
    told: Mutex<Option<hsm::Alarm>>,
    second_look: Mutex<Option<Instant>>,
}

/// Between two second looks at a token that seems to be replaced: each costs an agent.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

impl TokenAlarm {
    /// The alarm that a failure calls for; what `failure` says is its sentence.
    pub fn of(token: &hsm::Token, failure: &hsm::Error) -> Option<hsm::Alarm> {
        let kind = match token.health() {
            hsm::Health::Alarm(alarm) => alarm.kind,
            hsm::Health::Serving(_) | hsm::Health::Idle => failure.alarm()?,
        };
        Some(hsm::Alarm { kind, what: sentences(failure) })
    }

    /// There is this alarm now. Must not be called inside a transaction.
    pub fn raise(&self, store: &Store, at: UnixTime, serial: Option<&str>, alarm: &hsm::Alarm) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref().is_some_and(|told| told.kind == alarm.kind) {
            return;
        }
        *told = Some(alarm.clone());
        let kind = word(alarm.kind);
        tracing::error!(
            "ALARM, token {}: {kind}: {}",
            serial.unwrap_or("not seen yet"),
            alarm.what
        );
        let details = json!({ "kind": kind, "what": alarm.what });
        record(store, at, "token.alarm", serial, Outcome::Failed, details);
    }

    /// Whether a token that seems to be replaced is to be looked at once more, by a fresh agent, before anybody is
    /// alarmed: one that is being taken away may look for a moment as if it had lost its keys. Where that was done a moment
    /// ago, and no alarm was told, it was such a moment.
    pub fn second_look_is_due(&self) -> bool {
        let mut latest = self.second_look.lock().unwrap_or_else(PoisonError::into_inner);
        let due = latest.is_none_or(|latest| latest.elapsed() >= BETWEEN_LOOKS);
        if due {
            *latest = Some(Instant::now());
        }
        due
    }

    /// What was told and is not over. It is shown even while the token is away and says nothing about why.
    pub fn lasting(&self) -> Option<hsm::Alarm> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an alarm of this kind was told, and is not over.
    pub fn is_told(&self, kind: hsm::AlarmKind) -> bool {
        self.lasting().is_some_and(|told| told.kind == kind)
    }

    /// The token works, with a key of ours. Must not be called inside a transaction.
    pub fn over(&self, store: &Store, at: UnixTime, serial: Option<&str>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = told.take().map(|told| word(told.kind)) else { return };
        tracing::info!("the alarm is over, token {}: {kind}", serial.unwrap_or_default());
        record(store, at, "token.alarm-over", serial, Outcome::Done, json!({ "kind": kind }));
    }
}

/// A record that cannot be written does not keep the alarm from being shown.
fn record(
    store: &Store,
    at: UnixTime,
    act: &'static str,
    serial: Option<&str>,
    outcome: Outcome,
    details: serde_json::Value,
) {
    let reference = format!("token:{}", serial.unwrap_or_default());
    let written = store.write::<_, Error>(move |tx| {
        append(tx, &Event { at, actor: &JOB, act, reference: &reference, outcome, details })
    });
    if let Err(cause) = written {
        tracing::error!(act, cause = sentences(&cause), "an alarm is not recorded");
    }
}

const fn word(kind: hsm::AlarmKind) -> &'static str {
    match kind {
        hsm::AlarmKind::Pin => "pin",
        hsm::AlarmKind::Quarantine => "quarantine",
        hsm::AlarmKind::Replaced => "replaced",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::TokenAlarm;
    use crate::journal::{MIGRATION, OPEN_INTENTS};
    use crate::store::{Error, Store};

    #[test]
    fn an_alarm_is_written_down_when_it_begins_and_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("j.db"), &[MIGRATION, OPEN_INTENTS]).unwrap();
        let alarm = |kind| hsm::Alarm { kind, what: "it happened".to_owned() };
        let told = TokenAlarm::default();
        told.over(&store, 1, Some("1"));
        for _ in 0..3 {
            told.raise(&store, 2, Some("1"), &alarm(hsm::AlarmKind::Replaced));
        }
        assert_eq!(told.lasting(), Some(alarm(hsm::AlarmKind::Replaced)));
        told.raise(&store, 3, None, &alarm(hsm::AlarmKind::Pin));
        assert_eq!(told.lasting(), Some(alarm(hsm::AlarmKind::Pin)));
        for _ in 0..3 {
            told.over(&store, 4, Some("1"));
        }
        assert_eq!(told.lasting(), None);
        told.raise(&store, 5, Some("1"), &alarm(hsm::AlarmKind::Replaced));
        let rows: Vec<String> = store
            .read::<_, Error>(|tx| {
                tx.query(
                    "SELECT at || ' ' || act || ' ' || reference || ' ' || outcome || ' ' || details
                     FROM journal ORDER BY sequence",
                    &[],
                )?
                .iter()
                .map(|row| row.text(0).map(str::to_owned))
                .collect()
            })
            .unwrap();
        assert_eq!(
            rows,
            [
                r#"2 token.alarm token:1 failed {"kind":"replaced","what":"it happened"}"#,
                r#"3 token.alarm token: failed {"kind":"pin","what":"it happened"}"#,
                r#"4 token.alarm-over token:1 done {"kind":"pin"}"#,
                r#"5 token.alarm token:1 failed {"kind":"replaced","what":"it happened"}"#,
            ]
        );
    }
}
