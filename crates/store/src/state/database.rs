//! Opening `state.db`: WAL, migrations, and the installation key.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::Secret;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};

use crate::Error;
use crate::error::database_words;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another connection's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// LIMIT: connections; SQLite writes with one at a time anyway.
const CONNECTIONS_MAX: u32 = 4;

/// Opens the database for writing, making it when it is missing.
pub(crate) async fn open(path: PathBuf) -> Result<(SqlitePool, Secret<[u8; 32]>), Error> {
    create_private(&path)?;
    let options = options(&path)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with NORMAL never corrupts; a power cut may lose the last transactions, a killed process loses none
        .synchronous(SqliteSynchronous::Normal);
    let opened = async {
        let pool = connect(options).await?;
        MIGRATIONS.run(&pool).await.map_err(|error| unusable(&path, &migration_words(&error)))?;
        let key = installation_key(&pool).await?;
        Ok((pool, key))
    };
    opened.await.map_err(|error| at_path(&path, error))
}

/// Whether the database is there and as this version writes it.
pub(crate) async fn is_current(path: PathBuf) -> Result<bool, Error> {
    if !path.is_file() {
        return Ok(false);
    }
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
    let pool = connect(options(&path).read_only(true)).await.map_err(|error| at_path(&path, error))?;
    let found: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&pool).await;
    Ok(found.is_ok_and(|found| found >= newest)) // without the table it was never written
}

/// Opens the database for reading, beside the process that writes.
pub(crate) async fn open_read_only(path: PathBuf) -> Result<(SqlitePool, Secret<[u8; 32]>), Error> {
    let opened = async {
        let pool = connect(options(&path).read_only(true)).await?;
        let key = stored_key(&pool).await?;
        Ok((pool, key.ok_or_else(|| Error::BadState("there is no installation key".to_owned()))?))
    };
    opened.await.map_err(|error| at_path(&path, error))
}

/// The error of opening `path`, with the file's name and what to do.
fn at_path(path: &Path, error: Error) -> Error {
    match error {
        Error::State(error) => unusable(path, &database_words(&error)),
        Error::BadState(fault) => unusable(path, &fault),
        other => other,
    }
}

fn unusable(path: &Path, fault: &str) -> Error {
    let fault = format!("{fault}; restore it from a copy, or move it away to begin anew (events stay)");
    Error::StateFile { path: path.to_owned(), fault }
}

fn migration_words(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) | MigrateError::VersionTooNew(..) => {
            "another version of bartizan wrote it; use that version or a later one".to_owned()
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => database_words(error),
        other => other.to_string(),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT)
}

async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    Ok(SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?)
}

/// The file exists, with access for its owner only, before SQLite opens it; its WAL takes over the mode.
fn create_private(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("cannot create", path, error)),
        _ => Ok(()),
    }
}

async fn installation_key(pool: &SqlitePool) -> Result<Secret<[u8; 32]>, Error> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    let insert = "INSERT INTO meta (name, value) VALUES ('installation_key', ?) ON CONFLICT (name) DO NOTHING";
    sqlx::query(insert).bind(&fresh[..]).execute(pool).await?;
    let key = stored_key(pool).await?;
    key.ok_or_else(|| Error::BadState("the installation key was not kept".to_owned()))
}

async fn stored_key(pool: &SqlitePool) -> Result<Option<Secret<[u8; 32]>>, Error> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'installation_key'").fetch_optional(pool).await?;
    let Some(row) = row else { return Ok(None) };
    let key: [u8; 32] = row
        .try_get::<Vec<u8>, _>("value")?
        .try_into()
        .map_err(|_| Error::BadState("the installation key is not 32 bytes".to_owned()))?;
    Ok(Some(Secret::new(key)))
}
