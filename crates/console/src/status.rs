//! What runs here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use bartizan_model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::{ADDRESS_DATA_OLD_DAYS, AddressDataState};
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
    /// Files that say where addresses are, or on which list, in the order of the configuration
    address_data: Vec<AddressDataBody>,
}

/// A file of address data.
#[derive(Serialize, ToSchema)]
struct AddressDataBody {
    /// Its name in the configuration
    name: String,
    /// What it says it is, or `CSV`
    kind: String,
    /// Networks in it; null when it does not say
    networks: Option<u64>,
    /// When it was made; null when it does not say
    built: Option<Time>,
    /// Days since then
    age_days: Option<u64>,
    /// It is older than 90 days: networks have changed hands since
    is_old: bool,
}

impl AddressDataBody {
    fn new(state: AddressDataState, now: Timestamp) -> Self {
        let AddressDataState { name, kind, networks, built } = state;
        let age_days = built.map(|built| now.days_since(built));
        let is_old = age_days.is_some_and(|days| days > ADDRESS_DATA_OLD_DAYS);
        Self { name, kind, networks, built: built.map(Time), age_days, is_old }
    }
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
        address_data: (parts.control.address_data)()
            .into_iter()
            .map(|state| AddressDataBody::new(state, console.now()))
            .collect(),
    })
}
