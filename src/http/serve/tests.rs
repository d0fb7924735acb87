#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;

use super::{Shutdown, serve_unix};
use crate::access::{CallerId, Roles};
use crate::api::Problem;
use crate::base::Fingerprint;
use crate::http::{Asking, AskingOrClient};

/// Serves one path that says who asks, for as long as `body` runs; the body's way to stop it is to
/// return.
fn served(body: impl FnOnce(&Path) -> Vec<UnixStream> + Send + 'static) -> Vec<String> {
    served_with(Roles::default(), body)
}

fn served_with(
    roles: Roles,
    body: impl FnOnce(&Path) -> Vec<UnixStream> + Send + 'static,
) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stop, requested) = watch::channel(false);
    let who = |Asking(caller): Asking| async move { Json(caller.uid()) };
    let client = |AskingOrClient(requester): AskingOrClient| async move {
        match requester.id() {
            CallerId::User(uid) => Json(format!("user {uid}")),
            CallerId::Client(place) => Json(format!("client {place}")),
        }
    };
    let router = Router::new().route("/who", get(who).post(who)).route("/client", get(client));
    let place = socket.clone();
    let server = runtime.spawn(async move {
        serve_unix(&place, router, Arc::new(roles), Shutdown(requested)).await
    });
    // The path is there a moment before anybody listens.
    while UnixStream::connect(&socket).is_err() {
        std::thread::yield_now();
    }
    let open = body(&socket);
    stop.send(true).unwrap();
    runtime.block_on(server).unwrap().unwrap();
    assert!(!socket.exists());
    open.into_iter().map(|mut stream| all(&mut stream)).collect()
}

fn all(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

fn ask(socket: &Path, octets: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The service may have answered and gone before it read everything.
    let _ = stream.write_all(octets);
    all(&mut stream)
}

#[test]
fn a_client_that_sends_half_a_request_does_not_keep_the_service_from_stopping() {
    let answers = served(|socket| {
        [&b""[..], b"GET /who HT", b"POST /who HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1"]
            .into_iter()
            .map(|octets| {
                let mut stream = UnixStream::connect(socket).unwrap();
                stream.write_all(octets).unwrap();
                stream
            })
            .collect()
    });
    assert_eq!(answers, ["", "", ""]);
}

#[test]
fn the_kernel_names_the_caller_of_the_one_request_of_a_connection() {
    served(|socket| {
        let twice = b"GET /who HTTP/1.1\r\nhost: x\r\n\r\nGET /who HTTP/1.1\r\nhost: x\r\n\r\n";
        let answer = ask(socket, twice);
        let uid = rustix::process::geteuid().as_raw().to_string();
        assert!(answer.ends_with(&format!("\r\n\r\n{uid}")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
        Vec::new()
    });
}

#[test]
fn the_gateway_names_the_client_of_each_request_and_nobody_else_does() {
    let own = rustix::process::geteuid().as_raw();
    let (print, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
    let clients = || vec![("a".parse().unwrap(), other), ("web1".parse().unwrap(), print)];
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let named = format!("sealwright-client: web1 {print}\r\n");

    let (get_here, here) = (get, named.clone());
    served_with(Roles::default().with_clients(own, clients()), move |socket| {
        // On one connection each request is whose its header says.
        let kept = format!("connection: keep-alive\r\n{here}");
        let both = [get_here("/client", &kept), get_here("/client", "")].concat();
        let answer = ask(socket, both.as_bytes());
        assert!(answer.contains("\r\n\r\n\"client 1\""), "{answer}");
        assert!(answer.ends_with(&format!("\"user {own}\"")), "{answer}");
        // A client reaches nothing that is not for clients.
        let answer = ask(socket, get_here("/who", &here).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        for wrong in [
            format!("sealwright-client: web1 {other}\r\n"),
            format!("sealwright-client: b {print}\r\n"),
            "sealwright-client: web1\r\n".to_owned(),
            "sealwright-client:\r\n".to_owned(),
            here.repeat(2),
        ] {
            let answer = ask(socket, get_here("/client", &wrong).as_bytes());
            assert!(answer.starts_with("HTTP/1.1 403 "), "{wrong}: {answer}");
            assert!(answer.contains("connection: close"), "{answer}");
        }
        Vec::new()
    });
    // The gateway is another user.
    served_with(Roles::default().with_clients(own + 1, clients()), move |socket| {
        let answer = ask(socket, get("/client", &named).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("only the gateway speaks for clients"), "{answer}");
        Vec::new()
    });
}

#[test]
fn a_connection_is_kept_for_a_client_that_asks_for_it_and_for_as_long_as_it_does() {
    served(|socket| {
        let keeping = b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n".repeat(2);
        let last = b"GET /who HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        let answer = ask(socket, &[keeping, last].concat());
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
        Vec::new()
    });
}

#[test]
fn an_idle_connection_does_not_keep_the_service_from_stopping() {
    let answers = served(|socket| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream
            .write_all(b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n")
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        vec![stream]
    });
    assert_eq!(answers.len(), 1);
}

#[test]
fn what_is_no_request_of_ours_is_refused_in_our_words() {
    served(|socket| {
        let huge = [
            b"POST /who HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n".to_vec(),
            vec![b'a'; 5_000_000],
        ]
        .concat();
        for (octets, status) in
            [(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 404), (huge, 422)]
        {
            let answer = ask(socket, &octets);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            assert_eq!(serde_json::from_str::<Problem>(body).unwrap().code, 87);
        }
        Vec::new()
    });
}
