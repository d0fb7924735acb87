//! A PKCS#11 module that the image does not have: library, token and PIN come from outside, as docs/CONTAINERS.md says.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::contained::{Contained, give};
use crate::harness::{HOST, judge, text};
use crate::verify::verify;

/// Where this machine has the library that plays the stranger.
const LIBRARIES: [&str; 2] =
    ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];

const PIN: &str = "not-the-appliances-own";

#[test]
fn a_module_is_plugged_in_by_mounts_and_variables() {
    let Some(contained) = Contained::bare() else { return };
    let folder = contained.folder("module");
    let library = LIBRARIES.iter().map(Path::new).find(|path| path.is_file()).unwrap();
    std::fs::copy(library, folder.join("libvendor.so")).unwrap();
    std::fs::create_dir(folder.join("tokens")).unwrap();
    let configuration = folder.join("vendor.conf");
    let token = |place: &str| {
        format!(
            "directories.tokendir = {place}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
    };
    std::fs::write(&configuration, token(text(&folder))).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "external"])
        .args(["--so-pin", "the-officers", "--pin", PIN])
        .env("SOFTHSM2_CONF", &configuration)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::write(&configuration, token("/opt/vendor")).unwrap();
    for entry in walk(&folder) {
        give(&entry);
    }
    let secret = contained.folder("secrets").join("ca-pin");
    std::fs::write(&secret, PIN).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o400)).unwrap();
    give(&secret);

    let vendor = format!("{}:/opt/vendor", text(&folder));
    let secret = format!("{}:/run/secrets/ca-pin:ro", text(&secret));
    let mut options = vec!["--volume", &vendor, "--volume", &secret];
    for variable in [
        "SEALWRIGHT_CA_TOKEN=pkcs11:token=external",
        "SEALWRIGHT_CA_MODULE=/opt/vendor/libvendor.so",
        "SEALWRIGHT_CA_PIN_FROM=credential:ca-pin",
        "SEALWRIGHT_CA_ENV=SOFTHSM2_CONF=/opt/vendor/vendor.conf",
    ] {
        options.extend(["--env", variable]);
    }
    contained.create(&options, &["--hostname", HOST]);
    contained.wait_ready();
    let appliance = &contained.appliance;
    let config = std::fs::read_to_string(appliance.config()).unwrap();
    assert!(config.contains("module = \"/opt/vendor/libvendor.so\""), "{config}");
    assert!(!appliance.root().join("lib/tokens/ca/tokens").exists(), "a token was made, too");
    assert!(!contained.logs().contains(PIN) && !config.contains(PIN));
    let issued = appliance.certificate("one");
    contained.ready_again(|contained| contained.docker(&["restart"]));
    appliance.certificate("two");
    judge("openssl", &["verify", "-CAfile", text(&contained.root_cer()), text(&issued)]);
    // The CA's key is in the token from outside, and nowhere else.
    let listed = contained.exec_ok(&["sealwright", "ca", "list"]);
    assert!(listed.contains("active"), "{listed}");
    let objects = walk(&folder.join("tokens")).len();
    assert!(objects > 3, "only {objects} files in the token");
    verify(appliance);
}

/// A folder and everything below it.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walk(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
