//! What people write in a policy that watches where a verified caller calls from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, duration_bounds};
use crate::defaults;

/// Continuous verification: a caller that is known stays where it was, or proves again who it is. Places are judged, not
/// people: calls from where the caller was before go on. Without `countries_max`, `operators_max` and `speed_max` the
/// policy asks for one country in an hour. Where an address is comes from `address_data`; an address that no file knows
/// moves nobody.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Continuity {
    /// Who stays in one place.
    pub key: ContinuityKey,
    /// How long a call keeps its place in mind.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CONTINUITY_WINDOW)))]
    pub window: Duration,
    /// Countries in a window.
    #[schemars(range(min = 1, max = defaults::CONTINUITY_PLACES.max), example = 1)]
    pub countries_max: Option<u32>,
    /// Network operators in a window. Phones change theirs with each Wi-Fi.
    #[schemars(range(min = 1, max = defaults::CONTINUITY_PLACES.max), example = 3)]
    pub operators_max: Option<u32>,
    /// Kilometers an hour between any two calls of a day, along the great circle. Airliners fly at 900.
    #[schemars(range(min = defaults::CONTINUITY_SPEED.min, max = defaults::CONTINUITY_SPEED.max), example = 1000)]
    pub speed_max: Option<u32>,
    /// Labels of `address_data` whose networks move nobody: exits of VPNs, mobile carriers, hosting. Whoever has stolen a
    /// token can call from there.
    #[schemars(example = vec!["vpn", "mobile"])]
    pub ignore_labels: Vec<String>,
    /// When a token has no `auth_time`, take its `iat` for the time at which the user was verified. A client that renews
    /// tokens without its user gets a new `iat` too.
    pub issued_at: bool,
    /// What becomes of callers that cannot be asked to prove again who they are: API keys, passwords, certificates,
    /// signatures, tokens without a time.
    pub without_step_up: WithoutStepUp,
}

/// Who stays in one place.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContinuityKey {
    /// The principal, whatever it proves itself with.
    #[default]
    Principal,
    /// Each token, key or certificate for itself. A renewed token begins anew.
    Credential,
}

/// What becomes of callers that cannot be asked to prove again who they are.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutStepUp {
    /// It is told, and the call passes: a customer who merely travels is not stopped.
    #[default]
    Report,
    /// Calls from the new place are answered 403 until the old one has been silent for a window.
    Deny,
}

impl Default for Continuity {
    fn default() -> Self {
        Self {
            key: ContinuityKey::default(),
            window: Duration::default_of(defaults::CONTINUITY_WINDOW),
            countries_max: None,
            operators_max: None,
            speed_max: None,
            ignore_labels: Vec::new(),
            issued_at: true,
            without_step_up: WithoutStepUp::default(),
        }
    }
}
