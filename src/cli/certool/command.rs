//! What is meant: the commands of one call, complete with everything they need.

use std::path::{Path, PathBuf};

use super::failure::Ending;
use super::fields::Fields;
use super::flags::Flags;
use crate::api::ca::{Filter, KeyChoice};
use crate::base::{KeyAlgorithm, Layout};
use crate::cli::codes;
use crate::cli::failure::Failure;

/// The largest `--predate` of a self-signed CA, in minutes: one week.
const LONGEST_PREDATE: i64 = 10_080;
/// Where the values of a subject are read from when nothing is said.
const DEFAULT_CONFIG: &str = "certool.cfg";
/// Kind of key that `--genkey` makes: what vCenter 8 makes.
const DEFAULT_KEY: KeyAlgorithm = KeyAlgorithm::Rsa(3072);

/// One command that can be run.
#[derive(Debug)]
pub(super) enum Command {
    /// Become a self-signed CA.
    SelfCa { values: Values, predate_minutes: u32, key: KeyChoice },
    /// Install a signing chain.
    RootCa { chain: PathBuf, key: Option<PathBuf> },
    /// A request for an intermediate CA.
    GenCaCsr { values: Values, request: PathBuf, key: KeyChoice },
    /// The server's name and version.
    Version,
    /// A certificate for a key of this machine.
    GenCert { values: Values, key: PathBuf, certificate: PathBuf },
    /// A key pair.
    GenKey { private: PathBuf, public: Option<PathBuf>, algorithm: KeyAlgorithm },
    /// A certificate file as text.
    ViewCert { certificate: PathBuf },
    /// The CA certificate as text, its chain as a file.
    GetRootCa { chain: Option<PathBuf> },
    /// Issued certificates, as PEM and as text.
    EnumCert { which: Which },
    /// The revocation list as a file.
    GetCrl { crl: PathBuf },
}

/// Which certificates are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that VMCA finds by this.
    Of(Filter),
    /// Those that have expired, which VMCA does not look for; the original knows the word.
    Expired,
    /// Any other word stands for no certificate. The original says nothing about it.
    Nothing,
}

/// Where the values of a subject come from. The file is read when the command runs, because every
/// command of a call reads it and says so.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// From the command line; they win.
    pub(super) typed: Fields,
    /// The file for the rest.
    pub(super) config: Config,
}

/// Which configuration file.
#[derive(Clone, Debug)]
pub(super) enum Config {
    /// This one.
    File(PathBuf),
    /// `certool.cfg` here, or the appliance's template where there is none. Only for a command that
    /// the original does not have; its own commands know nothing but `certool.cfg`.
    HereOrTemplate {
        /// In the current folder.
        here: PathBuf,
        /// Of the appliance.
        template: PathBuf,
    },
}

/// The commands of a call in the order in which the original runs them, which is not the order in
/// which they were typed. What any of them lacks is found before the first one runs.
pub(super) fn commands(flags: Flags, layout: &Layout) -> Result<Vec<Command>, Ending> {
    let mut commands = Vec::new();
    let typed = flags.fields;
    let values = |config: Config| Values { typed: typed.clone(), config };
    let config = || Config::File(flags.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into()));

    if flags.selfca {
        commands.push(Command::SelfCa {
            values: values(config()),
            predate_minutes: predate(flags.predate)?,
            key: flags.key_algorithm.map_or(KeyChoice::New, KeyChoice::NewOf),
        });
    }
    if flags.rootca {
        commands.push(Command::RootCa {
            chain: needed(
                &flags.cert,
                "To install a chain, name its file: certool --rootca --cert=root_signing_chain.cer",
            )?,
            key: flags.privkey.clone(),
        });
    }
    if flags.gencacsr {
        let request = needed(
            &flags.csrfile,
            "To request a CA certificate, say where the request goes: certool --gencacsr --csrfile=vmca.csr",
        )?;
        let config = match &flags.config {
            Some(file) => Config::File(file.clone()),
            None => Config::HereOrTemplate {
                here: DEFAULT_CONFIG.into(),
                template: layout.certool_template(),
            },
        };
        commands.push(Command::GenCaCsr {
            values: values(config),
            request,
            key: match (flags.key_algorithm, flags.newkey) {
                (Some(algorithm), _) => KeyChoice::NewOf(algorithm),
                (None, true) => KeyChoice::New,
                (None, false) => KeyChoice::Present,
            },
        });
    }
    if flags.version {
        commands.push(Command::Version);
    }
    if flags.gencert {
        const HINT: &str = "To get a certificate, name key and certificate: certool --gencert --privkey=machine1.priv --cert=machine1.crt";
        let key = needed(&flags.privkey, HINT)?;
        let certificate = needed(&flags.cert, HINT)?;
        apart(&key, "--privkey", &certificate, "--cert")?;
        commands.push(Command::GenCert { values: values(config()), key, certificate });
    }
    if flags.genkey {
        let private = needed(
            &flags.privkey,
            "To make a key, say where it goes: certool --genkey --privkey=machine1.priv --pubkey=machine1.pub",
        )?;
        if let Some(public) = &flags.pubkey {
            apart(&private, "--privkey", public, "--pubkey")?;
        }
        commands.push(Command::GenKey {
            private,
            public: flags.pubkey.clone(),
            algorithm: flags.key_algorithm.unwrap_or(DEFAULT_KEY),
        });
    }
    if flags.viewcert {
        commands.push(Command::ViewCert {
            certificate: needed(
                &flags.cert,
                "To see a certificate, name its file: certool --viewcert --cert=machine1.crt",
            )?,
        });
    }
    if flags.getrootca {
        commands.push(Command::GetRootCa { chain: flags.cert.clone() });
    }
    if flags.enumcert {
        let filter = needed(
            &flags.filter,
            "To list certificates, say which: certool --enumcert --filter=all",
        )?;
        commands.push(Command::EnumCert {
            which: match filter.as_str() {
                "active" => Which::Of(Filter::Active),
                "revoked" => Which::Of(Filter::Revoked),
                "all" => Which::Of(Filter::All),
                "expired" => Which::Expired,
                _ => Which::Nothing,
            },
        });
    }
    if flags.getcrl {
        commands.push(Command::GetCrl {
            crl: needed(
                &flags.crl,
                "To get the revocation list, say where it goes: certool --getcrl --crl=vmca.crl",
            )?,
        });
    }
    Ok(commands)
}

