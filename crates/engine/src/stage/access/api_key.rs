//! API keys: `bz_<id>_<secret>_<checksum>`, made here, kept as a digest, compared in constant time.
//!
//! The id is public and finds the key; 256 random bits are the secret; the checksum tells a mistyped key and lets secret
//! scanners recognize one. What is kept is HMAC-SHA-256 of the whole key under a pepper of this installation, so that
//! records of one are useless in another: a secret of 256 bits cannot be guessed, so that a slow hash would only help who
//! wants to keep the gateway busy. Two keys of one application may be live at once, for rotation. A key may bring limits
//! along, which the keys of one application share: a quota of its own, and a plan that the configuration describes. The
//! stage `limit` counts them (`limit/rate.rs`). This file computes; randomness and disk are the host's.

mod text;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use bartizan_config::{ApiKeyMethod, Config, Quota, QuotaWindow, Rate, RateSharing};
use bartizan_model::{CredentialKind, Principal, Secret, Source, Strength, Timestamp};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::authenticate::{Verdict, Verified, is_twice};
use super::checks;
use super::verified::{Fault, Privacy, Who};
use crate::counters::Counters;
use crate::edits::{Edits, decoded, parameter_is};
use crate::stage::HeadContext;
use crate::stage::limit::rate::RateRules;
use crate::stage::limit::rate::key::Fingerprinter;
pub(crate) use text::ApiKeyId;
use text::ApiKeyText;

/// Random bytes of a new key: 8 for its id, 32 for its secret.
pub const API_KEY_RANDOM_BYTES: usize = 40;
/// Keys of one application that may be live at once: the old and the new one.
const LIVE_MAX: usize = 2;
/// Who vouches for what this installation knows itself.
pub(crate) const AUTHORITY: &str = "bartizan";

/// What clients know the quota of a key by. No policy can have this name, which must not have a `:`: whoever has it shares
/// its counts.
const KEY_LIMITS: &str = "key:api-key";

/// LIMIT: requests of a quota, as for policies.
const QUOTA_REQUESTS_MAX: u64 = 1_000_000_000_000;
/// LIMIT: shortest and longest window of a quota, in seconds: a second and 366 days, as for policies.
const QUOTA_WINDOW_S: std::ops::RangeInclusive<u64> = 1..=366 * 86_400;

/// How many requests the keys of one application may make in any window of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApiKeyQuota {
    requests: u64,
    per_s: u64,
}

impl ApiKeyQuota {
    /// A quota of 1 to 10^12 requests in any window of 1 s to 366 days; `None` beyond.
    pub fn new(requests: u64, per_s: u64) -> Option<Self> {
        let is_valid = (1..=QUOTA_REQUESTS_MAX).contains(&requests) && QUOTA_WINDOW_S.contains(&per_s);
        is_valid.then_some(Self { requests, per_s })
    }

    /// Requests in a window.
    pub const fn requests(self) -> u64 {
        self.requests
    }

    /// Length of the window, in seconds.
    pub const fn per_s(self) -> u64 {
        self.per_s
    }

    /// As a rate limit.
    fn limits(self, sharing: RateSharing) -> Rate {
        let window = QuotaWindow::Rolling { window_ms: self.per_s.saturating_mul(1000) };
        let quota = Some(Quota { requests: self.requests, window });
        Rate { quota, ..Rate::of_application(sharing) }
    }
}

/// One key, as kept: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public part of the key
    pub id: Box<str>,
    /// HMAC-SHA-256 of the whole key under the pepper
    pub digest: [u8; 32],
    /// The application it was given to
    pub application: Box<str>,
    /// Who answers for it
    pub owner: Option<Box<str>>,
    /// Name of the plan it was sold under
    pub plan: Option<Box<str>>,
    /// How often it may be used
    pub quota: Option<ApiKeyQuota>,
    /// What it may do
    pub scopes: Vec<Box<str>>,
    /// What it is
    pub roles: Vec<Box<str>>,
    /// When it was made
    pub created_at: Timestamp,
    /// From when on it is no longer accepted
    pub expires_at: Option<Timestamp>,
    /// When a new key was made to take its place
    pub rotated_at: Option<Timestamp>,
    /// When it was taken back
    pub revoked_at: Option<Timestamp>,
}

