//! One kept answer: its head without what belonged to one connection, its body, until when it may be given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
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

/// Fields that say what the body is, and its validator: the request named one, so that the 304 confirms that one, whatever it
/// has itself (RFC 9111 §3.2, §4.3.4).
const NOT_CONFIRMED: [HeaderName; 5] =
    [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_RANGE, header::CONTENT_TYPE, header::ETAG];

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
    /// It may not be given at all, and nobody can confirm it
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
        } else if age < self.lifetime.fresh + stale || self.condition().is_some() {
            Freshness::Stale
        } else {
            Freshness::Dead
        }
    }

    /// What an upstream is asked by whether this is still its answer (RFC 9111 §4.3.1).
    pub(super) fn condition(&self) -> Option<(HeaderName, &HeaderValue)> {
        let of = |asks: HeaderName, told: HeaderName| self.head.headers.get(told).map(|value| (asks, value));
        of(header::IF_NONE_MATCH, header::ETAG).or_else(|| of(header::IF_MODIFIED_SINCE, header::LAST_MODIFIED))
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
    let mut head = response.clone();
    for name in not_kept(response) {
        head.remove_header(&name);
    }
    head
}

/// The fields of an answer that are not kept.
fn not_kept(response: &ResponseHeader) -> Vec<HeaderName> {
    let nominated = form::nominated(&response.headers).filter_map(|name| HeaderName::from_bytes(name).ok());
    let by_custom = ["keep-alive", "proxy-connection", "x-request-id"].map(HeaderName::from_static);
    nominated.chain(NOT_KEPT).chain(by_custom).collect()
}

/// A kept head with what a 304 says anew (RFC 9111 §3.2, §4.3.4), its `Age` too.
pub(super) fn confirmed_head(kept: &ResponseHeader, confirmation: &ResponseHeader) -> ResponseHeader {
    let mut head = kept.clone();
    head.remove_header(&header::DATE); // its time begins anew, whether or not the upstream says so
    let dropped = not_kept(confirmation);
    for name in confirmation.headers.keys() {
        let is_dropped = dropped.contains(name) && *name != header::AGE;
        if is_dropped || NOT_CONFIRMED.contains(name) {
            continue;
        }
        head.remove_header(name);
        for value in confirmation.headers.get_all(name) {
            // A field that came in a head is one that a head can have.
            let _ = head.append_header(name.clone(), value.clone());
        }
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
    fn a_confirmation_renews_what_it_says_and_nothing_of_the_body() {
        let head = |status: u16, fields: &[(&'static str, &str)]| {
            let mut response = ResponseHeader::build(status, None).unwrap();
            for (name, value) in fields {
                response.append_header(*name, *value).unwrap();
            }
            response
        };
        let kept = [
            ("cache-control", "max-age=1"),
            ("content-type", "text/plain"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("etag", "\"1\""),
            ("x-old", "1"),
            ("x-two", "1"),
        ];
        let told = [
            ("age", "3"),
            ("cache-control", "max-age=2"),
            ("connection", "x-hop"),
            ("content-length", "0"),
            ("content-type", "text/html"),
            ("etag", "\"1-gzip\""),
            ("x-hop", "1"),
            ("x-request-id", "1"),
            ("x-two", "2"),
            ("x-two", "3"),
        ];
        let confirmed = confirmed_head(&head(200, &kept), &head(304, &told));
        let mut fields: Vec<(&str, &str)> =
            confirmed.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        fields.sort_unstable();
        let expected = [
            ("age", "3"),
            ("cache-control", "max-age=2"),
            ("content-type", "text/plain"),
            ("etag", "\"1\""),
            ("x-old", "1"),
            ("x-two", "2"),
            ("x-two", "3"),
        ];
        assert_eq!((confirmed.status.as_u16(), fields.as_slice()), (200, expected.as_slice()));
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
