//! What the player played and what came back, to be compared with what Bartizan saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything played.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Requests sent; the sum over `operations` and `unlisted`
    pub requests: u64,
    /// Honest requests without an answer (refused, reset, timed out): always 0; not in `operations`
    pub failures: u64,
    /// The first few failures, in words
    pub failure_samples: Vec<String>,
    /// By true operation
    pub operations: Vec<Played>,
    /// Requests for what the API does not have: scanners' paths, methods that nobody serves
    pub unlisted: Vec<Played>,
    /// Requests of each attack, and how many of them the gateway denied
    pub attacks: BTreeMap<String, Tally>,
    /// Requests of honest callers, and how many of them the gateway denied: always 0
    pub honest: Tally,
}

/// Answers to one operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Played {
    /// Virtual host
    pub host: String,
    /// Method
    pub method: String,
    /// True path template; for unlisted requests the path itself
    pub template: String,
    /// Requests answered
    pub requests: u64,
    /// Answered by Bartizan (the header `x-bartizan-check` tells)
    pub denied: u64,
    /// Answers by status
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by status class: `2xx`, `4xx`
    pub classes: BTreeMap<String, u64>,
}

/// A count of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests answered
    pub requests: u64,
    /// Answered by Bartizan
    pub denied: u64,
    /// Without an answer; a server that refuses a large body may well hang up
    pub failed: u64,
}

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) template: &'a str,
    pub(crate) is_listed: bool,
    /// Name of the attack it belongs to
    pub(crate) attack: Option<&'a str>,
    pub(crate) status: u16,
    pub(crate) is_denied: bool,
}

/// LIMIT: failures kept in words.
const FAILURE_SAMPLES_MAX: usize = 10;

impl Ledger {
    pub(crate) fn record(&mut self, entry: Entry<'_>) {
        self.requests += 1;
        let denied = u64::from(entry.is_denied);
        let tally = match entry.attack {
            Some(name) => self.attacks.entry(name.to_owned()).or_default(),
            None => &mut self.honest,
        };
        tally.requests += 1;
        tally.denied += denied;
        let played = self.played(&entry);
        played.requests += 1;
        played.denied += denied;
        *played.statuses.entry(entry.status).or_default() += 1;
        *played.classes.entry(format!("{}xx", entry.status / 100)).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, attack: Option<&str>, words: String) {
        match attack {
            Some(name) => self.attacks.entry(name.to_owned()).or_default().failed += 1,
            None => {
                self.honest.failed += 1;
                self.failures += 1;
            }
        }
        if self.failure_samples.len() < FAILURE_SAMPLES_MAX {
            self.failure_samples.push(words);
        }
    }

    /// Adds what another player played.
    pub(crate) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.failure_samples.extend(other.failure_samples);
        self.failure_samples.truncate(FAILURE_SAMPLES_MAX);
        for (name, tally) in other.attacks {
            self.attacks.entry(name).or_default().add(tally);
        }
        self.honest.add(other.honest);
        merge_played(&mut self.operations, other.operations);
        merge_played(&mut self.unlisted, other.unlisted);
    }

    /// A few lines for the terminal.
    pub fn summary(&self) -> String {
        let attacks: u64 = self.attacks.values().map(|tally| tally.requests).sum();
        let denied: u64 = self.attacks.values().map(|tally| tally.denied).sum();
        format!(
            "played {} requests over {} operations, {} failed; honest: {} ({} denied), attacks: {attacks} ({denied} denied)",
            self.requests,
            self.operations.len(),
            self.failures,
            self.honest.requests,
            self.honest.denied,
        )
    }

    fn played(&mut self, entry: &Entry<'_>) -> &mut Played {
        let list = if entry.is_listed { &mut self.operations } else { &mut self.unlisted };
        row(list, entry.host, entry.method, entry.template)
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.denied += other.denied;
        self.failed += other.failed;
    }
}

fn merge_played(mine: &mut Vec<Played>, others: Vec<Played>) {
    for other in others {
        let played = row(mine, &other.host, &other.method, &other.template);
        played.requests += other.requests;
        played.denied += other.denied;
        for (status, count) in other.statuses {
            *played.statuses.entry(status).or_default() += count;
        }
        for (class, count) in other.classes {
            *played.classes.entry(class).or_default() += count;
        }
    }
    mine.sort_by(|a, b| (&a.host, &a.template, &a.method).cmp(&(&b.host, &b.template, &b.method)));
}

/// The row of an operation, made when missing.
fn row<'l>(list: &'l mut Vec<Played>, host: &str, method: &str, template: &str) -> &'l mut Played {
    let found =
        list.iter().position(|played| played.host == host && played.method == method && played.template == template);
    let index = found.unwrap_or_else(|| {
        let row = Played {
            host: host.to_owned(),
            method: method.to_owned(),
            template: template.to_owned(),
            ..Played::default()
        };
        list.push(row);
        list.len() - 1
    });
    &mut list[index]
}
