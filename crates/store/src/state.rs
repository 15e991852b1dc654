//! State that is not events: operators, their sessions, configuration revisions, the catalog's rows, the key.
//!
//! Kept in `state.db`, SQLite in WAL mode through sqlx; `migrations/` is embedded and run at open. Times are
//! microseconds since the epoch. Functions are async and may be awaited from any tokio runtime; a thread without
//! one uses [`crate::Store::block_on`].

use bartizan_model::{Diagnostic, Secret, Timestamp};
use serde::Serialize;

use crate::{Error, Store};

/// What a user of the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything
    Admin,
    /// Look, not change
    Viewer,
}

/// A user of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name to sign in with; compared without case
    pub name: String,
    /// What the user may do
    pub role: Role,
    /// PHC string of the argon2id hash
    pub password_hash: Secret<String>,
    /// When the user was made
    pub created: Timestamp,
}

/// A signed-in session. The token itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Hash of the token
    pub token_hash: [u8; 32],
    /// User's name
    pub user: String,
    /// When it began
    pub created: Timestamp,
    /// When it was last used
    pub last_seen: Timestamp,
    /// When it ends
    pub expires: Timestamp,
}

/// What made a configuration be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionCause {
    /// The process started
    Start,
    /// SIGHUP
    Signal,
    /// The file changed
    File,
    /// Somebody asked for it in the console
    Console,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionOutcome {
    /// It is, or was, the running configuration
    Applied,
    /// It had faults; the one before went on
    Rejected,
}

/// A configuration that was read, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevision {
    /// When
    pub time: Timestamp,
    /// Console user, or `system`
    pub author: String,
    /// Why
    pub cause: RevisionCause,
    /// What became of it
    pub outcome: RevisionOutcome,
    /// One line for people
    pub message: String,
    /// The document as read
    pub yaml: String,
    /// Its faults and warnings
    pub diagnostics: Vec<Diagnostic>,
}

/// One line of the revision history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// Number, from 1, without gaps
    pub revision: u64,
    /// When
    pub time: Timestamp,
    /// Console user, or `system`
    pub author: String,
    /// Why
    pub cause: RevisionCause,
    /// What became of it
    pub outcome: RevisionOutcome,
    /// One line for people
    pub message: String,
    /// SHA-256 of the document, hexadecimal
    pub yaml_sha256: String,
}

/// A revision in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevisionDetail {
    /// The line of the history
    #[serde(flatten)]
    pub revision: Revision,
    /// The document as read
    pub yaml: String,
    /// Its faults and warnings
    pub diagnostics: Vec<Diagnostic>,
}

/// One row of the catalog, as the catalog wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogEntry {
    /// Key, unique
    pub key: String,
    /// Content, opaque to the store
    pub json: String,
}

impl Store {
    /// Adds a user. Gives `false`, and changes nothing, when the name is taken.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn create_user(&self, user: &User) -> Result<bool, Error> {
        later(user)
    }

    /// Adds the first user. Gives `false`, and changes nothing, when there is any user: two set-ups cannot both win.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn create_first_user(&self, user: &User) -> Result<bool, Error> {
        later(user)
    }

    /// The user of this name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn user(&self, name: &str) -> Result<Option<User>, Error> {
        later(name)
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        later(())
    }

    /// Changes a user's password hash and ends the user's sessions. Gives `false` when there is no such user.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn set_password(&self, name: &str, password_hash: &Secret<String>) -> Result<bool, Error> {
        later((name, password_hash))
    }

    /// Deletes a user with all sessions. Gives `false` when there is no such user.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_user(&self, name: &str) -> Result<bool, Error> {
        later(name)
    }

    /// Adds a session of an existing user.
    ///
    /// # Errors
    /// The database failed, there is no such user, or the store is read-only.
    pub async fn create_session(&self, session: &Session) -> Result<(), Error> {
        later(session)
    }

    /// The session of this token hash with its user, unless it has expired.
    ///
    /// # Errors
    /// The database failed.
    pub async fn session(&self, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<(Session, User)>, Error> {
        later((token_hash, now))
    }

    /// Notes that a session was used, and moves its end.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn touch_session(&self, token_hash: &[u8; 32], now: Timestamp, expires: Timestamp) -> Result<(), Error> {
        later((token_hash, now, expires))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_session(&self, token_hash: &[u8; 32]) -> Result<(), Error> {
        later(token_hash)
    }

    /// Deletes sessions that have expired; gives how many.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<u64, Error> {
        later(now)
    }

    /// Records a configuration that was read; gives its number.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn add_revision(&self, revision: &NewRevision) -> Result<u64, Error> {
        later(revision)
    }

    /// The revision history, newest first, at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revisions(&self, limit: u32) -> Result<Vec<Revision>, Error> {
        later(limit)
    }

    /// One revision in full.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revision(&self, number: u64) -> Result<Option<RevisionDetail>, Error> {
        later(number)
    }

    /// Makes the stored catalog equal to `entries`, in one transaction: adds, changes, and deletes what is gone.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn save_catalog(&self, entries: &[CatalogEntry]) -> Result<(), Error> {
        later(entries)
    }

    /// The stored catalog, by key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load_catalog(&self) -> Result<Vec<CatalogEntry>, Error> {
        later(())
    }
}

fn later<T, A>(_arguments: A) -> Result<T, Error> {
    Err(Error::Internal("not built yet".to_owned()))
}
