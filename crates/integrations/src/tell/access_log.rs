//! Access logs: one request a line, written by another server after the fact.
//!
//! Each form has a file that takes a line apart into a [`Record`]: [`clf`] (common, combined, vhost combined),
//! [`haproxy`], [`envoy`] and [`json`] with a [`FieldMap`]; `Record::into_exchange` makes the exchange. A log has no
//! bodies and few header fields: bodies stay `None`, and only the fields that were logged stand in `headers`.

mod clf;
mod envoy;
mod field_map;
mod haproxy;
mod json;
mod text;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bartizan_model::{Exchange, HttpVersion, Request, Response, Scheme, Timestamp};

use super::bad_line::{Fault, Reason};
use super::format::AccessLog;
use super::reader::ReadOptions;
use super::url::split_target;

pub use field_map::{FieldMap, FieldMapError};

/// LIMIT: bytes of a syslog or collector prefix before a JSON line.
const PREFIX_BYTES_MAX: usize = 256;

/// LIMIT: bytes of a method; the longest registered one has 17.
const METHOD_BYTES_MAX: usize = 32;

/// What a line says, in the line's own bytes where they need no unescaping.
#[derive(Default)]
struct Record<'a> {
    time: Option<Timestamp>,
    client: Option<IpAddr>,
    scheme: Option<Scheme>,
    /// The `Host` field as the client sent it
    host: Option<Cow<'a, [u8]>>,
    /// The name the server goes by, which the client need not have sent
    server: Option<Cow<'a, [u8]>>,
    method: Cow<'a, [u8]>,
    target: Cow<'a, [u8]>,
    version: Option<HttpVersion>,
    status: Option<u16>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    duration_us: Option<u64>,
    request_headers: Vec<(&'a str, Cow<'a, [u8]>)>,
    response_headers: Vec<(&'a str, Cow<'a, [u8]>)>,
}

/// Reads the lines of one access log.
pub(crate) struct Parser {
    log: AccessLog,
    json: json::Picker,
    options: ReadOptions,
}

impl Parser {
    pub(crate) fn new(log: AccessLog, options: ReadOptions) -> Self {
        let map = match &log {
            AccessLog::Fields(map) => map.clone(),
            AccessLog::Auto | AccessLog::Combined | AccessLog::NginxJson => FieldMap::nginx(),
            AccessLog::Haproxy => FieldMap::haproxy(),
            AccessLog::Envoy => FieldMap::envoy(),
            AccessLog::AwsApiGateway => FieldMap::aws_api_gateway(),
        };
        Self { log, json: json::Picker::new(&map), options }
    }

    pub(crate) fn parse(&self, line: &[u8]) -> Result<Exchange, Fault> {
        let offset = self.options.utc_offset_minutes;
        let json = match self.log {
            AccessLog::Combined => None,
            AccessLog::Auto
            | AccessLog::NginxJson
            | AccessLog::Haproxy
            | AccessLog::Envoy
            | AccessLog::AwsApiGateway
            | AccessLog::Fields(_) => json_in(line),
        };
        if let Some(json) = json {
            let json = json::mended(json);
            return self.json.read(&json, offset)?.into_exchange(&self.options);
        }
        let record = match self.log {
            AccessLog::Combined | AccessLog::Auto | AccessLog::AwsApiGateway => clf::read(line, offset)?,
            AccessLog::Haproxy => haproxy::read(line, offset)?,
            AccessLog::Envoy => envoy::read(line, offset)?,
            AccessLog::NginxJson | AccessLog::Fields(_) => {
                return Err(Fault::new(Reason::Syntax, "not a JSON object"));
            }
        };
        record.into_exchange(&self.options)
    }
}

/// The JSON object that `line` is, behind a short prefix if need be; `None` when it is text.
fn json_in(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    if line.first() == Some(&b'{') {
        return Some(line);
    }
    let start = memchr::memmem::find(line.get(..PREFIX_BYTES_MAX).unwrap_or(line), b"{\"")?;
    if line.ends_with(b"}") { line.get(start..) } else { None }
}

impl<'a> Record<'a> {
    /// Takes a request line apart: `GET /path HTTP/1.1`.
    fn set_request_line(&mut self, line: Cow<'a, [u8]>) -> Result<(), Fault> {
        let no_request = || Fault::new(Reason::NotTraffic, "a connection that sent no readable request");
        let space = memchr::memchr(b' ', &line).ok_or_else(no_request)?;
        let last = memchr::memrchr(b' ', &line).unwrap_or(space);
        let version = line.get(last + 1..).filter(|version| last > space && version.starts_with(b"HTTP/"));
        self.version = match version {
            Some(version) => Some(read_version(version)),
            None => Some(HttpVersion::Http10), // HTTP/0.9 had no version
        };
        let end = if version.is_some() { last } else { line.len() };
        match line {
            Cow::Borrowed(line) => {
                self.method = Cow::Borrowed(line.get(..space).unwrap_or_default());
                self.target = Cow::Borrowed(line.get(space + 1..end).unwrap_or_default());
            }
            Cow::Owned(line) => {
                self.method = Cow::Owned(line.get(..space).unwrap_or_default().to_vec());
                self.target = Cow::Owned(line.get(space + 1..end).unwrap_or_default().to_vec());
            }
        }
        Ok(())
    }

