//! The form of a request head: what is refused before the engine looks at it, whether the head came over a connection
//! or stands on paper, as with `bartizan explain`.

use bartizan_config::Limits;
use bartizan_model::Request;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::protocols::http::authority::{RawTargetAuthority, raw_target_authority};

use crate::refusal::{self, Refusal};

/// A request head that the HTTP library could parse.
pub(crate) struct Form<'a> {
    pub(crate) method: &'a Method,
    /// As sent
    pub(crate) target: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    /// Size of the head as sent
    pub(crate) bytes: usize,
}

impl Form<'_> {
    /// Why this head is refused, if it is.
    pub(crate) fn fault(&self, limits: &Limits) -> Option<Refusal> {
        if *self.method == Method::CONNECT {
            Some(Refusal::Connect)
        } else if !is_target(self.method, self.target) {
            Some(Refusal::RequestLine)
        } else if !is_framing(self.headers) {
            Some(Refusal::Framing)
        } else if self.headers.len() > limits.header_count_max as usize {
            Some(Refusal::TooManyFields)
        } else {
            (self.bytes as u64 > limits.header_bytes_max).then_some(Refusal::HeaderTooLarge)
        }
    }
}

/// How the gateway answers a request for its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormFault {
    /// The check that says so
    pub check: &'static str,
    /// The word in the event's finding, such as `bad_framing`
    pub reason: &'static str,
    /// Status of the answer
    pub status: u16,
}

/// Whether the gateway would refuse `request`, sent as HTTP/1.1, before any policy is asked.
pub fn form_fault(request: &Request, limits: &Limits) -> Option<FormFault> {
    let refusal = refusal_of(request, limits)?;
    Some(FormFault { check: refusal::CHECK, reason: refusal.reason(), status: refusal.status() })
}

fn refusal_of(request: &Request, limits: &Limits) -> Option<Refusal> {
    let is_in_line = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#' || !byte.is_ascii();
    let Ok(method) = Method::from_bytes(&request.method) else { return Some(Refusal::RequestLine) };
    if !request.target.iter().all(is_in_line) {
        return Some(Refusal::RequestLine);
    }
    let mut headers = HeaderMap::new();
    if !request.authority.is_empty() {
        let Ok(host) = HeaderValue::from_bytes(&request.authority) else { return Some(Refusal::Authority) };
        headers.insert(header::HOST, host);
    }
    for (name, value) in &request.headers {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            return Some(Refusal::HeaderField);
        };
        if name == header::HOST && value.as_bytes() == request.authority {
            continue; // said twice on paper, once on the wire
        }
        if headers.try_append(name, value).is_err() {
            return Some(Refusal::TooManyFields);
        }
    }
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Some(Refusal::Authority);
    }
    let form = Form { method: &method, target: &request.target, headers: &headers, bytes: size(request, &headers) };
    form.fault(limits)
}

/// Bytes of the head as HTTP/1.1 (RFC 9112 §2.1).
fn size(request: &Request, headers: &HeaderMap) -> usize {
    const LINE: usize = "  HTTP/1.1\r\n".len();
    const FIELD: usize = ": \r\n".len();
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum();
    request.method.len() + request.target.len() + LINE + fields + "\r\n".len()
}

/// Whether a target is in a form that a server which is no proxy answers (RFC 9112 §3.2): origin form, absolute form of
/// http, or `*` for `OPTIONS`. Any other would reach the upstream as it is and mean there what no policy looked for.
fn is_target(method: &Method, target: &[u8]) -> bool {
    match raw_target_authority(target) {
        RawTargetAuthority::Absolute { scheme, .. } => {
            scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
        }
        RawTargetAuthority::None => target.starts_with(b"/") || (target == b"*" && *method == Method::OPTIONS),
        RawTargetAuthority::AmbiguousAuthority => false,
    }
}

/// Whether the body's length can be read in one way only. RFC 9112 §6.3 lets a recipient repair repeated lengths and
/// decode more codings than `chunked`; the upstream might repair differently.
fn is_framing(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let is_length = lengths.next().is_none_or(|length| match length {
        [b'0', _, ..] | [] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    });
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter().map(HeaderValue::as_bytes);
    let is_coding = codings.next().is_none_or(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    is_length && is_coding && lengths.next().is_none() && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use bartizan_model::{HttpVersion, Scheme};

    use super::*;

    const LIMITS: Limits =
        Limits { header_bytes_max: 200, header_count_max: 3, header_timeout_ms: 1, client_read_timeout_ms: 1 };

    fn reason(method: &str, target: &str, fields: &[(&str, &str)]) -> Option<(&'static str, u16)> {
        let headers = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let request = Request {
            method: method.into(),
            scheme: Scheme::Http,
            authority: "a.example".into(),
            target: target.into(),
            version: HttpVersion::Http11,
            headers: headers.collect(),
            body: None,
            body_bytes: None,
        };
        form_fault(&request, &LIMITS).map(|fault| (fault.reason, fault.status))
    }

    #[test]
    fn a_request_on_paper_is_refused_for_what_the_gateway_refuses() {
        assert_eq!(reason("GET", "/a?b=%20", &[("host", "a.example"), ("Accept", "*/*")]), None);
        assert_eq!(reason("OPTIONS", "*", &[]), None);
        let long = "x".repeat(200);
        for (method, target, fields, expected) in [
            ("CONNECT", "/", &[][..], ("connect_method", 501)),
            ("G T", "/", &[], ("bad_request_line", 400)),
            ("GET", "/a b", &[], ("bad_request_line", 400)),
            ("GET", "/a#b", &[], ("bad_request_line", 400)),
            ("GET", "*", &[], ("bad_request_line", 400)),
            ("GET", "/", &[("ho st", "a")], ("bad_header_field", 400)),
            ("GET", "/", &[("a", "b\nc")], ("bad_header_field", 400)),
            ("GET", "/", &[("Host", "b.example")], ("bad_authority", 400)),
            ("POST", "/", &[("content-length", "+1")], ("bad_framing", 400)),
            ("POST", "/", &[("content-length", "1"), ("content-length", "1")], ("bad_framing", 400)),
            ("POST", "/", &[("transfer-encoding", "gzip, chunked")], ("bad_framing", 400)),
            ("GET", "/", &[("a", "1"), ("b", "2"), ("c", "3")], ("too_many_header_fields", 431)),
            ("GET", "/", &[("a", &long)], ("header_too_large", 431)),
        ] {
            assert_eq!(reason(method, target, fields), Some(expected), "{method} {target} {fields:?}");
        }
    }
}
