//! The services, running for as long as the set-up needs them.

use super::Cause;
use super::progress::Progress;
use super::step::Done;
use crate::base::{Layout, Service};
use crate::supervise::{Started, Turn};

/// What the later steps speak to: the services that have a database. The gateway has nothing to do yet.
pub(super) const NEEDED: [Service; 3] = [Service::Vmafdd, Service::Vmdird, Service::Vmcad];

/// Starts what does not run, and writes down what was started before it is: an interrupted set-up
/// stops it next time.
pub(super) fn start(
    layout: &Layout,
    turn: &Turn<'_>,
    progress: &mut Progress,
) -> Result<Done, Cause> {
    let mut ran = true;
    for service in NEEDED {
        let name = service.name().to_owned();
        let listed = progress.started.contains(&name);
        if !listed {
            progress.started.push(name.clone());
            progress.save(layout)?;
        }
        if let Started::Now(_) = turn.start(service)? {
            ran = false;
        } else if !listed {
            progress.started.retain(|listed| *listed != name);
            progress.save(layout)?;
        }
    }
    let names = NEEDED.map(Service::name).join(", ");
    Ok(if ran {
        Done::Found(names)
    } else {
        Done::Made(format!("{names} started for the next steps"))
    })
}

/// Stops what was started for the set-up, last started first; the others stay.
pub(super) fn stop(turn: &Turn<'_>, progress: &mut Progress) -> Result<(), Cause> {
    for service in NEEDED.into_iter().rev() {
        if progress.started.iter().any(|name| name == service.name()) {
            turn.stop(service)?;
        }
    }
    progress.started.clear();
    Ok(())
}
