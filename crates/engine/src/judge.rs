//! Drives an inspection with a recorded exchange, exactly as an inline host would: the same event comes out.
//!
//! What the gateway would have stopped ends as stopped, whatever the recording's upstream answered. Only an exchange
//! that another server recorded (HAR, access log) and that no API of ours would take keeps its own ending: it did
//! happen, and the catalog wants to know.

use std::net::SocketAddr;
use std::sync::Arc;

use bartizan_model::{
    Connection, Ending, Event, Exchange, Finding, HeaderField, HttpVersion, Outcome, Request, RequestHead, RequestId,
    Response, ResponseHead, Source, Timestamp,
};

use crate::inspection::{Inspection, Step};
use crate::question::{Question, Reply};
use crate::snapshot::{Route, Snapshot};
use crate::stage::access::authorize::AuthorizationTrace;

/// What came of a recorded exchange.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its event, as if it had passed the gateway
    pub event: Event,
    /// Where it would have gone
    pub route: Option<Arc<Route>>,
    /// What each stage noticed, in the order they ran; a stop ends the list
    pub trace: Vec<StageTrace>,
    /// What each `authorize` policy made of it
    pub authorizations: Vec<AuthorizationTrace>,
}

/// What one stage noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTrace {
    /// Name of the stage: `identify`, `route`, `access`, `authenticate`, `continuity`, `authorize`, `limit`, `content`, `threat`
    pub stage: &'static str,
    /// Its findings
    pub findings: Vec<Finding>,
}

/// How who calls is judged.
#[derive(Default)]
pub struct Callers<'a> {
    /// Credentials in the recording may be masked: where there is one, who calls is not judged, and a finding says so
    pub are_masked: bool,
    /// Answers the engine's questions; without it, what would have to be asked is not judged, and a finding says so
    pub answer: Option<&'a mut dyn FnMut(Question) -> Reply>,
}

/// Runs `exchange` through an inspection. `read_at` stands in when the recording has no time.
pub fn judge(
    snapshot: &Arc<Snapshot>,
    exchange: &Exchange,
    source: Source,
    id: RequestId,
    read_at: Timestamp,
) -> Judged {
    judge_callers(snapshot, exchange, source, id, read_at, Callers::default())
}

/// As [`judge`], with a say in how who calls is judged.
pub fn judge_callers(
    snapshot: &Arc<Snapshot>,
    exchange: &Exchange,
    source: Source,
    id: RequestId,
    read_at: Timestamp,
    mut callers: Callers<'_>,
) -> Judged {
    let begun = exchange.time.unwrap_or(read_at);
    let peer = exchange.client.map(|ip| SocketAddr::new(ip, 0));
    let connection = Connection { peer, local: None, tls: None };
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, id, source, begun);
    inspection.trace_authorization();
    mark_missing(&mut inspection, exchange, source);
    if callers.are_masked {
        inspection.mask_credentials();
    } else if callers.answer.is_some() {
        inspection.can_ask();
    }
    let outcome = drive(&mut inspection, exchange, source, &mut callers);
    let route = inspection.shared_route();
    let trace = trace(&inspection);
    let authorizations = inspection.authorizations().to_vec();
    let now = begun.plus_micros(exchange.duration_us.and_then(|us| i64::try_from(us).ok()).unwrap_or(0));
    Judged { event: inspection.finish(outcome, now), route, trace, authorizations }
}

fn mark_missing(inspection: &mut Inspection, exchange: &Exchange, source: Source) {
    let missing = inspection.missing_mut();
    missing.time = exchange.time.is_none();
    missing.headers = source == Source::AccessLog;
    missing.request_body = may_lack_body(&exchange.request, source);
    missing.response = exchange.response.is_none();
    missing.response_body = match &exchange.response {
        Some(response) => response.body.is_none() && response.body_bytes != Some(0),
        None => true,
    };
}

/// Whether there was, or may have been, a request body that the recording does not have.
fn may_lack_body(request: &Request, source: Source) -> bool {
    if request.body.is_some() || request.body_bytes == Some(0) {
        return false;
    }
    let announces = |name: &[u8], value: &[u8]| {
        name.eq_ignore_ascii_case(b"transfer-encoding")
            || (name.eq_ignore_ascii_case(b"content-length") && value != b"0")
    };
    let is_announced = request.headers.iter().any(|(name, value)| announces(name, value));
    let is_http1 = matches!(request.version, HttpVersion::Http10 | HttpVersion::Http11);
    let is_known_empty = is_http1 && !is_announced && source != Source::AccessLog && !request.headers.is_empty();
    !is_known_empty || request.body_bytes.is_some()
}

