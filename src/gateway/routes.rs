//! Paths of the gateway: open to everybody over TLS, and its own health on the control socket.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::Semaphore;

use super::Gateway;
use super::negotiation::{Format, negotiate};
use super::overall::Overall;
use super::{bundle, roots};
use crate::api::{self, Health, Kind, Problem};
use crate::base::sentences;
use crate::client;
use crate::config::TRUSTED_ROOTS;
use crate::http::{Reject, on_blocking_thread};

/// Questions to the services that run at the same time; more wait. Anybody may ask here, and the
/// services have other work.
const QUESTIONS: usize = 16;

/// What a handler needs.
#[derive(Clone)]
struct Door {
    gateway: Arc<Gateway>,
    questions: Arc<Semaphore>,
}

impl Door {
    /// Does work that asks services, not too much of it at once.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Gateway) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Reject> {
        // An error would mean a closed semaphore; nobody closes it.
        let _turn = self.questions.acquire().await;
        let gateway = Arc::clone(&self.gateway);
        on_blocking_thread(move || work(&gateway)).await
    }
}

/// What TLS clients reach.
pub(super) fn front_door(gateway: Arc<Gateway>) -> Router {
    let suffixed = |end: &str| format!("{TRUSTED_ROOTS}{end}");
    Router::new()
        .route("/", get(welcome))
        .route("/healthz", get(healthz))
        .route(TRUSTED_ROOTS, get(negotiated_roots))
        .route(&suffixed(".pem"), get(pem_roots))
        .route(&suffixed(".zip"), get(zip_roots))
        .with_state(Door { gateway, questions: Arc::new(Semaphore::new(QUESTIONS)) })
}

/// What the control socket serves.
pub(super) fn control(gateway: Arc<Gateway>) -> Router {
    Router::new().route(api::HEALTH, get(own_health)).with_state(gateway)
}

async fn own_health(State(gateway): State<Arc<Gateway>>) -> Json<Health> {
    Json(gateway.standing.health(gateway.clock.now()))
}

async fn welcome(State(door): State<Door>) -> String {
    format!(
        "Sealwright on {}\n\n{TRUSTED_ROOTS}      trusted roots, PEM\n{TRUSTED_ROOTS}.zip  trusted roots and \
         revocation lists, named by hash\n/healthz          how every service is\n",
        door.gateway.node
    )
}

async fn healthz(State(door): State<Door>) -> Result<Response, Reject> {
    let overall = door
        .ask(|gateway| {
            let own = gateway.standing.health(gateway.clock.now());
            Ok(Overall::ask(&gateway.layout, &own))
        })
        .await?;
    let status = match overall.state {
        api::State::Ok => StatusCode::OK,
        api::State::Degraded | api::State::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, [(CACHE_CONTROL, "no-store")], Json(overall)).into_response())
}

async fn negotiated_roots(door: State<Door>, headers: HeaderMap) -> Result<Response, Reject> {
    let accept: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    match negotiate(&accept.join(",")) {
        Format::Pem => pem_roots(door).await,
        Format::Zip => zip_roots(door).await,
    }
}

async fn pem_roots(State(door): State<Door>) -> Result<Response, Reject> {
    let text = door
        .ask(|gateway| {
            let certificates = roots::certificates(&gateway.vecs).map_err(|cause| away(&cause))?;
            Ok(bundle::pem(&certificates))
        })
        .await?;
    Ok(([(CONTENT_TYPE, "application/x-pem-file")], text).into_response())
}

async fn zip_roots(State(door): State<Door>) -> Result<Response, Reject> {
    let octets = door
        .ask(|gateway| {
            let certificates = roots::certificates(&gateway.vecs).map_err(|cause| away(&cause))?;
            let crls = roots::crls(&gateway.vecs).map_err(|cause| away(&cause))?;
            bundle::zip(&certificates, &crls).map_err(|cause| Problem {
                kind: Kind::Internal,
                code: 0,
                detail: format!("the archive could not be written: {cause}"),
            })
        })
        .await?;
    let headers = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"certs.zip\""),
    ];
    Ok((headers, octets).into_response())
}

/// Strangers learn that it does not work now; the log says why.
fn away(cause: &client::Error) -> Problem {
    tracing::warn!("the trusted roots cannot be served: {}", sentences(cause));
    Problem {
        kind: Kind::Unavailable,
        code: 0,
        detail: "the certificate store does not answer; try again later".to_owned(),
    }
}
