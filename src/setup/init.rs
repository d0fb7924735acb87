//! The steps in their order.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use hsm::PinSource;

use super::lock::Lock;
use super::progress::Progress;
use super::step::{Done, Progression};
use super::{
    Cause, Error, Step, authority, configuration, files, machine, ownership, sealing_keys,
    services, tokens, trust,
};
use crate::base::{Clock, Layout, Service, SystemClock, UnixTime};
use crate::cli::sealwright::{HostName, NotAName, Request, TokenChoice, say};
use crate::client::Client;
use crate::config::{self, Config, TokenRole};
use crate::hardening;
use crate::supervise::Supervisor;

/// Octets in the path of a Unix socket (`sun_path`, unix(7)), without the zero at its end.
const LONGEST_SOCKET_PATH: usize = 107;
/// A new RSA key in a slow token takes its time.
const ANSWER_DEADLINE: Duration = Duration::from_secs(300);

/// How it came out.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something was missing and has been made.
    SetUp,
    /// Everything was there; nothing was changed.
    NothingChanged {
        /// What was asked for and is not so.
        differences: Vec<String>,
    },
}

/// Sets the appliance up, or continues a set-up that was interrupted.
///
/// `request` counts only where there is no configuration yet: what is there is never changed.
///
/// # Errors
/// See [`Error`]: which step failed, why, and what to do.
pub fn init(layout: &Layout, request: &Request, out: &mut dyn Write) -> Result<Outcome, Error> {
    let told = &mut Progression::new(out);
    let outcome = set_up(layout, request, told)?;
    told.finish()?;
    Ok(outcome)
}

fn set_up(
    layout: &Layout,
    request: &Request,
    told: &mut Progression<'_>,
) -> Result<Outcome, Error> {
    check_places(layout)?;
    hardening::harden().map_err(Cause::from).map_err(stopped(Step::Folders))?;
    let _lock = Lock::take(layout)?;
    let mut progress = Progress::load(layout);
    let config = match Config::load(&layout.config_file()) {
        Ok(config) if progress.finished => {
            told.say(&format!("{} is already set up: nothing changed.", config.node.name));
            return Ok(Outcome::NothingChanged { differences: request.differences(&config) });
        }
        Ok(config) => {
            same_as_before(layout, request, &config)?;
            told.say(&format!("Setting up {} continues:", config.node.name));
            told.step(Step::Folders, folders(layout))?;
            told.step(Step::Configuration, configuration::write(layout, &config))?;
            config
        }
        Err(config::Error::Missing(_)) => configure(layout, request, &mut progress, told)?,
        Err(error) => return Err(stopped(Step::Configuration)(error.into())),
    };
    run_services(layout, &config, &mut progress, told)?;
    told.step(Step::Finish, finish(layout, &mut progress))?;
    told.say(&farewell(layout, &config));
    Ok(Outcome::SetUp)
}

/// An interrupted set-up goes on with what it was asked for; something else would be made from two
/// halves.
fn same_as_before(layout: &Layout, request: &Request, config: &Config) -> Result<(), Error> {
    let differences = request.differences(config);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Unusable(format!(
        "the set-up that was interrupted asked for something else: {}. Run it without these options, or change {} \
         first",
        differences.join(", "),
        layout.config_file().display(),
    )))
}

fn stopped(step: Step) -> impl FnOnce(Cause) -> Error {
    move |cause| Error::Stopped { step, cause }
}

/// What can be known before anything is made.
pub(super) fn check_places(layout: &Layout) -> Result<(), Error> {
    for service in Service::ALL {
        let socket = layout.socket(service);
        let length = socket.as_os_str().len();
        if length > LONGEST_SOCKET_PATH {
            return Err(Error::Unusable(format!(
                "the path of the root folder is too long: the socket {} would have {length} octets, and Unix \
                 sockets take {LONGEST_SOCKET_PATH}; choose a shorter folder with --root",
                socket.display()
            )));
        }
    }
    let root = layout.state();
    if root.to_str().is_none_or(|text| text.contains(char::is_control)) {
        return Err(Error::Unusable(format!(
            "the path of the root folder, {root:?}, has characters that configuration files cannot hold; choose \
             another one with --root"
        )));
    }
    Ok(())
}

