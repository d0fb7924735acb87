//! `sealwright doctor`: nothing to say about a healthy appliance, the right thing about a broken one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use hsm::Algorithm;
use hsm::provision::Workshop;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sealwright::config::Config;
use serde_json::Value;

use crate::harness::{Appliance, eventually, text};
use crate::verify::verify;

/// What the machine that runs the tests is like, and not the appliance.
const FACTS_OF_THE_MACHINE: [&str; 6] = [
    "machine.swap",
    "machine.secret-memory",
    "machine.core-pattern",
    "machine.clock",
    "machine.disk",
    "processes.token-folder",
];

/// A report, with the exit status that belongs to it.
struct Told(Value);

impl Told {
    fn by(appliance: &Appliance) -> Self {
        let said = appliance.run("sealwright", &["doctor", "--json"]);
        let value: Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{said:?}"));
        let status = match value["severity"].as_str().unwrap() {
            "ok" | "notice" => 0,
            "warning" => 1,
            "critical" => 2,
            other => panic!("no severity {other}"),
        };
        assert_eq!(said.status, status, "{said:?}");
        assert_eq!(said.stderr, "");
        for finding in value["findings"].as_array().unwrap() {
            for part in ["check", "severity", "what", "why", "action"] {
                assert!(!finding[part].as_str().unwrap().is_empty(), "{finding}");
            }
        }
        Self(value)
    }

