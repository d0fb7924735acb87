//! What `vecs-cli help` teaches, and the table of verbs in clap's words.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::grammar::{Opt, VERBS, Verb, is_field};

const ABOUT: &str = "Manages the certificate stores of this machine (VECS)";

const EXAMPLES: &str = "\
Replace the certificate of this machine:
  vecs-cli entry delete --store MACHINE_SSL_CERT --alias __MACHINE_CERT -y
  vecs-cli entry create --store MACHINE_SSL_CERT --alias __MACHINE_CERT \\
      --cert machine1.crt --key machine1.priv
  service-control --restart gateway

See what is there:
  vecs-cli store list
  vecs-cli entry list --store TRUSTED_ROOTS --text

Have a key made in the token, which never leaves it in the clear, and sign with it (extensions):
  vecs-cli entry generate --store machine --alias one --config one.cfg --key-algorithm p-256
  vecs-cli entry sign --store machine --alias one --in FILE --out FILE.sig

Let a service read its own private key:
  vecs-cli store permission --name vpxd --user vpxd --grant read
  vecs-cli store permission --name vpxd --user vpxd --grant readkey

Options are whole words and their value is the next word. The exit status is the error code modulo
256. SEALWRIGHT_ROOT names the folder of an appliance that is not in the system's places.";

/// The usage text: a line for each verb, then what they do, then examples.
pub(super) fn text() -> String {
    let mut text = format!("{ABOUT}\n\nUsage:\n");
    for verb in VERBS {
        let _ = writeln!(text, "  {}", synopsis(verb));
    }
    let _ = write!(text, "\nWhat they do:\n");
    for verb in VERBS {
        let name = [verb.group.unwrap_or_default(), verb.name].join(" ");
        let _ = writeln!(text, "  {:<22} {}", name.trim_start(), verb.about);
    }
    let _ = write!(text, "\n{EXAMPLES}\n");
    text
}

fn synopsis(verb: &Verb) -> String {
    let mut line = "vecs-cli".to_owned();
    for word in verb.group.iter().chain([&verb.name]) {
        let _ = write!(line, " {word}");
    }
    let shown = |option: &&Opt| !is_remote(option) && !is_field(option);
    for option in verb.options.iter().filter(shown) {
        let shown = match option.value {
            Some(value) => format!("{} <{value}>", option.word),
            None => option.word.to_owned(),
        };
        let _ = if option.required { write!(line, " {shown}") } else { write!(line, " [{shown}]") };
    }
    if verb.options.iter().any(is_field) {
        line.push_str(" [--Name <TEXT>, --Hostname <FQDN>, … as certool has them]");
    }
    line
}

fn is_remote(option: &Opt) -> bool {
    matches!(option.word, "--server" | "--upn")
}

/// The verbs of vecs-cli, for completions and the manual page. It does not read command lines.
pub fn command() -> Command {
    let mut command = Command::new("vecs-cli")
        .about(ABOUT)
        .after_help(EXAMPLES)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true);
    for group in ["store", "entry"] {
        let verbs = VERBS.iter().filter(|verb| verb.group == Some(group)).map(verb_command);
        command = command.subcommand(
            Command::new(group)
                .about(format!("Commands on a {group}"))
                .subcommand_required(true)
                .disable_help_subcommand(true)
                .subcommands(verbs),
        );
    }
    command.subcommands(VERBS.iter().filter(|verb| verb.group.is_none()).map(verb_command))
}

fn verb_command(verb: &Verb) -> Command {
    let options = verb.options.iter().map(|option| {
        let arg = Arg::new(option.word.trim_start_matches('-'))
            .help(option.help)
            .required(option.required)
            .hide(is_remote(option));
        let arg = match option.word.strip_prefix("--") {
            Some(long) => arg.long(long),
            None => arg.short('y'),
        };
        match option.value {
            Some(value) => arg.value_name(value),
            None => arg.action(ArgAction::SetTrue),
        }
    });
    Command::new(verb.name).about(verb.about).args(options)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_makes_a_sound_command_and_a_short_text() {
        super::command().debug_assert();
        let text = super::text();
        assert!(text.contains("vecs-cli store delete --name <STORE> [-y]\n"));
        assert!(text.contains("\n  force-refresh "));
        assert!(!text.contains("--server"));
    }
}
