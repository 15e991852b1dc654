//! What people write in a policy of rate limits.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Duration, Size, duration_bounds, size_bounds};
use crate::defaults;
use crate::units;

/// Rate limits: how often, how many at once, how many bytes; at least one. What goes beyond is answered 429 with
/// `Retry-After`, a too large page 422, a too large response 502.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Whom counts are for: all of these together. A request that does not show one of them is counted by the client's
    /// network in its place.
    #[schemars(length(min = 1), example = vec!["principal", "endpoint"])]
    pub key: Vec<RateKey>,
    /// Names of plans: only requests with an API key of one of them are limited. Without it, all are.
    #[schemars(inner(length(min = 1, max = defaults::NAME_CHARS_MAX)), example = vec!["free"])]
    pub plans: Vec<String>,
    /// Which requests count.
    pub count: RateCount,
    /// What a request weighs in `spike_arrest` and `quota`.
    #[schemars(range(min = 1, max = defaults::WEIGHT_OF_REQUEST.max))]
    pub weight: u32,
    /// Request header with the weight, when it is more than `weight`. Let a proxy of yours write it: a client can only
    /// make its own requests weigh more.
    #[schemars(length(min = 1), example = &"x-request-cost")]
    pub weight_header: Option<String>,
    /// Pace: evenly spaced requests, and so many at once.
    pub spike_arrest: Option<SpikeArrest>,
    /// So many requests in a window.
    pub quota: Option<Quota>,
    /// So many requests in flight.
    #[schemars(range(min = 1, max = defaults::CONCURRENCY_MAX), example = 20)]
    pub concurrency: Option<u32>,
    /// So many bytes of request and response bodies in a window.
    pub bandwidth: Option<Bandwidth>,
    /// Largest response body; a larger one is not passed on.
    #[schemars(extend("x-bounds" = size_bounds(defaults::RESPONSE_BYTES)), example = &"1MiB")]
    pub response_bytes_max: Option<Size>,
    /// Largest number that a query parameter for the page size may have.
    #[schemars(range(min = 1, max = u32::MAX), example = 100)]
    pub page_size_max: Option<u32>,
    /// Those parameters, compared without case.
    #[schemars(length(min = 1), inner(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX)))]
    pub page_size_parameters: Vec<String>,
    /// Failed attempts to log in. The policy's scope says where one logs in.
    pub login: Option<Login>,
    /// With whom counts are shared. Without it, `leased` when there is `redis` and something of it that is shared then
    /// (but `local` with `count: all`), else `local`.
    pub shared: Option<RateSharing>,
    /// What holds while Redis cannot be reached. Without it, `share`.
    pub failure_mode: Option<FailureMode>,
    /// Keys that each limit counts apart. Beyond them new keys share one count until others expire.
    #[schemars(range(min = defaults::RATE_KEYS.min, max = defaults::RATE_KEYS.max))]
    pub keys_max: u32,
    /// Tell clients of enforced limits: `RateLimit-Policy` and `RateLimit` on responses, with the policy's name.
    pub announce: bool,
}

/// Something that requests are told apart by.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateKey {
    /// As whom the request acts: the holder of its credential, else of its session.
    Principal,
    /// The API key, in a header or in the query.
    ApiKey,
    /// The application that the caller's credential was given to: of an API key, or the client that a token names.
    Application,
    /// The plan of the caller's API key.
    Plan,
    /// What the client's software looks like: version of TLS and of HTTP, and what the fields say that a program sends
    /// alike with each request (`user-agent`, `accept-encoding`, `accept-language`, client hints), in their order.
    /// Clients can write what they like into them.
    Fingerprint,
    /// The client's address; of IPv6 the /64.
    Address,
    /// The country of the client's address, as `address_data` has it.
    Country,
    /// The network operator of the client's address, as `address_data` has it.
    Asn,
    /// The endpoint; before it is learned, method and API.
    Endpoint,
    /// The API.
    Api,
    /// Nothing: one count for all.
    Global,
    /// A request header. Clients can write what they like into it.
    Header(#[schemars(length(min = 1), example = &"x-tenant")] String),
    /// A cookie. Clients can write what they like into it.
    Cookie(#[schemars(length(min = 1), example = &"tenant")] String),
    /// A query parameter, compared without case. Clients can write what they like into it.
    Query(#[schemars(length(min = 1), example = &"tenant")] String),
    /// A claim of the caller whom a policy with `authenticate` knows.
    Claim(#[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"tenant")] String),
}

/// Which requests count.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateCount {
    /// Those that this stage and the ones before it let through.
    #[default]
    Admitted,
    /// Every one, refused ones too: who goes on trying goes on waiting.
    All,
}

/// With whom counts are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateSharing {
    /// Each gateway counts for itself.
    Local,
    /// The quota is shared through Redis: each gateway takes a part of it ahead of use. Requests hardly ever wait, and
    /// never more than the quota is admitted in all. Attempts to log in are counted in Redis one by one. Other limits
    /// stay local.
    Leased,
    /// Quota, spike arrest and attempts to log in are counted in Redis: each request waits for it.
    Strict,
}

/// What holds while Redis cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// Every request is admitted.
    Open,
    /// Every request is refused, once what was leased is used up.
    Closed,
    /// Each gateway admits its even share of the limit.
    Share,
}

