//! What is meant by policies that watch where a verified caller calls from.

use crate::units;

/// Continuous verification: a known caller stays where it was, or proves again who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuity {
    /// Who stays in one place
    pub key: ContinuityKey,
    /// How long a call keeps its place in mind, in seconds
    pub window_secs: u32,
    /// Countries in a window
    pub countries_max: Option<u32>,
    /// Network operators in a window
    pub operators_max: Option<u32>,
    /// Kilometers an hour between two calls
    pub speed_max: Option<u32>,
    /// Labels whose networks move nobody
    pub ignore_labels: Vec<String>,
    /// `iat` stands in for a missing `auth_time`
    pub issued_at: bool,
    /// Callers that cannot step up are refused, not only told of
    pub denies_without_step_up: bool,
}

/// Who stays in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContinuityKey {
    /// The principal
    Principal,
    /// Each credential for itself
    Credential,
}

impl Continuity {
    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let many = |count: u32, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        let window = units::duration_text(u64::from(self.window_secs) * 1000);
        let within = |words: String| format!("{words} within {window}");
        let mut parts = Vec::new();
        parts.extend(self.countries_max.map(|count| within(many(count, "country", "countries"))));
        parts.extend(self.operators_max.map(|count| within(many(count, "network operator", "network operators"))));
        parts.extend(self.speed_max.map(|speed| format!("at most {speed} km/h")));
        if !self.ignore_labels.is_empty() {
            parts.push(format!("not on {}", self.ignore_labels.join(", ")));
        }
        let whom = match self.key {
            ContinuityKey::Principal => "a principal",
            ContinuityKey::Credential => "a credential",
        };
        format!("{whom}: {}", parts.join(", "))
    }
}
