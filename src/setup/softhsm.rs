//! SoftHSM as the default token: where its module lies, and a home of its own for each token.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Cause, files};
use crate::config::TokenSection;

/// Where distributions put the module.
const KNOWN_PLACES: [&str; 9] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/lib/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib64/softhsm/libsofthsm2.so",
];

/// What SoftHSM's tokens call their manufacturer (`CK_TOKEN_INFO`).
pub(super) const MANUFACTURER: &str = "SoftHSM project";

/// The variable that names SoftHSM's configuration.
pub(super) const CONFIGURATION_VARIABLE: &str = "SOFTHSM2_CONF";

/// Completes the section of a SoftHSM token that was there before: with the configuration that this
/// process found it by, which services would not have, and with its directory, so that it is
/// protected like one that was made here.
pub(super) fn complete(section: &mut TokenSection) {
    let name = CONFIGURATION_VARIABLE;
    if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
        section.environment.entry(name.to_owned()).or_insert(value);
    }
    let configuration = section.environment.get(name).map(PathBuf::from);
    section.directory = configuration.and_then(|configuration| token_directory(&configuration));
}

/// Where the tokens lie as files (`directories.tokendir`); `None` where it is not clear.
fn token_directory(configuration: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(configuration).ok()?;
    let setting = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == wanted).then(|| value.trim())
        })
    };
    let directory = PathBuf::from(setting("directories.tokendir")?);
    let as_files = setting("objectstore.backend").is_none_or(|backend| backend == "file");
    (as_files && directory.is_absolute() && directory.is_dir()).then_some(directory)
}

/// SoftHSM is not installed.
#[derive(Debug, thiserror::Error)]
#[error(
    "SoftHSM's module libsofthsm2.so is in none of the usual places. Install SoftHSM (Debian and \
     Ubuntu: apt-get install softhsm2; Fedora: dnf install softhsm), name the module with \
     --softhsm-module, or use tokens that exist with --ca-token and --sealing-token"
)]
pub struct NoModule;

/// The module, where it is in a place that we know.
pub(super) fn find_module() -> Result<PathBuf, NoModule> {
    KNOWN_PLACES.iter().map(PathBuf::from).find(|place| place.is_file()).ok_or(NoModule)
}

/// The folder of one SoftHSM token: the home that the layout gives it.
#[derive(Debug)]
pub(super) struct Home<'a>(pub(super) &'a Path);

impl Home<'_> {
    /// What `SOFTHSM2_CONF` names.
    pub(super) fn configuration(&self) -> PathBuf {
        self.0.join("softhsm2.conf")
    }

    /// Where SoftHSM keeps the token's objects.
    pub(super) fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }

    /// Makes the folders and the configuration, where they are missing.
    pub(super) fn make(&self) -> Result<(), Cause> {
        files::folder(self.0, 0o700)?;
        files::folder(&self.tokens(), 0o700)?;
        let text = format!(
            "# SoftHSM finds the token through this file; SOFTHSM2_CONF names it.\n\
             directories.tokendir = {}\n\
             objectstore.backend = file\n\
             log.level = ERROR\n\
             slots.removable = false\n",
            self.tokens().display()
        );
        files::write_once(&self.configuration(), 0o600, &[text.as_bytes()])?;
        Ok(())
    }

    /// Waits for the end of a workshop whose set-up was interrupted: it may still be making the token.
    /// It holds the lock of this name in the home of its token for as long as it works.
    pub(super) fn wait_for_workshop(&self) -> Result<(), Cause> {
        let path = self.0.join("workshop.lock");
        match File::open(&path) {
            Ok(file) => file.lock().map_err(Cause::file("cannot lock", path)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(Cause::file("cannot open", path)(cause)),
        }
    }

    /// Puts aside what an initialisation that did not come to its end has left, and says where.
    /// Nothing that might hold a key is ever deleted here.
    pub(super) fn put_aside(&self) -> Result<Option<PathBuf>, Cause> {
        let tokens = self.tokens();
        let empty = match fs::read_dir(&tokens) {
            Ok(mut entries) => entries.next().is_none(),
            Err(cause) if cause.kind() == ErrorKind::NotFound => true,
            Err(cause) => return Err(Cause::file("cannot read", tokens)(cause)),
        };
        if empty {
            return Ok(None);
        }
        let place = (1..)
            .map(|number: u32| self.0.join(format!("tokens.unfinished-{number}")))
            .find(|place| !place.exists())
            .unwrap_or_else(|| self.0.join("tokens.unfinished"));
        fs::rename(&tokens, &place).map_err(Cause::file("cannot put aside", tokens))?;
        Ok(Some(place))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Home, token_directory};

    #[test]
    fn what_is_unfinished_is_put_aside_and_never_deleted() {
        let root = tempfile::tempdir().unwrap();
        let home = Home(root.path());
        assert!(home.put_aside().unwrap().is_none());
        for number in 1..3 {
            home.make().unwrap();
            assert!(home.put_aside().unwrap().is_none());
            std::fs::write(home.tokens().join("token.object"), "a key").unwrap();
            let place = home.put_aside().unwrap().unwrap();
            assert!(place.ends_with(format!("tokens.unfinished-{number}")));
            assert!(place.join("token.object").exists());
            assert!(!home.tokens().exists());
        }
    }

    #[test]
    fn a_token_that_was_there_is_protected_where_its_directory_is_clear() {
        let root = tempfile::tempdir().unwrap();
        let home = Home(root.path());
        home.make().unwrap();
        let configuration = home.configuration();
        assert_eq!(token_directory(&configuration), Some(home.tokens()));
        let tokens = home.tokens().display().to_string();
        for text in [
            format!("directories.tokendir = {tokens}\nobjectstore.backend = db\n"),
            format!("# directories.tokendir = {tokens}\n"),
            format!("directories.tokendir = {tokens}/missing\n"),
            "directories.tokendir = tokens\n".to_owned(),
        ] {
            std::fs::write(&configuration, &text).unwrap();
            assert_eq!(token_directory(&configuration), None, "{text}");
        }
    }

    #[test]
    fn the_configuration_names_the_folder_of_this_token() {
        let root = tempfile::tempdir().unwrap();
        let home = Home(root.path());
        home.make().unwrap();
        let text = std::fs::read_to_string(home.configuration()).unwrap();
        let line = format!("\ndirectories.tokendir = {}\n", home.tokens().display());
        assert!(text.contains(&line), "{text}");
    }
}
