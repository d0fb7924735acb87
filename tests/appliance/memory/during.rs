//! In the middle of an operation: the buffers of HTTP and TLS, and of a tool that waits. There a key lies in ordinary
//! memory, the search sees it, and then it is gone.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::canary::{Canary, Search};
use super::operations::Stage;
use super::processes::{Sight, Stopped, processes};
use super::{may_look, settled};
use crate::harness::{Appliance, HOST, eventually, text};
use crate::verify::verify;

/// An appliance, and the search for the keys of which one is stuck somewhere.
fn stage() -> (Stage, Search) {
    let stage = Stage::set(Appliance::running());
    let search = Search::of(vec![Canary::key(&stage.appliance.file("ec.priv"))]);
    (stage, search)
}

/// The key is seen in this process and in no other one.
fn seen_in(appliance: &Appliance, search: &Search, process: &str) {
    eventually(&format!("the key is seen in {process}"), || {
        let sight = Sight::of(appliance, search);
        let holders = sight.holders();
        assert!(holders.iter().all(|holder| *holder == process), "{:#?}", sight.hits);
        !holders.is_empty()
    });
}

fn gone(appliance: &Appliance, search: &Search) {
    let sight = settled(appliance, search);
    assert!(sight.hits.is_empty(), "{:#?}", sight.hits);
}

fn on_one_line(pem: &Path) -> String {
    std::fs::read_to_string(pem).unwrap().replace('\n', "\\n")
}

#[test]
fn a_request_that_is_half_there_is_wiped_when_its_connection_ends() {
    if !may_look() {
        return;
    }
    let (stage, search) = stage();
    let appliance = &stage.appliance;
    let key = on_one_line(&appliance.file("ec.priv"));
    let socket = appliance.root().join("run/vmafdd.sock");
    let mut half = UnixStream::connect(&socket).unwrap();
    let path = sealwright::api::vecs::entries("machine");
    write!(
        half,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n\
         {{\"alias\":\"half\",\"key\":\"{key}"
    )
    .unwrap();
    seen_in(appliance, &search, "vmafdd");
    drop(half);
    gone(appliance, &search);
    verify(appliance);
}

/// A process that is ended when the test ends, however it ends.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn what_came_through_tls_is_wiped_when_its_connection_ends() {
    if !may_look() {
        return;
    }
    let (stage, search) = stage();
    let appliance = &stage.appliance;
    let key = on_one_line(&appliance.file("ec.priv"));
    let client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", appliance.port)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Waiting(client);
    let input = client.0.stdin.as_mut().unwrap();
    write!(input, "GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nX-Canary: {key}").unwrap();
    seen_in(appliance, &search, "gateway");
    drop(client);
    gone(appliance, &search);
    verify(appliance);
}

#[test]
fn a_tool_that_waits_holds_the_key_that_it_sends_and_the_service_keeps_nothing_of_it() {
    if !may_look() {
        return;
    }
    let (stage, search) = stage();
    let appliance = &stage.appliance;
    let stopped = Stopped::new(appliance.pid("vmafdd")).unwrap();
    let words = ["entry", "create", "--store", "machine", "--alias", "slow"];
    let tool = appliance
        .command("vecs-cli")
        .args(words)
        .args([
            "--cert",
            text(&appliance.file("ec.crt")),
            "--key",
            text(&appliance.file("ec.priv")),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut tool = Waiting(tool);
    eventually("the tool holds the key", || {
        let found = processes(appliance).into_iter().find(|process| process.name == "vecs-cli");
        let mut sight = Sight::default();
        let _ended = sight.look_at(&found.unwrap(), &search);
        sight.holders().contains("vecs-cli")
    });
    drop(stopped);
    assert!(tool.0.wait().unwrap().success());
    gone(appliance, &search);
    verify(appliance);
}
