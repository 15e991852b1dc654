//! HAR 1.2, as browsers and proxies really export it.
//!
//! [`Entries`] finds the members of `log.entries` one by one in the stream (see [`split`]); each is then read leniently:
//! what is absent, `-1` or of the wrong type is unknown, and only an entry without a method and a URL is refused.
//!
//! - `blob:`, `data:`, `chrome-extension:` and the like, and answers from the browser's cache, never were on the wire:
//!   reported as not traffic.
//! - Bodies are recorded decoded (HAR 1.2, `content.text`), so a `Content-Encoding` or `Transfer-Encoding` beside a
//!   recorded body would lie about it and is left out.
//! - HTTP/2's pseudo header fields are not fields. `serverIPAddress` is the server, so the client stays unknown.
//! - WebSocket entries give the upgrade; the messages (`_webSocketMessages`) are passed over.
//! - A fragment is not sent (RFC 9110 §4.2.5), and neither is a user name in a URL: both are cut off.
//!
//! Source: the HAR 1.2 specification (groups.google.com/g/http-archive-specification) and exports of Chromium, Firefox,
//! Safari, mitmproxy, Charles, Fiddler, Insomnia and Postman.

mod split;

use std::io::BufRead;

use bartizan_model::{Exchange, HttpVersion, Request, Response};
use serde_json::Value;

use super::bad_line::{BadLine, Fault, Reason};
use super::exchanges::{Fields, HEADERS_MAX};
use super::reader::{Item, too_long, unreadable};
use super::url::Parts;
use super::{base64_text, clock};
use split::{Part, Splitter};

/// The entries of a HAR file, numbered from 1.
pub(crate) struct Entries {
    splitter: Splitter,
    number: u64,
    is_over: bool,
}

impl Entries {
    pub(crate) fn new(input: Box<dyn BufRead + Send>, limit: usize) -> Self {
        Self { splitter: Splitter::new(input, limit), number: 0, is_over: false }
    }

    pub(crate) fn next(&mut self) -> Option<Item> {
        if self.is_over {
            return None;
        }
        self.number += 1;
        let exchange = match self.splitter.next_entry() {
            Ok(Part::Entry(entry)) => read(entry).map_err(|fault| fault.at(entry.trim_ascii())),
            Ok(Part::TooLong(entry)) => Err(too_long(entry)),
            Ok(Part::End) => {
                self.is_over = true;
                return None;
            }
            Ok(Part::CutShort(entry)) => {
                self.is_over = true;
                Err(BadLine::new(Reason::Truncated, "the file ends in the middle of `log.entries`", entry))
            }
            Ok(Part::NoEntries) => {
                self.is_over = true;
                Err(BadLine::new(Reason::Syntax, "no `log.entries`: not a HAR file, or cut off before them", b""))
            }
            Err(error) => Err(unreadable(&error)),
        };
        Some(Item { line: self.number, exchange })
    }
}

/// Reads one entry.
fn read(entry: &[u8]) -> Result<Exchange, Fault> {
    let entry = &serde_json::from_slice::<Value>(entry).map_err(|error| Fault::json(&error))?;
    let cache = member(entry, "_fromCache");
    if cache.is_string() || cache == &Value::Bool(true) {
        return Err(Fault::new(Reason::NotTraffic, "answered from the browser's cache"));
    }
    let time = member(entry, "startedDateTime").as_str().and_then(|text| clock::time(text.as_bytes(), 0));
    let milliseconds = member(entry, "time").as_f64().filter(|milliseconds| *milliseconds >= 0.0);
    Ok(Exchange {
        time,
        client: None,
        request: read_request(member(entry, "request"))?,
        response: read_response(member(entry, "response"))?,
        duration_us: milliseconds.map(|milliseconds| (milliseconds * 1000.0) as u64), // saturates
        label: None,
    })
}

fn read_request(request: &Value) -> Result<Request, Fault> {
    let text = |name: &str| member(request, name).as_str().filter(|text| !text.is_empty());
    let url = text("url").ok_or_else(|| Fault::content("no `request.url`"))?;
    let parts = Parts::of(url.as_bytes()).ok_or_else(|| not_http(url))?;
    let method = text("method").ok_or_else(|| Fault::content("no `request.method`"))?;
    let mut headers = read_headers(member(request, "headers"))?;
    if !has_header(&headers, b"cookie")
        && let Some(cookies) = read_cookies(member(request, "cookies"))
    {
        headers.push((b"cookie".to_vec(), cookies));
    }
    let body_bytes = member(request, "bodySize").as_u64();
    let body = read_post_data(member(request, "postData")).or_else(|| {
        let declares = has_header(&headers, b"content-length") || has_header(&headers, b"transfer-encoding");
        let is_bare = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE") && !declares;
        (body_bytes == Some(0) || (body_bytes.is_none() && is_bare)).then(Vec::new)
    });
    let mut target = parts.target();
    if let Some(fragment) = memchr::memchr(b'#', &target) {
        target.truncate(fragment);
    }
    let host = parts.authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
    Ok(Request {
        method: method.as_bytes().to_vec(),
        scheme: parts.scheme,
        authority: host.to_vec(),
        target,
        version: read_version(member(request, "httpVersion")),
        headers,
        body,
        body_bytes,
    })
}

