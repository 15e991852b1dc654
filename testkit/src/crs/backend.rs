//! The server behind the engine, as albedo: `POST /reflect` answers as its JSON body says, all else is 200 and empty.

use base64::Engine;
use serde_json::Value;

use super::{Exchange, Field, Reply, field};

/// What the backend answers to this request.
pub fn answer(exchange: &Exchange) -> Reply {
    let path = exchange.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let is_reflected = exchange.method == b"POST" && (path == b"/reflect" || path.starts_with(b"/reflect/"));
    if !is_reflected {
        return Reply::default();
    }
    let mut reply = serde_json::from_slice(&exchange.body).ok().and_then(|wanted| reflect(&wanted)).unwrap_or(Reply {
        status: 400,
        headers: Vec::new(),
        body: b"Invalid JSON in request body".to_vec(),
    });
    if !reply.body.is_empty() && field(&reply.headers, "Content-Type").is_none() {
        reply.headers.push((b"Content-Type".to_vec(), sniffed(&reply.body).into()));
    }
    reply.headers.push((b"Content-Length".to_vec(), reply.body.len().to_string().into()));
    reply
}

fn reflect(wanted: &Value) -> Option<Reply> {
    let status = wanted.get("status").and_then(Value::as_u64).filter(|status| *status != 0).unwrap_or(200);
    let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status))?;
    let mut headers: Vec<Field> = Vec::new();
    for (name, value) in wanted.get("headers").and_then(Value::as_object).into_iter().flatten() {
        headers.push((name.clone().into_bytes(), value.as_str()?.trim().into()));
    }
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let body = match (text("body"), text("encodedBody")) {
        (Some(body), _) => body.into(),
        (None, Some(encoded)) => base64::engine::general_purpose::STANDARD.decode(encoded).ok()?,
        (None, None) => Vec::new(),
    };
    Some(Reply { status, headers, body })
}

/// The type that Go's server gives a body without one, as far as these tests need it.
fn sniffed(body: &[u8]) -> &'static str {
    let start = body.trim_ascii_start().to_ascii_lowercase();
    let html = ["<!doctype html", "<html", "<head", "<script", "<iframe", "<h1", "<div", "<body", "<br", "<p", "<!--"];
    if html.iter().any(|tag| start.starts_with(tag.as_bytes())) {
        "text/html; charset=utf-8"
    } else if start.starts_with(b"<?xml") {
        "text/xml; charset=utf-8"
    } else if body.iter().any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_answers_as_it_is_told() {
        let body = br#"{"status": 500, "headers": {"X-A": "b"}, "body": "<html>"}"#.to_vec();
        let mut exchange = Exchange { method: "POST".into(), target: "/reflect".into(), body, ..Exchange::default() };
        let reply = answer(&exchange);
        assert_eq!((reply.status, reply.body.as_slice()), (500, b"<html>".as_slice()));
        assert_eq!(field(&reply.headers, "content-type"), Some(b"text/html; charset=utf-8".as_slice()));
        exchange.target = "/".into();
        assert_eq!(answer(&exchange), Reply::default());
    }
}
