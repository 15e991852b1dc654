//! The result as a page, and whether one page is worse than another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use bartizan_waf::Gates;

use crate::engine::{Configuration, Verdict, judge};
use crate::sample::Sample;

/// Stopped, of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    stopped: usize,
    all: usize,
}

impl Share {
    fn add(&mut self, is_stopped: bool) {
        self.all += 1;
        self.stopped += usize::from(is_stopped);
    }

    fn percent(self) -> f64 {
        100.0 * self.stopped as f64 / self.all.max(1) as f64
    }

    fn cell(self) -> String {
        format!("{} of {} ({:.1} %)", self.stopped, self.all, self.percent())
    }
}

/// What one configuration did on all sets.
pub struct Measured {
    configuration: Configuration,
    sets: Vec<MeasuredSet>,
}

struct MeasuredSet {
    name: String,
    attacks: BTreeMap<String, Share>,
    encodings: BTreeMap<&'static str, Share>,
    places: BTreeMap<&'static str, Share>,
    honest: BTreeMap<String, Share>,
    /// Rules that had a part in stopping honest requests, and how many
    culprits: BTreeMap<u32, usize>,
    verdicts: Vec<Verdict>,
}

impl Measured {
    pub fn of(configuration: Configuration, rule_set: &Path, sets: &[(&str, Vec<Sample>)]) -> Result<Self> {
        let plan = configuration.plan(rule_set, Gates::All)?;
        let sets = sets.iter().map(|(name, samples)| {
            let verdicts = samples.iter().map(|sample| judge(&plan, sample)).collect();
            MeasuredSet::of(name, samples, verdicts)
        });
        Ok(Self { configuration, sets: sets.collect() })
    }

    fn set(&self, name: &str) -> Option<&MeasuredSet> {
        self.sets.iter().find(|set| set.name == name)
    }
}

impl MeasuredSet {
    fn of(name: &str, samples: &[Sample], verdicts: Vec<Verdict>) -> Self {
        let mut set = Self {
            name: name.to_owned(),
            attacks: BTreeMap::new(),
            encodings: BTreeMap::new(),
            places: BTreeMap::new(),
            honest: BTreeMap::new(),
            culprits: BTreeMap::new(),
            verdicts: Vec::new(),
        };
        for (sample, verdict) in samples.iter().zip(&verdicts) {
            let is_stopped = verdict.is_stopped;
            if sample.is_attack {
                set.attacks.entry(sample.class.clone()).or_default().add(is_stopped);
                set.encodings.entry(sample.encoding).or_default().add(is_stopped);
                set.places.entry(sample.place).or_default().add(is_stopped);
                continue;
            }
            set.honest.entry(sample.class.clone()).or_default().add(is_stopped);
            let mut rules: Vec<u32> = verdict.rules.iter().map(|(rule, _)| *rule).collect();
            rules.sort_unstable();
            rules.dedup();
            for rule in rules.into_iter().filter(|_| is_stopped) {
                *set.culprits.entry(rule).or_default() += 1;
            }
        }
        set.verdicts = verdicts;
        set
    }

    fn caught(&self) -> Share {
        total(self.attacks.values())
    }

    fn disturbed(&self) -> Share {
        total(self.honest.values())
    }
}

fn total<'a>(shares: impl Iterator<Item = &'a Share>) -> Share {
    shares.fold(Share::default(), |sum, share| Share { stopped: sum.stopped + share.stopped, all: sum.all + share.all })
}

/// Attacks caught and honest requests stopped, in percent, by our pack with the Core Rule Set.
pub fn goals(measured: &[Measured], set: &str) -> (f64, f64) {
    let both = measured.iter().find(|one| one.configuration == Configuration::Both);
    let set = both.and_then(|both| both.set(set));
    set.map_or((0.0, 100.0), |set| (set.caught().percent(), set.disturbed().percent()))
}

const HEAD: &str = "# Detection quality of the rules

Written by `cargo xtask bless` from the labelled requests of `bench/quality/waf/`, which are our own writing: payloads by
class (`attacks/`), requests of honest clients (`benign/`), put together by `crates/waf/tests/quality/`. The *measuring*
set shares no payload and no template with the *tuning* set, on which the rules were written; of it, only figures like
these and the ids of rules that stopped honest requests were looked at while tuning. The *unseen* set was written when the rules were first finished; they
were changed since, by the tuning set and three sets of strangers ([one](waf-blind.md), [two](waf-blind2.md), [three](waf-blind3.md)); [a fourth](waf-blind4.md) was measured once. A test
fails when a figure here becomes worse.

";

