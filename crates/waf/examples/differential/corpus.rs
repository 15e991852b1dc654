//! Generated exchanges: mutated regression tests, their payloads in other places, and innocent API calls.
//!
//! Everything follows from the seed, so a difference can be looked at again.

#![allow(dead_code, reason = "the bench uses a part of it")]

use fastrand::Rng;
use serde_json::{Value, json};

use crate::harness::request::query_escape;
use crate::harness::suite::Test;
use crate::harness::{Exchange, Field, Reply, field, http, request};
use crate::mutate::mutate;
use crate::words::{AGENTS, KEYS, NAMES, RESOURCES, TEXTS, WORDS};

/// Payloads longer than this are not moved to other places: they are about limits, and make the run slow.
const PAYLOAD_BYTES_MAX: usize = 2_000;

/// Where exchanges come from.
#[derive(Clone)]
pub struct Corpus {
    rng: Rng,
    tests: Vec<Exchange>,
    payloads: Vec<Vec<u8>>,
}

/// A generated exchange.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How it was made
    pub kind: &'static str,
    pub exchange: Exchange,
}

impl Corpus {
    /// Exchanges made from these tests.
    pub fn new(tests: &[Test], seed: u64) -> Self {
        let stages = tests.iter().flat_map(|test| &test.stages);
        let tests: Vec<Exchange> = stages.map(|stage| http::exchange(&request::raw(&stage.input))).collect();
        let mut payloads: Vec<Vec<u8>> = tests.iter().flat_map(payloads).collect();
        payloads.retain(|payload| (3..=PAYLOAD_BYTES_MAX).contains(&payload.len()));
        payloads.sort();
        payloads.dedup();
        Self { rng: Rng::with_seed(seed), tests, payloads }
    }

    /// The next one.
    pub fn sample(&mut self) -> Sample {
        match self.rng.u8(0..10) {
            0..=2 => Sample { kind: "test, mutated", exchange: self.mutated_test() },
            3..=6 => Sample { kind: "payload, moved", exchange: self.attack() },
            _ => Sample { kind: "innocent", exchange: self.innocent() },
        }
    }

    /// A regression test with changed bytes.
    fn mutated_test(&mut self) -> Exchange {
        let at = self.rng.usize(0..self.tests.len());
        let mut exchange = self.tests[at].clone();
        let Self { rng, payloads, .. } = self;
        if rng.bool() && !exchange.body.is_empty() {
            exchange.body = mutate(rng, &exchange.body, payloads);
        }
        if let Some(at) = exchange.target.iter().position(|byte| *byte == b'?').filter(|_| rng.bool()) {
            let query = mutate(rng, &exchange.target[at + 1..], payloads);
            exchange.target.truncate(at + 1);
            exchange.target.extend(in_target(&query));
        }
        for (name, value) in &mut exchange.headers {
            if !["Host", "Content-Length"].iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
                && rng.u8(0..6) == 0
            {
                *value = in_field(&mutate(rng, value, payloads));
            }
        }
        set_length(&mut exchange);
        exchange
    }

    /// An innocent call with a payload in it.
    pub fn attack(&mut self) -> Exchange {
        let mut exchange = self.innocent();
        let at = self.rng.usize(0..self.payloads.len());
        let payload = mutate(&mut self.rng, &self.payloads[at], &self.payloads);
        let name = self.pick(KEYS);
        match self.rng.u8(0..14) {
            0..=2 => exchange.target.extend(pair(&exchange.target, name.as_bytes(), &payload)),
            3 => exchange.target.extend(pair(&exchange.target, &payload, b"1")),
            4 => {
                let path = [b"/files/".as_slice(), &query_escape(&payload)].concat();
                exchange.target.splice(0..0, path);
            }
            5 => exchange.headers.push((b"Referer".into(), in_field(&payload))),
            6 => set_field(&mut exchange.headers, "User-Agent", in_field(&payload)),
            7 => exchange.headers.push((b"X-Custom".into(), in_field(&payload))),
            8 => exchange.headers.push((b"Cookie".into(), [b"session=1; c=".as_slice(), &in_field(&payload)].concat())),
            kind => self.body_with(&mut exchange, kind, &payload),
        }
        set_length(&mut exchange);
        exchange
    }