/// What a new key shall be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyGrant {
    /// The application it is given to
    pub application: Box<str>,
    /// Who answers for it
    pub owner: Option<Box<str>>,
    /// Name of the plan it was sold under
    pub plan: Option<Box<str>>,
    /// How often it may be used
    pub quota: Option<ApiKeyQuota>,
    /// What it may do
    pub scopes: Vec<Box<str>>,
    /// What it is
    pub roles: Vec<Box<str>>,
    /// From when on it is no longer accepted
    pub expires_at: Option<Timestamp>,
}

/// A key that was just made: shown once, then known only by its digest.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The whole key
    pub text: Secret<String>,
    /// What is kept of it
    pub key: ApiKey,
}

/// Why no key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyRefused {
    /// The application has two live keys
    TwoLive,
    /// There is no such key
    Unknown,
    /// It was rotated already
    Rotated,
    /// The random bytes gave an id that is taken: try again
    Taken,
}

impl fmt::Display for ApiKeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoLive => "the application has two live keys; revoke one first",
            Self::Unknown => "there is no such live key",
            Self::Rotated => "this key was rotated already; rotate the key that took its place",
            Self::Taken => "the new key's id is taken; try again",
        })
    }
}

impl std::error::Error for ApiKeyRefused {}

/// How a key was used since somebody asked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyUse {
    /// The key
    pub id: Box<str>,
    /// When it was used last, to the second
    pub last_at: Timestamp,
    /// Requests that it let in
    pub calls: u64,
}

/// The keys of an installation.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    pepper: Secret<[u8; 32]>,
    by_id: HashMap<Box<str>, Arc<KnownKey>>,
}

/// A key with what changes while the gateway runs.
#[derive(Debug)]
pub(crate) struct KnownKey {
    key: ApiKey,
    uses: Arc<Uses>,
    /// Its own quota; only once it is published
    limits: Option<Arc<RateRules>>,
}

/// How the quotas of keys are counted.
#[derive(Debug)]
pub(crate) struct KeyCounts {
    pub(crate) counters: Arc<Counters>,
    pub(crate) sharing: RateSharing,
}

/// How often a key was used.
#[derive(Debug, Default)]
struct Uses {
    last_secs: AtomicI64,
    calls: AtomicU64,
}

impl KnownKey {
    /// Its public part.
    pub(crate) fn id(&self) -> &str {
        &self.key.id
    }

    /// The application it was given to: who is counted.
    pub(crate) fn application(&self) -> &str {
        &self.key.application
    }

    /// The plan it was sold under.
    pub(crate) fn plan(&self) -> Option<&str> {
        self.key.plan.as_deref()
    }

    /// Its own quota.
    pub(crate) fn limits(&self) -> Option<&Arc<RateRules>> {
        self.limits.as_ref()
    }

    /// PERF: one addition a request, and one store a second, so that processors seldom wait for each other.
    pub(crate) fn note_use(&self, now_secs: i64) {
        self.uses.calls.fetch_add(1, Relaxed);
        if self.uses.last_secs.load(Relaxed) < now_secs {
            self.uses.last_secs.store(now_secs, Relaxed);
        }
    }
}

/// The pepper of an installation's keys, apart from what else its secret is used for.
pub fn api_key_pepper(installation_key: &Secret<[u8; 32]>) -> [u8; 32] {
    blake3::derive_key("bartizan 2026-11 pepper of api keys", installation_key.expose())
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self::new([0; 32], [])
    }
}

impl ApiKeys {
    /// Every key there is, under its pepper.
    pub fn new(pepper: [u8; 32], keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let known = |key: ApiKey| (key.id.clone(), Arc::new(KnownKey { key, uses: Arc::default(), limits: None }));
        Self { pepper: Secret::new(pepper), by_id: keys.into_iter().map(known).collect() }
    }

    /// These keys in the place of `before`: uses go on, and so do counts, which the counters keep as long as somebody
    /// has a quota of the same numbers.
    pub(crate) fn following(self, before: &Self, counts: &KeyCounts) -> Self {
        let fingerprinter = Fingerprinter::new(&self.pepper);
        let mut rules: HashMap<ApiKeyQuota, Arc<RateRules>> = HashMap::new();
        let mut follow = |(id, known): (Box<str>, Arc<KnownKey>)| {
            let key = known.key.clone();
            let new = |quota: ApiKeyQuota| {
                let limits = quota.limits(counts.sharing);
                Arc::new(RateRules::brought(KEY_LIMITS, "", &limits, &counts.counters, fingerprinter))
            };
            let limits = key.quota.map(|quota| Arc::clone(rules.entry(quota).or_insert_with(|| new(quota))));
            let uses = before.by_id.get(&id).map_or_else(Arc::default, |before| Arc::clone(&before.uses));
            (id, Arc::new(KnownKey { key, uses, limits }))
        };
        Self { by_id: self.by_id.into_iter().map(&mut follow).collect(), pepper: self.pepper }
    }

