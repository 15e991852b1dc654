//! Audit logs, written by the pipeline as it takes events out of its queue: never on the request path.
//!
//! A file that cannot be written loses lines, which is counted and told when it begins and when it ends; traffic and
//! the event log go on. What is configured is looked at once a second, so that a reload needs no wire to here.

use std::collections::HashMap;
use std::sync::Arc;

use bartizan_config::{AuditLog as Settings, AuditLogFormat};
use bartizan_integrations::send::{AuditForm, AuditLog, LogFile, LogFileError, LogFileOptions, RuleWords};
use bartizan_model::Event;

use crate::control::Control;

/// The audit logs of the running configuration.
pub(crate) struct Audits {
    control: Arc<Control>,
    logs: Vec<Log>,
    /// What rules say about themselves, by check; rules are many and lines are more
    rules: HashMap<String, Option<RuleWords>>,
    /// The revision whose rules these are
    revision: u64,
    asked: u64,
    lines: Vec<u8>,
}

/// One of them.
struct Log {
    settings: Settings,
    form: AuditLog,
    file: LogFile,
    /// Lines lost when its failing was told
    failing_since: Option<u64>,
    /// That it cannot be renamed was told
    is_growth_told: bool,
}

impl Audits {
    /// Those that are configured now.
    pub(crate) fn new(control: Arc<Control>) -> Self {
        let asked = control.asked();
        let (logs, rules, lines) = (Vec::new(), HashMap::new(), Vec::new());
        let mut audits = Self { control, logs, rules, revision: 0, asked, lines };
        audits.tick();
        audits
    }

    /// Writes the lines of these events.
    pub(crate) fn write(&mut self, events: &[Event]) {
        for log in &mut self.logs {
            self.lines.clear();
            let mut count = 0;
            let mut rule = |check: &str| {
                let known = self.rules.get(check).cloned();
                known.unwrap_or_else(|| {
                    let words =
                        self.control.rule_note(check).map(|note| RuleWords { message: note.message, tags: note.tags });
                    self.rules.insert(check.to_owned(), words.clone());
                    words
                })
            };
            for event in events {
                count += u64::from(log.form.append(event, &mut rule, &mut self.lines));
            }
            if count > 0 {
                log.write(&self.lines, count);
            }
        }
    }

    /// Follows the configuration, and opens the files anew when that was asked for.
    pub(crate) fn tick(&mut self) {
        let running = self.control.running();
        if self.revision != running.revision {
            self.revision = running.revision;
            self.rules.clear();
        }
        let wanted = &running.config.audit_logs;
        if self.logs.iter().map(|log| &log.settings).ne(wanted) {
            self.logs = wanted.iter().map(Log::new).collect();
        }
        let asked = self.control.asked();
        if self.asked != asked {
            self.asked = asked;
            self.logs.iter_mut().for_each(|log| log.file.reopen());
        }
    }
}

impl Log {
    fn new(settings: &Settings) -> Self {
        let options = LogFileOptions { bytes_max: settings.bytes_max, files_kept: settings.files_kept };
        let form = match settings.format {
            AuditLogFormat::Json => AuditForm::Json,
            AuditLogFormat::Ocsf => AuditForm::Ocsf,
        };
        Self {
            settings: settings.clone(),
            form: AuditLog { form, only_relevant: settings.only_relevant, version: env!("CARGO_PKG_VERSION") },
            file: LogFile::new(settings.file.clone(), options),
            failing_since: None,
            is_growth_told: false,
        }
    }

    fn write(&mut self, lines: &[u8], count: u64) {
        let before = self.file.lost();
        match (self.file.append(lines, count), self.failing_since) {
            (Err(error @ LogFileError::Rename { .. }), _) => {
                if !std::mem::replace(&mut self.is_growth_told, true) {
                    tracing::warn!(%error, "the audit log is not begun anew");
                }
            }
            (Err(error), None) => {
                self.failing_since = Some(before);
                tracing::error!(%error, "lines of the audit log are lost; traffic goes on");
            }
            (Ok(()), Some(since)) => {
                self.failing_since = None;
                let (file, lost) = (self.settings.file.display(), self.file.lost() - since);
                tracing::warn!(%file, lost, "the audit log is written again; these lines are lost");
            }
            (Err(_), Some(_)) | (Ok(()), None) => {}
        }
    }
}
