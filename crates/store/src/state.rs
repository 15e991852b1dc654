//! State that is not events: operators, their sessions, configuration revisions, the catalog's rows, API keys, the
//! installation's key.
//!
//! Kept in `state.db`, SQLite in WAL mode through sqlx; `migrations/` is embedded and run at open. Times are
//! microseconds since the epoch. Functions are async and may be awaited from any tokio runtime; a thread without
//! one uses [`crate::Store::block_on`].

mod api_keys;
mod catalog;
pub(crate) mod database;
mod revisions;
mod users;

pub use api_keys::{API_KEYS_MAX, ApiKeyRecord, ApiKeySet, ApiKeyState, ApiKeyUsed, KeyQuota};
use bartizan_model::{Diagnostic, Secret, Timestamp};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

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

impl Role {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Viewer];

    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
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

impl RevisionCause {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Start, Self::Signal, Self::File, Self::Console];

    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Signal => "signal",
            Self::File => "file",
            Self::Console => "console",
        }
    }
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

impl RevisionOutcome {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Applied, Self::Rejected];

    /// The word in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
        }
    }
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
    /// The state database, for reading.
    fn state(&self) -> &SqlitePool {
        &self.inner.pool
    }

    /// The state database, unless the store is read-only.
    fn state_for_writing(&self) -> Result<&SqlitePool, Error> {
        if self.inner.is_state_writable { Ok(&self.inner.pool) } else { Err(Error::ReadOnly) }
    }
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}

/// The one of `all` whose word stands in `column`.
fn word<T: Copy>(row: &SqliteRow, column: &str, all: &[T], as_str: fn(T) -> &'static str) -> Result<T, Error> {
    let word: String = row.try_get(column)?;
    let found = all.iter().copied().find(|one| as_str(*one) == word);
    found.ok_or_else(|| Error::BadState(format!("{column} `{word}`")))
}
