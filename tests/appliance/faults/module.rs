//! The fault module before a service's token: what its agent does in the sandbox, with nothing widened but what the file
//! name of the module chooses.

use fault_module::{CONTROL, Control, Controller, REAL, library};
use toml::{Table, Value};

use super::alarms;
use super::table::Entry;
use crate::agent::agents;
use crate::harness::{Appliance, HOST, eventually, judge, text};
use crate::verify::verify_with_failures;

/// Puts the fault module before the token of the CA, and its control socket into the run folder.
///
/// Both paths are in the environment of the token, so the agent may reach them; a module that is not SoftHSM gets the
/// list of system calls that has sockets.
fn break_ca_token(appliance: &Appliance) -> (Controller, Control) {
    let socket = appliance.root().join("run/fault.sock");
    let mut config: Table = std::fs::read_to_string(appliance.config()).unwrap().parse().unwrap();
    let token = config["ca"]["token"].as_table_mut().unwrap();
    let module = Value::from(text(&library().unwrap()));
    let real = token.insert("module".to_owned(), module).unwrap();
    token.insert("deadline_seconds".to_owned(), Value::from(2));
    let environment = token["environment"].as_table_mut().unwrap();
    environment.insert(REAL.to_owned(), real);
    environment.insert(CONTROL.to_owned(), Value::from(text(&socket)));
    std::fs::write(appliance.config(), config.to_string()).unwrap();
    let controller = Controller::listen(&socket, Vec::new()).unwrap();
    (controller, Control::connect(&socket).unwrap())
}

/// What a kernel says of a process: a word of `/proc/PID/status`.
fn status(process: i32, word: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{word}:"))).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_module_that_hangs_crashes_and_signs_wrongly_inside_the_sandbox() {
    let _entry = Entry::without_line();
    let appliance = Appliance::new();
    let (_controller, control) = break_ca_token(&appliance);
    appliance.start();
    appliance.machine_config("m.cfg", HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
    let gencert = |name: &str| {
        let words = ["--gencert", "--privkey", "k.priv", "--config", "m.cfg", "--Name", name];
        let file = format!("{name}.crt");
        appliance.run("certool", &[&words[..], &["--cert", &file]].concat())
    };
    let verifies = |name: &str| {
        let root = appliance.root().join("lib/vmca/root.cer");
        let certificate = appliance.file(&format!("{name}.crt"));
        judge("openssl", &["verify", "-CAfile", text(&root), text(&certificate)]);
    };
    assert_eq!(gencert("first").status, 0, "{}", appliance.logs());
    verifies("first");
    let agent = *agents(appliance.pid("vmcad")).first().unwrap();
    // SECCOMP_MODE_FILTER.
    assert_eq!(status(agent, "Seccomp"), "2");
    let counts = control.counts().unwrap();
    assert!(counts.calls("C_Sign") > 0 && counts.calls("C_Login") > 0, "{counts:?}");

    // It hangs: the agent is ended at the deadline, and nothing is asked twice.
    control.reset().unwrap();
    control.add("C_Sign hang count=1").unwrap();
    let said = gencert("late");
    assert!(said.stderr.contains("did not answer within 2 s"), "{said:?}");
    assert_eq!(control.counts().unwrap().calls("C_Sign"), 1);
    eventually("issuing works again", || gencert("second").status == 0);
    eventually("the agent that hung is gone", || {
        let gone = control.counts().unwrap().of("C_Sign").inside == 0;
        gone && !std::path::Path::new(&format!("/proc/{agent}")).exists()
    });
    verifies("second");

    // It takes its process with it: no request fails.
    for rule in ["C_Sign abort count=1", "C_Sign exit=1 count=1", "C_SignInit answer=0x30 count=1"]
    {
        control.reset().unwrap();
        control.add(rule).unwrap();
        let said = gencert("third");
        assert_eq!(said.status, 0, "{rule}: {said:?}\n{}", appliance.logs());
        verifies("third");
        let counts = control.counts().unwrap();
        assert_eq!((counts.calls("C_Initialize"), counts.calls("C_Login")), (1, 1), "{rule}");
    }

    // It signs wrongly: nothing of it is released, and the token is not asked again before a restart.
    control.add("C_Sign flip count=1").unwrap();
    let said = gencert("wrong");
    assert!(said.status != 0 && said.stderr.contains("quarantine"), "{said:?}");
    assert!(!appliance.file("wrong.crt").exists());
    alarms::is_raised(&appliance, "vmcad", "quarantine");
    control.reset().unwrap();
    assert_ne!(gencert("wrong").status, 0);
    assert_eq!(control.counts().unwrap().calls("C_Sign"), 0);
    appliance.ok("service-control", &["--restart", "vmcad"]);
    alarms::is_over(&appliance);
    assert_eq!(gencert("fourth").status, 0, "{}", appliance.logs());
    verifies("fourth");
    verify_with_failures(&appliance);
}
