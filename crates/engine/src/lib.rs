//! The decision core: what is done with an exchange, and what is remembered of it.
//!
//! Synchronous and free of IO: hosts (the gateway, `bartizan replay`, `bartizan explain`) drive an [`Inspection`] with
//! the parts of an exchange, obey each [`Step`], and get exactly one redacted `Event` at the end. Everything that an
//! inspection may read is compiled beforehand into an immutable [`Snapshot`].
//!
//! ```text
//! Engine::begin ─► request_head ─► identify ─► route ─► access ─► authenticate ─► continuity ─► limit ─► content ─► threat
//!                  (after each: decide ─► Step; Step::Ask ─► reply goes on where it stopped)
//!                  request_body ─► limit ─► decide ─► Step
//!                  request_end  ─► limit ─► content ─► threat ─► decide ─► Step
//!                  (limit may ask: Step::Ask ─► reply_at_end goes on there)
//!                  finish       ─► threat ─► Event
//! ```

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod address;
mod answer;
mod bounded;
mod caching;
mod checks;
mod counters;
mod credential;
mod decide;
mod edits;
mod endpoints;
mod event;
mod fields;
mod forwarded;
#[doc(hidden)]
pub mod fuzz;
mod held;
mod host;
mod inspection;
mod judge;
mod networks;
mod parameters;
mod path;
mod policy;
mod question;
mod redact;
mod response_edits;
mod routes;
mod rule_records;
mod snapshot;
mod stage;
mod state;
#[cfg(test)]
mod testing;
mod whereabouts;

pub use answer::{Answer, answer, answer_ending};
pub use caching::{CacheBypass, CacheRequest, Caching};
pub use checks::CHECKS;
pub use counters::{Counters, Fingerprint, LimitLoad, LimitOutcomes, Load, TableStats, lease, shared};
pub use edits::{Edits, is_forwarding};
pub use host::host_name;
pub use inspection::{Engine, Inspection, Step};
pub use judge::{Callers, Judged, StageTrace, judge, judge_callers};
pub use networks::{AddressData, AddressFacts, AddressFile, AddressFileFault, AddressFileInfo, Coordinates, Country};
pub use question::{PasswordCheck, Question, Reply};
pub use response_edits::{ResponseEdit, ResponseEdits, varies_by};
pub use snapshot::{Inputs, Plans, Route, Snapshot};
pub use stage::access::api_key::{
    API_KEY_RANDOM_BYTES, ApiKey, ApiKeyGrant, ApiKeyQuota, ApiKeyRefused, ApiKeyUse, ApiKeys, NewApiKey,
    api_key_pepper,
};
pub use stage::access::authorize::AuthorizationTrace;
pub use stage::access::authorize::cedar::{CedarFile, CedarPlan, CedarPlans, schema_text};
pub use state::{AccessState, KeysPublished, KeysRefused};

/// How bad a finding of an attack rule is, from SecLang's severity: 0 (emergency) to 7 (debug).
pub const fn rule_severity(severity: Option<u8>) -> bartizan_model::Severity {
    stage::threat::finding::severity(severity, false)
}
