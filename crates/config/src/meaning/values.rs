//! Leaf values: durations, sizes, addresses, networks, hosts, paths, methods, names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use bartizan_model::{did_you_mean, excerpt, listed};

use super::Checker;
use crate::NamedFile;
use crate::config::{HostPattern, PathPattern};
use crate::defaults::{NAME_CHARS_MAX, Range};
use crate::document::{Duration, Size};
use crate::path::SettingPath;
use crate::report::{self, Fault};
use crate::units;

/// Methods of RFC 9110 §9 and RFC 5789, for suggestions.
const KNOWN_METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/// LIMIT: a DNS name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// LIMIT: a DNS label.
const LABEL_BYTES_MAX: usize = 63;
/// LIMIT: a path, prefix or pattern; longer than any sensible route.
const PATH_BYTES_MAX: usize = 2048;

impl Checker<'_, '_> {
    /// Reports an error at the value of `at`.
    pub(super) fn error(&mut self, at: &SettingPath, code: &'static str, message: String, help: impl Into<String>) {
        self.report.error_at(self.tree, at, Fault::new(code, message, help));
    }

    /// Reports a warning at the value of `at`.
    pub(super) fn warning(&mut self, at: &SettingPath, code: &'static str, message: String, help: impl Into<String>) {
        self.report.warning_at(self.tree, at, Fault::new(code, message, help));
    }

    /// A file, relative to the document's folder.
    pub(super) fn file(&mut self, at: &SettingPath, name: &str) -> PathBuf {
        let file = self.base_dir.join(name);
        let (position, path) = (self.tree.position_of(at), self.tree.written_path(at).to_string());
        self.report.files.push(NamedFile { file: file.clone(), position, path });
        file
    }

    /// The line of the value at `at`.
    pub(super) fn line_of(&self, at: &SettingPath) -> u32 {
        self.tree.position_of(at).line
    }

    /// Milliseconds within `range`.
    pub(super) fn duration(&mut self, at: &SettingPath, written: &Duration, range: Range) -> u64 {
        let ms = units::duration_ms(&written.0).filter(|ms| (range.min..=range.max).contains(ms));
        ms.unwrap_or_else(|| {
            let bounds = [range.min, range.max].map(units::duration_text);
            self.out_of_range(at, &written.0, &bounds);
            range.default
        })
    }

    /// Bytes within `range`.
    pub(super) fn size(&mut self, at: &SettingPath, written: &Size, range: Range) -> u64 {
        let (bytes, words) = match written {
            Size::Bytes(bytes) => (Some(*bytes), bytes.to_string()),
            Size::Text(text) => (units::size_bytes(text), text.clone()),
        };
        bytes.filter(|bytes| (range.min..=range.max).contains(bytes)).unwrap_or_else(|| {
            let bounds = [range.min, range.max].map(units::size_text);
            self.out_of_range(at, &words, &bounds);
            range.default
        })
    }

    fn out_of_range(&mut self, at: &SettingPath, words: &str, [min, max]: &[String; 2]) {
        let name = self.tree.written_path(at).to_string();
        let message = format!("`{name}` is `{}`; it must lie between `{min}` and `{max}`", excerpt(words));
        self.error(at, report::OUT_OF_RANGE, message, "write a value within the bounds");
    }

