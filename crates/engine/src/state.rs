//! What access control shares between exchanges and Snapshots: keys, verified credentials, used proofs, whereabouts.
//!
//! With the counts of limits ([`crate::Counters`]) and what attack rules keep (`rule_records.rs`) the only state of the
//! engine that changes while it runs, and all of it is bounded. A host makes one [`AccessState`],
//! gives it to every Snapshot, and publishes keys into it whenever it has read or fetched them. Nothing here is fetched:
//! when keys are missing, an inspection says so through [`crate::Step::Ask`], and without an answer access stays closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use arc_swap::{ArcSwap, ArcSwapOption};
use bartizan_config::{Config, KeySource, RateSharing};
use bartizan_model::Timestamp;
use ring::digest;

use crate::bounded::{Cache, Digest, Register};
use crate::counters::Counters;
use crate::stage::access::api_key::{ApiKeyUse, ApiKeys, KeyCounts};
use crate::stage::access::authenticate::Verified;
use crate::stage::access::jwks::{Keys, Origin};
use crate::whereabouts::Whereabouts;

/// LIMIT: verified credentials that are remembered: callers of a day in one installation, some 60 MB at most.
const VERIFIED_MAX: usize = 65_536;
/// LIMIT: proofs and signatures that are known to be used up, for each turn of some 90 s: 5,800 a second, 40 MB at most.
/// Beyond it, proofs are refused rather than forgotten.
const USED_MAX: usize = 524_288;
/// LIMIT: sources of keys; one for each method of each policy that a person writes.
const SOURCES_MAX: usize = 256;
/// After the host failed to fetch the keys of a source, nobody asks for them again for this time.
const ASK_AGAIN_SECS: i64 = 10;

/// Keys, verified credentials, used proofs and where callers were seen.
#[derive(Debug)]
pub struct AccessState {
    sources: ArcSwap<Vec<Arc<KeySlot>>>,
    api_keys: ArcSwap<ApiKeys>,
    key_counts: KeyCounts,
    pub(crate) verified: Cache<Arc<Verified>>,
    pub(crate) used: Register,
    pub(crate) whereabouts: Whereabouts,
}

/// The keys of one source, as far as they are known.
#[derive(Debug)]
pub(crate) struct KeySlot {
    source: KeySource,
    current: ArcSwapOption<KnownKeys>,
    /// When the host last failed to fetch them, in seconds
    failed_secs: AtomicI64,
}

/// Keys as published.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    pub(crate) keys: Arc<Keys>,
    /// Names this content: what was verified with other content is verified anew
    pub(crate) digest: Digest,
    pub(crate) fetched_secs: i64,
}

/// Why a key document was not taken; the keys before it stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysRefused {
    /// It is no JSON Web Key Set, or larger than 256 KiB
    Malformed,
    /// It holds no key that can be used
    Empty,
    /// There are too many sources
    Full,
}

impl std::fmt::Display for KeysRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a JSON Web Key Set (an object with `keys`, at most 256 KiB)",
            Self::Empty => "no key in it can be used to check signatures",
            Self::Full => "there are more than 256 sources of keys",
        })
    }
}

impl std::error::Error for KeysRefused {}

/// What was taken from a key document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysPublished {
    /// Keys that can be used
    pub usable: usize,
    /// Keys that were left out: of unknown kinds, too short, private, ambiguous, for other uses
    pub left_out: usize,
}

impl Default for AccessState {
    fn default() -> Self {
        Self::counting_in(Arc::default(), RateSharing::Local)
    }
}

impl AccessState {
    /// Knows no keys yet. The quotas that API keys bring along are counted in `counters`, shared as `sharing` says.
    pub fn counting_in(counters: Arc<Counters>, sharing: RateSharing) -> Self {
        Self {
            sources: ArcSwap::default(),
            api_keys: ArcSwap::default(),
            key_counts: KeyCounts { counters, sharing },
            verified: Cache::new(VERIFIED_MAX),
            used: Register::new(USED_MAX),
            whereabouts: Whereabouts::default(),
        }
    }

    /// Takes the keys of `source`, as read or fetched at `fetched_at`: a JSON Web Key Set (RFC 7517 §5).
    ///
    /// # Errors
    /// When it holds nothing that can be used; the keys known before stay, until they are too old.
    pub fn publish_keys(
        &self,
        source: &KeySource,
        document: &[u8],
        fetched_at: Timestamp,
    ) -> Result<KeysPublished, KeysRefused> {
        let slot = self.slot_or_new(source).ok_or(KeysRefused::Full)?;
        slot.failed_secs.store(fetched_at.as_secs(), Relaxed); // unless it proves to be good
        let origin = match source {
            KeySource::File(_) => Origin::File,
            KeySource::Url(_) | KeySource::Discovery(_) => Origin::Network,
        };
        let (keys, left_out) = Keys::parse(document, origin).ok_or(KeysRefused::Malformed)?;
        let published = KeysPublished { usable: keys.len(), left_out };
        if keys.len() == 0 {
            return Err(KeysRefused::Empty);
        }
        let digest = sha256(&[document]);
        let fetched_secs = fetched_at.as_secs();
        slot.current.store(Some(Arc::new(KnownKeys { keys: Arc::new(keys), digest, fetched_secs })));
        slot.failed_secs.store(i64::MIN, Relaxed);
        Ok(published)
    }

