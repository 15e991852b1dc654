//! API keys: records without secrets, and the revision by which a running gateway notices that they changed.
//!
//! Several processes change them (a gateway's console, `bartizan key` on the same machine). Each change is one
//! transaction that names the revision it was made from; when somebody was faster nothing is written, and the caller
//! reads again. Uses are added without a new revision, since they change nothing that a gateway decides by.

use bartizan_model::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::time;
use crate::{Error, Store};

/// LIMIT: records of keys, ended ones too. A gateway holds them all in memory, at some 500 B each.
pub const API_KEYS_MAX: usize = 50_000;
/// A record is forgotten so long after its key ended: a year, in microseconds.
const ENDED_KEPT_US: i64 = 366 * 86_400 * 1_000_000;

/// So many requests in any window of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyQuota {
    /// Requests
    pub requests: u64,
    /// Length of the window, in seconds
    pub per_s: u64,
}

/// What a key is good for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiKeyState {
    /// It is accepted
    Live,
    /// It is accepted, until the one that took its place stands alone
    Rotating,
    /// Its time is over
    Expired,
    /// It was taken back
    Revoked,
}

impl ApiKeyState {
    /// The word in tables and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rotating => "rotating",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether requests are let in.
    pub const fn is_accepted(self) -> bool {
        match self {
            Self::Live | Self::Rotating => true,
            Self::Expired | Self::Revoked => false,
        }
    }
}

/// What is kept of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKeyRecord {
    /// Public part of the key
    pub id: String,
    /// Keyed hash of the whole key; not shown
    #[serde(skip)]
    pub digest: [u8; 32],
    /// The application it was given to
    pub application: String,
    /// Who answers for it
    pub owner: Option<String>,
    /// Name of its plan
    pub plan: Option<String>,
    /// What it may do
    pub scopes: Vec<String>,
    /// What it is
    pub roles: Vec<String>,
    /// How often it may be used
    pub quota: Option<KeyQuota>,
    /// When it was made
    pub created: Timestamp,
    /// Console user, or `command line`
    pub created_by: String,
    /// From when on it is no longer accepted
    pub expires: Option<Timestamp>,
    /// When a new key took its place
    pub rotated: Option<Timestamp>,
    /// When it was taken back
    pub revoked: Option<Timestamp>,
    /// Who took it back
    pub revoked_by: Option<String>,
    /// When it was used last, as far as that was written down
    pub last_used: Option<Timestamp>,
    /// Requests that it let in, as far as that was written down
    pub calls: u64,
}

impl ApiKeyRecord {
    /// What it is good for at `now`.
    pub fn state(&self, now: Timestamp) -> ApiKeyState {
        if self.revoked.is_some_and(|revoked| revoked <= now) {
            ApiKeyState::Revoked
        } else if self.expires.is_some_and(|expires| expires <= now) {
            ApiKeyState::Expired
        } else if self.rotated.is_some() {
            ApiKeyState::Rotating
        } else {
            ApiKeyState::Live
        }
    }
}

/// Every API key, as of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeySet {
    /// Rises with every change
    pub revision: u64,
    /// By application, then the oldest first
    pub keys: Vec<ApiKeyRecord>,
}

/// Use of a key, to be added to its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyUsed {
    /// The key
    pub id: String,
    /// When it was used last
    pub last_used: Timestamp,
    /// Requests since the last note
    pub calls: u64,
}

