//! Which API a request belongs to: the most specific host, then the longest path prefix on whole segments.
//!
//! Hosts are tried from exact over wildcards, longest suffix first, to "every host"; when none of a host's prefixes
//! holds the path, the next less specific host is tried. Lookups are binary searches over tables made once per
//! Snapshot: no hashing of what strangers send.

use std::sync::Arc;

use bartizan_config::{Api, Config, HostPattern};

use crate::path::{self, Pattern, Readings};
use crate::snapshot::Route;

/// Number of an API within its Snapshot.
pub(crate) type ApiIndex = u32;

/// The routing tables.
#[derive(Debug)]
pub(crate) struct Routes {
    apis: Box<[CompiledApi]>,
    exact: HostTable,
    wildcard: HostTable,
    every: Prefixes,
}

/// Host name, or suffix with its leading dot, to prefixes; sorted by name.
type HostTable = Box<[(Box<str>, Prefixes)]>;

/// Longest first.
type Prefixes = Vec<Prefix>;

/// A prefix without trailing slash, and its API.
type Prefix = (Box<[u8]>, ApiIndex);

#[derive(Debug)]
struct CompiledApi {
    whole: Arc<Route>,
    streaming: Arc<Route>,
    streaming_paths: Box<[Pattern]>,
}

impl Routes {
    pub(crate) fn compile(config: &Config) -> Self {
        let mut exact = Vec::new();
        let mut wildcard = Vec::new();
        let mut every = Prefixes::new();
        for (index, api) in (0..).zip(&config.apis) {
            let prefix = api.path_prefix.trim_end_matches('/').as_bytes();
            if api.hosts.is_empty() {
                every.push((prefix.into(), index));
            }
            for host in &api.hosts {
                let (table, name) = match host {
                    HostPattern::Exact(name) => (&mut exact, name),
                    HostPattern::Wildcard(suffix) => (&mut wildcard, suffix),
                };
                table.push((name.to_ascii_lowercase(), (prefix.into(), index)));
            }
        }
        every.sort_by_key(|(prefix, _): &Prefix| std::cmp::Reverse(prefix.len()));
        let apis = config.apis.iter().map(CompiledApi::new).collect();
        Self { apis, exact: host_table(exact), wildcard: host_table(wildcard), every }
    }

    /// The API for this host (without port, in lower case) and path.
    pub(crate) fn find(&self, host: &str, path: &[u8]) -> Option<ApiIndex> {
        let exact = prefixes(&self.exact, host).and_then(|prefixes| longest(prefixes, path));
        exact.or_else(|| self.find_wildcard(host, path)).or_else(|| longest(&self.every, path))
    }

    /// `*.example.com` stands for one or more labels: suffixes from the longest.
    fn find_wildcard(&self, host: &str, path: &[u8]) -> Option<ApiIndex> {
        if self.wildcard.is_empty() {
            return None;
        }
        let suffixes = host.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| host.get(at..));
        suffixes.filter_map(|suffix| prefixes(&self.wildcard, suffix)).find_map(|prefixes| longest(prefixes, path))
    }

    /// The route of an API: streaming only when every reading of the path is declared so.
    pub(crate) fn route(&self, index: ApiIndex, readings: &Readings<'_>) -> Option<&Arc<Route>> {
        let api = self.apis.get(index as usize)?;
        let is_streaming = !api.streaming_paths.is_empty()
            && readings.all(|path| api.streaming_paths.iter().any(|pattern| pattern.is_match(path)));
        Some(if is_streaming { &api.streaming } else { &api.whole })
    }
}

impl CompiledApi {
    fn new(api: &Api) -> Self {
        let route = |streaming| {
            Arc::new(Route {
                api: api.name.as_str().into(),
                upstream: api.upstream.as_str().into(),
                host_header: api.host_header.clone(),
                streaming,
                body_bytes_max: api.body_bytes_max,
            })
        };
        Self {
            whole: route(false),
            streaming: route(true),
            streaming_paths: api.streaming.iter().map(Pattern::new).collect(),
        }
    }
}

fn host_table(mut entries: Vec<(String, Prefix)>) -> HostTable {
    entries.sort_by(|a, b| (&a.0, b.1.0.len()).cmp(&(&b.0, a.1.0.len())));
    let mut table: Vec<(Box<str>, Prefixes)> = Vec::new();
    for (host, prefix) in entries {
        match table.last_mut() {
            Some((last, prefixes)) if **last == *host => prefixes.push(prefix),
            _ => table.push((host.into_boxed_str(), vec![prefix])),
        }
    }
    table.into_boxed_slice()
}

fn prefixes<'a>(table: &'a HostTable, host: &str) -> Option<&'a Prefixes> {
    let at = table.binary_search_by(|(name, _)| (**name).cmp(host)).ok()?;
    table.get(at).map(|(_, prefixes)| prefixes)
}

fn longest(prefixes: &Prefixes, path: &[u8]) -> Option<ApiIndex> {
    prefixes.iter().find(|(prefix, _)| path::is_under(prefix, path)).map(|(_, index)| *index)
}
