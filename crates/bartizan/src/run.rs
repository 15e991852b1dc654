//! `bartizan run`: gateway, pipeline and console in one process, from start to stop.
//!
//! Order of a start: configuration, data directory, Snapshot, listeners, pipeline, console. With `--upgrade` the old
//! process still owns the data directory while it drains: the new one serves at once, queues its events, and opens the
//! directory (and the console's port) as soon as they are free.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bartizan_catalog::UndoError;
use bartizan_config::{Config, Data};
use bartizan_console as console;
use bartizan_engine::{AddressFileInfo, CHECKS, LimitLoad, Load};
use bartizan_gateway::{ExchangeSink, Gateway, GatewayHandle, GatewayOptions, Purge, Sinks};
use bartizan_store::{ApiKeyRecord, Error as StoreError, RevisionCause, Store, StoreOptions};
use tokio::sync::{broadcast, watch};

use crate::control::{Control, Start};
use crate::document::Valid;
use crate::keys::keeper::Keeper;
use crate::metrics::{self, Sources};
use crate::pipeline::{Parts, Pipeline, Queue, SharedCatalog};
use crate::shared_counts::SharedCounts;
use crate::{REFUSED, arguments, catalog, clock, document, keys, output, watch as file_watch};

/// LIMIT: events that a slow live listener may lag behind before it loses some.
const LIVE_EVENTS_MAX: usize = 1024;
/// How long an upgrade waits for the data directory, beyond the grace that the old process gives its last requests.
const HAND_OVER: Duration = Duration::from_secs(60);

/// Runs until stopped.
pub(crate) fn run(options: &arguments::Run) -> Result<u8> {
    serve(options, None, |_| Ok(()))
}

/// Runs with an extra sink for whole exchanges; `started` gets the gateway's handle before it serves.
pub(crate) fn serve(
    options: &arguments::Run,
    exchanges: Option<ExchangeSink>,
    started: impl FnOnce(GatewayHandle) -> Result<()>,
) -> Result<u8> {
    let Some(Valid { text, mut config, files }) = document::load_or_explain(&options.config)? else {
        return Ok(REFUSED);
    };
    if let Some(directory) = &options.data_dir {
        config.data.directory.clone_from(directory);
    }
    let data = config.data.clone();
    let shared = config.redis.as_ref().map(SharedCounts::start).transpose()?;
    let queue = Queue::new(data.queue_events_max.get());
    let metrics = Sources::new(Arc::clone(&queue), shared.clone(), clock::now());
    let serve_metrics = |address| metrics::serve(address, metrics.clone(), options.upgrade);
    let _serving = config.metrics.map(serve_metrics).transpose()?;
    // An upgrade reads what the old process still writes to; every other start owns the directory from the beginning.
    let store = if options.upgrade { None } else { Some(Store::open(&data.directory, store_options(&data))?) };
    let reading = store.clone().map_or_else(|| Store::open_read_only(&data.directory), Ok)?;
    let (learned, key) = (catalog::load(&reading)?, reading.installation_key());
    let (path, data_dir) = (options.config.clone(), options.data_dir.clone());
    let traffic = Arc::clone(&metrics.traffic);
    let (config_then, shared_then) = (config.clone(), shared.clone());
    let start = Start { path, data_dir, text, config: config_then, files, shared: shared_then, traffic };
    let control = Arc::new(Control::new(start, learned.learned(), *key.expose()));
    let keeper = Keeper::new(control.desk().state(), reading)?;
    keeper.keep()?;
    control.warn_of_unknown_plans(&config);
    let events = if config.metrics.is_some() { metrics.counting(queue.sink()) } else { queue.sink() };
    let sinks = Sinks { events, exchanges };
    let upgrade_socket = Some(data.directory.join("upgrade.sock"));
    let desk = Some(control.desk().for_gateway());
    let gateway_options =
        GatewayOptions { upgrade: options.upgrade, upgrade_socket, desk, ..GatewayOptions::default() };
    let gateway = Gateway::new(&config, control.snapshot(), sinks, gateway_options)?;
    let handle = gateway.handle();
    control.attach_gateway(handle.clone());
    let _ = metrics.gateway.set(handle.clone());
    let _ = metrics.control.set(Arc::clone(&control));
    let running = Arc::downgrade(&control);
    control.desk().keep_fresh(move || Some(Arc::clone(&running.upgrade()?.running().config)));
    started(handle.clone())?;
    for (address, listener) in gateway.addresses().iter().zip(&config.listeners) {
        tracing::info!(%address, tls = listener.tls.is_some(), "listening");
    }
    let host = Host { config, control, keeper, queue, gateway: handle, metrics: metrics.clone() };
    let (stop, stopping) = watch::channel(false);
    let analysis = match store {
        Some(store) => Analysis::Running(host.start(store, catalog_of(learned), stopping)?),
        None => Analysis::Starting(std::thread::spawn(move || host.start_when_free(&data, stopping))),
    };
    let how = gateway.run();
    let _ = stop.send(true);
    if let Some(shared) = shared {
        shared.stop();
    }
    analysis.finish()?;
    tracing::info!(how = ?how.as_ref().ok(), "stopped");
    how?;
    Ok(0)
}

