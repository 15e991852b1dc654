//! What people write of a plan that API keys are sold under.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rate::{Bandwidth, FailureMode, Quota, RateSharing, SpikeArrest};
use crate::defaults;

/// A plan: limits of each application whose API keys were made with `--plan NAME`, over all that it calls. They need no
/// policy with `rate`: the `authenticate` policy that lets a key in answers for them. A plan without limits is one
/// without limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name, unique among plans: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"gold")]
    pub name: String,
    /// Pace: evenly spaced requests, and so many at once.
    pub spike_arrest: Option<SpikeArrest>,
    /// So many requests in a window.
    pub quota: Option<Quota>,
    /// So many requests in flight.
    #[schemars(range(min = 1, max = defaults::CONCURRENCY_MAX), example = 20)]
    pub concurrency: Option<u32>,
    /// So many bytes of request and response bodies in a window.
    pub bandwidth: Option<Bandwidth>,
    /// With whom counts are shared. Without it, `leased` when there is `redis` and a `quota`, else `local`.
    pub shared: Option<RateSharing>,
    /// What holds while Redis cannot be reached. Without it, `share`.
    pub failure_mode: Option<FailureMode>,
}
