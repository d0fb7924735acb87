//! From what was typed to what is meant.

use std::path::PathBuf;

use clap::Parser;

use crate::base::Service;
use crate::base::service::UnknownService;

/// The only start-up profile: everything.
const PROFILE: &str = "ALL";

const AFTER_HELP: &str = "\
A service goes by its own name or by the names that VMware tools use for it (vmca, vmware-vmafdd,
VMWareCertificateService, ...). Services start in the order vmafdd, vmdird, vmcad, gateway and stop
in the other.

Where systemd runs and the units sealwright-*.service are installed, they are started and stopped.
Otherwise, and for an appliance under a root folder, service-control starts the programs itself.

Examples:
  service-control --status                 what runs
  service-control --start --all            start everything
  service-control --stop --all             stop everything
  service-control --restart gateway        present a new machine certificate on 443

Replacing the machine's certificate: --stop --all, then --start vmafdd, --start vmdird,
--start vmcad, exchange the entry with vecs-cli, then --start --all.

Exit status: 0 if everything that was asked for was done, otherwise 1. With --status 2 if the
token of a service needs a person; a line below Alarm: says why.";

/// Starts, stops and shows the services of the appliance
#[derive(Debug, Default, Parser)]
#[command(name = "service-control", version, after_help = AFTER_HELP)]
#[command(override_usage = "service-control [OPTIONS] [SERVICE]...")]
pub(super) struct Flags {
    /// Start the named services, or the start-up profile where none is named
    #[arg(long)]
    start: bool,
    /// Stop the named services, or the start-up profile where none is named
    #[arg(long)]
    stop: bool,
    /// Stop and start exactly one service
    #[arg(long)]
    restart: bool,
    /// Show which services run
    #[arg(long)]
    status: bool,
    /// The same as --list-services (deprecated)
    #[arg(long)]
    list: bool,
    /// List the services with their display names
    #[arg(long)]
    list_services: bool,
    /// List what the named services need, one name a line
    #[arg(long)]
    list_dependencies: bool,
    /// Start-up profile; the appliance has one, ALL
    #[arg(long, value_name = "PROFILE")]
    vmon_profile: Option<String>,
    /// The core services and the start-up profile
    #[arg(long)]
    all: bool,
    /// Carry on with the other services after an error; the exit status is 1 all the same
    #[arg(long)]
    ignore: bool,
    /// Say more on standard error
    #[arg(long)]
    pub(super) verbose: bool,
    /// Folder that holds the whole appliance; otherwise SEALWRIGHT_ROOT, otherwise the system's places
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// Services by name
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Start or stop something.
    Operate(Plan),
    /// Show how these services are; all of them where none is named.
    Status(Vec<Service>),
    /// Names and display names.
    ListServices,
    /// What these services need.
    ListDependencies(Vec<Service>),
}

/// Starting or stopping.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What to do.
    pub(super) operation: Operation,
    /// With what, in the order in which it is done.
    pub(super) steps: Vec<Step>,
    /// Carry on after an error.
    pub(super) carry_on: bool,
}

/// What is done with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Start,
    Stop,
    Restart,
}

/// One thing that is started or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One service.
    Service(Service),
    /// What the start-up profile holds: [`PROFILE_SERVICES`].
    Profile,
}

/// The services that run under the profile; the others are core services.
pub(super) const PROFILE_SERVICES: [Service; 1] = [Service::Gateway];

/// The command line cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misuse {
    #[error(
        "say what to do: one of --start, --stop, --restart, --status, --list-services or \
         --list-dependencies (see service-control --help)"
    )]
    Actions,
    #[error(
        "--restart takes exactly one service; for all of them use --stop --all and --start --all"
    )]
    RestartOne,
    #[error("name services or say --all, not both")]
    AllAndNames,
    #[error("there is no start-up profile '{0}'; the only one is ALL")]
    Profile(String),
    #[error("name the services whose dependencies to list")]
    NoName,
    #[error(transparent)]
    Unknown(#[from] UnknownService),
}

impl TryFrom<Flags> for Command {
    type Error = Misuse;