    fn body_with(&mut self, exchange: &mut Exchange, kind: u8, payload: &[u8]) {
        exchange.method = b"POST".to_vec();
        let text = String::from_utf8_lossy(payload);
        let name = self.pick(KEYS);
        let (media_type, body) = match kind {
            9 => ("application/x-www-form-urlencoded", form(&[(b"a", b"1"), (name.as_bytes(), payload)])),
            10 => ("application/json", json!({ "a": { name: [1, text] }, "b": true }).to_string().into_bytes()),
            11 => ("application/json", json!({ text: "value", name: null }).to_string().into_bytes()),
            12 => {
                let clean = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
                let body = format!("<?xml version=\"1.0\"?><a b=\"{clean}\"><c>{clean}</c></a>");
                ("application/xml", body.into_bytes())
            }
            _ => ("multipart/form-data; boundary=b0undary", multipart(name.as_bytes(), payload)),
        };
        set_field(&mut exchange.headers, "Content-Type", media_type.into());
        exchange.body = body;
    }

    /// A call that a client of an API would make.
    pub fn innocent(&mut self) -> Exchange {
        let method = ["GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE"][self.rng.usize(0..7)];
        let mut target = format!("/v{}/{}", self.rng.u8(1..4), self.pick(RESOURCES)).into_bytes();
        if self.rng.bool() {
            target.extend(format!("/{}", self.id()).into_bytes());
        }
        for _ in 0..self.rng.usize(0..5) {
            let (name, value) = (self.pick(KEYS), self.text());
            target.extend(pair(&target, name.as_bytes(), value.as_bytes()));
        }
        let mut exchange = Exchange {
            method: method.into(),
            target,
            protocol: b"HTTP/1.1".to_vec(),
            headers: self.headers(),
            body: Vec::new(),
            reply: Reply::default(),
        };
        if matches!(method, "POST" | "PUT" | "PATCH") {
            self.fill(&mut exchange);
        }
        set_length(&mut exchange);
        exchange
    }

    fn fill(&mut self, exchange: &mut Exchange) {
        let (media_type, body) = match self.rng.u8(0..6) {
            0 => {
                let pairs: Vec<(&str, String)> = (0..4).map(|_| (self.pick(KEYS), self.text())).collect();
                let pairs: Vec<(&[u8], &[u8])> =
                    pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
                ("application/x-www-form-urlencoded", form(&pairs))
            }
            1 => {
                let value = self.text();
                ("multipart/form-data; boundary=b0undary", multipart(self.pick(KEYS).as_bytes(), value.as_bytes()))
            }
            _ => ("application/json", self.object(3).to_string().into_bytes()),
        };
        set_field(&mut exchange.headers, "Content-Type", media_type.into());
        exchange.body = body;
    }

    fn object(&mut self, depth: u8) -> Value {
        let members = self.rng.usize(1..7);
        (0..members).map(|_| (self.pick(KEYS).to_owned(), self.value(depth))).collect::<serde_json::Map<_, _>>().into()
    }

    fn value(&mut self, depth: u8) -> Value {
        match self.rng.u8(0..10) {
            0 => json!(self.rng.u32(0..100_000)),
            1 => json!(f64::from(self.rng.u16(..)) / 100.0),
            2 => json!(self.rng.bool()),
            3 => Value::Null,
            4 if depth > 0 => self.object(depth - 1),
            5 if depth > 0 => (0..self.rng.usize(0..5)).map(|_| self.value(depth - 1)).collect(),
            _ => json!(self.text()),
        }
    }

    fn headers(&mut self) -> Vec<Field> {
        let mut headers = vec![
            ("Host".into(), "api.example.com".into()),
            ("User-Agent".into(), self.pick(AGENTS).into()),
            ("Accept".into(), if self.rng.bool() { "application/json".into() } else { "*/*".into() }),
        ];
        let mut maybe = |name: &str, value: String| {
            if self.rng.bool() {
                headers.push((name.into(), value.into_bytes()));
            }
        };
        maybe("Accept-Encoding", "gzip, deflate, br".into());
        maybe("Accept-Language", "en-US,en;q=0.9,de;q=0.8".into());
        let token = format!("Bearer {}.{}.{}", self.token(36), self.token(70), self.token(43));
        let id = self.id();
        let cookie = format!("sid={}; theme=dark; _ga=GA1.2.{}.{}", self.token(32), self.rng.u32(..), self.rng.u32(..));
        for (name, value) in [("Authorization", token), ("X-Request-Id", id), ("Cookie", cookie)] {
            if self.rng.bool() {
                headers.push((name.into(), value.into_bytes()));
            }
        }
        headers
    }

