//! What can go wrong with the disk, the state database or a question asked of the events.

use std::path::PathBuf;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        /// What was being done, such as `cannot create`
        action: &'static str,
        /// The file or directory
        path: PathBuf,
        /// Why it failed
        source: std::io::Error,
    },
    /// Another process has the directory open for writing
    #[error("data directory `{}` is in use by process {pid}; stop it, or name another data directory", directory.display())]
    Locked {
        /// The data directory
        directory: PathBuf,
        /// Process that holds it, as far as known
        pid: String,
    },
    /// A read-only open found nothing
    #[error("there is no Bartizan data in `{}`; name the data directory of a gateway that has run", .0.display())]
    NoData(PathBuf),
    /// Writing was asked of a store that was opened read-only
    #[error("the store was opened read-only")]
    ReadOnly,
    /// There are as many of something as may be kept
    #[error("there are {1} {0} already, which is as many as are kept; remove some first")]
    Full(&'static str, usize),
    /// The state database cannot be opened
    #[error("state database `{}` cannot be used: {fault}", path.display())]
    StateFile {
        /// The file
        path: PathBuf,
        /// What is wrong with it, and what to do
        fault: String,
    },
    /// The state database failed
    #[error("state database: {}", database_words(.0))]
    State(#[from] sqlx::Error),
    /// A row of the state database does not say what it should
    #[error("state database: {0}")]
    BadState(String),
    /// A segment could not be encoded or decoded
    #[error("events: {0}")]
    Encoding(String),
    /// Events could not be written
    #[error("{events} events were dropped: {why}")]
    Dropped {
        /// How many
        events: u64,
        /// Why
        why: String,
    },
    /// The question is not well put: show the text to whoever asked
    #[error("{0}")]
    Query(String),
    /// The question is not allowed: show the text to whoever asked
    #[error("{0}")]
    Refused(String),
    /// The question took longer than it may
    #[error("the query was stopped after {seconds} s; narrow the time range or add a filter")]
    TimedOut {
        /// The limit
        seconds: u64,
    },
    /// The question needs more memory than it may have
    #[error("the query needs more memory than it may have; narrow the time range or group by fewer values")]
    OutOfMemory,
    /// A fault of ours
    #[error("internal fault: {0}")]
    Internal(String),
}

impl Error {
    /// Makes a file error of `source` while doing `action` to `path`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    /// Whether whoever asked is at fault (a bad or refused query), not the store.
    pub fn is_query_fault(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Refused(_) | Self::TimedOut { .. } | Self::OutOfMemory)
    }
}

/// What SQLite said, without the library's words around it.
pub(crate) fn database_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Encoding(error.to_string())
    }
}
