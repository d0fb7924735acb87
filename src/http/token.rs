//! How a service's token is, in the words on the wire.

use crate::api::{Alarm, AlarmKind, State, TokenHealth};
use crate::ca;

/// `seen`: label and serial number, if the token was ever seen. `fault`: why it does not work. `alarm`: what of that
/// needs a person.
pub(super) fn health(
    seen: Option<(String, String)>,
    fault: Option<String>,
    alarm: Option<(ca::AlarmKind, String)>,
) -> Option<TokenHealth> {
    if seen.is_none() && alarm.is_none() {
        return None;
    }
    // An alarm must not be lost because the token was refused before it was looked at.
    let (label, serial) = seen.unwrap_or_default();
    let state = match (&fault, &alarm) {
        (_, Some(_)) => State::Down,
        (Some(_), None) => State::Degraded,
        (None, None) => State::Ok,
    };
    let alarm = alarm.map(|(kind, what)| Alarm { kind: in_words(kind), what });
    Some(TokenHealth { label, serial, state, detail: fault, alarm })
}

const fn in_words(kind: ca::AlarmKind) -> AlarmKind {
    match kind {
        ca::AlarmKind::Pin => AlarmKind::Pin,
        ca::AlarmKind::Quarantine => AlarmKind::Quarantine,
        ca::AlarmKind::Replaced => AlarmKind::Replaced,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::health;
    use crate::api::{AlarmKind, State};
    use crate::ca;

    #[test]
    fn an_alarm_is_shown_even_of_a_token_that_was_never_seen() {
        let text = || Some("why".to_owned());
        let seen = || Some(("label".to_owned(), "1".to_owned()));
        assert_eq!(health(None, None, None), None);
        assert_eq!(health(None, text(), None), None);
        assert_eq!(health(seen(), None, None).unwrap().state, State::Ok);
        assert_eq!(health(seen(), text(), None).unwrap().state, State::Degraded);
        for (from, kind) in [
            (ca::AlarmKind::Pin, AlarmKind::Pin),
            (ca::AlarmKind::Quarantine, AlarmKind::Quarantine),
            (ca::AlarmKind::Replaced, AlarmKind::Replaced),
        ] {
            let shown = health(None, text(), Some((from, "why".to_owned()))).unwrap();
            assert_eq!((shown.state, shown.alarm.unwrap().kind), (State::Down, kind));
            // One word for one thing: in the journal, on the wire, on the screen.
            assert_eq!(serde_json::to_value(from).unwrap(), kind.word());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