    /// Severity and sentence of each finding above a notice that is not about the machine.
    fn faults(&self) -> Vec<(&str, &str, &str)> {
        let findings = self.0["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                let part = |name: &str| finding[name].as_str().unwrap();
                (part("check"), part("severity"), part("what"))
            })
            .filter(|(check, severity, _)| {
                *severity != "notice" && !FACTS_OF_THE_MACHINE.contains(check)
            })
            .collect()
    }

    /// There is a finding of this check, so bad, with these words; its place must be named by the check.
    #[track_caller]
    fn has(&self, check: &str, severity: &str, words: &str) -> &Self {
        let found = self
            .faults()
            .iter()
            .any(|(of, how, what)| *of == check && *how == severity && what.contains(words));
        assert!(found, "no {severity} of {check} with \"{words}\": {:#?}", self.faults());
        self
    }

    /// No check but these has anything to say.
    #[track_caller]
    fn only(&self, checks: &[&str]) -> &Self {
        let other: Vec<_> =
            self.faults().into_iter().filter(|(check, ..)| !checks.contains(check)).collect();
        assert!(other.is_empty(), "{other:#?}");
        self
    }

    #[track_caller]
    fn is_well(&self) -> &Self {
        self.only(&[])
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Every file of a folder with its content and the time of its last change.
fn snapshot(folder: &Path) -> String {
    let listed = Command::new("sh")
        .args(["-c", "find . -type f -printf '%p %m %T@ ' -exec sha256sum {} \\; | sort"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap()
}

const KEY_MAKER: &str = "doctor::makes_a_key_behind_the_back_of_vmcad_when_told_to";
const CONFIG_OF_KEY_MAKER: &str = "SEALWRIGHT_TEST_KEY_CONFIG";
const LABEL_OF_KEY_MAKER: &str = "SEALWRIGHT_TEST_KEY_LABEL";

/// Makes a key in the CA token that no record knows, in a process of its own: SoftHSM is found through
/// the environment.
fn foreign_key(appliance: &Appliance, label: &str) {
    let config = Config::load(&appliance.config()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", KEY_MAKER, "--nocapture"])
        .env(CONFIG_OF_KEY_MAKER, appliance.config())
        .env(LABEL_OF_KEY_MAKER, label)
        .envs(&config.ca.token.environment)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

#[test]
fn makes_a_key_behind_the_back_of_vmcad_when_told_to() {
    let Some(config) = std::env::var_os(CONFIG_OF_KEY_MAKER) else { return };
    let label = std::env::var(LABEL_OF_KEY_MAKER).unwrap();
    let config = Config::load(Path::new(&config)).unwrap();
    let workshop = Workshop::open(&config.ca.token.selection().unwrap()).unwrap();
    workshop.generate_signing_key(&label, Algorithm::P256).unwrap();
}

#[test]
fn a_healthy_appliance_is_told_so_and_nothing_is_changed() {
    let appliance = Appliance::running();
    // A key that no CA uses yet, but that is on record.
    appliance.ok("certool", &["--gencacsr", "--csrfile", "new.csr", "--newkey"]);
    let tokens = appliance.root().join("lib/tokens");
    let before = snapshot(&tokens);
    let told = Told::by(&appliance);
    told.is_well();
    assert_eq!(snapshot(&tokens), before, "the examination changed a token");

    let report = &told.0;
    assert_eq!(report["format"], 1);
    assert_eq!(report["node"], crate::harness::HOST);
    let ids: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    for id in ["files.pins", "token.ca.attempts", "token.sealing.attempts", "certificates.crl"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    // Every key was attacked, and told as software.
    for (role, keys) in [("ca", 2), ("sealing", 2)] {
        let token = &report["tokens"][role];
        assert_eq!(token["token"]["software"], true);
        let examined = token["keys"].as_array().unwrap();
        assert_eq!(examined.len(), keys);
        for key in examined {
            for observed in key["observations"].as_array().unwrap() {
                assert_eq!(observed["outcome"], "held", "{observed}");
            }
        }
        let software = report["findings"].as_array().unwrap().iter().any(|finding| {
            finding["check"] == format!("token.{role}.validation")
                && finding["severity"] == "notice"
                && finding["what"].as_str().unwrap().contains("not a validated module")
        });
        assert!(software, "{report:#}");
    }

    let said = appliance.run("sealwright", &["doctor"]);
    assert!(said.stdout.contains("[   ok   ] token.ca.attempts"), "{said:?}");
    assert!(said.stdout.contains("software token: not a validated module"), "{said:?}");
    // Nothing that is secret is repeated.
    let pin = std::fs::read_to_string(appliance.root().join("etc/pins/ca.pin")).unwrap();
    assert!(!said.stdout.contains(pin.trim()) && !report.to_string().contains(pin.trim()));
    verify(&appliance);
}

#[test]
fn files_that_are_open_or_do_not_belong_are_found() {
    let appliance = Appliance::running();
    let root = appliance.root();

    let pin = root.join("etc/pins/ca.pin");
    set_mode(&pin, 0o644);
    Told::by(&appliance)
        .has("files.pins", "critical", "ca.pin is open to others: its mode is 0644")
        .has("token.ca.examined", "critical", "chmod 600")
        .only(&["files.pins", "token.ca.examined"]);
    set_mode(&pin, 0o600);

    // Everybody may read the CA certificates beside a token, and nobody else may change them.
    let mut issuers = std::fs::read_dir(root.join("lib/tokens/ca/issuers")).unwrap();
    let issuer = issuers.next().unwrap().unwrap().path();
    set_mode(&issuer, 0o666);
    Told::by(&appliance)
        .has("files.token-folders", "critical", "0666")
        .only(&["files.token-folders"]);
    set_mode(&issuer, 0o644);

    let pins = root.join("etc/pins");
    set_mode(&pins, 0o750);
    Told::by(&appliance).has("files.pins", "critical", "0750").only(&["files.pins"]);
    set_mode(&pins, 0o700);

    let database = appliance.database("vmcad");
    set_mode(&database, 0o604);
    Told::by(&appliance).has("files.databases", "critical", "0604").only(&["files.databases"]);
    set_mode(&database, 0o600);

    set_mode(&appliance.config(), 0o666);
    Told::by(&appliance)
        .has("files.configuration", "critical", "0666")
        .only(&["files.configuration"]);
    set_mode(&appliance.config(), 0o640);

    let token = appliance.tokens("sealing");
    set_mode(&token, 0o711);
    Told::by(&appliance).has("files.token-folders", "critical", "0711");
    set_mode(&token, 0o700);

    let run = root.join("run");
    set_mode(&run, 0o777);
    Told::by(&appliance).has("files.sockets", "critical", "0777").only(&["files.sockets"]);
    set_mode(&run, 0o755);

    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    let dropped = root.join("lib/vmca/backup");
    std::fs::copy(appliance.file("k.priv"), &dropped).unwrap();
    Told::by(&appliance)
        .has("files.private-keys", "critical", text(&dropped))
        .only(&["files.private-keys"]);
    std::fs::remove_file(&dropped).unwrap();

    let public = root.join("lib/vmca/root.cer");
    let right = std::fs::read(&public).unwrap();
    let other = Appliance::new();
    std::fs::copy(other.root().join("lib/vmca/root.cer"), &public).unwrap();
    Told::by(&appliance)
        .has("files.root-cer", "critical", "is not the chain of the active CA")
        .only(&["files.root-cer"]);
    std::fs::write(&public, right).unwrap();

    Told::by(&appliance).is_well();
    verify(&appliance);
}

#[test]
fn keys_that_nobody_knows_are_found_and_a_substitute_is_worse_than_litter() {
    let appliance = Appliance::running();
    foreign_key(&appliance, "litter");
    let told = Told::by(&appliance);
    told.has("token.ca.strangers", "warning", "private key that nobody knows: label \"litter\"")
        .only(&["token.ca.strangers"]);
    assert!(told.faults().iter().all(|(_, severity, _)| *severity == "warning"));

    let ours = told.0["tokens"]["ca"]["keys"][0]["label"].as_str().unwrap();
    foreign_key(&appliance, ours);
    Told::by(&appliance)
        .has("token.ca.strangers", "critical", "as a substitute would")
        .only(&["token.ca.strangers"]);

    // Without vmcad there is nothing to compare with, and that is said instead of a guess.
    appliance.ok("service-control", &["--stop", "vmcad"]);
    let told = Told::by(&appliance);
    told.has("token.ca.examined", "warning", "could not be compared");
    assert!(!told.faults().iter().any(|(check, ..)| *check == "token.ca.strangers"));
    assert_eq!(told.0["tokens"]["ca"]["keys"].as_array().unwrap().len(), 3);
    // vmafdd's keys are in its database, which can be read without it.
    appliance.ok("service-control", &["--start", "vmcad"]);
    appliance.ok("service-control", &["--stop", "vmafdd"]);
    let told = Told::by(&appliance);
    assert!(!told.faults().iter().any(|(check, ..)| check.starts_with("token.sealing")));
    assert_eq!(told.0["tokens"]["sealing"]["keys"].as_array().unwrap().len(), 2);
    appliance.start();
    verify(&appliance);
}

#[test]
fn services_and_tokens_that_are_gone_are_found() {
    let appliance = Appliance::running();
    let victim = Pid::from_raw(appliance.pid("vmdird")).unwrap();
    kill_process(victim, Signal::KILL).unwrap();
    eventually("it is dead", || test_kill_process(victim).is_err());
    Told::by(&appliance)
        .has("services.health", "critical", "vmdird does not run")
        .only(&["services.health"]);
    appliance.start();

    let folder = appliance.tokens("ca");
    let away = folder.with_file_name("away");
    std::fs::rename(&folder, &away).unwrap();
    // A good answer of vmcad is good for the rest of its second.
    eventually("vmcad misses its token", || {
        let faults = Told::by(&appliance);
        faults.faults().iter().any(|(check, ..)| *check == "services.health")
    });
    Told::by(&appliance)
        .has("files.token-folders", "critical", "holds no token")
        .has("token.ca.examined", "critical", "cannot be examined")
        .has("services.health", "critical", "vmcad says")
        .only(&["files.token-folders", "token.ca.examined", "services.health"]);
    std::fs::rename(&away, &folder).unwrap();
    eventually("all is well again", || Told::by(&appliance).faults().is_empty());

    // Nothing runs: everything that cannot be seen is said.
    appliance.stop();
    let told = Told::by(&appliance);
    for service in ["vmafdd", "vmdird", "vmcad", "gateway"] {
        told.has("services.health", "critical", &format!("{service} does not run"));
    }
    appliance.start();
    verify(&appliance);
}

#[test]
fn a_wrong_pin_is_tried_once_and_not_at_all_after_a_service_was_refused() {
    let appliance = Appliance::running();
    let pin = appliance.root().join("etc/pins/ca.pin");
    let right = std::fs::read_to_string(&pin).unwrap();
    std::fs::write(&pin, "wrong-pin-wrong-pin").unwrap();
    // The service is logged in since before and does not notice.
    let told = Told::by(&appliance);
    told.has("token.ca.examined", "critical", "CKR_PIN_INCORRECT").only(&["token.ca.examined"]);
    assert!(!told.0.to_string().contains("wrong-pin"));

    appliance.ok("service-control", &["--restart", "vmcad"]);
    // The right PIN would be accepted now, so whoever tried it would find nothing wrong.
    std::fs::write(&pin, &right).unwrap();
    Told::by(&appliance).has("token.ca.examined", "critical", "no PIN is tried after that").has(
        "services.health",
        "critical",
        "PIN",
    );

    appliance.ok("service-control", &["--restart", "vmcad"]);
    eventually("all is well again", || Told::by(&appliance).faults().is_empty());
    verify(&appliance);
}

#[test]
fn a_risky_configuration_is_a_warning_and_none_at_all_is_critical() {
    let appliance = Appliance::running();
    appliance.configure("allow_imported_keys = false", "allow_imported_keys = true");
    appliance.configure("operators = []", "operators = [\"nobody-goes-by-this-name\"]");
    let told = Told::by(&appliance);
    told.has("configuration.imported-keys", "warning", "allow_imported_keys")
        .has("configuration.users", "warning", "nobody-goes-by-this-name")
        .only(&["configuration.imported-keys", "configuration.users"]);
    assert_eq!(told.0["severity"], "warning");

    let broken = std::fs::read_to_string(appliance.config()).unwrap() + "\n[nonsense]\n";
    let good = std::fs::read_to_string(appliance.config()).unwrap();
    std::fs::write(appliance.config(), broken).unwrap();
    Told::by(&appliance).has("configuration.readable", "critical", "nonsense");
    std::fs::write(appliance.config(), good).unwrap();

    // Somebody who may not look is not told that everything is missing.
    if rustix::process::geteuid().is_root() {
        set_mode(&appliance.config(), 0o644);
        set_mode(appliance.root().parent().unwrap(), 0o755);
        let program = appliance.root().parent().unwrap().join("sealwright");
        std::fs::copy(env!("CARGO_BIN_EXE_sealwright"), &program).unwrap();
        set_mode(&program, 0o755);
        let said = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args([&program, Path::new("doctor")])
            .env("SEALWRIGHT_ROOT", appliance.root())
            .current_dir("/")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert!(text.contains("2 checks: 1 critical") && text.contains("as root"), "{text}");
    }

    let bare = Appliance::bare();
    Told::by(&bare).has("configuration.readable", "critical", "sealwright init");
}
