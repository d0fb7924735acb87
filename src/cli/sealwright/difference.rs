//! What an operator asks for and an appliance that is configured already does not have.

use std::fmt::Display;
use std::path::Path;

use hsm::TokenUri;

use super::{Request, TokenChoice};
use crate::config::{Config, TokenRole, TokenSection};

impl Request {
    /// Every option that says something else than the configuration, with what that says. Options
    /// that were not given ask for nothing.
    pub fn differences(&self, config: &Config) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(difference("--hostname", self.host.as_ref(), &config.node.name));
        found.extend(difference("--domain", self.domain.as_ref(), &config.node.domain));
        let algorithm = &config.ca.key_algorithm;
        found.extend(difference("--key-algorithm", self.key_algorithm.as_ref(), algorithm));
        found.extend(difference("--profile", self.profile.as_ref(), &config.ca.profile));
        found.extend(difference("--listen", self.listen.as_ref(), &config.gateway.listen));
        if self.allow_imported_ca_keys && !config.ca.allow_imported_keys {
            found.push("--allow-imported-ca-keys (it does not allow them)".to_owned());
        }
        for operator in &self.operators {
            if !config.access.operators.contains(operator) {
                found.push(format!("--operator {operator} (is none)"));
            }
        }
        for (role, choice) in
            [(TokenRole::Ca, &self.ca_token), (TokenRole::Sealing, &self.sealing_token)]
        {
            choice.differences(role, config.token(role), &mut found);
        }
        found
    }
}

fn difference(option: &str, asked: Option<&impl Display>, has: &impl Display) -> Option<String> {
    let (asked, has) = (asked?.to_string(), has.to_string());
    (asked != has).then(|| format!("{option} {asked} (it has {has})"))
}

impl TokenChoice {
    fn differences(&self, role: TokenRole, has: &TokenSection, found: &mut Vec<String>) {
        match self {
            Self::NewSoftHsm { module: None } => {}
            Self::NewSoftHsm { module: Some(module) } => {
                found.extend(module_difference("--softhsm-module", module, has));
            }
            Self::Existing { module, uri, pin, environment } => {
                if !names(uri, &has.uri) {
                    found.push(format!("--{role}-token {uri} (it has {})", has.uri));
                }
                found.extend(module_difference(&format!("--{role}-module"), module, has));
                found.extend(difference(&format!("--{role}-pin"), Some(pin), &has.pin));
                for (name, value) in environment {
                    if has.environment.get(name) != Some(value) {
                        found.push(format!("--{role}-env {name}={value} (it has another value)"));
                    }
                }
            }
        }
    }
}

fn module_difference(option: &str, asked: &Path, has: &TokenSection) -> Option<String> {
    difference(option, Some(&asked.display()), &has.module.display())
}

/// Whether what was typed fits the token that the configuration names by label and serial number.
fn names(asked: &TokenUri, configured: &str) -> bool {
    let fits = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
    configured
        .parse::<TokenUri>()
        .is_ok_and(|has| fits(&asked.label, &has.label) && fits(&asked.serial, &has.serial))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::cli::sealwright::{Called, Command, parse};
    use crate::config::Config;

    const CONFIG: &str = r#"
        [node]
        name = "vc.example"
        [access]
        operators = ["alice"]
        [ca]
        token = { module = "/v.so", uri = "pkcs11:token=CA;serial=1", pin = "prompt", environment = { A = "b" } }
        [vecs]
        token = { module = "/m.so", uri = "pkcs11:token=x", pin = "file:/p" }
    "#;

    fn differences(options: &str) -> Vec<String> {
        let words = ["sealwright", "init"].into_iter().chain(options.split_whitespace());
        let Ok(Called { command: Command::Init(request), .. }) = parse(words.map(Into::into))
        else {
            panic!("{options}");
        };
        request.differences(&toml::from_str::<Config>(CONFIG).unwrap())
    }

    #[test]
    fn what_was_not_asked_for_or_is_there_is_no_difference() {
        for options in [
            "",
            "--hostname vc.example --key-algorithm rsa-3072 --profile vmca-compat --operator alice",
            "--ca-token pkcs11:token=CA --ca-module /v.so --ca-env A=b",
        ] {
            assert_eq!(differences(options), [""; 0], "{options}");
        }
    }

    #[test]
    fn every_option_that_says_something_else_is_named() {
        for (options, expected) in [
            ("--hostname a.example", "--hostname a.example (it has vc.example)"),
            ("--domain corp.example", "--domain corp.example (it has vsphere.local)"),
            ("--key-algorithm p-384", "--key-algorithm p-384 (it has rsa-3072)"),
            ("--profile strict", "--profile strict (it has vmca-compat)"),
            ("--listen 127.0.0.1:8443", "--listen 127.0.0.1:8443 (it has [::]:443)"),
            ("--allow-imported-ca-keys", "--allow-imported-ca-keys (it does not allow them)"),
            ("--operator bob --operator alice", "--operator bob (is none)"),
            (
                "--ca-token pkcs11:token=CA;serial=2 --ca-module /v.so",
                "--ca-token pkcs11:token=CA;serial=2 (it has pkcs11:token=CA;serial=1)",
            ),
            (
                "--ca-token pkcs11:token=CA --ca-module /v.so --ca-pin fd:3",
                "--ca-pin fd:3 (it has prompt)",
            ),
            (
                "--ca-token pkcs11:token=CA --ca-module /v.so --ca-env A=c",
                "--ca-env A=c (it has another value)",
            ),
        ] {
            assert_eq!(differences(options), [expected], "{options}");
        }
    }
}
