//! Our interchange format: one exchange a line, as JSON. Read by `bartizan replay`, written by `bartizan record`.
//!
//! Reading and writing are inverse: `read(write(x)) = x`, byte for byte (property test). JSON text carries UTF-8 only, so
//! a name, value, method, authority or target that is not is written `{"base64":"…"}`, a body as `body_base64`. The URL
//! is for people and other tools; where cutting it would not give back the authority and the target as they were sent
//! (`OPTIONS *`, a host with a slash in it, bytes beyond UTF-8), the members `authority` and `target` say them exactly,
//! and win. Unknown members are ignored: it is an interchange format, and others may note more than we know.

use std::net::IpAddr;

use bartizan_model::{Exchange, HttpVersion, Request, Response, Timestamp};
use serde::{Deserialize, Serialize};

use super::bad_line::Fault;
use super::base64_text::{self, Bytes, BytesRef};
use super::url::Parts;

/// LIMIT: header fields of one message; real ones stay under 100, servers refuse far fewer.
pub(crate) const HEADERS_MAX: usize = 1024;

/// Header fields, name and value, in order.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Deserialize)]
struct Line {
    time: Option<String>,
    client: Option<ClientIn>,
    request: RequestIn,
    response: Option<ResponseIn>,
    duration_us: Option<u64>,
    label: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ClientIn {
    ip: Option<IpAddr>,
}

#[derive(Deserialize)]
struct RequestIn {
    method: Bytes,
    url: String,
    authority: Option<Bytes>,
    target: Option<Bytes>,
    http_version: Option<String>,
    #[serde(default)]
    headers: Vec<(Bytes, Bytes)>,
    body: Option<String>,
    body_base64: Option<String>,
    body_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct ResponseIn {
    status: u16,
    #[serde(default)]
    headers: Vec<(Bytes, Bytes)>,
    body: Option<String>,
    body_base64: Option<String>,
    body_bytes: Option<u64>,
}

/// Reads one line.
pub(crate) fn read(line: &[u8]) -> Result<Exchange, Fault> {
    let line: Line = serde_json::from_slice(line).map_err(|error| Fault::json(&error))?;
    let time = match line.time {
        Some(text) => Some(text.parse().map_err(|_| Fault::content("`time` is not an RFC 3339 time"))?),
        None => None,
    };
    Ok(Exchange {
        time,
        client: line.client.and_then(|client| client.ip),
        request: read_request(line.request)?,
        response: line.response.map(read_response).transpose()?,
        duration_us: line.duration_us,
        label: line.label,
    })
}

fn read_request(request: RequestIn) -> Result<Request, Fault> {
    let parts = Parts::of(request.url.as_bytes())
        .ok_or_else(|| Fault::content("`url` is not absolute; write `https://host/path`"))?;
    let version = match &request.http_version {
        Some(text) => {
            text.parse().map_err(|()| Fault::content("`http_version` is none of HTTP/1.0, HTTP/1.1, HTTP/2, HTTP/3"))?
        }
        None => HttpVersion::Http11,
    };
    if request.method.0.is_empty() {
        return Err(Fault::content("`method` is empty"));
    }
    Ok(Request {
        method: request.method.0,
        scheme: parts.scheme,
        authority: request.authority.map_or_else(|| parts.authority.to_vec(), |authority| authority.0),
        target: request.target.map_or_else(|| parts.target(), |target| target.0),
        version,
        headers: read_headers(request.headers)?,
        body: read_body(request.body, request.body_base64)?,
        body_bytes: request.body_bytes,
    })
}

fn read_response(response: ResponseIn) -> Result<Response, Fault> {
    if !(100..=999).contains(&response.status) {
        return Err(Fault::content("`status` is not between 100 and 999"));
    }
    Ok(Response {
        status: response.status,
        headers: read_headers(response.headers)?,
        body: read_body(response.body, response.body_base64)?,
        body_bytes: response.body_bytes,
    })
}

fn read_headers(headers: Vec<(Bytes, Bytes)>) -> Result<Fields, Fault> {
    if headers.len() > HEADERS_MAX {
        return Err(Fault::content(format!("more than {HEADERS_MAX} header fields")));
    }
    Ok(headers.into_iter().map(|(name, value)| (name.0, value.0)).collect())
}

fn read_body(text: Option<String>, base64: Option<String>) -> Result<Option<Vec<u8>>, Fault> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(Fault::content("both `body` and `body_base64`; write one of them")),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(base64)) => {
            let body = base64_text::decode(base64).ok_or_else(|| Fault::content("`body_base64` is not base64"))?;
            Ok(Some(body))
        }
        (None, None) => Ok(None),
    }
}

