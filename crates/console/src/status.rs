//! What runs here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::range::Time;

/// The running process.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusBody {
    /// The product's version
    version: &'static str,
    /// When the process started
    started_at: Time,
    /// Generation of the engine's snapshot
    generation: u64,
    /// Where events and state are kept
    data_directory: String,
    /// Events lost since the start: the queue was full, or the disk failed
    dropped: u64,
    /// Console handlers that panicked since the start
    console_faults: u64,
}

/// What runs here, since when.
#[utoipa::path(get, path = "/status", tag = "status", responses((status = 200, body = StatusBody)))]
pub(crate) async fn show(State(console): State<Arc<Console>>) -> Json<StatusBody> {
    let parts = &console.parts;
    Json(StatusBody {
        version: parts.options.version,
        started_at: Time(parts.options.started_at),
        generation: (parts.control.running)().generation,
        data_directory: parts.options.data_directory.display().to_string(),
        dropped: (parts.control.queue)().dropped + parts.store.health().dropped,
        console_faults: console.faults.load(Ordering::Relaxed),
    })
}
