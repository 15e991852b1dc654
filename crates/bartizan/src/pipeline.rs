//! From the gateway to the store: Event → catalog → audit logs, store and live listeners → perhaps a new Snapshot.
//!
//! The queue is bounded and its sender never waits: when it is full, the event is dropped and counted. One thread takes
//! events out in batches by polling, so that a request never pays for waking it. A ring as long as the bound would give
//! each event memory that no cache has seen for minutes; a list of blocks uses the same few again and again. The catalog's templates go back to the
//! engine as a new Snapshot at most once a second: the one arrow back.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use bartizan_catalog::Catalog;
use bartizan_console::{CatalogView, QueueCounters, SourceHealth, SourceState};
use bartizan_gateway::EventSink;
use bartizan_model::{Endpoint, Event, Timestamp};
use bartizan_store::Store;
use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::broadcast;

use crate::audit::Audits;
use crate::control::Control;
use crate::{catalog, clock, output};

/// How often the queue is emptied. A sleeping reader is never woken by a request; this bounds the live view's delay.
const POLL: Duration = Duration::from_millis(10);
/// LIMIT: events taken out at once, so that the catalog's lock is held shortly.
const BATCH_MAX: usize = 1024;
/// How often templates, view and counters are looked after.
const TICK: Duration = Duration::from_secs(1);
/// How often a changed catalog is saved: what a kill loses of its counts.
const SAVE: Duration = Duration::from_secs(10);
/// The same for the first events after a start, and when there is something new in it: what a kill loses of what is
/// known at all.
const SAVE_SOON: Duration = Duration::from_secs(1);
/// LIMIT: share of the time that goes into saving: a large catalog is saved less often.
const SAVE_SHARE: u32 = 20;
/// A source without events for this long is idle.
const IDLE_US: u64 = 60_000_000;

/// The bounded queue between the request path and the analysis.
pub(crate) struct Queue {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    /// Events in it, or about to be
    queued: AtomicUsize,
    dropped: AtomicU64,
    written: AtomicU64,
    last_event: AtomicI64,
    max: usize,
}

