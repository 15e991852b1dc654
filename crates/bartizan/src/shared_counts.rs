//! Counts that gateways share through Redis: questions of requests go in here, answers come out, in bounded time.
//!
//! One thread with a runtime of its own talks to Redis ([`keeper`]), over one connection that carries many commands at
//! once. Requests reach it through a bounded queue and wait no longer than the configured time. While Redis is away nobody waits at all:
//! the question is answered at once with nothing, and the engine goes by the policy's failure mode.

mod connection;
mod keeper;
mod script;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_config::Redis;
use bartizan_engine::shared::{CountWish, Counted};
use bartizan_engine::{Counters, Reply};
use tokio::sync::{Notify, mpsc, oneshot};

/// LIMIT: questions that wait to be sent. More are answered with nothing: Redis is slower than the traffic.
const QUESTIONS_MAX: usize = 8192;

/// One count that somebody waits for. Whoever stops waiting drops the receiver, and then nothing is counted.
struct Question {
    wish: CountWish,
    answer: oneshot::Sender<Counted>,
}

/// How Redis is doing.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_up: AtomicBool,
    /// Connections opened
    pub(crate) connects: AtomicU64,
    /// Commands and connections that failed
    pub(crate) failures: AtomicU64,
    /// Counts that nobody answered in time
    pub(crate) unanswered: AtomicU64,
    /// Commands sent
    pub(crate) commands: AtomicU64,
}

/// The counts of this process that others share.
pub(crate) struct SharedCounts {
    questions: mpsc::Sender<Question>,
    health: Arc<Health>,
    counters: Arc<Counters>,
    timeout: Duration,
    stopping: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Health {
    /// Whether Redis answers.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }
}

impl SharedCounts {
    /// Starts the thread, and waits a moment for the first connection. A Redis that is away does not keep a gateway from
    /// starting.
    ///
    /// # Errors
    /// The secret or the password cannot be read.
    pub(crate) fn start(redis: &Redis) -> Result<Arc<Self>> {
        let secret = connection::secret(redis).context("redis")?;
        let counters = Arc::new(Counters::shared(&secret, redis.gateways));
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (health, stopping) = (Arc::new(Health::default()), Arc::new(Notify::new()));
        let keeper = keeper::Keeper::new(redis.clone(), &counters, Arc::clone(&health), Arc::clone(&stopping));
        let (first, tried) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("redis: a runtime")?;
        let thread = std::thread::Builder::new().name("redis".to_owned());
        let thread = thread.spawn(move || runtime.block_on(keeper.run(asked, first))).context("redis: a thread")?;
        let _ = tried.recv(); // the first attempt has a time limit
        let timeout = Duration::from_millis(redis.timeout_ms);
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { questions, health, counters, timeout, stopping, thread }))
    }

    /// The counts.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How Redis is doing.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Keys that hold leased tokens.
    pub(crate) fn leases(&self) -> u64 {
        self.counters.shared_limits().iter().map(|limit| limit.leases()).sum()
    }

    /// What was to be told to Redis and was not, because too much waited.
    pub(crate) fn errands_dropped(&self) -> u64 {
        self.counters.errands().map_or(0, |errands| errands.dropped_total())
    }

    /// Counts what an inspection asks for.
    pub(crate) async fn count(&self, wishes: Vec<CountWish>) -> Reply {
        if !self.health.is_up() {
            self.health.unanswered.fetch_add(wishes.len() as u64, Relaxed);
            return Reply::Unavailable;
        }
        let asked = wishes.into_iter().map(|wish| {
            let (answer, waiting) = oneshot::channel();
            let is_sent = self.questions.try_send(Question { wish, answer }).is_ok();
            async move {
                let waiting = if is_sent { waiting } else { return None };
                tokio::time::timeout(self.timeout, waiting).await.ok()?.ok()
            }
        });
        let answers = futures::future::join_all(asked).await;
        let missing = answers.iter().filter(|answer| answer.is_none()).count();
        self.health.unanswered.fetch_add(missing as u64, Relaxed);
        Reply::Counted(answers)
    }

    /// Gives back what is leased and ends the thread; waits for at most a second.
    pub(crate) fn stop(&self) {
        self.counters.shared_limits().iter().for_each(|limit| limit.end());
        self.stopping.notify_one();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}
