//! The one script that counts in Redis, and its arguments.

use std::sync::LazyLock;

use bartizan_engine::Fingerprint;
use bartizan_engine::lease::{Grant, Return, Window};
use bartizan_engine::shared::SharedLimit;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("count.lua")));

/// What the script is to do with one key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    /// Take at least `amount`, and up to `wish` while there is plenty; a wish of 0 takes `amount` to be spent at once
    Take {
        amount: u64,
        wish: u64,
    },
    GiveBack(Return),
    /// Count what was admitted without asking
    Report(u64),
}

/// The key's name: bounded, and hashed by the engine.
pub(super) fn key_name(prefix: &str, limit: &SharedLimit, key: Fingerprint) -> String {
    format!("{prefix}:{}:{}", limit.name(), key.digits())
}

/// Runs the script.
pub(super) async fn run(
    mut connection: MultiplexedConnection,
    name: String,
    limit: &SharedLimit,
    verb: Verb,
) -> RedisResult<Grant> {
    let terms = limit.terms();
    let (window, length, start) = match terms.window {
        Window::Rolling { length_us } => ("rolling", length_us, 0),
        Window::Calendar { length_us, start_us } => ("calendar", length_us, start_us),
        Window::Month => ("month", 0, 0),
        Window::Pace { interval_us, burst } => ("pace", interval_us, i64::try_from(burst).unwrap_or(i64::MAX)),
    };
    let (word, amount, wish, at) = match verb {
        Verb::Take { amount, wish } => ("take", amount, wish, 0),
        Verb::GiveBack(unspent) => ("return", unspent.tokens, 0, unspent.granted_at),
        Verb::Report(amount) => ("report", amount, 0, 0),
    };
    let lease = if limit.is_leased() { terms.lease_us() } else { 0 };
    let mut call = COUNT.key(name);
    call.arg(word).arg(terms.limit).arg(window).arg(length).arg(start);
    call.arg(amount).arg(wish).arg(terms.blocks()).arg(lease).arg(at);
    let said: Vec<i64> = call.invoke_async(&mut connection).await?;
    let number = |at: usize| said.get(at).copied().unwrap_or_default();
    Ok(Grant {
        tokens: u64::try_from(number(0)).unwrap_or_default(),
        granted_at: u64::try_from(number(1)).unwrap_or_default(),
        lease_us: u64::try_from(number(2)).unwrap_or_default(),
        wait_us: u64::try_from(number(3)).unwrap_or(u64::MAX),
        remaining: u64::try_from(number(4)).unwrap_or_default(),
    })
}
