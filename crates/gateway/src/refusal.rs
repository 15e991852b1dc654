//! Requests that never become an exchange, or are refused for the form of their head: a closed set of reasons.

use std::num::NonZeroU64;

use bartizan_engine::{Answer, Inspection};
use bartizan_model::{Ending, HttpVersion, RequestId};

use crate::client_trust::CertificateFault;
use crate::flood::Flood;

/// LIMIT: header fields that httparse is given to name a fault; Pingora's own limit.
const FIELDS_MAX: usize = 256;

/// What a TLS handshake begins with (RFC 8446 §5.1).
const TLS: &[u8] = &[0x16, 0x03];

/// The engine's check for what cannot be parsed.
const MALFORMED: &str = "ENG-101";
/// The engine's check for clients that go beyond the hard limits.
const BEYOND_LIMITS: &str = "ENG-110";

/// The engine's check for clients' certificates.
const CERTIFICATE: &str = "ACC-216";
/// The engine's check for requests on a connection that is for another host.
const MISDIRECTED: &str = "ACC-233";

/// What kind of refusal it is, for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It cannot be read
    Malformed,
    /// The client went beyond a hard limit
    BeyondLimits,
    /// The client's certificate will not do
    Certificate,
    /// The connection is for another host
    Misdirected,
}

/// Why a request was refused before the engine saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No request line, or one that breaks the grammar
    RequestLine,
    /// An HTTP version that is not spoken here
    Version,
    /// A field name or value that breaks the grammar
    HeaderField,
    /// A line of the head that ends in a bare line feed
    LineEnd,
    /// More fields than allowed
    TooManyFields,
    /// `Content-Length` and `Transfer-Encoding` that cannot be told apart safely (RFC 9112 §6.3), or a `Connection` that
    /// would take what was inspected away from the upstream
    Framing,
    /// `Expect` that says anything but `100-continue`, once (RFC 9110 §10.1.1): servers differ in what they make of it
    Expectation,
    /// Several hosts, or one that differs from the target's
    Authority,
    /// A TLS handshake on a port that speaks in the clear
    TlsInTheClear,
    /// HTTP/2 on a listener that does not offer it
    Http2NotOffered,
    /// The head is larger than `limits.header_bytes`
    HeaderTooLarge,
    /// The head did not arrive within `limits.header_timeout`
    HeaderTimeout,
    /// The client went away in the middle of a head
    IncompleteHead,
    /// `CONNECT`: this is no forward proxy
    Connect,
    /// An HTTP/2 stream that was refused or broken off before it was a request
    Http2Stream,
    /// An HTTP/2 connection that broke the protocol as a whole
    Http2Connection,
    /// A body that stopped coming, or came too slowly
    BodyTimeout,
    /// A body whose framing breaks off or breaks the grammar
    Body,
    /// More connections of one client than `limits.connections_per_client_max`
    TooManyConnections,
    /// More requests of one client under way than `limits.requests_per_client_max`
    TooManyRequests,
    /// An HTTP/2 connection of which the HTTP/2 library had enough (RFC 9113 §10.5)
    Http2Calm,
    /// An HTTP/2 connection whose client does nothing with it, and much of that
    Http2Flood(Flood),
    /// A TLS handshake in which the client's certificate was refused, or was missing
    ClientCertificate(CertificateFault),
    /// A request for a host that demands other certificates than the connection was opened with (RFC 9110 §15.5.20)
    Misdirected,
}

