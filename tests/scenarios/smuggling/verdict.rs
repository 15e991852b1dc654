//! What an origin parsed, held against what the gateway inspected.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use super::mutation::{Mutation, Protocol};
use super::origins::{Log, Parsed};
use super::wire;

/// What an event keeps of a method; the recording has the whole.
const METHOD_BYTES_MAX: usize = 32;

/// Everything that was seen of one run.
pub(super) struct Seen<'a> {
    pub(super) mutations: &'a [Mutation],
    /// What each client got
    pub(super) answers: &'a [Vec<u8>],
    pub(super) events: &'a [Value],
    /// The gateway's recording, an exchange a line
    pub(super) recording: &'a str,
    pub(super) log: Log,
}

/// Counts by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Mutations of which the gateway refused a request
    pub(super) refused: BTreeMap<&'static str, usize>,
    /// Requests that the origin parsed
    pub(super) parsed: BTreeMap<&'static str, usize>,
    pub(super) events: usize,
}

/// What the gateway inspected, by mutation: method, target and body of each exchange.
type Inspected = HashMap<usize, Vec<(String, String, Vec<u8>)>>;

impl Seen<'_> {
    /// What is wrong, and the counts.
    pub(super) fn judge(&self) -> Result<(Vec<String>, Tally)> {
        let mut faults = Vec::new();
        let by_id: HashMap<&str, &Value> = self.events.iter().map(|event| (text(event, "id"), event)).collect();
        if by_id.len() != self.events.len() {
            faults.push("two events have one id".to_owned());
        }
        self.judge_answers(&mut faults);
        let mut inspected = inspected(self.recording)?;
        let mut known = HashSet::new();
        for parsed in &self.log.parsed {
            if let Some(fault) = self.fault(parsed, &by_id, &mut inspected) {
                faults.push(format!("{fault}: {parsed:?}"));
            }
            if !known.insert((&parsed.id, parsed.is_passed_on)) {
                faults.push(format!("parsed twice: {parsed:?}"));
            }
        }
        // A refusal that has no id is the origin's answer to a request that it was given, and to nothing else.
        let is_refused = |event: &&Value| {
            matches!(
                (text(event, "ending"), event["status"].as_u64()),
                ("answered", Some(400..=599)) | ("upstream_failed", _)
            )
        };
        let refused = self.events.iter().filter(is_refused).count();
        if self.log.refused.len() > refused {
            let told = self.log.refused.join("\n");
            faults.push(format!("{} refusals by the origin, {refused} answered:\n{told}", self.log.refused.len()));
        }
        Ok((faults, self.tally()))
    }

    /// Each mutation is told, and each answer of a client is an event's.
    fn judge_answers(&self, faults: &mut Vec<String>) {
        let mut by_number: HashMap<usize, Vec<&Value>> = HashMap::new();
        for event in self.events {
            match wire::number_of(text(event, "client_ip")) {
                Some(number) => by_number.entry(number).or_default().push(event),
                None => faults.push(format!("an event of nobody: {event}")),
            }
        }
        for (number, (mutation, answer)) in self.mutations.iter().zip(self.answers).enumerate() {
            let events = by_number.remove(&number).unwrap_or_default();
            if events.is_empty() {
                faults.push(format!("mutation {number} ({}) is not told", mutation.class));
            }
            if mutation.protocol == Protocol::Http2 {
                continue; // its answers are compressed
            }
            let mut ids = wire::ids_in(answer, mutation.protocol);
            let answered = events.iter().filter(|event| event["status"].as_u64() != Some(0));
            let mut told: Vec<String> = answered.map(|event| text(event, "id").to_owned()).collect();
            ids.sort_unstable();
            told.sort_unstable();
            if ids != told {
                faults.push(format!("mutation {number} ({}): answers {ids:?}, events {told:?}", mutation.class));
            }
        }
    }

    /// Why this request is none that was inspected.
    fn fault(&self, parsed: &Parsed, by_id: &HashMap<&str, &Value>, inspected: &mut Inspected) -> Option<&'static str> {
        let Some(event) = parsed.id.as_deref().and_then(|id| by_id.get(id)) else { return Some("not inspected") };
        if parsed.client.as_deref() != Some(text(event, "client_ip")) {
            return Some("inspected for another client");
        }
        let Some(number) = wire::number_of(text(event, "client_ip")) else { return Some("of nobody") };
        // An application behind a server may be asked in other words, by that server.
        let method: String = parsed.method.chars().take(METHOD_BYTES_MAX).collect();
        if !parsed.is_passed_on && !self.is_method(&method, text(event, "method")) {
            return Some("another method was inspected");
        }
        let Some(target) = &parsed.target else { return None };
        let path = target.split('?').next().unwrap_or_default();
        if path.is_ascii() && path != text(event, "path") {
            return Some("another path was inspected");
        }
        let body = parsed.body.as_ref()?;
        let exchanges = inspected.entry(number).or_default();
        let same = |(method, inspected_target, inspected_body): &(String, String, Vec<u8>)| {
            // An ASGI server does not say whether there is no query or an empty one.
            let is_target = inspected_target == target || inspected_target.strip_suffix('?') == Some(target);
            self.is_method(&parsed.method, method) && is_target && inspected_body == body
        };
        match exchanges.iter().position(same) {
            Some(at) => {
                exchanges.swap_remove(at);
                None
            }
            None => Some("another target or body was inspected"),
        }
    }

    /// Whether the origin has the method that was inspected.
    fn is_method(&self, parsed: &str, inspected: &str) -> bool {
        match self.log.has_capital_methods {
            true => parsed == inspected.to_ascii_uppercase(),
            false => parsed == inspected,
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally { events: self.events.len(), ..Tally::default() };
        let refused: HashSet<usize> = self
            .events
            .iter()
            .filter(|event| matches!(text(event, "ending"), "malformed" | "stopped" | "no_route"))
            .filter_map(|event| wire::number_of(text(event, "client_ip")))
            .collect();
        for mutation in refused.iter().filter_map(|number| self.mutations.get(*number)) {
            *tally.refused.entry(mutation.class).or_default() += 1;
        }
        for parsed in self.log.parsed.iter().filter(|parsed| !parsed.is_passed_on) {
            let number = parsed.client.as_deref().and_then(wire::number_of);
            if let Some(mutation) = number.and_then(|number| self.mutations.get(number)) {
                *tally.parsed.entry(mutation.class).or_default() += 1;
            }
        }
        tally
    }
}

