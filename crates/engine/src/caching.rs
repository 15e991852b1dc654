//! Whether an answer may be one that was kept, and under which key: from the head as it was inspected.
//!
//! The key holds every byte that the upstream's answer may depend on: what it does not hold must not reach the upstream in a
//! request whose answer is kept, else one client chooses what others get (cache poisoning). So each field of a request is
//! in the key, or taken out on the way ([`CacheRequest::withholds`]), or of the connection alone, or the proof of the very
//! caller who is in the key; with any other field the request passes the cache by. So it does when a path has more than one
//! reading (`/me;.css`, `/a%2f..%2fme`): whose answer that is depends on the server (cache deception).
//!
//! A key is compared whole, each part behind its kind and length, so that no two requests share one by accident.
//! Sources: RFC 9111 §2, §4; RFC 9110 §9.2.3; CWE-524, CWE-525; J. Kettle, "Practical web cache poisoning" (2018); S.
//! Mirheidari et al., "Cached and confused" (2020).

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_config::{Cache, CacheKey};
use bartizan_model::{ClaimValue, HeaderField, Mode, Principal, RequestHead};

use crate::edits::{is_forwarding, is_same_field, parameter_is};
use crate::path::Readings;
use crate::policy::{Policies, Policy, Rule};
use crate::snapshot::Snapshot;
use crate::stage::{Facts, applying};

/// LIMIT: bytes of a key; heads are as long at most in real traffic, and memory holds one for each answer.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// What clients can take: the upstream chooses by it, whether or not it says so in `Vary`.
const NEGOTIATED: [&str; 4] = ["accept", "accept-encoding", "accept-language", "origin"];

/// Fields of one connection, or that the gateway itself obeys or writes.
const OURS: [&str; 13] = [
    "cache-control",
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "pragma",
    "proxy-connection",
    "te",
    "trailer",
    "x-request-id",
];

/// Fields of a part, or of a state that only the upstream knows.
const PARTIAL: [&str; 4] = ["if-match", "if-range", "if-unmodified-since", "range"];

/// Fields that clients send by themselves, and that say nothing of what is asked for.
const WITHHELD: [&str; 16] = [
    "baggage",
    "cache-status",
    "dnt",
    "from",
    "max-forwards",
    "priority",
    "referer",
    "save-data",
    "sec-gpc",
    "traceparent",
    "tracestate",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-correlation-id",
];

/// Whether an answer may be kept or be one that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caching {
    /// No policy keeps answers to such requests
    Unasked,
    /// A policy does, but this request passes the cache by
    Bypass(CacheBypass),
    /// Under this key
    Keyed(Box<CacheRequest>),
}

/// Why a request passes the cache by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheBypass {
    /// It has a body
    Body,
    /// It asks for a part, or under a condition that only the upstream can judge
    Partial,
    /// The client wants the upstream's own answer
    Client,
    /// Its path can be read in more than one way
    Path,
    /// It has a query, or a parameter, that the key does not hold
    Query,
    /// It carries a credential that nobody has verified, or whose holder the key does not hold
    Credential,
    /// It has a field that the key does not hold
    Field,
    /// Bodies stream through on this route
    Streaming,
    /// Its key would be too long
    Length,
}

/// A request whose answer may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRequest {
    /// Name of the policy
    pub policy: Arc<str>,
    /// Enforce: answers are given; observe: they are counted
    pub mode: Mode,
    /// What the policy says
    pub rules: Arc<Cache>,
    /// API of the route
    pub api: Arc<str>,
    /// What tells answers apart; at most 16 KiB
    pub key: Box<[u8]>,
    /// The request carries a credential: RFC 9111 §3.5 holds
    pub has_credential: bool,
    /// Path as it is sent
    pub path: Box<[u8]>,
}

impl CacheRequest {
    /// Whether this field must not reach the upstream when the answer is kept: the key does not hold it.
    pub fn withholds(&self, name: &str) -> bool {
        is_withheld(name.as_bytes()) && !self.rules.has_header(name.as_bytes())
    }
}

