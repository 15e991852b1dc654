//! The first page: a window of time in numbers, and how everything that feeds it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_model::Severity;
use bartizan_store::{
    Bucket, CheckCount, HealthState, Latency, Quarantined, SourceCount, StoreHealth, TopEndpoint, Totals,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::endpoints::EndpointSummary;
use crate::parts::{QueueCounters, SourceHealth, SourceState, UpstreamState};
use crate::problem::{Problem, ProblemBody};
use crate::range::{Time, Window, WindowParams};
use crate::request::Query;
use crate::schema;

/// LIMIT: new endpoints shown; the endpoint list has them all.
const NEW_ENDPOINTS_MAX: usize = 20;

/// A window of time in numbers.
#[derive(Serialize, ToSchema)]
pub(crate) struct OverviewBody {
    from: Time,
    to: Time,
    /// Width of a step of the series
    step_s: u64,
    #[schema(value_type = schema::Totals)]
    totals: Totals,
    /// The window of the same length before
    #[schema(value_type = schema::Totals)]
    previous: Totals,
    #[schema(value_type = Vec<schema::Bucket>)]
    series: Vec<Bucket>,
    #[schema(value_type = Vec<schema::Latency>)]
    latency: Vec<Latency>,
    #[schema(value_type = Vec<schema::TopEndpoint>)]
    top_endpoints: Vec<TopEndpoint>,
    top_checks: Vec<TopCheck>,
    /// First seen within the window, newest first
    new_endpoints: Vec<EndpointSummary>,
    sources: Vec<SourceBody>,
    upstreams: Vec<UpstreamState>,
    events: QueueCounters,
    store: StoreBody,
}

/// A check, and in how many events it noticed something.
#[derive(Serialize, ToSchema)]
struct TopCheck {
    check: String,
    title: String,
    #[schema(value_type = schema::Severity)]
    severity: Severity,
    count: u64,
}

/// A place that events come from.
#[derive(Serialize, ToSchema)]
struct SourceBody {
    name: String,
    /// `gateway`, `exchanges`, `har` or `access_log`
    kind: String,
    state: SourceHealth,
    last_event: Option<Time>,
    /// Since the start; of a source that is only known from the store, within the window
    events: u64,
    detail: String,
}

/// How the event log does.
#[derive(Serialize, ToSchema)]
struct StoreBody {
    #[schema(value_type = schema::StoreState)]
    state: HealthState,
    /// What is wrong; empty when nothing is
    detail: String,
    bytes: u64,
    segments: u64,
    /// Segments that could not be read and were put aside
    quarantined: usize,
    #[schema(value_type = Vec<schema::Quarantined>)]
    quarantined_segments: Vec<Quarantined>,
}

/// A window of time in numbers, beside the window before it.
#[utoipa::path(get, path = "/overview", tag = "overview", params(WindowParams), responses(
    (status = 200, body = OverviewBody),
    (status = 400, description = "a bad window", body = ProblemBody),
))]
pub(crate) async fn show(
    State(console): State<Arc<Console>>,
    Query(window): Query<WindowParams>,
) -> Result<Json<OverviewBody>, Problem> {
    let window = window.at(console.now())?;
    let parts = &console.parts;
    let counted = parts.store.overview(window.from, window.to).await?;
    let health = parts.store.health();
    let queue = (parts.control.queue)();
    Ok(Json(OverviewBody {
        from: Time(counted.from),
        to: Time(counted.to),
        step_s: counted.step_s,
        totals: counted.totals,
        previous: counted.previous,
        series: counted.series,
        latency: counted.latency,
        top_endpoints: counted.top_endpoints,
        top_checks: counted.top_checks.into_iter().map(|count| top_check(&console, count)).collect(),
        new_endpoints: new_endpoints(&console, window),
        sources: sources((parts.control.sources)(), counted.sources),
        upstreams: (parts.control.upstreams)(),
        events: QueueCounters { dropped: queue.dropped + health.dropped, ..queue },
        store: StoreBody::from(health),
    }))
}

fn top_check(console: &Console, count: CheckCount) -> TopCheck {
    let info = console.check(&count.check);
    TopCheck {
        severity: info.as_ref().map_or(Severity::Info, |info| info.severity),
        title: info.map_or_else(|| count.check.clone(), |info| info.title),
        check: count.check,
        count: count.count,
    }
}

fn new_endpoints(console: &Console, window: Window) -> Vec<EndpointSummary> {
    let view = (console.parts.catalog)();
    let is_new = |endpoint: &&EndpointSummary| (window.from..window.to).contains(&endpoint.first_seen.0);
    let mut new: Vec<&EndpointSummary> = view.summaries().filter(is_new).collect();
    new.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.first_seen));
    new.into_iter().take(NEW_ENDPOINTS_MAX).cloned().collect()
}

/// The sources that run now, and after them those that only the stored events tell of (earlier replays).
fn sources(running: Vec<SourceState>, stored: Vec<SourceCount>) -> Vec<SourceBody> {
    let earlier = stored.into_iter().filter(|count| !running.iter().any(|source| source.kind == count.source));
    let earlier: Vec<SourceBody> = earlier.map(SourceBody::from).collect();
    running.into_iter().map(SourceBody::from).chain(earlier).collect()
}

impl From<SourceState> for SourceBody {
    fn from(source: SourceState) -> Self {
        let SourceState { name, kind, state, last_event, events, detail } = source;
        Self { name, kind, state, last_event: last_event.map(Time), events, detail }
    }
}

impl From<SourceCount> for SourceBody {
    fn from(count: SourceCount) -> Self {
        Self {
            name: count.source.clone(),
            kind: count.source,
            state: SourceHealth::Idle,
            last_event: Some(Time(count.last_event)),
            events: count.events,
            detail: "replayed earlier".to_owned(),
        }
    }
}

impl From<StoreHealth> for StoreBody {
    fn from(health: StoreHealth) -> Self {
        Self {
            state: health.state,
            detail: health.detail,
            bytes: health.bytes,
            segments: health.segments,
            quarantined: health.quarantined.len(),
            quarantined_segments: health.quarantined,
        }
    }
}
