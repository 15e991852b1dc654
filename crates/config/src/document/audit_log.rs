//! Audit logs: files with one line of JSON an exchange.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Size, size_bounds};
use crate::defaults;

/// A file that gets one line of JSON for each exchange that attack rules or policies spoke against. Payloads are
/// masked, as in events. A file that cannot be written stops nothing: lines are lost, counted and reported.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditLog {
    /// File, in a folder that is there; relative to this document's folder. SIGHUP opens it anew, for `logrotate`.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"/var/log/bartizan/audit.json")]
    pub file: String,
    /// Form of a line.
    #[serde(default)]
    pub format: AuditLogFormat,
    /// Leave out exchanges in which no attack rule matched and that no policy denied, or would have.
    #[serde(default = "super::yes")]
    pub only_relevant: bool,
    /// Size beyond which the file is renamed to `FILE.1`, `FILE.1` to `FILE.2` and so on, and another is begun.
    #[serde(default = "bytes_max")]
    #[schemars(extend("x-bounds" = size_bounds(defaults::AUDIT_LOG_BYTES)))]
    pub bytes_max: Size,
    /// Renamed files that are kept; the oldest goes.
    #[serde(default = "files_kept")]
    #[schemars(range(min = defaults::AUDIT_LOG_FILES.min, max = defaults::AUDIT_LOG_FILES.max))]
    pub files_kept: u32,
}

/// Form of a line.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditLogFormat {
    /// Our own, with the names of ModSecurity's JSON audit log.
    #[default]
    Json,
    /// OCSF 1.5, HTTP Activity (4002) with the profile Security Control.
    Ocsf,
}

fn bytes_max() -> Size {
    Size::default_of(defaults::AUDIT_LOG_BYTES)
}

fn files_kept() -> u32 {
    super::small(defaults::AUDIT_LOG_FILES)
}