fn catalog_of(catalog: bartizan_catalog::Catalog) -> Arc<SharedCatalog> {
    SharedCatalog::new(catalog)
}

fn store_options(data: &Data) -> StoreOptions {
    StoreOptions {
        retention_secs: data.retention_secs,
        retention_bytes_max: data.retention_bytes_max,
        ..StoreOptions::default()
    }
}

/// Pipeline and console, running or (in an upgrade) not yet.
enum Analysis {
    Running(Running),
    Starting(std::thread::JoinHandle<Result<Running>>),
}

struct Running {
    pipeline: Pipeline,
    keeper: Arc<Keeper>,
    console: tokio::runtime::Runtime,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Analysis {
    fn finish(self) -> Result<()> {
        let running = match self {
            Self::Running(running) => running,
            Self::Starting(thread) => thread.join().ok().context("the start of the analysis panicked")??,
        };
        running.console.shutdown_timeout(Duration::from_secs(2));
        running.keeper.write_uses();
        running.pipeline.stop()
    }
}

/// The parts that everything beside the gateway is made of.
struct Host {
    config: Config,
    control: Arc<Control>,
    keeper: Arc<Keeper>,
    queue: Arc<Queue>,
    gateway: GatewayHandle,
    metrics: Sources,
}

impl Host {
    /// Waits for the old process to give the data directory up, then starts as usual.
    fn start_when_free(self, data: &Data, stopping: watch::Receiver<bool>) -> Result<Running> {
        let begun = Instant::now();
        let patience = Duration::from_millis(self.config.shutdown_grace_ms) + HAND_OVER;
        loop {
            let opened = Store::open(&data.directory, store_options(data));
            if matches!(opened, Err(StoreError::Locked { .. })) && begun.elapsed() < patience && !*stopping.borrow() {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            let started = opened.map_err(anyhow::Error::from).and_then(|store| {
                let catalog = SharedCatalog::new(catalog::load(&store)?);
                self.start(store, catalog, stopping)
            });
            return started.inspect_err(|error| {
                let error = output::words(error);
                tracing::error!(error, "the gateway serves, but without events, catalog and console; restart it");
            });
        }
    }

    fn start(self, store: Store, catalog: Arc<SharedCatalog>, stopping: watch::Receiver<bool>) -> Result<Running> {
        self.control.attach_store(store.clone());
        self.keeper.attach(store.clone());
        let _ = self.metrics.store.set(store.clone());
        let (live, _) = broadcast::channel(LIVE_EVENTS_MAX);
        let teacher = Arc::clone(&self.control);
        let pipeline = Pipeline::start(Parts {
            queue: Arc::clone(&self.queue),
            store: store.clone(),
            catalog: Arc::clone(&catalog),
            live: live.clone(),
            teach: Box::new(move |endpoints| teacher.teach(endpoints)),
            control: Arc::clone(&self.control),
        })?;
        let console = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("console")
            .enable_all()
            .build()
            .context("starting the console's runtime")?;
        self.reload_on_hangup(&console)?;
        let watcher = self.reload_on_change();
        if let Some(settings) = &self.config.console {
            let token = admin_token(&self.config.data.directory)?; // before the port opens: scripts wait for that
            let listener = bind_console(&console, settings.address)?;
            let parts = self.console_parts(&console, token, store, catalog, live, listener.local_addr()?)?;
            console.spawn(async move {
                let mut stopping = stopping;
                let stopped = async move {
                    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
                };
                if let Err(error) = console::serve(listener, parts, stopped).await {
                    tracing::error!(%error, "the console ended");
                }
            });
        }
        Ok(Running { pipeline, keeper: self.keeper, console, _watcher: watcher })
    }

    /// SIGHUP reads the configuration again.
    fn reload_on_hangup(&self, runtime: &tokio::runtime::Runtime) -> Result<()> {
        let control = Arc::clone(&self.control);
        let _entered = runtime.enter();
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        runtime.spawn(async move {
            while hangups.recv().await.is_some() {
                let control = Arc::clone(&control);
                let _ = tokio::task::spawn_blocking(move || control.reload(RevisionCause::Signal, "system")).await;
            }
        });
        Ok(())
    }

    /// A saved file is read again. Without a watcher (no inotify left) everything else works.
    fn reload_on_change(&self) -> Option<notify::RecommendedWatcher> {
        let control = Arc::clone(&self.control);
        let path = PathBuf::from(&self.control.running().file);
        let changed = move || drop(control.reload(RevisionCause::File, "system"));
        file_watch::watch(&path, changed)
            .inspect_err(|error| tracing::warn!(error = output::words(error), "the file is not watched; use SIGHUP"))
            .ok()
    }

    fn console_parts(
        &self,
        runtime: &tokio::runtime::Runtime,
        admin_token: console::TokenHash,
        store: Store,
        catalog: Arc<SharedCatalog>,
        live: broadcast::Sender<Arc<bartizan_model::Event>>,
        address: SocketAddr,
    ) -> Result<console::Parts> {
        let secure_cookies = self.config.console.as_ref().is_some_and(|settings| settings.secure_cookies);
        let setup = set_up(runtime, &store, address, secure_cookies)?;
        let data_directory = self.config.data.directory.clone();
        let options = console::Options {
            address,
            names: self.config.console.as_ref().map(|settings| settings.names.clone()).unwrap_or_default(),
            secure_cookies,
            admin_token: Some(admin_token),
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.metrics.started_at,
            data_directory,
        };
        let view = Arc::clone(&catalog);
        Ok(console::Parts {
            keys: self.key_desk(&store),
            store,
            catalog: Arc::new(move || view.view()),
            live,
            control: self.console_control(catalog),
            checks: CHECKS,
            clock: Arc::new(clock::now),
            setup,
            options,
        })
    }

    /// Changes of API keys from the console reach the gateway at once.
    fn key_desk(&self, store: &Store) -> console::KeyDesk {
        let [create, rotate, revoke] = std::array::from_fn(|_| (store.clone(), Arc::clone(&self.keeper)));
        let control = Arc::clone(&self.control);
        console::KeyDesk {
            create: Arc::new(move |new, author| {
                let (store, keeper) = create.clone();
                let plans = keys::plans_of(&control.running().config);
                Box::pin(async move {
                    let made = keys::create(&store, new, &plans, &author).await;
                    if let Ok(key) = &made {
                        take(keeper, "made", &key.record, &author).await;
                    }
                    made
                })
            }),
            rotate: Arc::new(move |id, grace_ms, author| {
                let (store, keeper) = rotate.clone();
                Box::pin(async move {
                    let made = keys::rotate(&store, &id, grace_ms, &author).await;
                    if let Ok(key) = &made {
                        take(keeper, "made in the place of another", &key.record, &author).await;
                    }
                    made
                })
            }),
            revoke: Arc::new(move |id, author| {
                let (store, keeper) = revoke.clone();
                Box::pin(async move {
                    let revoked = keys::revoke(&store, &id, &author).await;
                    if let Ok(key) = &revoked {
                        take(keeper, "revoked", key, &author).await;
                    }
                    revoked
                })
            }),
        }
    }

    fn console_control(&self, catalog: Arc<SharedCatalog>) -> console::Control {
        let [reload, check, running, rules, limits, addresses] = std::array::from_fn(|_| Arc::clone(&self.control));
        let (gateway, queue, source) = (self.gateway.clone(), Arc::clone(&self.queue), Arc::clone(&self.queue));
        let caches = self.gateway.clone();
        console::Control {
            reload: Arc::new(move |author| {
                let control = Arc::clone(&reload);
                Box::pin(async move {
                    let reloaded =
                        tokio::task::spawn_blocking(move || control.reload(RevisionCause::Console, &author)).await;
                    reloaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
                })
            }),
            check: Arc::new(move |text| check.check(&text)),
            running: Arc::new(move || running.running()),
            rule: Arc::new(move |check| rules.rule_note(check)),
            unmerge: Arc::new(move |id, position| {
                catalog.with(|catalog| catalog.undo_merge(id, position)).map_err(|error| refusal(error).to_owned())?;
                catalog.refresh();
                Ok(())
            }),
            upstreams: Arc::new(move || gateway.upstreams().into_iter().map(upstream_state).collect()),
            purge: Arc::new(move |purge| {
                let console::CachePurge { policy, api, path_prefix } = purge;
                caches.purge_cache(&Purge { policy, api, path_prefix }) as u64
            }),
            sources: Arc::new(move || vec![source.source()]),
            limits: Arc::new(move || limits.counters().loads(clock::now()).into_iter().map(limit_state).collect()),
            address_data: Arc::new(move || addresses.address_data().into_iter().map(address_data_state).collect()),
            queue: Arc::new(move || queue.counters()),
        }
    }
}

/// A key was changed here: the gateway takes the keys as they are now, and the log says who did what.
async fn take(keeper: Arc<Keeper>, change: &'static str, record: &ApiKeyRecord, author: &str) {
    tracing::info!(key = record.id, application = record.application, author, "API key {change}");
    let _ = tokio::task::spawn_blocking(move || keeper.refresh()).await; // a panic there is the keeper's to tell
}

fn refusal(error: UndoError) -> &'static str {
    match error {
        UndoError::UnknownEndpoint => "no endpoint has this id; it may have been merged meanwhile",
        UndoError::NotAParameter => "the segment at this position is not a parameter",
        UndoError::ValuesForgotten => "its values are no longer known one by one",
    }
}

fn upstream_state(health: bartizan_gateway::UpstreamHealth) -> console::UpstreamState {
    let targets = health.targets.into_iter().map(|target| console::TargetState {
        address: target.address,
        healthy: target.healthy,
        detail: target.detail,
    });
    console::UpstreamState { name: health.name, targets: targets.collect() }
}

fn limit_state(limit: LimitLoad) -> console::LimitState {
    let LimitLoad { policy, kind, load, bytes, overflowed_total } = limit;
    let Load { keys, near, spent } = load;
    console::LimitState { policy: policy.into(), kind: kind.into(), keys, near, spent, bytes, overflowed_total }
}

fn address_data_state(info: AddressFileInfo) -> console::AddressDataState {
    let AddressFileInfo { name, built, kind, networks } = info;
    console::AddressDataState { name: name.into(), kind: kind.into(), networks, built }
}

/// Binds the console's port; in an upgrade the old process may hold it a moment longer.
fn bind_console(runtime: &tokio::runtime::Runtime, address: SocketAddr) -> Result<tokio::net::TcpListener> {
    runtime.block_on(async {
        for _ in 0..50 {
            match tokio::net::TcpListener::bind(address).await {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                bound => return bound.with_context(|| format!("the console cannot listen on `{address}`")),
            }
        }
        bail!("the console cannot listen on `{address}`: another program does; set `console.address`")
    })
}

/// While there is no user, a one-time link to make the first one.
fn set_up(
    runtime: &tokio::runtime::Runtime,
    store: &Store,
    address: SocketAddr,
    is_secure: bool,
) -> Result<Option<console::SetupToken>> {
    let scheme = if is_secure { "https" } else { "http" };
    if !runtime.block_on(store.users())?.is_empty() {
        output::note(&format!("console: {scheme}://{address}/"));
        return Ok(None);
    }
    let (setup, token) = console::SetupToken::generate(clock::now()).context("making the set-up link")?;
    output::note(&format!("console: make the first user at {scheme}://{address}/setup#token={}", token.expose()));
    output::note("         (the link works once, for 24 hours; a restart makes a new one)");
    Ok(Some(setup))
}

/// The token that scripts on this machine use: made once, readable by its owner only.
fn admin_token(directory: &Path) -> Result<console::TokenHash> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = directory.join("admin-token");
    if let Ok(token) = std::fs::read_to_string(&path)
        && !token.trim().is_empty()
    {
        return Ok(console::TokenHash::of(token.trim()));
    }
    let token = console::new_token().context("making the admin token")?;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    let mut file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
    writeln!(file, "{}", token.expose())?;
    Ok(console::TokenHash::of(token.expose()))
}
