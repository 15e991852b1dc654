//! Endpoints: the list with facets, one in full, one over time, and taking back a merge.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bartizan_catalog::{
    self as catalog, AuthCount, CallerRecord, EndpointRecord, EndpointState, MergeRecord, NamedCount, ParameterRecord,
};
use bartizan_model::{AuthKind, EndpointId};
use bartizan_store::EndpointSeries;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::Console;
use crate::catalog::EndpointFilter;
use crate::problem::{Problem, ProblemBody};
use crate::range::{Time, WindowParams};
use crate::request::{Body, Query};
use crate::schema;

/// Endpoints of a page when no limit is asked for.
const PAGE: usize = 50;
/// LIMIT: endpoints of a page.
const PAGE_MAX: usize = 1000;
/// LIMIT: words of a search, and wanted values of a facet.
const TERMS_MAX: usize = 32;

/// An endpoint in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EndpointSummary {
    /// 16 hexadecimal digits
    pub(crate) id: String,
    /// Method, as sent
    pub(crate) method: String,
    /// Host, without default port
    pub(crate) host: String,
    /// Path template
    pub(crate) template: String,
    /// API it belongs to
    pub(crate) api: Option<String>,
    /// How sure the catalog is
    #[schema(value_type = schema::EndpointState)]
    pub(crate) state: EndpointState,
    pub(crate) first_seen: Time,
    pub(crate) last_seen: Time,
    /// Requests ever seen
    pub(crate) requests: u64,
    /// Denies that were applied
    pub(crate) denied: u64,
    /// Ended without an answer, or with a status of 500 and above
    pub(crate) errors: u64,
    /// Answers by class of status
    pub(crate) statuses: StatusClasses,
    /// Kinds of credentials seen; `none` when some requests had none
    pub(crate) auth: Vec<String>,
    /// Distinct callers
    pub(crate) callers: u64,
    /// Parameters known
    pub(crate) parameters: usize,
}

/// Answers by class of status.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct StatusClasses {
    /// 200–299
    #[serde(rename = "2xx")]
    pub(crate) success: u64,
    /// 300–399
    #[serde(rename = "3xx")]
    pub(crate) redirect: u64,
    /// 400–499
    #[serde(rename = "4xx")]
    pub(crate) client_error: u64,
    /// 500–599
    #[serde(rename = "5xx")]
    pub(crate) server_error: u64,
}

/// Everything known of an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EndpointDetail {
    #[serde(flatten)]
    pub(crate) summary: EndpointSummary,
    parameter_list: Vec<ParameterDetail>,
    status_counts: Vec<StatusCount>,
    /// Media types of request bodies
    request_types: Vec<ValueCount>,
    /// Media types of response bodies
    response_types: Vec<ValueCount>,
    /// Kinds of credentials, and `none`
    auth_counts: Vec<ValueCount>,
    caller_list: Vec<CallerDetail>,
    merges: Vec<MergeDetail>,
    /// Some paths that fell under the template, masked where they look secret
    paths_sample: Vec<String>,
}

/// A parameter of an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ParameterDetail {
    /// `path`, `query`, `header` or `cookie`
    place: &'static str,
    name: String,
    /// The type that all values fit: `integer`, `string`, `string(uuid)`, …
    #[serde(rename = "type")]
    data_type: &'static str,
    kinds: Vec<KindCount>,
    /// Requests that had it
    seen: u64,
    /// Share of requests that had it, 0 to 1
    share: f64,
}

/// A kind of value and how often it occurred.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct KindCount {
    kind: &'static str,
    count: u64,
}

/// A status and how often it was answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct StatusCount {
    status: u16,
    count: u64,
}

/// A value and how often it occurred.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ValueCount {
    value: String,
    count: u64,
}

/// Who called an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct CallerDetail {
    /// `credential`, `session`, `network` or `unknown`
    kind: &'static str,
    /// A keyed hash or a network
    id: String,
    count: u64,
    last_seen: Time,
}

/// Values of a path segment that were folded into a parameter.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct MergeDetail {
    /// Which segment, from 0
    position: usize,
    /// The parameter's name
    name: String,
    values_seen: u64,
    /// Some of the values, masked where they look secret
    sample: Vec<String>,
    /// Whether it can be taken back
    undoable: bool,
}

/// Which endpoints, and in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndpointParams {
    /// Words that must all occur in method, host, template, API or id
    #[serde(default)]
    q: String,
    /// May repeat: any of them
    #[serde(default)]
    api: Vec<String>,
    /// May repeat: any of them
    #[serde(default)]
    method: Vec<String>,
    /// May repeat: any of them
    #[serde(default)]
    host: Vec<String>,
    /// May repeat: any of them
    #[serde(default)]
    auth: Vec<String>,
    /// Class of status that occurred: `2xx`, `3xx`, `4xx`, `5xx`. May repeat: any of them
    #[serde(default)]
    status: Vec<String>,
    #[serde(default)]
    #[param(inline)]
    sort: EndpointSort,
    /// Descending for counts and times, ascending for templates, when left out
    #[param(inline)]
    order: Option<Order>,
    /// Most endpoints to give, 1 to 1,000; 50 when left out
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Endpoints to leave out at the beginning
    #[serde(default)]
    offset: usize,
}

