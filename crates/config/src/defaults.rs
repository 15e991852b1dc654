//! Every default and every bound of the configuration, with its reason.

/// A default with the least and the greatest that may be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) default: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

const fn range(default: u64, min: u64, max: u64) -> Range {
    assert!(min <= default && default <= max);
    Range { default, min, max }
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A target on the same continent answers a SYN within 200 ms; three seconds cover one retransmission (RFC 6298).
pub(crate) const CONNECT_TIMEOUT: Range = range(3 * SECOND, 1, 10 * MINUTE);
/// The connection and two round trips of TLS.
pub(crate) const HANDSHAKE_TIMEOUT: Range = range(5 * SECOND, 1, 10 * MINUTE);
/// Nginx and HAProxy wait 60 s or less for an answer; callers give up by then.
pub(crate) const READ_TIMEOUT: Range = range(MINUTE, 1, DAY);
/// A target that takes nothing for this long has stopped reading.
pub(crate) const WRITE_TIMEOUT: Range = range(30 * SECOND, 1, DAY);
/// Below the 75 s after which common servers close an idle connection, so that we close it first.
pub(crate) const IDLE_TIMEOUT: Range = range(MINUTE, 1, DAY);
/// Takes a dead target out within half a minute at three failures.
pub(crate) const HEALTH_INTERVAL: Range = range(10 * SECOND, 100, HOUR);
/// A health answer that takes longer is no sign of health.
pub(crate) const HEALTH_TIMEOUT: Range = range(2 * SECOND, 1, HOUR);
/// One lost answer is no outage.
pub(crate) const UNHEALTHY_AFTER: Range = range(3, 1, 100);
/// One lucky answer is no recovery.
pub(crate) const HEALTHY_AFTER: Range = range(2, 1, 100);
/// One more target hides a single failure; more would multiply load in an outage.
pub(crate) const RETRIES: Range = range(1, 0, 10);
/// The order of the TTLs that service discovery by DNS uses.
pub(crate) const RESOLVE_INTERVAL: Range = range(30 * SECOND, SECOND, DAY);
/// Equal shares.
pub(crate) const WEIGHT: Range = range(1, 1, 1000);
/// Above nearly every JSON body, below what hurts when 1,000 of them arrive at once; nginx's default too.
pub(crate) const BODY_BYTES: Range = range(MIB, 0, 16 * GIB);
/// Eight times what browsers with large cookies send. Pingora's own bound is 1 MiB.
pub(crate) const HEADER_BYTES: Range = range(64 * KIB, KIB, MIB - 1);
/// Twice what a browser behind several proxies sends. Pingora's own bound is 256.
pub(crate) const HEADER_COUNT: Range = range(100, 1, 256);
/// A head fits into a few packets; slower is an attack (CWE-400, "slowloris").
pub(crate) const HEADER_TIMEOUT: Range = range(10 * SECOND, 100, 10 * MINUTE);
/// Long enough for a phone between two cells.
pub(crate) const CLIENT_READ_TIMEOUT: Range = range(MINUTE, 100, HOUR);
/// Pools of HTTP clients drop idle connections after 30 to 90 s; a connection costs memory and a file.
pub(crate) const KEEPALIVE_TIMEOUT: Range = range(MINUTE, 100, HOUR);
/// What a body may take beside its size: the time of a small one from a phone that lost its cell for a while.
pub(crate) const BODY_TIMEOUT: Range = range(MINUTE, 100, DAY);
/// Some 400 MiB when all are idle under TLS; beyond it other processes of an ordinary server suffer first.
pub(crate) const CONNECTIONS: Range = range(10_000, 1, 1_000_000);
/// A tenth of all: no single address can take them from the others, and an office behind one address has room.
pub(crate) const CONNECTIONS_PER_CLIENT: Range = range(1000, 1, 1_000_000);
/// Eight HTTP/2 connections that are full; no client of one user has as many calls under way.
pub(crate) const REQUESTS_PER_CLIENT: Range = range(1000, 1, 1_000_000);
/// A month shows the month's jobs; longer is a matter of disk and of law.
pub(crate) const RETENTION_AGE: Range = range(30 * DAY, HOUR, 3650 * DAY);
/// Some 100 million events, and any server has it to spare.
pub(crate) const RETENTION_SIZE: Range = range(10 * GIB, 64 * MIB, 1 << 50);
/// Two seconds of traffic at 30,000 requests a second, in about 64 MiB.
pub(crate) const QUEUE_EVENTS: Range = range(65_536, 1024, 1 << 24);
/// Some 100,000 lines: a size that editors and log shippers take.
pub(crate) const AUDIT_LOG_BYTES: Range = range(100 * MIB, 64 * KIB, 16 * GIB);
/// Half a gibibyte in all, at the default size.
pub(crate) const AUDIT_LOG_FILES: Range = range(5, 1, 1000);
/// What Kubernetes gives a pod between SIGTERM and SIGKILL.
pub(crate) const SHUTDOWN_GRACE: Range = range(30 * SECOND, 0, HOUR);
/// More than any machine has cores for.
pub(crate) const THREADS_MAX: u64 = 1024;
/// Sizes that a `limits` policy can demand.
pub(crate) const POLICY_BYTES_MAX: u64 = 16 * GIB;
/// Paranoia levels of the Core Rule Set; 1 is what it recommends to begin with.
pub(crate) const PARANOIA: Range = range(1, 1, 4);
/// One critical rule refuses, as the Core Rule Set has it; in the thousands nothing ever is refused.
pub(crate) const ANOMALY_THRESHOLD: Range = range(5, 1, 10_000);
/// All that an API takes by default: padding in front of an attack does not carry it past the rules.
pub(crate) const THREAT_BODY_BYTES: Range = range(MIB, KIB, 16 * MIB);
/// LIMIT: characters of a parameter's, field's or cookie's name in an exclusion, and of a tag.
pub(crate) const MEMBER_NAME_CHARS_MAX: u64 = 256;
/// An API's default limit: bodies that pass it are looked at whole.
pub(crate) const CONTENT_BODY_BYTES: Range = range(MIB, KIB, 64 * MIB);
/// LIMIT: characters of a regular expression in a policy.
pub(crate) const PATTERN_CHARS_MAX: u64 = 4096;

/// A second: what a pace is thought in.
pub(crate) const SPIKE_WINDOW: Range = range(SECOND, 1, DAY);
/// Windows of quotas and bandwidth; a year covers every plan that is sold.
pub(crate) const RATE_WINDOW: Range = range(HOUR, SECOND, 366 * DAY);
/// LIMIT: requests of a pace: a thousand million in its time are no limit.
pub(crate) const RATE_REQUESTS_MAX: u64 = 1_000_000_000;
/// LIMIT: requests of a quota.
pub(crate) const QUOTA_REQUESTS_MAX: u64 = 1_000_000_000_000;
/// LIMIT: requests in flight; more than any machine has connections for.
pub(crate) const CONCURRENCY_MAX: u64 = 1_000_000;
/// One request is one request.
pub(crate) const WEIGHT_OF_REQUEST: Range = range(1, 1, 1_000_000);
/// Bytes of a bandwidth quota.
pub(crate) const BANDWIDTH_BYTES: Range = range(GIB, KIB, 1 << 50);
/// Largest response body that a policy can demand.
pub(crate) const RESPONSE_BYTES: Range = range(MIB, 1, 16 * GIB);
/// A million clients: 32 MB for a pace, some 200 MB for a large rolling quota, and only when they come.
pub(crate) const RATE_KEYS: Range = range(1_000_000, 1000, 100_000_000);
/// LIMIT: applications that a plan, or the quota of a key, counts apart: more than an installation keeps API keys of.
pub(crate) const APPLICATIONS_MAX: u32 = 65_536;
/// Some minutes slow guessing to a few hundred tries a day; an hour would lock people out.
pub(crate) const LOGIN_WINDOW: Range = range(15 * MINUTE, SECOND, 366 * DAY);
/// Forms and JSON of a login are a few hundred bytes.
pub(crate) const LOGIN_BODY_BYTES: Range = range(64 * KIB, KIB, MIB);
/// A request waits for an external authorizer, so half a second is long.
pub(crate) const EXTERNAL_TIMEOUT: Range = range(500, 10, 10 * SECOND);
/// By default every request is asked about: only the operator knows what its answers depend on.
pub(crate) const EXTERNAL_AGE: Range = range(0, 0, 5 * MINUTE);
/// LIMIT: fields that an external authorizer is told of each request.
pub(crate) const EXTERNAL_HEADERS_MAX: usize = 32;
/// LIMIT: files with revocation lists of one listener or certificate; each is read into memory, a bundle may hold many.
pub(crate) const REVOCATION_LISTS_MAX: usize = 32;
/// LIMIT: methods of one `authenticate` policy; each may cost a signature check a request.
pub(crate) const AUTHENTICATION_METHODS_MAX: usize = 16;
/// Clocks that are kept by NTP differ by less than a second; half a minute forgives those that are not.
pub(crate) const LEEWAY: Range = range(30 * SECOND, 0, 5 * MINUTE);
/// An issuer that is down for a working day and a night must not stop those it vouched for before.
pub(crate) const KEYS_AGE: Range = range(DAY, 5 * MINUTE, 30 * DAY);
/// A proof is made for one request: a minute covers its way and the clocks (RFC 9449 §11.1).
pub(crate) const PROOF_AGE: Range = range(MINUTE, SECOND, 10 * MINUTE);
/// A revoked token lives on for at most so long.
pub(crate) const INTROSPECTION_AGE: Range = range(MINUTE, 0, HOUR);
/// A signature is made for one request (RFC 9421 §7.2.2).
pub(crate) const SIGNATURE_AGE: Range = range(5 * MINUTE, SECOND, HOUR);
/// Nobody is in two countries within an hour but at a border; a day is what is remembered of a caller.
pub(crate) const CONTINUITY_WINDOW: Range = range(HOUR, MINUTE, DAY);
/// Countries or operators of one caller in a window; the engine remembers eight places of each.
pub(crate) const CONTINUITY_PLACES: Range = range(1, 1, 6);
/// Kilometers an hour: from a walk to what reaches every place within a minute.
pub(crate) const CONTINUITY_SPEED: Range = range(1000, 1, 100_000);
/// LIMIT: characters of a scope.
pub(crate) const SCOPE_CHARS_MAX: u64 = 128;
/// LIMIT: characters of a URL or of an issuer's name.
pub(crate) const URL_CHARS_MAX: u64 = 512;
/// Ten minutes spare most preflights, and a change is known soon.
pub(crate) const PREFLIGHT_AGE: Range = range(10 * MINUTE, 0, DAY);
/// A year is what browsers want before they ship with it.
pub(crate) const HSTS_AGE: Range = range(365 * DAY, 0, 3650 * DAY);
/// LIMIT: characters of a field's value in a policy; a content security policy is the longest that people write.
pub(crate) const FIELD_VALUE_CHARS_MAX: u64 = 4096;
/// What most clients send their key in.
pub(crate) const API_KEY_HEADER: &str = "x-api-key";
/// Said in challenges when nothing else is.
pub(crate) const REALM: &str = "api";

/// An answer that does not say how long it may be kept is not kept.
pub(crate) const CACHE_TTL: Range = range(0, 0, DAY);
/// A mistake in an upstream's `max-age` is over within the hour.
pub(crate) const CACHE_TTL_MAX: Range = range(HOUR, SECOND, 30 * DAY);
/// What was missing may be there soon.
pub(crate) const CACHE_TTL_MISSING: Range = range(10 * SECOND, 0, DAY);
/// Old answers are given only where someone has written so.
pub(crate) const CACHE_STALE: Range = range(0, 0, 7 * DAY);
/// A slow upstream answers by then; who waits longer is better served by a request of its own.
pub(crate) const CACHE_WAIT: Range = range(2 * SECOND, 0, 30 * SECOND);
/// LIMIT: nearly every JSON answer is smaller; each is collected in memory while it passes.
pub(crate) const CACHE_BODY_BYTES: Range = range(256 * KIB, 1, 16 * MIB);
/// LIMIT: memory of one policy's answers.
pub(crate) const CACHE_BYTES: Range = range(64 * MIB, MIB, 64 * GIB);
/// Whole answers that mean the same for a while.
pub(crate) const CACHE_STATUSES: [u16; 6] = [200, 203, 301, 308, 404, 410];
/// Those that may be kept (RFC 9110 §15.1), but parts (206), and redirections for a while.
pub(crate) const CACHEABLE_STATUSES: [u16; 14] = [200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 451, 501];

/// LIMIT: gateways of one Redis; blocks of a quota get too small to lease beyond it.
pub(crate) const GATEWAYS_MAX: u64 = 1000;
/// Redis' own greatest number of databases is a setting; nobody has more.
pub(crate) const REDIS_DATABASE_MAX: u64 = 1023;
/// A round trip in one data center takes a millisecond; a request waits no longer for a count than for a slow upstream.
pub(crate) const REDIS_TIMEOUT: Range = range(50, 1, 5 * SECOND);
/// What the keys in Redis begin with.
pub(crate) const REDIS_KEY_PREFIX: &str = "bartizan";
/// What Azure AD, Okta and Keycloak call the claim.
pub(crate) const GROUPS_CLAIM: &str = "groups";
/// JSON of ordinary calls is a few kilobytes.
pub(crate) const AUTHORIZE_BODY_BYTES: Range = range(64 * KIB, KIB, 16 * MIB);
/// LIMIT: operations of one `authorize` policy; large contracts have some hundred.
pub(crate) const OPERATIONS_MAX: usize = 1000;
/// LIMIT: rules of one `authorize` policy.
pub(crate) const AUTHORIZATION_RULES_MAX: usize = 1000;
/// LIMIT: alternatives of one rule, and object rules of one requirement; each is computed for each request.
pub(crate) const ALTERNATIVES_MAX: u64 = 16;
pub(crate) const OBJECT_RULES_MAX: u64 = 16;
/// LIMIT: characters of an object rule: two names and a comparison.
pub(crate) const OBJECT_RULE_CHARS_MAX: u64 = 600;
/// LIMIT: characters of a condition; it is computed for each request.
pub(crate) const CONDITION_CHARS_MAX: u64 = 1024;
/// LIMIT: characters of a role's or group's name.
pub(crate) const WORD_CHARS_MAX: u64 = 255;
/// LIMIT: files of Cedar policies.
pub(crate) const CEDAR_FILES_MAX: u64 = 64;

/// Beside the configuration file, unless said otherwise.
pub(crate) const DATA_DIRECTORY: &str = "bartizan-data";
/// Loopback only: reaching it from elsewhere is a choice that someone must write down.
pub(crate) const CONSOLE_ADDRESS: &str = "127.0.0.1:8600";
/// The API that is meant when none is written and there is one upstream.
pub(crate) const API_NAME: &str = "default";
/// LIMIT: characters of a name; it becomes a label in events and metrics.
pub(crate) const NAME_CHARS_MAX: u64 = 64;
