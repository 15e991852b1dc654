//! Other systems: recorded traffic in ([`tell`]) and, with masking, out again; audit logs out ([`send`]).
//!
//! Nothing here judges traffic. A reader turns somebody's file into [`Exchange`](bartizan_model::Exchange)s, which the
//! engine then judges exactly as the gateway's own; a writer does the reverse for `bartizan record`. The input is hostile:
//! every reader is linear, bounded, and reports what it cannot use instead of guessing.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

pub mod send;
pub mod tell;
