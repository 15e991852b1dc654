//! Our own form: the names and the nesting of ModSecurity 3's JSON audit log, where it has them.

use bartizan_model::{Event, Finding};
use serde_json::{Map, Value, json};

use super::{RuleWords, known, rule_id, words_and_shape};

/// The event's line.
pub(super) fn line(event: &Event, version: &str, rule: &mut dyn FnMut(&str) -> Option<RuleWords>) -> Value {
    let messages: Vec<Value> = event.findings.iter().map(|finding| message(finding, rule)).collect();
    let transaction = known(json!({
        "time_stamp": event.time,
        "unique_id": event.id,
        "client_ip": event.client.ip,
        "host": event.host,
        "api": event.api,
        "endpoint": event.endpoint.as_ref().map(|endpoint| endpoint.template.to_string()),
        "actor": { "kind": event.actor.kind.as_str(), "id": event.actor.id },
        "request": {
            "method": event.method,
            "http_version": event.version.as_str().trim_start_matches("HTTP/"),
            "uri": event.path,
            "headers": headers(&[("user-agent", &event.user_agent), ("content-type", &event.request_type)]),
            "body_bytes": event.request_bytes,
        },
        "response": {
            "http_code": event.status,
            "headers": headers(&[("content-type", &event.response_type)]),
            "body_bytes": event.response_bytes,
        },
        "producer": known(json!({
            "name": "Bartizan",
            "version": version,
            "source": event.source.as_str(),
            "ending": event.ending.as_str(),
            "action": event.decision.action.as_str(),
            "applied": event.decision.applied,
            "policy": event.decision.policy,
            "check": event.decision.check,
        })),
        "messages": messages,
    }));
    json!({ "transaction": transaction })
}

fn headers(fields: &[(&str, &Option<Box<str>>)]) -> Value {
    let given = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.as_deref()?))));
    Value::Object(given.collect::<Map<_, _>>())
}

fn message(finding: &Finding, rule: &mut dyn FnMut(&str) -> Option<RuleWords>) -> Value {
    let (words, shape) = words_and_shape(finding);
    let written = rule_id(finding).and_then(|_| rule(finding.check.as_str())).unwrap_or_default();
    json!({
        "message": words,
        "details": known(json!({
            "ruleId": rule_id(finding).unwrap_or(finding.check.as_str()),
            "location": finding.location.to_string(),
            "data": shape,
            "severity": finding.severity.as_str(),
            "confidence": finding.confidence,
            "tags": written.tags,
        })),
    })
}
