//! The formats by name, and how to tell them apart from their first bytes.

use std::fmt;
use std::str::FromStr;

use bartizan_model::Source;

use super::access_log::{FieldMap, Parser};
use super::bad_line::Reason;
use super::reader::ReadOptions;

/// A format that recorded traffic comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own interchange format: one JSON object a line
    Exchanges,
    /// HTTP Archive 1.2, as browsers and proxies export it
    Har,
    /// Another server's access log
    AccessLog(AccessLog),
}

/// Which access log. Except for [`AccessLog::Fields`], a line that begins with `{` (behind a syslog prefix, if any) is
/// read as the product's JSON form, any other as its text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Told apart by the first lines
    Auto,
    /// NCSA common, combined or vhost combined: nginx, Apache and many others
    Combined,
    /// nginx with the JSON `log_format` of docs/formats.md
    NginxJson,
    /// HAProxy: `option httplog`, `option httpslog` or the JSON `log-format` of docs/formats.md
    Haproxy,
    /// Envoy: the default text format, or JSON with Istio's member names
    Envoy,
    /// AWS API Gateway: JSON of `$context` variables, or its CLF
    AwsApiGateway,
    /// JSON lines of any other shape
    Fields(FieldMap),
}

/// No format has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no format is called `{0}`; use one of {list}", list = Format::NAMES.join(", "))]
pub struct FormatError(String);

impl Format {
    /// Every name that [`Format::from_str`] takes.
    pub const NAMES: &[&str] =
        &["exchanges", "har", "access-log", "combined", "nginx-json", "haproxy", "envoy", "aws-api-gateway"];

    /// What events say about where they were seen.
    pub const fn source(&self) -> Source {
        match self {
            Self::Exchanges => Source::Exchanges,
            Self::Har => Source::Har,
            Self::AccessLog(_) => Source::AccessLog,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchanges => "exchanges",
            Self::Har => "har",
            Self::AccessLog(AccessLog::Auto) => "access-log",
            Self::AccessLog(AccessLog::Combined) => "combined",
            Self::AccessLog(AccessLog::NginxJson) => "nginx-json",
            Self::AccessLog(AccessLog::Haproxy) => "haproxy",
            Self::AccessLog(AccessLog::Envoy) => "envoy",
            Self::AccessLog(AccessLog::AwsApiGateway) => "aws-api-gateway",
            Self::AccessLog(AccessLog::Fields(_)) => "access-log with a field map",
        })
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        Ok(match name {
            "exchanges" => Self::Exchanges,
            "har" => Self::Har,
            "access-log" => Self::AccessLog(AccessLog::Auto),
            "combined" | "common" | "vhost-combined" | "nginx" | "apache" => Self::AccessLog(AccessLog::Combined),
            "nginx-json" => Self::AccessLog(AccessLog::NginxJson),
            "haproxy" | "haproxy-json" => Self::AccessLog(AccessLog::Haproxy),
            "envoy" | "envoy-json" | "istio" => Self::AccessLog(AccessLog::Envoy),
            "aws-api-gateway" => Self::AccessLog(AccessLog::AwsApiGateway),
            _ => return Err(FormatError(name.chars().take(64).collect())),
        })
    }
}

/// LIMIT: lines of a beginning that are tried; a log may open with a few lines that are no requests.
const LINES_TRIED_MAX: usize = 16;

/// The format of a file that begins with `beginning`: a few lines are enough. `None` when it looks like none of them.
pub fn detect(beginning: &[u8]) -> Option<Format> {
    let text = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning).trim_ascii_start();
    if let Some(inside) = text.strip_prefix(b"{")
        && inside.trim_ascii_start().starts_with(b"\"log\"")
    {
        return Some(Format::Har);
    }
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.take(LINES_TRIED_MAX).find_map(detect_line)
}

/// The format of one line, which may be cut at its end.
fn detect_line(line: &[u8]) -> Option<Format> {
    let has = |names: &[&str]| names.iter().any(|name| memchr::memmem::find(line, name.as_bytes()).is_some());
    if line.starts_with(b"{") && has(&["\"request\":{", "\"request\": {"]) && has(&["\"url\""]) {
        return Some(Format::Exchanges);
    }
    let candidates: &[AccessLog] = if has(&["\"response_code\"", "\"start_time\""]) {
        &[AccessLog::Envoy]
    } else if has(&["\"httpMethod\"", "\"resourcePath\"", "\"requestTimeEpoch\""]) {
        &[AccessLog::AwsApiGateway]
    } else {
        &[AccessLog::NginxJson, AccessLog::Haproxy, AccessLog::Envoy, AccessLog::Combined]
    };
    let is_read_as = |log: &&AccessLog| {
        let read = Parser::new((*log).clone(), ReadOptions::default()).parse(line);
        read.map_or_else(|fault| fault.reason == Reason::NotTraffic, |_| true)
    };
    candidates.iter().find(is_read_as).cloned().map(Format::AccessLog)
}
