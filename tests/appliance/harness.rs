//! One appliance per test: a fresh root folder, fresh SoftHSM tokens, real services.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for a fact that a background job brings about. Only a bound: the wait ends
/// as soon as the fact is there, and nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The host name that every test appliance goes by.
pub const HOST: &str = "machine1.example.test";

/// What a tool said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// An appliance under a folder of its own; its services are stopped when it is dropped.
pub struct Appliance {
    folder: tempfile::TempDir,
    pub port: u16,
    /// The folder of the programs, where it is not that of the build.
    programs: Option<PathBuf>,
}

impl Appliance {
    /// Set up with a P-256 CA, because most tests are not about RSA and its keys take long to make.
    pub fn new() -> Self {
        Self::with(&["--key-algorithm", "p-256"])
    }

    /// Set up and running.
    pub fn running() -> Self {
        let appliance = Self::new();
        appliance.start();
        appliance
    }

    /// Set up with these further options of `sealwright init`.
    pub fn with(options: &[&str]) -> Self {
        let appliance = Self::bare();
        let said = appliance.init(options);
        assert_eq!(said.status, 0, "init failed: {said:?}\n{}", appliance.logs());
        appliance
    }

    /// Set up and running, with the programs of this folder.
    pub fn of_programs(programs: &Path) -> Self {
        let mut appliance = Self::bare();
        appliance.programs = Some(programs.to_owned());
        let said = appliance.init(&["--key-algorithm", "p-256"]);
        assert_eq!(said.status, 0, "init failed: {said:?}\n{}", appliance.logs());
        appliance.start();
        appliance
    }

