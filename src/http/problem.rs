//! The one place where a refusal becomes an HTTP status.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

use crate::access::Denied;
use crate::api::{Kind, Problem};

/// A problem on its way out.
#[derive(Debug)]
pub struct Reject(pub Problem);

const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Unavailable | Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Reject {
    fn into_response(self) -> Response {
        let kind = self.0.kind;
        let mut response = (status(kind), Json(self.0)).into_response();
        if kind == Kind::Busy {
            // A second is long for a token; whoever asks again sooner only waits in line (RFC 9110, 10.2.3).
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Problem> for Reject {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Denied> for Reject {
    fn from(denied: Denied) -> Self {
        Self(Problem { kind: Kind::Denied, code: 5, detail: denied.to_string() })
    }
}

impl From<JsonRejection> for Reject {
    fn from(rejection: JsonRejection) -> Self {
        // 87 is ERROR_INVALID_PARAMETER: the words do not form a request.
        Self(Problem { kind: Kind::Invalid, code: 87, detail: rejection.body_text() })
    }
}

impl From<QueryRejection> for Reject {
    fn from(rejection: QueryRejection) -> Self {
        Self(Problem { kind: Kind::Invalid, code: 87, detail: rejection.body_text() })
    }
}
