//! The history of configurations that were read.

use bartizan_model::Diagnostic;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{NewRevision, Revision, RevisionCause, RevisionDetail, RevisionOutcome, time, word};
use crate::{Error, Store};

const HISTORY: &str = "SELECT revision, time, author, cause, outcome, message, yaml_sha256 FROM config_revisions \
                       ORDER BY revision DESC LIMIT ?";
const APPLIED: &str = "SELECT * FROM config_revisions WHERE outcome = ? ORDER BY revision DESC LIMIT 1";

impl Store {
    /// Records a configuration that was read; gives its number.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn add_revision(&self, revision: &NewRevision) -> Result<u64, Error> {
        let diagnostics = serde_json::to_string(&revision.diagnostics).map_err(|error| internal(&error))?;
        let insert = "INSERT INTO config_revisions \
             SELECT coalesce(max(revision), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM config_revisions RETURNING revision";
        let row = sqlx::query(insert)
            .bind(revision.time.as_micros())
            .bind(&revision.author)
            .bind(revision.cause.as_str())
            .bind(revision.outcome.as_str())
            .bind(&revision.message)
            .bind(&revision.yaml)
            .bind(sha256_hex(&revision.yaml))
            .bind(diagnostics)
            .fetch_one(self.state_for_writing()?)
            .await?;
        number(&row)
    }

    /// The revision history, newest first, at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revisions(&self, limit: u32) -> Result<Vec<Revision>, Error> {
        let rows = sqlx::query(HISTORY).bind(limit).fetch_all(self.state()).await?;
        rows.iter().map(revision_of).collect()
    }

    /// One revision in full.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revision(&self, number: u64) -> Result<Option<RevisionDetail>, Error> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let query = sqlx::query("SELECT * FROM config_revisions WHERE revision = ?").bind(number);
        query.fetch_optional(self.state()).await?.as_ref().map(detail_of).transpose()
    }

    /// The newest revision that was applied, however many were refused since: what runs, or ran last.
    ///
    /// # Errors
    /// The database failed.
    pub async fn applied_revision(&self) -> Result<Option<RevisionDetail>, Error> {
        let query = sqlx::query(APPLIED).bind(RevisionOutcome::Applied.as_str());
        query.fetch_optional(self.state()).await?.as_ref().map(detail_of).transpose()
    }
}

fn detail_of(row: &SqliteRow) -> Result<RevisionDetail, Error> {
    let diagnostics: Vec<Diagnostic> =
        serde_json::from_str(row.try_get("diagnostics")?).map_err(|error| internal(&error))?;
    Ok(RevisionDetail { revision: revision_of(row)?, yaml: row.try_get("yaml")?, diagnostics })
}

fn revision_of(row: &SqliteRow) -> Result<Revision, Error> {
    Ok(Revision {
        revision: number(row)?,
        time: time(row, "time")?,
        author: row.try_get("author")?,
        cause: word(row, "cause", &RevisionCause::ALL, RevisionCause::as_str)?,
        outcome: word(row, "outcome", &RevisionOutcome::ALL, RevisionOutcome::as_str)?,
        message: row.try_get("message")?,
        yaml_sha256: row.try_get("yaml_sha256")?,
    })
}

fn number(row: &SqliteRow) -> Result<u64, Error> {
    let number: i64 = row.try_get("revision")?;
    u64::try_from(number).map_err(|_| Error::BadState(format!("revision number {number}")))
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn internal(error: &serde_json::Error) -> Error {
    Error::BadState(format!("diagnostics: {error}"))
}
