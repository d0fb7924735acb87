//! The options of `sealwright rewrap`.

use clap::Args;

use super::RewrapWish;
use crate::cli::sealwright::Command;

const HELP: &str = "\
New keys are made in the sealing token; every stored private key is sealed under them, one after the
other; then the old keys are destroyed and the proof of it is printed. Services go on meanwhile. The
work is done by vmafdd: this command only watches it, may be interrupted, and joins what is under way
when it is run again. After a restart vmafdd goes on by itself.

When the old keys are destroyed, nobody can open the private keys in backups made before: make a new
backup then. With --keep-old the old keys stay until --destroy-old.

Exit status: 0 done (or, with --status, nothing is wrong), 1 failed, or entries do not open and the old
keys are kept for that.

Example:
  sealwright rewrap && sealwright backup --out /srv/backup/vc-new-keys.swbackup";

/// What can be said behind `sealwright rewrap`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(in super::super) struct RewrapFlags {
    /// Show how it stands, and change nothing
    #[arg(long, conflicts_with_all = ["keep_old", "destroy_old"])]
    status: bool,
    /// Keep the old keys when no entry needs them any more
    #[arg(long, conflicts_with = "destroy_old")]
    keep_old: bool,
    /// Destroy the old keys that were kept
    #[arg(long)]
    destroy_old: bool,
    /// Print the result as JSON (docs/OPERATIONS.md describes it), and no progress
    #[arg(long)]
    json: bool,
}

impl From<RewrapFlags> for Command {
    fn from(flags: RewrapFlags) -> Self {
        let RewrapFlags { status, keep_old, destroy_old, json } = flags;
        let wish = match (status, destroy_old) {
            (true, _) => RewrapWish::Status,
            (false, true) => RewrapWish::DestroyOld,
            (false, false) => RewrapWish::Begin { keep_old },
        };
        Self::Rewrap { wish, json }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::{RewrapFlags, RewrapWish};
    use crate::cli::sealwright::Command;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: RewrapFlags,
    }

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.flags.into())
    }

    #[test]
    fn every_wish_arrives() {
        for (line, meant, as_json) in [
            ("rewrap", RewrapWish::Begin { keep_old: false }, false),
            ("rewrap --keep-old --json", RewrapWish::Begin { keep_old: true }, true),
            ("rewrap --status", RewrapWish::Status, false),
            ("rewrap --destroy-old", RewrapWish::DestroyOld, false),
        ] {
            let Command::Rewrap { wish, json } = parsed(line).unwrap() else { panic!("{line}") };
            assert_eq!((wish, json), (meant, as_json), "{line}");
        }
    }

    #[test]
    fn wishes_that_contradict_each_other_are_refused() {
        for line in [
            "rewrap --status --keep-old",
            "rewrap --status --destroy-old",
            "rewrap --keep-old --destroy-old",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
