//! kryoptic: one database file, and a file that names it.

use std::path::Path;

use super::{Prepared, module, write};
use crate::Failure;

/// Where `scripts/kryoptic` leaves the module.
const BUILT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/kryoptic/libkryoptic_pkcs11.so");

pub(super) fn prepare(state: &Path) -> Result<Prepared, Failure> {
    let remedy = "kryoptic is missing: run scripts/kryoptic, which builds it from crates.io";
    let places = [BUILT, "/usr/lib64/pkcs11/libkryoptic_pkcs11.so"];
    let module = module("KRYOPTIC_MODULE", &places, remedy)?;
    let configuration = state.join("kryoptic.conf");
    let database = state.join("token.sql");
    let text = format!(
        "[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = {:?}\n",
        database.display().to_string()
    );
    write(&configuration, &text)?;
    Ok(Prepared {
        module,
        environment: vec![("KRYOPTIC_CONF".to_owned(), configuration.into())],
        initialised: false,
        device: None,
    })
}
