//! Shell completions and manual pages, made from the same tables that read the command lines.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use clap_complete::Shell;

use super::{print_result, say};
use crate::cli::{certool, service_control, vecs_cli};

/// Something to print about the tools.
#[derive(Debug)]
pub enum Paper {
    /// A completion script, on standard output.
    Completions(Shell, Tool),
    /// The manual pages of every tool, in this folder.
    Manual(PathBuf),
}

/// A command-line tool of the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// Keys and certificates.
    Certool,
    /// Certificate stores.
    VecsCli,
    /// Services.
    ServiceControl,
    /// The appliance.
    Sealwright,
}

impl Tool {
    fn command(self) -> clap::Command {
        match self {
            Self::Certool => certool::command().name("certool"),
            Self::VecsCli => vecs_cli::command().name("vecs-cli"),
            Self::ServiceControl => service_control::command(),
            Self::Sealwright => super::command(),
        }
    }
}

/// Prints it.
pub fn print(paper: &Paper) -> ExitCode {
    match paper {
        Paper::Completions(shell, tool) => completions(*shell, *tool),
        Paper::Manual(folder) => match manual(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => {
                say(&cause.to_string());
                ExitCode::FAILURE
            }
        },
    }
}

fn completions(shell: Shell, tool: Tool) -> ExitCode {
    let mut command = tool.command();
    let name = command.get_name().to_owned();
    // Into memory first, because clap panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print_result(&String::from_utf8_lossy(&script))
}

fn manual(folder: &Path) -> io::Result<()> {
    let named =
        |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", folder.display()));
    std::fs::create_dir_all(folder).map_err(named)?;
    for tool in Tool::value_variants() {
        clap_mangen::generate_to(tool.command(), folder).map_err(named)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Tool, ValueEnum, manual};

    #[test]
    fn every_tool_has_a_manual_page_and_the_hidden_command_has_none() {
        let folder = tempfile::tempdir().unwrap();
        manual(folder.path()).unwrap();
        let names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for tool in Tool::value_variants() {
            let page = format!("{}.1", tool.command().get_name());
            assert!(names.contains(&page), "{page} is not in {names:?}");
        }
        assert!(names.contains(&"sealwright-init.1".to_owned()), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("workshop")), "{names:?}");
    }
}