/// Setting up asks for a PIN more than once: to look at the token, to make keys, and when it starts
/// the service that will use it.
fn check_descriptors(request: &Request) -> Result<(), Error> {
    for (role, token) in
        [(TokenRole::Ca, &request.ca_token), (TokenRole::Sealing, &request.sealing_token)]
    {
        if let TokenChoice::Existing { pin: PinSource::Descriptor(number), .. } = token
            && !std::fs::metadata(format!("/dev/fd/{number}")).is_ok_and(|found| found.is_file())
        {
            return Err(Error::Unusable(format!(
                "--{role}-pin fd:{number} is not open on a regular file: setting up needs the PIN more than once, and \
                 a pipe gives it once. Open a file of mode 0600 on it, or use file:PATH, credential:NAME or prompt"
            )));
        }
    }
    Ok(())
}

/// The name that this machine's kernel goes by.
fn own_name() -> Result<HostName, Error> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().parse().map_err(|refused: NotAName| {
        Error::Unusable(format!(
            "the name of this machine cannot be used: {refused}. Say with --hostname by which name clients reach it"
        ))
    })
}

/// Makes what needs no service: folders, tokens, the configuration.
fn configure(
    layout: &Layout,
    request: &Request,
    progress: &mut Progress,
    told: &mut Progression<'_>,
) -> Result<Config, Error> {
    let host = match &request.host {
        Some(host) => host.clone(),
        None => own_name()?,
    };
    check_descriptors(request)?;
    told.say(&format!("Setting up {host}:"));
    told.step(Step::Folders, folders(layout))?;
    let ca_token = told.result_of(
        Step::CaToken,
        tokens::token(layout, TokenRole::Ca, &request.ca_token, progress),
    )?;
    let sealing_token = told.result_of(
        Step::SealingToken,
        tokens::token(layout, TokenRole::Sealing, &request.sealing_token, progress),
    )?;
    let config = configuration::of(&host, request, ca_token, sealing_token);
    told.step(Step::Configuration, configuration::write(layout, &config))?;
    Ok(config)
}

/// Makes what services make, and stops those that were started for it, however it came out.
fn run_services(
    layout: &Layout,
    config: &Config,
    progress: &mut Progress,
    told: &mut Progression<'_>,
) -> Result<(), Error> {
    let supervisor = Supervisor::without_systemd(layout.clone())
        .map_err(|error| stopped(Step::Services)(error.into()))?;
    let turn = supervisor
        .turn(|| say("service-control is at work; waiting until it has finished"))
        .map_err(|error| stopped(Step::Services)(error.into()))?;
    let begun = SystemClock.now();
    let worked = told
        .step(Step::Services, services::start(layout, &turn, progress))
        .and_then(|()| certify(layout, config, begun, told));
    let ended = services::stop(&turn, progress).and_then(|()| progress.save(layout));
    worked?;
    ended.map_err(stopped(Step::Finish))
}

fn certify(
    layout: &Layout,
    config: &Config,
    begun: UnixTime,
    told: &mut Progression<'_>,
) -> Result<(), Error> {
    let client = |service| Client::new(&layout.socket(service), ANSWER_DEADLINE);
    let (vmafdd, vmcad) = (client(Service::Vmafdd), client(Service::Vmcad));
    let host: HostName = config
        .node
        .name
        .parse()
        .map_err(|error: NotAName| Error::Unusable(format!("sealwright.toml: {error}")))?;
    told.step(Step::SealingKeys, sealing_keys::ensure(&vmafdd, begun))?;
    let ca_key = told.result_of(Step::Authority, authority::ensure(&vmcad, &config.node))?;
    told.step(Step::MachineCertificate, machine::ensure(&vmafdd, &vmcad, &host, ca_key))?;
    told.step(Step::TrustedRoots, trust::ensure(&vmafdd, &vmcad))
}

