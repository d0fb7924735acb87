//! The command line of a service.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::base::{Layout, Service};

/// Environment variable that stands for `--root`.
pub const ROOT_VARIABLE: &str = "SEALWRIGHT_ROOT";

#[derive(Debug, Parser)]
struct Flags {
    /// Folder that holds the whole appliance; otherwise SEALWRIGHT_ROOT, otherwise /etc/sealwright,
    /// /var/lib/sealwright and /run/sealwright
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Leave the session of the terminal that started the service
    #[arg(long)]
    detach: bool,
}

/// What the command line means.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) layout: Layout,
    pub(crate) detach: bool,
}

impl Arguments {
    /// Reads the command line of this process. `--help`, `--version` and typing errors come back as
    /// an error that clap prints and turns into an exit status.
    pub(crate) fn of_process(service: Service) -> Result<Self, clap::Error> {
        let command = Flags::command()
            .name(service.name())
            .version(env!("CARGO_PKG_VERSION"))
            .about(format!("{}, a service of Sealwright", service.display_name()))
            .long_about(format!(
                "{}, a service of Sealwright.\n\nIt is normally started by `service-control --start \
                 {service}` or by systemd, runs in the foreground and logs to standard error. Its \
                 settings are in sealwright.toml, which `sealwright init` writes.",
                service.display_name()
            ));
        let flags = Flags::from_arg_matches(&command.try_get_matches_from(std::env::args_os())?)?;
        let root = flags.root.or_else(|| {
            std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty()).map(PathBuf::from)
        });
        Ok(Self { layout: root.map_or_else(Layout::system, Layout::under), detach: flags.detach })
    }
}
