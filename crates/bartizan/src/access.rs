//! What access control needs from the world: keys of issuers, answers of authorization servers, computed passwords.
//!
//! The engine asks ([`Question`]), the [`Desk`] answers. Key files are read at the start, at every reload and once a
//! minute; keys behind a URL are fetched ahead of their age in the background, and when a token names a key that is not
//! known. Such a token waits for keys that were fetched after it came: one fetch answers all that wait, and there is at
//! most one a second, however many names of keys tokens invent. Only URLs that the configuration names are fetched, redirects are not followed, answers are bounded in size and time. When the world is
//! silent the reply is [`Reply::Unavailable`], and access stays closed.

mod fetch;
mod offline;

pub(crate) use offline::{Offline, is_unchecked};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bartizan_config::{Config, ExternalMethod, IntrospectionMethod, KeySource, RateSharing};
use bartizan_engine::{AccessState, Counters, Question, Reply};
use bartizan_model::Secret;
use futures::FutureExt;
use tokio::sync::Semaphore;

use self::fetch::Said;
use crate::clock;
use crate::shared_counts::SharedCounts;

/// How often files are read again and ages of fetched keys are looked at.
const ROUND: Duration = Duration::from_secs(60);
/// Keys behind a URL are fetched anew after this time: an issuer that takes a key back is believed within it.
const REFRESH: Duration = Duration::from_secs(300);
/// Least time from the beginning of one fetch of the same keys to that of the next. Whoever needs newer keys waits for it,
/// so it is how late a token of a new key may be; and it bounds what tokens with invented names make an issuer bear.
const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// A server that failed is left alone for this time.
const FETCH_AGAIN: Duration = Duration::from_secs(10);
/// LIMIT: requests that wait for keys of one source; each holds its connection and a few KB. Beyond it they are answered
/// at once that their credential cannot be checked.
const KEY_WAITERS_MAX: usize = 1024;
/// LIMIT: passwords computed at once; each takes up to 256 MiB and a core for some 20 ms.
const PASSWORDS_MAX: usize = 2;
/// LIMIT: questions to authorization servers under way; each holds a thread.
const INTROSPECTIONS_MAX: usize = 32;
/// LIMIT: questions to external authorizers under way; each holds a thread. Apart from the others: one that is slow must
/// not keep tokens from being judged.
const EXTERNALS_MAX: usize = 64;
/// LIMIT: requests that wait for one of these; the next one is refused at once.
const WAITING: Duration = Duration::from_secs(5);
/// So many failures in a row, and a server is left alone for [`FETCH_AGAIN`].
const FAILURES_MAX: u32 = 5;

/// Answers the engine's questions.
pub(crate) struct Desk {
    state: Arc<AccessState>,
    sources: Mutex<HashMap<KeySource, Arc<Turn>>>,
    passwords: Semaphore,
    introspections: Semaphore,
    externals: Semaphore,
    servers: Mutex<HashMap<String, Health>>,
    /// Counts that other gateways share
    shared: Option<Arc<SharedCounts>>,
}

/// Fetches of one source, one at a time.
struct Turn {
    waiters: Semaphore,
    last: Arc<tokio::sync::Mutex<Option<Fetched>>>,
}

/// A fetch.
#[derive(Clone, Copy)]
struct Fetched {
    begun: Instant,
    is_well: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self { waiters: Semaphore::new(KEY_WAITERS_MAX), last: Arc::default() }
    }
}

impl Fetched {
    /// What this fetch says to whoever asked at that time, if anything: a failure holds for a while.
    fn reply_to(self, asked_at: Instant) -> Option<Reply> {
        let is_newer = self.begun >= asked_at;
        if self.is_well {
            return is_newer.then_some(Reply::Done);
        }
        (is_newer || self.begun.elapsed() < FETCH_AGAIN).then_some(Reply::Unavailable)
    }
}

