//! The TLS front door.

use std::process::Command;

use crate::harness::{Appliance, HOST, judge, text};
use crate::verify::verify;

/// `curl` against the gateway, trusting whatever VMCA's root file says: status code and body.
fn get(appliance: &Appliance, path: &str, options: &[&str]) -> (u32, Vec<u8>) {
    let body = appliance.file("body");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--insecure", "--output", text(&body)])
        .args(["--resolve", &format!("{HOST}:{}:127.0.0.1", appliance.port)])
        .args(["--write-out", "%{http_code}", &format!("https://{HOST}:{}{path}", appliance.port)])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status = String::from_utf8_lossy(&output.stdout).parse().unwrap();
    (status, std::fs::read(&body).unwrap_or_default())
}

/// Status and body of `/healthz`.
pub fn health(appliance: &Appliance) -> (u32, String) {
    let (status, body) = get(appliance, "/healthz", &[]);
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn the_trusted_roots_are_served_as_pem_and_as_the_originals_zip() {
    let appliance = Appliance::running();
    crate::harness::eventually("the root is trusted", || {
        appliance.ok("vecs-cli", &["force-refresh"]);
        appliance
            .ok("vecs-cli", &["entry", "list", "--store", "TRUSTED_ROOT_CRLS", "--aliases"])
            .lines()
            .count()
            > 1
    });
    let root = appliance.root().join("lib/vmca/root.cer");
    let print = |path: &std::path::Path| {
        judge("openssl", &["x509", "-in", text(path), "-noout", "-fingerprint", "-sha256"])
    };
    crate::harness::eventually("the gateway serves the root", || {
        let (status, body) = get(&appliance, "/afd/vecs/ca", &[]);
        status == 200 && String::from_utf8_lossy(&body).contains("BEGIN CERTIFICATE")
    });
    let (_, body) = get(&appliance, "/afd/vecs/ca", &[]);
    let bundle = appliance.write("bundle.pem", body);
    assert_eq!(print(&bundle), print(&root));

    for (path, options) in
        [("/afd/vecs/ca.zip", &[][..]), ("/afd/vecs/ca", &["-H", "Accept: application/zip"][..])]
    {
        let (status, body) = get(&appliance, path, options);
        assert_eq!(status, 200);
        let archive = appliance.write("ca.zip", body);
        let unpacked = appliance.file("unpacked");
        let _ = std::fs::remove_dir_all(&unpacked);
        judge("unzip", &["-q", text(&archive), "-d", text(&unpacked)]);
        let hash = judge("openssl", &["x509", "-in", text(&root), "-noout", "-subject_hash"]);
        let lin = unpacked.join("certs/lin");
        assert_eq!(print(&lin.join(format!("{}.0", hash.trim()))), print(&root));
        assert!(unpacked.join(format!("certs/win/{}.0.crt", hash.trim())).exists());
        // The folder works as OpenSSL's CApath, which is what it is for.
        judge(
            "openssl",
            &["verify", "-no-CAfile", "-no-CAstore", "-CApath", text(&lin), text(&root)],
        );
        let crl = lin.join(format!("{}.r0", hash.trim()));
        judge("openssl", &["crl", "-in", text(&crl), "-noout", "-CAfile", text(&root)]);
    }
    assert_eq!(get(&appliance, "/nothing", &[]).0, 404);
    verify(&appliance);
}

#[test]
fn health_names_the_service_that_is_down() {
    let appliance = Appliance::running();
    let (status, body) = health(&appliance);
    assert_eq!(status, 200, "{body}");
    appliance.ok("service-control", &["--stop", "vmdird"]);
    let (status, body) = health(&appliance);
    assert_eq!(status, 503);
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(value.to_string().contains("vmdird"), "{body}");
    appliance.ok("service-control", &["--start", "vmdird"]);
    crate::harness::eventually("health is good again", || health(&appliance).0 == 200);
    verify(&appliance);
}

#[test]
fn strangers_learn_states_and_users_of_the_machine_learn_reasons() {
    let appliance = Appliance::running();
    appliance.ok("service-control", &["--stop", "vmdird"]);
    let public: serde_json::Value = serde_json::from_str(&health(&appliance).1).unwrap();
    assert_eq!(
        public,
        serde_json::json!({"state": "down", "alarm": false, "services": [
            {"service": "vmafdd", "state": "ok", "token": "ok"},
            {"service": "vmdird", "state": "down"},
            {"service": "vmcad", "state": "ok", "token": "ok"},
            {"service": "gateway", "state": "ok"},
        ]})
    );
    let socket = appliance.root().join("run/gateway.sock");
    let words = ["--silent", "--unix-socket", text(&socket), "http://localhost/v1/overall"];
    let all: serde_json::Value = serde_json::from_str(&judge("curl", &words)).unwrap();
    assert!(all["services"][0]["token"]["serial"].is_string(), "{all}");
    assert!(all["services"][1]["detail"].as_str().unwrap().contains("vmdird.sock"), "{all}");
    appliance.start();
    verify(&appliance);
}

#[test]
fn open_connections_do_not_keep_services_from_ending_by_themselves() {
    use std::io::Write;
    let appliance = Appliance::running();
    let door = std::net::TcpStream::connect(format!("127.0.0.1:{}", appliance.port)).unwrap();
    let halves: Vec<_> = ["vmafdd", "vmdird", "vmcad", "gateway"]
        .map(|service| {
            let socket = appliance.root().join("run").join(format!("{service}.sock"));
            let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
            stream.write_all(b"GET /v1/health HT").unwrap();
            stream
        })
        .into();
    let said = appliance.run("service-control", &["--stop", "--all"]);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
    drop((door, halves));
    appliance.start();
    verify(&appliance);
}

#[test]
fn hostile_connections_do_not_stop_the_door() {
    use std::io::Write;
    let appliance = Appliance::running();
    let address = format!("127.0.0.1:{}", appliance.port);
    let mut open = Vec::new();
    for n in 0..40 {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        match n % 4 {
            0 => stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap(),
            1 => stream.write_all(&[0x16, 3, 1, 0xff, 0xff]).unwrap(),
            2 => stream.write_all(&[0; 2048]).unwrap(),
            _ => {}
        }
        open.push(stream);
    }
    assert_eq!(health(&appliance).0, 200);
    drop(open);
    verify(&appliance);
}

#[test]
fn only_current_protocol_versions_are_spoken() {
    let appliance = Appliance::running();
    let try_version = |version: &str| {
        Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", appliance.port), version])
            .args(["-cipher", "DEFAULT@SECLEVEL=0"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    for (version, accepted) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let said = String::from_utf8_lossy(&try_version(version).stdout).into_owned();
        assert_eq!(said.contains("BEGIN CERTIFICATE"), accepted, "{version}: {said}");
    }
    verify(&appliance);
}
