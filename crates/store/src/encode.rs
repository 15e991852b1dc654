//! Events into columns: one builder a column, filled as events arrive, emptied at each flush.
//!
//! PERF: this runs for every exchange, so nothing here formats through `fmt` or builds a `String` on its way.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use bartizan_model::{AuthKinds, CacheStatus, Event, EventPrincipal, Finding, Missing, Parameter};

use crate::Error;
use crate::schema::WRITTEN;

/// Columns being filled.
#[derive(Default)]
pub(crate) struct Columns {
    id: StringBuilder,
    time: TimestampMicrosecondBuilder,
    source: StringBuilder,
    client_ip: StringBuilder,
    client_via: StringBuilder,
    tls_version: StringBuilder,
    actor_kind: StringBuilder,
    actor: StringBuilder,
    scheme: StringBuilder,
    version: StringBuilder,
    host: StringBuilder,
    method: StringBuilder,
    path: StringBuilder,
    api: StringBuilder,
    endpoint_id: StringBuilder,
    template: StringBuilder,
    parameters: StringBuilder,
    auth: StringBuilder,
    user_agent: StringBuilder,
    request_type: StringBuilder,
    response_type: StringBuilder,
    ending: StringBuilder,
    status: Int32Builder,
    request_bytes: Int64Builder,
    response_bytes: Int64Builder,
    duration_us: Int64Builder,
    upstream_us: Int64Builder,
    upstream: StringBuilder,
    decision: StringBuilder,
    applied: BooleanBuilder,
    decision_status: Int32Builder,
    check: StringBuilder,
    policy: StringBuilder,
    checks: StringBuilder,
    findings_count: Int32Builder,
    findings: StringBuilder,
    missing: StringBuilder,
    application: StringBuilder,
    credential_id: StringBuilder,
    principal: StringBuilder,
    cache_status: StringBuilder,
    scratch: String,
    rows: usize,
}

impl Columns {
    /// Rows held.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds one event as a row.
    pub(crate) fn push(&mut self, event: &Event) {
        self.rows += 1;
        self.push_request(event);
        self.push_outcome(event);
        self.push_judgement(event);
    }

    fn push_request(&mut self, event: &Event) {
        self.id.append_value(hex(&event.id.as_bits().to_be_bytes(), &mut [0; 32]));
        self.time.append_value(event.time.as_micros());
        self.source.append_value(event.source.as_str());
        append_ip(&mut self.client_ip, event.client.ip, &mut self.scratch);
        append_ip(&mut self.client_via, event.client.via, &mut self.scratch);
        self.tls_version.append_option(event.client.tls_version.as_deref());
        self.actor_kind.append_value(event.actor.kind.as_str());
        self.actor.append_value(&event.actor.id);
        self.scheme.append_value(event.scheme.as_str());
        self.version.append_value(event.version.as_str());
        self.host.append_value(&event.host);
        self.method.append_value(&event.method);
        self.path.append_value(&event.path);
        self.api.append_option(event.api.as_deref());
        match &event.endpoint {
            Some(endpoint) => {
                self.endpoint_id.append_value(hex(&endpoint.id.as_u64().to_be_bytes(), &mut [0; 16]));
                self.template.append_value(&endpoint.template);
            }
            None => {
                self.endpoint_id.append_null();
                self.template.append_null();
            }
        }
        append_json(&mut self.parameters, &event.parameters, &mut self.scratch, write_parameter);
        append_auth(&mut self.auth, event.auth, &mut self.scratch);
        self.user_agent.append_option(event.user_agent.as_deref());
        self.request_type.append_option(event.request_type.as_deref());
    }

    fn push_outcome(&mut self, event: &Event) {
        self.response_type.append_option(event.response_type.as_deref());
        self.ending.append_value(event.ending.as_str());
        self.status.append_value(i32::from(event.status));
        self.request_bytes.append_value(saturated(event.request_bytes));
        self.response_bytes.append_value(saturated(event.response_bytes));
        self.duration_us.append_value(saturated(event.duration_us));
        self.upstream_us.append_option(event.upstream_us.map(saturated));
        self.upstream.append_option(event.upstream.as_deref());
    }