/// What endpoints are sorted by.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndpointSort {
    #[default]
    Requests,
    LastSeen,
    FirstSeen,
    Errors,
    Template,
    Callers,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    Asc,
    Desc,
}

/// A page of endpoints, and facets over all that fit.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointPage {
    /// Endpoints that fit
    total: usize,
    facets: EndpointFacets,
    items: Vec<EndpointSummary>,
}

/// By facet, how many endpoints have each value: among those that fit everything but that facet's own choice.
#[derive(Serialize, ToSchema)]
struct EndpointFacets {
    api: Vec<ValueCount>,
    method: Vec<ValueCount>,
    host: Vec<ValueCount>,
    auth: Vec<ValueCount>,
    status: Vec<ValueCount>,
}

/// Which merge to take back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unmerge {
    /// Which segment of the template, from 0
    position: usize,
}

/// Endpoints that fit.
#[utoipa::path(get, path = "/endpoints", tag = "endpoints", params(EndpointParams), responses(
    (status = 200, body = EndpointPage),
    (status = 400, description = "a bad parameter", body = ProblemBody),
))]
pub(crate) async fn list(
    State(console): State<Arc<Console>>,
    Query(params): Query<EndpointParams>,
) -> Result<Json<EndpointPage>, Problem> {
    let view = (console.parts.catalog)();
    let filter = params.filter()?;
    let mut found = view.find(&filter);
    sort(&mut found.endpoints, params.sort, params.order);
    let limit = params.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let total = found.endpoints.len();
    let items = found.endpoints.into_iter().skip(params.offset).take(limit).cloned().collect();
    let [api, method, host, auth, status] = found
        .facets
        .map(|facet| facet.into_iter().map(|(value, count)| ValueCount { value, count }).collect::<Vec<ValueCount>>());
    Ok(Json(EndpointPage { total, facets: EndpointFacets { api, method, host, auth, status }, items }))
}

/// Everything known of one endpoint.
#[utoipa::path(get, path = "/endpoints/{id}", tag = "endpoints", params(("id" = String, Path)), responses(
    (status = 200, body = EndpointDetail),
    (status = 404, description = "no such endpoint", body = ProblemBody),
))]
pub(crate) async fn show(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Json<EndpointDetail>, Problem> {
    let view = (console.parts.catalog)();
    view.endpoint(read_id(&id)?).map(EndpointDetail::from).map(Json).ok_or_else(missing)
}

/// One endpoint over time.
#[utoipa::path(get, path = "/endpoints/{id}/series", tag = "endpoints", params(("id" = String, Path), WindowParams),
    responses(
        (status = 200, body = schema::EndpointSeries),
        (status = 400, description = "a bad window", body = ProblemBody),
        (status = 404, description = "not an endpoint's id", body = ProblemBody),
    ))]
pub(crate) async fn series(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    Query(window): Query<WindowParams>,
) -> Result<Json<EndpointSeries>, Problem> {
    let id = read_id(&id)?;
    let window = window.at(console.now())?;
    Ok(Json(console.parts.store.endpoint_series(id, window.from, window.to).await?))
}

/// Take back the merge of a path segment: its values become endpoints of their own again.
#[utoipa::path(post, path = "/endpoints/{id}/unmerge", tag = "endpoints", params(("id" = String, Path)),
    request_body = Unmerge,
    responses(
        (status = 204, description = "taken back; the catalog follows within a second"),
        (status = 404, description = "no such endpoint", body = ProblemBody),
        (status = 409, description = "there is no merge there that can be taken back", body = ProblemBody),
    ))]
pub(crate) async fn unmerge(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    Body(unmerge): Body<Unmerge>,
) -> Result<StatusCode, Problem> {
    let id = read_id(&id)?;
    (console.parts.catalog)().endpoint(id).ok_or_else(missing)?;
    (console.parts.control.unmerge)(id, unmerge.position).map_err(Problem::Conflict)?;
    Ok(StatusCode::NO_CONTENT)
}

impl EndpointParams {
    fn filter(&self) -> Result<EndpointFilter, Problem> {
        let words: Vec<String> = self.q.split_whitespace().map(str::to_lowercase).collect();
        let wanted = [&self.api, &self.method, &self.host, &self.auth, &self.status].map(Vec::clone);
        if words.len() > TERMS_MAX || wanted.iter().any(|values| values.len() > TERMS_MAX) {
            return Err(Problem::Bad(format!("at most {TERMS_MAX} words, and {TERMS_MAX} values of one facet")));
        }
        Ok(EndpointFilter { words, wanted })
    }
}