/// What the policies say of a request that was found good.
pub(crate) fn of(
    snapshot: &Snapshot,
    facts: &Facts,
    peer: Option<IpAddr>,
    has_credential: bool,
    head: &RequestHead<'_>,
) -> Caching {
    let Some(route) = &facts.route else { return Caching::Unasked };
    let Some((policy, rules)) = policy_of(snapshot, facts, head) else { return Caching::Unasked };
    if route.streaming {
        return Caching::Bypass(CacheBypass::Streaming);
    }
    let peer_is_trusted = peer.is_some_and(|peer| snapshot.trusted_proxies().contains(peer));
    let reader = Reader { facts, policies: snapshot.policies(), rules, peer_is_trusted, has_credential };
    match reader.key(&route.api, head) {
        Ok(Keyed { key, path }) => Caching::Keyed(Box::new(CacheRequest {
            policy: policy.name.clone(),
            mode: policy.mode,
            rules: rules.clone(),
            api: route.api.clone(),
            key,
            has_credential: has_credential || facts.caller().is_some(),
            path,
        })),
        Err(bypass) => Caching::Bypass(bypass),
    }
}

/// The first policy that gives answers, else the first that only counts them. What loosens concerns a path only as it
/// stands.
fn policy_of<'a>(
    snapshot: &'a Snapshot,
    facts: &'a Facts,
    head: &RequestHead<'_>,
) -> Option<(&'a Policy, &'a Arc<Cache>)> {
    if !matches!(head.method, b"GET" | b"HEAD") {
        return None;
    }
    let mut observed = None;
    for (_, policy) in applying(snapshot, facts) {
        let Rule::Cache(rules) = &policy.rule else { continue };
        if !policy.has_path(head.path()) {
            continue;
        }
        match policy.mode {
            Mode::Enforce => return Some((policy, rules)),
            Mode::Observe if observed.is_none() => observed = Some((policy, rules)),
            Mode::Observe | Mode::Off => {}
        }
    }
    observed
}

/// Reads a head into a key.
struct Reader<'a> {
    facts: &'a Facts,
    policies: &'a Policies,
    rules: &'a Cache,
    peer_is_trusted: bool,
    has_credential: bool,
}

/// Kinds of parts, so that no part can stand for another.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Api = 1,
    Scheme,
    Authority,
    Path,
    Query,
    Negotiated,
    Header,
    Forwarding,
    Nobody,
    Principal,
    Application,
    Plan,
    Scope,
    Role,
    Claim,
    Identity,
}

/// Where an answer is kept.
struct Keyed {
    key: Box<[u8]>,
    /// As it is sent
    path: Box<[u8]>,
}

/// A key while it is built: each part is its kind, its length and its bytes.
struct Key(Vec<u8>);

impl Key {
    fn push(&mut self, kind: Kind, part: &[u8]) {
        self.0.push(kind as u8);
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }

    fn push_field(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        self.push(kind, name);
        self.push(kind, value);
    }
}

