//! OCSF 1.5, class HTTP Activity (4002) with the profile Security Control: what security data lakes take.
//!
//! The rule that decided, or the worst that matched, is `firewall_rule`; all of them are in `unmapped.findings`.
//! Numbers stand beside their captions, as the schema wants it. Source: schema.ocsf.io, version 1.5.0.

use bartizan_model::{Action, Confidence, Event, Finding, Scheme, Severity};
use serde_json::{Map, Value, json};

use super::{RuleWords, known, rule_id, words_and_shape};

const SCHEMA_VERSION: &str = "1.5.0";
const CLASS_UID: u64 = 4002;

/// `activity_id` of HTTP Activity, by method. What the schema's version does not have is 99, Other.
const ACTIVITIES: &[(&str, u64, &str)] = &[
    ("CONNECT", 1, "Connect"),
    ("DELETE", 2, "Delete"),
    ("GET", 3, "Get"),
    ("HEAD", 4, "Head"),
    ("OPTIONS", 5, "Options"),
    ("POST", 6, "Post"),
    ("PUT", 7, "Put"),
    ("TRACE", 8, "Trace"),
];

/// The event's line.
pub(super) fn line(event: &Event, version: &str, rule: &mut dyn FnMut(&str) -> Option<RuleWords>) -> Value {
    let deciding = deciding(event);
    let (activity_id, activity_name) = activity(event);
    let severity = event.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Info);
    let (severity_id, severity_name) = severity_of(severity);
    let outcome = outcome(event);
    let (hostname, port) = host_and_port(&event.host);
    let mut line = json!({
        "class_uid": CLASS_UID,
        "class_name": "HTTP Activity",
        "category_uid": 4,
        "category_name": "Network Activity",
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": CLASS_UID * 100 + activity_id,
        "type_name": format!("HTTP Activity: {activity_name}"),
        "time": event.time.as_micros().div_euclid(1000),
        "duration": event.duration_us / 1000,
        "severity_id": severity_id,
        "severity": severity_name,
        "message": message(event, deciding),
        "metadata": {
            "version": SCHEMA_VERSION,
            "uid": event.id,
            "log_name": "audit",
            "profiles": ["security_control"],
            "product": { "name": "Bartizan", "vendor_name": "Bartizan", "version": version },
        },
        "dst_endpoint": known(json!({ "hostname": hostname, "port": port, "svc_name": event.api })),
        "http_request": http_request(event),
        "action_id": outcome.action.0,
        "action": outcome.action.1,
        "disposition_id": outcome.disposition.0,
        "disposition": outcome.disposition.1,
        "is_alert": severity >= Severity::High,
        "unmapped": { "findings": event.findings.iter().map(finding_of).collect::<Vec<_>>() },
    });
    if let Some(ip) = event.client.ip {
        put(&mut line, "src_endpoint", json!({ "ip": ip }));
    }
    if event.status != 0 {
        put(&mut line, "http_response", http_response(event));
    }
    if let Some(policy) = &event.decision.policy {
        put(&mut line, "policy", json!({ "name": policy, "is_applied": event.decision.applied }));
    }
    if let Some(finding) = deciding {
        put(&mut line, "firewall_rule", firewall_rule(finding, rule));
        put(&mut line, "confidence_id", json!(confidence_of(finding.confidence)));
    }
    line
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// The finding that the decision is about, else the worst attack rule, else the worst of all.
fn deciding(event: &Event) -> Option<&Finding> {
    let decided = event.decision.check.as_ref();
    let by_decision = event.findings.iter().find(|finding| Some(&finding.check) == decided);
    by_decision
        .or_else(|| worst(event.findings.iter().filter(|finding| rule_id(finding).is_some())))
        .or_else(|| worst(event.findings.iter()))
}

/// The worst, among equals the first.
fn worst<'e>(findings: impl DoubleEndedIterator<Item = &'e Finding>) -> Option<&'e Finding> {
    findings.rev().max_by_key(|finding| finding.severity) // of equals it gives the last
}

