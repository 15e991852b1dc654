//! Keeps the engine's API keys as the store has them, and writes down what they are used for.
//!
//! One thread looks at the revision of the records once a second, and reads them when it has changed: another process
//! may have changed them. The console asks for it at once. When the database cannot be read, the keys known before go
//! on and the log says so. Uses are counted in memory and written in one transaction every few seconds, far from the
//! request path; a `kill -9` loses at most these seconds of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bartizan_engine::AccessState;
use bartizan_store::{ApiKeyUsed, Store};

use super::engine_keys;

/// How often the revision is looked at. With the time that reading takes, a change is taken within two seconds, which
/// the documents promise.
const POLL: Duration = Duration::from_secs(1);
/// How often uses are written.
const WRITE_USES: Duration = Duration::from_secs(5);

/// Between the records and the engine.
pub(crate) struct Keeper {
    access: Arc<AccessState>,
    kept: Mutex<Kept>,
}

struct Kept {
    store: Store,
    revision: u64,
    /// Uses that could not be written yet; at most one entry for each key there is
    unwritten: HashMap<Box<str>, ApiKeyUsed>,
    /// The last reading failed, and that was said
    is_unread: bool,
    /// The last writing failed, and that was said
    is_unwritten: bool,
}

impl Keeper {
    /// Publishes the keys that `store` has.
    pub(crate) fn new(access: Arc<AccessState>, store: Store) -> Result<Arc<Self>> {
        let set = store.block_on(store.api_keys()).context("reading the API keys")?;
        access.publish_api_keys(engine_keys(&store, &set.keys));
        let kept =
            Kept { store, revision: set.revision, unwritten: HashMap::new(), is_unread: false, is_unwritten: false };
        Ok(Arc::new(Self { access, kept: Mutex::new(kept) }))
    }

    /// From now on keys are read from, and uses written to, this store.
    pub(crate) fn attach(&self, store: Store) {
        self.lock().store = store;
        self.refresh();
    }

    /// Goes on in a thread of its own for as long as the keeper lives.
    pub(crate) fn keep(self: &Arc<Self>) -> Result<()> {
        let keeper = Arc::downgrade(self);
        let work = move || {
            let mut written = Instant::now();
            loop {
                std::thread::sleep(POLL);
                let Some(keeper) = keeper.upgrade() else { return };
                keeper.refresh();
                if written.elapsed() >= WRITE_USES {
                    keeper.write_uses();
                    written = Instant::now();
                }
            }
        };
        std::thread::Builder::new().name("api-keys".to_owned()).spawn(work)?;
        Ok(())
    }

    /// Reads the keys again if they have changed. Blocks.
    pub(crate) fn refresh(&self) {
        let mut kept = self.lock();
        let read =
            kept.read_if_changed().map(|keys| keys.into_iter().for_each(|keys| self.access.publish_api_keys(keys)));
        say(&mut kept.is_unread, read, "the API keys could not be read; those known before stay, revoked ones too");
    }

    /// Writes what keys were used for. Blocks.
    pub(crate) fn write_uses(&self) {
        let mut kept = self.lock();
        if kept.store.is_read_only() {
            return; // an upgrade that waits for its turn: the engine goes on counting
        }
        for used in self.access.take_api_key_uses() {
            let note = ApiKeyUsed { id: used.id.to_string(), last_used: used.last_at, calls: 0 };
            let entry = kept.unwritten.entry(used.id).or_insert(note);
            entry.last_used = entry.last_used.max(used.last_at);
            entry.calls = entry.calls.saturating_add(used.calls);
        }
        if kept.unwritten.is_empty() {
            return;
        }
        let uses: Vec<ApiKeyUsed> = kept.unwritten.values().cloned().collect();
        let written = kept.store.block_on(kept.store.note_api_key_uses(&uses));
        if written.is_ok() {
            kept.unwritten.clear();
        }
        let failure = "the use of API keys could not be written; it is tried again";
        say(&mut kept.is_unwritten, written.map_err(Into::into), failure);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn read_if_changed(&mut self) -> Result<Option<bartizan_engine::ApiKeys>> {
        if self.store.block_on(self.store.api_keys_revision())? == self.revision {
            return Ok(None);
        }
        let set = self.store.block_on(self.store.api_keys())?;
        self.revision = set.revision;
        tracing::info!(keys = set.keys.len(), revision = set.revision, "API keys taken");
        Ok(Some(engine_keys(&self.store, &set.keys)))
    }
}

/// Tells of a failure once, until it works again.
fn say(is_failing: &mut bool, outcome: Result<()>, failure: &str) {
    if let (Err(error), false) = (&outcome, *is_failing) {
        tracing::error!(error = crate::output::words(error), "{failure}");
    }
    *is_failing = outcome.is_err();
}
