//! Floor 6: assembly of the services.
mod arguments;
mod confinement;
mod environment;
mod pid_file;
mod readiness;
mod roles;
