//! From what was typed to what is meant.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::paper::{Paper, Tool};
use super::{Agent, Command, Domain, HostName, Question, Request, RewrapFlags, TokenChoice};
use crate::base::KeyAlgorithm;
use crate::config::{ProfileName, TokenRole};

const AFTER_HELP: &str = "\
To begin:
  sealwright init --hostname vc.example.com    two SoftHSM tokens, keys inside them, a CA, its first
                                               certificate; run it again if it was interrupted
  service-control --start --all                start the services
  certool --help, vecs-cli --help              make certificates, look into the stores
  sealwright doctor                            check the appliance and the custody of its keys

Exit status: 0 done, 1 failed, 2 the command line cannot be followed, 75 another one is at it.";

const INIT_HELP: &str = "\
Every step looks first whether it is done already: an interrupted set-up continues, a finished one
changes nothing.

PINs: a new SoftHSM token gets random PINs in files that only their owner can read. For a token that
exists, --ca-pin and --sealing-pin name where its user PIN comes from: file:PATH (mode 0600),
fd:NUMBER, credential:NAME (a systemd credential) or prompt. A PIN itself is never accepted here.

Examples:
  sealwright init --hostname vc.example.com --key-algorithm p-384 --profile strict
  sealwright --root /srv/sealwright init --listen 127.0.0.1:8443
  sealwright init --ca-token 'pkcs11:token=CA;serial=4711' --ca-module /usr/lib/vendor.so \\
      --ca-pin credential:ca-pin";

const RUN_HELP: &str = "\
It prints the trust anchor and a line that begins with \"ready:\", passes the services' logs on to
standard error, starts a service again that died, and collects ended processes. A service that
was stopped with service-control stays stopped. One that waits for its token is started again
until it serves. SIGTERM and SIGINT stop everything.

Exit status: 0 it was asked to end, 1 it cannot begin, or a service keeps dying.";

const DOCTOR_HELP: &str = "\
It reads files, processes and records, logs in to each token once, and asks each token for what
it must refuse: a key's value, a readable copy, a wrapped copy, work that the key is not for.
Nothing in the appliance is changed, and services may run meanwhile. Run it as root or as the
user of the services.

Exit status: 0 nothing above a notice, 1 warnings, 2 something is critical or cannot be examined.";

const BACKUP_HELP: &str = "\
Services may run; each database is copied as it is at one moment. The file has mode 0600 and must not
exist yet. Keys and PINs are never in it: back up the tokens and the PINs by themselves, each apart from
the others.

Example:
  sealwright backup --out /srv/backup/vc-monday.swbackup";

const RESTORE_HELP: &str = "\
The services must be stopped. The whole archive is checked before anything is changed. Where an
appliance is set up, --replace puts its databases and its configuration aside, beside their places;
nothing is deleted. Put the tokens and the PINs in their places first, and restoring ends with a check
that they hold the right keys.

Exit status: 0 restored, 1 failed, or restored but a token does not have its keys (the message says
which), 75 another one is at it.

Example:
  service-control --stop --all
  sealwright restore --from /srv/backup/vc-monday.swbackup --replace";