    /// An address literal with a port to listen on.
    pub(super) fn socket_address(&mut self, at: &SettingPath, text: &str) -> SocketAddr {
        if let Ok(address) = text.parse() {
            return address;
        }
        let help = match text.rsplit_once(':') {
            None if text.parse::<u16>().is_ok() => format!("write the address too: `127.0.0.1:{}`", excerpt(text)),
            None => "add a port, such as `127.0.0.1:8080`".to_owned(),
            Some(("", port)) => format!("for every interface write `0.0.0.0:{}`", excerpt(port)),
            Some(("localhost", port)) => format!("write the address itself: `127.0.0.1:{}`", excerpt(port)),
            Some((host, port)) if host.parse::<IpAddr>().is_ok() && !host.contains(':') => {
                format!("`{}` is not a port; ports are 0 to 65535", excerpt(port))
            }
            Some(_) => "write an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`".to_owned(),
        };
        self.error(at, report::MALFORMED_ADDRESS, format!("`{}` is not an address with a port", excerpt(text)), help);
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    /// A host name or address with a port to connect to.
    pub(super) fn target(&mut self, at: &SettingPath, text: &str) -> Option<(String, u16)> {
        if let Ok(address) = text.parse::<SocketAddr>()
            && address.port() != 0
        {
            return Some((address.ip().to_string(), address.port()));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && is_host(host)
            && let Ok(port @ 1..) = port.parse::<u16>()
        {
            return Some((host.to_ascii_lowercase(), port));
        }
        let help = if text.contains("://") {
            "leave out the scheme and the path: `shop.internal:8080`; TLS is `tls: {}` of the upstream".to_owned()
        } else if is_host(text) || text.parse::<IpAddr>().is_ok() {
            format!("add a port: `{}:8080`", excerpt(text))
        } else {
            "write a host or an address, and a port from 1 to 65535, such as `shop.internal:8080`".to_owned()
        };
        self.error(at, report::MALFORMED_ADDRESS, format!("`{}` is not a host with a port", excerpt(text)), help);
        None
    }

    /// A list of networks; a lone address is a network of one.
    pub(super) fn networks(&mut self, at: &SettingPath, written: &[String]) -> Vec<IpNet> {
        written.iter().enumerate().filter_map(|(index, text)| self.network(&at.index(index), text)).collect()
    }

    fn network(&mut self, at: &SettingPath, text: &str) -> Option<IpNet> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(address.into());
        }
        let Ok(network) = text.parse::<IpNet>() else {
            let message = format!("`{}` is not a network", excerpt(text));
            let help =
                "write an address, or an address and a prefix length: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`";
            self.error(at, report::MALFORMED_NETWORK, message, help);
            return None;
        };
        let network_only = network.trunc();
        if network_only != network {
            let message = format!("`{network}` has bits beyond its prefix and means `{network_only}`");
            let help = format!("write `{network_only}`, or `{}` for the one address", network.addr());
            self.warning(at, report::NO_EFFECT, message, help);
        }
        Some(network_only)
    }

    /// A host or a wildcard.
    pub(super) fn host_pattern(&mut self, at: &SettingPath, text: &str) -> HostPattern {
        let lower = text.to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix('*')
            && let Some(domain) = rest.strip_prefix('.')
            && is_host(domain)
        {
            return HostPattern::Wildcard(rest.to_owned());
        }
        let literal = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&lower);
        if !is_host(&lower) && literal.parse::<IpAddr>().is_err() {
            let help = if text == "*" {
                "leave `hosts` out to take every host"
            } else if text.contains('*') {
                "`*` stands only at the beginning, for whole labels: `*.example.com`"
            } else if text.contains("://") || text.contains('/') {
                "write the host alone, without scheme and path"
            } else if text.contains(':') {
                "leave out the port; an API answers on every listener"
            } else {
                "write a name such as `api.example.com` or `*.example.com`"
            };
            self.error(at, report::MALFORMED_HOST, format!("`{}` is not a host", excerpt(text)), help);
        }
        HostPattern::Exact(lower)
    }

    /// A path prefix in whole segments; a trailing `/` is dropped.
    pub(super) fn path_prefix(&mut self, at: &SettingPath, text: &str) -> String {
        let prefix = if text == "/" { text } else { text.strip_suffix('/').unwrap_or(text) };
        if let Some(help) = path_fault(prefix) {
            self.error(at, report::MALFORMED_PATH, format!("`{}` is not a path prefix", excerpt(text)), help);
        } else if prefix.contains('*') {
            let help = "a prefix has no `*`; it takes everything below it anyway";
            self.error(at, report::MALFORMED_PATH, format!("`{}` is not a path prefix", excerpt(text)), help);
        }
        prefix.to_owned()
    }

    /// A path with an optional query, as sent in a health check.
    pub(super) fn request_target(&mut self, at: &SettingPath, text: &str) -> String {
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        if let Some(help) = path_fault(path) {
            self.error(at, report::MALFORMED_PATH, format!("`{}` is not a path", excerpt(text)), help);
        } else if text.bytes().any(|byte| byte <= b' ' || byte == b'#' || byte >= 0x7f) {
            let help = "percent-encode spaces, `#` and letters beyond ASCII";
            self.error(at, report::MALFORMED_PATH, format!("`{}` is not a path", excerpt(text)), help);
        }
        text.to_owned()
    }

    /// Path patterns.
    pub(super) fn path_patterns(&mut self, at: &SettingPath, written: &[String]) -> Vec<PathPattern> {
        written
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let fault = path_fault(text).or_else(|| star_fault(text));
                if let Some(help) = fault {
                    let message = format!("`{}` is not a path pattern", excerpt(text));
                    self.error(&at.index(index), report::MALFORMED_PATH, message, help);
                }
                PathPattern(text.clone())
            })
            .collect()
    }

    /// Methods: tokens, upper case as sent (RFC 9110 §9.1: methods are case-sensitive).
    pub(super) fn methods(&mut self, at: &SettingPath, written: &[String]) -> Vec<String> {
        for (index, text) in written.iter().enumerate() {
            let at = at.index(index);
            let upper = text.to_ascii_uppercase();
            if !is_token(text) {
                let help = format!("write a method such as {}", listed(["GET", "POST"]));
                self.error(&at, report::MALFORMED_TOKEN, format!("`{}` is not a method", excerpt(text)), help);
            } else if upper != *text {
                let message = format!("`{}` is not how a method is written; methods are case-sensitive", excerpt(text));
                self.error(&at, report::MALFORMED_TOKEN, message, format!("did you mean `{}`?", excerpt(&upper)));
            } else if !KNOWN_METHODS.contains(&text.as_str())
                && let Some(help) = did_you_mean(text, KNOWN_METHODS)
            {
                self.warning(&at, report::NO_EFFECT, format!("`{}` is an unusual method", excerpt(text)), help);
            }
        }
        written.to_vec()
    }

    /// A header field name, lower case.
    pub(super) fn header_name(&mut self, at: &SettingPath, text: &str) -> String {
        if !is_token(text) {
            let message = format!("`{}` is not a header name", excerpt(text));
            self.error(at, report::MALFORMED_TOKEN, message, "write a field name such as `x-session`");
        }
        text.to_ascii_lowercase()
    }

    /// A host with an optional port, as a Host header has it.
    pub(super) fn host_header(&mut self, at: &SettingPath, text: &str) -> String {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host_fits = is_host(host) || literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok());
        if !host_fits || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            let message = format!("`{}` is not a host", excerpt(text));
            self.error(
                at,
                report::MALFORMED_HOST,
                message,
                "write a name such as `shop.internal` or `shop.internal:8080`",
            );
        }
        text.to_owned()
    }

    /// Names of one kind: well-formed and unique. `kind` is singular: `upstream`.
    pub(super) fn names<'n>(&mut self, list: &SettingPath, kind: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = std::collections::HashMap::new();
        for (index, name) in names.enumerate() {
            let at = list.index(index).key("name");
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
                let help = format!("use letters, digits, `-`, `_` and `.`, at most {NAME_CHARS_MAX} characters");
                self.error(&at, report::MALFORMED_NAME, format!("`{}` is not a name", excerpt(name)), help);
            }
            if let Some(first) = seen.insert(name, index) {
                let line = self.line_of(&list.index(first).key("name"));
                let message = format!("two {kind}s have the name `{}`", excerpt(name));
                self.error(&at, report::NOT_UNIQUE, message, format!("the other is on line {line}; rename one"));
            }
        }
    }

    /// A reference to one of `known`. `kind` is singular.
    pub(super) fn known_name(&mut self, at: &SettingPath, kind: &str, name: &str, known: &[&str]) {
        if known.contains(&name) || self.is_partial {
            return;
        }
        let all = if known.len() <= 10 { format!("known: {}", listed(known.iter().copied())) } else { String::new() };
        let help = did_you_mean(name, known.iter().copied()).unwrap_or(all);
        self.error(at, report::UNKNOWN_NAME, format!("there is no {kind} `{}`", excerpt(name)), help);
    }
}

