//! What each rule noticed in a recording, how often the request was then denied (or would have been), and where.

use std::collections::BTreeMap;

use bartizan_model::{Action, Event};
use serde_json::{Value, json};

/// LIMIT: endpoints that are counted for one rule; the rest count as one.
const ENDPOINTS_MAX: usize = 1000;
/// Endpoints that the text names for each rule; the JSON has all.
const ENDPOINTS_SHOWN: usize = 3;
/// What stands for endpoints beyond the limit.
const OTHERS: &str = "others";

/// Rules and threat limits by their checks.
#[derive(Debug, Default)]
pub(crate) struct RuleTallies(BTreeMap<String, RuleTally>);

/// One rule.
#[derive(Debug, Default)]
struct RuleTally {
    matched: u64,
    /// Of those, requests that were denied or would have been
    blocked: u64,
    /// Blocked requests by endpoint
    endpoints: BTreeMap<String, u64>,
}

impl RuleTallies {
    /// Counts an event.
    pub(crate) fn take(&mut self, event: &Event) {
        let is_blocked = event.decision.action == Action::Deny;
        let mut seen: Vec<&str> = Vec::new();
        for check in event.findings.iter().map(|finding| finding.check.as_str()) {
            if !(check.starts_with("WAF-") || check.starts_with("CON-")) || seen.contains(&check) {
                continue;
            }
            seen.push(check);
            let tally = self.0.entry(check.to_owned()).or_default();
            tally.matched += 1;
            if is_blocked {
                tally.blocked += 1;
                let endpoint = endpoint(event);
                let has_room = tally.endpoints.len() < ENDPOINTS_MAX || tally.endpoints.contains_key(&endpoint);
                *tally.endpoints.entry(if has_room { endpoint } else { OTHERS.to_owned() }).or_default() += 1;
            }
        }
    }

    /// Every rule, with every endpoint.
    pub(crate) fn as_json(&self) -> Value {
        let rule = |(check, tally): (&String, &RuleTally)| {
            let RuleTally { matched, blocked, endpoints } = tally;
            (check.clone(), json!({"matched": matched, "blocked": blocked, "endpoints": endpoints}))
        };
        Value::Object(self.0.iter().map(rule).collect())
    }

    /// The rules, those first that blocked most.
    pub(crate) fn as_text(&self) -> String {
        let mut rules: Vec<(&String, &RuleTally)> = self.0.iter().collect();
        if rules.is_empty() {
            return String::new();
        }
        rules.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.blocked, tally.matched)));
        let mut text = String::from("rules       matched  in denied  on\n");
        for (check, tally) in rules {
            let mut endpoints: Vec<(&String, &u64)> = tally.endpoints.iter().collect();
            endpoints.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let more = endpoints.len().saturating_sub(ENDPOINTS_SHOWN);
            let mut shown: Vec<String> = endpoints
                .iter()
                .take(ENDPOINTS_SHOWN)
                .map(|(endpoint, count)| format!("{endpoint} ×{count}"))
                .collect();
            shown.extend((more > 0).then(|| format!("{more} more")));
            let line = format!("  {check:<12}{:>5}{:>11}  {}", tally.matched, tally.blocked, shown.join(", "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn endpoint(event: &Event) -> String {
    match &event.endpoint {
        Some(endpoint) => format!("{} {}{}", event.method, event.host, endpoint.template),
        None => format!("{} {}{}", event.method, event.host, event.path),
    }
}
