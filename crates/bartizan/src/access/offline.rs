//! The desk of `explain` and `replay`: keys from files; URLs are asked only when the operator says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use bartizan_config::{Config, KeySource};
use bartizan_engine::{AccessState, Question, Reply};
use bartizan_model::Event;

use super::Desk;

/// The engine's check for a credential that cannot be judged.
const UNCHECKED: &str = "ACC-209";

/// Whether who called could not be checked here, so that the gateway may have decided otherwise.
pub(crate) fn is_unchecked(event: &Event) -> bool {
    event.findings.iter().any(|found| found.check.as_str() == UNCHECKED)
}

/// Answers questions about recorded or imagined requests, one at a time.
pub(crate) struct Offline {
    desk: Arc<Desk>,
    runtime: tokio::runtime::Runtime,
    is_online: bool,
    sources: BTreeSet<KeySource>,
    /// Sources whose keys were asked for: once is enough for requests that are no longer under way
    looked_up: BTreeSet<KeySource>,
    /// Whom a question was for, that was not asked
    unasked: BTreeSet<String>,
}

impl Offline {
    /// Reads the key files of `config`.
    ///
    /// # Errors
    /// There are no threads left.
    pub(crate) fn new(config: &Config, is_online: bool) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
        let sources = config.key_sources().into_iter().cloned().collect();
        Ok(Self {
            desk: Desk::new(config, None, Arc::default()),
            runtime,
            is_online,
            sources,
            looked_up: BTreeSet::new(),
            unasked: BTreeSet::new(),
        })
    }

    /// What Snapshots shall share.
    pub(crate) fn state(&self) -> Arc<AccessState> {
        self.desk.state()
    }

    /// Answers one question, as far as that may be.
    pub(crate) fn answer(&mut self, question: Question) -> Reply {
        let whom = match &question {
            Question::Password(_) => None,                   // it is computed
            Question::Count(_) => return Reply::Unavailable, // counts are of running gateways
            Question::Keys { source } => Some(source.to_string()),
            Question::Introspection { method, .. } => Some(method.url.clone()),
            Question::External { method, .. } => Some(method.url.clone()),
        };
        if let Some(whom) = whom.filter(|_| !self.is_online) {
            self.unasked.insert(whom);
            return Reply::Unavailable;
        }
        if let Question::Keys { source } = &question
            && !self.looked_up.insert((**source).clone())
        {
            return Reply::Done;
        }
        self.runtime.block_on(Arc::clone(&self.desk).answer(question))
    }

    /// What was needed and could not be had, each with what to do.
    pub(crate) fn unread(&self) -> Vec<String> {
        let state = self.desk.state();
        let missing = self.sources.iter().filter(|source| !state.has_keys(source)).filter_map(|source| match source {
            KeySource::File(file) => Some(format!("`{}` could not be read, or holds no usable key", file.display())),
            KeySource::Url(_) | KeySource::Discovery(_) if self.is_online => {
                Some(format!("`{source}` could not be fetched"))
            }
            KeySource::Url(_) | KeySource::Discovery(_) => None, // said below, when a question was for it
        });
        let unasked = self.unasked.iter().map(|whom| format!("`{whom}` was not asked; give `--online` to do so"));
        missing.chain(unasked).collect()
    }
}
