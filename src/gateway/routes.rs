//! Paths of the gateway: open to everybody over TLS, and its own health on the control socket.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::Gateway;
use super::negotiation::{Format, negotiate};
use super::overall::{Overall, Public};
use super::{bundle, issuing, roots};
use crate::api::{self, Health, Kind, Problem};
use crate::base::sentences;
use crate::client;
use crate::config::TRUSTED_ROOTS;
use crate::http::{Reject, Shared};

/// What a handler needs. Anybody may ask here, and the services have other work: each question is
/// worked out once at a time.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) gateway: Arc<Gateway>,
    overall: Arc<Shared<Overall>>,
    pem: Arc<Shared<Bytes>>,
    zip: Arc<Shared<Bytes>>,
}

impl Door {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, overall: Shared::new(), pem: Shared::new(), zip: Shared::new() }
    }

    async fn ask<T: Clone + PartialEq + Send + 'static>(
        &self,
        question: &Arc<Shared<T>>,
        work: fn(&Gateway) -> Result<T, Problem>,
    ) -> Result<T, Reject> {
        let gateway = Arc::clone(&self.gateway);
        question.ask(move || work(&gateway)).await
    }

    async fn overall(&self) -> Result<Overall, Reject> {
        self.ask(&self.overall, |gateway| {
            let own = gateway.standing.health(gateway.clock.now());
            Ok(Overall::ask(&gateway.layout, &own))
        })
        .await
    }
}

/// Trust changes: a cache must ask each time, and the two forms share a path.
const FRESH: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-cache"), (VARY, "accept")];

/// What TLS clients reach.
pub(super) fn front_door(door: Door) -> Router {
    let suffixed = |end: &str| format!("{TRUSTED_ROOTS}{end}");
    Router::new()
        .route(api::ca::CERTIFICATES, post(issuing::issue))
        .route("/", get(welcome))
        .route("/healthz", get(healthz))
        .route(TRUSTED_ROOTS, get(negotiated_roots))
        .route(&suffixed(".pem"), get(pem_roots))
        .route(&suffixed(".zip"), get(zip_roots))
        .with_state(door)
}

/// What the control socket serves.
pub(super) fn control(door: Door) -> Router {
    Router::new()
        .route(api::HEALTH, get(own_health))
        .route(api::OVERALL, get(overall))
        .with_state(door)
}

async fn own_health(State(Door { gateway, .. }): State<Door>) -> Json<Health> {
    Json(gateway.standing.health(gateway.clock.now()))
}

async fn overall(State(door): State<Door>) -> Result<Json<Overall>, Reject> {
    Ok(Json(door.overall().await?))
}

async fn welcome(State(door): State<Door>) -> String {
    format!(
        "Sealwright on {}\n\n{TRUSTED_ROOTS}      trusted roots, PEM\n{TRUSTED_ROOTS}.zip  trusted roots and \
         revocation lists, named by hash\n/healthz          how every service is\n\
         {}  certificates, for machines that the configuration names\n",
        door.gateway.node,
        api::ca::CERTIFICATES
    )
}

async fn healthz(State(door): State<Door>) -> Result<Response, Reject> {
    let public = Public::from(&door.overall().await?);
    let status = match public.state {
        api::State::Ok => StatusCode::OK,
        api::State::Degraded | api::State::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, [(CACHE_CONTROL, "no-store")], Json(public)).into_response())
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
    let octets = door
        .ask(&door.pem, |gateway| {
            let certificates = roots::certificates(&gateway.vecs).map_err(|cause| away(&cause))?;
            Ok(bundle::pem(&certificates).into())
        })
        .await?;
    Ok((FRESH, [(CONTENT_TYPE, "application/x-pem-file")], octets).into_response())
}

async fn zip_roots(State(door): State<Door>) -> Result<Response, Reject> {
    let octets = door
        .ask(&door.zip, |gateway| {
            let certificates = roots::certificates(&gateway.vecs).map_err(|cause| away(&cause))?;
            let crls = roots::crls(&gateway.vecs).map_err(|cause| away(&cause))?;
            let archive = bundle::zip(&certificates, &crls).map_err(|cause| Problem {
                kind: Kind::Internal,
                code: 0,
                detail: format!("the archive could not be written: {cause}"),
            })?;
            Ok(archive.into())
        })
        .await?;
    let headers = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"certs.zip\""),
    ];
    Ok((FRESH, headers, octets).into_response())
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
