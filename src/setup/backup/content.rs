//! What a backup is made of.

use std::path::{Path, PathBuf};

use crate::base::{Layout, Service};
use crate::setup::progress;

/// The most octets of a database; far beyond what an appliance grows to.
const LARGEST_DATABASE: u64 = 1 << 40;
/// The most octets of any other file.
const LARGEST_TEXT: u64 = 1 << 20;

/// A file of the appliance that a backup holds.
///
/// There is no other: what is not listed here cannot get into an archive, nor out of one. Folders of
/// tokens and of PINs are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A service's database.
    Database(Service),
    /// The CA's chain as a file.
    RootCer,
    /// The template for requests.
    Template,
    /// `sealwright.toml`.
    Configuration,
    /// What set-up wrote down.
    Progress,
}

impl Part {
    /// Every part, in the order of archives.
    ///
    /// Databases come in the order in which data flows to its end: a certificate that `vmafdd` holds
    /// was issued before, so it is in the copy of `vmcad` that is made later. `init.json`, which says
    /// that everything is there, comes last.
    pub(super) const ALL: [Self; 7] = [
        Self::Database(Service::Vmafdd),
        Self::Database(Service::Vmdird),
        Self::Database(Service::Vmcad),
        Self::RootCer,
        Self::Template,
        Self::Configuration,
        Self::Progress,
    ];

    /// Its name in archives: the place below a root folder.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Database(Service::Vmafdd) => "lib/vmafdd/vmafdd.db",
            Self::Database(Service::Vmdird) => "lib/vmdird/vmdird.db",
            Self::Database(Service::Vmcad) => "lib/vmcad/vmcad.db",
            // The gateway has none; no list above has it.
            Self::Database(Service::Gateway) => "lib/gateway/gateway.db",
            Self::RootCer => "lib/vmca/root.cer",
            Self::Template => "etc/certool.cfg",
            Self::Configuration => "etc/sealwright.toml",
            Self::Progress => "lib/init.json",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Whether an appliance can be without it.
    pub(super) const fn is_optional(self) -> bool {
        matches!(self, Self::RootCer | Self::Template)
    }

    /// The most octets that it may have.
    pub(super) const fn bound(self) -> u64 {
        match self {
            Self::Database(_) => LARGEST_DATABASE,
            _ => LARGEST_TEXT,
        }
    }

    /// Mode of the restored file, as the part's own writer chooses it.
    pub(super) const fn mode(self) -> u32 {
        match self {
            Self::Database(_) | Self::Progress => 0o600,
            Self::Configuration => 0o640,
            Self::RootCer | Self::Template => 0o644,
        }
    }

    /// Where it lies in an appliance.
    pub(super) fn place(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Database(service) => layout.database(service),
            Self::RootCer => layout.root_cer(),
            Self::Template => layout.certool_template(),
            Self::Configuration => layout.config_file(),
            Self::Progress => progress::path(layout),
        }
    }

    /// The same with what SQLite puts beside a database. A log that is left beside another database
    /// would be taken for that database's own.
    pub(super) fn places(self, layout: &Layout) -> Vec<PathBuf> {
        let place = self.place(layout);
        let beside: &[&str] = match self {
            Self::Database(_) => &["-wal", "-shm", "-journal"],
            _ => &[],
        };
        std::iter::once(place.clone())
            .chain(beside.iter().map(|end| with_end(&place, end)))
            .collect()
    }

    /// A file name of its own in a folder of copies.
    pub(super) fn copy_in(self, folder: &Path) -> PathBuf {
        folder.join(self.name().replace('/', "-"))
    }
}

/// The path with something more at the end of its last name.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Part;
    use crate::base::Layout;
    use std::path::Path;

    #[test]
    fn names_in_archives_are_the_places_below_a_root_folder() {
        for part in Part::ALL {
            assert_eq!(part.place(&Layout::under("")), Path::new(part.name()));
            assert_eq!(Part::named(part.name()), Some(part));
        }
    }

    #[test]
    fn nothing_else_has_a_name() {
        for name in [
            "",
            "manifest.json",
            "lib/gateway/gateway.db",
            "lib/tokens/ca/softhsm2.conf",
            "etc/pins/ca.pin",
            "/etc/sealwright.toml",
            "./etc/sealwright.toml",
            "etc/../etc/sealwright.toml",
            "ETC/sealwright.toml",
            "etc/sealwright.toml/",
            "etc\\sealwright.toml",
        ] {
            assert_eq!(Part::named(name), None, "{name}");
        }
    }
}
