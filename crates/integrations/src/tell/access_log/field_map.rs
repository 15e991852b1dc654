//! Which member of a JSON log line holds what: `name=path` pairs, and the presets, which are nothing else.
//!
//! A path is a JSON Pointer (RFC 6901: `/response/code`), or member names joined by points (`response.code`), where a
//! member whose own name has points in it (`http.request.method`) is found as well. A name may be given several times:
//! the first member that is there and says something counts.

use std::fmt;

/// A field of an access log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Client,
    Method,
    Url,
    Path,
    Query,
    Request,
    Scheme,
    Host,
    Server,
    Version,
    Status,
    RequestBytes,
    ResponseBytes,
    /// In units of this many microseconds
    Duration(u64),
    RequestHeader(Box<str>),
    ResponseHeader(Box<str>),
}

impl Field {
    /// Whether a line with this member is meant to record a request.
    pub(super) fn tells_request(&self) -> bool {
        matches!(self, Self::Method | Self::Url | Self::Path | Self::Request)
    }
}

/// Which member of a JSON log line holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMap {
    /// Field and the possible paths to it, in the order they were given
    pub(super) pairs: Vec<(Field, Vec<Vec<Box<str>>>)>,
}

/// Why the pairs are not a [`FieldMap`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldMapError {
    /// Not `name=path`
    #[error("`{0}` is not a pair; write `name=path`, for example `status=response.code`")]
    NotAPair(String),
    /// The name is none of [`FieldMap::NAMES`]
    #[error("no field is called `{0}`; use one of {list}", list = FieldMap::NAMES.join(", "))]
    UnknownName(String),
    /// More pairs or deeper paths than anybody needs
    #[error("more than {PAIRS_MAX} fields, or a path of more than {DEPTH_MAX} members")]
    TooLarge,
    /// Nothing says which request it was
    #[error("the fields do not say which request it was; add `request=…`, or `method=…` with `url=…` or `path=…`")]
    NoRequest,
}

/// LIMIT: pairs of a map, and members of a path: a map is written by hand.
const PAIRS_MAX: usize = 128;
const DEPTH_MAX: usize = 16;

/// Our own JSON log line, as docs/formats.md recommends it for nginx and HAProxy.
const OWN: &[&str] = &[
    "time=time",
    "client=client",
    "method=method",
    "url=url",
    "scheme=scheme",
    "host=host",
    "version=version",
    "status=status",
    "request_bytes=request_bytes",
    "response_bytes=response_bytes",
    "duration_s=duration_s",
    "duration_ms=duration_ms",
    "duration_us=duration_us",
    "user_agent=user_agent",
    "referer=referer",
    "request_type=request_type",
    "response_type=response_type",
    "forwarded_for=forwarded_for",
    "authorization=authorization",
];

/// What nginx users' own JSON formats call things: the names of nginx's variables.
const NGINX: &[&str] = &[
    "time=msec",
    "time=time_iso8601",
    "time=time_local",
    "time=@timestamp",
    "time=timestamp",
    "client=remote_addr",
    "method=request_method",
    "url=request_uri",
    "path=uri",
    "path=path",
    "request=request",
    "host=http_host",
    "server=server_name",
    "version=server_protocol",
    "version=protocol",
    "request_bytes=content_length",
    "response_bytes=body_bytes_sent",
    "response_bytes=bytes_sent",
    "duration_s=request_time",
    "user_agent=http_user_agent",
    "referer=http_referer",
    "referer=http_referrer",
    "request_type=content_type",
    "response_type=sent_http_content_type",
    "forwarded_for=http_x_forwarded_for",
];

/// Istio's member names, which most Envoy set-ups have copied; and Envoy's own in its examples.
const ENVOY: &[&str] = &[
    "time=start_time",
    "time=timestamp",
    "client=downstream_remote_address",
    "client=x_forwarded_for",
    "method=method",
    "method=:method",
    "url=path",
    "url=:path",
    "scheme=scheme",
    "host=authority",
    "host=:authority",
    "version=protocol",
    "status=response_code",
    "status=status",
    "request_bytes=bytes_received",
    "response_bytes=bytes_sent",
    "duration_ms=duration",
    "user_agent=user_agent",
    "referer=referer",
    "request_type=request_content_type",
    "response_type=response_content_type",
    "forwarded_for=x_forwarded_for",
    "header.x-request-id=request_id",
];

/// AWS's own examples for REST and HTTP APIs, and what docs/formats.md adds to them.
const AWS_API_GATEWAY: &[&str] = &[
    "time=requestTimeEpoch",
    "time=requestTime",
    "client=ip",
    "client=sourceIp",
    "method=httpMethod",
    "path=path",
    "path=rawPath",
    "path=resourcePath",
    "query=queryString",
    "server=domainName",
    "version=protocol",
    "status=status",
    "response_bytes=responseLength",
    "duration_ms=responseLatency",
    "user_agent=userAgent",
    "header.x-request-id=requestId",
];

impl FieldMap {
    /// Every name that [`FieldMap::parse`] takes.
    pub const NAMES: &[&str] = &[
        "time",
        "client",
        "method",
        "url",
        "path",
        "query",
        "request",
        "scheme",
        "host",
        "server",
        "version",
        "status",
        "request_bytes",
        "response_bytes",
        "duration_s",
        "duration_ms",
        "duration_us",
        "user_agent",
        "referer",
        "request_type",
        "response_type",
        "forwarded_for",
        "authorization",
        "header.NAME",
        "response_header.NAME",
    ];

