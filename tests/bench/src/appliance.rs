//! An appliance of the benchmark's own, below its folder, with the programs that are measured.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealwright::base::{KeyAlgorithm, Layout, Service};
use sealwright::config::{Config, TokenRole};

use crate::fault::{Outcome, While, fault};
use crate::plan::Plan;
use crate::processes::Watched;
use crate::token::Place;

/// The name that every appliance here goes by.
pub(crate) const HOST: &str = "machine1.example.test";
/// The longest path of a Unix socket, without its end (`unix(7)`).
const LONGEST_SOCKET: usize = 107;

/// Its services are stopped when it is dropped; its folder stays for whoever wants to look.
pub(crate) struct Appliance {
    pub(crate) layout: Layout,
    root: PathBuf,
    programs: PathBuf,
    /// Where the gateway listens.
    pub(crate) address: std::net::SocketAddr,
    /// For the services that are started from now on.
    environment: Vec<(&'static str, String)>,
}

impl Appliance {
    /// A fresh one; what an earlier run left under this name goes.
    pub(crate) fn new(plan: &Plan, name: &str, algorithm: KeyAlgorithm) -> Outcome<Self> {
        let root = plan.place.join("appliances").join(name);
        let layout = Layout::under(&root);
        let socket = layout.socket(Service::Gateway);
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return fault(format!(
                "the path {} is too long for a Unix socket; choose a shorter folder with --place",
                socket.display()
            ));
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let programs = plan.programs.clone();
        let appliance = Self { layout, root, programs, address, environment: Vec::new() };
        appliance.stop();
        if appliance.root.exists() {
            std::fs::remove_dir_all(&appliance.root).when(appliance.root.display())?;
        }
        let (listen, algorithm) = (address.to_string(), algorithm.to_string());
        let words =
            ["init", "--hostname", HOST, "--listen", &listen, "--key-algorithm", &algorithm];
        appliance.run("sealwright", &words)?;
        Ok(appliance)
    }

    /// Gives the services that are started from now on this in their environment.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    pub(crate) fn start(&self, services: &[Service]) -> Outcome<()> {
        for service in services {
            self.run("service-control", &["--start", service.name()])?;
        }
        Ok(())
    }

    pub(crate) fn stop(&self) {
        if self.layout.config_file().exists()
            && let Err(cause) = self.run("service-control", &["--stop", "--all"])
        {
            eprintln!("bench: {} is left running: {cause}", self.root.display());
        }
    }

    /// Stops it and deletes its folder.
    pub(crate) fn remove(self) -> Outcome<()> {
        self.stop();
        std::fs::remove_dir_all(&self.root).when(self.root.display())
    }

    /// Runs a tool that must succeed; what it wrote to standard output.
    pub(crate) fn run(&self, tool: &str, words: &[&str]) -> Outcome<String> {
        let said = Command::new(self.programs.join(tool))
            .args(words)
            .env("SEALWRIGHT_ROOT", &self.root)
            .env_remove("SOFTHSM2_CONF")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .when(tool)?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        let mut text = String::from_utf8_lossy(&said.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&said.stderr));
        fault(format!("{tool} {}: {}\n{}", words.join(" "), said.status, text.trim()))
    }

    /// Process of a running service.
    pub(crate) fn pid(&self, service: Service) -> Outcome<u32> {
        let path = self.layout.pid_file(service);
        let text = std::fs::read_to_string(&path).when(path.display())?;
        let value: serde_json::Value = serde_json::from_str(&text)?;
        let pid = value["pid"].as_u64().when(path.display())?;
        Ok(u32::try_from(pid)?)
    }

    /// A service and its token agents.
    pub(crate) fn with_agents(&self, service: Service) -> Outcome<[Watched; 2]> {
        let own = self.pid(service)?;
        Ok([Watched::Process(own), Watched::AgentsOf(own)])
    }

    /// The token of a role, for those who use it beside the appliance.
    pub(crate) fn token(&self, role: TokenRole) -> Outcome<Place> {
        let config = Config::load(&self.layout.config_file())?;
        Place::of(config.token(role))
    }

    /// VMCA's certificate, then its chain.
    pub(crate) fn root_cer(&self) -> PathBuf {
        self.layout.root_cer()
    }

    /// A folder for files of a measurement.
    pub(crate) fn work(&self) -> Outcome<PathBuf> {
        let folder = self.root.join("work");
        std::fs::create_dir_all(&folder).when(folder.display())?;
        Ok(folder)
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a judge that must succeed, with this on its standard input; what it said.
pub(crate) fn judge(program: &str, words: &[&str], input: &[u8]) -> Outcome<String> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .when(program)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let said = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    if said.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&said.stderr);
    fault(format!("{program} {}: {text}{errors}", words.join(" ")))
}

/// Text of a path, for command lines.
pub(crate) fn text(path: &Path) -> Outcome<&str> {
    path.to_str().when("a path is not UTF-8")
}
