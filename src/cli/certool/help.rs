//! What `--help` teaches.

use clap::Command;

/// The sections of the help; `--help=NAME` prints one.
pub(super) struct Headings {
    pub(super) init: &'static str,
    pub(super) functions: &'static str,
    pub(super) config: &'static str,
    pub(super) files: &'static str,
    pub(super) general: &'static str,
}

pub(super) const HEADINGS: Headings = Headings {
    init: "Commands that set up the CA",
    functions: "Commands",
    config: "Values of subject and alternative names; also the keys of the configuration file",
    files: "Files and parameters",
    general: "General",
};

pub(super) const INTRODUCTION: &str = "Makes keys on this machine and certificates in VMCA, \
    whose own key stays in a PKCS#11 token";

pub(super) const EXAMPLES: &str = "\
A certificate for a machine:
  cp /etc/sealwright/certool.cfg machine1.cfg     then set Hostname in it
  certool --genkey --privkey=machine1.priv --pubkey=machine1.pub
  certool --gencert --privkey=machine1.priv --cert=machine1.crt \\
      --Name=machine1 --config=machine1.cfg
  certool --viewcert --cert=machine1.crt

VMCA below an enterprise CA:
  certool --gencacsr --csrfile=vmca.csr --config=vmca.cfg
  (the enterprise CA signs vmca.csr; put its answer, its intermediates and its root, in this order,
  into root_signing_chain.cer)
  certool --rootca --cert=root_signing_chain.cer

VMCA as its own root:
  certool --selfca --config=vmca.cfg

Several commands in one call run in the order in which they stand above. The exit status is the
error code modulo 256; the code and its text are on standard output, what to do next is on standard
error. SEALWRIGHT_ROOT names the folder of an appliance that is not in the system's places.";

/// General help, or the section of this name; a name that is no section gets the general help.
pub(super) fn text(command: &Command, section: &str) -> String {
    let heading = match section {
        "init" => HEADINGS.init,
        "functions" => HEADINGS.functions,
        "config" => HEADINGS.config,
        "files" => HEADINGS.files,
        _ => return command.clone().render_help().to_string(),
    };
    let mut command =
        command
            .clone()
            .after_help(None::<&str>)
            .mut_args(|arg| match arg.get_help_heading() {
                Some(its) if its == heading => arg,
                _ => arg.hide(true),
            });
    command.render_help().to_string()
}