impl Refusal {
    /// Names the fault in a head that Pingora refused to parse, from the head's first bytes and the number of its lines.
    pub(crate) fn of_head(head: &[u8], lines: usize) -> Self {
        if head.starts_with(TLS) {
            return Self::TlsInTheClear;
        }
        if head.starts_with(b"PRI * HTTP/2.0") {
            return Self::Http2NotOffered;
        }
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(head) {
            // Words behind the target are taken for a version.
            Err(httparse::Error::Version) if last_word(head).starts_with(b"HTTP/") => Self::Version,
            Err(httparse::Error::TooManyHeaders) => Self::TooManyFields,
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine) => {
                Self::HeaderField
            }
            Err(_) => Self::RequestLine,
            // The bytes at hand have no fault, and Pingora would have waited for more.
            Ok(httparse::Status::Partial) if lines > FIELDS_MAX => Self::TooManyFields,
            // Characters that no URI has, such as `<`: httparse lets them pass, Pingora does not.
            Ok(_) if request.path.is_some_and(|target| target.parse::<http::Uri>().is_err()) => Self::RequestLine,
            Ok(_) => {
                let has = |name: &str| request.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
                let is_framed = has("transfer-encoding") || has("content-length");
                let hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host")).count();
                if is_framed && hosts <= 1 { Self::Framing } else { Self::Authority }
            }
        }
    }

    /// Names the fault in a head of which a line, or what looks like one, ends in a bare line feed.
    pub(crate) fn of_bare_line_feed(head: &[u8]) -> Self {
        if head.starts_with(TLS) { Self::TlsInTheClear } else { Self::LineEnd }
    }

    /// The word in the event.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "bad_request_line",
            Self::Version => "bad_version",
            Self::HeaderField => "bad_header_field",
            Self::LineEnd => "bare_line_feed",
            Self::Expectation => "bad_expectation",
            Self::TooManyFields => "too_many_header_fields",
            Self::Framing => "bad_framing",
            Self::Authority => "bad_authority",
            Self::TlsInTheClear => "tls_on_clear_port",
            Self::Http2NotOffered => "http2_not_offered",
            Self::HeaderTooLarge => "header_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::IncompleteHead => "incomplete_head",
            Self::Connect => "connect_method",
            Self::Http2Stream => "bad_http2_stream",
            Self::Http2Connection => "bad_http2_connection",
            Self::BodyTimeout => "body_timeout",
            Self::Body => "bad_body",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyRequests => "too_many_requests",
            Self::Http2Calm => "http2_flood",
            Self::Http2Flood(Flood::Resets) => "http2_resets",
            Self::Http2Flood(Flood::Frames) => "http2_idle_frames",
            Self::ClientCertificate(fault) => fault.reason(),
            Self::Misdirected => "host_of_other_terms",
        }
    }

    /// The status it is answered with; 0 when there is nobody to answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::RequestLine
            | Self::HeaderField
            | Self::LineEnd
            | Self::Framing
            | Self::Authority
            | Self::TlsInTheClear
            | Self::Http2NotOffered
            | Self::Body => 400,
            Self::Expectation => 417,
            Self::Version => 505,
            Self::TooManyFields | Self::HeaderTooLarge => 431,
            Self::HeaderTimeout | Self::BodyTimeout => 408,
            Self::Connect => 501,
            Self::TooManyRequests => 429,
            Self::Misdirected => 421,
            Self::IncompleteHead
            | Self::Http2Stream
            | Self::Http2Connection
            | Self::TooManyConnections
            | Self::Http2Calm
            | Self::Http2Flood(_)
            | Self::ClientCertificate(_) => 0,
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::TooManyConnections | Self::TooManyRequests | Self::Http2Calm | Self::Http2Flood(_) => {
                Kind::BeyondLimits
            }
            Self::ClientCertificate(_) => Kind::Certificate,
            Self::Misdirected => Kind::Misdirected,
            Self::RequestLine
            | Self::Version
            | Self::HeaderField
            | Self::LineEnd
            | Self::TooManyFields
            | Self::Framing
            | Self::Expectation
            | Self::Authority
            | Self::TlsInTheClear
            | Self::Http2NotOffered
            | Self::HeaderTooLarge
            | Self::HeaderTimeout
            | Self::IncompleteHead
            | Self::Connect
            | Self::Http2Stream
            | Self::Http2Connection
            | Self::BodyTimeout
            | Self::Body => Kind::Malformed,
        }
    }

    /// The engine's check that tells of it.
    pub(crate) const fn check(self) -> &'static str {
        match self.kind() {
            Kind::Malformed => MALFORMED,
            Kind::BeyondLimits => BEYOND_LIMITS,
            Kind::Certificate => CERTIFICATE,
            Kind::Misdirected => MISDIRECTED,
        }
    }

    /// How the exchange ends, or what stands for one.
    pub(crate) const fn ending(self) -> Ending {
        match self.kind() {
            Kind::Malformed => Ending::Malformed,
            Kind::BeyondLimits | Kind::Certificate | Kind::Misdirected => Ending::Stopped,
        }
    }

    /// Tells the engine, for so many requests at once.
    pub(crate) fn tell(self, inspection: &mut Inspection, version: HttpVersion, times: NonZeroU64) {
        let _ = match self.kind() {
            Kind::Malformed => inspection.malformed_times(version, self.reason(), times),
            Kind::BeyondLimits => inspection.beyond_limits(version, self.reason(), times),
            Kind::Certificate => inspection.certificate_refused(version, self.reason()),
            Kind::Misdirected => inspection.misdirected(version, self.reason()),
        };
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self.status() {
            408 => ("Request Timeout", "The request did not arrive in time."),
            417 => ("Expectation Failed", "Only `Expect: 100-continue` is understood here."),
            421 => ("Misdirected Request", "This connection was opened for another host; open one for this host."),
            429 => ("Too Many Requests", "This client has too many requests under way."),
            431 => ("Request Header Fields Too Large", "The request's header section is larger than is allowed here."),
            501 => ("Not Implemented", "This method is not supported here."),
            505 => ("HTTP Version Not Supported", "This version of HTTP is not spoken here."),
            _ => ("Bad Request", "The request could not be read unambiguously."),
        }
    }

    /// The answer, in the engine's form.
    pub(crate) fn answer(self, id: RequestId) -> Answer {
        let (title, detail) = self.words();
        problem(self.status(), title, detail, self.check(), id)
    }
}

/// The last word of a head's first line, as far as it is there.
fn last_word(head: &[u8]) -> &[u8] {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.trim_ascii_end().rsplit(|&byte| byte == b' ').next().unwrap_or_default()
}

/// Problem details (RFC 9457) for a refusal that the engine has no words for.
fn problem(status: u16, title: &str, detail: &str, check: &str, id: RequestId) -> Answer {
    let request_id = id.to_string();
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id,
    });
    let headers = vec![
        ("content-type", "application/problem+json".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-request-id", request_id),
        ("x-bartizan-check", check.to_owned()),
    ];
    Answer { status, headers, body: body.to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_of_a_head_is_named() {
        for (head, reason) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], "tls_on_clear_port"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2_not_offered"),
            (b"GET\r\n\r\n", "bad_request_line"),
            (b"GET / HTTP/3.7\r\n\r\n", "bad_version"),
            (b"GET /a b", "bad_request_line"),
            (b"GET /?a=<b> HTTP/1.1\r\nHost: a\r\n\r\n", "bad_request_line"),
            (b"POST /?a=\"b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "bad_request_line"),
            (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", "bad_header_field"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n", "bad_framing"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "bad_authority"),
        ] {
            assert_eq!(Refusal::of_head(head, 3).reason(), reason, "{}", head.escape_ascii());
        }
    }
}
