//! The form of a request head: what is refused before the engine looks at it, whether the head came over a connection
//! or stands on paper, as with `bartizan explain`.

use bartizan_config::Limits;
use bartizan_model::Request;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::authority::{RawTargetAuthority, raw_target_authority};

use crate::forward;
use crate::refusal::Refusal;

/// A request head that the HTTP library could parse.
pub(crate) struct Form<'a> {
    pub(crate) method: &'a Method,
    /// As sent
    pub(crate) target: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    /// Size of the head as sent
    pub(crate) bytes: usize,
    /// Both `Content-Length` and `Transfer-Encoding` were sent; Pingora takes the former out
    pub(crate) has_two_framings: bool,
}

impl Form<'_> {
    /// Why this head is refused, if it is.
    pub(crate) fn fault(&self, limits: &Limits) -> Option<Refusal> {
        let is_special = self.headers.keys().any(is_special);
        if *self.method == Method::CONNECT {
            Some(Refusal::Connect)
        } else if !is_target(self.method, self.target) {
            Some(Refusal::RequestLine)
        } else if self.has_two_framings || is_special && !(is_framing(self.headers) && is_connection(self.headers)) {
            Some(Refusal::Framing)
        } else if is_special && !is_expectation(self.headers) {
            Some(Refusal::Expectation)
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

/// Does with `request`, sent as HTTP/1.1, what the gateway does before any policy is asked: takes the fields out that
/// are for the next hop only, or says why it is refused.
///
/// # Errors
/// It is refused.
pub fn admit(request: &mut Request, limits: &Limits) -> Result<(), FormFault> {
    let fault =
        |refusal: Refusal| FormFault { check: refusal.check(), reason: refusal.reason(), status: refusal.status() };
    let names = dropped_or_refused(request, limits).map_err(fault)?;
    let is_dropped = |name: &[u8]| names.iter().any(|dropped| name.eq_ignore_ascii_case(dropped.as_str().as_bytes()));
    request.headers.retain(|(name, _)| !is_dropped(name));
    Ok(())
}

fn dropped_or_refused(request: &Request, limits: &Limits) -> Result<Vec<HeaderName>, Refusal> {
    let is_in_line = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#' || !byte.is_ascii();
    let Ok(method) = Method::from_bytes(&request.method) else { return Err(Refusal::RequestLine) };
    if !request.target.iter().all(is_in_line) {
        return Err(Refusal::RequestLine);
    }
    let mut headers = HeaderMap::new();
    if !request.authority.is_empty() {
        let Ok(host) = HeaderValue::from_bytes(&request.authority) else { return Err(Refusal::Authority) };
        headers.insert(header::HOST, host);
    }
    for (name, value) in &request.headers {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            return Err(Refusal::HeaderField);
        };
        if name == header::HOST && value.as_bytes() == request.authority {
            continue; // said twice on paper, once on the wire
        }
        if headers.try_append(name, value).is_err() {
            return Err(Refusal::TooManyFields);
        }
    }
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Refusal::Authority);
    }
    let form = Form {
        method: &method,
        target: &request.target,
        headers: &headers,
        bytes: size(request, &headers),
        has_two_framings: false,
    };
    form.fault(limits).map_or_else(|| Ok(dropped(&headers)), Err)
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

/// Whether a field says how the message is framed, handed on or answered.
///
/// PERF: one walk over the names, for the requests that have none of them: a dozen look-ups less.
fn is_special(name: &HeaderName) -> bool {
    matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION | header::EXPECT)
        || matches!(name.as_str(), "content_length" | "transfer_encoding")
}

/// LIMIT: words in `Connection`; Pingora's own, beyond which it fails late.
const NOMINATIONS_MAX: usize = 9;

/// Fields that are for the upstream whatever `Connection` says: it is told by them what the request is and who sent it.
const END_TO_END: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
];

/// The words of `Connection`: fields for the next hop only, which Pingora drops (RFC 9110 §7.6.1).
pub(crate) fn nominated(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let words =
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    words.map(<[u8]>::trim_ascii).filter(|word| !word.is_empty())
}

/// Whether `Connection` leaves the upstream all that decides what the request is: what is inspected is what is sent.
fn is_connection(headers: &HeaderMap) -> bool {
    nominated(headers).count() <= NOMINATIONS_MAX
        && nominated(headers).all(|word| {
            let is_token = word.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
            let Some(name) = HeaderName::from_bytes(word).ok().filter(|_| is_token) else { return false };
            let is_coding = name == header::TRANSFER_ENCODING && headers.contains_key(&name);
            !is_coding && !END_TO_END.contains(&name) && !forward::is_ours(&name)
        })
}

/// Takes the fields out that `Connection` names, before anybody looks: the upstream will not get them either. `Upgrade`
/// stays, for Pingora.
pub(crate) fn drop_nominated(request: &mut RequestHeader) {
    if !request.headers.contains_key(header::CONNECTION) {
        return;
    }
    for name in dropped(&request.headers) {
        request.remove_header(&name);
    }
}