impl Queue {
    /// A queue for at most `max` events.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let (sender, receiver) = unbounded();
        let (queued, dropped, written, last_event) = Default::default();
        Arc::new(Self { sender, receiver, queued, dropped, written, last_event, max })
    }

    /// Puts events in without ever waiting.
    pub(crate) fn sink(self: &Arc<Self>) -> EventSink {
        let queue = Arc::clone(self);
        Arc::new(move |event| {
            let has_room = queue.queued.fetch_add(1, Ordering::Relaxed) < queue.max;
            if !has_room || queue.sender.send(event).is_err() {
                queue.queued.fetch_sub(1, Ordering::Relaxed);
                queue.dropped.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Takes out what is there, at most [`BATCH_MAX`] events.
    fn take(&self, batch: &mut Vec<Event>) {
        batch.extend(self.receiver.try_iter().take(BATCH_MAX));
        self.queued.fetch_sub(batch.len(), Ordering::Relaxed);
    }

    /// The counters that the console shows.
    pub(crate) fn counters(&self) -> QueueCounters {
        QueueCounters {
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed).min(self.max) as u64,
            queue_max: self.max as u64,
        }
    }

    /// The gateway as a source of events.
    pub(crate) fn source(&self) -> SourceState {
        let counters = self.counters();
        let last = self.last_event.load(Ordering::Relaxed);
        let last_event = (last != 0).then(|| Timestamp::from_micros(last));
        let is_idle = last_event.is_none_or(|time| clock::now().micros_since(time) > IDLE_US);
        let detail = match counters.dropped {
            0 => String::new(),
            dropped => format!("{dropped} events were dropped because the queue was full"),
        };
        SourceState {
            name: "gateway".to_owned(),
            kind: "gateway".to_owned(),
            state: if is_idle { SourceHealth::Idle } else { SourceHealth::Ok },
            last_event,
            events: counters.written,
            detail,
        }
    }
}

/// The catalog as the pipeline and the console share it.
pub(crate) struct SharedCatalog {
    catalog: Mutex<Catalog>,
    view: ArcSwap<CatalogView>,
}

impl SharedCatalog {
    /// Shares a catalog.
    pub(crate) fn new(catalog: Catalog) -> Arc<Self> {
        let view = ArcSwap::from_pointee(CatalogView::new(catalog.endpoints()));
        Arc::new(Self { catalog: Mutex::new(catalog), view })
    }

    /// Works on the catalog under its lock.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Catalog) -> T) -> T {
        work(&mut self.catalog.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The view as of the last tick.
    pub(crate) fn view(&self) -> Arc<CatalogView> {
        self.view.load_full()
    }

    /// Makes a new view.
    pub(crate) fn refresh(&self) {
        let endpoints = self.with(|catalog| catalog.endpoints());
        self.view.store(Arc::new(CatalogView::new(endpoints)));
    }
}

/// Tells the engine which endpoints there are.
pub(crate) type Teach = Box<dyn Fn(&[Endpoint]) + Send>;

/// What the pipeline works with.
pub(crate) struct Parts {
    /// Where events come from
    pub(crate) queue: Arc<Queue>,
    /// Where they are kept
    pub(crate) store: Store,
    /// What is learned from them
    pub(crate) catalog: Arc<SharedCatalog>,
    /// Who looks on
    pub(crate) live: broadcast::Sender<Arc<Event>>,
    /// The arrow back
    pub(crate) teach: Teach,
    /// The running configuration, which names the audit logs
    pub(crate) control: Arc<Control>,
}

/// The running pipeline; [`Pipeline::stop`] ends it after everything queued is on disk.
pub(crate) struct Pipeline {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Pipeline {
    /// Starts the thread.
    pub(crate) fn start(parts: Parts) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::Builder::new().name("pipeline".to_owned()).spawn(move || fold(&parts, &stop))?;
        Ok(Self { stopping, thread })
    }

    /// Empties the queue, writes everything, saves the catalog.
    pub(crate) fn stop(self) -> Result<()> {
        self.stopping.store(true, Ordering::Release);
        self.thread.join().ok().context("the pipeline's thread panicked")?
    }
}

fn fold(parts: &Parts, stopping: &AtomicBool) -> Result<()> {
    let mut state = Upkeep::new(parts);
    let mut audits = Audits::new(Arc::clone(&parts.control));
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let is_last = stopping.load(Ordering::Acquire);
        loop {
            parts.queue.take(&mut batch);
            if batch.is_empty() {
                break;
            }
            take(parts, &mut audits, &mut batch);
        }
        state.tick(parts, &mut audits, is_last)?;
        if is_last {
            return parts.store.flush().context("writing the last events");
        }
        std::thread::sleep(POLL);
    }
}

/// One batch: learned from, logged, stored, shown.
fn take(parts: &Parts, audits: &mut Audits, batch: &mut Vec<Event>) {
    parts.catalog.with(|catalog| {
        for event in batch.iter_mut() {
            let endpoint = catalog.observe(event);
            if event.endpoint.is_none() {
                event.endpoint = endpoint;
            }
        }
    });
    audits.write(batch);
    parts.store.append(batch);
    if let Some(last) = batch.last() {
        parts.queue.last_event.store(last.time.as_micros(), Ordering::Relaxed);
    }
    parts.queue.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
    if parts.live.receiver_count() == 0 {
        batch.clear();
    } else {
        for event in batch.drain(..) {
            let _ = parts.live.send(Arc::new(event));
        }
    }
}

/// What is done now and then rather than for every event.
struct Upkeep {
    ticked: Instant,
    taught_revision: u64,
    seen_events: u64,
    saved: (u64, u64),
    saved_at: Instant,
    save_took: Duration,
}

impl Upkeep {
    fn new(parts: &Parts) -> Self {
        let taught_revision = parts.catalog.with(|catalog| catalog.revision());
        Self {
            ticked: Instant::now(),
            taught_revision,
            seen_events: 0,
            saved: (0, taught_revision),
            saved_at: Instant::now(),
            save_took: Duration::ZERO,
        }
    }

    /// How long after the last save the next one is due.
    fn save_wait(&self, revision: u64) -> Duration {
        let (events, saved_revision) = self.saved;
        let is_new = events == 0 || revision != saved_revision;
        (if is_new { SAVE_SOON } else { SAVE }).max(self.save_took * SAVE_SHARE)
    }

    fn tick(&mut self, parts: &Parts, audits: &mut Audits, is_last: bool) -> Result<()> {
        if self.ticked.elapsed() < TICK && !is_last {
            return Ok(());
        }
        self.ticked = Instant::now();
        audits.tick();
        let (revision, learned) = parts.catalog.with(|catalog| {
            let revision = catalog.revision();
            (revision, (revision != self.taught_revision).then(|| catalog.learned()))
        });
        if let Some(learned) = learned {
            (parts.teach)(&learned);
            self.taught_revision = revision;
        }
        let events = parts.queue.written.load(Ordering::Relaxed);
        if events != self.seen_events {
            self.seen_events = events;
            parts.catalog.refresh();
        }
        if self.saved != (events, revision) && (is_last || self.saved_at.elapsed() >= self.save_wait(revision)) {
            self.saved = (events, revision);
            let begun = Instant::now();
            let rows = parts.catalog.with(|catalog| catalog.save());
            match catalog::save(&parts.store, rows) {
                Err(error) if is_last => return Err(error),
                Err(error) => tracing::warn!(error = output::words(&error), "the catalog could not be saved"),
                Ok(()) => {}
            }
            self.saved_at = Instant::now();
            self.save_took = begun.elapsed();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bartizan_engine::{Counters, Inputs, Inspection, Plans, Snapshot};
    use bartizan_model::{Connection, Outcome, RequestId, Source};

    use super::*;

    fn event() -> Event {
        let text = "listeners:\n  - address: 127.0.0.1:1\nupstreams:\n  - name: a\n    targets:\n      - address: 127.0.0.1:2\n";
        let config = bartizan_config::parse(text, "a.yaml", "/".as_ref()).config.expect("a valid configuration");
        let inputs = Inputs {
            generation: 1,
            endpoints: &[],
            plans: &Plans::new(),
            counters: &Counters::default(),
            key: [0; 32],
        };
        let snapshot = Arc::new(Snapshot::compile(&config, inputs));
        let (connection, now) = (Connection { peer: None, local: None, tls: None }, Timestamp::default());
        Inspection::new(snapshot, &connection, RequestId::from_bits(1), Source::Gateway, now)
            .finish(Outcome::default(), now)
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_until_there_is_room() {
        let queue = Queue::new(3);
        let sink = queue.sink();
        let mut batch = Vec::new();
        for dropped in [2, 4] {
            (0..5).for_each(|_| sink(event()));
            assert_eq!((queue.counters().queued, queue.counters().dropped), (3, dropped));
            queue.take(&mut batch);
            assert_eq!((batch.len(), queue.counters().queued), (3, 0));
            batch.clear();
        }
    }
}