    fn text(&mut self) -> String {
        match self.rng.u8(0..10) {
            0 | 1 => self.rng.u32(0..10_000).to_string(),
            2 => self.id(),
            3 => self.pick(NAMES).to_owned(),
            4 => self.pick(TEXTS).to_owned(),
            5 => format!("{}@example.com", self.pick(WORDS)),
            6 => format!("2026-{:02}-{:02}T{:02}:00:00Z", self.rng.u8(1..13), self.rng.u8(1..29), self.rng.u8(0..24)),
            7 => self.token(24),
            _ => {
                let words = self.rng.usize(1..9);
                (0..words).map(|_| self.pick(WORDS)).collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn id(&mut self) -> String {
        let number = self.rng.u128(..);
        match self.rng.u8(0..3) {
            0 => (number % 100_000).to_string(),
            1 => format!("{:x}", number >> 64),
            _ => {
                let hex = format!("{number:032x}");
                format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
            }
        }
    }

    /// Letters and digits as in tokens.
    fn token(&mut self, length: usize) -> String {
        (0..length).map(|_| self.rng.alphanumeric()).collect()
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.rng.usize(0..list.len())]
    }
}

/// What a test wants to have found: values of its query, body and uncommon fields, decoded.
fn payloads(exchange: &Exchange) -> Vec<Vec<u8>> {
    let query = exchange.target.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    let mut found: Vec<Vec<u8>> = values(query).collect();
    match serde_json::from_slice::<Value>(&exchange.body) {
        Ok(value) => leaves(&value, &mut found),
        Err(_) if field(&exchange.headers, "Content-Type").is_some_and(|kind| kind.ends_with(b"urlencoded")) => {
            found.extend(values(&exchange.body));
        }
        Err(_) => found.push(exchange.body.clone()),
    }
    let common = ["Host", "User-Agent", "Accept", "Content-Type", "Content-Length", "Connection"];
    let is_common = |name: &[u8]| common.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    found.extend(exchange.headers.iter().filter(|(name, _)| !is_common(name)).map(|(_, value)| value.clone()));
    found
}

fn values(form: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    form.split(|byte| *byte == b'&')
        .map(|pair| decoded(pair.splitn(2, |byte| *byte == b'=').last().unwrap_or_default()))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    out
}

fn leaves(value: &Value, found: &mut Vec<Vec<u8>>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => found.push(text.clone().into_bytes()),
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
        }
    }
}

/// A further pair for a target's query.
fn pair(target: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let separator = if target.contains(&b'?') { b"&" } else { b"?" };
    [separator.as_slice(), &query_escape(name), b"=", &query_escape(value)].concat()
}

fn form(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    pairs
        .iter()
        .map(|(name, value)| [&query_escape(name), b"=".as_slice(), &query_escape(value)].concat())
        .collect::<Vec<_>>()
        .join(&b'&')
}

fn multipart(name: &[u8], value: &[u8]) -> Vec<u8> {
    let head = |disposition: &str| format!("--b0undary\r\nContent-Disposition: form-data; name=\"{disposition}\"");
    let name: String = name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(*byte)).collect();
    [
        format!("{}\r\n\r\n", head(&name)).as_bytes(),
        value,
        format!("\r\n{}; filename=\"report.txt\"\r\nContent-Type: text/plain\r\n\r\nsome text", head("file"))
            .as_bytes(),
        b"\r\n--b0undary--\r\n",
    ]
    .concat()
}

/// What may stand in a request line: the rest is percent-encoded.
fn in_target(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'#' {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    out
}

/// What may stand in a field: no line ends, no NUL.
fn in_field(bytes: &[u8]) -> Vec<u8> {
    let clean: Vec<u8> =
        bytes.iter().map(|byte| if matches!(byte, 0 | b'\r' | b'\n') { b' ' } else { *byte }).collect();
    clean.trim_ascii().to_vec()
}

fn set_field(headers: &mut Vec<Field>, name: &str, value: Vec<u8>) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name.as_bytes()));
    headers.push((name.into(), value));
}

/// A body has its length; without a body there is none.
fn set_length(exchange: &mut Exchange) {
    let length = exchange.body.len();
    let is_chunked = field(&exchange.headers, "Transfer-Encoding").is_some();
    if length > 0 && !is_chunked {
        set_field(&mut exchange.headers, "Content-Length", length.to_string().into_bytes());
    }
}
