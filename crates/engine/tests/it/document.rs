//! Reads case documents: Markdown whose fenced blocks are configurations, requests, responses and expectations.
//!
//! A `config` or `endpoints` block before the first `##` holds for the whole document; within a case it holds for that
//! case. A `body` block is the request's body with escapes. `before` blocks are requests that came before. A configuration without listeners and upstreams gets a listener and the upstream `origin`.

use std::net::IpAddr;

use bartizan_config::Config;
use bartizan_model::{Endpoint, Exchange, HttpVersion, Request, Response, Scheme, Timestamp};

/// One case.
pub struct Case {
    /// `file.md: title`
    pub name: String,
    pub config: String,
    pub endpoints: String,
    /// Requests that came before
    pub before: Vec<Before>,
    pub request: String,
    /// Body of the request, when its text cannot hold it
    pub body: Option<Vec<u8>>,
    pub response: Option<String>,
    /// Key and value of each expectation, in order
    pub expect: Vec<(String, String)>,
}

/// A request that came before: `at 3s times 5 answered 401`, then the request.
#[derive(Clone)]
pub struct Before {
    pub request: String,
    pub times: usize,
    pub response: String,
    /// It is still in flight
    pub is_open: bool,
}

#[derive(Clone, Default)]
struct Blocks {
    before: Vec<Before>,
    config: String,
    endpoints: String,
    request: Option<String>,
    body: Option<String>,
    response: Option<String>,
    expect: Option<String>,
}

/// The cases of one document.
pub fn cases(file: &str, text: &str) -> Vec<Case> {
    let mut shared = Blocks::default();
    let mut current: Option<(String, Blocks)> = None;
    let mut cases = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            cases.extend(current.take().map(|(title, blocks)| case(file, &title, blocks)));
            current = Some((title.to_owned(), shared.clone()));
        } else if let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let blocks = current.as_mut().map_or(&mut shared, |(_, blocks)| blocks);
            let body = body.join("\n");
            match kind {
                "config" => blocks.config = body,
                "endpoints" => blocks.endpoints = body,
                "before" => blocks.before.push(before(&body)),
                "request" => blocks.request = Some(body),
                "body" => blocks.body = Some(body),
                "response" => blocks.response = Some(body),
                "expect" => blocks.expect = Some(body),
                other => panic!("{file}: unknown block `{other}`"),
            }
        }
    }
    cases.extend(current.map(|(title, blocks)| case(file, &title, blocks)));
    cases
}

fn case(file: &str, title: &str, blocks: Blocks) -> Case {
    let name = format!("{file}: {title}");
    let expect = blocks.expect.unwrap_or_else(|| panic!("{name}: no expect block"));
    let pair = |line: &str| {
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{name}: expectation `{line}`"));
        (key.trim().to_owned(), value.trim().to_owned())
    };
    Case {
        config: blocks.config,
        endpoints: blocks.endpoints,
        before: blocks.before,
        request: blocks.request.unwrap_or_else(|| panic!("{name}: no request block")),
        body: blocks.body.as_deref().map(unescaped),
        response: blocks.response,
        expect: expect.lines().map(pair).collect(),
        name,
    }
}

/// The first line says when, how often, and how it was answered.
fn before(text: &str) -> Before {
    let (line, request) = text.split_once('\n').unwrap_or((text, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let after = |word: &str| words.iter().position(|known| *known == word).and_then(|at| words.get(at + 1)).copied();
    let time = after("at").unwrap_or("0s");
    Before {
        request: format!("at {time}\n{request}"),
        times: after("times").map_or(1, |times| times.parse().unwrap()),
        response: format!("HTTP/1.1 {} X\n\n", after("answered").unwrap_or("200")),
        is_open: words.contains(&"open"),
    }
}

/// The bytes of a `body` block: lines joined, `\\r`, `\\n`, `\\\\` and `\\xHH` for bytes that text cannot hold.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.bytes().filter(|byte| *byte != b'\n');
    while let Some(letter) = letters.next() {
        bytes.push(match letter {
            b'\\' => match letters.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'x') => {
                    let digits: String = letters.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("`\\x{digits}` in a body"))
                }
                other => other.unwrap_or(b'\\'),
            },
            letter => letter,
        });
    }
    bytes
}