/// Sets up and looks after an HSM-backed signing appliance
#[derive(Debug, Parser)]
#[command(name = "sealwright", version, after_help = AFTER_HELP)]
pub(super) struct Flags {
    /// Folder that holds the whole appliance; otherwise SEALWRIGHT_ROOT, otherwise /etc/sealwright,
    /// /var/lib/sealwright and /run/sealwright
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) root: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Set up the appliance, or continue a set-up that was interrupted
    #[command(after_help = INIT_HELP)]
    Init(Box<InitFlags>),
    /// Start every service and stay: for the first process of a container
    #[command(after_help = RUN_HELP)]
    Run,
    /// Copy databases and configuration into one file; services may run
    #[command(after_help = BACKUP_HELP)]
    Backup {
        /// The file to make
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make the appliance what a backup says it was
    #[command(after_help = RESTORE_HELP)]
    Restore {
        /// The file that `sealwright backup` made
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Put aside what is there; otherwise only an empty place is restored to
        #[arg(long)]
        replace: bool,
    },
    /// The certificate authorities that this appliance is and was
    Ca {
        #[command(subcommand)]
        verb: CaVerb,
    },
    /// Change the keys that stored private keys are sealed under; services may run
    Rewrap(RewrapFlags),
    /// Check the appliance, and try to break the custody of its keys
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// Print the report as JSON (docs/DOCTOR.md describes it)
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes a tool's options in your shell
    Completions {
        /// The shell
        #[arg(long)]
        shell: Shell,
        /// The tool
        #[arg(long)]
        tool: Tool,
    },
    /// Write the manual pages of all tools
    Man {
        /// Folder to write into
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Be the token agent that services use, where they are not to start their own
    TokenAgent {
        /// Which token of the configuration: ca or sealing
        role: String,
        /// Listen on this Unix socket
        #[arg(long, value_name = "PATH", requires = "peer")]
        listen: Option<PathBuf>,
        /// User, by name or number, whose service may connect; may be given more than once
        #[arg(long, value_name = "USER", requires = "listen")]
        peer: Vec<String>,
        /// The token's section; for services
        #[arg(long, hide = true, value_name = "JSON", required_unless_present = "listen")]
        section: Option<String>,
        /// The section says which token is meant; for the listener
        #[arg(long, hide = true, conflicts_with = "listen")]
        own_token: bool,
    },
    /// Work on a token; started by services, not by hand
    #[command(hide = true)]
    TokenWorkshop { role: String },
}

#[derive(Debug, Subcommand)]
enum CaVerb {
    /// List every CA with its state, key and end
    List,
    /// Sign no more revocation lists for a CA that was superseded
    Retire {
        /// Number of the CA, from `sealwright ca list`
        #[arg(long, value_name = "N")]
        id: i64,
    },
}

#[derive(Debug, Args)]
struct InitFlags {
    /// Name by which clients reach this machine: DNS name or IP address [default: the host's name]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Directory domain; the CA's default name ends in it [default: vsphere.local]
    #[arg(long)]
    domain: Option<String>,
    /// CA key: rsa-2048, rsa-3072, rsa-4096, p-256 or p-384 [default: rsa-3072]
    #[arg(long, value_name = "KIND")]
    key_algorithm: Option<String>,
    /// Certificate profile: vmca-compat or strict [default: vmca-compat]
    #[arg(long)]
    profile: Option<String>,
    /// Address and port of the TLS gateway [default: [::]:443]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Let `certool --rootca --privkey` bring in CA keys that lay in files
    #[arg(long)]
    allow_imported_ca_keys: bool,
    /// A user, by name, who administers the appliance besides root (may be repeated)
    #[arg(long, value_name = "USER")]
    operator: Vec<String>,
    /// SoftHSM's module [default: the first in the usual places]
    #[arg(long, value_name = "PATH")]
    softhsm_module: Option<PathBuf>,
    /// Use this token for the CA's keys: RFC 7512 URI with label or serial
    #[arg(long, value_name = "URI")]
    ca_token: Option<String>,
    /// PKCS#11 module of the CA token
    #[arg(long, value_name = "PATH")]
    ca_module: Option<PathBuf>,
    /// Source of the CA token's user PIN [default: prompt]
    #[arg(long, value_name = "SOURCE")]
    ca_pin: Option<String>,
    /// Environment that the CA token's module needs (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    ca_env: Vec<String>,
    /// Use this token for the wrapping key: RFC 7512 URI with label or serial
    #[arg(long, value_name = "URI")]
    sealing_token: Option<String>,
    /// PKCS#11 module of the sealing token
    #[arg(long, value_name = "PATH")]
    sealing_module: Option<PathBuf>,
    /// Source of the sealing token's user PIN [default: prompt]
    #[arg(long, value_name = "SOURCE")]
    sealing_pin: Option<String>,
    /// Environment that the sealing token's module needs (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    sealing_env: Vec<String>,
}

/// The command line cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misuse {
    #[error("{option}: {why}")]
    Value { option: String, why: String },
    #[error("{0} says something about a token that exists; name the token with --{1}-token")]
    NoToken(String, TokenRole),
    #[error(
        "--{0}-token needs --{0}-module: the PKCS#11 module through which the token is reached"
    )]
    NoModule(TokenRole),
    #[error("--softhsm-module is for tokens that are made, but both tokens exist already")]
    NothingToMake,
    #[error("'{0}' is no token role; it is ca or sealing")]
    Role(String),
    #[error("--section is no section of the configuration: {0}")]
    Section(String),
}

impl TryFrom<Flags> for Command {
    type Error = Misuse;

    fn try_from(flags: Flags) -> Result<Self, Misuse> {
        Ok(match flags.verb {
            Verb::Init(init) => Self::Init(Box::new(Request::try_from(*init)?)),
            Verb::Run => Self::Run,
            Verb::Backup { out } => Self::Backup { to: out },
            Verb::Restore { from, replace } => Self::Restore { from, replace },
            Verb::Ca { verb: CaVerb::List } => Self::Ask(Question::Authorities),
            Verb::Ca { verb: CaVerb::Retire { id } } => Self::Ask(Question::Retire(id)),
            Verb::Rewrap(flags) => flags.into(),
            Verb::Doctor { json } => Self::Doctor { json },
            Verb::Completions { shell, tool } => Self::Print(Paper::Completions(shell, tool)),
            Verb::Man { out } => Self::Print(Paper::Manual(out)),
            Verb::TokenAgent { role, listen, peer, section, own_token } => {
                let role = role_of(role)?;
                Self::TokenAgent(match listen {
                    Some(path) => Agent::Listening { role, path, peers: peer },
                    None => {
                        let section = serde_json::from_str(&section.unwrap_or_default())
                            .map_err(|cause| Misuse::Section(cause.to_string()))?;
                        Agent::Child { role, section: Box::new(section), own_token }
                    }
                })
            }
            Verb::TokenWorkshop { role } => Self::TokenWorkshop(role_of(role)?),
        })
    }
}

