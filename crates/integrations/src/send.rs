//! What happened, told to other systems. Events carry shapes and masked excerpts only, and so does all that is sent.
//!
//! [`AuditLog`] turns an event into a line of JSON, in our own form or in OCSF's; [`LogFile`] keeps lines in a file
//! that is begun anew when it grows large. Nothing here is on the request path.

mod audit_log;
mod log_file;

pub use audit_log::{AuditForm, AuditLog, RuleWords};
pub use log_file::{LogFile, LogFileError, LogFileOptions};