/// A host name: labels of letters, digits, `-` and `_`. IPv4 literals are of this form too.
fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= HOST_BYTES_MAX
        && text.split('.').all(|label| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// A URL's scheme in lower case (RFC 3986 §3.1).
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Why `text` is not an absolute path in normal form, or nothing.
fn path_fault(text: &str) -> Option<&'static str> {
    if text.len() > PATH_BYTES_MAX {
        Some("write a shorter path; the longest has 2048 bytes")
    } else if text.contains("://") {
        Some("write the path alone, without scheme and host")
    } else if !text.starts_with('/') {
        Some("begin it with `/`")
    } else if text.contains(['?', '#']) {
        Some("leave out `?` and `#`: the query is no part of the path")
    } else if text.contains("//") {
        Some("write `/` once between segments")
    } else if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some("leave out `.` and `..` segments")
    } else if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        Some("percent-encode spaces and letters beyond ASCII, as clients send them")
    } else {
        None
    }
}

/// Why the stars in a path pattern are in the wrong place, or nothing.
fn star_fault(text: &str) -> Option<&'static str> {
    let mut segments = text.split('/').rev();
    let last = segments.next().unwrap_or_default();
    if segments.clone().any(|segment| segment == "**") {
        Some("`**` stands only at the end")
    } else if text.split('/').any(|segment| segment.contains('*') && segment != "*" && segment != "**") {
        Some("`*` stands for a whole segment: `/users/*`, not `/users/a*`")
    } else if text.contains(['{', '}']) {
        Some("write `*` for a segment that varies, not `{name}`")
    } else if last.is_empty() && text != "/" {
        Some("leave out the last `/`, or write `/**` for everything below")
    } else {
        None
    }
}
