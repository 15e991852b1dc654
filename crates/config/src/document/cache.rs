//! What people write in a policy that keeps answers: `cache`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Size, duration_bounds, size_bounds};
use crate::defaults;

/// Answers to `GET` that are kept in memory and given again (RFC 9111). Every other policy looks at each request, and at
/// each answer, as if it came from the upstream. Scheme, host, path, `Accept`, `Accept-Encoding`, `Accept-Language` and
/// `Origin` always tell answers apart. `observe` keeps no answers and tells how many it would have given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// What else tells answers apart. It must say whose they are: `principal`, `application`, `scopes` or `roles`, or
    /// `anonymous`.
    #[schemars(length(min = 1), example = vec!["principal", "query"])]
    pub key: Vec<CacheKey>,
    /// Answers may be shared by callers who proved who they are. Write it only where an answer depends on nobody.
    #[serde(default)]
    pub shared: bool,
    /// How long answers are kept.
    #[serde(default)]
    pub ttl: CacheTtl,
    /// Keep answers as long as they say, and those to requests with a credential only where they allow it (RFC 9111 §3.5).
    /// `false` keeps all for `ttl.default`. Both ways `no-store`, `private`, `no-cache`, `Vary` and `Set-Cookie` hold.
    #[serde(default = "super::yes")]
    pub respect_cache_control: bool,
    /// Statuses of answers that are kept.
    #[serde(default = "statuses")]
    #[schemars(length(min = 1), inner(range(min = 200, max = 599)))]
    pub statuses: Vec<u16>,
    /// Largest body that is kept.
    #[serde(default = "body_bytes_max")]
    #[schemars(extend("x-bounds" = size_bounds(defaults::CACHE_BODY_BYTES)))]
    pub body_bytes_max: Size,
    /// Memory for all answers of this policy; beyond it those go that were not asked for longest.
    #[serde(default = "bytes_max")]
    #[schemars(extend("x-bounds" = size_bounds(defaults::CACHE_BYTES)))]
    pub bytes_max: Size,
    /// While one request renews an answer that is older than it may be by no more than this, others still get it.
    #[serde(default = "never_stale")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_STALE)))]
    pub stale_while_revalidate: Duration,
    /// When the upstream fails, give an answer that is older than it may be by no more than this.
    #[serde(default = "never_stale")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_STALE)))]
    pub stale_if_error: Duration,
    /// How long a request waits for another one that already fetches the same answer; `0s` never waits.
    #[serde(default = "wait")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_WAIT)))]
    pub wait: Duration,
}

/// Something that answers are told apart by.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheKey {
    /// Nobody: all callers without a credential share answers.
    Anonymous,
    /// As whom the request acts, with scopes, roles and claims. Nobody else ever gets the answer.
    Principal,
    /// The OAuth client or the owner of the key: all that call through it share answers.
    Application,
    /// The scopes: all that have the same share answers.
    Scopes,
    /// The roles: all that have the same share answers.
    Roles,
    /// The whole query, as it is sent.
    Query,
    /// A query parameter. Requests with others than those named pass the cache by.
    Parameter(#[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"page")] String),
    /// A request header. Requests with fields that neither HTTP nor the key knows pass the cache by.
    Header(#[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"x-tenant")] String),
}

/// How long answers are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheTtl {
    /// Those that do not say how long; `0s` keeps none of them.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_TTL)))]
    pub default: Duration,
    /// All, at most.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_TTL_MAX)))]
    pub max: Duration,
    /// Those of 404 and 410, at most.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CACHE_TTL_MISSING)))]
    pub missing: Duration,
}

impl Default for CacheTtl {
    fn default() -> Self {
        Self {
            default: Duration::default_of(defaults::CACHE_TTL),
            max: Duration::default_of(defaults::CACHE_TTL_MAX),
            missing: Duration::default_of(defaults::CACHE_TTL_MISSING),
        }
    }
}

fn statuses() -> Vec<u16> {
    defaults::CACHE_STATUSES.to_vec()
}

fn body_bytes_max() -> Size {
    Size::default_of(defaults::CACHE_BODY_BYTES)
}

fn bytes_max() -> Size {
    Size::default_of(defaults::CACHE_BYTES)
}

fn never_stale() -> Duration {
    Duration::default_of(defaults::CACHE_STALE)
}

fn wait() -> Duration {
    Duration::default_of(defaults::CACHE_WAIT)
}
