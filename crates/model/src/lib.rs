//! The nouns of Bartizan: what a message, a client, an endpoint, a finding, a decision and an event are.
//!
//! Every other crate speaks in these types, so this crate holds words and their invariants, never
//! policy: no IO, no clock, no configuration. Names follow the field (RFC 9110, OCSF, OWASP); the
//! table in ARCHITECTURE.md says which standard each one comes from.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod auth;
mod check;
mod client;
mod decision;
mod diagnostic;
mod endpoint;
mod event;
mod exchange;
mod finding;
mod message;
mod parameter;
mod principal;
mod secret;
mod template;
mod time;
mod value;
mod wording;

pub use auth::{AuthKind, AuthKinds};
pub use check::{CheckId, CheckInfo, Severity};
pub use client::{Actor, ActorKind, Client, Connection, TlsInfo};
pub use decision::{Action, Decision, Mode};
pub use diagnostic::{Diagnostic, DiagnosticSeverity, Position};
pub use endpoint::{Endpoint, EndpointId, EndpointRef};
pub use event::{CacheStatus, Ending, Event, Missing, Outcome, RequestId, Source};
pub use exchange::{Exchange, Request, Response};
pub use finding::{Confidence, Finding, FindingPolicy, Location, Part};
pub use message::{HeaderField, HttpVersion, RequestHead, ResponseHead, Scheme, header};
pub use parameter::{Parameter, ParameterPlace};
pub use principal::{ClaimValue, Confirmation, CredentialKind, EventPrincipal, Principal, Strength};
pub use secret::Secret;
pub use template::{PathTemplate, Segment, TemplateError};
pub use time::{Timestamp, TimestampError};
pub use value::{ValueKind, is_card_number};
pub use wording::{EXCERPT_CHARS_MAX, did_you_mean, excerpt, listed};