/// How an authorization server has been lately.
#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Desk {
    /// A desk that has read every key file of `config`. Faults are told in the log: what cannot be read lets nobody in.
    /// The quotas of API keys are counted in `counters`.
    pub(crate) fn new(config: &Config, shared: Option<Arc<SharedCounts>>, counters: Arc<Counters>) -> Arc<Self> {
        let sharing = config.redis.as_ref().map_or(RateSharing::Local, |redis| redis.key_quotas);
        let desk = Self {
            state: Arc::new(AccessState::counting_in(counters, sharing)),
            sources: Mutex::default(),
            passwords: Semaphore::new(PASSWORDS_MAX),
            introspections: Semaphore::new(INTROSPECTIONS_MAX),
            externals: Semaphore::new(EXTERNALS_MAX),
            servers: Mutex::default(),
            shared,
        };
        desk.read_files(config);
        Arc::new(desk)
    }

    /// What every Snapshot shares.
    pub(crate) fn state(&self) -> Arc<AccessState> {
        Arc::clone(&self.state)
    }

    /// Reads the key files that `config` names.
    pub(crate) fn read_files(&self, config: &Config) {
        for source in config.key_sources() {
            match source {
                KeySource::File(path) => {
                    self.publish(source, std::fs::read(path).map_err(anyhow::Error::from));
                }
                KeySource::Url(_) | KeySource::Discovery(_) => {}
            }
        }
    }

    /// Keeps keys fresh for as long as `config` gives a configuration that runs.
    pub(crate) fn keep_fresh(self: &Arc<Self>, config: impl Fn() -> Option<Arc<Config>> + Send + 'static) {
        let desk = Arc::downgrade(self);
        std::thread::spawn(move || {
            let mut fetched: HashMap<KeySource, Instant> = HashMap::new();
            for round in 0_u64.. {
                let Some((desk, config)) = desk.upgrade().zip(config()) else { return };
                if round > 0 {
                    desk.read_files(&config); // the first time is the start
                }
                for source in config.key_sources() {
                    let is_due = fetched.get(source).is_none_or(|at| at.elapsed() >= REFRESH);
                    if !matches!(source, KeySource::File(_)) && is_due {
                        // In its turn: an older answer must not be published over a newer one.
                        let turn = desk.turn(source);
                        let mut last = turn.last.blocking_lock();
                        *last = Some(desk.fetch(source));
                        fetched.insert(source.clone(), Instant::now());
                    }
                }
                drop(desk);
                std::thread::sleep(ROUND);
            }
        });
    }

    /// Answers one question.
    pub(crate) async fn answer(self: Arc<Self>, question: Question) -> Reply {
        match question {
            Question::Keys { source } => self.keys(source).await,
            Question::Introspection { method, token } => self.introspect(method, token).await,
            Question::Count(wishes) => match &self.shared {
                Some(shared) => shared.count(wishes).await,
                None => Reply::Unavailable,
            },
            Question::External { method, request } => self.ask_external(method, request).await,
            Question::Password(check) => {
                let Ok(Ok(_turn)) = tokio::time::timeout(WAITING, self.passwords.acquire()).await else {
                    return Reply::Unavailable;
                };
                tokio::task::spawn_blocking(move || check.run()).await.unwrap_or(Reply::Unavailable)
            }
        }
    }

    /// As the gateway wants it.
    pub(crate) fn for_gateway(self: &Arc<Self>) -> bartizan_gateway::Desk {
        let desk = Arc::clone(self);
        Arc::new(move |question| Arc::clone(&desk).answer(question).boxed())
    }

    /// Replies when keys have been published that were fetched after this was asked.
    async fn keys(self: Arc<Self>, source: Arc<KeySource>) -> Reply {
        let asked_at = Instant::now();
        let turn = self.turn(&source);
        let Ok(_waiter) = turn.waiters.try_acquire() else { return Reply::Unavailable };
        let mut last = Arc::clone(&turn.last).lock_owned().await;
        if let Some(fetched) = *last {
            if let Some(reply) = fetched.reply_to(asked_at) {
                return reply;
            }
            tokio::time::sleep(FETCH_PAUSE.saturating_sub(fetched.begun.elapsed())).await;
        }
        // A task of its own: whoever asked may go away, and those who wait behind it still need the answer.
        let fetch = tokio::task::spawn_blocking(move || {
            let fetched = self.fetch(&source);
            *last = Some(fetched);
            fetched.is_well
        });
        match fetch.await {
            Ok(true) => Reply::Done,
            Ok(false) | Err(_) => Reply::Unavailable,
        }
    }

    fn turn(&self, source: &KeySource) -> Arc<Turn> {
        Arc::clone(lock(&self.sources).entry(source.clone()).or_default())
    }

    /// Fetches keys and publishes them, unless that fails.
    fn fetch(&self, source: &KeySource) -> Fetched {
        let begun = Instant::now();
        Fetched { begun, is_well: self.publish(source, fetch::keys(source)) }
    }

    async fn introspect(&self, method: Arc<IntrospectionMethod>, token: Secret<Box<[u8]>>) -> Reply {
        let url = method.url.clone();
        let ask = move || fetch::introspection(&method, &token);
        // What it answers to one token must not keep others from being asked about.
        let is_well = |said: &Said| !matches!(said, Said::Failed(_));
        match self.ask(&url, "introspection failed", &self.introspections, WAITING, ask, is_well).await {
            Some(Said::Answer(answer)) => Reply::Introspection(answer),
            Some(Said::Refused) => {
                tracing::debug!(server = url, "introspection refused for one token");
                Reply::Unavailable
            }
            Some(Said::Failed(status)) => {
                tracing::warn!(server = url, status, "introspection failed");
                Reply::Unavailable
            }
            None => Reply::Unavailable,
        }
    }

    /// Waits no longer than the method says, for its turn and for the answer together.
    async fn ask_external(&self, method: Arc<ExternalMethod>, request: Secret<Box<[u8]>>) -> Reply {
        let (url, timeout, begun) = (method.url.clone(), Duration::from_millis(method.timeout_ms), Instant::now());
        let ask = move || fetch::external(&method, &request, timeout.saturating_sub(begun.elapsed()));
        let is_well = |(status, _): &(u16, Vec<u8>)| *status < 500;
        let answer = self.ask(&url, "external authorizer", &self.externals, timeout, ask, is_well).await;
        answer.map_or(Reply::Unavailable, |(status, body)| Reply::External { status, body })
    }

    /// What a server says, unless it is left alone, nobody's turn comes within `patience`, or it fails; `what` failed is
    /// logged.
    async fn ask<T: Send + 'static>(
        &self,
        server: &str,
        what: &str,
        turns: &Semaphore,
        patience: Duration,
        ask: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
        is_well: fn(&T) -> bool,
    ) -> Option<T> {
        if self.is_resting(server) {
            return None;
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(patience, turns.acquire()).await else { return None };
        let answer = tokio::task::spawn_blocking(ask).await.map_err(anyhow::Error::from).and_then(|answer| answer);
        self.note(server, answer.as_ref().is_ok_and(is_well));
        answer.inspect_err(|error| tracing::warn!(server, "{what}: {error:#}")).ok()
    }

    fn is_resting(&self, server: &str) -> bool {
        let servers = lock(&self.servers);
        servers.get(server).and_then(|health| health.rests_until).is_some_and(|until| Instant::now() < until)
    }

    /// The circuit breaker: after some failures in a row nobody is asked for a while, then one is.
    fn note(&self, server: &str, is_well: bool) {
        let mut servers = lock(&self.servers);
        let health = servers.entry(server.to_owned()).or_default();
        health.failures = if is_well { 0 } else { health.failures.saturating_add(1) };
        health.rests_until = (health.failures >= FAILURES_MAX).then(|| Instant::now() + FETCH_AGAIN);
    }

    /// Gives keys to the engine, or says in the log why not; whether they were taken.
    fn publish(&self, source: &KeySource, document: anyhow::Result<Vec<u8>>) -> bool {
        let now = clock::now();
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                self.state.keys_unreachable(source, now);
                tracing::warn!(%source, "keys cannot be read: {error:#}; callers that need them are refused");
                return false;
            }
        };
        match self.state.publish_keys(source, &document, now) {
            Ok(keys) => {
                tracing::debug!(%source, usable = keys.usable, left_out = keys.left_out, "keys read");
                true
            }
            Err(refused) => {
                tracing::warn!(%source, "keys not taken: {refused}; those known before stay");
                false
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_answers_those_who_asked_before_it_began_and_a_failure_holds_for_a_while() {
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).expect("this machine has run for a minute");
        let reply = |begun, is_well, asked_at| Fetched { begun, is_well }.reply_to(asked_at);
        assert_eq!(reply(ago(1), true, ago(2)), Some(Reply::Done));
        assert_eq!(reply(ago(2), true, ago(1)), None, "the key may have been published since");
        assert_eq!(reply(ago(1), false, ago(2)), Some(Reply::Unavailable));
        assert_eq!(reply(ago(2), false, ago(1)), Some(Reply::Unavailable), "it failed a moment ago");
        assert_eq!(reply(ago(60), false, ago(1)), None);
    }
}