fn activity(event: &Event) -> (u64, &str) {
    let known = ACTIVITIES.iter().find(|(method, ..)| **method == *event.method);
    match known {
        Some((_, id, caption)) => (*id, *caption),
        None if event.method.is_empty() => (0, "Unknown"),
        None => (99, &*event.method),
    }
}

const fn severity_of(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

const fn confidence_of(confidence: Confidence) -> u64 {
    match confidence {
        Confidence::Low => 1,
        Confidence::Medium => 2,
        Confidence::High => 3,
    }
}

/// What the security control did: number and caption of each.
struct Outcome {
    action: (u64, &'static str),
    disposition: (u64, &'static str),
}

fn outcome(event: &Event) -> Outcome {
    let allowed = (1, "Allowed");
    match event.decision.action {
        Action::Deny if event.decision.applied => Outcome { action: (2, "Denied"), disposition: (2, "Blocked") },
        Action::Deny => Outcome { action: allowed, disposition: (15, "Detected") },
        Action::Allow if event.findings.is_empty() => Outcome { action: allowed, disposition: allowed },
        Action::Allow => Outcome { action: allowed, disposition: (15, "Detected") },
    }
}

fn message(event: &Event, deciding: Option<&Finding>) -> String {
    let what = match event.decision.action {
        Action::Deny if event.decision.applied => "denied",
        Action::Deny => "would be denied",
        Action::Allow => "allowed",
    };
    match deciding {
        Some(finding) => format!("{} {}: {what}; {}", event.method, event.path, words_and_shape(finding).0),
        None => format!("{} {}: {what}", event.method, event.path),
    }
}

/// `shop.example:8443` in two; an IPv6 address stands in brackets.
fn host_and_port(host: &str) -> (&str, Option<u16>) {
    let parted = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    match parted {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    }
}

const fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

fn http_request(event: &Event) -> Value {
    let scheme = event.scheme.as_str();
    let (hostname, port) = host_and_port(&event.host);
    known(json!({
        "uid": event.id,
        "http_method": event.method,
        "version": event.version.as_str().trim_start_matches("HTTP/"),
        "user_agent": event.user_agent,
        "length": event.request_bytes,
        "url": {
            "scheme": scheme,
            "hostname": hostname,
            "port": port.unwrap_or(default_port(event.scheme)),
            "path": event.path,
            "url_string": format!("{scheme}://{}{}", event.host, event.path),
        },
    }))
}

fn http_response(event: &Event) -> Value {
    known(json!({
        "code": event.status,
        "content_type": event.response_type,
        "length": event.response_bytes,
        "latency": event.upstream_us.map(|latency_us| latency_us / 1000),
    }))
}

fn firewall_rule(finding: &Finding, rule: &mut dyn FnMut(&str) -> Option<RuleWords>) -> Value {
    let (words, shape) = words_and_shape(finding);
    let written = rule_id(finding).and_then(|_| rule(finding.check.as_str()));
    let mut firewall_rule = Map::new();
    firewall_rule.insert("uid".to_owned(), json!(finding.check));
    firewall_rule.insert("name".to_owned(), json!(words));
    firewall_rule.insert("match_location".to_owned(), json!(finding.location.to_string()));
    firewall_rule.insert("match_details".to_owned(), json!(shape.map_or_else(Vec::new, |shape| vec![shape])));
    firewall_rule.insert("sensitivity".to_owned(), json!(severity_of(finding.severity).1));
    if let Some(written) = written {
        firewall_rule.insert("desc".to_owned(), json!(written.message));
        firewall_rule.insert("category".to_owned(), json!(written.tags.join(", ")));
    }
    Value::Object(firewall_rule)
}

fn finding_of(finding: &Finding) -> Value {
    let (words, shape) = words_and_shape(finding);
    known(json!({
        "check": finding.check,
        "severity": finding.severity.as_str(),
        "location": finding.location.to_string(),
        "message": words,
        "data": shape,
    }))
}