    /// Adds a request header field unless the log says that there was none.
    fn push_header(&mut self, name: &'a str, value: Cow<'a, [u8]>) {
        if !is_absent(&value) {
            self.request_headers.push((name, value));
        }
    }

    fn into_exchange(self, options: &ReadOptions) -> Result<Exchange, Fault> {
        let is_method = !is_absent(&self.method)
            && self.method.len() <= METHOD_BYTES_MAX
            && self.method.iter().all(|byte| is_token_byte(*byte));
        if !is_method || self.target.is_empty() {
            return Err(Fault::new(Reason::NotTraffic, "a connection that sent no readable request"));
        }
        let (absolute, target) = split_target(&self.target);
        let (url_scheme, url_authority) = absolute.map_or((None, None), |(scheme, host)| (Some(scheme), Some(host)));
        let logged_host = self.host.filter(|host| !is_absent(host)).map(Cow::into_owned);
        let mut headers = Vec::with_capacity(self.request_headers.len() + 1);
        if let Some(host) = &logged_host {
            headers.push((b"host".to_vec(), host.clone()));
        }
        headers.extend(owned(self.request_headers));
        let server = || self.server.filter(|server| !is_absent(server)).map(Cow::into_owned);
        let assumed = || options.host.as_ref().map(|host| host.clone().into_bytes());
        Ok(Exchange {
            time: self.time,
            client: self.client,
            request: Request {
                method: self.method.into_owned(),
                scheme: self.scheme.or(url_scheme).unwrap_or(options.scheme),
                authority: logged_host.or(url_authority).or_else(server).or_else(assumed).unwrap_or_default(),
                target,
                version: self.version.unwrap_or(HttpVersion::Http11),
                headers,
                body: None,
                body_bytes: self.request_bytes,
            },
            response: self.status.map(|status| Response {
                status,
                headers: owned(self.response_headers).collect(),
                body: None,
                body_bytes: self.response_bytes,
            }),
            duration_us: self.duration_us,
            label: None,
        })
    }
}

fn owned(headers: Vec<(&str, Cow<'_, [u8]>)>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    headers.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_owned()))
}

/// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `-` stands for "none" in every text log.
fn is_absent(value: &[u8]) -> bool {
    matches!(value, b"" | b"-")
}

/// A version that we do not know counts as HTTP/1.1: the line is worth more than its version.
fn read_version(text: &[u8]) -> HttpVersion {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(HttpVersion::Http11)
}

/// A status that went to a client; HAProxy's `-1`, Envoy's `0` and `-` mean that none did.
fn read_status(text: &[u8]) -> Result<Option<u16>, Fault> {
    match text {
        b"-" | b"" | b"-1" | b"0" | b"000" => Ok(None),
        _ => match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
            Some(status @ 100..=999) => Ok(Some(status)),
            _ => Err(Fault::content("the status is not between 100 and 999")),
        },
    }
}

/// An address with or without a port; `None` for a host name, a socket path or nothing.
fn read_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).or_else(|| {
        // HAProxy writes `::1:4711` without brackets.
        text.rsplit_once(':').and_then(|(address, _)| address.parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_or_without_its_port() {
        for text in ["192.0.2.1", "192.0.2.1:80"] {
            assert_eq!(read_address(text.as_bytes()), Some(IpAddr::from([192, 0, 2, 1])), "{text}");
        }
        assert_eq!(read_address(b"[2001:db8::1]:80"), "2001:db8::1".parse().ok());
        assert_eq!(read_address(b"::ffff:192.0.2.1:80"), "::ffff:192.0.2.1".parse().ok());
        for text in ["", "-", "unix:", "host.example", "host.example:80"] {
            assert_eq!(read_address(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn json_is_found_behind_a_syslog_prefix() {
        assert_eq!(json_in(b"<134>Jan  1 00:00:00 lb haproxy[7]: {\"a\":1}"), Some(&b"{\"a\":1}"[..]));
        assert_eq!(json_in(b" {\"a\":1}\r"), Some(&b"{\"a\":1}"[..]));
        assert_eq!(json_in(b"10.0.0.1 - - [x] \"GET /{\"a\" HTTP/1.1\""), None);
    }
}
