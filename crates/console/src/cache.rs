//! Kept answers: forgetting them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::CachePurge;
use crate::problem::{Problem, ProblemBody};
use crate::request::Body;

/// Which kept answers are forgotten; what is left out does not narrow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {
    /// Of this policy
    policy: Option<String>,
    /// Of this API
    api: Option<String>,
    /// To requests whose path begins with this
    path_prefix: Option<String>,
}

/// How many answers were forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct Purged {
    answers: u64,
}

/// Forget kept answers: all, or those of a policy, of an API, or below a path. What is being fetched meanwhile is not kept.
#[utoipa::path(post, path = "/cache/purge", tag = "cache", request_body = Purge,
    responses(
        (status = 200, body = Purged),
        (status = 404, description = "no such policy, or no such API", body = ProblemBody),
    ))]
pub(crate) async fn purge(
    State(console): State<Arc<Console>>,
    Body(purge): Body<Purge>,
) -> Result<Json<Purged>, Problem> {
    let running = (console.parts.control.running)();
    let has_policy = |name: &String| {
        let mut policies = running.config.policies.iter();
        policies.any(|policy| policy.name == *name && policy.rule.kind() == "cache")
    };
    if let Some(name) = purge.policy.as_ref().filter(|name| !has_policy(name)) {
        let name = bartizan_model::excerpt(name);
        return Err(Problem::Missing(format!("no policy `{name}` keeps answers; see the policies of kind `cache`")));
    }
    if let Some(name) = purge.api.as_ref().filter(|name| running.config.apis.iter().all(|api| api.name != **name)) {
        let name = bartizan_model::excerpt(name);
        return Err(Problem::Missing(format!("there is no API `{name}`")));
    }
    let Purge { policy, api, path_prefix } = purge;
    let answers = (console.parts.control.purge)(CachePurge { policy, api, path_prefix });
    Ok(Json(Purged { answers }))
}
