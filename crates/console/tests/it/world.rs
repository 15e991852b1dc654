//! A running console over a store, a catalog and closures that tests can steer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bartizan_catalog::Catalog;
use bartizan_console::{
    AddressDataState, CachePurge, CatalogView, Control, KeyDesk, KeyRefused, LimitState, MadeKey, NewKey, Options,
    Parts, QueueCounters, ReloadOutcome, Reloaded, RunningConfig, SetupToken, SourceHealth, SourceState, TargetState,
    TokenHash, UpstreamState, serve,
};
use bartizan_engine::CHECKS;
use bartizan_model::{Event, Secret, Timestamp};
use bartizan_store::{ApiKeyRecord, NewRevision, RevisionCause, RevisionOutcome, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, oneshot};

use crate::client::Client;
use crate::traffic::{NOW, Traffic, YAML, play};

pub(crate) const ADMIN_TOKEN: &str = "the-token-in-the-file";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Live events that a slow reader may lag behind.
const LIVE_MAX: usize = 256;

/// What tests steer while the console runs.
pub(crate) struct Levers {
    pub(crate) now_us: AtomicI64,
    /// A closure of the host panics
    pub(crate) broken: AtomicBool,
    pub(crate) catalog: Mutex<Catalog>,
    pub(crate) reloaded_by: Mutex<Vec<String>>,
    pub(crate) purged: Mutex<Vec<CachePurge>>,
}

impl Levers {
    pub(crate) fn advance(&self, seconds: i64) {
        self.now_us.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

/// A console on a port of its own; ends with the value.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) levers: Arc<Levers>,
    pub(crate) live: broadcast::Sender<Arc<Event>>,
    pub(crate) events: Vec<Event>,
    pub(crate) setup_token: String,
    stop: Option<oneshot::Sender<()>>,
    server: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
    _directory: tempfile::TempDir,
}

impl World {
    /// A console that was just started for the first time, over `count` events.
    pub(crate) fn new(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { retention_secs: 3600 * 24 * 3650, ..StoreOptions::default() };
        let store = Store::open(directory.path(), options).unwrap();
        let Traffic { events, catalog } = play(count);
        store.append(&events);
        runtime.block_on(store.add_revision(&first_revision())).unwrap();
        let levers = Arc::new(Levers {
            now_us: AtomicI64::new(NOW.as_micros()),
            broken: AtomicBool::new(false),
            catalog: Mutex::new(catalog),
            reloaded_by: Mutex::default(),
            purged: Mutex::default(),
        });
        let (live, _) = broadcast::channel(LIVE_MAX);
        let (setup, setup_token) = SetupToken::generate(NOW).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let parts = parts(&levers, &store, &live, setup, options_of(address, directory.path()));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or(()) };
        let server = Some(runtime.spawn(serve(listener, parts, shutdown)));
        Self {
            address,
            levers,
            live,
            events,
            setup_token: setup_token.expose().clone(),
            stop: Some(stop),
            server,
            runtime,
            _directory: directory,
        }
    }

    /// A client that nobody knows.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.address)
    }

    /// A client that is signed in as the first administrator, `ann`.
    pub(crate) fn admin(&self) -> Client {
        let mut client = self.stranger();
        let body = serde_json::json!({"token": self.setup_token, "name": "ann", "password": PASSWORD});
        client.sign_in_with(client.post("/setup", &body).expect(200));
        client
    }

    /// A client that is signed in as a viewer, `vic`, whom `admin` makes.
    pub(crate) fn viewer(&self, admin: &Client) -> Client {
        let body = serde_json::json!({"name": "vic", "password": PASSWORD, "role": "viewer"});
        admin.post("/users", &body).expect(201);
        let mut client = self.stranger();
        client.sign_in("vic", PASSWORD).expect(200);
        client
    }

    /// Stops the server and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server).unwrap().unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

fn options_of(address: SocketAddr, data_directory: &std::path::Path) -> Options {
    Options {
        address,
        names: vec!["console.example".to_owned()],
        secure_cookies: false,
        admin_token: Some(TokenHash::of(ADMIN_TOKEN)),
        version: "0.1.0",
        started_at: NOW,
        data_directory: data_directory.to_owned(),
    }
}

fn parts(
    levers: &Arc<Levers>,
    store: &Store,
    live: &broadcast::Sender<Arc<Event>>,
    setup: SetupToken,
    options: Options,
) -> Parts {
    let (for_clock, for_catalog) = (Arc::clone(levers), Arc::clone(levers));
    Parts {
        store: store.clone(),
        catalog: Arc::new(move || Arc::new(CatalogView::new(for_catalog.catalog.lock().unwrap().endpoints()))),
        live: live.clone(),
        control: control(levers),
        keys: key_desk(store),
        checks: CHECKS,
        clock: Arc::new(move || Timestamp::from_micros(for_clock.now_us.load(Ordering::SeqCst))),
        setup: Some(setup),
        options,
    }
}