    /// From `name=path` pairs.
    ///
    /// # Errors
    /// At the first pair that is not one, or when the pairs together do not tell a request.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, FieldMapError> {
        let mut map = Self { pairs: Vec::new() };
        for pair in pairs {
            let shown = || pair.chars().take(64).collect();
            let (name, path) = pair.split_once('=').ok_or_else(|| FieldMapError::NotAPair(shown()))?;
            let paths = paths_of(path.trim());
            if paths.is_empty() {
                return Err(FieldMapError::NotAPair(shown()));
            }
            if map.pairs.len() == PAIRS_MAX || paths.iter().any(|path| path.len() > DEPTH_MAX) {
                return Err(FieldMapError::TooLarge);
            }
            map.pairs.push((field(name.trim()).ok_or_else(|| FieldMapError::UnknownName(shown()))?, paths));
        }
        let has = |wanted: &[Field]| map.pairs.iter().any(|(field, _)| wanted.contains(field));
        if has(&[Field::Request]) || (has(&[Field::Method]) && has(&[Field::Url, Field::Path])) {
            Ok(map)
        } else {
            Err(FieldMapError::NoRequest)
        }
    }

    /// nginx: our recommended format, else the variables' names.
    pub(super) fn nginx() -> Self {
        Self::preset(&[OWN, NGINX])
    }

    /// HAProxy: our recommended format.
    pub(super) fn haproxy() -> Self {
        Self::preset(&[OWN])
    }

    pub(super) fn envoy() -> Self {
        Self::preset(&[ENVOY])
    }

    pub(super) fn aws_api_gateway() -> Self {
        Self::preset(&[AWS_API_GATEWAY])
    }

    fn preset(lists: &[&[&'static str]]) -> Self {
        let map = Self::parse(lists.iter().copied().flatten().copied());
        debug_assert!(map.is_ok(), "a preset is a valid map");
        map.unwrap_or(Self { pairs: Vec::new() })
    }
}

fn field(name: &str) -> Option<Field> {
    let header = |name: &str| Field::RequestHeader(name.into());
    Some(match name {
        "time" => Field::Time,
        "client" => Field::Client,
        "method" => Field::Method,
        "url" => Field::Url,
        "path" => Field::Path,
        "query" => Field::Query,
        "request" => Field::Request,
        "scheme" => Field::Scheme,
        "host" => Field::Host,
        "server" => Field::Server,
        "version" => Field::Version,
        "status" => Field::Status,
        "request_bytes" => Field::RequestBytes,
        "response_bytes" => Field::ResponseBytes,
        "duration_s" => Field::Duration(1_000_000),
        "duration_ms" => Field::Duration(1000),
        "duration_us" => Field::Duration(1),
        "user_agent" => header("user-agent"),
        "referer" => header("referer"),
        "request_type" => header("content-type"),
        "response_type" => Field::ResponseHeader("content-type".into()),
        "forwarded_for" => header("x-forwarded-for"),
        "authorization" => header("authorization"),
        _ => match name.split_once('.')? {
            ("header", name) if is_field_name(name) => header(&name.to_ascii_lowercase()),
            ("response_header", name) if is_field_name(name) => Field::ResponseHeader(name.to_ascii_lowercase().into()),
            _ => return None,
        },
    })
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(super::is_token_byte)
}

/// The paths that `text` may mean; none when it means nothing.
fn paths_of(text: &str) -> Vec<Vec<Box<str>>> {
    if text.is_empty() {
        return Vec::new();
    }
    if let Some(pointer) = text.strip_prefix('/') {
        // RFC 6901 §4: `~1` first, then `~0`.
        return vec![pointer.split('/').map(|token| token.replace("~1", "/").replace("~0", "~").into()).collect()];
    }
    let mut paths = vec![vec![text.into()]];
    if text.contains('.') {
        paths.push(text.split('.').map(Into::into).collect());
    }
    paths
}

impl fmt::Display for FieldMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fields", self.pairs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pointer_or_names_joined_by_points() {
        assert_eq!(paths_of("/a~1b/c~0d"), [vec!["a/b".into(), "c~d".into()]]);
        assert_eq!(paths_of("a.b"), [vec!["a.b".into()], vec!["a".into(), "b".into()]]);
        assert_eq!(paths_of(""), Vec::<Vec<Box<str>>>::new());
    }

    #[test]
    fn a_wrong_map_is_refused_with_a_reason() {
        let message = |pairs: &[&str]| FieldMap::parse(pairs.iter().copied()).unwrap_err().to_string();
        assert!(message(&["status"]).contains("`status` is not a pair"));
        assert!(message(&["status="]).contains("is not a pair"));
        assert!(message(&["verb=a"]).contains("no field is called `verb=a`"));
        assert!(message(&["header.a b=c"]).contains("no field is called"));
        assert!(message(&["status=a", "method=b"]).contains("which request"));
        assert!(message(&vec!["method=a"; 200]).contains("more than"));
    }

    #[test]
    fn every_documented_name_and_every_preset_is_taken() {
        for name in FieldMap::NAMES {
            assert!(field(name).is_some(), "{name}");
        }
        for map in [FieldMap::nginx(), FieldMap::haproxy(), FieldMap::envoy(), FieldMap::aws_api_gateway()] {
            assert!(map.pairs.len() > 10);
        }
    }
}
