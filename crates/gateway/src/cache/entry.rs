//! One kept answer: its head without what belonged to one connection, its body, until when it may be given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use pingora::cache::key::{HashBinary, hash_key};
use pingora::http::ResponseHeader;

use super::fresh::Lifetime;
use crate::form;

/// LIMIT: what an answer costs beside its bytes: maps, lists, the entry itself. A little more than it was measured to be,
/// so that many small answers cannot take more memory than they are counted for.
const OVERHEAD_BYTES: usize = 1024;

/// Fields of one connection or of one moment (RFC 9110 §7.6.1, RFC 9111 §3.1).
const NOT_KEPT: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::AGE,
    header::CONTENT_LENGTH,
];

/// A kept answer.
pub(crate) struct Entry {
    /// Names it among all that ever were in its store
    pub(super) id: u64,
    /// What tells it apart, whole
    pub(super) key: Box<[u8]>,
    /// What the answer varies by, and a digest of what the request had there
    pub(super) vary: Vec<Variance>,
    pub(super) api: Arc<str>,
    pub(super) path: Box<[u8]>,
    pub(super) head: ResponseHeader,
    pub(super) body: Bytes,
    pub(super) lifetime: Lifetime,
    pub(super) kept_at: Instant,
}

/// A field that an answer varies by; `None` = the request had none.
pub(super) type Variance = (HeaderName, Option<HashBinary>);

/// How old an answer is for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It may be given
    Fresh,
    /// It may be given in some cases
    Stale,
    /// It may not be given at all
    Dead,
}

impl Entry {
    /// Memory that it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let fields = self.head.headers.iter().map(|(name, value)| 2 * name.as_str().len() + value.len() + 64);
        OVERHEAD_BYTES + self.key.len() + self.path.len() + self.body.len() + fields.sum::<usize>()
    }

    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        let age = now.saturating_duration_since(self.kept_at);
        let stale = self.lifetime.stale_while_revalidate.max(self.lifetime.stale_if_error);
        if age < self.lifetime.fresh {
            Freshness::Fresh
        } else if age < self.lifetime.fresh + stale {
            Freshness::Stale
        } else {
            Freshness::Dead
        }
    }

    /// Whether it may be given for so long after its lifetime.
    pub(super) fn is_within(&self, window: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.kept_at) < self.lifetime.fresh + window
    }

    /// How old it is since the upstream made it, in seconds (RFC 9111 §4.2.3).
    pub(super) fn age_secs(&self, now: Instant) -> u64 {
        (self.lifetime.age + now.saturating_duration_since(self.kept_at)).as_secs()
    }

    /// Whether a request with these fields gets it (RFC 9111 §4.1).
    pub(super) fn varies_as(&self, secret: &[u8; 32], request: &HeaderMap) -> bool {
        self.vary.iter().all(|(name, digest)| variance(secret, request, name) == *digest)
    }
}

/// A digest of all values of a field, in order. Credentials may be among them, so the values themselves are not kept.
pub(super) fn variance(secret: &[u8; 32], request: &HeaderMap, name: &HeaderName) -> Option<HashBinary> {
    let mut values = request.get_all(name).iter().peekable();
    values.peek()?;
    let mut text = secret.to_vec();
    for value in values {
        text.extend_from_slice(&(value.len() as u64).to_be_bytes());
        text.extend_from_slice(value.as_bytes());
    }
    Some(hash_key(text))
}

/// An answer's head as it is kept.
pub(super) fn kept_head(response: &ResponseHeader) -> ResponseHeader {
    let nominated = form::nominated(&response.headers).filter_map(|name| HeaderName::from_bytes(name).ok());
    let by_custom = ["keep-alive", "proxy-connection", "x-request-id"].map(HeaderName::from_static);
    let dropped: Vec<HeaderName> = nominated.chain(NOT_KEPT).chain(by_custom).collect();
    let mut head = response.clone();
    for name in dropped {
        head.remove_header(&name);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belonged_to_one_connection_is_not_kept() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Connection", "x-hop, close"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("Age", "7"),
            ("X-Request-Id", "of another"),
            ("ETag", "\"1\""),
        ] {
            response.append_header(name, value).unwrap();
        }
        let kept = kept_head(&response);
        let names: Vec<&str> = kept.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag"]);
    }

    #[test]
    fn a_variance_is_of_all_values_in_order() {
        let digest = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-a", value.parse().unwrap());
            }
            variance(&[1; 32], &headers, &HeaderName::from_static("x-a"))
        };
        assert_eq!(digest(&[]), None);
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        for other in [&["b", "a"][..], &["ab"], &["a,b"], &["a"], &[""]] {
            assert_ne!(digest(&["a", "b"]), digest(other), "{other:?}");
        }
    }
}
