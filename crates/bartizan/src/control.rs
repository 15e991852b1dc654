//! The running configuration: who may change it, and how a change takes effect.
//!
//! A reload reads the file, validates it whole, compiles a Snapshot and swaps it together with the upstreams; a faulty
//! file changes nothing. Every attempt is a revision in the history. The catalog's lessons take the same way, so the
//! generation of the Snapshot counts both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bartizan_config::Config;
use bartizan_console::{ReloadOutcome, Reloaded, RuleNote, RunningConfig};
use bartizan_engine::{AddressFileInfo, Counters, Snapshot};
use bartizan_gateway::GatewayHandle;
use bartizan_model::{Diagnostic, DiagnosticSeverity, Endpoint};
use bartizan_store::{NewRevision, RevisionCause, RevisionOutcome, Store};

use crate::access::Desk;
use crate::document::{self, Document, Files};
use crate::metrics::Traffic;
use crate::rules::Reading;
use crate::shared_counts::SharedCounts;
use crate::{clock, output, table};

/// What runs, and what it takes to change it.
pub(crate) struct Control {
    path: PathBuf,
    /// From the command line; stands over what the file says
    data_dir: Option<PathBuf>,
    /// What the process began with: settings that need a restart are compared with these
    started: Config,
    running: ArcSwap<RunningConfig>,
    /// The Snapshot that runs, and the endpoints it knows; the lock orders reloads and lessons
    current: Mutex<Current>,
    gateway: OnceLock<GatewayHandle>,
    store: OnceLock<Store>,
    /// Keys, and what is remembered of callers
    desk: Arc<Desk>,
    /// Counts of rate limits: they go on after a reload
    counters: Arc<Counters>,
    key: [u8; 32],
    /// How often somebody asked for a reload: files are opened anew then
    asked: AtomicU64,
    traffic: Arc<Traffic>,
}

/// What a process begins with.
pub(crate) struct Start {
    /// The configuration file
    pub(crate) path: PathBuf,
    /// Data directory from the command line
    pub(crate) data_dir: Option<PathBuf>,
    /// The file's text
    pub(crate) text: String,
    /// What it means, with the command line's settings in it
    pub(crate) config: Config,
    /// What it names
    pub(crate) files: Files,
    /// Counts that other gateways share
    pub(crate) shared: Option<Arc<SharedCounts>>,
    /// What events count
    pub(crate) traffic: Arc<Traffic>,
}

struct Current {
    snapshot: Arc<Snapshot>,
    files: Files,
    endpoints: Vec<Endpoint>,
}

impl Control {
    /// Compiles the first Snapshot.
    pub(crate) fn new(start: Start, endpoints: Vec<Endpoint>, key: [u8; 32]) -> Self {
        let Start { path, data_dir, text, config, files, shared, traffic } = start;
        traffic.know(&config);
        let counters = shared.as_ref().map(|shared| Arc::clone(shared.counters())).unwrap_or_default();
        let desk = Desk::new(&config, shared, Arc::clone(&counters));
        let snapshot = Arc::new(files.compile(&config, 1, &endpoints, &counters, key).with_access(desk.state()));
        files.addresses.lines().iter().for_each(|line| tracing::info!("{line}"));
        let running = ArcSwap::from_pointee(RunningConfig {
            revision: 0,
            generation: 1,
            applied_at: clock::now(),
            file: path.display().to_string(),
            yaml: text,
            config: Arc::new(config.clone()),
            restart_needed: Vec::new(),
        });
        let current = Mutex::new(Current { snapshot, files, endpoints });
        let (gateway, store) = (OnceLock::new(), OnceLock::new());
        let asked = AtomicU64::new(0);
        Self { path, data_dir, started: config, running, current, gateway, store, desk, counters, key, asked, traffic }
    }

    /// The Snapshot that runs.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// Who answers the engine's questions.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Counts of rate limits.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The configuration that runs.
    pub(crate) fn running(&self) -> Arc<RunningConfig> {
        self.running.load_full()
    }

    /// How often somebody (a person, a signal) asked for a reload. Files that were moved away are left then.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on changes reach this gateway.
    pub(crate) fn attach_gateway(&self, gateway: GatewayHandle) {
        let _ = self.gateway.set(gateway);
    }

