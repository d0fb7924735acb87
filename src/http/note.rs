//! A sentence that the assembly adds to a service's health.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::api::{HEALTH, Health};

/// Octets of the longest health answer.
const LONGEST: usize = 64 * 1024;

/// The same paths; the health answer carries the note as well, where there is one.
///
/// The note is something a room cannot know, such as a kernel that does not protect the token's
/// directory. It does not change the judgement: the service does all that it is for.
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
    let noted = serde_json::from_slice::<Health>(&octets).and_then(|health| {
        serde_json::to_vec(&Health {
            detail: Some(match &health.detail {
                Some(detail) => format!("{detail}; {note}"),
                None => note,
            }),
            ..health
        })
    });
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
        for (said, expected) in [(None, "note"), (Some("said"), "said; note")] {
            let health = Health {
                service: "vmcad".to_owned(),
                state: State::Ok,
                version: "1".to_owned(),
                detail: said.map(str::to_owned),
                token: None,
            };
            let paths = Router::new()
                .route(HEALTH, get(|| async { Json(health) }))
                .route("/other", get(|| async { "{}" }));
            let mut router = with_note(paths, Some("note".to_owned()));
            let noted: Health = serde_json::from_slice(&answer(&mut router, HEALTH).await).unwrap();
            assert_eq!(noted.detail.as_deref(), Some(expected));
            assert_eq!(noted.state, State::Ok);
            assert_eq!(answer(&mut router, "/other").await, b"{}");
        }
    }
}
