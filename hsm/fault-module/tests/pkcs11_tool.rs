//! OpenSC's `pkcs11-tool` works through the module: unharmed without a rule, and harmed as the rules say. OpenSSL judges.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fault_module::{CONTROL, Control, Controller, Count, REAL, RULES, library};

const DIGEST: [u8; 32] = [7; 32];

/// A SoftHSM token with a P-256 key, and programs that use it through the module.
struct Place(tempfile::TempDir);

impl Place {
    /// `None` where a program is not installed.
    fn new() -> Option<Self> {
        for program in ["softhsm2-util", "pkcs11-tool", "openssl"] {
            if Command::new(program).arg("--help").output().is_err() {
                eprintln!("LOUD: there is no {program}, so the fault module is NOT tried with it");
                return None;
            }
        }
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("tokens")).unwrap();
        let tokens = place.path("tokens");
        let text =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        std::fs::write(place.path("softhsm2.conf"), text).unwrap();
        std::fs::write(place.path("digest"), DIGEST).unwrap();
        let words =
            ["--init-token", "--free", "--label", "t", "--pin", "123456", "--so-pin", "123456"];
        let made = Command::new("softhsm2-util")
            .args(words)
            .env("SOFTHSM2_CONF", place.path("softhsm2.conf"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let words = ["--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "k"];
        place.ok(&words, &[]);
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `pkcs11-tool` with this module.
    fn command(&self, module: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("pkcs11-tool");
        command
            .arg("--module")
            .arg(module)
            .args(["--token-label", "t", "--login", "--pin", "123456"])
            .args(words)
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env(REAL, real())
            .env_remove(CONTROL)
            .env_remove(RULES)
            .current_dir(self.0.path());
        command
    }

    fn tool(&self, words: &[&str], environment: &[(&str, &Path)]) -> Output {
        let mut command = self.command(&library().unwrap(), words);
        command.envs(environment.iter().copied()).output().unwrap()
    }

    /// What it printed; it must succeed.
    fn ok(&self, words: &[&str], environment: &[(&str, &Path)]) -> String {
        let output = self.tool(words, environment);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether OpenSSL verifies a signature made under these rules.
    fn signs(&self, environment: &[(&str, &Path)]) -> bool {
        let format = ["--signature-format", "openssl"];
        let words = ["--sign", "--mechanism", "ECDSA", "--id", "01", "--input-file", "digest"];
        self.ok(&[&words[..], &format, &["--output-file", "signature"]].concat(), environment);
        let words = ["--read-object", "--type", "pubkey", "--id", "01", "--output-file", "key.der"];
        self.ok(&words, &[]);
        let words = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der"];
        let verify = Command::new("openssl")
            .args(words)
            .args(["-in", "digest", "-sigfile", "signature"])
            .current_dir(self.0.path())
            .output();
        verify.unwrap().status.success()
    }
}

fn real() -> PathBuf {
    let named = std::env::var_os("SOFTHSM2_MODULE");
    named.unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into()).into()
}

#[test]
fn without_a_rule_nothing_is_harmed() {
    let Some(place) = Place::new() else { return };
    let listed = place.ok(&["--list-objects"], &[]);
    let directly = place.command(&real(), &["--list-objects"]).output().unwrap();
    let lines = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(
        listed.contains("Private Key Object; EC") && listed.contains("label:      k"),
        "{listed}"
    );
    assert_eq!(lines(&listed), lines(&String::from_utf8(directly.stdout).unwrap()));
    assert!(place.signs(&[]));
}

#[test]
fn rules_of_the_environment_and_of_a_file_harm_it() {
    let Some(place) = Place::new() else { return };
    assert!(!place.signs(&[(RULES, Path::new("C_Sign flip"))]));
    let file = place.path("rules");
    std::fs::write(&file, "# a broken signature unit\nC_Sign flip # for ever\n").unwrap();
    assert!(!place.signs(&[(RULES, &file)]));
    // Found, and cut short.
    let cut = place
        .ok(&["--list-objects"], &[(RULES, Path::new("C_GetAttributeValue truncate=0x102:0"))]);
    assert!(cut.contains("label:      k") && !cut.contains("ID:"), "{cut}");
    let refused = place.tool(&["--list-objects"], &[(RULES, Path::new("C_Login answer=0xa4"))]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("CKR_PIN_LOCKED"), "{told}");
    let exited = place.tool(&["--list-objects"], &[(RULES, Path::new("C_Login exit=42"))]);
    assert_eq!(exited.status.code(), Some(42));
}

#[test]
fn what_makes_no_sense_is_said_and_not_passed_over() {
    let Some(place) = Place::new() else { return };
    for (environment, why) in [
        (vec![(RULES, "C_Sing flip")], "'C_Sing' is no function"),
        (vec![(CONTROL, "nobody"), (RULES, "C_Sign flip")], "not both"),
        (vec![(CONTROL, "nobody")], "is not let in"),
        (vec![(REAL, "/no-such-module.so")], "/no-such-module.so cannot be used"),
    ] {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (*name, Path::new(value))).collect();
        let output = place.tool(&["--list-objects"], &environment);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(why), "{why}: {told}");
    }
}

#[test]
fn a_control_socket_rules_and_counts_every_process() {
    let Some(place) = Place::new() else { return };
    let socket = place.path("control");
    let _controller = Controller::listen(&socket, Vec::new()).unwrap();
    let control = Control::connect(&socket).unwrap();
    control.add("C_Sign flip skip=1 count=1").unwrap();
    assert!(control.add("C_Sign twice").is_err());
    let environment = [(CONTROL, socket.as_path())];
    // The first call goes by, in another process than the second.
    let signed: Vec<_> = (0..3).map(|_| place.signs(&environment)).collect();
    assert_eq!(signed, [true, false, true]);
    assert_eq!(control.rules().unwrap(), ["C_Sign flip count=0"]);
    let counts = control.counts().unwrap();
    assert_eq!(counts.of("C_Sign"), Count { calls: 3, inside: 0, most: 1 });
    assert_eq!((counts.calls("C_Login"), counts.calls("C_Initialize")), (3, 3));
    // One that ends inside a call is outside of it.
    control.reset().unwrap();
    control.add("C_Login abort").unwrap();
    assert!(!place.tool(&["--list-objects"], &environment).status.success());
    control.clear().unwrap();
    let counted = wait_for(&control, |count| count.inside == 0);
    assert_eq!(counted, Count { calls: 1, inside: 0, most: 1 });
}

#[test]
fn what_hangs_is_released_or_ends_with_its_process() {
    let Some(place) = Place::new() else { return };
    let socket = place.path("control");
    let _controller = Controller::listen(&socket, Vec::new()).unwrap();
    let control = Control::connect(&socket).unwrap();
    control.add("C_Login hang").unwrap();
    std::thread::scope(|scope| {
        let listing = scope.spawn(|| place.ok(&["--list-objects"], &[(CONTROL, &socket)]));
        wait_for(&control, |count| count.inside == 1);
        assert!(!listing.is_finished());
        control.release().unwrap();
        assert!(listing.join().unwrap().contains("label:      k"));
    });
    let mut hung = place.command(&library().unwrap(), &["--list-objects"]);
    let mut hung = hung.env(CONTROL, &socket).spawn().unwrap();
    wait_for(&control, |count| count.inside == 1);
    hung.kill().unwrap();
    hung.wait().unwrap();
    wait_for(&control, |count| count.inside == 0);
}

/// Waits for a fact about `C_Login`; the test's own time limit is the deadline.
fn wait_for(control: &Control, fact: impl Fn(Count) -> bool) -> Count {
    loop {
        let count = control.counts().unwrap().of("C_Login");
        if fact(count) {
            return count;
        }
        std::thread::yield_now();
    }
}
