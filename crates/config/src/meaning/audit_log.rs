//! Audit logs: where, in which form, how large.

use super::Checker;
use crate::config::{AuditLog, AuditLogFormat};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// The audit logs, each of a file of its own.
pub(super) fn all(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::AuditLog]) -> Vec<AuditLog> {
    let mut logs: Vec<AuditLog> = Vec::with_capacity(written.len());
    for (index, log) in written.iter().enumerate() {
        let at = at.index(index);
        let file = checker.base_dir.join(&log.file);
        if logs.iter().any(|other| other.file == file) {
            let message = format!("two audit logs write to `{}`", bartizan_model::excerpt(&log.file));
            checker.error(&at.key("file"), report::NOT_UNIQUE, message, "give each a file of its own");
        }
        logs.push(AuditLog {
            file,
            format: match log.format {
                document::AuditLogFormat::Json => AuditLogFormat::Json,
                document::AuditLogFormat::Ocsf => AuditLogFormat::Ocsf,
            },
            only_relevant: log.only_relevant,
            bytes_max: checker.size(&at.key("bytes_max"), &log.bytes_max, defaults::AUDIT_LOG_BYTES),
            files_kept: log.files_kept,
        });
    }
    logs
}