    /// The host could not fetch the keys of `source`: it will not be asked again for some seconds.
    pub fn keys_unreachable(&self, source: &KeySource, now: Timestamp) {
        if let Some(slot) = self.slot_or_new(source) {
            slot.failed_secs.store(now.as_secs(), Relaxed);
        }
    }

    /// Takes the API keys of this installation. What the keys before were used for, and what their quotas have counted,
    /// goes on.
    pub fn publish_api_keys(&self, keys: ApiKeys) {
        self.api_keys.store(Arc::new(keys.following(&self.api_keys.load(), &self.key_counts)));
    }

    /// Plans that live API keys were made with and `config` does not have: their keys are refused.
    pub fn unknown_plans(&self, config: &Config, now: Timestamp) -> Vec<Box<str>> {
        self.api_keys.load().unknown_plans(config, now)
    }

    /// How each API key was used since this was asked last; keys that were not used are left out.
    pub fn take_api_key_uses(&self) -> Vec<ApiKeyUse> {
        self.api_keys.load().take_uses()
    }

    pub(crate) fn api_keys(&self) -> arc_swap::Guard<Arc<ApiKeys>> {
        self.api_keys.load()
    }

    /// Callers that `continuity` policies watch, and calls that they could not watch because there was no room.
    pub fn watched_callers(&self) -> (u64, u64) {
        (self.whereabouts.callers(), self.whereabouts.unwatched())
    }

    /// Whether keys of `source` are known.
    pub fn has_keys(&self, source: &KeySource) -> bool {
        self.keys(source).is_some()
    }

    /// The keys of `source` at this moment.
    pub(crate) fn keys(&self, source: &KeySource) -> Option<Arc<KnownKeys>> {
        let sources = self.sources.load();
        // PERF: paths are compared by their parts, which takes longer than their bytes; nearly always those are the same.
        let slot = sources.iter().find(|slot| is_written_alike(&slot.source, source));
        slot.or_else(|| sources.iter().find(|slot| slot.source == *source))?.current.load_full()
    }

    /// Whether it makes sense to ask the host for the keys of `source`. How often they are fetched is the host's to bound.
    pub(crate) fn may_ask_for_keys(&self, source: &KeySource, now: Timestamp) -> bool {
        let sources = self.sources.load();
        let failed = sources.iter().find(|slot| slot.source == *source).map(|slot| slot.failed_secs.load(Relaxed));
        is_fetched(source) && failed.is_none_or(|failed| now.as_secs().saturating_sub(failed) >= ASK_AGAIN_SECS)
    }

    fn slot_or_new(&self, source: &KeySource) -> Option<Arc<KeySlot>> {
        let known = |sources: &[Arc<KeySlot>]| sources.iter().find(|slot| slot.source == *source).cloned();
        if let Some(slot) = known(&self.sources.load()) {
            return Some(slot);
        }
        let new = Arc::new(KeySlot {
            source: source.clone(),
            current: ArcSwapOption::empty(),
            failed_secs: AtomicI64::new(i64::MIN),
        });
        self.sources.rcu(|sources| {
            let mut sources = Vec::clone(sources);
            if known(&sources).is_none() && sources.len() < SOURCES_MAX {
                sources.push(Arc::clone(&new));
            }
            sources
        });
        known(&self.sources.load())
    }
}

/// Whether the host fetches the keys of `source` when it is asked; files it watches.
pub(crate) const fn is_fetched(source: &KeySource) -> bool {
    match source {
        KeySource::File(_) => false,
        KeySource::Url(_) | KeySource::Discovery(_) => true,
    }
}

/// Whether two sources are one by the bytes of their names.
fn is_written_alike(one: &KeySource, other: &KeySource) -> bool {
    match (one, other) {
        (KeySource::File(one), KeySource::File(other)) => one.as_os_str() == other.as_os_str(),
        (KeySource::Url(one), KeySource::Url(other)) => one == other,
        (KeySource::Discovery(one), KeySource::Discovery(other)) => one == other,
        (KeySource::File(_) | KeySource::Url(_) | KeySource::Discovery(_), _) => false,
    }
}

/// SHA-256 over the parts, each with its length before it, so that no two lists of parts run together.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}
