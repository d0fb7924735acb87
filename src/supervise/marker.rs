//! `SERVICE.stopped` in the run folder: somebody wants this service not to run.
//!
//! Who keeps the services running cannot tell it from the way a service ends: one that has to be killed to stop dies as
//! one that crashed. Written and removed under the turn only.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;

use super::Error;
use crate::base::{Layout, Service};

/// From now on its end is wanted.
pub(super) fn put(layout: &Layout, service: Service) {
    // A full volume must not keep anybody from stopping a service. What may come of it is a start too many.
    let _unwritten = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(layout.stopped_marker(service));
}

/// From now on its life is wanted.
pub(super) fn remove(layout: &Layout, service: Service) -> Result<(), Error> {
    let marker = layout.stopped_marker(service);
    match fs::remove_file(&marker) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::Machine {
            what: format!("{} cannot be removed; remove it by hand", marker.display()),
            cause,
        }),
        _ => Ok(()),
    }
}

/// Whether somebody stopped it.
pub(super) fn is_there(layout: &Layout, service: Service) -> bool {
    layout.stopped_marker(service).exists()
}