/// A pace (GCRA): at most `requests + burst` in any window of this length.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpikeArrest {
    /// Requests.
    #[schemars(range(min = 1, max = defaults::RATE_REQUESTS_MAX), example = 10)]
    pub requests: u32,
    /// In this time.
    #[serde(default = "second")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::SPIKE_WINDOW)))]
    pub per: Duration,
    /// Requests that may come at once; 1 is an even pace.
    #[schemars(range(min = 1, max = defaults::RATE_REQUESTS_MAX), example = 20)]
    pub burst: u32,
}

/// So many requests in a window.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests.
    #[schemars(range(min = 1, max = defaults::QUOTA_REQUESTS_MAX), example = 1000)]
    pub requests: u64,
    /// Length of the window, or `month`, which is a calendar window.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::RATE_WINDOW)), example = &"1h")]
    pub per: Span,
    /// Where windows begin.
    #[serde(default)]
    pub window: QuotaWindow,
    /// When a calendar window begins; others follow before and after it. Without it, windows count from 1970-01-01 UTC,
    /// so that `1d` is the day and `1h` the hour in UTC, and a week begins on Thursday.
    #[schemars(extend("title" = "time"), example = &"2026-01-05T00:00:00Z")]
    pub start: Option<String>,
}

/// Where windows begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaWindow {
    /// Nowhere: never more than so many in any window of this length.
    #[default]
    Rolling,
    /// By the calendar, in UTC: so many in each window. Around its end twice as many may come in a short time.
    Calendar,
}

/// So many bytes in a window.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes of bodies, both ways. They are known when an exchange ends: those in flight may go beyond.
    #[schemars(extend("x-bounds" = size_bounds(defaults::BANDWIDTH_BYTES)), example = &"100MiB")]
    pub bytes: Size,
    /// In this time.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::RATE_WINDOW)), example = &"1h")]
    pub per: Duration,
}

/// Login protection: failed attempts by account and by network. Every refused attempt gets the same answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Member of the JSON or form body with the account's name, compared without case; a path in JSON has points.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"user.email")]
    pub account: String,
    /// Failed attempts at one account; 5 in `15m` unless written otherwise.
    #[serde(default = "per_account")]
    pub per_account: Attempts,
    /// Failed attempts from one network; 50 in `15m` unless written otherwise.
    #[serde(default = "per_source")]
    pub per_source: Attempts,
    /// Statuses of the answer to a failed attempt.
    #[serde(default = "failure_statuses")]
    #[schemars(length(min = 1), inner(range(min = 100, max = 599)))]
    pub failure_statuses: Vec<u16>,
    /// Bytes of a body that the account is looked for in.
    #[serde(default = "login_body_bytes")]
    #[schemars(extend("x-bounds" = size_bounds(defaults::LOGIN_BODY_BYTES)))]
    pub body_bytes_max: Size,
}

/// So many attempts in any window of this length.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// Attempts.
    #[schemars(range(min = 1, max = defaults::RATE_REQUESTS_MAX), example = 5)]
    pub attempts: u32,
    /// In this time.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::RATE_WINDOW)), example = &"15m")]
    pub per: Duration,
}

/// A length of time, or `month`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub(crate) String);

/// The word for a calendar month.
pub(crate) const MONTH: &str = "month";

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "duration or month",
            "description": "A length of time, such as `1h`, or `month`.",
            "type": "string",
            "pattern": units::SPAN_PATTERN,
        })
    }
}

impl Default for Rate {
    fn default() -> Self {
        let parameters = ["limit", "page_size", "per_page", "pagesize", "page[size]", "$top"];
        Self {
            key: vec![RateKey::Address],
            plans: Vec::new(),
            count: RateCount::Admitted,
            weight: super::small(defaults::WEIGHT_OF_REQUEST),
            weight_header: None,
            spike_arrest: None,
            quota: None,
            concurrency: None,
            bandwidth: None,
            response_bytes_max: None,
            page_size_max: None,
            page_size_parameters: parameters.map(str::to_owned).to_vec(),
            login: None,
            shared: None,
            failure_mode: None,
            keys_max: super::small(defaults::RATE_KEYS),
            announce: true,
        }
    }
}

fn second() -> Duration {
    Duration::default_of(defaults::SPIKE_WINDOW)
}

fn per_account() -> Attempts {
    Attempts { attempts: 5, per: Duration::default_of(defaults::LOGIN_WINDOW) }
}

fn per_source() -> Attempts {
    Attempts { attempts: 50, per: Duration::default_of(defaults::LOGIN_WINDOW) }
}

fn failure_statuses() -> Vec<u16> {
    vec![401, 403]
}

fn login_body_bytes() -> Size {
    Size::default_of(defaults::LOGIN_BODY_BYTES)
}
