//! What the assembly adds to a service's health.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::api::{HEALTH, Health};

/// Octets of the longest health answer.
const LONGEST: usize = 64 * 1024;

/// The same paths; the health answer says as well why the service is not confined, where it is not.
///
/// A room cannot know it. It does not change the judgement: the service does all that it is for.
pub fn with_note(router: Router, note: Option<String>) -> Router {
    match note {
        None => router,
        Some(note) => {
            router.layer(from_fn(move |request, next| answer(request, next, note.clone())))
        }
    }
}

async fn answer(request: Request, next: Next, note: String) -> Response {
    let about_health = request.uri().path() == HEALTH;
    let response = next.run(request).await;
    if !about_health || !response.status().is_success() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let octets = to_bytes(body, LONGEST).await.unwrap_or_default();
    let noted = serde_json::from_slice::<Health>(&octets)
        .and_then(|health| serde_json::to_vec(&Health { unconfined: Some(note), ..health }));
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(noted.unwrap_or_else(|_| octets.to_vec())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::with_note;
    use crate::api::{HEALTH, Health, State};
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::routing::get;
    use axum::{Json, Router};
    use tower_service::Service;

    async fn answer(router: &mut Router, path: &str) -> Vec<u8> {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        to_bytes(response.into_body(), 1024).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn the_note_joins_the_health_and_nothing_else() {
        for said in [None, Some("said".to_owned())] {
            let health = Health {
                detail: said.clone(),
                ..Health::new(crate::base::Service::Vmcad, State::Ok)
            };
            let paths = Router::new()
                .route(HEALTH, get(|| async { Json(health) }))
                .route("/other", get(|| async { "{}" }));
            let mut router = with_note(paths, Some("note".to_owned()));
            let noted: Health = serde_json::from_slice(&answer(&mut router, HEALTH).await).unwrap();
            assert_eq!(noted.unconfined.as_deref(), Some("note"));
            assert_eq!((noted.detail, noted.state), (said, State::Ok));
            assert_eq!(answer(&mut router, "/other").await, b"{}");
        }
    }
}