fn needed<T: Clone>(option: &Option<T>, hint: &'static str) -> Result<T, Ending> {
    option.clone().ok_or(Ending::Lacking { hint })
}

fn predate(minutes: i64) -> Result<u32, Failure> {
    u32::try_from(minutes).ok().filter(|_| minutes <= LONGEST_PREDATE).ok_or_else(|| {
        Failure::new(
            codes::ARGUMENT_ERROR,
            format!("--predate={minutes} is out of range; give 0 to {LONGEST_PREDATE} minutes"),
        )
    })
}

/// Two files of one command must not be one file: the second one written would destroy the first.
fn apart(one: &Path, one_option: &str, other: &Path, other_option: &str) -> Result<(), Failure> {
    // A file that is not there yet has no canonical path.
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    if place(one) == place(other) {
        return Err(Failure::new(
            codes::ARGUMENT_ERROR,
            format!("{one_option} and {other_option} both name {}; name two files", one.display()),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Command, Ending, commands};
    use crate::api::ca::KeyChoice;
    use crate::base::{KeyAlgorithm, Layout};
    use crate::cli::certool::flags::Flags;
    use clap::Parser as _;

    fn meant(words: &[&str]) -> Result<Vec<Command>, Ending> {
        commands(Flags::try_parse_from([&["certool"], words].concat()).unwrap(), &Layout::system())
    }

    #[test]
    fn commands_run_in_the_originals_order() {
        let commands = meant(&[
            "--genkey",
            "--gencert",
            "--version",
            "--rootca",
            "--selfca",
            "--privkey=k",
            "--cert=c",
        ])
        .unwrap();
        assert!(matches!(
            commands.as_slice(),
            [
                Command::SelfCa { .. },
                Command::RootCa { .. },
                Command::Version,
                Command::GenCert { .. },
                Command::GenKey { .. }
            ]
        ));
    }

    #[test]
    fn the_key_of_a_ca_is_chosen_by_two_options() {
        let key = |words: &[&str]| match meant(&[&["--gencacsr", "--csrfile=f"], words].concat())
            .unwrap()
            .as_slice()
        {
            [Command::GenCaCsr { key, .. }] => *key,
            other => panic!("{other:?}"),
        };
        assert_eq!(key(&[]), KeyChoice::Present);
        assert_eq!(key(&["--newkey"]), KeyChoice::New);
        assert_eq!(
            key(&["--newkey", "--key-algorithm=p-384"]),
            KeyChoice::NewOf(KeyAlgorithm::P384)
        );
    }

    #[test]
    fn predate_has_a_range_for_selfca_only() {
        for (minutes, good) in [("0", true), ("10080", true), ("10081", false), ("-1", false)] {
            let predate = format!("--predate={minutes}");
            assert_eq!(meant(&["--selfca", &predate]).is_ok(), good, "{minutes}");
            assert!(meant(&["--genkey", "--privkey=k", &predate]).is_ok());
        }
    }
}