impl Store {
    /// Every API key there is. A directory that an older version wrote has none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn api_keys(&self) -> Result<ApiKeySet, Error> {
        let mut transaction = self.state().begin().await?; // the keys and their revision, of one moment
        if !has_table(&mut transaction).await? {
            return Ok(ApiKeySet::default());
        }
        let revision = revision_of(&mut transaction).await?;
        let select = "SELECT * FROM api_keys ORDER BY application, created, id";
        let rows = sqlx::query(select).fetch_all(&mut *transaction).await?;
        let keys = rows.iter().map(record_of).collect::<Result<_, Error>>()?;
        Ok(ApiKeySet { revision, keys })
    }

    /// The revision of the API keys alone: cheap, for who has read them before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn api_keys_revision(&self) -> Result<u64, Error> {
        let mut connection = self.state().acquire().await?;
        if !has_table(&mut connection).await? {
            return Ok(0);
        }
        revision_of(&mut connection).await
    }

    /// Adds or replaces `keys`, all or none, if nothing was changed since revision `seen`; gives `false`, and changes
    /// nothing, when something was. What was noted of a key's use stays. Keys that ended more than a year before `now`
    /// are forgotten.
    ///
    /// # Errors
    /// The database failed, there would be too many keys, or the store is read-only.
    pub async fn put_api_keys(&self, seen: u64, keys: &[ApiKeyRecord], now: Timestamp) -> Result<bool, Error> {
        let mut transaction = self.state_for_writing()?.begin().await?;
        let seen = i64::try_from(seen).unwrap_or(i64::MAX);
        // the first statement writes, so that this transaction waits for another one instead of failing later
        let claim = sqlx::query("UPDATE api_keys_revision SET revision = revision + 1 WHERE revision = ?").bind(seen);
        if claim.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Ok(false);
        }
        let forget = "DELETE FROM api_keys WHERE min(coalesce(revoked, expires), coalesce(expires, revoked)) < ?";
        let before = now.as_micros().saturating_sub(ENDED_KEPT_US);
        sqlx::query(forget).bind(before).execute(&mut *transaction).await?;
        for key in keys {
            put(&mut transaction, key).await?;
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM api_keys").fetch_one(&mut *transaction).await?;
        if usize::try_from(count).unwrap_or(usize::MAX) > API_KEYS_MAX {
            return Err(Error::Full("API keys", API_KEYS_MAX)); // and the transaction is rolled back
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Adds uses to the records of their keys, in one transaction. Keys that are gone are passed over.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn note_api_key_uses(&self, uses: &[ApiKeyUsed]) -> Result<(), Error> {
        let mut transaction = self.state_for_writing()?.begin().await?;
        let update = "UPDATE api_keys SET calls = calls + ?, last_used = max(coalesce(last_used, 0), ?) WHERE id = ?";
        for used in uses {
            let calls = i64::try_from(used.calls).unwrap_or(i64::MAX);
            let bound = sqlx::query(update).bind(calls).bind(used.last_used.as_micros()).bind(&used.id);
            bound.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// A reader may see a directory before the gateway of this version has.
async fn has_table(connection: &mut SqliteConnection) -> Result<bool, Error> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'api_keys_revision'";
    let count: i64 = sqlx::query_scalar(select).fetch_one(connection).await?;
    Ok(count > 0)
}

async fn revision_of(connection: &mut SqliteConnection) -> Result<u64, Error> {
    let revision: i64 = sqlx::query_scalar("SELECT revision FROM api_keys_revision").fetch_one(connection).await?;
    u64::try_from(revision).map_err(|_| Error::BadState(format!("revision {revision} of the API keys")))
}

async fn put(connection: &mut SqliteConnection, key: &ApiKeyRecord) -> Result<(), Error> {
    let upsert = "INSERT INTO api_keys (id, digest, application, owner, plan, scopes, roles, quota_requests, \
         quota_per_s, created, created_by, expires, rotated, revoked, revoked_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, \
         application = excluded.application, owner = excluded.owner, plan = excluded.plan, scopes = excluded.scopes, \
         roles = excluded.roles, quota_requests = excluded.quota_requests, quota_per_s = excluded.quota_per_s, \
         created = excluded.created, created_by = excluded.created_by, expires = excluded.expires, \
         rotated = excluded.rotated, revoked = excluded.revoked, revoked_by = excluded.revoked_by";
    let list = |words: &[String]| serde_json::to_string(words).unwrap_or_default(); // strings cannot fail
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let micros = |time: Option<Timestamp>| time.map(Timestamp::as_micros);
    sqlx::query(upsert)
        .bind(&key.id)
        .bind(&key.digest[..])
        .bind(&key.application)
        .bind(&key.owner)
        .bind(&key.plan)
        .bind(list(&key.scopes))
        .bind(list(&key.roles))
        .bind(key.quota.map(|quota| number(quota.requests)))
        .bind(key.quota.map(|quota| number(quota.per_s)))
        .bind(key.created.as_micros())
        .bind(&key.created_by)
        .bind(micros(key.expires))
        .bind(micros(key.rotated))
        .bind(micros(key.revoked))
        .bind(&key.revoked_by)
        .execute(connection)
        .await?;
    Ok(())
}

fn record_of(row: &SqliteRow) -> Result<ApiKeyRecord, Error> {
    let digest: Vec<u8> = row.try_get("digest")?;
    let list = |column: &str| -> Result<Vec<String>, Error> {
        serde_json::from_str(row.try_get(column)?).map_err(|error| Error::BadState(format!("{column}: {error}")))
    };
    let maybe = |column: &str| -> Result<Option<Timestamp>, Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
    };
    let number = |column: &str| -> Result<Option<u64>, Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|number| u64::try_from(number).ok()))
    };
    let quota = number("quota_requests")?.zip(number("quota_per_s")?);
    Ok(ApiKeyRecord {
        id: row.try_get("id")?,
        digest: digest.try_into().map_err(|_| Error::BadState("a key's digest is not 32 bytes".to_owned()))?,
        application: row.try_get("application")?,
        owner: row.try_get("owner")?,
        plan: row.try_get("plan")?,
        scopes: list("scopes")?,
        roles: list("roles")?,
        quota: quota.map(|(requests, per_s)| KeyQuota { requests, per_s }),
        created: time(row, "created")?,
        created_by: row.try_get("created_by")?,
        expires: maybe("expires")?,
        rotated: maybe("rotated")?,
        revoked: maybe("revoked")?,
        revoked_by: row.try_get("revoked_by")?,
        last_used: maybe("last_used")?,
        calls: number("calls")?.unwrap_or_default(),
    })
}
