//! Every refusal as problem+json (RFC 9457): one enum, one match to the wire.
//!
//! A problem tells the person what to do. It never carries what only we may know (paths on disk, SQL of ours,
//! panic messages); the operator's own SQL and filter errors are theirs to see.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The request does not say what it must
    Bad(String),
    /// No session, or the name or password is wrong
    SignedOut {
        /// What to do about it
        detail: &'static str,
        /// No user exists yet: the one-time link comes first
        setup_needed: bool,
    },
    /// Known, but not allowed to
    Forbidden(&'static str),
    /// There is no such thing
    Missing(String),
    /// The method does not fit the resource
    Method,
    /// The thing has changed, or stands already
    Conflict(String),
    /// More than 1 MiB of body
    TooLarge,
    /// A `Host` that is not ours (DNS rebinding)
    Misdirected,
    /// Come back in so many seconds
    TooMany {
        /// What is limited
        detail: &'static str,
        /// Seconds to wait
        retry_after_s: u64,
    },
    /// The work took longer than allowed
    Slow,
    /// Disk or database failed; the detail is for the log, not for the answer
    Store(String),
    /// A fault of ours
    Fault,
}

/// A refusal as it goes over the wire (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the status says what kind of problem it is
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// HTTP status
    #[schema(example = 400)]
    status: u16,
    /// What is wrong and what to do
    detail: String,
    /// Only with 401 from the session: no user exists yet, the one-time set-up link comes first
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_needed: Option<bool>,
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::SignedOut { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Slow => StatusCode::GATEWAY_TIMEOUT,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(self) -> String {
        match self {
            Self::Bad(detail) | Self::Missing(detail) | Self::Conflict(detail) => detail,
            Self::SignedOut { detail, .. } | Self::Forbidden(detail) | Self::TooMany { detail, .. } => {
                detail.to_owned()
            }
            Self::Method => "this resource does not know that method; see /api/v1/openapi.json".to_owned(),
            Self::TooLarge => "the request body is larger than 1 MiB".to_owned(),
            Self::Misdirected => {
                "this console does not answer for that host; use the address it listens on, or name the host in the \
                 configuration"
                    .to_owned()
            }
            Self::Slow => "this took longer than 30 seconds; narrow the time range or the query".to_owned(),
            Self::Store(_) => "the event store or its database failed; the log of the gateway says how".to_owned(),
            Self::Fault => "a fault inside the console; the log of the gateway says where".to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut extra: Option<(HeaderName, HeaderValue)> = None;
        let mut setup_needed = None;
        match &self {
            Self::SignedOut { setup_needed: needed, .. } => setup_needed = Some(*needed),
            Self::TooMany { retry_after_s, .. } => extra = Some((header::RETRY_AFTER, (*retry_after_s).into())),
            Self::Store(error) => tracing::error!(%error, "the console could not read or write the store"),
            Self::Bad(_)
            | Self::Forbidden(_)
            | Self::Missing(_)
            | Self::Method
            | Self::Conflict(_)
            | Self::TooLarge
            | Self::Misdirected
            | Self::Slow
            | Self::Fault => {}
        }
        let title = status.canonical_reason().unwrap_or("Error");
        let body =
            ProblemBody { r#type: "about:blank", title, status: status.as_u16(), detail: self.detail(), setup_needed };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(extra);
        response
    }
}

impl From<bartizan_store::Error> for Problem {
    /// A bad query is the caller's to see and mend; anything else is for the log.
    fn from(error: bartizan_store::Error) -> Self {
        if error.is_query_fault() { Self::Bad(error.to_string()) } else { Self::Store(error.to_string()) }
    }
}
