//! Keeps the connection to Redis and all that is under way on it.
//!
//! One loop: questions of requests, errands of the engine, answers of Redis, leases that end. Requests that need the same
//! lease wait for one question. Whatever ends a wait (an answer, a fault, a lost connection) ends it for all of them;
//! a question that is dropped is one without an answer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bartizan_config::Redis;
use bartizan_engine::lease::Grant;
use bartizan_engine::shared::{Counted, CountedAt, Errand, ErrandKind, Errands, SharedLimit};
use bartizan_engine::{Counters, Fingerprint};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::script::{self, Verb};
use super::{Health, Question, connection};
use crate::clock;

/// Between two signs of life of an idle connection, and between two attempts to connect at most.
const BEAT: Duration = Duration::from_secs(1);
/// Before the first new attempt after a connection was lost.
const RETRY: Duration = Duration::from_millis(50);
/// LIMIT: commands under way; further questions wait in their queue.
const UNDER_WAY_MAX: usize = 4096;
/// LIMIT: keys whose admissions without Redis are remembered for it; those of others are forgotten, which is logged.
const REPORTS_MAX: usize = 65_536;
/// So many unanswered commands in a row, and the connection is given up: requests stop waiting for it.
const SILENCES_MAX: u32 = 5;
/// The same refusal is told in the log no more often.
const WARN_AGAIN: Duration = Duration::from_secs(10);
/// Longest farewell: what was leased and not spent goes back.
const FAREWELL: Duration = Duration::from_secs(1);

/// A key of a limit. The limit's place in memory names it: whoever has such a name holds the limit, too.
type Name = (usize, Fingerprint);

/// Requests that wait for a lease.
struct Asking {
    limit: Arc<SharedLimit>,
    waiting: VecDeque<(u64, oneshot::Sender<Counted>)>,
}

/// The end of a lease, or of a refusal.
struct Lapse {
    at: Instant,
    limit: Arc<SharedLimit>,
    key: Fingerprint,
    granted_at: u64,
}

impl PartialEq for Lapse {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Lapse {}

impl PartialOrd for Lapse {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Lapse {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// What came of something under way.
enum Done {
    Connected(anyhow::Result<MultiplexedConnection>),
    Pinged(RedisResult<()>),
    Leased {
        limit: Arc<SharedLimit>,
        key: Fingerprint,
        asked: Asked,
        said: RedisResult<Grant>,
    },
    Counted {
        limit: Arc<SharedLimit>,
        key: Fingerprint,
        amount: u64,
        answer: oneshot::Sender<Counted>,
        said: RedisResult<Grant>,
    },
    Told {
        report: Option<(Arc<SharedLimit>, Fingerprint, u64)>,
        said: RedisResult<Grant>,
    },
}

/// When a question was asked.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// On the clock that requests are timed with, in microseconds
    at_us: u64,
}

pub(super) struct Keeper {
    redis: Redis,
    errands: Arc<Errands>,
    health: Arc<Health>,
    stopping: Arc<Notify>,
    connection: Option<MultiplexedConnection>,
    /// Counts connections: what is said on an old one says nothing about the new one
    epoch: u64,
    is_connecting: bool,
    retry: Duration,
    retry_at: Instant,
    silences: u32,
    under_way: FuturesUnordered<BoxFuture<'static, (u64, Done)>>,
    asking: HashMap<Name, Asking>,
    lapses: BinaryHeap<Reverse<Lapse>>,
    reports: HashMap<Name, (Arc<SharedLimit>, u64)>,
    is_told: bool,
    refused_at: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(redis: Redis, counters: &Counters, health: Arc<Health>, stopping: Arc<Notify>) -> Self {
        Self {
            redis,
            errands: counters.errands().unwrap_or_default(),
            health,
            stopping,
            connection: None,
            epoch: 0,
            is_connecting: false,
            retry: RETRY,
            retry_at: Instant::now(),
            silences: 0,
            under_way: FuturesUnordered::new(),
            asking: HashMap::new(),
            lapses: BinaryHeap::new(),
            reports: HashMap::new(),
            is_told: false,
            refused_at: None,
        }
    }