impl Reader<'_> {
    fn key(&self, api: &str, head: &RequestHead<'_>) -> Result<Keyed, CacheBypass> {
        if Readings::of(head.path()).is_ambiguous() {
            return Err(CacheBypass::Path);
        }
        let edited = self.facts.edits.target(head.target);
        let target = edited.as_deref().unwrap_or(head.target);
        let sent = RequestHead { target, ..*head };
        let mut key = Key(Vec::with_capacity(256));
        key.push(Kind::Api, api.as_bytes());
        key.push(Kind::Scheme, head.scheme.as_str().as_bytes());
        key.push(Kind::Authority, head.authority);
        key.push(Kind::Path, sent.path());
        self.query(sent.query(), &mut key)?;
        self.fields(head, &mut key)?;
        self.caller(&mut key)?;
        if key.0.len() > KEY_BYTES_MAX {
            return Err(CacheBypass::Length);
        }
        Ok(Keyed { key: key.0.into(), path: sent.path().into() })
    }

    fn query(&self, query: Option<&[u8]>, key: &mut Key) -> Result<(), CacheBypass> {
        let Some(query) = query else { return Ok(()) };
        let has = |pair: &[u8]| {
            let mut parts = self.rules.key.iter();
            parts.any(|part| matches!(part, CacheKey::Parameter(name) if parameter_is(pair, name)))
        };
        let is_whole = self.rules.key.contains(&CacheKey::Query);
        // Some servers separate by `;` too: what they would read as another parameter is one here.
        let mut pairs = query.split(|byte| matches!(byte, b'&' | b';'));
        if !is_whole && !pairs.all(|pair| pair.is_empty() || has(pair)) {
            return Err(CacheBypass::Query);
        }
        key.push(Kind::Query, query);
        Ok(())
    }

    fn fields(&self, head: &RequestHead<'_>, key: &mut Key) -> Result<(), CacheBypass> {
        for field in head.headers {
            let is = |names: &[&str]| names.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_bytes()));
            let lower = || field.name.to_ascii_lowercase();
            match field.value {
                value if field.name.eq_ignore_ascii_case(b"content-length") && value.trim_ascii() != b"0" => {
                    return Err(CacheBypass::Body);
                }
                _ if is(&["transfer-encoding", "content-type", "content-encoding", "expect"]) => {
                    return Err(CacheBypass::Body);
                }
                _ if is(&PARTIAL) => return Err(CacheBypass::Partial),
                value if is(&["cache-control", "pragma"]) && self.wants_fresh(value) => {
                    return Err(CacheBypass::Client);
                }
                value if is(&NEGOTIATED) => key.push_field(Kind::Negotiated, &lower(), value),
                value if self.rules.has_header(field.name) => key.push_field(Kind::Header, &lower(), value),
                _ if is(&OURS) || is_withheld(field.name) || self.facts.edits.removes(field.name) => {}
                value if is_forwarding(field.name) || is(&["forwarded"]) => self.forwarding(field.name, value, key)?,
                _ if self.is_proof(field, head) => {}
                _ if is(&["authorization", "cookie", "proxy-authorization"]) => return Err(CacheBypass::Credential),
                _ => return Err(CacheBypass::Field),
            }
        }
        Ok(())
    }

    /// Whether the client wants no answer that was kept (RFC 9111 §5.2.1), and the policy heeds it.
    fn wants_fresh(&self, value: &[u8]) -> bool {
        let directives = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_fresh = |directive: &[u8]| {
            ["no-store", "no-cache", "max-age=0"].iter().any(|word| directive.eq_ignore_ascii_case(word.as_bytes()))
        };
        self.rules.respect_cache_control && directives.into_iter().any(is_fresh)
    }

    /// What a proxy says: of strangers nothing of it reaches the upstream; a trusted one may pass on what a client forged,
    /// so all but addresses is in the key.
    fn forwarding(&self, name: &[u8], value: &[u8], key: &mut Key) -> Result<(), CacheBypass> {
        let is_address = is_same_field(name, b"x-forwarded-for") || is_same_field(name, b"x-real-ip");
        let is_rewriting = is_same_field(name, b"x-original-url") || is_same_field(name, b"x-rewrite-url");
        match self.peer_is_trusted {
            true if is_rewriting => Err(CacheBypass::Path),
            true if !is_address => {
                key.push_field(Kind::Forwarding, &name.to_ascii_lowercase(), value);
                Ok(())
            }
            true | false => Ok(()),
        }
    }

    /// Whether this field proves the caller, who was verified by this very one. The key of another method, or of another
    /// policy, tells the upstream of somebody whom the key of the answer does not hold.
    fn is_proof(&self, field: &HeaderField<'_>, head: &RequestHead<'_>) -> bool {
        let (Some(_), Some((policy, method))) = (self.facts.caller(), self.facts.known_by) else { return false };
        let Some(Rule::Authenticate(rules)) = self.policies.policy(policy).map(|policy| &policy.rule) else {
            return false;
        };
        rules.is_proof(method, field, head)
    }

    /// Whose answer it is.
    fn caller(&self, key: &mut Key) -> Result<(), CacheBypass> {
        let caller = self.facts.caller().map(|who| &who.principal);
        let Some(principal) = caller else {
            // A credential that nobody here has verified may make the upstream answer for its holder alone.
            if self.has_credential {
                return Err(CacheBypass::Credential);
            }
            key.push(Kind::Nobody, b"");
            return Ok(());
        };
        if !self.rules.is_by_caller() {
            return if self.rules.shared { Ok(()) } else { Err(CacheBypass::Credential) };
        }
        key.push(Kind::Principal, principal.authority.as_bytes());
        for part in &self.rules.key {
            match part {
                CacheKey::Principal => self.principal(principal, key),
                CacheKey::Application => {
                    let application = principal.application.as_deref().ok_or(CacheBypass::Credential)?;
                    key.push(Kind::Application, application.as_bytes());
                    self.plan(key);
                }
                CacheKey::Scopes => push_words(key, Kind::Scope, &principal.scopes),
                CacheKey::Roles => push_words(key, Kind::Role, &principal.roles),
                CacheKey::Anonymous | CacheKey::Query | CacheKey::Parameter(_) | CacheKey::Header(_) => {}
            }
        }
        Ok(())
    }

    /// The plan of the API key that was let in: an application's old key and its new one may have been sold under two.
    fn plan(&self, key: &mut Key) {
        let plan = self.facts.metered.as_ref().and_then(|metered| metered.key.plan());
        key.push(Kind::Plan, plan.unwrap_or_default().as_bytes());
    }

    /// Everything that is known of a caller: a token with fewer rights must not be given what one with more was.
    fn principal(&self, principal: &Principal, key: &mut Key) {
        key.push(Kind::Principal, principal.subject.as_bytes());
        key.push(Kind::Principal, principal.credential.as_str().as_bytes());
        key.push(Kind::Principal, principal.credential_id.as_deref().unwrap_or_default().as_bytes());
        key.push(Kind::Application, principal.application.as_deref().unwrap_or_default().as_bytes());
        self.plan(key);
        push_words(key, Kind::Scope, &principal.scopes);
        push_words(key, Kind::Role, &principal.roles);
        for (name, value) in &principal.claims {
            key.push(Kind::Claim, name.as_bytes());
            push_claim(key, value);
        }
        for (name, value) in self.facts.edits.added() {
            key.push(Kind::Identity, name.as_bytes());
            key.push(Kind::Identity, value.as_bytes());
        }
    }
}

