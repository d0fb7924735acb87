//! SoftHSM: a folder, and a file that names it.

use std::path::{Path, PathBuf};

use super::{Prepared, module, write};
use crate::Failure;
use crate::error::Asked;

/// Where distributions put the module.
const PLACES: [&str; 7] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

pub(super) fn prepare(state: &Path) -> Result<Prepared, Failure> {
    let remedy = "SoftHSM is missing: install the Debian package softhsm2";
    let module = module("SOFTHSM2_MODULE", &PLACES, remedy)?;
    let configuration = configure(state)?;
    Ok(Prepared {
        module,
        environment: vec![("SOFTHSM2_CONF".to_owned(), configuration.into())],
        initialised: false,
        device: None,
    })
}

/// The configuration of a token that lies in this folder.
fn configure(state: &Path) -> Result<PathBuf, Failure> {
    let tokens = state.join("tokens");
    std::fs::create_dir_all(&tokens).asked("make the token folder")?;
    let configuration = state.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    write(&configuration, &text)?;
    Ok(configuration)
}
