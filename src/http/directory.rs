//! Paths of `vmdird`.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::get;
use axum::{Json, Router};

use super::{Asking, Reject, on_blocking_thread};
use crate::api::directory::{NODES, Node, Publish, TRUSTED_ROOTS, TrustedRoot};
use crate::api::{HEALTH, Health, Kind, Problem};
use crate::base::Service;
use crate::directory::{self, Directory, Publication};

type Answer<T> = Result<Json<T>, Reject>;

/// The routes of `vmdird`.
pub fn router(directory: Arc<Directory>) -> Router {
    Router::new()
        .route(HEALTH, get(health))
        .route(TRUSTED_ROOTS, get(trusted_roots).post(publish))
        .route(NODES, get(nodes))
        .with_state(directory)
}

async fn health(State(directory): State<Arc<Directory>>) -> Answer<Health> {
    // Reading is what the directory is for; if it cannot, it says why.
    let fault = on_blocking_thread(move || {
        let failure = directory.trusted_roots().err();
        Ok::<_, Problem>(failure.map(|failure| failure.sentence()))
    })
    .await?;
    let state = match fault {
        None => crate::api::State::Ok,
        Some(_) => crate::api::State::Degraded,
    };
    Ok(Json(Health { detail: fault, ..Health::new(Service::Vmdird, state) }))
}

async fn trusted_roots(
    State(directory): State<Arc<Directory>>,
    _asking: Asking,
) -> Answer<Vec<TrustedRoot>> {
    let roots = on_blocking_thread(move || directory.trusted_roots()).await?;
    Ok(Json(
        roots
            .into_iter()
            .map(|root| TrustedRoot {
                id: root.id,
                subject: root.subject,
                certificate: root.certificate,
                crl: root.crl,
            })
            .collect(),
    ))
}

async fn publish(
    State(directory): State<Arc<Directory>>,
    Asking(caller): Asking,
    body: Result<Json<Publish>, JsonRejection>,
) -> Answer<()> {
    let Json(new) = body?;
    on_blocking_thread(move || {
        let permit = directory.publisher(&caller)?;
        directory.publish(permit, Publication::read(&new.certificate, new.crl.as_deref())?)
    })
    .await?;
    Ok(Json(()))
}

async fn nodes(State(directory): State<Arc<Directory>>, _asking: Asking) -> Json<Vec<Node>> {
    Json(
        directory
            .nodes()
            .into_iter()
            .map(|node| Node { name: node.name, node_type: node.node_type.to_owned() })
            .collect(),
    )
}

impl From<directory::Error> for Problem {
    fn from(error: directory::Error) -> Self {
        let kind = match &error {
            directory::Error::Material(_)
            | directory::Error::NotOne(_)
            | directory::Error::ForeignCrl(_) => Kind::Invalid,
            directory::Error::Denied(_) => Kind::Denied,
            directory::Error::OldCrl => Kind::Conflict,
            directory::Error::Store(_) => Kind::Unavailable,
        };
        if kind == Kind::Unavailable {
            tracing::error!("{}", error.sentence());
        }
        Self { kind, code: error.code(), detail: error.sentence() }
    }
}
