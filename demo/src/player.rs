//! The player: several hundred honest callers, and a few attacks among them.
//!
//! A few threads each keep a set of sessions under way. Requests come as a Poisson process at the rate asked for; each
//! one is the next step of a random session, so that one person's steps are seconds apart, as in life. The seed fixes
//! who does what in which order. Everything played is entered in the [`Ledger`].

mod attack;
mod client;
mod exploit;
mod flow;
mod message;
mod person;
mod story;

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::ledger::Ledger;
use attack::Attacks;
use client::Client;
use flow::Session;

/// Threads; a thread waits most of its time.
const THREADS: u64 = 3;
/// Sessions that a thread has under way.
const SESSIONS: usize = 24;
/// Share of requests that attack.
const ATTACK_SHARE: f64 = 0.08;
/// A player this far behind gives up catching up.
const LAG_MAX: Duration = Duration::from_secs(1);

/// What to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://address:port` of the gateway, or of the API itself
    pub target: String,
    /// Requests a second, on average
    pub rate: f64,
    /// How long; `None` plays until the process is stopped
    pub seconds: Option<u64>,
    /// Chooses who does what and when
    pub seed: u64,
}

/// Plays, and says what was played.
///
/// # Errors
/// When the options make no sense, or nothing answers at the target.
pub fn play(options: &Options) -> Result<Ledger> {
    ensure!(options.rate > 0.0 && options.rate <= 100_000.0, "rate `{}` is not above 0", options.rate);
    ensure!(options.target.starts_with("http://"), "target `{}` does not begin with `http://`", options.target);
    let mut ledger = Ledger::default();
    let players: Vec<_> = (0..THREADS)
        .map(|number| {
            let options = options.clone();
            std::thread::spawn(move || Player::new(&options, number).run())
        })
        .collect();
    for player in players {
        ledger.merge(player.join().map_err(|_| anyhow!("a player stopped"))?);
    }
    ensure!(ledger.requests > 0, "nothing answered at {}: {}", options.target, ledger.failure_samples.join("; "));
    Ok(ledger)
}

/// One thread of the player.
struct Player {
    client: Client,
    random: fastrand::Rng,
    sessions: Vec<Session>,
    attacks: Attacks,
    rate: f64,
    until: Option<Instant>,
}

impl Player {
    fn new(options: &Options, number: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(options.seed.wrapping_mul(1000).wrapping_add(number));
        Self {
            client: Client::new(&options.target),
            sessions: (0..SESSIONS).map(|_| Session::begin(&mut random)).collect(),
            attacks: Attacks::new(number),
            rate: options.rate / THREADS as f64,
            until: options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            random,
        }
    }

    fn run(mut self) -> Ledger {
        let mut due = Instant::now();
        loop {
            due += self.pause();
            let now = Instant::now();
            if self.until.is_some_and(|until| due >= until || now >= until) {
                return self.client.into_ledger();
            }
            match due.checked_duration_since(now) {
                Some(wait) => std::thread::sleep(wait),
                None if now.duration_since(due) > LAG_MAX => due = now,
                None => {}
            }
            self.step();
        }
    }

    /// Exponential: what makes the requests a Poisson process.
    fn pause(&mut self) -> Duration {
        let share = 1.0 - self.random.f64(); // above 0
        Duration::from_secs_f64((-share.ln() / self.rate).min(60.0))
    }

    fn step(&mut self) {
        if self.random.f64() < ATTACK_SHARE {
            self.attacks.step(&mut self.client, &mut self.random);
            return;
        }
        let index = self.random.usize(..self.sessions.len());
        let session = &mut self.sessions[index];
        if !session.step(&mut self.client, &mut self.random) {
            *session = Session::begin(&mut self.random);
        }
    }
}