#[derive(Serialize)]
struct LineOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientOut>,
    request: RequestOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<ResponseOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct ClientOut {
    ip: IpAddr,
}

#[derive(Serialize)]
struct RequestOut<'a> {
    method: BytesRef<'a>,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<BytesRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<BytesRef<'a>>,
    http_version: HttpVersion,
    headers: Vec<(BytesRef<'a>, BytesRef<'a>)>,
    #[serde(flatten)]
    body: BodyOut<'a>,
}

#[derive(Serialize)]
struct ResponseOut<'a> {
    status: u16,
    headers: Vec<(BytesRef<'a>, BytesRef<'a>)>,
    #[serde(flatten)]
    body: BodyOut<'a>,
}

#[derive(Serialize)]
struct BodyOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<u64>,
}

impl<'a> BodyOut<'a> {
    fn of(body: Option<&'a [u8]>, body_bytes: Option<u64>) -> Self {
        match body.map(|body| (body, std::str::from_utf8(body))) {
            None => Self { body: None, body_base64: None, body_bytes },
            Some((_, Ok(text))) => Self { body: Some(text), body_base64: None, body_bytes },
            Some((raw, Err(_))) => Self { body: None, body_base64: Some(base64_text::encode(raw)), body_bytes },
        }
    }
}

/// Appends `exchange` to `out` as one line, with its end.
///
/// # Errors
/// When a part cannot be written as JSON, which no exchange that was read or recorded can cause.
pub(crate) fn write(exchange: &Exchange, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let request = &exchange.request;
    let (url, is_exact) = url_of(request);
    let line = LineOut {
        time: exchange.time,
        client: exchange.client.map(|ip| ClientOut { ip }),
        request: RequestOut {
            method: BytesRef(&request.method),
            url,
            authority: (!is_exact).then_some(BytesRef(&request.authority)),
            target: (!is_exact).then_some(BytesRef(&request.target)),
            http_version: request.version,
            headers: borrowed(&request.headers),
            body: BodyOut::of(request.body.as_deref(), request.body_bytes),
        },
        response: exchange.response.as_ref().map(|response| ResponseOut {
            status: response.status,
            headers: borrowed(&response.headers),
            body: BodyOut::of(response.body.as_deref(), response.body_bytes),
        }),
        duration_us: exchange.duration_us,
        label: exchange.label.as_ref(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

fn borrowed(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(BytesRef<'_>, BytesRef<'_>)> {
    headers.iter().map(|(name, value)| (BytesRef(name), BytesRef(value))).collect()
}

/// The request's URL, and whether cutting it gives back the authority and the target exactly.
fn url_of(request: &Request) -> (String, bool) {
    let target: &[u8] = if request.target.first() == Some(&b'/') { &request.target } else { b"/" };
    let raw = [request.scheme.as_str().as_bytes(), b"://", &request.authority, target].concat();
    let url = match String::from_utf8(raw) {
        Ok(url) => url,
        Err(error) => percent_encoded(error.as_bytes()),
    };
    let is_exact = Parts::of(url.as_bytes())
        .is_some_and(|parts| parts.authority == request.authority && parts.target() == request.target);
    (url, is_exact)
}

/// `raw` with every byte beyond ASCII percent-encoded.
fn percent_encoded(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len() + 16);
    for &byte in raw {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