/// Words in an order of their own, behind how many there are.
fn push_words(key: &mut Key, kind: Kind, words: &[Box<str>]) {
    let mut words: Vec<&str> = words.iter().map(|word| &**word).collect();
    words.sort_unstable();
    words.dedup();
    key.push(kind, &(words.len() as u64).to_be_bytes());
    words.iter().for_each(|word| key.push(kind, word.as_bytes()));
}

/// A value behind the kind of value that it is.
fn push_claim(key: &mut Key, value: &ClaimValue) {
    let mut push = |kind: &[u8], bytes: &[u8]| {
        key.push(Kind::Claim, kind);
        key.push(Kind::Claim, bytes);
    };
    match value {
        ClaimValue::Text(text) => push(b"text", text.as_bytes()),
        ClaimValue::Number(number) => push(b"number", &number.to_be_bytes()),
        ClaimValue::Boolean(is_true) => push(b"boolean", &[u8::from(*is_true)]),
        ClaimValue::List(words) => {
            push(b"list", b"");
            push_words(key, Kind::Claim, words);
        }
        ClaimValue::Numbers(numbers) => {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
            push(b"numbers", &bytes);
        }
    }
}

fn is_withheld(name: &[u8]) -> bool {
    let begins = |text: &[u8]| name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    WITHHELD.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || begins(b"sec-fetch-")
        || begins(b"sec-ch-")
        || begins(b"x-b3-")
}