fn sort(endpoints: &mut [&EndpointSummary], by: EndpointSort, order: Option<Order>) {
    let template = |endpoint: &EndpointSummary| (endpoint.template.clone(), endpoint.method.clone());
    match by {
        EndpointSort::Requests => endpoints.sort_by_key(|endpoint| endpoint.requests),
        EndpointSort::LastSeen => endpoints.sort_by_key(|endpoint| endpoint.last_seen),
        EndpointSort::FirstSeen => endpoints.sort_by_key(|endpoint| endpoint.first_seen),
        EndpointSort::Errors => endpoints.sort_by_key(|endpoint| endpoint.errors),
        EndpointSort::Callers => endpoints.sort_by_key(|endpoint| endpoint.callers),
        EndpointSort::Template => endpoints.sort_by_cached_key(|endpoint| template(endpoint)),
    }
    let default = if matches!(by, EndpointSort::Template) { Order::Asc } else { Order::Desc };
    match order.unwrap_or(default) {
        Order::Asc => {}
        Order::Desc => endpoints.reverse(),
    }
}

fn read_id(id: &str) -> Result<EndpointId, Problem> {
    id.parse().map_err(|_| missing())
}

fn missing() -> Problem {
    Problem::Missing("there is no such endpoint; it may have been merged into another".to_owned())
}

impl From<&EndpointRecord> for EndpointSummary {
    fn from(record: &EndpointRecord) -> Self {
        let word = |count: &AuthCount| count.kind.map_or("none", AuthKind::as_str).to_owned();
        Self {
            id: record.id.to_string(),
            method: record.method.to_string(),
            host: record.host.to_string(),
            template: record.template.to_string(),
            api: record.api.as_deref().map(str::to_owned),
            state: record.state,
            first_seen: Time(record.first_seen),
            last_seen: Time(record.last_seen),
            requests: record.requests,
            denied: record.denied,
            errors: record.errors,
            statuses: StatusClasses::of(&record.statuses),
            auth: record.auth.iter().map(word).collect(),
            callers: record.callers_distinct,
            parameters: record.parameters.len(),
        }
    }
}

impl From<&EndpointRecord> for EndpointDetail {
    fn from(record: &EndpointRecord) -> Self {
        let named = |count: &NamedCount| ValueCount { value: count.value.to_string(), count: count.count };
        let auth = |count: &AuthCount| ValueCount {
            value: count.kind.map_or("none", AuthKind::as_str).to_owned(),
            count: count.count,
        };
        let caller = |caller: &CallerRecord| CallerDetail {
            kind: caller.kind.as_str(),
            id: caller.id.to_string(),
            count: caller.count,
            last_seen: Time(caller.last_seen),
        };
        let status = |count: &catalog::StatusCount| StatusCount { status: count.status, count: count.count };
        Self {
            summary: EndpointSummary::from(record),
            parameter_list: record.parameters.iter().map(ParameterDetail::from).collect(),
            status_counts: record.statuses.iter().map(status).collect(),
            request_types: record.request_types.iter().map(named).collect(),
            response_types: record.response_types.iter().map(named).collect(),
            auth_counts: record.auth.iter().map(auth).collect(),
            caller_list: record.callers.iter().map(caller).collect(),
            merges: record.merges.iter().map(MergeDetail::from).collect(),
            paths_sample: record.paths_sample.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&ParameterRecord> for ParameterDetail {
    fn from(record: &ParameterRecord) -> Self {
        let kind = |count: &catalog::KindCount| KindCount { kind: count.kind.as_str(), count: count.count };
        Self {
            place: record.place.as_str(),
            name: record.name.to_string(),
            data_type: record.data_type.as_str(),
            kinds: record.kinds.iter().map(kind).collect(),
            seen: record.seen,
            share: record.share,
        }
    }
}

impl From<&MergeRecord> for MergeDetail {
    fn from(record: &MergeRecord) -> Self {
        Self {
            position: record.position,
            name: record.name.to_string(),
            values_seen: record.values_seen,
            sample: record.sample.iter().map(ToString::to_string).collect(),
            undoable: record.undoable,
        }
    }
}

impl StatusClasses {
    fn of(counts: &[catalog::StatusCount]) -> Self {
        let mut classes = Self::default();
        for count in counts {
            match count.status {
                200..=299 => classes.success += count.count,
                300..=399 => classes.redirect += count.count,
                400..=499 => classes.client_error += count.count,
                500..=599 => classes.server_error += count.count,
                _ => {}
            }
        }
        classes
    }

    /// The classes that occurred.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &str> {
        let Self { success, redirect, client_error, server_error } = *self;
        [("2xx", success), ("3xx", redirect), ("4xx", client_error), ("5xx", server_error)]
            .into_iter()
            .filter_map(|(class, count)| (count > 0).then_some(class))
    }
}
