//! One recorded request and its response, owned: what replay reads and `record` writes.
//!
//! This is the one type that carries raw payload. It never enters the store; the engine turns it into an `Event`.

use std::net::IpAddr;

use crate::{HttpVersion, Scheme, Timestamp};

/// One request and its response (RFC 9113's exchange; ModSecurity says transaction).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When the request arrived; `None` when the recording does not say
    pub time: Option<Timestamp>,
    /// Client address, if recorded
    pub client: Option<IpAddr>,
    /// The request
    pub request: Request,
    /// The response; `None` when it was not recorded
    pub response: Option<Response>,
    /// From request to end of response, if recorded, in microseconds
    pub duration_us: Option<u64>,
    /// The recorder's own note, passed through replay unread (for labelled corpora)
    pub label: Option<serde_json::Value>,
}

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method as sent
    pub method: Vec<u8>,
    /// Scheme of the URL
    pub scheme: Scheme,
    /// Host and port of the URL
    pub authority: Vec<u8>,
    /// Path and query, undecoded
    pub target: Vec<u8>,
    /// HTTP version
    pub version: HttpVersion,
    /// Header fields in order
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Body; `None` when it was not recorded, empty when there was none
    pub body: Option<Vec<u8>>,
    /// Size of the body in bytes when the recording knows it without having the body
    pub body_bytes: Option<u64>,
}

/// A recorded response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code
    pub status: u16,
    /// Header fields in order
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Body; `None` when it was not recorded
    pub body: Option<Vec<u8>>,
    /// Size of the body in bytes when the recording knows it without having the body
    pub body_bytes: Option<u64>,
}
