//! How the whole appliance is: every service's own answer, asked for now.

use std::time::Duration;

use serde::Serialize;

use crate::api::{HEALTH, Health, State};
use crate::base::{Layout, Service, sentences};
use crate::client::Client;

/// A service that does not answer within this time is down: whoever watches cannot wait longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Everything that is known, for users of this machine: they can ask each service as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Overall {
    /// The worst of the services.
    pub(super) state: State,
    /// Every service in start order.
    pub(super) services: Vec<Health>,
}

/// The answer of `/healthz`, which anybody on the network may read: what works and what does not.
/// Why not, paths, versions and the serial numbers of tokens are for users of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Public {
    /// The worst of the services.
    pub(super) state: State,
    /// Whether a person must see to a token. Which, and why, is not for strangers.
    alarm: bool,
    /// Every service in start order.
    services: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Part {
    service: String,
    state: State,
    /// The token the service uses, if it uses one and has seen it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<State>,
}

impl From<&Overall> for Public {
    fn from(overall: &Overall) -> Self {
        Self {
            state: overall.state,
            alarm: overall.services.iter().any(|health| health.alarm().is_some()),
            services: overall
                .services
                .iter()
                .map(|health| Part {
                    service: health.service.clone(),
                    state: health.state,
                    token: health.token.as_ref().map(|token| token.state),
                })
                .collect(),
        }
    }
}

impl Overall {
    /// `gateway` is the asker's own health.
    pub(super) fn ask(layout: &Layout, gateway: &Health) -> Self {
        std::thread::scope(|scope| {
            let asked: Vec<_> = Service::ALL
                .into_iter()
                .map(|service| {
                    (
                        service,
                        scope.spawn(move || match service {
                            Service::Gateway => gateway.clone(),
                            other => ask(layout, other),
                        }),
                    )
                })
                .collect();
            Self::of(
                asked
                    .into_iter()
                    .map(|(service, answer)| {
                        answer
                            .join()
                            .unwrap_or_else(|_| down(service, "it could not be asked".to_owned()))
                    })
                    .collect(),
            )
        })
    }

    fn of(services: Vec<Health>) -> Self {
        Self {
            state: services.iter().map(|health| health.state).max().unwrap_or(State::Down),
            services,
        }
    }
}

fn ask(layout: &Layout, service: Service) -> Health {
    let client = Client::new(&layout.socket(service), DEADLINE);
    match client.get::<Health>(HEALTH) {
        // A service that answers for its token must not hide that the token does not work. It serves in part.
        Ok(health) => match health.token.as_ref().map(|token| token.state) {
            Some(State::Degraded | State::Down) if health.state == State::Ok => {
                Health { state: State::Degraded, ..health }
            }
            _ => health,
        },
        Err(cause) => down(service, sentences(&cause)),
    }
}

fn down(service: Service, why: String) -> Health {
    Health { detail: Some(why), ..Health::new(service, State::Down) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Overall, Public, down};
    use crate::api::{Alarm, AlarmKind, Health, State, TokenHealth};
    use crate::base::{Layout, Service};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    fn health(service: Service, state: State) -> Health {
        Health { state, detail: None, ..down(service, String::new()) }
    }

    #[test]
    fn the_whole_is_as_well_as_its_worst_part() {
        use State::{Degraded, Down, Ok};
        for (parts, whole) in [
            (vec![Ok, Ok, Ok, Ok], Ok),
            (vec![Ok, Degraded, Ok, Ok], Degraded),
            (vec![Degraded, Ok, Down, Ok], Down),
            (vec![], Down),
        ] {
            let services = parts.into_iter().map(|state| health(Service::Vmcad, state)).collect();
            assert_eq!(Overall::of(services).state, whole);
        }
    }

    #[test]
    fn strangers_learn_what_works_and_nothing_else() {
        let token = TokenHealth {
            label: "the label".to_owned(),
            serial: "the serial".to_owned(),
            state: State::Down,
            detail: Some("the reason".to_owned()),
            alarm: Some(Alarm { kind: AlarmKind::Pin, what: "the reason".to_owned() }),
        };
        let vmcad = Health {
            state: State::Degraded,
            detail: Some("/run/vmcad.sock".to_owned()),
            token: Some(token),
            ..health(Service::Vmcad, State::Ok)
        };
        let overall = Overall::of(vec![health(Service::Vmdird, State::Ok), vmcad]);
        assert_eq!(
            serde_json::to_value(Public::from(&overall)).unwrap(),
            serde_json::json!({"state": "degraded", "alarm": true, "services": [
                {"service": "vmdird", "state": "ok"},
                {"service": "vmcad", "state": "degraded", "token": "down"},
            ]})
        );
    }

    #[test]
    fn services_are_asked_live_and_silence_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::under(folder.path());
        std::fs::create_dir_all(layout.run()).unwrap();
        let mut answer = health(Service::Vmafdd, State::Ok);
        answer.token = Some(TokenHealth {
            label: "t".to_owned(),
            serial: "1".to_owned(),
            state: State::Down,
            detail: None,
            alarm: None,
        });
        let listener = UnixListener::bind(layout.socket(Service::Vmafdd)).unwrap();
        let body = serde_json::to_string(&answer).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut octets = [0; 1024];
            let _ = stream.read(&mut octets).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        });
        let overall = Overall::ask(&layout, &health(Service::Gateway, State::Ok));
        server.join().unwrap();
        let states: Vec<_> =
            overall.services.iter().map(|health| (health.service.as_str(), health.state)).collect();
        assert_eq!(
            states,
            [
                ("vmafdd", State::Degraded),
                ("vmdird", State::Down),
                ("vmcad", State::Down),
                ("gateway", State::Ok),
            ]
        );
        assert_eq!(overall.state, State::Down);
        let why = overall.services[1].detail.as_deref().unwrap();
        assert!(why.contains("service-control"), "{why}");
    }
}
