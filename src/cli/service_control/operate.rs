//! Starting, stopping and restarting.

use std::io::{self, Write};

use super::Done;
use super::failure;
use super::flags::{Operation, PROFILE_SERVICES, Plan, Step};
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
pub(super) fn carry_out(
    supervisor: &Supervisor,
    plan: &Plan,
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<Done> {
    let turn = match supervisor.turn(|| {
        eprintln!("service-control: another one is at work; waiting until it has finished");
    }) {
        Ok(turn) => turn,
        Err(error) => {
            eprintln!("service-control: {}", sentences(&error));
            return Ok(Done::Badly);
        }
    };
    writeln!(out, "Operation not cancellable. Please wait for it to finish...")?;
    let mut done = Done::Well;
    for step in &plan.steps {
        let stepped = match *step {
            Step::Service(service) => one(&turn, plan.operation, service, verbose, out)?,
            Step::Profile => profile(&turn, plan.operation, verbose, out)?,
        };
        if stepped == Done::Badly {
            done = Done::Badly;
            if !plan.carry_on {
                break;
            }
        }
    }
    Ok(done)
}

fn one(
    turn: &Turn<'_>,
    operation: Operation,
    service: Service,
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<Done> {
    let verb = operation.verb();
    writeln!(out, "Performing {verb} operation on service {service}...")?;
    // The line is there before the work, which takes a while.
    out.flush()?;
    match perform(turn, operation, service, verbose) {
        Ok(()) => {
            writeln!(out, "Successfully {} service {service}", operation.participle())?;
            Ok(Done::Well)
        }
        Err(error) => {
            let json = failure::json(operation, service);
            writeln!(out, "Error executing {verb} on service {service}. Details {json}")?;
            writeln!(out, "Service-control failed. Error: {json}")?;
            eprintln!("service-control: {}", sentences(&error));
            Ok(Done::Badly)
        }
    }
}

/// The profile is one step in the original's output, whatever it holds.
fn profile(
    turn: &Turn<'_>,
    operation: Operation,
    verbose: bool,
    out: &mut dyn Write,
) -> io::Result<Done> {
    let verb = operation.verb();
    writeln!(out, "Performing {verb} operation on profile: ALL...")?;
    out.flush()?;
    for service in PROFILE_SERVICES {
        if let Err(error) = perform(turn, operation, service, verbose) {
            writeln!(
                out,
                "Service-control failed. Error: Failed to {verb} services in profile ALL. RC=1, \
                 stderr=Failed to {verb} {service}."
            )?;
            eprintln!("service-control: {}", sentences(&error));
            return Ok(Done::Badly);
        }
    }
    writeln!(out, "Successfully {} profile: ALL.", operation.participle())?;
    Ok(Done::Well)
}

fn perform(
    turn: &Turn<'_>,
    operation: Operation,
    service: Service,
    verbose: bool,
) -> Result<(), Error> {
    match operation {
        Operation::Start => start(turn, service, verbose),
        Operation::Stop => stop(turn, service, verbose),
        Operation::Restart => {
            stop(turn, service, verbose)?;
            start(turn, service, verbose)
        }
    }
}

fn start(turn: &Turn<'_>, service: Service, verbose: bool) -> Result<(), Error> {
    let started = turn.start(service)?;
    if verbose && matches!(started, Started::Already(_)) {
        eprintln!("service-control: {service} ran already");
    }
    if let Some(Health { state: State::Degraded, detail, .. }) = started.health() {
        let detail = detail.as_deref().unwrap_or("it does not say what is missing");
        eprintln!("service-control: {service} runs, but not everything works: {detail}");
    }
    Ok(())
}

fn stop(turn: &Turn<'_>, service: Service, verbose: bool) -> Result<(), Error> {
    match turn.stop(service)? {
        Stopped::Killed => {
            eprintln!(
                "service-control: {service} did not end when it was asked to, and was killed"
            );
        }
        Stopped::Already if verbose => eprintln!("service-control: {service} did not run"),
        Stopped::Already | Stopped::Now => {}
    }
    Ok(())
}
