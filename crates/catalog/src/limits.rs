//! Bounds of the catalog: hosts, paths and names are the attacker's to choose, so every one of them has a limit.

/// LIMIT: segments of a path that is cataloged; deeper paths are counted by no endpoint (`PathTemplate` allows 64).
pub(crate) const DEPTH_MAX: usize = 32;

/// LIMIT: bytes of one segment that becomes a literal; a longer one is a value whatever it looks like.
pub(crate) const LITERAL_BYTES_MAX: usize = 96;

/// LIMIT: distinct status codes kept for one endpoint; upstreams may send any number from 100 to 999.
pub(crate) const STATUSES_MAX: usize = 48;

/// LIMIT: media types kept for one endpoint and direction; clients choose them freely.
pub(crate) const MEDIA_TYPES_MAX: usize = 16;

/// LIMIT: paths kept as examples of one endpoint.
pub(crate) const PATHS_SAMPLE_MAX: usize = 5;

/// LIMIT: values kept of one merged path segment, with the records they had before the merge.
pub(crate) const MERGED_VALUES_MAX: usize = 64;

/// LIMIT: records kept beneath one merged value.
pub(crate) const MERGED_RECORDS_MAX: usize = 16;

/// LIMIT: methods of one path; a client may invent methods, real APIs use at most nine.
pub(crate) const METHODS_MAX: usize = 16;

/// What a catalog may hold. Every field is an upper bound; what does not fit is counted in [`CatalogStats`](crate::CatalogStats).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogLimits {
    /// LIMIT: hosts. The `Host` header is the client's to choose: a host is known once the upstream answered for it, and
    /// the host that was silent longest makes way for a new one
    pub hosts_max: usize,
    /// LIMIT: endpoints of one host
    pub endpoints_max: usize,
    /// LIMIT: trie nodes of one host
    pub nodes_max: usize,
    /// LIMIT: literal segments under one parent; the next is taken for a value
    pub literals_max: usize,
    /// LIMIT: candidates of one host; the stalest makes way
    pub candidates_max: usize,
    /// LIMIT: distinct actors that make a candidate an endpoint although the upstream never answered below 400
    pub promoting_actors: usize,
    /// LIMIT: parameters of one endpoint; the rarest makes way
    pub parameters_max: usize,
    /// LIMIT: callers listed for one endpoint; the rarest makes way, the distinct count goes on
    pub callers_max: usize,
    /// Key of the sketches' hashes, so that nobody outside can aim at a register. Must be the same after a restart
    pub hash_key: [u64; 2],
}

impl Default for CatalogLimits {
    fn default() -> Self {
        Self {
            hosts_max: 256,
            endpoints_max: 10_000,
            nodes_max: 40_000,
            literals_max: 512,
            candidates_max: 1_000,
            promoting_actors: 3,
            parameters_max: 128,
            callers_max: 32,
            hash_key: [0x6261_7274_697a_616e, 0x6361_7461_6c6f_6721],
        }
    }
}
