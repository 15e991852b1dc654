//! An answer while it passes: collected as the upstream sends it, kept once it is whole and nothing spoke against it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bartizan_engine::CacheRequest;
use bartizan_model::Mode;
use bytes::BytesMut;
use http::{HeaderMap, Version, header};
use pingora::http::ResponseHeader;

use super::entry::{Entry, Variance, confirmed_head, kept_head, variance};
use super::fresh::{self, Asked, Lifetime};
use super::store::{Fetching, Place, Store};

/// An answer that may be kept.
pub(crate) struct Fill {
    store: Arc<Store>,
    request: CacheRequest,
    place: Place,
    /// Others wait for it
    fetching: Option<Fetching>,
    /// Purges of the store when the request went on
    purges: u64,
    head: Option<Head>,
    body: BytesMut,
    /// Bytes of the body so far; of an answer that is only counted none are in `body`
    bytes: u64,
    /// The end of the body can be told from the upstream's having gone away
    is_delimited: bool,
}

struct Head {
    response: ResponseHeader,
    lifetime: Lifetime,
    vary: Vec<Variance>,
    length: Option<u64>,
}

impl Fill {
    pub(super) fn new(store: Arc<Store>, request: CacheRequest, place: Place, fetching: Option<Fetching>) -> Self {
        let purges = store.purges();
        let (head, body) = (None, BytesMut::new());
        Self { store, request, place, fetching, purges, head, body, bytes: 0, is_delimited: false }
    }

    /// Whether this field must not reach the upstream.
    pub(crate) fn withholds(&self, name: &str) -> bool {
        self.request.mode == Mode::Enforce && self.request.withholds(name)
    }

    /// The head as the upstream sent it: Pingora gives a body that ends with the connection another form afterwards.
    pub(crate) fn upstream_head(&mut self, response: &ResponseHeader) {
        self.is_delimited = response.version == Version::HTTP_2
            || response.headers.contains_key(header::CONTENT_LENGTH)
            || response.headers.contains_key(header::TRANSFER_ENCODING);
    }

    /// The head of the answer; whether it may be kept.
    pub(crate) fn head(&mut self, request: &HeaderMap, response: &ResponseHeader) -> bool {
        self.head = self.judge(request, response);
        if self.head.is_none() && response.status != http::StatusCode::NOT_MODIFIED {
            self.store.learn(&self.place, false);
        }
        self.head.is_some()
    }

    fn judge(&self, request: &HeaderMap, response: &ResponseHeader) -> Option<Head> {
        let asked = Asked { rules: &self.store.rules, has_credential: self.request.has_credential };
        let lifetime = fresh::lifetime(asked, response, SystemTime::now())?;
        let names = fresh::vary(response)?;
        let is_guessed = names.iter().any(|name| self.withholds(name.as_str()));
        let length = response.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_small = length.is_none_or(|length| length <= self.store.rules.body_bytes_max);
        if is_guessed || !is_small || !self.is_delimited {
            return None;
        }
        let vary = names.into_iter().map(|name| {
            let digest = variance(&self.store.secret, request, &name);
            (name, digest)
        });
        Some(Head { lifetime, vary: vary.collect(), response: kept_head(response), length })
    }

    /// A piece of the body; whether it may still be kept.
    pub(crate) fn chunk(&mut self, chunk: &[u8]) -> bool {
        if self.head.is_none() {
            return false;
        }
        self.bytes += chunk.len() as u64;
        if self.bytes > self.store.rules.body_bytes_max {
            self.store.learn(&self.place, false);
            return false;
        }
        if self.request.mode == Mode::Observe {
            return true;
        }
        let has_room = self.store.collect(chunk.len());
        self.body.extend_from_slice(chunk);
        has_room
    }

    /// Whether all of the answer is here, as its head says; one without a length ends with its last chunk.
    pub(crate) fn is_whole(&self) -> bool {
        let Some(head) = &self.head else { return false };
        head.length == Some(self.bytes) || head.response.status == http::StatusCode::NO_CONTENT
    }

    /// The answer is whole, and nothing spoke against it: keeps it. Returns how many others went for it, if it was kept.
    pub(crate) fn finish(mut self) -> Option<u64> {
        let head = self.head.take()?;
        let is_whole = head.length.is_none_or(|length| length == self.bytes);
        if !is_whole {
            return None;
        }
        // A copy of its own size: what was collected may have grown to twice that.
        let body = bytes::Bytes::copy_from_slice(&self.body);
        let entry = Entry {
            id: self.store.new_id(),
            key: self.request.key.clone(),
            vary: head.vary,
            api: self.request.api.clone(),
            path: self.request.path.clone(),
            head: head.response,
            body,
            lifetime: head.lifetime,
            kept_at: Instant::now(),
        };
        self.keep(Arc::new(entry))
    }

    fn keep(&mut self, entry: Arc<Entry>) -> Option<u64> {
        let evicted = self.store.keep(&self.place, entry, self.purges)?;
        self.store.learn(&self.place, true);
        if let Some(fetching) = &mut self.fetching {
            fetching.is_kept();
        }
        Some(evicted)
    }

    /// What `old` is now that the upstream has confirmed it (RFC 9111 §4.3.4): for this request, and for others where the
    /// confirmation allows it.
    pub(crate) fn confirmed(&mut self, request: &HeaderMap, old: &Entry, confirmation: &ResponseHeader) -> Entry {
        let told = confirmed_head(&old.head, confirmation);
        self.is_delimited = true; // its body is here, whole
        let judged = self.judge(request, &told);
        let (lifetime, vary) = match judged {
            Some(head) => (head.lifetime, head.vary),
            None => (Lifetime::of_once(&told, SystemTime::now()), old.vary.clone()),
        };
        Entry {
            id: self.store.new_id(),
            key: self.request.key.clone(),
            vary,
            api: self.request.api.clone(),
            path: self.request.path.clone(),
            head: kept_head(&told),
            body: old.body.clone(),
            lifetime,
            kept_at: Instant::now(),
        }
    }

    /// Keeps `entry`, which was judged, in the place of the answer of this number; one that must not be kept only ends
    /// that. Returns how many others went for it, if it was kept.
    pub(crate) fn renew(mut self, entry: &Arc<Entry>, old: u64, may_be_kept: bool) -> Option<u64> {
        if may_be_kept && !entry.lifetime.fresh.is_zero() {
            return self.keep(entry.clone());
        }
        self.store.end(&self.place, old);
        None
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        self.store.collected(self.body.len());
    }
}
