//! `sealwright run`: the services, for as long as this process lives. It is what a container runs.

mod anchor;
mod logs;
mod signals;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::logs::Logs;
use self::signals::{Heard, Signals};
use crate::api::{Health, State};
use crate::base::{Layout, Service, sentences};
use crate::cli::sealwright::{complain, say};
use crate::config::{self, Config};
use crate::supervise::{self, Deaths, Supervisor};

/// How often logs are passed on.
const TICK: Duration = Duration::from_millis(250);
/// Pause before a service is started again that lives and does not serve.
const OBSTACLE_PAUSE: Duration = Duration::from_secs(3);

/// Why it ended without having been asked to.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the services cannot be run; `sealwright init` sets an appliance up")]
    Configuration(#[from] config::Error),
    #[error("signals cannot be heard")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Service(#[from] supervise::Error),
    #[error("{0} keeps dying and is not started again; its log says why")]
    KeepsDying(Service),
}

/// Starts the services, and stays until it is asked to end or must.
pub(super) fn run(layout: &Layout) -> ExitCode {
    match attend(layout) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn attend(layout: &Layout) -> Result<(), Error> {
    let config = Config::load(&layout.config_file())?;
    // From here on a signal waits until somebody asks for it: nothing is left half-way.
    let mut signals = Signals::hear().map_err(Error::Signals)?;
    let supervisor = Supervisor::without_systemd(layout.clone())?;
    let mut attendant = Attendant::new(&supervisor, Logs::from_now_on(layout));
    let worked = match attendant.watch(&mut signals, || announce(layout, &config)) {
        Err(Error::Service(supervise::Error::GivenUp)) => {
            say("asked to end: stopping the services");
            Ok(())
        }
        worked => worked,
    };
    let stopped = stop_all(&supervisor);
    supervisor.collect();
    attendant.logs.pass_on_the_rest(&mut io::stderr());
    worked.and(stopped)
}

/// Every service is asked, whatever became of the one before, and even where no turn can be had: nobody else will.
fn stop_all(supervisor: &Supervisor) -> Result<(), Error> {
    let turn = supervisor.turn(waiting);
    if let Err(error) = &turn {
        say(&format!("stopping the services all the same: {}", sentences(error)));
    }
    let mut outcome = Ok(());
    for service in Service::ALL.into_iter().rev() {
        let stopped = match &turn {
            Ok(turn) => turn.stop(service),
            Err(_) => supervisor.stop_out_of_turn(service),
        };
        outcome = outcome.and(stopped.map(|_| ()));
    }
    Ok(outcome?)
}

fn waiting() {
    say("service-control is at work; waiting until it has finished");
}

/// What a client needs to begin, on standard output. Where nobody reads it the services run all the same.
fn announce(layout: &Layout, config: &Config) {
    let anchor = anchor::text(&layout.root_cer());
    let (name, port) = (&config.node.name, config.gateway.listen.port());
    let _unread = writeln!(io::stdout(), "{anchor}ready: https://{name}:{port}")
        .and_then(|()| io::stdout().flush());
}

/// Starts what is to be started, the first time and again.
struct Attendant<'a> {
    supervisor: &'a Supervisor,
    logs: Logs,
    /// When a service that does not run is to be started.
    due: BTreeMap<Service, Instant>,
    deaths: BTreeMap<Service, Deaths>,
    /// Every service has served once.
    complete: bool,
}

impl<'a> Attendant<'a> {
    /// Every service is due at once.
    fn new(supervisor: &'a Supervisor, logs: Logs) -> Self {
        let now = Instant::now();
        let due = Service::ALL.map(|service| (service, now)).into();
        Self { supervisor, logs, due, deaths: BTreeMap::new(), complete: false }
    }

    /// Until somebody asks for the end ([`supervise::Error::GivenUp`]), or a service dies for good. `complete` is called
    /// when all services serve for the first time.
    fn watch(&mut self, signals: &mut Signals, complete: impl Fn()) -> Result<(), Error> {
        // A run folder may outlive a container; what was stopped in the one before does not count.
        self.supervisor.turn_unless(waiting, &mut || signals.end())?.want_all()?;
        loop {
            let due = self.due.iter().filter(|(_, at)| **at <= Instant::now());
            for service in due.map(|(service, _)| *service).collect::<Vec<_>>() {
                self.start(service, signals)?;
            }
            if self.due.is_empty() && !self.complete {
                self.complete = true;
                self.logs.pass_on(&mut io::stderr());
                complete();
            }
            if signals.wait(TICK) == Heard::End {
                return Err(supervise::Error::GivenUp.into());
            }
            for death in self.supervisor.collect() {
                say(&format!("{} died ({})", death.service, death.how));
                self.died(death.service)?;
            }
            self.logs.pass_on(&mut io::stderr());
        }
    }

    /// In the order of the services, which is that of their starting.
    fn start(&mut self, service: Service, signals: &mut Signals) -> Result<(), Error> {
        // Waiting and starting may take minutes.
        let mut asked_to_end = || signals.end();
        let turn = match self.supervisor.turn_unless(waiting, &mut asked_to_end) {
            Ok(turn) => turn,
            // The run folder was fine before: the services that live are not given up for it.
            Err(error @ supervise::Error::Machine { .. }) if self.complete => {
                say(&format!("{service} cannot be started, trying again: {}", sentences(&error)));
                self.due.insert(service, Instant::now() + OBSTACLE_PAUSE);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if turn.is_unwanted(service) {
            self.due.remove(&service);
            return Ok(());
        }
        let started = turn.start_unless(service, &mut asked_to_end);
        drop(turn);
        self.logs.pass_on(&mut io::stderr());
        match started {
            Ok(started) => {
                self.due.remove(&service);
                if let Some(Health { state: State::Degraded, detail, .. }) = started.health() {
                    let detail = detail.as_deref().unwrap_or("it does not say what is missing");
                    say(&format!("{service} runs, but not everything works: {detail}"));
                }
                if self.complete {
                    say(&format!("{service} runs again"));
                }
                Ok(())
            }
            Err(error @ supervise::Error::GivenUp) => Err(error.into()),
            Err(error) => {
                say(&format!("{service} did not start, trying again: {}", sentences(&error)));
                // It lives and something is in its way: a token, or another service. That may take as long as it does.
                if matches!(error, supervise::Error::NotReady { .. }) {
                    self.due.insert(service, Instant::now() + OBSTACLE_PAUSE);
                    return Ok(());
                }
                self.died(service)
            }
        }
    }

    fn died(&mut self, service: Service) -> Result<(), Error> {
        let now = Instant::now();
        let pause = self.deaths.entry(service).or_default().another(now);
        self.due.insert(service, now + pause.ok_or(Error::KeepsDying(service))?);
        Ok(())
    }
}
