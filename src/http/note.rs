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
        Some(note) => router.layer(from_fn(move |request, next| {
            answer(request, next, note.clone())
        })),
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
