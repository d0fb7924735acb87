//! The sealing keys: `vmafdd` makes them by itself and keeps them on record. Here they are waited for,
//! and looked up.

use std::path::Path;

use super::Cause;
use super::records::{self, GenerationRecord};
use super::step::Done;
use crate::api::vecs::{GENERATIONS, Generation};
use crate::api::{HEALTH, Health, State};
use crate::base::UnixTime;
use crate::client::Client;
use crate::config::Config;
use crate::store;

/// Has `vmafdd` make the first generation now, if there is none yet, and sees that all is well with
/// it. `begun`: when the services were started.
pub(super) fn ensure(vmafdd: &Client, begun: UnixTime) -> Result<Done, Cause> {
    let all: Vec<Generation> = vmafdd.post(GENERATIONS, &())?;
    let active =
        all.into_iter().find(|generation| generation.state == "active").ok_or_else(|| {
            Cause::Late("vmafdd made sealing keys and does not list them; see its log".to_owned())
        })?;
    let health: Health = vmafdd.get(HEALTH)?;
    if health.state != State::Ok {
        let detail = health.detail.unwrap_or_else(|| "see its log".to_owned());
        return Err(Cause::Late(format!("vmafdd cannot use its sealing keys: {detail}")));
    }
    let id: String = active.sealing.chars().take(12).collect();
    let keys = format!("generation {}, AES-256, sealing key {id}…", active.number);
    Ok(if active.created_at >= begun {
        Done::Made(format!("made in the sealing token, {keys}"))
    } else {
        Done::Found(keys)
    })
}

/// The generations in a database of `vmafdd`. One that a former version wrote has none; its one
/// sealing key stands in the configuration.
pub(super) fn in_database(
    database: &Path,
    config: &Config,
) -> Result<Vec<GenerationRecord>, store::Error> {
    let found = store::read_file(database, records::generations)?;
    let former = config.vecs.wrapping_key.as_ref().and_then(|id| id.parse().ok());
    Ok(match former {
        Some(sealing) if found.is_empty() => {
            vec![GenerationRecord {
                number: 1,
                sealing,
                wrapping: None,
                state: "active".to_owned(),
            }]
        }
        _ => found,
    })
}

/// The generations that `vmafdd` tells.
pub(super) fn of_service(vmafdd: &Client) -> Result<Vec<GenerationRecord>, Cause> {
    let all: Vec<Generation> = vmafdd.get(GENERATIONS)?;
    all.into_iter()
        .map(|generation| {
            Ok(GenerationRecord {
                number: generation.number,
                sealing: generation.sealing.parse()?,
                wrapping: generation.wrapping.as_deref().map(str::parse).transpose()?,
                state: generation.state,
            })
        })
        .collect()
}
