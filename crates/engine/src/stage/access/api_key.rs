//! API keys: `bz_<id>_<secret>_<checksum>`, made here, kept as a digest, compared in constant time.
//!
//! The id is public and finds the key; 256 random bits are the secret; the checksum tells a mistyped key and lets secret
//! scanners recognize one. What is kept is HMAC-SHA-256 of the whole key under a pepper that is not in the same store:
//! a secret of 256 bits cannot be guessed, so that a slow hash would only help who wants to keep the gateway busy.
//! Two keys of one application may be live at once, for rotation. This file computes; randomness and disk are the host's.

use std::collections::HashMap;
use std::sync::Arc;

use bartizan_config::ApiKeyMethod;
use bartizan_model::{CredentialKind, Principal, Secret, Source, Strength, Timestamp};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::authenticate::{Verdict, Verified, is_twice};
use super::checks;
use super::verified::{Fault, Privacy, Who};
use crate::edits::{Edits, decoded, parameter_is};
use crate::stage::HeadContext;
use crate::state::sha256;

/// Random bytes of a new key: 8 for its id, 32 for its secret.
pub const API_KEY_RANDOM_BYTES: usize = 40;
/// Keys of one application that may be live at once: the old and the new one.
const LIVE_MAX: usize = 2;
/// Letters of a key's parts.
const PREFIX: &str = "bz";
const ID_CHARS: usize = 13;
const SECRET_CHARS: usize = 52;
const CHECKSUM_CHARS: usize = 8;
/// Who vouches for what this installation knows itself.
pub(crate) const AUTHORITY: &str = "bartizan";

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
    /// Plan, for quotas
    pub plan: Option<Box<str>>,
    /// What it may do
    pub scopes: Vec<Box<str>>,
    /// What it is
    pub roles: Vec<Box<str>>,
    /// When it was made
    pub created_at: Timestamp,
    /// From when on it is no longer accepted
    pub expires_at: Option<Timestamp>,
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
    /// Plan, for quotas
    pub plan: Option<Box<str>>,
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
    /// The random bytes gave an id that is taken: try again
    Taken,
}

impl std::fmt::Display for ApiKeyRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TwoLive => "the application has two live keys; revoke one first",
            Self::Unknown => "there is no such key",
            Self::Taken => "the new key's id is taken; try again",
        })
    }
}

impl std::error::Error for ApiKeyRefused {}

/// The keys of an installation.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    pepper: Secret<[u8; 32]>,
    by_id: HashMap<Box<str>, Arc<ApiKey>>,
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self::new([0; 32], [])
    }
}

impl ApiKeys {
    /// Every key there is, under its pepper.
    pub fn new(pepper: [u8; 32], keys: impl IntoIterator<Item = ApiKey>) -> Self {
        let by_id = keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect();
        Self { pepper: Secret::new(pepper), by_id }
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
        let live = self.by_id.values().filter(|key| key.application == grant.application && key.is_live(now));
        if live.count() >= LIVE_MAX {
            return Err(ApiKeyRefused::TwoLive);
        }
        let (id, secret) = random.split_at_checked(8).unwrap_or((random, b""));
        let id = base32(id);
        if self.by_id.contains_key(id.as_str()) {
            return Err(ApiKeyRefused::Taken);
        }
        let unchecked = format!("{PREFIX}_{id}_{}", base32(secret));
        let text = format!("{unchecked}_{}", checksum(&unchecked));
        let key = ApiKey {
            id: id.into(),
            digest: hmac::sign(&self.hmac(), text.as_bytes()).as_ref().try_into().unwrap_or_default(),
            application: grant.application,
            owner: grant.owner,
            plan: grant.plan,
            scopes: grant.scopes,
            roles: grant.roles,
            created_at: now,
            expires_at: grant.expires_at,
            revoked_at: None,
        };
        Ok(NewApiKey { text: Secret::new(text), key })
    }

    /// Makes a key that takes the place of `id`, which lives on until `until`: the new key, and the old one with its
    /// end.
    ///
    /// # Errors
    /// When there is no such key, or the application has two live keys already.
    pub fn rotate(
        &self,
        id: &str,
        random: &[u8; API_KEY_RANDOM_BYTES],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(NewApiKey, ApiKey), ApiKeyRefused> {
        let old = self.by_id.get(id).filter(|key| key.is_live(now)).ok_or(ApiKeyRefused::Unknown)?;
        let grant = ApiKeyGrant {
            application: old.application.clone(),
            owner: old.owner.clone(),
            plan: old.plan.clone(),
            scopes: old.scopes.clone(),
            roles: old.roles.clone(),
            expires_at: old.expires_at,
        };
        let new = self.create(grant, random, now)?;
        let end = old.expires_at.map_or(until, |expires| expires.min(until));
        Ok((new, ApiKey { expires_at: Some(end), ..ApiKey::clone(old) }))
    }

    /// The key whose text this is; `None` when there is none.
    fn find(&self, text: &ApiKeyText<'_>) -> Option<&Arc<ApiKey>> {
        let key = self.by_id.get(text.id)?;
        hmac::verify(&self.hmac(), text.whole.as_bytes(), &key.digest).is_ok().then_some(key)
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

/// A key's text of the right form.
#[derive(Debug)]
struct ApiKeyText<'a> {
    whole: &'a str,
    id: &'a str,
}

impl<'a> ApiKeyText<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let whole = std::str::from_utf8(text).ok()?;
        let mut parts = whole.split('_');
        let (Some(PREFIX), Some(id), Some(secret), Some(sum), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_base32 = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        let has_form = id.len() == ID_CHARS && secret.len() == SECRET_CHARS && sum.len() == CHECKSUM_CHARS;
        let unchecked = whole.get(..whole.len().checked_sub(CHECKSUM_CHARS + 1)?)?;
        (has_form && is_base32(id) && is_base32(secret) && checksum(unchecked) == sum).then_some(Self { whole, id })
    }
}

/// Tells a mistyped key; protects nothing.
fn checksum(text: &str) -> String {
    let digest = sha256(&[b"api key", text.as_bytes()]);
    digest.iter().take(CHECKSUM_CHARS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4648 §6 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut push = |five: u32| text.push(LETTERS.get((five & 31) as usize).copied().map_or('a', char::from));
    for byte in bytes {
        bits = (bits & 0x1f) << 8 | u32::from(*byte); // at most four bits are left over
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    text
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
        let Some(key) = keys.find(&text) else { return refused(&checks::API_KEY, "there is no such key") };
        if key.revoked_at.is_some_and(|revoked| ctx.now >= revoked) {
            return refused(&checks::API_KEY_LAPSED, "it was revoked");
        }
        if !key.is_live(ctx.now) {
            return refused(&checks::API_KEY_LAPSED, "it has expired");
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
        scopes: key.scopes.clone(),
        roles: key.roles.clone(),
        ..Principal::new(AUTHORITY, &key.application, CredentialKind::ApiKey, Strength::Shared)
    }
}
