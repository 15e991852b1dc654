//! Everything an inspection may read: compiled from a `Config` and the learned endpoints, immutable, swapped whole.

use std::sync::Arc;

use bartizan_config::{Config, HostHeader};
use bartizan_model::Endpoint;

/// What a Snapshot is compiled from besides the configuration.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Counts up with every Snapshot
    pub generation: u64,
    /// Endpoints the catalog has learned
    pub endpoints: &'a [Endpoint],
    /// Installation key for the keyed hashes of credentials
    pub key: [u8; 32],
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name of the API
    pub api: Arc<str>,
    /// Name of the upstream
    pub upstream: Arc<str>,
    /// Host header towards the upstream
    pub host_header: HostHeader,
    /// The body streams through uninspected
    pub streaming: bool,
    /// Largest request body; the engine enforces it, the host may size buffers by it
    pub body_bytes_max: u64,
}

/// Everything an inspection may read.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    endpoints: usize,
}

impl Snapshot {
    /// Compiles a valid configuration; cannot fail.
    pub fn compile(config: &Config, inputs: Inputs<'_>) -> Self {
        let _ = config;
        Self { generation: inputs.generation, endpoints: inputs.endpoints.len() }
    }

    /// The same Snapshot with other endpoints; everything else is shared.
    #[must_use]
    pub fn with_endpoints(&self, generation: u64, endpoints: &[Endpoint]) -> Self {
        Self { generation, endpoints: endpoints.len() }
    }

    /// Counts up with every Snapshot.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many endpoints it can label.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints
    }
}