fn role_of(word: String) -> Result<TokenRole, Misuse> {
    [TokenRole::Ca, TokenRole::Sealing]
        .into_iter()
        .find(|known| known.name() == word)
        .ok_or(Misuse::Role(word))
}

impl TryFrom<InitFlags> for Request {
    type Error = Misuse;

    fn try_from(flags: InitFlags) -> Result<Self, Misuse> {
        let module = flags.softhsm_module;
        if module.is_some() && flags.ca_token.is_some() && flags.sealing_token.is_some() {
            return Err(Misuse::NothingToMake);
        }
        let ca = TokenFlags {
            role: TokenRole::Ca,
            uri: flags.ca_token,
            module: flags.ca_module,
            pin: flags.ca_pin,
            environment: flags.ca_env,
        };
        let sealing = TokenFlags {
            role: TokenRole::Sealing,
            uri: flags.sealing_token,
            module: flags.sealing_module,
            pin: flags.sealing_pin,
            environment: flags.sealing_env,
        };
        Ok(Self {
            host: value::<HostName>("--hostname", flags.hostname)?,
            domain: value::<Domain>("--domain", flags.domain)?,
            key_algorithm: value::<KeyAlgorithm>("--key-algorithm", flags.key_algorithm)?,
            profile: flags.profile.as_deref().map(profile).transpose()?,
            listen: value::<SocketAddr>("--listen", flags.listen)?,
            allow_imported_ca_keys: flags.allow_imported_ca_keys,
            operators: flags.operator,
            ca_token: ca.choice(module.as_ref())?,
            sealing_token: sealing.choice(module.as_ref())?,
        })
    }
}

/// The options about one token.
struct TokenFlags {
    role: TokenRole,
    uri: Option<String>,
    module: Option<PathBuf>,
    pin: Option<String>,
    environment: Vec<String>,
}

impl TokenFlags {
    fn choice(self, softhsm: Option<&PathBuf>) -> Result<TokenChoice, Misuse> {
        let role = self.role;
        let option = |rest: &str| format!("--{role}-{rest}");
        let Some(uri) = self.uri else {
            let stray = [
                ("module", self.module.is_some()),
                ("pin", self.pin.is_some()),
                ("env", !self.environment.is_empty()),
            ];
            return match stray.iter().find(|(_, given)| *given) {
                Some((rest, _)) => Err(Misuse::NoToken(option(rest), role)),
                None => Ok(TokenChoice::NewSoftHsm { module: softhsm.cloned() }),
            };
        };
        Ok(TokenChoice::Existing {
            module: self.module.ok_or(Misuse::NoModule(role))?,
            uri: value(&option("token"), Some(uri))?.ok_or(Misuse::NoModule(role))?,
            pin: value(&option("pin"), self.pin)?.unwrap_or(hsm::PinSource::Prompt),
            environment: self
                .environment
                .iter()
                .map(|text| match text.split_once('=') {
                    Some((name, value)) if !name.is_empty() => {
                        Ok((name.to_owned(), value.to_owned()))
                    }
                    _ => Err(Misuse::Value {
                        option: option("env"),
                        why: format!("'{text}' is not NAME=VALUE"),
                    }),
                })
                .collect::<Result<BTreeMap<_, _>, _>>()?,
        })
    }
}

fn value<T: std::str::FromStr<Err: std::fmt::Display>>(
    option: &str,
    text: Option<String>,
) -> Result<Option<T>, Misuse> {
    text.map(|text| {
        text.parse().map_err(|why: T::Err| Misuse::Value {
            option: option.to_owned(),
            why: why.to_string(),
        })
    })
    .transpose()
}