    fn push_judgement(&mut self, event: &Event) {
        self.decision.append_value(event.decision.action.as_str());
        self.applied.append_value(event.decision.applied);
        self.decision_status.append_value(i32::from(event.decision.status));
        self.check.append_option(event.decision.check.as_ref().map(bartizan_model::CheckId::as_str));
        self.policy.append_option(event.decision.policy.as_deref());
        append_checks(&mut self.checks, &event.findings, &mut self.scratch);
        self.findings_count.append_value(i32::try_from(event.findings.len()).unwrap_or(i32::MAX));
        append_json(&mut self.findings, &event.findings, &mut self.scratch, write_finding);
        append_missing(&mut self.missing, event.missing, &mut self.scratch);
        self.push_principal(event.principal.as_deref());
        self.cache_status.append_option(event.cache_status.map(CacheStatus::as_str));
    }

    fn push_principal(&mut self, principal: Option<&EventPrincipal>) {
        self.application.append_option(principal.and_then(|principal| principal.application.as_deref()));
        self.credential_id.append_option(principal.and_then(|principal| principal.credential_id.as_deref()));
        match principal {
            Some(principal) => {
                self.scratch.clear();
                write_principal(principal, &mut self.scratch);
                self.principal.append_value(&self.scratch);
            }
            None => self.principal.append_null(),
        }
    }

    /// The rows so far, and empties the columns for the next.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, Error> {
        self.rows = 0;
        Ok(RecordBatch::try_new(Arc::clone(&WRITTEN), self.arrays())?)
    }

    /// Every column's array, in the order of [`crate::schema::COLUMNS`].
    fn arrays(&mut self) -> Vec<ArrayRef> {
        let take = |builder: &mut dyn ArrayBuilder| builder.finish();
        vec![
            take(&mut self.id),
            with_zone(&take(&mut self.time)),
            take(&mut self.source),
            take(&mut self.client_ip),
            take(&mut self.client_via),
            take(&mut self.tls_version),
            take(&mut self.actor_kind),
            take(&mut self.actor),
            take(&mut self.scheme),
            take(&mut self.version),
            take(&mut self.host),
            take(&mut self.method),
            take(&mut self.path),
            take(&mut self.api),
            take(&mut self.endpoint_id),
            take(&mut self.template),
            take(&mut self.parameters),
            take(&mut self.auth),
            take(&mut self.user_agent),
            take(&mut self.request_type),
            take(&mut self.response_type),
            take(&mut self.ending),
            take(&mut self.status),
            take(&mut self.request_bytes),
            take(&mut self.response_bytes),
            take(&mut self.duration_us),
            take(&mut self.upstream_us),
            take(&mut self.upstream),
            take(&mut self.decision),
            take(&mut self.applied),
            take(&mut self.decision_status),
            take(&mut self.check),
            take(&mut self.policy),
            take(&mut self.checks),
            take(&mut self.findings_count),
            take(&mut self.findings),
            take(&mut self.missing),
            take(&mut self.application),
            take(&mut self.credential_id),
            take(&mut self.principal),
            take(&mut self.cache_status),
        ]
    }
}

/// The builder's times are UTC; the schema says so.
fn with_zone(times: &ArrayRef) -> ArrayRef {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    Arc::new(times.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
}

/// LIMIT: sizes and durations beyond 2^63 - 1 do not occur; SQL has no unsigned integers.
fn saturated(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// `bytes` as hexadecimal digits in `out`, which is twice as long.
fn hex<'a>(bytes: &[u8], out: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(out).unwrap_or_default()
}

fn append_ip(column: &mut StringBuilder, ip: Option<IpAddr>, scratch: &mut String) {
    match ip {
        None => column.append_null(),
        Some(IpAddr::V4(ip)) => {
            scratch.clear();
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    scratch.push('.');
                }
                push_octet(scratch, octet);
            }
            column.append_value(&*scratch);
        }
        Some(IpAddr::V6(ip)) => column.append_value(ip.to_string()),
    }
}

