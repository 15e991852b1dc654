//! A host as the gateway is one: drives an inspection with an exchange, chunk by chunk, and obeys each step.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bartizan_config::Config;
use bartizan_engine::{
    AddressData, AddressFile, Answer, Counters, Inputs, Inspection, Question, Reply, ResponseEdit, Snapshot, Step,
    answer_ending, varies_by,
};
use bartizan_model::{
    Connection, Ending, Event, Exchange, HeaderField, Outcome, RequestHead, RequestId, Response, ResponseHead, Source,
};

pub const ID: RequestId = RequestId::from_bits(0xB0);

/// What came of it.
pub struct Passed {
    pub event: Event,
    /// Each step's word, from the head on, until the request was complete or stopped
    pub steps: Vec<&'static str>,
    /// The answer that was given in the upstream's place
    pub answer: Option<Answer>,
    /// Body bytes that reached the upstream
    pub forwarded: usize,
    /// What was to be set on the upstream's response
    pub fields: Vec<(&'static str, String)>,
    /// The fields that the client sees, after every edit
    pub seen_fields: Vec<(String, String)>,
}

pub fn snapshot(config: &str, endpoints: &str) -> Arc<Snapshot> {
    let config = crate::document::config(config);
    let endpoints = crate::document::endpoints(endpoints);
    let plans = crate::rules::plans(&config);
    let counters = Counters::default();
    let inputs = Inputs { generation: 1, endpoints: &endpoints, plans: &plans, counters: &counters, key: [7; 32] };
    Arc::new(Snapshot::compile(&config, inputs).with_address_data(Arc::new(address_data(&config))))
}

/// The files that a case names: of `tests/networks`, or a database made here.
fn address_data(config: &Config) -> AddressData {
    let networks =
        [("203.0.113.0", 25, "SE", 64496), ("203.0.113.128", 25, "US", 64497), ("2001:db8:2::", 48, "FI", 64498)];
    let read = |data: &bartizan_config::AddressData| {
        let bytes = match data.file.extension().and_then(|extension| extension.to_str()) {
            Some("mmdb") => crate::mmdb::database(&networks, 1_767_225_600),
            _ => std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks").join(&data.file)).unwrap(),
        };
        AddressFile::read(&data.name, data.kind, bytes).unwrap()
    };
    AddressData::new(config.address_data.iter().map(read).collect())
}

pub fn connection(exchange: &Exchange) -> Connection {
    Connection { peer: exchange.client.map(|ip| SocketAddr::new(ip, 0)), local: None, tls: None }
}

/// Drives `exchange`, with its bodies cut after every `chunk` bytes.
pub fn pass(snapshot: &Arc<Snapshot>, exchange: &Exchange, source: Source, chunk: usize) -> Passed {
    let begun = exchange.time.unwrap();
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection(exchange), ID, source, begun);
    let mut steps = Vec::new();
    let mut forwarded = 0;
    let stopped = request(&mut inspection, exchange, chunk, &mut steps, &mut forwarded);
    let request_bytes = exchange.request.body.as_ref().map_or(0, |body| body.len() as u64);
    let mut outcome = Outcome { request_bytes, duration_us: exchange.duration_us, ..Outcome::default() };
    let mut given = None;
    if stopped {
        let answer = inspection.answer();
        outcome.ending = if steps.last() == Some(&"answer") { Ending::Answered } else { Ending::Stopped };
        if outcome.ending == Ending::Answered {
            outcome.request_bytes = 0; // nothing of the body is read
        }
        given = Some(answer);
    } else if inspection.route().is_none() {
        outcome.ending = Ending::NoRoute;
        given = answer_ending(Ending::NoRoute, ID);
    } else if let Some(response) = &exchange.response {
        given = respond(&mut inspection, response, chunk, &mut outcome);
    }
    if let Some(answer) = &given {
        outcome.status = answer.status;
        outcome.response_bytes = answer.body.len() as u64;
    }
    let seen_fields = seen_fields(&inspection, exchange, given.as_ref());
    let fields = if given.is_none() { inspection.response_fields() } else { Vec::new() };
    let event = inspection.finish(outcome, begun.plus_micros(exchange.duration_us.unwrap_or(0) as i64));
    Passed { event, steps, answer: given, forwarded, fields, seen_fields }
}

