//! What our engine logs when it is made to behave as libmodsecurity does in one respect: if that alone makes a rule's
//! difference go away, the respect is its cause.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bartizan_waf::{Gates, Plan};

use crate::compare::ids;
use crate::engine;
use crate::harness::{Exchange, Logged, field};

/// The rules that are logged, each once.
pub type Ids = BTreeSet<u32>;

/// The ids that some exchange leads to, by respect.
#[derive(Default)]
pub struct Counterfactual {
    /// `^` and `$` are the ends of lines
    pub with_lines: Ids,
    /// Line ends are dropped from the values of multipart parts
    pub with_joined_parts: Ids,
    /// The path ends before an encoded question mark
    pub with_cut_path: Ids,
    /// The target ends before `#`
    pub with_cut_target: Ids,
    /// There is no body
    pub without_body: Ids,
    /// Values end before a NUL, however it is written
    pub with_cut_values: Ids,
    /// The arguments of the query come in the opposite order
    pub with_reversed_query: Ids,
}

/// Our engine, and our engine with the patterns of lines.
pub struct Ours {
    plan: Arc<Plan>,
    lines: Arc<Plan>,
}

impl Ours {
    pub fn new(config: &Path) -> Result<Self> {
        Ok(Self { plan: engine::plan_as_peer(config, Gates::All)?, lines: engine::plan_of_lines(config)? })
    }

    pub fn logged(&self, exchange: &Exchange) -> Vec<Logged> {
        engine::run(&self.plan, exchange).0
    }

    /// All respects, one at a time.
    pub fn counterfactual(&self, exchange: &Exchange) -> Counterfactual {
        let logged = |exchange: &Exchange| ids(&self.logged(exchange));
        let with_target = |target: Vec<u8>| logged(&Exchange { target, ..exchange.clone() });
        let with_body = |body: Vec<u8>| logged(&Exchange { body, ..exchange.clone() });
        Counterfactual {
            with_lines: ids(&engine::run(&self.lines, exchange).0),
            with_joined_parts: with_body(joined_parts(exchange)),
            with_cut_path: with_target(cut_path(&exchange.target)),
            with_cut_target: with_target(before(&exchange.target, b"#").to_vec()),
            without_body: with_body(Vec::new()),
            with_cut_values: {
                let (target, body) = (cut_values(&exchange.target), cut_values(&exchange.body));
                let headers = exchange.headers.iter().map(|(name, value)| (name.clone(), cut_values(value))).collect();
                logged(&Exchange { target, body, headers, ..exchange.clone() })
            },
            with_reversed_query: with_target(reversed_query(&exchange.target)),
        }
    }
}

/// What stands before the first of these.
fn before<'a>(bytes: &'a [u8], end: &[u8]) -> &'a [u8] {
    memchr::memmem::find(bytes, end).map_or(bytes, |at| &bytes[..at])
}

/// The target without what follows an encoded question mark in its path; the query stays.
fn cut_path(target: &[u8]) -> Vec<u8> {
    let path = before(target, b"?");
    let cut = before(before(path, b"%3f"), b"%3F");
    [cut, &target[path.len()..]].concat()
}

/// Without what stands between a NUL and the end of its value.
fn cut_values(bytes: &[u8]) -> Vec<u8> {
    const NULS: [&[u8]; 8] = [b"\0", b"%00", b"%2500", b"\\u0000", b"\\x00", b"\\0", b"%5C0", b"&#x0;"];
    const ENDS: &[u8] = b"&\"<\r\n";
    let mut cut = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if NULS.iter().any(|nul| rest.starts_with(nul)) {
            // A reference begins with what ends other values.
            let end = rest.iter().skip(1).position(|byte| ENDS.contains(byte)).map_or(rest.len(), |at| at + 1);
            rest = &rest[end..];
        } else {
            cut.push(first);
            rest = &rest[1..];
        }
    }
    cut
}

fn reversed_query(target: &[u8]) -> Vec<u8> {
    let path = before(target, b"?");
    let query = target.get(path.len() + 1..).unwrap_or_default();
    let pairs: Vec<&[u8]> = query.rsplit(|byte| *byte == b'&').collect();
    [path, b"?", &pairs.join(&b'&')].concat()
}

/// The body with each value of a multipart field in one line.
fn joined_parts(exchange: &Exchange) -> Vec<u8> {
    let body = exchange.body.as_slice();
    let content_type = field(&exchange.headers, "Content-Type").unwrap_or_default();
    let Some(at) = memchr::memmem::find(content_type, b"boundary=") else { return body.to_vec() };
    let boundary = content_type[at + 9..].split(|byte| matches!(byte, b';' | b',' | b' ')).next().unwrap_or_default();
    let delimiter = [b"--".as_slice(), boundary.strip_prefix(b"\"").unwrap_or(boundary)].concat();
    let delimiter = delimiter.strip_suffix(b"\"").unwrap_or(&delimiter);
    let mut joined = Vec::with_capacity(body.len());
    let (mut is_value, mut is_file) = (false, false);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(delimiter) {
            if is_value && !is_file {
                joined.extend(b"\r\n");
            }
            (is_value, is_file) = (false, false);
        } else if !is_value {
            is_file |= memchr::memmem::find(&line.to_ascii_lowercase(), b"filename=").is_some();
            is_value = line.trim_ascii().is_empty();
        } else if !is_file {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            joined.extend(content.strip_suffix(b"\r").unwrap_or(content));
            continue;
        }
        joined.extend(line);
    }
    joined
}
