//! Passwords of operators: argon2id with OWASP's parameters (19 MiB, two passes, one lane), verified in equal time
//! whether the name exists or not.
//!
//! Sources: OWASP Password Storage Cheat Sheet; RFC 9106; NIST SP 800-63B (length over composition rules).

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// LIMIT: shortest password, in characters (SP 800-63B asks for at least 8, and 15 where it stands alone).
const CHARS_MIN: usize = 12;
/// LIMIT: longest password, in bytes: hashing time must not depend on a megabyte.
const BYTES_MAX: usize = 1024;
/// LIMIT: hashes computed at once; each takes 19 MiB and about 20 ms of a core.
static HASHING: Semaphore = Semaphore::const_new(2);
/// What an unknown name is verified against, so that it costs what a known one costs.
static NOBODY: LazyLock<String> = LazyLock::new(|| phc(b"nobody has this password").unwrap_or_default());

/// Whether `password` may be chosen by the user `name`.
pub(crate) fn is_acceptable(name: &str, password: &str) -> Result<(), Problem> {
    if password.chars().count() < CHARS_MIN {
        return Err(Problem::Bad(format!("the password must have at least {CHARS_MIN} characters")));
    }
    if password.len() > BYTES_MAX {
        return Err(Problem::Bad(format!("the password must have at most {BYTES_MAX} bytes")));
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(Problem::Bad("the password must not be the name".to_owned()));
    }
    let mut letters = password.chars();
    let first = letters.next();
    if letters.all(|letter| Some(letter) == first) {
        return Err(Problem::Bad("the password must be more than one character repeated".to_owned()));
    }
    Ok(())
}

/// The PHC string to keep for `password`.
pub(crate) async fn hash(password: String) -> Result<String, Problem> {
    off_the_runtime(move || phc(password.as_bytes())).await?.ok_or(Problem::Fault)
}

/// Whether `password` fits `stored`; `None` (no such user) costs the same and is never right.
pub(crate) async fn verify(password: String, stored: Option<String>) -> Result<bool, Problem> {
    if password.len() > BYTES_MAX {
        return Ok(false);
    }
    off_the_runtime(move || {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| NOBODY.clone());
        let fits = PasswordHash::new(&stored).is_ok_and(|parsed| {
            argon2id().is_some_and(|argon| argon.verify_password(password.as_bytes(), &parsed).is_ok())
        });
        exists && fits
    })
    .await
}

async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let _turn = HASHING.acquire().await.map_err(|_| Problem::Fault)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::Fault)
}

fn argon2id() -> Option<Argon2<'static>> {
    let params = Params::new(19 * 1024, 2, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn phc(password: &[u8]) -> Option<String> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).ok()?;
    argon2id()?.hash_password_with_salt(password, &salt).ok().map(|hash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_hash_is_argon2id_with_owasp_parameters() {
        let hash = phc(b"correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, phc(b"correct horse battery").unwrap(), "salts must differ");
    }

    #[test]
    fn weak_passwords_are_refused() {
        for (name, password) in [("ann", "short"), ("annabel-smith", "Annabel-Smith"), ("ann", "aaaaaaaaaaaaaaaa")] {
            assert!(is_acceptable(name, password).is_err(), "{password}");
        }
        assert!(is_acceptable("ann", "zwölf Zeichen").is_ok());
        assert!(is_acceptable("ann", &"long ".repeat(300)).is_err());
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_that_exists_fits() {
        let stored = hash("correct horse battery".to_owned()).await.unwrap();
        assert!(verify("correct horse battery".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!verify("correct horse batterz".to_owned(), Some(stored)).await.unwrap());
        assert!(!verify("nobody has this password".to_owned(), None).await.unwrap());
    }
}
