//! A request as the handlers see it, and their answers.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

/// A request.
pub(super) struct Call {
    pub(super) params: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) payload: Payload,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// What an answer holds.
pub(super) enum Payload {
    None,
    /// Media type and value
    Json(&'static str, Value),
    /// Media type and content
    Bytes(&'static str, Vec<u8>),
    /// Server-sent events
    Events,
}

impl Reply {
    pub(super) fn json(status: u16, value: Value) -> Self {
        Self { status, payload: Payload::Json("application/json", value), headers: Vec::new() }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, payload: Payload::None, headers: Vec::new() }
    }

    pub(super) fn bytes(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, payload: Payload::Bytes(media_type, bytes), headers: Vec::new() }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A problem document (RFC 9457).
pub(super) fn problem(status: u16, detail: &str) -> Reply {
    let value = json!({"type": "about:blank", "status": status, "detail": detail});
    Reply { status, payload: Payload::Json("application/problem+json", value), headers: Vec::new() }
}

impl Call {
    /// A path parameter; the route has it.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A path parameter that must be a number.
    pub(super) fn number(&self, name: &str) -> Result<u64, Reply> {
        self.param(name).parse().map_err(|_| problem(400, &format!("{name} must be a number")))
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as a JSON object.
    pub(super) fn json(&self) -> Result<Value, Reply> {
        let is_json =
            self.header(header::CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json {
            return Err(problem(415, "send application/json"));
        }
        serde_json::from_slice(&self.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| problem(400, "the body is not a JSON object"))
    }

    /// A field of an `application/x-www-form-urlencoded` body.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.replace("%40", "@")).next()
    }

    /// Page and size of a list, and the part of `items` that they mean.
    pub(super) fn page(&self, items: &[Value]) -> Value {
        let number =
            |name: &str, fallback: usize| self.query(name).and_then(|text| text.parse().ok()).unwrap_or(fallback);
        let (page, limit) = (number("page", 1).max(1), number("limit", 20).clamp(1, 100));
        let shown: Vec<&Value> = items.iter().skip((page - 1).saturating_mul(limit)).take(limit).collect();
        json!({"items": shown, "page": page, "limit": limit, "total": items.len()})
    }
}

/// A text of a JSON object that must be there.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, Reply> {
    let found = value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| problem(400, &format!("`{name}` is missing")))
}

/// A positive amount of a JSON object that must be there.
pub(super) fn amount(value: &Value, name: &str) -> Result<u64, Reply> {
    let found = value.get(name).and_then(Value::as_u64).filter(|amount| *amount > 0);
    found.ok_or_else(|| problem(400, &format!("`{name}` must be a positive whole number")))
}
