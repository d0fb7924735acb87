//! What an interrupted set-up must not do again.
//!
//! Most steps see by themselves whether they are done. One cannot: whether a token's initialisation
//! came to its end. That is written down here, and kept after the end as the sign that everything was
//! done.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Cause, files};
use crate::base::Layout;
use crate::config::TokenRole;

/// `init.json` in the state folder.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// URI of the CA token that was initialised.
    pub(super) ca_token: Option<String>,
    /// URI of the sealing token that was initialised.
    pub(super) sealing_token: Option<String>,
    /// Services that were started only for the set-up and must be stopped at its end.
    pub(super) started: Vec<String>,
    /// Everything was done once.
    pub(super) finished: bool,
}

impl Progress {
    /// Reads what was written down; nothing where the file is missing or not ours to understand, for
    /// then every step is looked at anew.
    pub(super) fn load(layout: &Layout) -> Self {
        std::fs::read(path(layout))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Writes it down, durably.
    pub(super) fn save(&self, layout: &Layout) -> Result<(), Cause> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::from)
            .map_err(Cause::file("cannot write", path(layout)))?;
        files::replace(&path(layout), 0o600, &[&text, b"\n"])
    }

    pub(super) const fn token(&mut self, role: TokenRole) -> &mut Option<String> {
        match role {
            TokenRole::Ca => &mut self.ca_token,
            TokenRole::Sealing => &mut self.sealing_token,
        }
    }
}

/// Where it lies.
pub(super) fn path(layout: &Layout) -> PathBuf {
    layout.state().join("init.json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Progress;
    use crate::base::Layout;

    #[test]
    fn what_was_written_down_is_there_next_time() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::under(root.path());
        assert_eq!(Progress::load(&layout), Progress::default());
        std::fs::create_dir(layout.state()).unwrap();
        let progress = Progress {
            ca_token: Some("pkcs11:token=x".to_owned()),
            finished: true,
            ..Progress::default()
        };
        progress.save(&layout).unwrap();
        assert_eq!(Progress::load(&layout), progress);
    }
}
