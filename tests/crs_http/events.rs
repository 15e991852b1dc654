//! The events of a run, as far as the suite asks: which rules matched, how the exchange ended, which check decided.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use bartizan_testkit::Bartizan;
use bartizan_testkit::crs::{Logged, judge};
use serde_json::Value;

/// How the product names what it opens inside of a value; the suite in process does not open any.
const OPENED: [&str; 4] = ["base64", "json", "jwt", "url"];

/// What an event says.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// `answered`, `malformed` and so on
    pub ending: String,
    /// Findings of rules, in order
    pub logged: Vec<Logged>,
    /// Rules that matched in a value inside of a value, such as `cookie.x.url`
    pub inside: BTreeSet<u32>,
    /// Findings of the gateway's own checks, with their evidence
    pub checks: Vec<(String, String)>,
    /// All findings
    pub findings: usize,
}

impl Event {
    /// The evidence of a check of the gateway's own.
    pub fn evidence(&self, check: &str) -> Option<&str> {
        self.checks.iter().find(|(other, _)| other == check).map(|(_, evidence)| evidence.as_str())
    }
}

/// Every event by its request id.
pub fn by_request(gateway: &Bartizan) -> Result<BTreeMap<String, Event>> {
    let rows = gateway.query("SELECT id, ending, findings FROM events")?;
    rows.iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            Ok((text("id"), event(text("ending"), &text("findings"))?))
        })
        .collect()
}

fn event(ending: String, findings: &str) -> Result<Event> {
    let findings: Vec<Value> = if findings.is_empty() { Vec::new() } else { serde_json::from_str(findings)? };
    let mut event = Event { ending, findings: findings.len(), ..Event::default() };
    for finding in &findings {
        let check = finding["check"].as_str().context("a finding without its check")?;
        let evidence = finding["evidence"].as_str().unwrap_or_default();
        match check.strip_prefix("WAF-").and_then(|rule| rule.parse().ok()) {
            // The rule's own words with what matched, masked: not the line of a log, but in the same form.
            Some(rule) => {
                let name = finding["location"]["name"].as_str().unwrap_or_default();
                if name.split('.').skip(1).any(|step| OPENED.contains(&step)) {
                    event.inside.insert(rule);
                }
                event.logged.push(Logged { rule, line: judge::line(rule, b"", evidence.as_bytes(), b"") });
            }
            None => event.checks.push((check.to_owned(), evidence.to_owned())),
        }
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_rules_and_of_checks_are_told_apart() {
        let findings = r#"[{"check":"WAF-942100","evidence":"SQL"},{"check":"ENG-101","evidence":"bad_framing"}]"#;
        let event = event("malformed".into(), findings).unwrap();
        assert_eq!(event.logged[0].rule, 942_100);
        assert_eq!((event.evidence("ENG-101"), event.findings), (Some("bad_framing"), 2));
    }
}
