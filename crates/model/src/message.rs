//! The parts of an HTTP message as the engine sees them: borrowed bytes, nothing decoded (RFC 9110, RFC 9112).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The HTTP version a message arrived in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.0
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "HTTP/1.1")]
    Http11,
    /// HTTP/2
    #[serde(rename = "HTTP/2")]
    Http2,
    /// HTTP/3: only in recorded traffic
    #[serde(rename = "HTTP/3")]
    Http3,
}

impl HttpVersion {
    /// The name as it stands in logs: `HTTP/1.1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HttpVersion {
    type Err = ();

    /// Reads what logs and exporters write: `HTTP/2.0`, `h2`, `http/1.1`.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "http/1.0" | "1.0" => Ok(Self::Http10),
            "http/1.1" | "1.1" => Ok(Self::Http11),
            "http/2" | "http/2.0" | "h2" | "2" | "2.0" => Ok(Self::Http2),
            "http/3" | "http/3.0" | "h3" | "3" | "3.0" => Ok(Self::Http3),
            _ => Err(()),
        }
    }
}

/// How the client spoke to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In the clear
    Http,
    /// Over TLS
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One header field, name and value as sent. HTTP/2 sends names in lower case, HTTP/1 as the client likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderField<'a> {
    /// Field name, not normalized
    pub name: &'a [u8],
    /// Field value without surrounding white space, not decoded
    pub value: &'a [u8],
}

/// The head of a request: everything before the body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method as sent (`GET`); case matters (RFC 9110 §9.1)
    pub method: &'a [u8],
    /// Path and query exactly as they go to the upstream; begins with `/`, or is `*`
    pub target: &'a [u8],
    /// Clear text or TLS, as the client spoke to us
    pub scheme: Scheme,
    /// Host as sent, from `Host` or `:authority`, with its port; empty when absent
    pub authority: &'a [u8],
    /// Version the request arrived in
    pub version: HttpVersion,
    /// Fields in the order they arrived
    pub headers: &'a [HeaderField<'a>],
}

impl<'a> RequestHead<'a> {
    /// The target up to the first `?`.
    pub fn path(&self) -> &'a [u8] {
        self.target.split(|&byte| byte == b'?').next().unwrap_or_default()
    }

    /// The target after the first `?`; `None` when there is no `?`.
    pub fn query(&self) -> Option<&'a [u8]> {
        let mut parts = self.target.splitn(2, |&byte| byte == b'?');
        parts.next();
        parts.next()
    }

    /// The first field of this name, compared without case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.headers, name)
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Status code, 100–999
    pub status: u16,
    /// Fields in the order they arrived
    pub headers: &'a [HeaderField<'a>],
}

impl<'a> ResponseHead<'a> {
    /// The first field of this name, compared without case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.headers, name)
    }
}

/// The first field called `name` (compared without case) in `fields`.
pub fn header<'a>(fields: &[HeaderField<'a>], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &[u8]) -> RequestHead<'_> {
        RequestHead {
            method: b"GET",
            target,
            scheme: Scheme::Http,
            authority: b"a.example",
            version: HttpVersion::Http11,
            headers: &[],
        }
    }

    #[test]
    fn the_query_begins_after_the_first_question_mark() {
        assert_eq!(head(b"/a?b=1?2").path(), b"/a");
        assert_eq!(head(b"/a?b=1?2").query(), Some(&b"b=1?2"[..]));
        assert_eq!(head(b"/a?").query(), Some(&b""[..]));
        assert_eq!(head(b"/a").query(), None);
    }

    #[test]
    fn header_names_are_compared_without_case() {
        let fields = [HeaderField { name: b"X-Key", value: b"1" }];
        assert_eq!(header(&fields, "x-key"), Some(&b"1"[..]));
        assert_eq!(header(&fields, "x-ke"), None);
    }
}