fn text<'v>(event: &'v Value, name: &str) -> &'v str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Text, or bytes as Latin-1, of a member that is text or `{"base64": …}`.
fn exact(value: &Value) -> Result<String> {
    match value.as_str() {
        Some(text) => Ok(latin1(text.as_bytes())),
        None => Ok(latin1(&BASE64_STANDARD.decode(text(value, "base64"))?)),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// What the recording has.
fn inspected(recording: &str) -> Result<Inspected> {
    let mut inspected = Inspected::new();
    for line in recording.lines() {
        let exchange: Value = serde_json::from_str(line)?;
        let request = exchange.get("request").context("an exchange's request")?;
        let Some(number) = exchange.pointer("/client/ip").and_then(Value::as_str).and_then(wire::number_of) else {
            continue;
        };
        let target = match request.get("target") {
            Some(target) => exact(target)?,
            None => {
                let url = latin1(text(request, "url").as_bytes());
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned())
            }
        };
        let body = match request.get("body_base64").and_then(Value::as_str) {
            Some(body) => BASE64_STANDARD.decode(body)?,
            None => text(request, "body").as_bytes().to_vec(),
        };
        let method = request.get("method").map(exact).transpose()?.unwrap_or_default();
        inspected.entry(number).or_default().push((method, target, body));
    }
    Ok(inspected)
}
