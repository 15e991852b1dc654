//! Reading requests: query strings with repeated names, JSON bodies; every fault becomes a [`Problem`].

use axum::body::Body as AxumBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// LIMIT: bytes of a request body; the largest honest one is a configuration to check.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// LIMIT: bytes of a body that are read at all before the connection is given up.
const DRAIN_BYTES_MAX: usize = 8 * BODY_BYTES_MAX;

/// The query string as `T`; a name may repeat where `T` has a list.
pub(crate) struct Query<T>(pub(crate) T);

/// A JSON body as `T`. The media type must say JSON, so that a plain HTML form on a foreign page cannot send one.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query).map(Self).map_err(|error| Problem::Bad(format!("query string: {error}")))
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::Bad("send the body as JSON, with `content-type: application/json`".to_owned()));
        }
        let body = read(request.into_body()).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Problem::Bad(format!("request body: {error}")))
    }
}

/// The whole body. Of one that is too large the rest is read too, up to a limit: a client that is still sending would
/// see a broken connection instead of the answer.
async fn read(body: AxumBody) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::Bad("the request body broke off".to_owned()))?;
        seen += chunk.len();
        if seen > DRAIN_BYTES_MAX {
            return Err(Problem::TooLarge);
        }
        if seen > BODY_BYTES_MAX {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(&chunk);
        }
    }
    if seen > BODY_BYTES_MAX { Err(Problem::TooLarge) } else { Ok(kept) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
