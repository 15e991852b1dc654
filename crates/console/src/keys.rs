//! API keys: who has which, what they are used for, and (for administrators) new ones, rotation and revocation.
//!
//! A key's text is in one answer, the one to its making, and in nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bartizan_model::Timestamp;
use bartizan_store::{ApiKeyRecord, CredentialCount, KeyQuota};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::{KeyRefused, MadeKey, NewKey};
use crate::problem::{Problem, ProblemBody};
use crate::range::Time;
use crate::request::Body;
use crate::security::Caller;

/// The window of a key's requests: 24 hours, in microseconds.
const DAY_US: i64 = 86_400 * 1_000_000;
/// How long a rotated key goes on working unless it is said: a day, in seconds.
const GRACE_S: u64 = 86_400;

/// What a key is good for
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyState {
    /// Accepted
    Live,
    /// Accepted until its end; another one has taken its place
    Rotating,
    /// Its time is over
    Expired,
    /// Taken back
    Revoked,
}

/// So many requests in any window of a length; the keys of one application share it.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Quota {
    /// 1 to 10^12
    requests: u64,
    /// Length of the window: 1 second to 366 days
    per_s: u64,
}

/// What is known of an API key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// Public part of the key
    id: String,
    /// The application it was given to
    application: String,
    /// Who answers for it
    owner: Option<String>,
    /// Name of its plan
    plan: Option<String>,
    /// What it may do
    scopes: Vec<String>,
    /// What it is
    roles: Vec<String>,
    quota: Option<Quota>,
    state: KeyState,
    created: Time,
    /// Console user, or `command line`
    created_by: String,
    /// When it ends, or has ended
    expires: Option<Time>,
    /// When another one was made to take its place
    rotated: Option<Time>,
    revoked: Option<Time>,
    revoked_by: Option<String>,
    /// When it was used last, some seconds late
    last_used: Option<Time>,
    /// Requests that it has let in, some seconds late
    calls: u64,
    /// Requests with it in the last 24 hours
    requests_24h: u64,
    /// Those of them that were denied all the same
    denied_24h: u64,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyBody {
    /// 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:` or `/`
    application: String,
    /// A person or a team
    #[serde(default)]
    owner: Option<String>,
    /// Name of the plan it is sold under
    #[serde(default)]
    plan: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// Without one, as many requests as policies allow
    #[serde(default)]
    quota: Option<Quota>,
    /// When it ends; without it, never
    #[serde(default)]
    expires: Option<Time>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKeyBody {
    /// The whole key: shown now and never again
    text: String,
    key: KeyBody,
}

/// How to rotate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// How long the old key goes on working, in seconds: a day unless it is said, at most 90
    #[serde(default)]
    grace_s: Option<u64>,
}

/// Every API key, with what it was used for.
#[utoipa::path(get, path = "/keys", tag = "keys", responses((status = 200, body = Vec<KeyBody>)))]
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json<Vec<KeyBody>>, Problem> {
    let now = console.now();
    let records = console.parts.store.api_keys().await?.keys;
    let counts = console.parts.store.credential_counts(now.plus_micros(-DAY_US)).await?;
    let counts: HashMap<&str, &CredentialCount> =
        counts.iter().map(|count| (count.credential_id.as_str(), count)).collect();
    let body = |record: ApiKeyRecord| {
        let count = counts.get(record.id.as_str()).copied();
        KeyBody::new(record, count, now)
    };
    Ok(Json(records.into_iter().map(body).collect()))
}

/// Make an API key.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = NewKeyBody, responses(
    (status = 201, description = "the only answer that has the key's text", body = MadeKeyBody),
    (status = 400, description = "what is asked for is not acceptable", body = ProblemBody),
    (status = 409, description = "the application has two live keys", body = ProblemBody),
))]
pub(crate) async fn create(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<NewKeyBody>,
) -> Result<(StatusCode, Json<MadeKeyBody>), Problem> {
    let NewKeyBody { application, owner, plan, scopes, roles, quota, expires } = body;
    let quota = quota.map(|quota| KeyQuota { requests: quota.requests, per_s: quota.per_s });
    let expires = expires.map(|time| time.0);
    let new = NewKey { application, owner, plan, scopes, roles, quota, expires };
    let made = (console.parts.keys.create)(new, caller.name).await?;
    Ok((StatusCode::CREATED, Json(MadeKeyBody::new(made, console.now()))))
}

/// Make a key that takes the place of another, which goes on working for a while.
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "keys", params(("id" = String, Path)), request_body = Rotation,
    responses(
        (status = 201, description = "the only answer that has the key's text", body = MadeKeyBody),
        (status = 400, description = "the grace is too long", body = ProblemBody),
        (status = 404, description = "no such key", body = ProblemBody),
        (status = 409, description = "it has ended, was rotated before, or the application has two live keys",
            body = ProblemBody),
    )
)]
pub(crate) async fn rotate(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<MadeKeyBody>), Problem> {
    let grace_ms = rotation.grace_s.unwrap_or(GRACE_S).saturating_mul(1000);
    let made = (console.parts.keys.rotate)(id, grace_ms, caller.name).await?;
    Ok((StatusCode::CREATED, Json(MadeKeyBody::new(made, console.now()))))
}

/// Take a key back, at once and for good.
#[utoipa::path(post, path = "/keys/{id}/revoke", tag = "keys", params(("id" = String, Path)), responses(
    (status = 204, description = "revoked"),
    (status = 404, description = "no such key", body = ProblemBody),
))]
pub(crate) async fn revoke(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    (console.parts.keys.revoke)(id, caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl KeyBody {
    fn new(record: ApiKeyRecord, count: Option<&CredentialCount>, now: Timestamp) -> Self {
        let state = match record.state(now) {
            bartizan_store::ApiKeyState::Live => KeyState::Live,
            bartizan_store::ApiKeyState::Rotating => KeyState::Rotating,
            bartizan_store::ApiKeyState::Expired => KeyState::Expired,
            bartizan_store::ApiKeyState::Revoked => KeyState::Revoked,
        };
        Self {
            id: record.id,
            application: record.application,
            owner: record.owner,
            plan: record.plan,
            scopes: record.scopes,
            roles: record.roles,
            quota: record.quota.map(|quota| Quota { requests: quota.requests, per_s: quota.per_s }),
            state,
            created: Time(record.created),
            created_by: record.created_by,
            expires: record.expires.map(Time),
            rotated: record.rotated.map(Time),
            revoked: record.revoked.map(Time),
            revoked_by: record.revoked_by,
            last_used: record.last_used.map(Time),
            calls: record.calls,
            requests_24h: count.map_or(0, |count| count.requests),
            denied_24h: count.map_or(0, |count| count.denied),
        }
    }
}

impl MadeKeyBody {
    fn new(made: MadeKey, now: Timestamp) -> Self {
        Self { text: made.text.expose().clone(), key: KeyBody::new(made.record, None, now) }
    }
}

impl From<KeyRefused> for Problem {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Bad(detail) => Self::Bad(detail),
            KeyRefused::Missing(detail) => Self::Missing(detail),
            KeyRefused::Conflict(detail) => Self::Conflict(detail),
            KeyRefused::Failed(error) => Self::Store(error),
        }
    }
}
