//! Drives an inspection with a recorded exchange: the same event as inline.

use std::sync::Arc;

use bartizan_model::{Event, Exchange, Finding, RequestId, Source, Timestamp};

use crate::{Route, Snapshot};

/// What came of a recorded exchange.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its event, as if it had passed the gateway
    pub event: Event,
    /// Where it would have gone
    pub route: Option<Arc<Route>>,
    /// What each stage noticed, in the order they ran
    pub trace: Vec<StageTrace>,
}

/// What one stage noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTrace {
    /// Name of the stage: `identify`, `route`, `access`, `limit`
    pub stage: &'static str,
    /// Its findings
    pub findings: Vec<Finding>,
}

/// Runs `exchange` through an inspection. `read_at` stands in when the recording has no time.
pub fn judge(
    snapshot: &Arc<Snapshot>,
    exchange: &Exchange,
    source: Source,
    id: RequestId,
    read_at: Timestamp,
) -> Judged {
    let _ = (snapshot, exchange, source, id, read_at);
    unimplemented!()
}
