//! SecLang: parsed, compiled into a plan, run over one exchange at a time.
//!
//! Text → [`ast`] ([`parse`]: every fault is a diagnostic, nothing is skipped) → [`Plan`] (compiled once per snapshot) →
//! [`Transaction`] (one exchange, phase by phase). Everything works on bytes and in linear time.
//!
//! Sources: ModSecurity Reference Manual (v2.x and v3.x); OWASP Core Rule Set 4.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

pub mod ast;
mod collections;
mod cut;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod inputs;
mod open;
mod operator;
mod parse;
mod plan;
mod request;
mod run;
mod transaction;
mod transform;
mod variable;

pub use collections::{CollectionCounts, CollectionLimits, Collections};
pub use cut::{Cut, Left};
pub use parse::{Parsed, Sources, parse};
pub use plan::{Gates, Memory, Options, Plan, RuleInfo};
pub use transaction::{Action, Intervention, Match, Request, Response, Transaction};
pub use transform::Transform;
pub use variable::Variable;
