//! Peers that stay: asked over sockets by the same load generator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::authority::{Authority, LABEL, PIN};
use super::{IN_FLIGHT, Peer, Rate};
use crate::fault::{Outcome, While, fault};
use crate::load::{self, Door, Expected, Order, http_request};
use crate::plan::Plan;
use crate::processes::Watched;
use crate::requests;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn all<'a>(
    authority: &'a Authority,
    csrs: &[String],
) -> Outcome<Vec<Box<dyn Peer + 'a>>> {
    Ok(vec![Box::new(go_server(authority, csrs)?), Box::new(cfssl(authority, csrs)?)])
}

/// A server that runs, or why it does not.
struct Server<'a> {
    name: &'static str,
    how: &'static str,
    running: Result<Running, String>,
    requests: Vec<Vec<u8>>,
    expected: Expected,
    /// The certificate in an answer.
    certificate: fn(&Value) -> &Value,
    authority: &'a Authority,
}

struct Running {
    child: Child,
    door: Door,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl Peer for Server<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn how(&self) -> &'static str {
        self.how
    }

    fn measure(&self, plan: &Plan) -> Outcome<Rate> {
        let running = match &self.running {
            Ok(running) => running,
            Err(why) => return Ok(Err(why.clone())),
        };
        let load = load::run(&Order {
            door: &running.door,
            requests: &self.requests,
            expected: self.expected,
            in_flight: IN_FLIGHT,
            warm: plan.warm,
            measured: plan.measured,
            watched: &[Watched::Process(running.child.id())],
            again: true,
        })?
        .good()?;
        for body in &load.kept {
            let answer: Value = serde_json::from_slice(body)?;
            let pem = (self.certificate)(&answer).as_str().when("an answer without certificate")?;
            self.authority.verify(pem.as_bytes())?;
        }
        Ok(Ok((load.rate(), load.each(load.used.iter().sum()))))
    }
}

fn go_server<'a>(authority: &'a Authority, csrs: &[String]) -> Outcome<Server<'a>> {
    let program = authority.built.join("go-ca");
    let socket = authority.folder.join("go.sock");
    let mut command = Command::new(&program);
    command
        .args(["-token", LABEL, "-pin", PIN, "-key", "ca", "-module"])
        .arg(&authority.token.module)
        .arg("-ca")
        .arg(&authority.certificate)
        .arg("-db")
        .arg(authority.folder.join("go.db"))
        .arg("-socket")
        .arg(&socket)
        .envs(&authority.token.environment);
    Ok(Server {
        name: "a Go server of ours",
        how: "Unix socket, 64 in flight; net/http, crypto11, bbolt, a flush each (the shape of step-ca)",
        running: start(command, &program, Door::Unix(socket))?,
        requests: requests::issuing(csrs)?,
        expected: Expected::Certificate,
        certificate: |answer| &answer["chain"][0],
        authority,
    })
}

fn cfssl<'a>(authority: &'a Authority, csrs: &[String]) -> Outcome<Server<'a>> {
    let address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let configuration = authority.folder.join("cfssl.json");
    let profile = json!({ "expiry": "8760h", "usages": ["signing", "server auth", "client auth"] });
    std::fs::write(&configuration, json!({ "signing": { "default": profile } }).to_string())?;
    let mut command = Command::new("cfssl");
    command
        .args(["serve", "-address", "127.0.0.1", "-port", &address.port().to_string()])
        .args(["-loglevel", "5", "-ca"])
        .arg(&authority.certificate)
        .arg("-ca-key")
        .arg(&authority.key_file)
        .arg("-config")
        .arg(&configuration);
    let bodies = csrs.iter().map(|csr| {
        let words = json!({ "certificate_request": csr });
        http_request("POST", "/api/v1/cfssl/sign", words.to_string().as_bytes())
    });
    Ok(Server {
        name: "cfssl serve",
        how: "TCP, 64 in flight; key in its memory, nothing recorded",
        running: start(command, Path::new("cfssl"), Door::Tcp(address))?,
        requests: bodies.collect(),
        expected: Expected::Words("-----BEGIN CERTIFICATE-----"),
        certificate: |answer| &answer["result"]["certificate"],
        authority,
    })
}

fn start(mut command: Command, program: &Path, door: Door) -> Outcome<Result<Running, String>> {
    let child =
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => child,
            Err(cause) => {
                let name: PathBuf = program.file_name().unwrap_or_default().into();
                return Ok(Err(format!("{} is not installed or built: {cause}", name.display())));
            }
        };
    let mut running = Running { child, door };
    let began = Instant::now();
    while running.door.connect().is_err() {
        if let Some(status) = running.child.try_wait()? {
            return fault(format!("{} ended: {status}", program.display()));
        }
        if began.elapsed() > PATIENCE {
            return fault(format!("{} does not listen", program.display()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Ok(running))
}
