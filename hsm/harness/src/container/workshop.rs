//! Keys are made where the module is: by the appliance's key workshop (`sealwright token-workshop`), inside the container.

use hsm::provision::MadeGeneration;
use hsm::{Algorithm, KeyReference};
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::docker_with;
use super::{Container, ROOT};
use crate::Failure;

/// What the workshop answers, as far as it is asked here.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Identity(serde::de::IgnoredAny),
    Generation(Box<MadeGeneration>),
    SigningKey { id: String, public_key: Vec<u8> },
    Failed { what: String },
}

pub(super) fn create_token(container: &Container) -> Result<(), Failure> {
    let role = container.role.name();
    let pin = |name: &str| json!({ "source": format!("file:{ROOT}/etc/pins/{name}.pin") });
    let work = json!({ "create-token": {
        "label": container.label,
        "so_pin": pin(&format!("{role}-so")),
        "user_pin": pin(role),
    } });
    match ask(container, work)? {
        Answer::Identity(_) => Ok(()),
        other => Err(unexpected(other)),
    }
}

pub(super) fn signing_key(
    container: &Container,
    algorithm: Algorithm,
) -> Result<KeyReference, Failure> {
    let work = json!({ "generate-signing-key": {
        "label": "harness",
        "algorithm": algorithm.to_string().to_lowercase(),
    } });
    match ask(container, work)? {
        Answer::SigningKey { id, public_key } => Ok(KeyReference { id: id.parse()?, public_key }),
        other => Err(unexpected(other)),
    }
}

pub(super) fn sealing_keys(container: &Container, number: u32) -> Result<MadeGeneration, Failure> {
    match ask(container, json!({ "generate-generation": { "number": number } }))? {
        Answer::Generation(made) => Ok(*made),
        other => Err(unexpected(other)),
    }
}

/// One request, one line; one answer, one line.
fn ask(container: &Container, work: Value) -> Result<Answer, Failure> {
    let role = container.role.name();
    let home = format!("{ROOT}/lib/tokens/{role}");
    let configuration = format!("{home}/softhsm2.conf");
    let request = json!({
        "token": {
            "module": "/usr/lib/softhsm/libsofthsm2.so",
            "uri": format!("pkcs11:token={}", container.label),
            "pin": format!("file:{ROOT}/etc/pins/{role}.pin"),
            "environment": { "SOFTHSM2_CONF": configuration },
            "directory": format!("{home}/tokens"),
        },
        "pin": null,
        "work": work,
    });
    let variable = format!("SOFTHSM2_CONF={configuration}");
    let words = ["exec", "--interactive", "--env", &variable, container.agent.id()];
    let command = ["sealwright", "token-workshop", role];
    let said = docker_with(&[&words[..], &command].concat(), &format!("{request}\n"))?;
    serde_json::from_str(&said).map_err(|cause| {
        Failure::Said(format!("the workshop in the container said {said:?}: {cause}"))
    })
}

fn unexpected(answer: Answer) -> Failure {
    Failure::Said(match answer {
        Answer::Failed { what } => what,
        _ => "the workshop in the container answered something else".to_owned(),
    })
}
