//! The admin API and the web console: what people and scripts ask of a running Bartizan.
//!
//! A library: the binary hands over the store, a view of the catalog, the live event channel and a few closures
//! ([`Parts`]) and calls [`serve`]. One file per resource holds its shapes and its thin handlers; `api.rs` is the one
//! list of routes, from which the OpenAPI document is made too; `security.rs` stands before all of them.

mod api;
mod assets;
mod cache;
mod catalog;
mod checks;
mod config;
mod endpoints;
mod events;
mod keys;
mod limits;
mod live;
mod login;
mod overview;
mod parts;
mod password;
mod policies;
mod problem;
mod range;
mod request;
mod schema;
mod security;
mod serve;
mod session;
mod sql;
mod status;
mod token;
mod users;

pub use api::document;
pub use catalog::CatalogView;
pub use parts::{
    ADDRESS_DATA_OLD_DAYS, AddressDataState, CachePurge, Clock, Control, CreateKey, KeyDesk, KeyRefused, LimitState,
    MadeKey, NewKey, Options, Parts, Pending, QueueCounters, ReloadOutcome, Reloaded, RevokeKey, RotateKey, RuleNote,
    RuleNotes, RunningConfig, SourceHealth, SourceState, TargetState, UpstreamState,
};
pub use serve::serve;
pub use token::{SetupToken, TokenHash, new_token};
