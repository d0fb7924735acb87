//! The token agents of real services: who loads the module, and what happens when an agent dies or hangs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{Appliance, eventually};
use crate::verify::{verify, verify_with_failures};

/// Processes whose parent is this one and that run `sealwright token-agent`.
pub fn agents(service: i32) -> Vec<i32> {
    children(service).into_iter().filter(|pid| words(*pid).contains("token-agent")).collect()
}

fn children(parent: i32) -> Vec<i32> {
    let parent = format!("PPid:\t{parent}\n");
    processes()
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| status.contains(&parent))
        })
        .collect()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn words(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn prepare(appliance: &Appliance) {
    appliance.machine_config("m.cfg", crate::harness::HOST);
    appliance.ok("certool", &["--genkey", "--privkey", "k.priv", "--key-algorithm", "p-256"]);
}

fn gencert(appliance: &Appliance, name: &str) -> bool {
    let certificate = format!("{name}.crt");
    let words = ["--gencert", "--privkey", "k.priv", "--config", "m.cfg", "--Name", name, "--cert"];
    appliance.run("certool", &[&words[..], &[&certificate]].concat()).status == 0
}

#[test]
fn only_the_agents_load_the_module() {
    let appliance = Appliance::running();
    appliance.certificate("one");
    for service in ["vmcad", "vmafdd", "vmdird", "gateway"] {
        let pid = appliance.pid(service);
        let Ok(maps) = std::fs::read_to_string(format!("/proc/{pid}/maps")) else {
            eprintln!("LOUD: not root, so it is NOT looked at who loads the module");
            return;
        };
        assert!(!maps.contains("softhsm"), "{service} has loaded the module");
        let expected = usize::from(matches!(service, "vmcad" | "vmafdd"));
        assert_eq!(agents(pid).len(), expected, "{service}");
        for agent in agents(pid) {
            let maps = std::fs::read_to_string(format!("/proc/{agent}/maps")).unwrap();
            assert!(maps.contains("softhsm"), "the agent of {service} uses no module");
        }
    }
    verify(&appliance);
}

#[test]
fn an_agent_that_is_killed_or_crashes_is_replaced_without_a_restart() {
    let appliance = Appliance::running();
    prepare(&appliance);
    assert!(gencert(&appliance, "first"));
    let vmcad = appliance.pid("vmcad");
    for (round, ending) in
        [rustix::process::Signal::KILL, rustix::process::Signal::SEGV].into_iter().enumerate()
    {
        for agent in agents(vmcad) {
            signal(agent, ending);
        }
        // The request that finds the agent dead is asked again of the next one: none fails.
        assert!(gencert(&appliance, &format!("round{round}")), "{}", appliance.logs());
    }
    assert_eq!(appliance.pid("vmcad"), vmcad, "the service was not restarted");
    verify(&appliance);
}

#[test]
fn an_agent_that_hangs_is_ended_at_its_deadline_and_replaced() {
    let appliance = Appliance::new();
    appliance.configure("[ca.token]\n", "[ca.token]\ndeadline_seconds = 1\n");
    appliance.start();
    prepare(&appliance);
    assert!(gencert(&appliance, "first"));
    let hung = agents(appliance.pid("vmcad"));
    hung.iter().for_each(|agent| signal(*agent, rustix::process::Signal::STOP));
    let words = ["--gencert", "--privkey", "k.priv", "--cert", "x.crt", "--config", "m.cfg"];
    let said = appliance.certool_fails(&words, 70032);
    assert!(said.stderr.contains("did not answer within 1 s"), "{said:?}");
    eventually("issuing works again", || gencert(&appliance, "second"));
    for agent in hung {
        eventually("the agent that hung is gone", || {
            !Path::new(&format!("/proc/{agent}")).exists()
        });
    }
    verify_with_failures(&appliance);
}

#[test]
fn no_agent_outlives_its_service() {
    let appliance = Appliance::running();
    appliance.certificate("one");
    let vmcad = appliance.pid("vmcad");
    let all = children(vmcad);
    assert!(all.len() >= 2, "an agent and a key workshop");
    signal(vmcad, rustix::process::Signal::KILL);
    for child in all {
        eventually("the children are gone", || {
            let Ok(status) = std::fs::read_to_string(format!("/proc/{child}/status")) else {
                return true;
            };
            status.contains("State:\tZ")
        });
    }
    appliance.start();
    assert!(appliance.ok("certool", &["--getrootca"]).contains("Certificate"));
    verify(&appliance);
}

#[test]
fn a_service_may_use_an_agent_that_listens() {
    let appliance = Appliance::new();
    let socket = appliance.root().join("agent.sock");
    let user =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned();
    let mut listener = appliance
        .command("sealwright")
        .args(["token-agent", "ca", "--listen", crate::harness::text(&socket), "--peer", &user])
        .spawn()
        .unwrap();
    eventually("the agent listens", || socket.exists());
    let text = std::fs::read_to_string(appliance.config()).unwrap();
    let agent = format!("\n[ca.token.agent]\nsocket = {:?}\nuser = {user:?}\n", socket);
    std::fs::write(appliance.config(), format!("{text}{agent}")).unwrap();
    appliance.start();
    prepare(&appliance);
    assert!(gencert(&appliance, "one"), "{}", appliance.logs());
    assert_eq!(agents(appliance.pid("vmcad")), [0; 0], "vmcad starts no agent of its own");
    let own = i32::try_from(listener.id()).unwrap();
    assert_eq!(agents(own).len(), 1, "the listener started one for vmcad");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "who may use it is asked of the kernel");
    for agent in agents(own) {
        let Ok(environment) = std::fs::read(format!("/proc/{agent}/environ")) else {
            eprintln!("LOUD: not root, so it is NOT looked at the agent's environment");
            break;
        };
        let wipes = String::from_utf8_lossy(&environment).contains("malloc.perturb=255");
        assert!(wipes, "C code in the agent frees memory without wiping it");
    }
    // An agent that dies there is replaced, too.
    agents(own).into_iter().for_each(|agent| signal(agent, rustix::process::Signal::KILL));
    eventually("issuing works again", || gencert(&appliance, "two"));
    verify_with_failures(&appliance);
    drop(appliance);
    listener.kill().unwrap();
    listener.wait().unwrap();
}