    /// Runs until it is told to stop. `first` is dropped when the first attempt to connect has ended.
    pub(super) async fn run(mut self, mut questions: mpsc::Receiver<Question>, first: std::sync::mpsc::Sender<()>) {
        let errand = Arc::new(Notify::new());
        let wake = Arc::clone(&errand);
        self.errands.on_errand(move || wake.notify_one());
        let mut first = Some(first);
        let mut beat = tokio::time::interval(BEAT);
        let stopping = Arc::clone(&self.stopping);
        self.connect();
        loop {
            let lapse = self.lapses.peek().map_or_else(|| Instant::now() + BEAT, |Reverse(lapse)| lapse.at);
            let is_away = self.connection.is_none() && !self.is_connecting;
            tokio::select! {
                Some(question) = questions.recv(), if self.under_way.len() < UNDER_WAY_MAX => self.question(question),
                Some((epoch, done)) = self.under_way.next(), if !self.under_way.is_empty() => {
                    if matches!(done, Done::Connected(_)) {
                        drop(first.take());
                    }
                    self.done(epoch, done);
                }
                () = errand.notified() => self.run_errands(),
                () = tokio::time::sleep_until(lapse) => self.lapse(),
                () = tokio::time::sleep_until(self.retry_at), if is_away => self.connect(),
                _ = beat.tick() => self.ping(),
                () = stopping.notified() => break,
            }
        }
        self.run_errands();
        let farewell = async {
            while let Some((epoch, done)) = self.under_way.next().await {
                self.done(epoch, done);
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    fn connect(&mut self) {
        self.is_connecting = true;
        let redis = self.redis.clone();
        let epoch = self.epoch;
        self.under_way.push(async move { (epoch, Done::Connected(connection::connect(&redis).await)) }.boxed());
    }

    fn ping(&mut self) {
        if let Some(mut connection) = self.connection.clone() {
            let epoch = self.epoch;
            self.under_way.push(async move { (epoch, Done::Pinged(connection::ping(&mut connection).await)) }.boxed());
        }
    }

    /// A request asks.
    fn question(&mut self, question: Question) {
        let Question { wish, answer } = question;
        let (limit, key, amount) = (wish.limit, wish.key, wish.amount);
        if answer.is_closed() || self.connection.is_none() {
            return; // dropped: it is answered with nothing
        }
        if limit.wish(key, amount) == 0 {
            let verb = Verb::Take { amount, wish: 0 };
            return self.send(&limit.clone(), key, verb, move |said| Done::Counted {
                limit,
                key,
                amount,
                answer,
                said,
            });
        }
        if let Some(counted) = limit.spend(key, now_us(), amount) {
            return answered(&limit, key, amount, answer, counted); // another's question was answered meanwhile
        }
        let asking = self.asking.entry(name(&limit, key));
        let is_first = matches!(asking, std::collections::hash_map::Entry::Vacant(_));
        let asking = asking.or_insert_with(|| Asking { limit: Arc::clone(&limit), waiting: VecDeque::new() });
        asking.waiting.push_back((amount, answer));
        if is_first {
            self.ask_for_lease(&limit, key, amount);
        }
    }

    /// Asks for a lease; `asking` has an entry for it.
    fn ask_for_lease(&mut self, limit: &Arc<SharedLimit>, key: Fingerprint, amount: u64) {
        let waiting: u64 =
            self.asking.get(&name(limit, key)).map_or(0, |asking| asking.waiting.iter().map(|one| one.0).sum());
        let verb = Verb::Take { amount, wish: limit.wish(key, amount).max(waiting) };
        let asked = Asked { at: Instant::now(), at_us: now_us() };
        let whose = Arc::clone(limit);
        self.send(limit, key, verb, move |said| Done::Leased { limit: whose, key, asked, said });
    }

    /// Sends a command. Without a connection nothing is sent, and `done` is dropped with whoever waits in it.
    fn send(
        &mut self,
        limit: &Arc<SharedLimit>,
        key: Fingerprint,
        verb: Verb,
        done: impl FnOnce(RedisResult<Grant>) -> Done + Send + 'static,
    ) {
        let Some(connection) = self.connection.clone() else { return };
        self.health.commands.fetch_add(1, Relaxed);
        let (limit, epoch) = (Arc::clone(limit), self.epoch);
        let name = script::key_name(&self.redis.key_prefix, &limit, key);
        self.under_way.push(async move { (epoch, done(script::run(connection, name, &limit, verb).await)) }.boxed());
    }

    fn done(&mut self, epoch: u64, done: Done) {
        match done {
            Done::Connected(connection) => self.connected(connection),
            Done::Pinged(said) => {
                self.heard(epoch, said);
            }
            Done::Leased { limit, key, asked, said } => {
                let grant = self.heard(epoch, said);
                if epoch == self.epoch {
                    self.leased(&limit, key, asked, grant);
                }
            }
            Done::Counted { limit, key, amount, answer, said } => {
                if let Some(grant) = self.heard(epoch, said) {
                    let place = CountedAt::Store(grant.granted_at);
                    let Grant { remaining, wait_us, .. } = grant;
                    let counted = Counted { is_admitted: grant.tokens > 0, remaining, wait_us, place };
                    answered(&limit, key, amount, answer, counted);
                }
            }
            Done::Told { report, said } => {
                if let (None, Some((limit, key, amount))) = (self.heard(epoch, said), report) {
                    self.remember(limit, key, amount); // perhaps counted, perhaps not: rather twice than never
                }
            }
        }
    }

    fn leased(&mut self, limit: &Arc<SharedLimit>, key: Fingerprint, asked: Asked, grant: Option<Grant>) {
        let Some(mut asking) = self.asking.remove(&name(limit, key)) else { return };
        let Some(grant) = grant else { return limit.unanswered(key) };
        limit.granted(key, asked.at_us, grant);
        let (held_us, granted_at) =
            if grant.tokens > 0 { (grant.lease_us, grant.granted_at) } else { (grant.wait_us.min(grant.lease_us), 0) };
        let at = asked.at + Duration::from_micros(held_us);
        self.lapses.push(Reverse(Lapse { at, limit: Arc::clone(limit), key, granted_at }));
        while let Some((amount, answer)) = asking.waiting.pop_front() {
            if answer.is_closed() {
                continue;
            }
            match limit.spend(key, now_us(), amount) {
                Some(counted) => answered(limit, key, amount, answer, counted),
                None => {
                    asking.waiting.push_front((amount, answer));
                    self.asking.insert(name(limit, key), asking);
                    return self.ask_for_lease(limit, key, amount);
                }
            }
        }
    }

    fn run_errands(&mut self) {
        for Errand { limit, key, kind } in self.errands.take() {
            match kind {
                ErrandKind::Renew if self.connection.is_none() => limit.unanswered(key),
                ErrandKind::Renew => {
                    let new = || Asking { limit: Arc::clone(&limit), waiting: VecDeque::new() };
                    let std::collections::hash_map::Entry::Vacant(vacant) = self.asking.entry(name(&limit, key)) else {
                        continue; // it is being asked for
                    };
                    vacant.insert(new());
                    self.ask_for_lease(&limit, key, 1);
                }
                ErrandKind::GiveBack(unspent) => {
                    self.send(&limit, key, Verb::GiveBack(unspent), |said| Done::Told { report: None, said });
                }
                ErrandKind::Report(amount) => self.report(limit, key, amount),
            }
        }
    }

    fn report(&mut self, limit: Arc<SharedLimit>, key: Fingerprint, amount: u64) {
        if self.connection.is_none() {
            return self.remember(limit, key, amount);
        }
        let report = Some((Arc::clone(&limit), key, amount));
        self.send(&limit, key, Verb::Report(amount), move |said| Done::Told { report, said });
    }

    fn remember(&mut self, limit: Arc<SharedLimit>, key: Fingerprint, amount: u64) {
        let name = name(&limit, key);
        if self.reports.len() < REPORTS_MAX || self.reports.contains_key(&name) {
            self.reports.entry(name).or_insert((limit, 0)).1 += amount;
        }
    }

    /// Leases whose time is over give back what is left.
    fn lapse(&mut self) {
        let now = Instant::now();
        while self.lapses.peek().is_some_and(|Reverse(lapse)| lapse.at <= now) {
            if let Some(Reverse(Lapse { limit, key, granted_at, .. })) = self.lapses.pop() {
                limit.lapse(key, granted_at);
            }
        }
    }

    fn connected(&mut self, connection: anyhow::Result<MultiplexedConnection>) {
        self.is_connecting = false;
        match connection {
            Ok(connection) => {
                let Redis { host, port, .. } = &self.redis;
                tracing::info!(redis = format!("{host}:{port}"), "connected to Redis; limits are shared");
                self.connection = Some(connection);
                self.epoch += 1;
                (self.retry, self.silences, self.is_told) = (RETRY, 0, false);
                self.health.connects.fetch_add(1, Relaxed);
                self.health.is_up.store(true, Relaxed);
                for ((_, key), (limit, amount)) in std::mem::take(&mut self.reports) {
                    self.report(limit, key, amount);
                }
            }
            Err(error) => {
                self.retry_at = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(BEAT);
                self.health.failures.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.is_told, true) {
                    tracing::warn!("Redis cannot be reached: {error:#}; limits go by their `failure_mode`");
                }
            }
        }
    }

    /// What Redis said, if it said something. A lost or silent connection is given up.
    fn heard<T>(&mut self, epoch: u64, said: RedisResult<T>) -> Option<T> {
        let error = match said {
            Ok(said) => {
                self.silences = 0;
                return Some(said);
            }
            Err(error) => error,
        };
        self.health.failures.fetch_add(1, Relaxed);
        if epoch != self.epoch || self.connection.is_none() {
            return None;
        }
        self.silences += u32::from(error.is_timeout());
        if is_lost(&error) || self.silences >= SILENCES_MAX {
            self.lose(&error);
        } else if !error.is_timeout() && self.refused_at.is_none_or(|at| at.elapsed() >= WARN_AGAIN) {
            self.refused_at = Some(Instant::now());
            tracing::warn!("Redis refuses to count: {error}; limits go by their `failure_mode`");
        }
        None
    }

    /// Gives the connection up: nobody waits for it any more.
    fn lose(&mut self, error: &RedisError) {
        self.health.is_up.store(false, Relaxed);
        self.connection = None;
        self.is_told = true;
        self.retry_at = Instant::now() + self.retry;
        for ((_, key), asking) in self.asking.drain() {
            asking.limit.unanswered(key);
        }
        tracing::warn!("the connection to Redis is lost: {error}; limits go by their `failure_mode` until it is back");
    }
}

/// Whether the connection is gone, not only late.
fn is_lost(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error())
}

fn name(limit: &Arc<SharedLimit>, key: Fingerprint) -> Name {
    (Arc::as_ptr(limit) as usize, key)
}

/// Tells a request how it was counted. When it has stopped waiting, that is taken back.
fn answered(
    limit: &Arc<SharedLimit>,
    key: Fingerprint,
    amount: u64,
    answer: oneshot::Sender<Counted>,
    counted: Counted,
) {
    if answer.send(counted).is_err() && counted.is_admitted {
        limit.take_back(key, amount, counted.place);
    }
}

fn now_us() -> u64 {
    u64::try_from(clock::now().as_micros()).unwrap_or_default()
}