/// A member of an object; null when it is not there, or when `value` is no object.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn not_http(url: &str) -> Fault {
    let is_other_scheme = url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    });
    if is_other_scheme {
        Fault::new(Reason::NotTraffic, "a URL that is not http or https")
    } else {
        Fault::content("`request.url` is not absolute")
    }
}

/// `None` when the browser got no answer: status 0, or none.
fn read_response(response: &Value) -> Result<Option<Response>, Fault> {
    let Some(status @ 100..=999) = member(response, "status").as_u64() else { return Ok(None) };
    let content = member(response, "content");
    let body_bytes = member(content, "size").as_u64().or_else(|| member(response, "bodySize").as_u64());
    let body = read_text(content).or_else(|| (body_bytes == Some(0)).then(Vec::new));
    let mut headers = read_headers(member(response, "headers"))?;
    if body.as_ref().is_some_and(|body| !body.is_empty()) {
        headers.retain(|(name, _)| {
            !name.eq_ignore_ascii_case(b"content-encoding") && !name.eq_ignore_ascii_case(b"transfer-encoding")
        });
    }
    Ok(Some(Response { status: u16::try_from(status).unwrap_or_default(), headers, body, body_bytes }))
}

/// Members without a name or value, and pseudo header fields (`:path`), are passed over.
fn read_headers(headers: &Value) -> Result<Fields, Fault> {
    let list = headers.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.len() > HEADERS_MAX {
        return Err(Fault::content(format!("more than {HEADERS_MAX} header fields")));
    }
    let field = |field: &Value| {
        let name = member(field, "name").as_str().filter(|name| !name.is_empty() && !name.starts_with(':'))?;
        Some((name.as_bytes().to_vec(), member(field, "value").as_str()?.as_bytes().to_vec()))
    };
    Ok(list.iter().filter_map(field).collect())
}

fn has_header(headers: &[(Vec<u8>, Vec<u8>)], wanted: &[u8]) -> bool {
    headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
}

/// Some exporters list the cookies, and leave the header field out.
fn read_cookies(cookies: &Value) -> Option<Vec<u8>> {
    let list = cookies.as_array()?;
    let pair =
        |cookie: &Value| Some(format!("{}={}", member(cookie, "name").as_str()?, member(cookie, "value").as_str()?));
    let pairs: Vec<String> = list.iter().take(HEADERS_MAX).filter_map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join("; ").into_bytes())
}

/// The text, or, where there are only form parameters, the form they make.
fn read_post_data(data: &Value) -> Option<Vec<u8>> {
    if let Some(body) = read_text(data) {
        return Some(body);
    }
    let params = member(data, "params").as_array().filter(|params| !params.is_empty())?;
    let media_type = member(data, "mimeType").as_str().unwrap_or_default();
    if !media_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return None; // multipart: the boundary and the files are lost
    }
    let pair = |param: &Value| {
        let name = form_encoded(member(param, "name").as_str().unwrap_or_default());
        let value = form_encoded(member(param, "value").as_str().unwrap_or_default());
        format!("{name}={value}")
    };
    Some(params.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes())
}

/// `text`, decoded when `encoding` says base64; `None` when it is absent or does not decode.
fn read_text(content: &Value) -> Option<Vec<u8>> {
    let text = member(content, "text").as_str()?;
    match member(content, "encoding").as_str() {
        Some(encoding) if encoding.eq_ignore_ascii_case("base64") => base64_text::decode(text),
        Some(_) | None => Some(text.as_bytes().to_vec()),
    }
}

/// The URL standard's application/x-www-form-urlencoded serializing.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// `HTTP/1.1`, `http/2.0`, `h2`, `h3-29`; anything else (`unknown`, empty) counts as HTTP/1.1.
fn read_version(version: &Value) -> HttpVersion {
    let text = version.as_str().unwrap_or_default();
    let name = if text.starts_with("h3-") { "h3" } else { text };
    name.parse().unwrap_or(HttpVersion::Http11)
}
