//! Secrets that are 256 random bits: session tokens, the one-time set-up token, the admin token of scripts.
//!
//! Only hashes are kept. BLAKE3 without salt or stretching is enough for a value nobody can guess; passwords, which
//! people choose, go through `password.rs`. Hashes are compared in constant time.

use bartizan_model::{Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// How long the one-time set-up link is good for, in microseconds.
const SETUP_US: i64 = 24 * 3600 * 1_000_000;

/// The hash of a token; the token itself is nowhere.
#[derive(Clone, Copy, Debug)]
pub struct TokenHash([u8; 32]);

/// The token behind the one-time set-up link; exists only while no user does, and only in memory.
#[derive(Clone, Debug)]
pub struct SetupToken {
    hash: TokenHash,
    expires_at: Timestamp,
}

/// A new token: 256 bits from the operating system, as 43 characters of base64url.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn new_token() -> Result<Secret<String>, getrandom::Error> {
    let mut bits = [0u8; 32];
    getrandom::fill(&mut bits)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bits)))
}

impl TokenHash {
    /// The hash of `token`.
    pub fn of(token: &str) -> Self {
        Self(*blake3::hash(token.as_bytes()).as_bytes())
    }

    /// Whether this is the hash of `token`, in constant time.
    pub fn is_of(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }

    /// The 32 bytes: how sessions are kept.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl SetupToken {
    /// A set-up token and the secret for its link, `…/setup#token=<secret>`: in the fragment, which browsers do not
    /// send, so that it stands in no log.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<(Self, Secret<String>), getrandom::Error> {
        let token = new_token()?;
        let hash = TokenHash::of(token.expose());
        Ok((Self { hash, expires_at: now.plus_micros(SETUP_US) }, token))
    }

    pub(crate) fn is_valid(&self, token: &str, now: Timestamp) -> bool {
        self.hash.is_of(token) && now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_token_is_good_for_a_day() {
        let now = Timestamp::from_micros(1_000);
        let (setup, token) = SetupToken::generate(now).unwrap();
        assert!(setup.is_valid(token.expose(), now));
        assert!(!setup.is_valid(token.expose(), now.plus_micros(SETUP_US)));
        assert!(!setup.is_valid("guess", now));
    }

    #[test]
    fn tokens_differ_and_have_256_bits() {
        let (a, b) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(URL_SAFE_NO_PAD.decode(a.expose()).unwrap().len(), 32);
    }
}
