//! Fuzz target: `sealwright.toml`.
#![allow(missing_docs, clippy::expect_used)]

use super::Config;

mutation::targets! {
    configuration: seeds, 1500;
}

/// A configuration that is taken selects two tokens, and says the same when written and read again. What is wrong with
/// another is one line.
fn configuration(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let config = match Config::read(text) {
        Ok(config) => config,
        Err(what) => return assert!(!what.is_empty()),
    };
    for section in [&config.ca.token, &config.vecs.token] {
        section.selection().expect("it was taken");
        section.agent_sandbox(None);
    }
    assert!(config.ca_issuers_url().starts_with("https://"));
    let written = config.to_toml();
    let again = Config::read(&written).expect("what was written can be read");
    assert_eq!(again.to_toml(), written);
}

fn seeds() -> Vec<Vec<u8>> {
    let token = "module = \"/m.so\"\nuri = \"pkcs11:token=x\"\npin = \"file:/p\"\n";
    let rest =
        "environment = { SOFTHSM2_CONF = \"/c\" }\ndirectory = \"/t\"\ndeadline_seconds = 3\n";
    let seeds: Vec<String> = vec![
        format!("[node]\nname = \"vc.example\"\n[ca.token]\n{token}[vecs.token]\n{token}"),
        format!(
            "[node]\nname = \"::1\"\n[gateway]\nlisten = \"[::1]:8443\"\n[ca]\ncrl_days = 7\n[ca.token]\n{token}{rest}\
             [ca.token.sandbox]\nsystem_calls = \"vendor\"\nread = [\"/x\"]\nallow = [\"mremap\"]\n[ca.token.agent]\n\
             socket = \"/s\"\nuser = \"u\"\n[profile.strict]\nvalidity_days = 90\n\
             [access.clients]\nweb1 = \"{}\"\n[vecs]\nrefresh_seconds = 5\n\
             [vecs.token]\n{token}",
            "0a".repeat(32)
        ),
    ];
    let taken = |text: &String| Config::read(text).expect("a seed is taken");
    seeds.iter().for_each(|text| drop(taken(text)));
    seeds.into_iter().map(String::into_bytes).collect()
}