    /// See [`crate::AccessState::take_api_key_uses`].
    pub(crate) fn take_uses(&self) -> Vec<ApiKeyUse> {
        let used = |known: &Arc<KnownKey>| {
            let calls = known.uses.calls.swap(0, Relaxed);
            let last_at = Timestamp::from_millis(known.uses.last_secs.load(Relaxed).saturating_mul(1000));
            (calls > 0).then(|| ApiKeyUse { id: known.key.id.clone(), last_at, calls })
        };
        self.by_id.values().filter_map(used).collect()
    }

    /// See [`crate::AccessState::unknown_plans`].
    pub(crate) fn unknown_plans(&self, config: &Config, now: Timestamp) -> Vec<Box<str>> {
        let live = self.by_id.values().map(|known| &known.key).filter(|key| key.is_live(now));
        let plans: BTreeSet<&str> = live.filter_map(|key| key.plan.as_deref()).collect();
        let is_known = |name: &&str| config.plans.iter().any(|plan| plan.name == **name);
        plans.into_iter().filter(|name| !is_known(name)).map(Into::into).collect()
    }

    /// The key of this id.
    pub(crate) fn known(&self, id: &str) -> Option<Arc<KnownKey>> {
        self.by_id.get(id).cloned()
    }

    /// Makes a key from random bytes. It is not yet among these: keep it, and publish them anew.
    ///
    /// # Errors
    /// When the application has two live keys already, or the id is taken.
    pub fn create(
        &self,
        grant: ApiKeyGrant,
        random: &[u8; API_KEY_RANDOM_BYTES],
        now: Timestamp,
    ) -> Result<NewApiKey, ApiKeyRefused> {
        let keys = self.by_id.values().map(|known| &known.key);
        let live = keys.filter(|key| key.application == grant.application && key.is_live(now)).count();
        if live >= LIVE_MAX {
            return Err(ApiKeyRefused::TwoLive);
        }
        let (id, secret) = random.split_at_checked(8).unwrap_or((random, b""));
        let id = text::base32(id);
        if self.by_id.contains_key(id.as_str()) {
            return Err(ApiKeyRefused::Taken);
        }
        let text = text::written(&id, secret);
        let key = ApiKey {
            id: id.into(),
            digest: hmac::sign(&self.hmac(), text.as_bytes()).as_ref().try_into().unwrap_or_default(),
            application: grant.application,
            owner: grant.owner,
            plan: grant.plan,
            quota: grant.quota,
            scopes: grant.scopes,
            roles: grant.roles,
            created_at: now,
            expires_at: grant.expires_at,
            rotated_at: None,
            revoked_at: None,
        };
        Ok(NewApiKey { text: Secret::new(text), key })
    }

    /// Makes a key that takes the place of `id`, which lives on until `until`: the new key, and the old one with its
    /// end. The new one lives as long as the old one was made to.
    ///
    /// # Errors
    /// When there is no such live key, it was rotated before, or the application has two live keys already.
    pub fn rotate(
        &self,
        id: &str,
        random: &[u8; API_KEY_RANDOM_BYTES],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(NewApiKey, ApiKey), ApiKeyRefused> {
        let old = self.by_id.get(id).map(|known| &known.key).filter(|key| key.is_live(now));
        let old = old.ok_or(ApiKeyRefused::Unknown)?;
        if old.rotated_at.is_some() {
            return Err(ApiKeyRefused::Rotated);
        }
        let lifetime = old.expires_at.map(|expires| expires.micros_since(old.created_at));
        let lifetime = lifetime.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
        let grant = ApiKeyGrant {
            application: old.application.clone(),
            owner: old.owner.clone(),
            plan: old.plan.clone(),
            quota: old.quota,
            scopes: old.scopes.clone(),
            roles: old.roles.clone(),
            expires_at: lifetime.map(|micros| now.plus_micros(micros)),
        };
        let new = self.create(grant, random, now)?;
        let end = old.expires_at.map_or(until, |expires| expires.min(until));
        Ok((new, ApiKey { expires_at: Some(end), rotated_at: Some(now), ..old.clone() }))
    }

    /// The key whose text this is; `None` when there is none.
    fn find(&self, text: &ApiKeyText<'_>) -> Option<&Arc<KnownKey>> {
        let known = self.by_id.get(text.id)?;
        hmac::verify(&self.hmac(), text.whole.as_bytes(), &known.key.digest).is_ok().then_some(known)
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.pepper.expose())
    }
}

