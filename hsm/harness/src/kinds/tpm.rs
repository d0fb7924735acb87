//! A TPM 2.0: a process that keeps its state in a folder, and tpm2-pkcs11, which keeps its objects in a database.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Device, Prepared, module, write};
use crate::Failure;
use crate::error::Asked;

const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib64/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/pkcs11/libtpm2_pkcs11.so",
];

/// A bound on the start of a process of ours.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn prepare(state: &Path, beside: &Path) -> Result<Prepared, Failure> {
    let remedy = "tpm2-pkcs11 is missing: install the Debian packages swtpm and libtpm2-pkcs11-1";
    let module = module("TPM2_PKCS11_MODULE", &PLACES, remedy)?;
    let device = plug_in(state, beside)?;
    let place = format!("swtpm:host=127.0.0.1,port={}", port(beside)?);
    let store = state.join("store");
    std::fs::create_dir_all(&store).asked("make the folder of tpm2-pkcs11")?;
    let environment: Vec<(String, OsString)> = vec![
        ("TPM2_PKCS11_STORE".to_owned(), store.into()),
        ("TPM2_PKCS11_TCTI".to_owned(), place.into()),
        ("TPM2_PKCS11_LOG_LEVEL".to_owned(), "0".into()),
        ("TSS2_LOG".to_owned(), "all+none".into()),
    ];
    // The module makes its primary object and the token by itself when it is asked to initialise one.
    Ok(Prepared { module, environment, initialised: false, device: Some(device) })
}

/// Starts the TPM on the state that lies in the folder.
pub(super) fn plug_in(state: &Path, beside: &Path) -> Result<Device, Failure> {
    let port = port(beside)?;
    let child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "startup-clear,not-need-init"])
        .arg("--tpmstate")
        .arg(option("dir=", state))
        .args(["--server", &format!("type=tcp,bindaddr=127.0.0.1,port={port}")])
        .args(["--ctrl", &format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| {
            Failure::Missing("swtpm cannot be run: install the Debian package swtpm".to_owned())
        })?;
    let mut device = Device(child);
    // It serves one connection after the other, so nothing is asked of it here.
    let since = Instant::now();
    while !listens(port) || !listens(port + 1) {
        let ended = device.0.try_wait().asked("wait for swtpm")?;
        if ended.is_some() || since.elapsed() > PATIENCE {
            return Err(Failure::Said("swtpm does not listen".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(device)
}

/// Whether somebody listens there, as the kernel says (`/proc/net/tcp`, state 0A).
fn listens(port: u16) -> bool {
    let place = format!(" 0100007F:{port:04X} 00000000:0000 0A ");
    std::fs::read_to_string("/proc/net/tcp").is_ok_and(|sockets| sockets.contains(&place))
}

/// The port of this TPM, the same for its whole life: Debian's client speaks to it over TCP only, and asks for control at
/// the next port.
fn port(beside: &Path) -> Result<u16, Failure> {
    let file = beside.join("tpm.port");
    if let Some(port) = std::fs::read_to_string(&file).ok().and_then(|port| port.parse().ok()) {
        return Ok(port);
    }
    loop {
        let first = TcpListener::bind(("127.0.0.1", 0)).asked("find a free port")?;
        let port = first.local_addr().asked("find a free port")?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            write(&file, &port.to_string())?;
            return Ok(port);
        }
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