fn drive(inspection: &mut Inspection, exchange: &Exchange, source: Source, callers: &mut Callers<'_>) -> Outcome {
    let request = &exchange.request;
    let headers = fields(&request.headers);
    let head = RequestHead {
        method: &request.method,
        target: &request.target,
        scheme: request.scheme,
        authority: &request.authority,
        version: request.version,
        headers: &headers,
    };
    let mut step = inspection.request_head(&head);
    while let Step::Ask(question) = step {
        let reply = callers.answer.as_mut().map_or(Reply::Unavailable, |answer| answer(question));
        step = inspection.reply(&head, reply); // an inspection asks a bounded number of questions
    }
    if matches!(step, Step::Answer) {
        return Outcome { status: inspection.answer().status, duration_us: exchange.duration_us, ..Outcome::default() };
    }
    let request_bytes = body_bytes(request.body.as_deref(), request.body_bytes);
    let mut outcome = Outcome { request_bytes, duration_us: exchange.duration_us, ..Outcome::default() };
    let is_routed = inspection.route().is_some() || matches!(source, Source::Har | Source::AccessLog);
    if !matches!(step, Step::Stop(_)) && is_routed {
        step = match request.body.as_deref() {
            Some([]) | None if request_bytes == 0 => step,
            Some(body) => inspection.request_body(body),
            None => inspection.count_request_body(request_bytes),
        };
        if !matches!(step, Step::Stop(_)) {
            step = inspection.request_end();
            if let Step::Ask(question) = step {
                let reply = callers.answer.as_mut().map_or(Reply::Unavailable, |answer| answer(question));
                step = inspection.reply_at_end(reply);
            }
        }
    }
    if matches!(step, Step::Stop(_)) {
        return stopped(inspection, outcome);
    }
    if !is_routed {
        let answer = crate::answer::answer_ending(Ending::NoRoute, inspection.id());
        outcome.ending = Ending::NoRoute;
        outcome.status = answer.as_ref().map_or(404, |answer| answer.status);
        outcome.response_bytes = answer.map_or(0, |answer| answer.body.len() as u64);
        return outcome;
    }
    match &exchange.response {
        Some(response) => respond(inspection, response, outcome),
        None => outcome,
    }
}

/// We answered in the upstream's place.
fn stopped(inspection: &Inspection, outcome: Outcome) -> Outcome {
    let answer = inspection.answer();
    let response_bytes = answer.body.len() as u64;
    Outcome { ending: Ending::Stopped, status: answer.status, response_bytes, ..outcome }
}

/// The response's half. What is decided on its body comes after its head has gone: the body is kept from the client.
fn respond(inspection: &mut Inspection, response: &Response, outcome: Outcome) -> Outcome {
    let headers = fields(&response.headers);
    if let Step::Stop(_) = inspection.response_head(&ResponseHead { status: response.status, headers: &headers }) {
        return stopped(inspection, outcome);
    }
    match (&response.body, response.body_bytes) {
        (Some(body), _) => _ = inspection.response_body(body),
        (None, Some(bytes)) => _ = inspection.count_response_body(bytes),
        (None, None) => {}
    }
    let outcome = Outcome { status: response.status, ..outcome };
    if let Step::Stop(_) = inspection.response_end() {
        return Outcome { ending: Ending::Stopped, ..outcome };
    }
    Outcome { response_bytes: body_bytes(response.body.as_deref(), response.body_bytes), ..outcome }
}

fn fields(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<HeaderField<'_>> {
    headers.iter().map(|(name, value)| HeaderField { name, value: value.trim_ascii() }).collect()
}

fn body_bytes(body: Option<&[u8]>, known: Option<u64>) -> u64 {
    body.map(|body| body.len() as u64).or(known).unwrap_or(0)
}

/// Findings by stage. Those made after the head belong to the stage whose family they are of.
fn trace(inspection: &Inspection) -> Vec<StageTrace> {
    let findings = inspection.findings();
    let mut from = 0;
    let cut = |(stage, until)| {
        let findings = findings.get(from..until).unwrap_or_default().to_vec();
        from = until;
        StageTrace { stage, findings }
    };
    let mut stages: Vec<StageTrace> = inspection.trace().map(cut).collect();
    for finding in findings.get(from..).unwrap_or_default() {
        let stage = match finding.check.as_str() {
            check if check.starts_with("ACC-2") => "authenticate",
            check if check.starts_with("ACC-3") => "authorize",
            check if check.starts_with("ACC-") || check.starts_with("POS-") => "access",
            check if check.starts_with("LIM-") => "limit",
            check if check.starts_with("CON-") => "content",
            _ => "threat",
        };
        if let Some(trace) = stages.iter_mut().find(|trace| trace.stage == stage) {
            trace.findings.push(finding.clone());
        }
    }
    stages
}