    /// An empty folder: not set up.
    pub fn bare() -> Self {
        require("softhsm2-util", "softhsm2");
        require("openssl", "openssl");
        let folder = tempfile::Builder::new().prefix("sw").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, port: free_port(), programs: None }
    }

    /// Runs `sealwright init` for this folder and port.
    pub fn init(&self, options: &[&str]) -> Said {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut words = vec!["init", "--hostname", HOST, "--listen", &listen];
        words.extend(options);
        self.run("sealwright", &words)
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("r")
    }

    /// A path in the folder in which tools run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    pub fn config(&self) -> PathBuf {
        self.root().join("etc/sealwright.toml")
    }

    /// Changes the configuration by replacing text that must be there.
    pub fn configure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "'{from}' is not in the configuration:\n{text}");
        std::fs::write(self.config(), text.replacen(from, to, 1)).unwrap();
    }

    pub fn command(&self, tool: &str) -> Command {
        let program =
            self.programs.as_ref().map_or_else(|| program(tool).into(), |folder| folder.join(tool));
        let mut command = Command::new(program);
        command
            .env("SEALWRIGHT_ROOT", self.root())
            .env_remove("SOFTHSM2_CONF")
            .current_dir(self.folder.path().join("work"));
        command
    }

    pub fn run(&self, tool: &str, words: &[&str]) -> Said {
        self.command(tool).args(words).stdin(Stdio::null()).output().unwrap().into()
    }

    pub fn run_with_input(&self, tool: &str, words: &[&str], input: &str) -> Said {
        let mut child = self
            .command(tool)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Runs a tool that must succeed; its standard output.
    pub fn ok(&self, tool: &str, words: &[&str]) -> String {
        let said = self.run(tool, words);
        assert_eq!(said.status, 0, "{tool} {words:?}: {said:?}\n{}", self.logs());
        said.stdout
    }

    /// Runs certool, which must fail with this VMCA code; everything it said.
    pub fn certool_fails(&self, words: &[&str], code: u32) -> Said {
        let said = self.run("certool", words);
        assert!(
            said.stdout.contains(&format!("Error Code : {code}\n")),
            "certool {words:?} should fail with {code}: {said:?}\n{}",
            self.logs()
        );
        assert_eq!(said.status, i32::try_from(code % 256).unwrap(), "{said:?}");
        assert!(!said.stderr.trim().is_empty(), "no sentence for the operator: {said:?}");
        said
    }

    /// Runs vecs-cli, which must fail with this code; everything it said.
    pub fn vecs_fails(&self, words: &[&str], code: u32) -> Said {
        let said = self.run("vecs-cli", words);
        assert!(
            said.stderr.contains(&format!("vecs-cli failed. Error {code}: ")),
            "vecs-cli {words:?} should fail with {code}: {said:?}\n{}",
            self.logs()
        );
        assert_eq!(said.status, i32::try_from(code % 256).unwrap(), "{said:?}");
        said
    }

    pub fn start(&self) {
        self.ok("service-control", &["--start", "--all"]);
    }

    pub fn stop(&self) {
        self.ok("service-control", &["--stop", "--all"]);
    }

    /// A key and a certificate for a host name, as files `NAME.priv` and `NAME.crt`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        let (key, certificate) = (format!("{name}.priv"), format!("{name}.crt"));
        let config = self.machine_config(&format!("{name}.cfg"), HOST);
        self.ok("certool", &["--genkey", "--privkey", &key, "--key-algorithm", "p-256"]);
        self.ok(
            "certool",
            &[
                "--gencert",
                "--privkey",
                &key,
                "--cert",
                &certificate,
                "--config",
                &config,
                "--Name",
                name,
            ],
        );
        self.file(&certificate)
    }

    /// A certool.cfg made from the shipped template.
    pub fn machine_config(&self, name: &str, host: &str) -> String {
        let template = std::fs::read_to_string(self.root().join("etc/certool.cfg")).unwrap();
        let lines = template.lines().map(|line| {
            if line.trim_start_matches(['#', ' ']).starts_with("Hostname") {
                format!("Hostname = {host}")
            } else {
                line.to_owned()
            }
        });
        self.write(name, lines.collect::<Vec<_>>().join("\n") + "\n");
        name.to_owned()
    }

    /// The process id in a service's pid file.
    pub fn pid(&self, service: &str) -> i32 {
        self.pid_if_any(service).expect("a pid file")
    }

    /// The same; nothing while the file is not there or is being written.
    pub fn pid_if_any(&self, service: &str) -> Option<i32> {
        let path = self.root().join("run").join(format!("{service}.pid"));
        let text = std::fs::read_to_string(path).ok()?;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        i32::try_from(value["pid"].as_i64()?).ok()
    }

    pub fn database(&self, service: &str) -> PathBuf {
        self.root().join("lib").join(service).join(format!("{service}.db"))
    }

    pub fn tokens(&self, role: &str) -> PathBuf {
        self.root().join("lib/tokens").join(role).join("tokens")
    }

    /// The folder of a test is private to its owner; this opens the way to its sockets.
    pub fn open_for_others(&self) {
        use std::os::unix::fs::PermissionsExt;
        for folder in [self.folder.path().to_owned(), self.root(), self.root().join("run")] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// A copy of a tool where every user may run it; the build's folder may be private.
    pub fn tool_for_others(&self, tool: &str) -> PathBuf {
        let copy = self.folder.path().join(tool);
        if !copy.exists() {
            std::fs::copy(program(tool), &copy).unwrap();
        }
        copy
    }

    /// Runs a tool as the user `nobody`, which only root can do.
    pub fn run_as_nobody(&self, tool: &str, words: &[&str]) -> Said {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(self.tool_for_others(tool))
            .args(words)
            .env("SEALWRIGHT_ROOT", self.root())
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    /// The last lines of every log, for the message of a failed assertion.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.root().join("log")).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(15).collect();
            text.push_str(&format!("--- {}\n", entry.path().display()));
            lines.iter().rev().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        text
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if self.config().exists() {
            let _ = self.run("service-control", &["--stop", "--all"]);
        }
        if std::env::var_os("SEALWRIGHT_KEEP").is_some() {
            eprintln!("kept: {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

/// Waits for a fact; the message names it when it never comes.
pub fn eventually(fact: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came true: {fact}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says so when it is dropped, so that what goes on until then ends where a test fails, too.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a judge that must succeed; what it said.
pub fn judge(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {words:?}:\n{text}");
    text
}

/// The private scalar of an EC key file, big-endian.
pub fn private_scalar(key: &Path) -> Vec<u8> {
    let shown = judge("openssl", &["pkey", "-in", text(key), "-noout", "-text"]);
    let scalar: Vec<u8> = shown
        .split("priv:")
        .nth(1)
        .and_then(|rest| rest.split("pub:").next())
        .unwrap()
        .split(|character: char| !character.is_ascii_hexdigit())
        .filter(|octet| !octet.is_empty())
        .map(|octet| u8::from_str_radix(octet, 16).unwrap())
        .collect();
    assert!(scalar.len() >= 31, "{} octets", scalar.len());
    scalar
}

/// Text of a path, for command lines.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn require(program: &str, package: &str) {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        found,
        "{program} is missing: install the Debian package {package} (scripts/prerequisites test)"
    );
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The command-line tools.
pub const TOOLS: [&str; 4] = ["sealwright", "certool", "vecs-cli", "service-control"];

/// Where a tool lies.
pub fn program(tool: &str) -> &'static str {
    match tool {
        "sealwright" => env!("CARGO_BIN_EXE_sealwright"),
        "certool" => env!("CARGO_BIN_EXE_certool"),
        "vecs-cli" => env!("CARGO_BIN_EXE_vecs-cli"),
        "service-control" => env!("CARGO_BIN_EXE_service-control"),
        other => panic!("no program {other}"),
    }
}
