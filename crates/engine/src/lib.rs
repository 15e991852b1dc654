//! The decision core: what is done with an exchange, and what is remembered of it.
//!
//! Synchronous and free of IO: hosts (the gateway, `bartizan replay`, `bartizan explain`) drive an [`Inspection`] with
//! the parts of an exchange, obey each [`Step`], and get exactly one redacted `Event` at the end. Everything that an
//! inspection may read is compiled beforehand into an immutable [`Snapshot`].

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod answer;
mod decide;
mod inspection;
mod judge;
mod snapshot;

pub use answer::{Answer, answer, answer_ending};
pub use inspection::{Engine, Inspection, Step};
pub use judge::{Judged, StageTrace, judge};
pub use snapshot::{Inputs, Route, Snapshot};

use bartizan_model::CheckInfo;

/// Every check of the engine.
pub const CHECKS: &[&CheckInfo] = &[];
