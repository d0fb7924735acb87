//! NSS softokn: a certificate database, and a module that has to be told in `C_Initialize` where it lies.

use std::path::Path;
use std::process::Command;

use super::{Prepared, module, tool, write};
use crate::Failure;

const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
    "/usr/lib64/libsoftokn3.so",
    "/usr/lib/libsoftokn3.so",
];

/// A module that forwards to another one and adds the parameters. It is C, and made here, because nothing can be
/// exported from a library in safe Rust, and it is so short.
const SHIM: &str = include_str!("nss_parameters.c");

pub(super) fn prepare(
    state: &Path,
    beside: &Path,
    label: &str,
    pin: &str,
) -> Result<Prepared, Failure> {
    let remedy = "NSS softokn is missing: install the Debian packages libnss3 and libnss3-tools";
    let softokn = module("SOFTOKN_MODULE", &PLACES, remedy)?;
    let shim = beside.join("libnss_parameters.so");
    if !shim.exists() {
        let source = beside.join("nss_parameters.c");
        write(&source, SHIM)?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).arg("-ldl");
        tool("cc", "gcc", &mut compile)?;
    }
    let secret = state.join("certutil.pin");
    write(&secret, &format!("{pin}\n"))?;
    let database = format!("sql:{}", state.display());
    let mut make = Command::new("certutil");
    make.args(["-N", "-d", &database, "-f"]).arg(&secret);
    tool("certutil", "libnss3-tools", &mut make)?;
    let parameters = format!(
        "configDir='{database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= tokenDescription='{label}' \
         dbTokenDescription='{label}' cryptoTokenDescription='{label} mechanisms'"
    );
    Ok(Prepared {
        module: shim,
        environment: vec![
            ("NSS_PARAMETERS_MODULE".to_owned(), softokn.into()),
            ("NSS_PARAMETERS".to_owned(), parameters.into()),
        ],
        initialised: true,
        device: None,
    })
}