fn push_octet(out: &mut String, octet: u8) {
    if octet >= 100 {
        out.push(char::from(b'0' + octet / 100));
    }
    if octet >= 10 {
        out.push(char::from(b'0' + octet / 10 % 10));
    }
    out.push(char::from(b'0' + octet % 10));
}

/// Appends the items as a JSON array, or NULL when there are none.
fn append_json<T>(column: &mut StringBuilder, items: &[T], scratch: &mut String, write: fn(&T, &mut String)) {
    if items.is_empty() {
        return column.append_null();
    }
    scratch.clear();
    for (at, item) in items.iter().enumerate() {
        scratch.push(if at == 0 { '[' } else { ',' });
        write(item, scratch);
    }
    scratch.push(']');
    column.append_value(&*scratch);
}

/// The same JSON as serde gives, written by hand: this runs several times for every exchange.
fn write_parameter(parameter: &Parameter, out: &mut String) {
    out.push_str(r#"{"place":""#);
    out.push_str(parameter.place.as_str());
    out.push_str(r#"","name":"#);
    push_json_text(out, &parameter.name);
    out.push_str(r#","kind":""#);
    out.push_str(parameter.kind.as_str());
    out.push_str(r#""}"#);
}

fn write_finding(finding: &Finding, out: &mut String) {
    // a Finding of ours always serializes: no maps with odd keys, no floats
    out.push_str(&serde_json::to_string(finding).unwrap_or_default());
}

/// The same JSON as serde gives, written by hand: callers that are known make an event each.
fn write_principal(principal: &EventPrincipal, out: &mut String) {
    let EventPrincipal { subject, application, credential_id, scopes, roles, credential, strength } = principal;
    out.push_str(r#"{"subject":"#);
    push_json_text(out, subject);
    out.push_str(r#","application":"#);
    match application {
        Some(application) => push_json_text(out, application),
        None => out.push_str("null"),
    }
    if let Some(id) = credential_id {
        out.push_str(r#","credential_id":"#);
        push_json_text(out, id);
    }
    for (name, words) in [(r#","scopes":["#, scopes), (r#","roles":["#, roles)] {
        out.push_str(name);
        for (at, word) in words.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            push_json_text(out, word);
        }
        out.push(']');
    }
    out.push_str(r#","credential":""#);
    out.push_str(credential.as_str());
    out.push_str(r#"","strength":""#);
    out.push_str(strength.as_str());
    out.push_str(r#""}"#);
}

fn push_json_text(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

fn append_auth(column: &mut StringBuilder, auth: AuthKinds, scratch: &mut String) {
    if auth.is_empty() {
        return column.append_value("");
    }
    append_words(column, auth.iter().map(bartizan_model::AuthKind::as_str), scratch);
}

fn append_missing(column: &mut StringBuilder, missing: Missing, scratch: &mut String) {
    if missing == Missing::default() {
        return column.append_value("");
    }
    append_words(column, missing.words(), scratch);
}

/// The ids of the checks that noticed something, each once, in order.
fn append_checks(column: &mut StringBuilder, findings: &[Finding], scratch: &mut String) {
    let first = |at: usize, id: &str| !findings.iter().take(at).any(|before| before.check.as_str() == id);
    let ids = findings.iter().enumerate().map(|(at, finding)| (at, finding.check.as_str()));
    append_words(column, ids.filter(|(at, id)| first(*at, id)).map(|(_, id)| id), scratch);
}

fn append_words<'a>(column: &mut StringBuilder, words: impl Iterator<Item = &'a str>, scratch: &mut String) {
    scratch.clear();
    for word in words {
        if !scratch.is_empty() {
            scratch.push(',');
        }
        scratch.push_str(word);
    }
    column.append_value(&*scratch);
}
