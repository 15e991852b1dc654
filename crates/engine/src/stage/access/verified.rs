//! What is remembered of a verified credential: who it was, until when that holds, and what of it may be told.

use std::sync::{Arc, OnceLock};

use bartizan_model::{CheckInfo, ClaimValue, EventPrincipal, Principal, Secret};

use super::api_key::ApiKeyId;
use crate::bounded::{Digest, Pieces};
use crate::redact;

/// LIMIT: bytes of an application's name that an event keeps.
const APPLICATION_BYTES_MAX: usize = 128;
/// LIMIT: bytes of a subject that an event keeps, where it is kept as it is.
const SUBJECT_BYTES_MAX: usize = 128;
/// LIMIT: scopes, and roles, that an event keeps.
const WORDS_MAX: usize = 16;
/// LIMIT: bytes of each.
const WORD_BYTES_MAX: usize = 64;
/// Hexadecimal digits of a subject's hash: 128 bits.
const HASH_DIGITS: usize = 32;

/// Why a credential is not accepted: the check that noticed, and evidence from a closed set of words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) info: &'static CheckInfo,
    words: &'static str,
    /// The key that it is about, where its secret was right
    key: Option<ApiKeyId>,
}

impl Fault {
    pub(crate) const fn new(info: &'static CheckInfo, words: &'static str) -> Self {
        Self { info, words, key: None }
    }

    /// About a key of ours, whose secret was right: its id is public, and tells who still uses it.
    pub(crate) const fn of_key(info: &'static CheckInfo, words: &'static str, key: ApiKeyId) -> Self {
        Self { info, words, key: Some(key) }
    }

    /// What the finding says.
    pub(crate) fn evidence(&self) -> String {
        match &self.key {
            Some(key) => format!("{}: key `{key}`", self.words),
            None => self.words.to_owned(),
        }
    }

    pub(crate) fn is(&self, info: &CheckInfo) -> bool {
        self.info.id == info.id
    }
}

/// The outcome of a verification, and how long it holds.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) who: Result<Who, Fault>,
    /// Holds from this second on
    pub(crate) from_secs: i64,
    /// Holds until before this second
    pub(crate) until_secs: i64,
    /// Content of the key source that it was verified with
    pub(crate) keys: Option<Digest>,
}

impl Verified {
    /// Whether the outcome still holds.
    pub(crate) fn holds(&self, now_secs: i64, keys: Option<&Digest>) -> bool {
        (self.from_secs..self.until_secs).contains(&now_secs) && self.keys.as_ref() == keys
    }
}

/// When the user was verified, as a token says, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Login {
    /// `auth_time` (OpenID Connect Core §2, RFC 9068 §2.2.1)
    pub(crate) authenticated_secs: Option<i64>,
    /// `iat`
    pub(crate) issued_secs: Option<i64>,
}

/// A caller who is known.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) principal: Principal,
    /// What an event keeps
    pub(crate) event: Arc<EventPrincipal>,
    /// The actor's id
    pub(crate) actor: Box<str>,
    /// When the user was verified, as far as the credential says
    pub(crate) login: Login,
    digest: OnceLock<Digest>,
}

/// How a policy wants callers to be told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Privacy<'a> {
    pub(crate) key: &'a Secret<[u8; 32]>,
    pub(crate) is_subject_plain: bool,
}

impl Who {
    pub(crate) fn new(principal: Principal, privacy: Privacy<'_>) -> Self {
        let hash = hashed(&principal, privacy.key);
        let subject = if privacy.is_subject_plain {
            redact::cut(principal.subject.as_bytes(), SUBJECT_BYTES_MAX).into()
        } else {
            hash.clone()
        };
        let event = EventPrincipal {
            subject,
            application: principal
                .application
                .as_deref()
                .map(|name| redact::cut(name.as_bytes(), APPLICATION_BYTES_MAX).into()),
            credential_id: principal.credential_id.clone(),
            scopes: words(&principal.scopes),
            roles: words(&principal.roles),
            credential: principal.credential,
            strength: principal.strength,
        };
        Self { principal, event: Arc::new(event), actor: hash, login: Login::default(), digest: OnceLock::new() }
    }

    /// The same caller, verified then.
    pub(crate) fn with_login(self, login: Login) -> Self {
        Self { login, ..self }
    }

    /// Names everything that is known of the principal but which credential it has, so that what follows from all of it
    /// can be remembered; computed when it is wanted first.
    pub(crate) fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| digest(&self.principal))
    }
}

fn digest(principal: &Principal) -> Digest {
    let words = |pieces: &mut Pieces, words: &[Box<str>]| pieces.list(words.iter().map(|word| word.as_bytes()));
    let mut pieces = Pieces::default();
    pieces.bytes(principal.authority.as_bytes());
    pieces.bytes(principal.subject.as_bytes());
    pieces.list(principal.application.iter().map(|application| application.as_bytes()));
    words(&mut pieces, &principal.scopes);
    words(&mut pieces, &principal.roles);
    pieces.bytes(principal.credential.as_str().as_bytes());
    pieces.bytes(principal.strength.as_str().as_bytes());
    for (name, value) in &principal.claims {
        pieces.bytes(name.as_bytes());
        match value {
            ClaimValue::Text(text) => pieces.list([b"text".as_slice(), text.as_bytes()].into_iter()),
            ClaimValue::Number(number) => {
                pieces.list([b"number".as_slice(), &number.to_be_bytes()].into_iter());
            }
            ClaimValue::Boolean(boolean) => pieces.list([b"boolean".as_slice(), &[u8::from(*boolean)]].into_iter()),
            ClaimValue::List(items) => {
                pieces.bytes(b"list");
                words(&mut pieces, items);
            }
            ClaimValue::Numbers(items) => {
                pieces.bytes(b"numbers");
                pieces.number(items.len() as i64);
                items.iter().for_each(|item| pieces.number(*item));
            }
        }
    }
    pieces.finish()
}

fn words(all: &[Box<str>]) -> Vec<Box<str>> {
    all.iter().take(WORDS_MAX).map(|word| redact::cut(word.as_bytes(), WORD_BYTES_MAX).into()).collect()
}

/// Names a subject: stable within one installation, meaningless outside of it.
fn hashed(principal: &Principal, key: &Secret<[u8; 32]>) -> Box<str> {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    hasher.update(b"principal\0");
    hasher.update(principal.authority.as_bytes()).update(b"\0").update(principal.subject.as_bytes());
    hasher.finalize().to_hex().get(..HASH_DIGITS).unwrap_or_default().into()
}
