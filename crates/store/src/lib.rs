//! The sole owner of disk: the event log (zstd Parquet segments, read through DataFusion) and the state (SQLite).
//!
//! No other crate names a database. One process writes to a directory at a time ([`Store::open`], guarded by a lock
//! file); others may read it meanwhile ([`Store::open_read_only`]), or change its state ([`Store::open_state`]): SQLite
//! lets one transaction in after the other.

mod aggregate;
mod answer;
mod decode;
mod encode;
mod error;
mod filter;
mod functions;
mod json;
mod lock;
mod log;
mod maintenance;
mod parquet_file;
mod policies;
mod query;
mod reader;
mod schema;
mod search;
mod segment;
mod state;
mod statement;
mod store;
mod table;

pub use answer::{
    Bucket, CheckCount, Column, CredentialCount, EndpointSeries, EventPage, EventQuery, EventRow, FacetValue, Facets,
    HealthState, Histogram, Latency, Overview, PolicyCount, Quarantined, SourceCount, SqlLimits, StatusBucket,
    StoreHealth, Table, TopEndpoint, Totals,
};
pub use error::Error;
pub use filter::Filter;
pub use policies::{EndpointHits, HitBucket, PolicyActivity, PolicyHits, PolicyScope};
pub use state::{
    API_KEYS_MAX, ApiKeyRecord, ApiKeySet, ApiKeyState, ApiKeyUsed, CatalogEntry, KeyQuota, NewRevision, Revision,
    RevisionCause, RevisionDetail, RevisionOutcome, Role, Session, User,
};
pub use store::{Store, StoreOptions};