fn control(levers: &Arc<Levers>) -> Control {
    let [for_reload, for_unmerge, for_queue, for_purge] = std::array::from_fn(|_| Arc::clone(levers));
    let config = bartizan_config::parse(YAML, "bartizan.yaml", std::path::Path::new("")).config.unwrap();
    let running = Arc::new(RunningConfig {
        revision: 1,
        generation: 2,
        applied_at: NOW,
        file: "bartizan.yaml".to_owned(),
        yaml: YAML.to_owned(),
        config: Arc::new(config),
        restart_needed: Vec::new(),
    });
    Control {
        reload: Arc::new(move |author| {
            for_reload.reloaded_by.lock().unwrap().push(author);
            let (diagnostics, restart_needed) = (Vec::new(), Vec::new());
            Box::pin(async { Reloaded { outcome: ReloadOutcome::Unchanged, revision: 1, diagnostics, restart_needed } })
        }),
        check: Arc::new(|yaml| bartizan_config::parse(&yaml, "draft.yaml", std::path::Path::new("")).diagnostics),
        running: Arc::new(move || Arc::clone(&running)),
        rule: Arc::new(|_| None),
        unmerge: Arc::new(move |id, position| {
            let mut catalog = for_unmerge.catalog.lock().unwrap();
            catalog.undo_merge(id, position).map(drop).map_err(|error| format!("cannot be taken back: {error:?}"))
        }),
        upstreams: Arc::new(|| {
            let target =
                |address: &str, healthy| TargetState { address: address.to_owned(), healthy, detail: String::new() };
            vec![UpstreamState { name: "bank".to_owned(), targets: vec![target("127.0.0.1:9001", true)] }]
        }),
        purge: Arc::new(move |purge| {
            let mut purged = for_purge.purged.lock().unwrap();
            purged.push(purge);
            purged.len() as u64
        }),
        sources: Arc::new(|| {
            vec![SourceState {
                name: "gateway".to_owned(),
                kind: "gateway".to_owned(),
                state: SourceHealth::Idle,
                last_event: None,
                events: 0,
                detail: String::new(),
            }]
        }),
        limits: Arc::new(|| {
            let (policy, kind) = ("few-orders".to_owned(), "quota".to_owned());
            vec![LimitState { policy, kind, keys: 7, near: 2, spent: 1, bytes: 4096, overflowed_total: 0 }]
        }),
        address_data: Arc::new(|| {
            let file = |name: &str, kind: &str, built: Option<&str>| AddressDataState {
                name: name.to_owned(),
                kind: kind.to_owned(),
                networks: Some(1_200_000),
                built: built.map(|built| built.parse().unwrap()),
            };
            vec![
                file("world", "GeoLite2-City", Some("2026-01-20T00:00:00Z")),
                file("operators", "GeoLite2-ASN", Some("2025-10-01T00:00:00Z")),
                file("lists", "CSV", None),
            ]
        }),
        queue: Arc::new(move || {
            assert!(!for_queue.broken.load(Ordering::SeqCst), "broken on purpose");
            QueueCounters { written: 10, dropped: 3, queued: 2, queue_max: 1000 }
        }),
    }
}

/// What a stand-in's key is; real ones are made by the host.
pub(crate) const KEY_TEXT: &str = "bz_k_secret_sum";

/// Keys as the host makes them, without the secrets: what is refused is refused by their application's name.
fn key_desk(store: &Store) -> KeyDesk {
    let [create, rotate, revoke] = [store.clone(), store.clone(), store.clone()];
    KeyDesk {
        create: Arc::new(move |new, author| {
            let store = create.clone();
            Box::pin(async move {
                match new.application.as_str() {
                    "bad" => Err(KeyRefused::Bad("a name has letters".to_owned())),
                    "full" => Err(KeyRefused::Conflict("the application has two live keys".to_owned())),
                    "broken" => Err(KeyRefused::Failed("disk on fire".to_owned())),
                    _ => Ok(put(&store, new, &author).await),
                }
            })
        }),
        rotate: Arc::new(move |id, grace_ms, author| {
            let store = rotate.clone();
            Box::pin(async move {
                let keys = store.api_keys().await.unwrap().keys;
                let Some(old) = keys.into_iter().find(|key| key.id == id) else {
                    return Err(KeyRefused::Missing("there is no such key".to_owned()));
                };
                let end = NOW.plus_micros(i64::try_from(grace_ms).unwrap() * 1000);
                let new = NewKey { application: old.application.clone(), ..NewKey::default() };
                let made = put(&store, new, &author).await;
                let old = ApiKeyRecord { rotated: Some(NOW), expires: Some(end), ..old };
                let seen = store.api_keys_revision().await.unwrap();
                assert!(store.put_api_keys(seen, &[old], NOW).await.unwrap());
                Ok(made)
            })
        }),
        revoke: Arc::new(move |id, author| {
            let store = revoke.clone();
            Box::pin(async move {
                let set = store.api_keys().await.unwrap();
                let Some(old) = set.keys.into_iter().find(|key| key.id == id) else {
                    return Err(KeyRefused::Missing("there is no such key".to_owned()));
                };
                let record = ApiKeyRecord { revoked: Some(NOW), revoked_by: Some(author), ..old };
                assert!(store.put_api_keys(set.revision, std::slice::from_ref(&record), NOW).await.unwrap());
                Ok(record)
            })
        }),
    }
}

async fn put(store: &Store, new: NewKey, author: &str) -> MadeKey {
    let set = store.api_keys().await.unwrap();
    let record = ApiKeyRecord {
        id: format!("k{}", set.keys.len()),
        digest: [1; 32],
        application: new.application,
        owner: new.owner,
        plan: new.plan,
        scopes: new.scopes,
        roles: new.roles,
        quota: new.quota,
        created: NOW,
        created_by: author.to_owned(),
        expires: new.expires,
        rotated: None,
        revoked: None,
        revoked_by: None,
        last_used: None,
        calls: 0,
    };
    assert!(store.put_api_keys(set.revision, std::slice::from_ref(&record), NOW).await.unwrap());
    MadeKey { record, text: Secret::new(KEY_TEXT.to_owned()) }
}

fn first_revision() -> NewRevision {
    NewRevision {
        time: NOW,
        author: "system".to_owned(),
        cause: RevisionCause::Start,
        outcome: RevisionOutcome::Applied,
        message: "started".to_owned(),
        yaml: YAML.to_owned(),
        diagnostics: Vec::new(),
    }
}
