//! Starting, stopping and restarting.

use super::super::terminal::Terminal;
use super::failure;
use super::flags::{Operation, PROFILE_SERVICES, Plan, Step};
use super::{Done, say};
use crate::api::{Health, State};
use crate::base::{Service, sentences};
use crate::supervise::{Error, Started, Stopped, Supervisor, Turn};

impl Operation {
    /// The word in every line about it.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    /// The same, done.
    const fn participle(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
        }
    }
}

/// Does the steps in order; the first failure ends it unless the plan says to carry on.
///
/// A reader who went away does not: half of the services stopped is what nobody asked for.
pub(super) fn carry_out(
    supervisor: &Supervisor,
    plan: &Plan,
    verbose: bool,
    terminal: &mut Terminal,
) -> Done {
    let taken =
        supervisor.turn(|| say(terminal, "another one is at work; waiting until it has finished"));
    let turn = match taken {
        Ok(turn) => turn,
        Err(error) => {
            say(terminal, &sentences(&error));
            return Done::Badly;
        }
    };
    terminal.out("Operation not cancellable. Please wait for it to finish...\n");
    let mut done = Done::Well;
    for step in &plan.steps {
        let stepped = match *step {
            Step::Service(service) => one(&turn, plan.operation, service, verbose, terminal),
            Step::Profile => profile(&turn, plan.operation, verbose, terminal),
        };
        if stepped == Done::Badly {
            done = Done::Badly;
            if !plan.carry_on {
                break;
            }
        }
    }
    done
}

fn one(
    turn: &Turn<'_>,
    operation: Operation,
    service: Service,
    verbose: bool,
    terminal: &mut Terminal,
) -> Done {
    let verb = operation.verb();
    terminal.out(&format!("Performing {verb} operation on service {service}...\n"));
    match perform(turn, operation, service, verbose, terminal) {
        Ok(()) => {
            terminal.out(&format!("Successfully {} service {service}\n", operation.participle()));
            Done::Well
        }
        Err(error) => {
            let json = failure::json(operation, service);
            terminal.out(&format!(
                "Error executing {verb} on service {service}. Details {json}\n\
                 Service-control failed. Error: {json}\n"
            ));
            say(terminal, &sentences(&error));
            Done::Badly
        }
    }
}

/// The profile is one step in the original's output, whatever it holds.
fn profile(turn: &Turn<'_>, operation: Operation, verbose: bool, terminal: &mut Terminal) -> Done {
    let verb = operation.verb();
    terminal.out(&format!("Performing {verb} operation on profile: ALL...\n"));
    for service in PROFILE_SERVICES {
        if let Err(error) = perform(turn, operation, service, verbose, terminal) {
            terminal.out(&format!(
                "Service-control failed. Error: Failed to {verb} services in profile ALL. RC=1, \
                 stderr=Failed to {verb} {service}.\n"
            ));
            say(terminal, &sentences(&error));
            return Done::Badly;
        }
    }
    terminal.out(&format!("Successfully {} profile: ALL.\n", operation.participle()));
    Done::Well
}

fn perform(
    turn: &Turn<'_>,
    operation: Operation,
    service: Service,
    verbose: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match operation {
        Operation::Start => start(turn, service, verbose, terminal),
        Operation::Stop => stop(turn, service, verbose, terminal),
        Operation::Restart => {
            stop(turn, service, verbose, terminal)?;
            start(turn, service, verbose, terminal)
        }
    }
}

fn start(
    turn: &Turn<'_>,
    service: Service,
    verbose: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let started = turn.start(service)?;
    if verbose && matches!(started, Started::Already(_)) {
        say(terminal, &format!("{service} ran already"));
    }
    if let Some(Health { state: State::Degraded, detail, .. }) = started.health() {
        let detail = detail.as_deref().unwrap_or("it does not say what is missing");
        say(terminal, &format!("{service} runs, but not everything works: {detail}"));
    }
    Ok(())
}

fn stop(
    turn: &Turn<'_>,
    service: Service,
    verbose: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match turn.stop(service)? {
        Stopped::Killed => {
            say(terminal, &format!("{service} did not end when it was asked to, and was killed"));
        }
        Stopped::Already if verbose => say(terminal, &format!("{service} did not run")),
        Stopped::Already | Stopped::Now => {}
    }
    Ok(())
}
