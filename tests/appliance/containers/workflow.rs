//! The main job, with the appliance in a container and the tools outside.

use super::contained::Contained;
use crate::enterprise::Enterprise;
use crate::harness::{HOST, judge, text};
use crate::verify::verify;
use crate::workflow::{bodies, presented};

#[test]
fn the_workflow_of_the_readme_from_outside() {
    let Some(contained) = Contained::running() else { return };
    let appliance = &contained.appliance;
    let enterprise = Enterprise::new(appliance);
    enterprise.adopt(appliance);

    let config = appliance.machine_config("machine1.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey=machine1.priv"]);
    let words = ["--gencert", "--privkey=machine1.priv", "--cert", "machine42.crt"];
    let named = ["--Name=Machine42_Cert", "--config", &config];
    appliance.ok("certool", &[&words[..], &named].concat());
    let chain = bodies(&appliance.read("machine42.crt"));
    assert_eq!(chain.len(), 3, "leaf, VMCA, issuing CA; not the root");
    let (root, certificate) = (enterprise.root(), appliance.file("machine42.crt"));
    let trust = ["verify", "-x509_strict", "-verify_hostname", HOST, "-CAfile", text(&root)];
    judge(
        "openssl",
        &[&trust[..], &["-untrusted", text(&certificate), text(&certificate)]].concat(),
    );

    // Services that somebody stops in a container stay stopped, and the container stays.
    contained.exec_ok(&["service-control", "--stop", "--all"]);
    let status = contained.exec_ok(&["service-control", "--status"]);
    assert_eq!(status, "Stopped:\n gateway vmafdd vmcad vmdird\n");
    for service in ["vmafdd", "vmdird", "vmcad"] {
        contained.exec_ok(&["service-control", "--start", service]);
    }
    let entry = ["--store", "MACHINE_SSL_CERT", "--alias", "__MACHINE_CERT"];
    appliance.ok("vecs-cli", &[&["entry", "delete"][..], &entry, &["-y"]].concat());
    let files = ["--cert", "machine42.crt", "--key", "machine1.priv"];
    appliance.ok("vecs-cli", &[&["entry", "create"][..], &entry, &files].concat());
    let said = contained.exec_ok(&["service-control", "--start", "--all"]);
    assert!(said.ends_with("Successfully started profile: ALL.\n"), "{said}");

    assert_eq!(presented(appliance, &enterprise.root()), chain);
    contained.ready_again(|contained| contained.docker(&["restart"]));
    assert_eq!(presented(appliance, &enterprise.root()), chain, "after a restart");
    // What the new start printed is the enterprise's root, octet for octet.
    let logs = contained.logs();
    let anchor = logs.rsplit("trust anchor: ").next().unwrap();
    assert_eq!(bodies(anchor), bodies(&std::fs::read_to_string(enterprise.root()).unwrap()));
    assert!(
        anchor.starts_with("O=Example,CN=Example Root") || anchor.starts_with("CN=Example Root"),
        "{anchor}"
    );
    verify(appliance);
}
