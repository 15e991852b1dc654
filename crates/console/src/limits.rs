//! Rate limits as they are now: what is counted for whom, who is near the limit, what was refused in the last minutes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_config::{Policy, PolicyRule, QuotaWindow, Rate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::LimitState;
use crate::policies::{self, PolicyReport};
use crate::problem::Problem;
use crate::range::Time;

/// What "the last minutes" are, in microseconds.
const RECENT_US: i64 = 15 * 60 * 1_000_000;

/// Every rate policy, as it is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct LimitsBody {
    /// Beginning of the last minutes
    from: Time,
    /// Now
    to: Time,
    /// Width of a step of the series
    step_s: u64,
    policies: Vec<RatePolicy>,
}

/// A rate policy: what it demands, whom it counts, and what it refused in the last minutes.
#[derive(Serialize, ToSchema)]
struct RatePolicy {
    #[serde(flatten)]
    report: PolicyReport,
    /// What is counted together, such as `principal and endpoint`
    key: String,
    /// Keys that are counted one by one; more of them share one count
    keys_max: u32,
    limits: Vec<LimitBody>,
}

/// One limit of a rate policy.
#[derive(Serialize, ToSchema)]
struct LimitBody {
    /// `spike_arrest`, `quota`, `concurrency`, `bandwidth`, `logins of an account` or `logins of a source`
    kind: &'static str,
    /// The check of its refusals
    check: &'static str,
    /// Requests, requests in flight, bytes or failed attempts: at most so many
    most: u64,
    /// In a window of so many milliseconds; null for what is in flight, and for calendar months
    per_ms: Option<u64>,
    /// Windows follow each other by the calendar; else any window counts
    is_calendar: bool,
    /// Requests at once, of `spike_arrest`
    burst: Option<u32>,
    /// Its counts; null when this process keeps none, as of a policy that is off
    state: Option<LimitState>,
}

/// Rate limits as they are now, with what they refused in the last 15 minutes.
#[utoipa::path(get, path = "/limits", tag = "config", responses((status = 200, body = LimitsBody)))]
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json<LimitsBody>, Problem> {
    let to = console.now();
    let from = to.plus_micros(-RECENT_US);
    let config = Arc::clone(&(console.parts.control.running)().config);
    let mut rates: Vec<(&Policy, &Rate)> = Vec::new();
    for policy in &config.policies {
        if let PolicyRule::Rate(rate) = &policy.rule {
            rates.push((policy, rate));
        }
    }
    let limits = Arc::clone(&console.parts.control.limits);
    let states = tokio::task::spawn_blocking(move || limits()).await.map_err(|_| Problem::Fault)?;
    let asked = rates.iter().map(|(policy, _)| policies::asked(policy)).collect();
    let activity = console.parts.store.policy_activity(from, to, asked).await?;
    let policies = rates.into_iter().zip(activity.policies).map(|((policy, rate), hits)| RatePolicy {
        report: PolicyReport::of(&console, policy, hits),
        key: rate.key_words(),
        keys_max: rate.keys_max,
        limits: limits_of(&policy.name, rate, &states),
    });
    Ok(Json(LimitsBody { from: Time(from), to: Time(to), step_s: activity.step_s, policies: policies.collect() }))
}

fn limits_of(policy: &str, rate: &Rate, states: &[LimitState]) -> Vec<LimitBody> {
    let limit = |kind: &'static str, check: &'static str, most: u64, per_ms: Option<u64>| LimitBody {
        kind,
        check,
        most,
        per_ms,
        is_calendar: false,
        burst: None,
        state: states.iter().find(|state| state.policy == policy && state.kind == kind).cloned(),
    };
    let mut limits = Vec::new();
    limits.extend(rate.spike_arrest.map(|spike| LimitBody {
        burst: Some(spike.burst),
        ..limit("spike_arrest", "LIM-201", spike.requests.into(), Some(spike.per_ms))
    }));
    limits.extend(rate.quota.map(|quota| {
        let (per_ms, is_calendar) = match quota.window {
            QuotaWindow::Rolling { window_ms } => (Some(window_ms), false),
            QuotaWindow::Calendar { length_ms, .. } => (Some(length_ms), true),
            QuotaWindow::Month => (None, true),
        };
        LimitBody { is_calendar, ..limit("quota", "LIM-202", quota.requests, per_ms) }
    }));
    limits.extend(rate.concurrency.map(|most| limit("concurrency", "LIM-203", most.into(), None)));
    limits.extend(rate.bandwidth.map(|most| limit("bandwidth", "LIM-204", most.bytes, Some(most.per_ms))));
    if let Some(login) = &rate.login {
        for (kind, attempts) in [("logins of an account", login.per_account), ("logins of a source", login.per_source)]
        {
            limits.push(limit(kind, "LIM-207", attempts.attempts.into(), Some(attempts.per_ms)));
        }
    }
    limits
}