fn profile(text: &str) -> Result<ProfileName, Misuse> {
    let known = [ProfileName::VmcaCompat, ProfileName::Strict];
    known.into_iter().find(|profile| profile.to_string() == text).ok_or_else(|| Misuse::Value {
        option: "--profile".to_owned(),
        why: format!("there is no profile '{text}'; choose vmca-compat or strict"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Command, Flags, Paper, Question, Request, TokenChoice, Tool};
    use crate::base::KeyAlgorithm;
    use crate::config::{ProfileName, TokenRole};
    use clap::{CommandFactory, Parser};

    fn meant(line: &str) -> Result<Command, String> {
        let words = std::iter::once("sealwright").chain(line.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        Command::try_from(flags).map_err(|error| error.to_string())
    }

    fn request(line: &str) -> Request {
        match meant(line).unwrap() {
            Command::Init(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn init_without_options_means_the_defaults() {
        let request = request("init");
        assert!(request.host.is_none() && request.listen.is_none() && request.domain.is_none());
        assert!(request.key_algorithm.is_none() && request.profile.is_none());
        assert!(!request.allow_imported_ca_keys);
        for token in [request.ca_token, request.sealing_token] {
            assert!(matches!(token, TokenChoice::NewSoftHsm { module: None }));
        }
    }

    #[test]
    fn every_option_of_init_arrives() {
        let request = request(
            "init --hostname vc.example --domain corp.example --key-algorithm p-384 --profile strict \
             --listen 127.0.0.1:8443 --allow-imported-ca-keys --operator alice --operator bob \
             --softhsm-module /m.so --ca-token pkcs11:token=CA;serial=1 --ca-module /v.so \
             --ca-pin credential:ca --ca-env A=b=c",
        );
        assert_eq!(request.host.unwrap().to_string(), "vc.example");
        assert_eq!(request.domain.unwrap().to_string(), "corp.example");
        assert_eq!(request.key_algorithm, Some(KeyAlgorithm::P384));
        assert_eq!(request.profile, Some(ProfileName::Strict));
        assert_eq!(request.listen.unwrap().port(), 8443);
        assert_eq!(request.operators, ["alice", "bob"]);
        assert!(request.allow_imported_ca_keys);
        let TokenChoice::Existing { module, uri, pin, environment } = request.ca_token else {
            panic!("the CA token exists");
        };
        assert_eq!(module.to_str(), Some("/v.so"));
        assert_eq!((uri.label.as_deref(), uri.serial.as_deref()), (Some("CA"), Some("1")));
        assert_eq!(pin.to_string(), "credential:ca");
        assert_eq!(environment["A"], "b=c");
        let TokenChoice::NewSoftHsm { module } = request.sealing_token else {
            panic!("the sealing token is made");
        };
        assert_eq!(module.unwrap().to_str(), Some("/m.so"));
    }

    #[test]
    fn the_other_commands_are_understood() {
        let is = |line, test: fn(&Command) -> bool| assert!(test(&meant(line).unwrap()), "{line}");
        is("backup --out f", |c| matches!(c, Command::Backup { to } if to.as_os_str() == "f"));
        is("restore --from f", |c| matches!(c, Command::Restore { replace: false, .. }));
        is("restore --from f --replace", |c| matches!(c, Command::Restore { replace: true, .. }));
        is("ca list", |c| matches!(c, Command::Ask(Question::Authorities)));
        is("ca retire --id 3", |c| matches!(c, Command::Ask(Question::Retire(3))));
        is("doctor", |c| matches!(c, Command::Doctor { json: false }));
        is("doctor --json", |c| matches!(c, Command::Doctor { json: true }));
        is("man --out d", |c| matches!(c, Command::Print(Paper::Manual(_))));
        is("completions --shell bash --tool vecs-cli", |c| {
            matches!(c, Command::Print(Paper::Completions(_, Tool::VecsCli)))
        });
        is("token-workshop sealing", |c| matches!(c, Command::TokenWorkshop(TokenRole::Sealing)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_way_out() {
        let cases = [
            ("init --hostname a_b", "letters, digits"),
            ("init --domain 192.0.2.1", "no address"),
            ("init --key-algorithm rsa-1024", "rsa-3072"),
            ("init --profile lax", "vmca-compat or strict"),
            ("init --listen 443", "--listen"),
            ("init --ca-module /v.so", "--ca-token"),
            ("init --sealing-pin prompt", "--sealing-token"),
            ("init --ca-token pkcs11:token=x", "--ca-module"),
            ("init --ca-token pkcs11:slot-id=4 --ca-module /v.so", "--ca-token"),
            ("init --ca-token pkcs11:token=x --ca-module /v.so --ca-env A", "NAME=VALUE"),
            ("ca retire", "--id"),
            ("backup", "--out"),
            ("restore --replace", "--from"),
            ("token-workshop gateway", "ca or sealing"),
        ];
        for (line, way_out) in cases {
            let refused = meant(line).unwrap_err();
            assert!(refused.contains(way_out), "{line}: {refused}");
        }
    }

    #[test]
    fn the_command_line_is_consistent_and_hides_the_workshop() {
        Flags::command().debug_assert();
        let help = Flags::command().render_long_help().to_string();
        assert!(!help.contains("workshop"), "{help}");
    }
}