/// The fields of the answer as the client gets them: the upstream's, or ours.
fn seen_fields(inspection: &Inspection, exchange: &Exchange, given: Option<&Answer>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let mut fields: Vec<(String, String)> = match (given, &exchange.response) {
        (Some(answer), _) => answer.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        (None, Some(response)) => response
            .headers
            .iter()
            .map(|(name, value)| (text(name), String::from_utf8_lossy(value).into_owned()))
            .collect(),
        (None, None) => Vec::new(),
    };
    for edit in inspection.response_edits().iter() {
        match edit {
            ResponseEdit::Remove(name) => fields.retain(|(known, _)| **known != **name),
            ResponseEdit::Replace(name, value) => {
                fields.retain(|(known, _)| **known != **name);
                fields.push((name.to_string(), value.to_string()));
            }
            ResponseEdit::Keep(name, value) => {
                if !fields.iter().any(|(known, _)| **known == **name) {
                    fields.push((name.to_string(), value.to_string()));
                }
            }
            ResponseEdit::Vary(name) => {
                let is_listed =
                    |(known, value): &(String, String)| known == "vary" && varies_by(value.as_bytes(), name);
                if !fields.iter().any(is_listed) {
                    fields.push(("vary".to_owned(), (*name).to_owned()));
                }
            }
        }
    }
    fields
}

/// The request's half of `exchange`, which then waits for its response.
pub fn open(snapshot: &Arc<Snapshot>, exchange: &Exchange) -> Box<Inspection> {
    let begun = exchange.time.unwrap();
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection(exchange), ID, Source::Gateway, begun);
    request(&mut inspection, exchange, 1 << 20, &mut Vec::new(), &mut 0);
    inspection
}

/// The response's half; the answer that was given in its place, if one was.
fn respond(inspection: &mut Inspection, response: &Response, chunk: usize, outcome: &mut Outcome) -> Option<Answer> {
    let headers = fields(&response.headers);
    if let Step::Stop(_) = inspection.response_head(&ResponseHead { status: response.status, headers: &headers }) {
        outcome.ending = Ending::Stopped;
        return Some(inspection.answer());
    }
    let body = response.body.as_deref().unwrap_or_default();
    body.chunks(chunk).for_each(|piece| _ = inspection.response_body(piece));
    outcome.status = response.status;
    match inspection.response_end() {
        Step::Stop(_) => outcome.ending = Ending::Stopped, // the head has gone, the body has not
        Step::Continue | Step::Hold | Step::Answer | Step::Ask(_) => outcome.response_bytes = body.len() as u64,
    }
    None
}

/// The request's head, with an answer to each question.
pub fn head(inspection: &mut Inspection, exchange: &Exchange, mut answer: impl FnMut(Question) -> Reply) -> Step {
    let headers = fields(&exchange.request.headers);
    let head = head_of(exchange, &headers);
    let mut step = inspection.request_head(&head);
    while let Step::Ask(question) = step {
        step = inspection.reply(&head, answer(question));
    }
    step
}

/// The request's half; whether it was stopped.
fn request(
    inspection: &mut Inspection,
    exchange: &Exchange,
    chunk: usize,
    steps: &mut Vec<&'static str>,
    forwarded: &mut usize,
) -> bool {
    let headers = fields(&exchange.request.headers);
    let head = head_of(exchange, &headers);
    let mut held = 0;
    let mut obey = |step: Step, bytes: usize| {
        held += bytes;
        match step {
            Step::Continue => {
                *forwarded += std::mem::take(&mut held);
                steps.push("continue");
                false
            }
            Step::Hold => {
                steps.push("hold");
                false
            }
            Step::Answer => {
                steps.push("answer");
                true
            }
            Step::Ask(_) => unreachable!("this host answers no questions"),
            Step::Stop(_) => {
                steps.push("stop");
                true
            }
        }
    };
    if obey(inspection.request_head(&head), 0) {
        return true;
    }
    if inspection.route().is_none() {
        return false;
    }
    let body = exchange.request.body.as_deref().unwrap_or_default();
    for piece in body.chunks(chunk) {
        if obey(inspection.request_body(piece), piece.len()) {
            return true;
        }
    }
    obey(inspection.request_end(), 0)
}

fn head_of<'a>(exchange: &'a Exchange, headers: &'a [HeaderField<'a>]) -> RequestHead<'a> {
    RequestHead {
        method: &exchange.request.method,
        target: &exchange.request.target,
        scheme: exchange.request.scheme,
        authority: &exchange.request.authority,
        version: exchange.request.version,
        headers,
    }
}

fn fields(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<HeaderField<'_>> {
    headers.iter().map(|(name, value)| HeaderField { name, value }).collect()
}
