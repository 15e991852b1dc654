//! The catalog: folds events into endpoints, and learns path templates while it does.
//!
//! Pure: what it knows follows from the events it saw and the limits it was given. Ordered maps and sorted vectors stand
//! where others take hash maps, so ties break the same way everywhere and no chosen key can flood a table; only the
//! distinct-count sketches hash, with a key given by the host.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod catalog;
mod distinct;
mod form;
mod host;
mod limits;
mod merge;
mod naming;
mod record;
mod saved;
mod tally;
mod templating;
mod trie;
mod view;
mod vocabulary;

pub use catalog::{Catalog, CatalogRow, CatalogStats, UndoError};
pub use limits::CatalogLimits;
pub use record::{
    AuthCount, CallerRecord, EndpointRecord, EndpointState, KindCount, MergeRecord, NamedCount, ParameterRecord,
    ParameterType, StatusCount,
};