/// Modes: private is what holds databases, tokens and PINs; clients must reach the sockets, the
/// template and the CA's certificate.
pub(super) fn folders(layout: &Layout) -> Result<Done, Cause> {
    let state = layout.state();
    let configuration = layout.config_file();
    let mut made = files::folder(&state, files::PASSAGE)?;
    if let Some(folder) = configuration.parent() {
        made |= files::folder(folder, 0o755)?;
    }
    made |= files::folder(&layout.pins(), 0o700)?;
    made |= files::folder(&layout.run(), 0o755)?;
    // The gateway has no database.
    let databases = services::NEEDED.map(|service| layout.database(service));
    let logs = Service::ALL.map(|service| layout.log_file(service));
    for file in databases.iter().chain(&logs) {
        if let Some(folder) = file.parent() {
            made |= files::folder(folder, 0o700)?;
        }
    }
    if let Some(folder) = layout.root_cer().parent() {
        made |= files::folder(folder, 0o755)?;
    }
    let place = layout.root().unwrap_or(&state).display().to_string();
    Ok(if made { Done::Made(format!("made under {place}")) } else { Done::Found(place) })
}

fn finish(layout: &Layout, progress: &mut Progress) -> Result<Done, Cause> {
    progress.finished = true;
    progress.save(layout)?;
    Ok(Done::Made(if ownership::hand_over(layout)? {
        "services stopped, files given to the user sealwright".to_owned()
    } else {
        "services stopped".to_owned()
    }))
}

fn farewell(layout: &Layout, config: &Config) -> String {
    let root = layout.root().map_or_else(String::new, |root| {
        format!("  export SEALWRIGHT_ROOT='{}'\n", root.display())
    });
    let own_pins = [TokenRole::Ca, TokenRole::Sealing].iter().any(|role| {
        let file = config.token(*role).pin.strip_prefix("file:");
        file.is_some_and(|file| Path::new(file).starts_with(layout.pins()))
    });
    let pins = if own_pins {
        format!(
            "\n  {}\n      the PINs of the tokens: back them up apart from the tokens",
            layout.pins().display()
        )
    } else {
        String::new()
    };
    format!(
        "\n{name} is set up. How to go on:\n{root}  \
         service-control --start --all      start every service; the gateway listens on {listen}\n  \
         service-control --status           see what runs\n  \
         certool --help                     make keys and certificates\n\n  \
         {root_cer}\n      the CA's certificate: what clients must trust\n  \
         {template}\n      the template for certificate requests: copy it, then change the copy{pins}",
        name = config.node.name,
        listen = config.gateway.listen,
        root_cer = layout.root_cer().display(),
        template = layout.certool_template().display(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{check_places, folders, init};
    use crate::base::{KeyAlgorithm, Layout};
    use crate::cli::sealwright::{Request, TokenChoice};
    use crate::setup::Error;
    use crate::setup::step::Done;
    use std::os::unix::fs::PermissionsExt;

    fn request() -> Request {
        Request {
            host: None,
            domain: None,
            key_algorithm: Some(KeyAlgorithm::P256),
            profile: None,
            listen: None,
            allow_imported_ca_keys: false,
            operators: Vec::new(),
            ca_token: TokenChoice::NewSoftHsm { module: None },
            sealing_token: TokenChoice::NewSoftHsm { module: None },
        }
    }

    #[test]
    fn a_path_that_is_too_long_for_sockets_is_refused_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        // The longest socket is <root>/run/gateway.sock.
        let left = 107 - folder.path().as_os_str().len() - "/".len() - "/run/gateway.sock".len();
        let fits = folder.path().join("a".repeat(left));
        assert!(check_places(&Layout::under(&fits)).is_ok());

        let long = folder.path().join("a".repeat(left + 1));
        let layout = Layout::under(&long);
        let refused = init(&layout, &request(), &mut Vec::new()).unwrap_err();
        assert!(matches!(refused, Error::Unusable(_)), "{refused:?}");
        assert!(refused.to_string().contains("108 octets"), "{refused}");
        assert!(!long.exists());
    }

    #[test]
    fn folders_are_made_once_with_their_modes() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        assert!(matches!(folders(&layout).unwrap(), Done::Made(_)));
        assert!(matches!(folders(&layout).unwrap(), Done::Found(_)));
        let mode = |name: &str| {
            let found = std::fs::metadata(root.path().join(name)).unwrap();
            found.permissions().mode() & 0o777
        };
        for (name, expected) in [
            ("etc", 0o755),
            ("etc/pins", 0o700),
            ("lib", 0o711),
            ("lib/vmca", 0o755),
            ("lib/vmafdd", 0o700),
            ("run", 0o755),
            ("log", 0o700),
        ] {
            assert_eq!(mode(name), expected, "{name}");
        }
    }
}