/// What `Connection` names and has no other meaning.
fn dropped(headers: &HeaderMap) -> Vec<HeaderName> {
    let names = nominated(headers).filter_map(|word| HeaderName::from_bytes(word).ok());
    names.filter(|name| *name != header::UPGRADE && *name != header::CONNECTION && headers.contains_key(name)).collect()
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
    let is_one = !headers.contains_key(header::CONTENT_LENGTH) || !headers.contains_key(header::TRANSFER_ENCODING);
    // CGI and its heirs make `-` and `_` the same.
    let is_plain = !headers.contains_key("content_length") && !headers.contains_key("transfer_encoding");
    is_length && is_coding && is_one && is_plain && lengths.next().is_none() && codings.next().is_none()
}

/// Whether the body is framed twice in the bytes of a head that could be parsed (RFC 9112 §6.1: "ought to be handled as
/// an error").
pub(crate) fn has_two_framings(raw: &[u8]) -> bool {
    let is = |line: &[u8], name: &HeaderName| {
        let (found, rest) = line.split_at_checked(name.as_str().len()).unwrap_or_default();
        rest.starts_with(b":") && found.eq_ignore_ascii_case(name.as_str().as_bytes())
    };
    let mut lines = raw.split(|&byte| byte == b'\n').skip(1);
    lines.clone().any(|line| is(line, &header::TRANSFER_ENCODING))
        && lines.any(|line| is(line, &header::CONTENT_LENGTH))
}

/// Whether nothing is expected but a `100 Continue`.
fn is_expectation(headers: &HeaderMap) -> bool {
    let mut expected = headers.get_all(header::EXPECT).iter();
    expected.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && expected.next().is_none()
}

#[cfg(test)]
mod tests {
    use bartizan_model::{HttpVersion, Scheme};

    use super::*;

    const LIMITS: Limits = Limits {
        header_bytes_max: 200,
        header_count_max: 3,
        header_timeout_ms: 1,
        client_read_timeout_ms: 1,
        keepalive_timeout_ms: 1,
        body_timeout_ms: 1,
        connections_max: 1,
        connections_per_client_max: 1,
        requests_per_client_max: 1,
    };

    fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request {
        let headers = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Request {
            method: method.into(),
            scheme: Scheme::Http,
            authority: "a.example".into(),
            target: target.into(),
            version: HttpVersion::Http11,
            headers: headers.collect(),
            body: None,
            body_bytes: None,
        }
    }

    fn reason(method: &str, target: &str, fields: &[(&str, &str)]) -> Option<(&'static str, u16)> {
        let fault = admit(&mut request(method, target, fields), &LIMITS).err();
        fault.map(|fault| (fault.reason, fault.status))
    }

    #[test]
    fn a_field_that_connection_names_is_taken_out_or_refused() {
        let limits = Limits { header_count_max: 10, ..LIMITS };
        let kept = |fields: &[(&str, &str)]| {
            let mut request = request("GET", "/", fields);
            admit(&mut request, &limits).map(|()| request.headers.len()).map_err(|fault| fault.reason)
        };
        assert_eq!(kept(&[("Connection", "close, X-Api-Key"), ("x-api-key", "a"), ("b", "c")]), Ok(2));
        assert_eq!(kept(&[("Connection", "Upgrade"), ("Upgrade", "websocket")]), Ok(2));
        assert_eq!(kept(&[("Connection", "keep-alive"), ("Connection", "Te"), ("TE", "trailers")]), Ok(2));
        assert_eq!(kept(&[("Connection", "Transfer-Encoding")]), Ok(1));
        let many = "a,".repeat(10);
        for named in [
            "Host",
            "content-length",
            "keep-alive, Content-Type",
            "Content-Encoding",
            "Authorization",
            "close,, COOKIE",
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_Host",
            "X-Real-IP",
            "X-Request-Id",
            ":authority",
            "\"Host\"",
            &many,
        ] {
            assert_eq!(kept(&[("Connection", named)]), Err("bad_framing"), "{named}");
        }
        let chunked = [("Connection", "transfer-encoding"), ("transfer-encoding", "chunked")];
        assert_eq!(kept(&chunked), Err("bad_framing"));
    }

    #[test]
    fn two_framings_are_found_in_the_bytes_of_a_head() {
        for (fields, expected) in [
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", true),
            ("transfer-encoding:chunked\r\nA: b\r\nCONTENT-LENGTH:1", true),
            ("Transfer-Encoding: chunked", false),
            ("Content-Length: 1", false),
            ("X-Content-Length: 1\r\nTransfer-Encoding: chunked", false),
            ("A: content-length: 1\r\nTransfer-Encoding: chunked", false),
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            assert_eq!(has_two_framings(head.as_bytes()), expected, "{fields}");
        }
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
            ("POST", "/", &[("content-length", "1"), ("transfer-encoding", "chunked")], ("bad_framing", 400)),
            ("POST", "/", &[("Content_Length", "1")], ("bad_framing", 400)),
            ("POST", "/", &[("transfer_encoding", "chunked")], ("bad_framing", 400)),
            ("POST", "/", &[("expect", "x")], ("bad_expectation", 417)),
            ("POST", "/", &[("expect", "100-continue"), ("expect", "100-continue")], ("bad_expectation", 417)),
            ("GET", "/", &[("a", "1"), ("b", "2"), ("c", "3")], ("too_many_header_fields", 431)),
            ("GET", "/", &[("a", &long)], ("header_too_large", 431)),
        ] {
            assert_eq!(reason(method, target, fields), Some(expected), "{method} {target} {fields:?}");
        }
    }
}
