//! Events: the list, its histogram and facets, one in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bartizan_model::{Event, RequestId};
use bartizan_store::{EventPage, EventQuery, Facets, Histogram};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Console;
use crate::checks::CheckNote;
use crate::problem::{Problem, ProblemBody};
use crate::range::WindowParams;
use crate::request::Query;
use crate::schema;

/// Rows of a page when none are asked for.
const PAGE: usize = 100;
/// LIMIT: rows of a page.
const PAGE_MAX: usize = 1000;
/// LIMIT: fields of one facets request.
const FACET_FIELDS_MAX: usize = 12;

/// Which events.
#[derive(Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterParams {
    /// Terms that must all hold: `field:value`, `field:a,b`, `-field:value`, `status:>=400`, `status:4xx`,
    /// `path:/users/*`, or free text
    #[serde(default)]
    pub(crate) q: String,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Most rows to give, 1 to 1,000; 100 when left out
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before
    cursor: Option<String>,
}

/// Which facets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FacetParams {
    /// Names of fields of an event row, separated by commas; at most 12
    #[param(example = "method,status")]
    fields: String,
}

/// One event in full, and what the checks that it names say about themselves.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventDetail {
    #[serde(flatten)]
    #[schema(value_type = schema::Event)]
    event: Event,
    /// By check id
    checks: BTreeMap<String, CheckNote>,
}

/// Events that fit, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(WindowParams, FilterParams, PageParams), responses(
    (status = 200, body = schema::EventPage),
    (status = 400, description = "a bad term, window or cursor; the detail names it", body = ProblemBody),
))]
pub(crate) async fn list(
    State(console): State<Arc<Console>>,
    Query(window): Query<WindowParams>,
    Query(filter): Query<FilterParams>,
    Query(page): Query<PageParams>,
) -> Result<Json<EventPage>, Problem> {
    let window = window.at(console.now())?;
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let query = EventQuery { from: window.from, to: window.to, q: filter.q, limit, cursor: page.cursor };
    Ok(Json(console.parts.store.search(query).await?))
}

/// Counts over time of the events that fit, by what became of them.
#[utoipa::path(get, path = "/events/histogram", tag = "events", params(WindowParams, FilterParams), responses(
    (status = 200, body = schema::Histogram),
    (status = 400, description = "a bad term or window; the detail names it", body = ProblemBody),
))]
pub(crate) async fn histogram(
    State(console): State<Arc<Console>>,
    Query(window): Query<WindowParams>,
    Query(filter): Query<FilterParams>,
) -> Result<Json<Histogram>, Problem> {
    let window = window.at(console.now())?;
    Ok(Json(console.parts.store.histogram(window.from, window.to, &filter.q).await?))
}

/// The most frequent values of some fields among the events that fit.
#[utoipa::path(get, path = "/events/facets", tag = "events", params(WindowParams, FilterParams, FacetParams),
    responses(
        (status = 200, body = BTreeMap<String, Vec<schema::FacetValue>>),
        (status = 400, description = "a bad term, window or field; the detail names it", body = ProblemBody),
    ))]
pub(crate) async fn facets(
    State(console): State<Arc<Console>>,
    Query(window): Query<WindowParams>,
    Query(filter): Query<FilterParams>,
    Query(facets): Query<FacetParams>,
) -> Result<Json<Facets>, Problem> {
    let window = window.at(console.now())?;
    let fields: Vec<&str> = facets.fields.split(',').map(str::trim).filter(|field| !field.is_empty()).collect();
    if fields.is_empty() || fields.len() > FACET_FIELDS_MAX {
        return Err(Problem::Bad(format!("`fields` must name 1 to {FACET_FIELDS_MAX} fields, separated by commas")));
    }
    Ok(Json(console.parts.store.facets(window.from, window.to, &filter.q, &fields).await?))
}

/// One event in full, as stored.
#[utoipa::path(get, path = "/events/{id}", tag = "events", params(("id" = String, Path, description = "request id")),
    responses(
        (status = 200, body = EventDetail),
        (status = 404, description = "not kept, or never was", body = ProblemBody),
    ))]
pub(crate) async fn show(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Json<EventDetail>, Problem> {
    let missing =
        || Problem::Missing("there is no event with this request id; it may be past its retention".to_owned());
    let id: RequestId = id.parse().map_err(|_| missing())?;
    let event = console.parts.store.event(id).await?.ok_or_else(missing)?;
    let named = event.findings.iter().map(|finding| &finding.check).chain(&event.decision.check);
    let mut checks = BTreeMap::new();
    for check in named {
        if let Some(info) = console.check(check.as_str()) {
            checks.insert(check.as_str().to_owned(), info);
        }
    }
    Ok(Json(EventDetail { event, checks }))
}
