//! What a policy that keeps answers means.

/// Answers that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// What tells answers apart beside scheme, host, path and what clients accept; says whose they are
    pub key: Vec<CacheKey>,
    /// Callers who are known may share answers though the key does not tell them apart
    pub shared: bool,
    /// Lifetime of answers that do not say one, in milliseconds; 0 = they are not kept
    pub ttl_ms: u64,
    /// Longest lifetime, in milliseconds
    pub ttl_max_ms: u64,
    /// Longest lifetime of 404 and 410, in milliseconds
    pub ttl_missing_ms: u64,
    /// Lifetimes are what answers say, and RFC 9111 §3.5 holds
    pub respect_cache_control: bool,
    /// Statuses that are kept
    pub statuses: Vec<u16>,
    /// Largest body, in bytes
    pub body_bytes_max: u64,
    /// Memory of all, in bytes
    pub bytes_max: u64,
    /// For how long after its lifetime an answer is given while another request renews it, in milliseconds
    pub stale_while_revalidate_ms: u64,
    /// For how long after its lifetime an answer is given in place of an upstream that fails, in milliseconds
    pub stale_if_error_ms: u64,
    /// How long a request waits for another one that fetches the same, in milliseconds; 0 = not at all
    pub wait_ms: u64,
}

/// Something that answers are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheKey {
    /// Nobody
    Anonymous,
    /// As whom the request acts, and what it may
    Principal,
    /// The OAuth client or the owner of the key
    Application,
    /// The scopes
    Scopes,
    /// The roles
    Roles,
    /// The whole query
    Query,
    /// A query parameter, by name; others pass the cache by
    Parameter(String),
    /// A request header, lower case
    Header(String),
}

impl CacheKey {
    /// Whether it tells callers apart.
    pub const fn is_of_caller(&self) -> bool {
        match self {
            Self::Principal | Self::Application | Self::Scopes | Self::Roles => true,
            Self::Anonymous | Self::Query | Self::Parameter(_) | Self::Header(_) => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Principal => "principal".to_owned(),
            Self::Application => "application".to_owned(),
            Self::Scopes => "scopes".to_owned(),
            Self::Roles => "roles".to_owned(),
            Self::Query => "query".to_owned(),
            Self::Parameter(name) => format!("parameter {name}"),
            Self::Header(name) => format!("header {name}"),
        }
    }
}

impl Cache {
    /// Whether the key tells callers apart.
    pub fn is_by_caller(&self) -> bool {
        self.key.iter().any(CacheKey::is_of_caller)
    }

    /// Whether the key has this header.
    pub fn has_header(&self, name: &[u8]) -> bool {
        let mut parts = self.key.iter();
        parts.any(|part| matches!(part, CacheKey::Header(header) if name.eq_ignore_ascii_case(header.as_bytes())))
    }

    /// What it keeps, in one line.
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self.key.iter().map(CacheKey::words).collect();
        let whose = if self.shared { ", shared by all callers" } else { "" };
        format!("answers by {}{whose}, at most {} B", parts.join(", "), self.bytes_max)
    }
}
