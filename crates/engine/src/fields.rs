//! Header fields sorted by what the engine does with them, in one pass over the section.
//!
//! Names are looked up by length first, then compared without case, so an unknown name costs a handful of
//! comparisons. Sources: the IANA field name registry, Fetch and client hint drafts, and the customary `X-` names.

use bartizan_model::HeaderField;
use smallvec::SmallVec;

/// What the engine does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Authorization,
    ContentLength,
    ContentType,
    Cookie,
    Forwarded,
    Host,
    /// Carries an API key or token by custom
    Key,
    TransferEncoding,
    UserAgent,
    XForwardedFor,
    /// HTTP's own, a browser's or a proxy's: not a parameter of the API
    Standard,
    /// Anything else: a parameter
    Other,
}

/// What one pass over a request's header section finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    /// One role a field, in order
    pub(crate) roles: SmallVec<[Role; 32]>,
    /// Names, values and four bytes a field
    pub(crate) bytes: u64,
    pub(crate) hosts: u32,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) authorization: Option<&'a [u8]>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) content_length: Option<u64>,
    pub(crate) transfer_encoding: bool,
    pub(crate) forwarded: bool,
    pub(crate) x_forwarded_for: bool,
    pub(crate) cookies: bool,
    pub(crate) parameters: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn scan(headers: &[HeaderField<'a>]) -> Self {
        let mut found = Self::default();
        for field in headers {
            found.bytes += (field.name.len() + field.value.len() + 4) as u64;
            let role = Role::of(field.name);
            found.roles.push(role);
            found.take(role, field.value);
        }
        found
    }

    fn take(&mut self, role: Role, value: &'a [u8]) {
        match role {
            Role::Host => {
                self.hosts += 1;
                self.host.get_or_insert(value);
            }
            Role::Authorization => _ = self.authorization.get_or_insert(value),
            Role::Key => _ = self.key.get_or_insert(value),
            Role::UserAgent => _ = self.user_agent.get_or_insert(value),
            Role::ContentType => _ = self.content_type.get_or_insert(value),
            // Two lengths that differ are the host's to refuse (RFC 9112 §6.3); here the larger one counts.
            Role::ContentLength => self.content_length = self.content_length.max(decimal(value)),
            Role::TransferEncoding => self.transfer_encoding = true,
            Role::Forwarded => self.forwarded = true,
            Role::XForwardedFor => self.x_forwarded_for = true,
            Role::Cookie => self.cookies = true,
            Role::Other => self.parameters = true,
            Role::Standard => {}
        }
    }
}

/// Digits only; a number too large for 64 bits saturates, so that it exceeds every limit.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(value.iter().fold(0, add))
}

impl Role {
    pub(crate) fn of(name: &[u8]) -> Self {
        if name.first() == Some(&b':') || has_prefix(name, b"sec-") {
            return Self::Standard; // pseudo-fields, as HAR exporters write them
        }
        let first = OFFSETS.get(name.len()).copied().unwrap_or(0);
        let end = OFFSETS.get(name.len() + 1).copied().unwrap_or(0);
        let candidates = NAMES.get(usize::from(first)..usize::from(end)).unwrap_or_default();
        match candidates.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)) {
            Some((_, role)) => *role,
            None if has_prefix(name, b"x-forwarded-") || has_prefix(name, b"x-b3-") => Self::Standard,
            None => Self::Other,
        }
    }
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// `OFFSETS[n]` is where the names of `n` bytes begin in [`NAMES`]; they end where those of `n + 1` begin.
static OFFSETS: [u8; 36] = offsets();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn offsets() -> [u8; 36] {
    let mut offsets = [0; 36];
    let mut length = 0;
    let mut at = 0;
    while length < offsets.len() {
        while at < NAMES.len() && NAMES[at].0.len() < length {
            at += 1;
        }
        offsets[length] = at as u8;
        length += 1;
    }
    offsets
}

use Role::{Key, Standard};

