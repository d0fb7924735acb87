#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use axum::body::{Body, to_bytes};
use axum::http::Response;

use super::Vmcad;
use crate::api::{Problem, Vouched};
use crate::base::Fingerprint;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-inner: y\r\ncontent-length: 4\r\n\r\nnull";
const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";

fn client() -> Vouched {
    Vouched { name: "web1".parse().unwrap(), fingerprint: Fingerprint([0xab; 32]) }
}

/// Answers connections one after the other, each with its answers; returns what was asked.
fn answering(socket: &Path, connections: &'static [&'static [&'static str]]) -> Server {
    let listener = UnixListener::bind(socket).unwrap();
    let (close, closed) = channel();
    let thread = std::thread::spawn(move || {
        let mut asked = String::new();
        for answers in connections {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in *answers {
                asked += &request(&mut stream);
                stream.write_all(answer.as_bytes()).unwrap();
            }
            drop(stream);
            let _ = close.send(());
        }
        asked
    });
    Server { thread, closed }
}

struct Server {
    thread: JoinHandle<String>,
    /// Told of each connection that it has closed.
    closed: Receiver<()>,
}

/// One request, whose body is `{}`.
fn request(stream: &mut UnixStream) -> String {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n{}") {
        let mut more = [0; 4096];
        let amount = stream.read(&mut more).unwrap();
        assert_ne!(amount, 0, "the request ended early");
        octets.extend_from_slice(&more[..amount]);
    }
    String::from_utf8(octets).unwrap()
}

async fn issue(vmcad: &Vmcad) -> Result<Response<Body>, Problem> {
    vmcad.issue(&client(), "{}".into()).await
}

async fn body(answer: Response<Body>) -> Vec<u8> {
    to_bytes(answer.into_body(), 1024).await.unwrap().to_vec()
}

struct Place(#[expect(dead_code, reason = "it goes when dropped")] tempfile::TempDir, PathBuf);

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    Place(folder, socket)
}

#[tokio::test]
async fn a_request_names_the_client_and_travels_on_a_connection_of_an_earlier_one() {
    let place = place();
    let server = answering(&place.1, &[&[OK, BUSY]]);
    let vmcad = Vmcad::new(place.1.clone());
    let answer = issue(&vmcad).await.unwrap();
    assert_eq!(answer.status(), 200);
    let names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(names, ["content-type"]);
    assert_eq!(body(answer).await, b"null");

    let busy = issue(&vmcad).await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"1".parse().unwrap())
    );

    let asked = server.thread.join().unwrap();
    let named = format!("sealwright-client: web1 {}\r\n", "ab".repeat(32));
    assert_eq!(asked.matches(&named).count(), 2, "{asked}");
    assert_eq!(asked.matches("POST /v1/certificates HTTP/1.1\r\n").count(), 2, "{asked}");
    assert_eq!(asked.matches("connection: keep-alive\r\n").count(), 2, "{asked}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let place = place();
    let server = answering(&place.1, &[&[OK], &[OK]]);
    let vmcad = Vmcad::new(place.1.clone());
    assert_eq!(issue(&vmcad).await.unwrap().status(), 200);
    server.closed.recv().unwrap();
    assert_eq!(issue(&vmcad).await.unwrap().status(), 200);
    server.thread.join().unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_no_answer() {
    let place = place();
    let vmcad = Vmcad::new(place.1.clone());
    let problem = issue(&vmcad).await.unwrap_err();
    assert!(problem.detail.contains("nothing was issued"), "{problem:?}");

    // It reads the request, answers half of something, and goes.
    let server = answering(&place.1, &[&["HTTP/1.1 200 OK\r\ncontent-le"]]);
    let problem = issue(&vmcad).await.unwrap_err();
    assert!(problem.detail.contains("in its records only"), "{problem:?}");
    server.thread.join().unwrap();
}