    /// From now on revisions are recorded here; the one that runs is recorded at once.
    pub(crate) fn attach_store(&self, store: Store) {
        let running = self.running();
        let message = format!("started with {}", summary(&running.config));
        let _ = self.store.set(store);
        let revision = self.record(RevisionCause::Start, "system", &running.yaml, &[], Ok(message));
        self.running.store(Arc::new(RunningConfig { revision, ..(*running).clone() }));
    }

    /// The arrow back: these endpoints are known now.
    pub(crate) fn teach(&self, endpoints: &[Endpoint]) {
        let mut current = self.lock();
        let generation = current.snapshot.generation() + 1;
        current.snapshot = Arc::new(current.snapshot.with_endpoints(generation, endpoints));
        current.endpoints = endpoints.to_vec();
        if let Some(gateway) = self.gateway.get() {
            gateway.publish(Arc::clone(&current.snapshot));
        }
        let running = self.running();
        self.running.store(Arc::new(RunningConfig { generation, ..(*running).clone() }));
    }

    /// Reads the file again and applies it if it is valid. Blocks: disk, and names of upstreams. Asked for by a person or
    /// a signal, an unchanged file still has its certificates and rule files read again: they change behind its back.
    pub(crate) fn reload(&self, cause: RevisionCause, author: &str) -> Reloaded {
        if cause != RevisionCause::File {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        let before = self.lock().files.clone();
        let document = document::load(&self.path, &before); // without the lock: the pipeline waits for nobody's disk
        let mut current = self.lock();
        let Document { text, parsed, files } = match document {
            Ok(document) => document,
            Err(error) => return self.refuse(cause, author, "", vec![self.fault(&output::words(&error))]),
        };
        let running = self.running();
        let Some(mut config) = parsed.config else { return self.refuse(cause, author, &text, parsed.diagnostics) };
        if text == running.yaml && files.is_same(&current.files) {
            return self.renew(cause, author, &current, parsed.diagnostics);
        }
        if let Some(directory) = &self.data_dir {
            config.data.directory.clone_from(directory);
        }
        let generation = current.snapshot.generation() + 1;
        self.desk.read_files(&config);
        let snapshot = files.compile(&config, generation, &current.endpoints, &self.counters, self.key);
        let snapshot = Arc::new(snapshot.with_access(self.desk.state()).following(&current.snapshot));
        let mut restart_needed = restart_needed(&self.started, &config);
        match self.gateway.get().map(|gateway| gateway.reload(&config, Arc::clone(&snapshot))) {
            Some(Ok(needed)) => restart_needed.extend(needed),
            Some(Err(error)) => return self.refuse(cause, author, &text, vec![self.fault(&error.to_string())]),
            None => {}
        }
        current.snapshot = snapshot;
        self.traffic.know(&config);
        files.addresses.lines().iter().for_each(|line| tracing::info!("{line}"));
        current.files = files;
        self.warn_of_unknown_plans(&config);
        let message = message(&config, &restart_needed);
        tracing::info!(cause = cause.as_str(), author, "configuration applied: {message}");
        let revision = self.record(cause, author, &text, &parsed.diagnostics, Ok(message));
        self.running.store(Arc::new(RunningConfig {
            revision,
            generation,
            applied_at: clock::now(),
            file: running.file.clone(),
            yaml: text,
            config: Arc::new(config),
            restart_needed: restart_needed.clone(),
        }));
        Reloaded { outcome: ReloadOutcome::Applied, revision, diagnostics: parsed.diagnostics, restart_needed }
    }

    /// Says which API keys are refused for the plan that they were made with.
    pub(crate) fn warn_of_unknown_plans(&self, config: &Config) {
        for plan in self.desk.state().unknown_plans(config, clock::now()) {
            tracing::warn!(
                plan = &*plan,
                "API keys are refused: the configuration has no such plan; add it to `plans`"
            );
        }
    }

    /// The same text again: only the files that it names may have changed.
    fn renew(&self, cause: RevisionCause, author: &str, current: &Current, diagnostics: Vec<Diagnostic>) -> Reloaded {
        let running = self.running();
        let is_asked = cause != RevisionCause::File;
        if is_asked {
            self.desk.read_files(&running.config);
        }
        if let Some(gateway) = self.gateway.get().filter(|_| is_asked)
            && let Err(error) = gateway.reload(&running.config, Arc::clone(&current.snapshot))
        {
            return self.refuse(cause, author, &running.yaml, vec![self.fault(&error.to_string())]);
        }
        let (revision, restart_needed) = (running.revision, running.restart_needed.clone());
        Reloaded { outcome: ReloadOutcome::Unchanged, revision, diagnostics, restart_needed }
    }

    /// Validates text as if it stood in the file. Files that it names are not read.
    pub(crate) fn check(&self, text: &str) -> Vec<Diagnostic> {
        let before = self.lock().files.clone();
        document::parse(text.to_owned(), &self.path, &before, Reading::Nothing).parsed.diagnostics
    }

    /// What the files of address data that run say of themselves.
    pub(crate) fn address_data(&self) -> Vec<AddressFileInfo> {
        self.lock().files.addresses.data().infos()
    }

    /// What an attack rule says about itself.
    pub(crate) fn rule_note(&self, check: &str) -> Option<RuleNote> {
        self.lock().files.rules.note(check)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, cause: RevisionCause, author: &str, text: &str, diagnostics: Vec<Diagnostic>) -> Reloaded {
        let running = self.running();
        let first = diagnostics.first().map(ToString::to_string).unwrap_or_default();
        tracing::error!(cause = cause.as_str(), author, "configuration refused, the old one runs on: {first}");
        let message = format!("refused: {}", table::count(diagnostics.len(), "fault", "faults"));
        self.record(cause, author, text, &diagnostics, Err(message));
        let restart_needed = running.restart_needed.clone();
        Reloaded { outcome: ReloadOutcome::Rejected, revision: running.revision, diagnostics, restart_needed }
    }

    /// A fault of the world (file, certificate, socket) as a diagnostic of the whole file.
    fn fault(&self, message: &str) -> Diagnostic {
        Diagnostic {
            severity: DiagnosticSeverity::Error,
            code: "CFG-100".to_owned(),
            file: self.path.display().to_string(),
            position: None,
            path: String::new(),
            message: message.to_owned(),
            help: "the configuration before goes on running; mend this and reload".to_owned(),
        }
    }

    /// Adds to the history; returns the revision's number, 0 when there is no history to add to.
    fn record(
        &self,
        cause: RevisionCause,
        author: &str,
        yaml: &str,
        diagnostics: &[Diagnostic],
        message: Result<String, String>,
    ) -> u64 {
        let Some(store) = self.store.get() else { return 0 };
        let outcome = if message.is_ok() { RevisionOutcome::Applied } else { RevisionOutcome::Rejected };
        let (Ok(message) | Err(message)) = message;
        let (author, yaml, diagnostics) = (author.to_owned(), yaml.to_owned(), diagnostics.to_vec());
        let revision = NewRevision { time: clock::now(), author, cause, outcome, message, yaml, diagnostics };
        store.block_on(store.add_revision(&revision)).unwrap_or_else(|error| {
            tracing::error!(%error, "the revision could not be recorded");
            0
        })
    }
}

/// Settings of the binary that only a restart changes; the gateway names its own.
fn restart_needed(started: &Config, wanted: &Config) -> Vec<String> {
    let changed = [
        (started.data != wanted.data, "`data` changed"),
        (started.redis != wanted.redis, "`redis` changed"),
        (started.metrics != wanted.metrics, "`metrics` changed"),
        (started.console != wanted.console, "`console` changed"),
    ];
    changed.into_iter().filter(|(is_changed, _)| *is_changed).map(|(_, setting)| setting.to_owned()).collect()
}

fn message(config: &Config, restart_needed: &[String]) -> String {
    match restart_needed {
        [] => summary(config),
        needed => format!("{}; waits for a restart: {}", summary(config), needed.join(", ")),
    }
}

fn summary(config: &Config) -> String {
    format!(
        "{}, {}, {}",
        table::count(config.apis.len(), "API", "APIs"),
        table::count(config.upstreams.len(), "upstream", "upstreams"),
        table::count(config.policies.len(), "policy", "policies"),
    )
}