    fn try_from(flags: Flags) -> Result<Self, Misuse> {
        if let Some(profile) = &flags.vmon_profile
            && !profile.eq_ignore_ascii_case(PROFILE)
        {
            return Err(Misuse::Profile(profile.clone()));
        }
        let named =
            flags.services.iter().map(|name| name.parse()).collect::<Result<Vec<Service>, _>>()?;
        if flags.all && !named.is_empty() {
            return Err(Misuse::AllAndNames);
        }
        let lists = flags.list || flags.list_services;
        let asked =
            [flags.start, flags.stop, flags.restart, flags.status, lists, flags.list_dependencies];
        let plan =
            |operation, steps| Self::Operate(Plan { operation, steps, carry_on: flags.ignore });
        match asked {
            [true, false, false, false, false, false] => {
                Ok(plan(Operation::Start, steps(&named, flags.all)))
            }
            [false, true, false, false, false, false] => {
                let mut steps = steps(&named, flags.all);
                steps.reverse();
                Ok(plan(Operation::Stop, steps))
            }
            [false, false, true, false, false, false] => match named[..] {
                [service] => Ok(plan(Operation::Restart, vec![Step::Service(service)])),
                _ => Err(Misuse::RestartOne),
            },
            [false, false, false, true, false, false] => Ok(Self::Status(named)),
            [false, false, false, false, true, false] => Ok(Self::ListServices),
            [false, false, false, false, false, true] if flags.all => {
                Ok(Self::ListDependencies(Service::ALL.to_vec()))
            }
            [false, false, false, false, false, true] if named.is_empty() => Err(Misuse::NoName),
            [false, false, false, false, false, true] => Ok(Self::ListDependencies(named)),
            _ => Err(Misuse::Actions),
        }
    }
}

/// In start order, each service once, however they were named.
fn steps(named: &[Service], all: bool) -> Vec<Step> {
    let services = Service::ALL.into_iter();
    match (named, all) {
        ([], true) => services
            .filter(|service| !PROFILE_SERVICES.contains(service))
            .map(Step::Service)
            .chain([Step::Profile])
            .collect(),
        ([], false) => vec![Step::Profile],
        (named, _) => {
            services.filter(|service| named.contains(service)).map(Step::Service).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Command, Flags, Operation, Plan, Step};
    use crate::base::Service::{Gateway, Vmafdd, Vmcad, Vmdird};
    use clap::{CommandFactory, Parser};

    fn meant(line: &str) -> Result<Command, String> {
        let words = std::iter::once("service-control").chain(line.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        Command::try_from(flags).map_err(|error| error.to_string())
    }

    fn operate(operation: Operation, steps: &[Step]) -> Command {
        Command::Operate(Plan { operation, steps: steps.to_vec(), carry_on: false })
    }

    #[test]
    fn what_is_typed_becomes_what_is_meant() {
        use Operation::{Restart, Start, Stop};
        use Step::{Profile, Service};
        let (afd, dir, ca) = (Service(Vmafdd), Service(Vmdird), Service(Vmcad));
        let cases = [
            ("--start --all", operate(Start, &[afd, dir, ca, Profile])),
            ("--stop --all", operate(Stop, &[Profile, ca, dir, afd])),
            ("--start", operate(Start, &[Profile])),
            ("--stop --vmon-profile ALL", operate(Stop, &[Profile])),
            ("--start vmcad", operate(Start, &[ca])),
            ("--start vmcad vmafdd vmca", operate(Start, &[afd, ca])),
            ("--stop vmware-vmafdd vmdir", operate(Stop, &[dir, afd])),
            ("vmca --restart", operate(Restart, &[ca])),
            ("--restart rhttpproxy", operate(Restart, &[Service(Gateway)])),
            ("--status", Command::Status(vec![])),
            ("--status --all", Command::Status(vec![])),
            ("--status vmcad", Command::Status(vec![Vmcad])),
            ("--list", Command::ListServices),
            ("--list --list-services", Command::ListServices),
            ("--list-dependencies vmcad", Command::ListDependencies(vec![Vmcad])),
        ];
        for (line, expected) in cases {
            assert_eq!(meant(line).unwrap(), expected, "{line}");
        }
        let Command::Operate(plan) = meant("--start --all --ignore").unwrap() else {
            panic!("not a plan");
        };
        assert!(plan.carry_on);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_way_out() {
        let cases = [
            ("", "say what to do"),
            ("vmcad", "say what to do"),
            ("--start --stop vmcad", "say what to do"),
            ("--status --list", "say what to do"),
            ("--restart", "exactly one"),
            ("--restart --all", "exactly one"),
            ("--restart vmcad vmdird", "exactly one"),
            ("--start --all vmcad", "not both"),
            ("--start vpxd", "vmafdd, vmdird, vmcad and gateway"),
            ("--start --vmon-profile HACore", "the only one is ALL"),
            ("--list-dependencies", "name the services"),
            ("--strat", "unexpected argument"),
        ];
        for (line, way_out) in cases {
            let refused = meant(line).unwrap_err();
            assert!(refused.contains(way_out), "{line}: {refused}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Flags::command().debug_assert();
    }
}