/// Known request fields in order of length.
const NAMES: &[(&str, Role)] = &[
    ("b3", Standard),
    ("te", Standard),
    ("dnt", Standard),
    ("dpr", Standard),
    ("ect", Standard),
    ("rtt", Standard),
    ("via", Standard),
    ("date", Standard),
    ("from", Standard),
    ("host", Role::Host),
    ("link", Standard),
    ("range", Standard),
    ("width", Standard),
    ("accept", Standard),
    ("apikey", Key),
    ("cookie", Role::Cookie),
    ("digest", Standard),
    ("expect", Standard),
    ("origin", Standard),
    ("pragma", Standard),
    ("prefer", Standard),
    ("api-key", Key),
    ("baggage", Standard),
    ("purpose", Standard),
    ("referer", Standard),
    ("trailer", Standard),
    ("upgrade", Standard),
    ("warning", Standard),
    ("x-token", Key),
    ("alt-used", Standard),
    ("cdn-loop", Standard),
    ("downlink", Standard),
    ("if-match", Standard),
    ("if-range", Standard),
    ("priority", Standard),
    ("x-apikey", Key),
    ("forwarded", Role::Forwarded),
    ("job-token", Key),
    ("save-data", Standard),
    ("x-api-key", Key),
    ("x-real-ip", Standard),
    ("connection", Standard),
    ("dd-api-key", Key),
    ("early-data", Standard),
    ("keep-alive", Standard),
    ("tracestate", Standard),
    ("user-agent", Role::UserAgent),
    ("x-auth-key", Key),
    ("content-md5", Standard),
    ("repr-digest", Standard),
    ("traceparent", Standard),
    ("want-digest", Standard),
    ("x-api-token", Key),
    ("x-client-ip", Standard),
    ("circle-token", Key),
    ("content-type", Role::ContentType),
    ("grpc-timeout", Standard),
    ("max-forwards", Standard),
    ("x-auth-token", Key),
    ("x-request-id", Standard),
    ("authorization", Role::Authorization),
    ("cache-control", Standard),
    ("content-range", Standard),
    ("device-memory", Standard),
    ("grpc-encoding", Standard),
    ("if-none-match", Standard),
    ("private-token", Key),
    ("x-vault-token", Key),
    ("accept-charset", Standard),
    ("content-digest", Standard),
    ("content-length", Role::ContentLength),
    ("http2-settings", Standard),
    ("service-worker", Standard),
    ("true-client-ip", Standard),
    ("viewport-width", Standard),
    ("x-access-token", Key),
    ("x-goog-api-key", Key),
    ("x-rapidapi-key", Key),
    ("accept-datetime", Standard),
    ("accept-encoding", Standard),
    ("accept-language", Standard),
    ("x-authorization", Key),
    ("x-amzn-trace-id", Standard),
    ("x-forwarded-for", Role::XForwardedFor),
    ("x-functions-key", Key),
    ("x-session-token", Key),
    ("cf-connecting-ip", Standard),
    ("content-encoding", Standard),
    ("content-language", Standard),
    ("content-location", Standard),
    ("proxy-connection", Standard),
    ("x-correlation-id", Standard),
    ("x-requested-with", Standard),
    ("if-modified-since", Standard),
    ("transfer-encoding", Role::TransferEncoding),
    ("content-disposition", Standard),
    ("if-unmodified-since", Standard),
    ("proxy-authorization", Standard),
    ("grpc-accept-encoding", Standard),
    ("x-amz-security-token", Key),
    ("x-shopify-access-token", Key),
    ("ocp-apim-subscription-key", Key),
    ("upgrade-insecure-requests", Standard),
    ("access-control-request-method", Standard),
    ("access-control-request-headers", Standard),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name.len()));
        for (name, role) in NAMES {
            assert_eq!(Role::of(name.as_bytes()), *role, "{name}");
            assert_eq!(Role::of(name.to_ascii_uppercase().as_bytes()), *role, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_a_parameter() {
        for name in ["X-Tenant", "idempotency-key", "", "x", "hosts", &"x".repeat(500)] {
            assert_eq!(Role::of(name.as_bytes()), Role::Other, "{name}");
        }
        for name in ["Sec-Fetch-Mode", ":authority", "X-Forwarded-Proto"] {
            assert_eq!(Role::of(name.as_bytes()), Role::Standard, "{name}");
        }
    }

    #[test]
    fn an_absurd_content_length_exceeds_every_limit() {
        assert_eq!(decimal(b"99999999999999999999999999"), Some(u64::MAX));
        assert_eq!(decimal(b"+5"), None);
        assert_eq!(decimal(b""), None);
    }
}
