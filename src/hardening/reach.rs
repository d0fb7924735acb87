//! Which files a token agent can reach, and whom it can speak to (Landlock).

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use rustix::fs::FileType;

use super::report::{Absent, Measure, Outcome, Report};

/// What every program reads that loads a shared library: libraries, their configuration, random numbers, the time zone,
/// and what the C library asks the kernel about the machine. No folder with data of somebody.
const SYSTEM: [&str; 23] = [
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/etc/ld.so.cache",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/usr/share/crypto-policies",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    // Only while the kernel remembers the folder, so that nothing may depend on it.
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
];

/// The newest rights that were tried with this program. On an older kernel the newer ones are left out, and the report
/// says so.
const FILES: ABI = ABI::V5;
const NETWORK: ABI = ABI::V4;
const SCOPE: ABI = ABI::V6;

const READ: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// What is handed over.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    pub(super) readable: &'a [PathBuf],
    pub(super) writable: &'a [PathBuf],
    /// The module is the client of a device on the network.
    pub(super) network: bool,
}

impl Reach<'_> {
    /// Restricts this thread, and what it starts.
    pub(super) fn restrict(&self, report: &mut Report) -> Result<(), RulesetError> {
        let all = AccessFs::from_all(FILES);
        let mut ruleset = Ruleset::default().handle_access(all)?.scope(Scope::from_all(SCOPE))?;
        if !self.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(NETWORK))?;
        }
        let mut ruleset = ruleset.create()?;
        for path in SYSTEM {
            // What a distribution does not have is not missed.
            if let Ok(opened) = PathFd::new(path) {
                ruleset = below(ruleset, opened, READ)?;
            }
        }
        let readable = self.readable.iter().map(|path| (path, READ));
        // Everything but execution.
        let writable = self.writable.iter().map(|path| (path, all & !AccessFs::Execute));
        for (path, access) in readable.chain(writable) {
            match PathFd::new(path) {
                Ok(opened) => ruleset = below(ruleset, opened, access)?,
                Err(cause) => report
                    .absent
                    .push(Absent { path: path.clone(), why: crate::base::sentences(&cause) }),
            }
        }
        let status = ruleset.restrict_self()?;
        self.say(&status.landlock, report);
        Ok(())
    }

    fn say(&self, landlock: &LandlockStatus, report: &mut Report) {
        let abi = match landlock {
            LandlockStatus::Available { effective_abi, .. } => *effective_abi as i32,
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
        };
        let missing = |what: &str, since: &str| {
            Outcome::Missing(format!("{what}; it comes with Linux {since}"))
        };
        report.add(
            Measure::Files,
            match abi {
                ..1 => Outcome::Missing(
                    "the kernel offers no Landlock; use Linux 5.13 or later with lsm=landlock"
                        .to_owned(),
                ),
                1..3 => Outcome::Partly(
                    "this kernel does not know that cutting a file is writing; Linux 6.2 does"
                        .to_owned(),
                ),
                3..5 => Outcome::Partly(
                    "this kernel does not restrict commands to devices; Linux 6.10 does".to_owned(),
                ),
                5.. => Outcome::Enforced,
            },
        );
        report.add(
            Measure::Network,
            match abi {
                _ if self.network => Outcome::SwitchedOff,
                ..4 => missing("this kernel's Landlock does not restrict TCP", "6.7"),
                4.. => Outcome::Enforced,
            },
        );
        report.add(
            Measure::Scope,
            match abi {
                ..6 => missing("this kernel's Landlock does not restrict signals", "6.12"),
                6.. => Outcome::Enforced,
            },
        );
    }
}

/// A file takes the rights of files only.
fn below(
    ruleset: RulesetCreated,
    opened: PathFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let is_folder = rustix::fs::fstat(&opened)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_dir());
    let access = if is_folder { access } else { access & AccessFs::from_file(FILES) };
    ruleset.add_rule(PathBeneath::new(opened, access))
}
