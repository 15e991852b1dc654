//! What people write in policies about web pages that call an API: `cors`, `csrf`, `response_headers`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, duration_bounds};
use crate::defaults;

/// Which web pages of other origins may call (CORS; Fetch standard, "CORS protocol"). The gateway answers preflights
/// itself, and alone says what browsers are told: what the upstream says of it is removed. Others are answered 403.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins of those pages: `https://*.shop.example` stands for every name below `shop.example`, and `*` alone for
    /// every origin.
    #[schemars(length(min = 1), inner(length(min = 1, max = defaults::URL_CHARS_MAX)), example = vec!["https://www.shop.example", "https://*.shop.example"])]
    pub origins: Vec<String>,
    /// Pages with an opaque origin (local files, sandboxed frames) may call too. Anybody can make such a page.
    #[serde(default)]
    pub opaque_origin: bool,
    /// Methods they may use.
    #[serde(default = "cors_methods")]
    #[schemars(length(min = 1))]
    pub methods: Vec<String>,
    /// Header fields they may send, beside those that every page may (`Accept`, `Range` …); `*` alone stands for all but
    /// `Authorization`.
    #[serde(default = "cors_headers")]
    pub headers: Vec<String>,
    /// Header fields of answers that they may read, beside those that every page may; `*` alone stands for all.
    #[serde(default)]
    #[schemars(example = vec!["etag", "ratelimit"])]
    pub exposed_headers: Vec<String>,
    /// Browsers may send cookies and certificates along. Never with a `*`.
    #[serde(default)]
    pub credentials: bool,
    /// How long browsers may keep the answer to a preflight. They keep it for at most two to 24 hours.
    #[serde(default = "preflight_age")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::PREFLIGHT_AGE)))]
    pub max_age: Duration,
    /// Pages from the Internet may call though this API stands in a private network (Private Network Access).
    #[serde(default)]
    pub private_network: bool,
}

/// Requests that change something must not come from pages of others (cross-site request forgery). Where they come from
/// is told by `Sec-Fetch-Site`, else by `Origin`, else by `Referer`. Calls that prove who they are by a field that
/// browsers do not send by themselves (Bearer, DPoP, API key) pass. Others are answered 403.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Csrf {
    /// Origins whose pages may call beside those of the API itself: `https://*.shop.example` stands for every name below
    /// `shop.example`.
    #[schemars(inner(length(min = 1, max = defaults::URL_CHARS_MAX)), example = vec!["https://app.shop.example"])]
    pub origins: Vec<String>,
    /// Pages of the same site may call: every host below the same registrable domain, whoever runs it.
    pub same_site: bool,
    /// Methods that change nothing and are not looked at. WebSocket handshakes always are.
    pub safe_methods: Vec<String>,
    /// Let requests with a cookie pass that do not say where they come from. Browsers since 2020 always do.
    pub allow_unknown: bool,
    /// Demand a token that only pages of the API itself can read (double submit).
    pub token: Option<CsrfToken>,
}

/// A token that pages read from a cookie and send in a header field.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsrfToken {
    /// The cookie that the upstream sets, at least 16 bytes of chance.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"__Host-csrf")]
    pub cookie: String,
    /// The header field with the same value.
    #[serde(default = "csrf_header")]
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub header: String,
}

/// Header fields of answers that tell browsers what they may do with them, and those that tell strangers what runs here.
/// `enforce` sets and removes them, also on refusals; `observe` tells what would be changed. Nothing is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseHeaders {
    /// Only TLS from now on (RFC 6797); said only over TLS.
    pub strict_transport_security: StrictTransportSecurity,
    /// Media types are what the answer says (`X-Content-Type-Options: nosniff`).
    pub content_type_options: bool,
    /// `Referrer-Policy`; `unset` sets none.
    pub referrer_policy: ReferrerPolicy,
    /// `Content-Security-Policy`; empty sets none. `frame-ancestors 'none'` keeps others from framing a page.
    #[schemars(length(max = defaults::FIELD_VALUE_CHARS_MAX))]
    pub content_security_policy: String,
    /// `Permissions-Policy`; empty sets none.
    #[schemars(length(max = defaults::FIELD_VALUE_CHARS_MAX), example = &"camera=(), geolocation=()")]
    pub permissions_policy: String,
    /// `Cache-Control` of answers to requests that carry a credential; empty sets none.
    #[schemars(length(max = defaults::FIELD_VALUE_CHARS_MAX))]
    pub cache_control: String,
    /// What becomes of a field that the upstream has set itself.
    pub existing: ExistingHeader,
    /// Further fields.
    pub set: Vec<SetHeader>,
    /// Fields that are taken out.
    pub remove: Vec<String>,
}

/// How long browsers shall speak only TLS with this host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StrictTransportSecurity {
    /// Whether it is said at all.
    pub enabled: bool,
    /// For how long.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::HSTS_AGE)))]
    pub max_age: Duration,
    /// For every name below this host too.
    pub include_subdomains: bool,
    /// Agree that browsers are shipped with this knowledge. It takes months to take back.
    pub preload: bool,
}

/// What a page tells others of where it was (`Referrer-Policy`).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReferrerPolicy {
    /// Nothing. Forms are sent without an origin then, also to the page's own.
    NoReferrer,
    /// The whole URL to itself, nothing to others.
    #[default]
    SameOrigin,
    /// The origin alone, and nothing in clear text.
    StrictOrigin,
    /// The whole URL to itself, the origin to others, nothing in clear text.
    StrictOriginWhenCrossOrigin,
    /// The field is not set.
    Unset,
}

/// What becomes of a field that the upstream has set itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExistingHeader {
    /// It stays as it is.
    #[default]
    Keep,
    /// The policy's own takes its place.
    Replace,
}

/// A field that is set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHeader {
    /// Its name.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"x-frame-options")]
    pub name: String,
    /// Its value.
    #[schemars(length(min = 1, max = defaults::FIELD_VALUE_CHARS_MAX), example = &"DENY")]
    pub value: String,
    /// What becomes of the upstream's own. Without it, what the policy says.
    pub existing: Option<ExistingHeader>,
}

impl Default for Csrf {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            same_site: false,
            safe_methods: ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec(),
            allow_unknown: false,
            token: None,
        }
    }
}

impl Default for ResponseHeaders {
    fn default() -> Self {
        Self {
            strict_transport_security: StrictTransportSecurity::default(),
            content_type_options: true,
            referrer_policy: ReferrerPolicy::default(),
            content_security_policy: "frame-ancestors 'none'".to_owned(),
            permissions_policy: String::new(),
            cache_control: "no-store".to_owned(),
            existing: ExistingHeader::default(),
            set: Vec::new(),
            remove: ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"].map(str::to_owned).to_vec(),
        }
    }
}

impl Default for StrictTransportSecurity {
    fn default() -> Self {
        Self {
            enabled: true,
            max_age: Duration::default_of(defaults::HSTS_AGE),
            include_subdomains: false,
            preload: false,
        }
    }
}

fn cors_methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).to_vec()
}

fn cors_headers() -> Vec<String> {
    vec!["content-type".to_owned()]
}

fn preflight_age() -> Duration {
    Duration::default_of(defaults::PREFLIGHT_AGE)
}

fn csrf_header() -> String {
    "x-csrf-token".to_owned()
}