impl ApiKey {
    /// Whether it is accepted at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none_or(|revoked| now < revoked) && self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// API keys in one field, or one parameter.
#[derive(Debug)]
pub(crate) struct ApiKeyRules {
    header: Arc<str>,
    query: Option<Arc<str>>,
}

impl ApiKeyRules {
    pub(crate) fn new(method: &ApiKeyMethod) -> Self {
        Self { header: method.header.as_str().into(), query: method.query.as_deref().map(Into::into) }
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn strip(&self, edits: &mut Edits) {
        edits.remove(&self.header);
        if let Some(query) = &self.query {
            edits.query = Some(Arc::clone(query));
        }
    }

    pub(crate) fn verdict(&self, ctx: &HeadContext<'_>, privacy: Privacy<'_>) -> Verdict {
        let presented = match self.presented(ctx) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Verdict::Absent,
            Err(fault) => return Verdict::Refused(fault),
        };
        let refused = |info, words| Verdict::Refused(Fault::new(info, words));
        let Some(text) = ApiKeyText::parse(&presented) else {
            return refused(&checks::API_KEY, "it has not the form of a key of ours");
        };
        let keys = ctx.snapshot.access().api_keys();
        if ctx.source != Source::Gateway && keys.by_id.is_empty() {
            return refused(&checks::UNAVAILABLE, "the keys of the installation are not at hand");
        }
        let Some(known) = keys.find(&text) else { return refused(&checks::API_KEY, "there is no such key") };
        let lapsed = |words| Verdict::Refused(Fault::of_key(&checks::API_KEY_LAPSED, words, text.id()));
        let key = &known.key;
        if key.revoked_at.is_some_and(|revoked| ctx.now >= revoked) {
            return lapsed("it was revoked");
        }
        if !key.is_live(ctx.now) {
            return lapsed("it has expired");
        }
        if key.plan.as_deref().is_some_and(|plan| ctx.snapshot.policies().plan(plan).is_none()) {
            let words = "the configuration does not have the plan that it was made with";
            return Verdict::Refused(Fault::of_key(&checks::PLAN, words, text.id()));
        }
        let now = ctx.now.as_secs();
        let who = Who::new(principal(key), privacy);
        Verdict::Known(Arc::new(Verified { who: Ok(who), from_secs: now, until_secs: now, keys: None }))
    }

    /// The key as presented: in the field, or in the query where that is allowed; never in two places.
    fn presented(&self, ctx: &HeadContext<'_>) -> Result<Option<Vec<u8>>, Fault> {
        const TWO: Fault = Fault::new(&checks::AMBIGUOUS, "there are two API keys");
        if is_twice(ctx, &self.header) {
            return Err(TWO);
        }
        let header = ctx.head.header(&self.header);
        let query = ctx.head.query().unwrap_or_default();
        let pairs = || query.split(|byte| *byte == b'&');
        let mut found = self.query.iter().flat_map(|name| pairs().filter(|pair| parameter_is(pair, name)));
        match (header, found.next(), found.next()) {
            (None, None, _) => Ok(None),
            (Some(header), None, _) => Ok(Some(header.to_vec())),
            (None, Some(pair), None) => {
                let value = pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default();
                Ok(Some(decoded(value)))
            }
            _ => Err(TWO),
        }
    }
}

fn principal(key: &ApiKey) -> Principal {
    Principal {
        application: Some(key.application.clone()),
        credential_id: Some(key.id.clone()),
        scopes: key.scopes.clone(),
        roles: key.roles.clone(),
        ..Principal::new(AUTHORITY, &key.application, CredentialKind::ApiKey, Strength::Shared)
    }
}