/// A configuration from the text of a `config` block.
pub fn config(text: &str) -> Config {
    let mut whole = String::new();
    if !text.contains("listeners:") {
        whole.push_str("listeners: [{ address: \"127.0.0.1:8080\" }]\n");
    }
    if !text.contains("upstreams:") {
        whole.push_str("upstreams: [{ name: origin, targets: [{ address: \"127.0.0.1:9000\" }] }]\n");
    }
    whole.push_str(text);
    let parsed = bartizan_config::parse(&whole, "case.yaml", std::path::Path::new(""));
    parsed.config.unwrap_or_else(|| panic!("{whole}\n{:#?}", parsed.diagnostics))
}

/// Endpoints from lines such as `GET a.example /users/{id}`.
pub fn endpoints(text: &str) -> Vec<Endpoint> {
    let endpoint = |line: &str| {
        let [method, host, template] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
        Endpoint { method: method.into(), host: host.into(), template: template.parse().unwrap() }
    };
    text.lines().map(endpoint).collect()
}

/// An exchange from a `request` and a `response` block. The first line may say `at 3s` or `at 3ms`, the next
/// `from ADDRESS` or `from nowhere`.
pub fn exchange(request: &str, response: Option<&str>) -> Exchange {
    let (offset, request) = match request.strip_prefix("at ").and_then(|rest| rest.split_once('\n')) {
        Some((offset, rest)) => (millis(offset), rest),
        None => (0, request),
    };
    let (client, request) = match request.strip_prefix("from ").and_then(|rest| rest.split_once('\n')) {
        Some(("nowhere", rest)) => (None, rest),
        Some((address, rest)) => (Some(address.parse::<IpAddr>().unwrap()), rest),
        None => (Some("192.0.2.1".parse().unwrap()), request),
    };
    Exchange {
        time: Some(Timestamp::from_millis(1_767_225_600_000 + offset)),
        client,
        request: read_request(request),
        response: response.map(read_response),
        duration_us: Some(1_500),
        label: None,
    }
}

fn millis(text: &str) -> i64 {
    let (number, factor) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => panic!("time `{text}`"),
    };
    number.parse::<i64>().unwrap() * factor
}

fn read_request(text: &str) -> Request {
    let (line, headers, body) = message(text);
    let (method, rest) = line.split_once(' ').unwrap_or_else(|| panic!("request line `{line}`"));
    let (url, version) = rest.rsplit_once(' ').unwrap_or_else(|| panic!("request line `{line}`"));
    let is_host = |name: &[u8]| name.eq_ignore_ascii_case(b"host");
    let host = headers.iter().find(|(name, _)| is_host(name)).map(|(_, value)| value.clone()).unwrap_or_default();
    let (authority, target) = match url.strip_prefix("http://") {
        Some(rest) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (authority.as_bytes().to_vec(), format!("/{path}"))
        }
        None => (host, url.to_owned()),
    };
    Request {
        method: method.into(),
        scheme: Scheme::Http,
        authority,
        target: target.into_bytes(),
        version: version.parse::<HttpVersion>().unwrap(),
        headers,
        body: Some(body),
        body_bytes: None,
    }
}

fn read_response(text: &str) -> Response {
    let (line, headers, body) = message(text);
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, headers, body: Some(body), body_bytes: None }
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// First line, fields and body of a message.
fn message(text: &str) -> (&str, Headers, Vec<u8>) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("field `{line}`"));
        (name.as_bytes().to_vec(), value.trim().as_bytes().to_vec())
    };
    (line, lines.map(field).collect(), body.as_bytes().to_vec())
}