/// The page.
pub fn text(measured: &[Measured]) -> String {
    let mut out = HEAD.to_owned();
    for set in ["measuring", "unseen", "tuning"] {
        let _ = writeln!(out, "## The {set} set\n\nAttacks caught, by class:\n");
        rows(&mut out, measured, set, "class", |set| set.attacks.clone().into_iter().collect(), true);
        let _ = writeln!(out, "\nAttacks caught, by encoding:\n");
        let named = |map: &BTreeMap<&'static str, Share>| {
            map.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
        };
        rows(&mut out, measured, set, "encoding", |set| named(&set.encodings), false);
        let _ = writeln!(out, "\nAttacks caught, by place:\n");
        rows(&mut out, measured, set, "place", |set| named(&set.places), false);
        let _ = writeln!(out, "\nHonest requests stopped (false positives):\n");
        rows(&mut out, measured, set, "honest", |set| set.honest.clone().into_iter().collect(), true);
        let _ = writeln!(out, "\nRules that had a part in it:\n");
        for one in measured {
            let culprits = one
                .set(set)
                .map(|set| set.culprits.iter().map(|(rule, count)| format!("{rule} ({count})")).collect::<Vec<_>>());
            let culprits =
                culprits.filter(|rules| !rules.is_empty()).map_or("none".to_owned(), |rules| rules.join(", "));
            let _ = writeln!(out, "- {}: {culprits}", one.configuration.title());
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn rows(
    out: &mut String,
    measured: &[Measured],
    set: &str,
    title: &str,
    shares: impl Fn(&MeasuredSet) -> BTreeMap<String, Share>,
    has_total: bool,
) {
    let titles: Vec<&str> = measured.iter().map(|one| one.configuration.title()).collect();
    let _ = writeln!(out, "| {title} | {} |\n|---|{}", titles.join(" | "), "---|".repeat(titles.len()));
    let columns: Vec<BTreeMap<String, Share>> = measured.iter().filter_map(|one| one.set(set)).map(shares).collect();
    for name in columns.first().into_iter().flat_map(BTreeMap::keys) {
        let cells: Vec<String> =
            columns.iter().map(|column| column.get(name).copied().unwrap_or_default().cell()).collect();
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    if has_total {
        let cells: Vec<String> =
            columns.iter().map(|column| format!("**{}**", total(column.values()).cell())).collect();
        let _ = writeln!(out, "| **all** | {} |", cells.join(" | "));
    }
}

/// The rows of a page that are worse in the other: fewer attacks caught, or more honest requests stopped.
pub fn worsened(committed: &str, now: &str) -> Vec<String> {
    let (before, after) = (figures(committed), figures(now));
    let mut worse = Vec::new();
    for (row, old) in &before {
        let Some(new) = after.get(row) else {
            worse.push(format!("`{row}` is gone"));
            continue;
        };
        let is_honest = row.contains("| honest |");
        for (column, (old, new)) in old.iter().zip(new).enumerate() {
            let is_worse = if is_honest { new > old } else { new < old };
            if is_worse {
                worse.push(format!("`{row}`, column {}: {old} before, {new} now", column + 1));
            }
        }
    }
    worse
}

/// The counts of each row, named by the set, the table and the row.
fn figures(page: &str) -> BTreeMap<String, Vec<usize>> {
    let (mut set, mut table) = ("", String::new());
    let mut figures = BTreeMap::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            set = title;
        }
        let Some(row) = line.strip_prefix("| ") else { continue };
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap_or_default();
        let counts: Vec<usize> =
            cells.filter_map(|cell| cell.trim_start_matches('*').split_once(" of ")?.0.parse().ok()).collect();
        if counts.is_empty() {
            name.clone_into(&mut table);
        } else {
            figures.insert(format!("{set} | {table} | {name}"), counts);
        }
    }
    figures
}

/// For whoever writes rules: attacks that were missed and honest requests that were stopped, with the rules.
pub fn print_detail(measured: &[Measured], sets: &[(&str, Vec<Sample>)], set: &str) {
    for one in measured {
        let (Some(result), Some((_, samples))) = (one.set(set), sets.iter().find(|(name, _)| *name == set)) else {
            continue;
        };
        for (sample, verdict) in samples.iter().zip(&result.verdicts) {
            let word = match (sample.is_attack, verdict.is_stopped) {
                (true, false) => "MISSED",
                (false, true) => "STOPPED",
                _ => continue,
            };
            let body = String::from_utf8_lossy(&sample.body);
            println!(
                "{word}\t{}\t{}\t{}\t{}\t{:?}\t{} {}\t{}",
                one.configuration.title(),
                sample.class,
                sample.place,
                sample.encoding,
                verdict.rules,
                sample.method,
                sample.target,
                body.escape_debug()
            );
            if sample.place == "header" || sample.place == "cookie" {
                println!("\t{:?}", sample.headers.last());
            }
        }
    }
}
