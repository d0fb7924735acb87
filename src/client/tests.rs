#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::{Client, Error};
use crate::api::{Kind, Problem};

/// Answers one connection with these octets and returns what was asked.
fn answering(answer: String) -> (tempfile::TempDir, Client, std::thread::JoinHandle<String>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    });
    let client = Client::new(&socket, Duration::from_secs(20));
    (folder, client, server)
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: application/json\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_answer_is_decoded_and_the_request_is_well_formed() {
    let (_folder, client, server) = answering(response("200 OK", "[\"a\",\"b\"]"));
    let names: Vec<String> = client.post("/v1/x", &serde_json::json!({"n": 1})).unwrap();
    assert_eq!(names, ["a", "b"]);
    let asked = server.join().unwrap();
    assert!(asked.starts_with("POST /v1/x HTTP/1.1\r\n"), "{asked}");
}

#[test]
fn a_refusal_keeps_its_code() {
    let problem = Problem { kind: Kind::Invalid, code: 70012, detail: "no".to_owned() };
    let body = serde_json::to_string(&problem).unwrap();
    let (_folder, client, _server) = answering(response("422 Unprocessable Entity", &body));
    match client.get::<()>("/v1/x") {
        Err(Error::Refused(found)) => assert_eq!(found, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_in_foreign_words_is_no_success() {
    let (_folder, client, _server) = answering(response("502 Bad Gateway", "<html>"));
    assert!(matches!(client.get::<()>("/v1/x"), Err(Error::Protocol(_))));
}

#[test]
fn a_missing_socket_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&folder.path().join("gone"), Duration::from_secs(5));
    let error = client.get::<()>("/v1/x").unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(error.to_string().contains("gone"), "{error}");
}

#[test]
fn no_request_travels_on_a_connection_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        // The first connection stays open, but nobody reads from it any more.
        let open: Vec<_> = (0..2)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(response("200 OK", "null").as_bytes()).unwrap();
                stream
            })
            .collect();
        open.len()
    });
    let client = Client::new(&socket, Duration::from_secs(20));
    client.get::<()>("/v1/x").unwrap();
    client.get::<()>("/v1/x").unwrap();
    assert_eq!(server.join().unwrap(), 2);
}

#[test]
fn a_refusal_arrives_although_the_service_has_not_read_the_whole_request() {
    let problem = Problem { kind: Kind::Denied, code: 5, detail: "no".to_owned() };
    let body = serde_json::to_string(&problem).unwrap();
    let (_folder, client, server) = answering(response("403 Forbidden", &body));
    // Far more than the socket holds, so that the service is gone while this is being written.
    let error = client.post::<()>("/v1/x", &"a".repeat(8 * 1024 * 1024)).unwrap_err();
    assert!(matches!(error, Error::Refused(found) if found == problem));
    server.join().unwrap();
}

#[test]
fn a_service_that_hangs_up_without_an_answer_is_unreachable() {
    let (_folder, client, _server) = answering(String::new());
    let error = client.post::<()>("/v1/x", &"a".repeat(8 * 1024 * 1024)).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_service_that_takes_no_connections_is_waited_for_no_longer_than_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // The queue takes one more than it was told.
    let _queued = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let error = Client::new(&socket, Duration::from_millis(200)).get::<()>("/v1/x").unwrap_err();
    let Error::Unreachable { cause, .. } = error else { panic!("{error}") };
    assert!(matches!(*cause, ureq::Error::Timeout(_)), "{cause}");
}

/// Answers as many connections as there are numbers, and on each as many requests as its number says.
fn serving(requests: &'static [usize]) -> (tempfile::TempDir, std::thread::JoinHandle<()>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let server = std::thread::spawn(move || {
        for count in requests {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..*count {
                // Head and body may come one after the other.
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\nnull") {
                    let mut octets = [0; 4096];
                    let length = stream.read(&mut octets).unwrap();
                    assert_ne!(length, 0, "the request ended early");
                    asked.extend_from_slice(&octets[..length]);
                }
                stream.write_all(response("200 OK", "null").as_bytes()).unwrap();
            }
        }
    });
    (folder, server)
}

#[test]
fn connections_are_kept_where_that_was_wanted_and_a_dead_one_is_replaced() {
    let (folder, server) = serving(&[3, 1]);
    let client = Client::keeping(&folder.path().join("s"), Duration::from_secs(20), 4);
    for _ in 0..4 {
        let () = client.post_again("/v1/x", &()).unwrap();
    }
    server.join().unwrap();
}

#[test]
fn nothing_is_asked_twice_unless_it_may_be() {
    let (folder, server) = serving(&[0, 0, 0]);
    let client = Client::keeping(&folder.path().join("s"), Duration::from_secs(20), 4);
    assert!(matches!(client.post::<()>("/v1/x", &()), Err(Error::Unreachable { .. })));
    assert!(matches!(client.post_again::<()>("/v1/x", &()), Err(Error::Unreachable { .. })));
    // One connection for the first, two for the second.
    server.join().unwrap();
}
