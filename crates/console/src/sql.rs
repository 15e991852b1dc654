//! SQL over the events, for whoever wants it. Read-only: the store refuses everything but queries of `events`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_store::{SqlLimits, Table};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::problem::{Problem, ProblemBody};
use crate::request::Body;
use crate::schema;

/// LIMIT: rows of one answer.
const ROWS_MAX: usize = 10_000;
/// LIMIT: run time, below the console's own limit so that the store's clearer answer wins.
const TIMEOUT_MS: u64 = 25_000;

/// A query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlBody {
    /// One `SELECT` over the table `events`
    #[schema(example = "SELECT host, count(*) AS n FROM events GROUP BY host ORDER BY n DESC")]
    sql: String,
    /// Most rows to give, 1 to 10,000; 1,000 when left out
    limit: Option<usize>,
}

/// Run a read-only SQL query over the events.
#[utoipa::path(post, path = "/sql", tag = "events", request_body = SqlBody, responses(
    (status = 200, body = schema::Table),
    (status = 400, description = "the statement is bad, not allowed, or too heavy; the detail says which", body = ProblemBody),
))]
pub(crate) async fn run(
    State(console): State<Arc<Console>>,
    Body(body): Body<SqlBody>,
) -> Result<Json<Table>, Problem> {
    let rows_max = body.limit.unwrap_or(SqlLimits::default().rows_max).clamp(1, ROWS_MAX);
    let limits = SqlLimits { rows_max, timeout_ms: TIMEOUT_MS };
    Ok(Json(console.parts.store.sql(&body.sql, limits).await?))
}
