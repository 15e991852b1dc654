//! Both engines on generated exchanges: which rules one logs and the other does not, counted and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bartizan_waf::Gates;

use crate::causes::{CAUSES, Case};
use crate::corpus::{Corpus, Sample};
use crate::engine;
use crate::harness::suite::Test;
use crate::harness::{Exchange, Logged};
use crate::oracle::Oracle;

/// Characters of an exchange that are shown.
const SHOWN_MAX: usize = 900;
/// Left out: libmodsecurity writes no log line for a rule with `noauditlog`, even if it says `log`. ModSecurity 2 does,
/// the regression tests 980170-1 and -2 want it, and CRS overrides them for nginx.
const SILENT: u32 = 980_170;
/// Share of exchanges whose rules are the same, but for differences that are understood.
const EXPLAINED_MIN: f64 = 0.995;
/// The bin of rules that follow from the score of others.
const SCORE: &str = "score";

/// What to compare, and with what.
#[derive(Debug)]
pub struct Run {
    pub count: usize,
    pub seed: u64,
    /// The oracle
    pub program: PathBuf,
    pub config: PathBuf,
    /// For the oracle's answers, which a later run can use again
    pub folder: PathBuf,
}

/// The rules that are logged, each once.
type Ids = BTreeSet<u32>;

/// Differences of one kind.
#[derive(Default)]
struct Bin {
    count: usize,
    /// The shortest exchange with the log line
    sample: Option<(String, String)>,
}

/// What a run finds.
#[derive(Default)]
struct Findings {
    /// By kind of exchange: all, with the same rules, with the same rules but for explained differences
    kinds: BTreeMap<&'static str, (usize, usize, usize)>,
    explained: BTreeMap<&'static str, Bin>,
    /// By rule and whether it is ours that logs it
    open: BTreeMap<(u32, bool), Bin>,
}

/// Compares and prints a record.
pub fn run(tests: &[Test], run: &Run) -> Result<()> {
    let mut corpus = Corpus::new(tests, run.seed);
    let samples: Vec<Sample> = (0..run.count).map(|_| corpus.sample()).collect();
    let plan = engine::plan(&run.config, Gates::All)?;
    let answers = answers(&samples, run)?;
    let mut oracle = Oracle::start(&run.program, &run.config)?;
    let mut findings = Findings::default();
    for (sample, answer) in samples.iter().zip(&answers) {
        let (ours, _) = engine::run(&plan, &sample.exchange);
        let is_same = ids(&ours) == *answer;
        // Only rule numbers are kept from earlier runs: what differs is asked again, for its lines.
        let is_explained = is_same || {
            let (theirs, _) = oracle.ask(&sample.exchange)?;
            findings.add(&sample.exchange, &ours, &theirs)
        };
        let kind = findings.kinds.entry(sample.kind).or_default();
        *kind = (kind.0 + 1, kind.1 + usize::from(is_same), kind.2 + usize::from(is_explained));
    }
    print!("{}{}", heading(run), findings.text());
    let explained = findings.kinds.values().map(|(_, _, explained)| explained).sum::<usize>();
    let share = explained as f64 / samples.len().max(1) as f64;
    ensure!(share >= EXPLAINED_MIN, "only {:.2} % of the exchanges are logged alike or explained", share * 100.0);
    Ok(())
}

/// Compares our engine with itself without gates: what it logs, messages and all, must be the same.
pub fn gates(tests: &[Test], config: &Path, count: usize, seed: u64) -> Result<()> {
    let (gated, naive) = (engine::plan(config, Gates::All)?, engine::plan(config, Gates::None)?);
    let mut corpus = Corpus::new(tests, seed);
    let mut different = 0;
    for _ in 0..count {
        let Sample { exchange, .. } = corpus.sample();
        let (ours, naive) = (engine::run(&gated, &exchange), engine::run(&naive, &exchange));
        if ours != naive {
            different += 1;
            let missing = naive.0.iter().find(|logged| !ours.0.contains(logged));
            let extra = ours.0.iter().find(|logged| !naive.0.contains(logged));
            eprintln!("{}\nonly without gates: {missing:?}\nonly with gates: {extra:?}\n", shown(&exchange));
        }
    }
    println!("{} of {count} exchanges are logged alike with and without gates", count - different);
    ensure!(different == 0, "{different} differ");
    Ok(())
}

impl Findings {
    /// Sorts the differences of an exchange; whether all of them are explained.
    fn add(&mut self, exchange: &Exchange, ours: &[Logged], theirs: &[Logged]) -> bool {
        let (our_ids, their_ids) = (ids(ours), ids(theirs));
        let only_ours = our_ids.difference(&their_ids).map(|rule| (*rule, true));
        let only_theirs = their_ids.difference(&our_ids).map(|rule| (*rule, false));
        let cases: Vec<Case<'_>> = only_ours
            .chain(only_theirs)
            .map(|(rule, is_ours)| Case { rule, is_ours, exchange, ours, theirs })
            .collect();
        let is_explained = |case: &&Case<'_>| case.cause().is_some();
        let (scores, others): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.is_score());
        // A score differs because another rule does.
        let is_score_explained = !others.is_empty() && others.iter().all(is_explained);
        for case in &cases {
            let bin = match case.cause() {
                Some(cause) => self.explained.entry(cause.name).or_default(),
                None if case.is_score() && !others.is_empty() => self.explained.entry(SCORE).or_default(),
                None => self.open.entry((case.rule, case.is_ours)).or_default(),
            };
            bin.count += 1;
            let shown = shown(exchange);
            if bin.sample.as_ref().is_none_or(|(shortest, _)| shown.len() < shortest.len()) {
                bin.sample = Some((shown, case.line().chars().take(SHOWN_MAX).collect()));
            }
        }
        others.iter().all(is_explained) && scores.iter().all(|case| is_score_explained || is_explained(case))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        agreement(&mut text, &self.kinds);
        text.push_str("## Differences that are explained\n\n");
        for (name, bin) in &self.explained {
            let why =
                CAUSES.iter().find(|cause| cause.name == *name).map_or("follows from the others", |cause| cause.why);
            let _ = writeln!(text, "- {name}, {} times: {why}", bin.count);
        }
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_by_key(|(_, bin)| std::cmp::Reverse(bin.count));
        let _ = writeln!(text, "\n## Differences that are not, by rule\n");
        for ((rule, is_ours), bin) in open {
            let who = if *is_ours { "ours" } else { "libmodsecurity" };
            let _ = writeln!(text, "### {rule}: only {who}, {} times\n", bin.count);
            if let Some((exchange, line)) = &bin.sample {
                let _ = writeln!(text, "```\n{exchange}\n```\n\n```\n{line}\n```\n");
            }
        }
        text
    }
}

fn heading(run: &Run) -> String {
    format!(
        "CRS at paranoia level 4, all phases; the sets of logged rules of both engines, {} generated exchanges (seed {}).\n\
         Left out is {SILENT}, which libmodsecurity never logs because of its `noauditlog`.\n\n",
        run.count, run.seed
    )
}

fn agreement(text: &mut String, kinds: &BTreeMap<&str, (usize, usize, usize)>) {
    text.push_str(
        "| exchanges | number | same rules | same but for explained differences |\n| --- | --- | --- | --- |\n",
    );
    let percent = |part: usize, all: usize| part as f64 / all.max(1) as f64 * 100.0;
    let mut total = (0, 0, 0);
    for (kind, (all, same, but_explained)) in kinds {
        total = (total.0 + all, total.1 + same, total.2 + but_explained);
        let (same, but_explained) = (percent(*same, *all), percent(*but_explained, *all));
        let _ = writeln!(text, "| {kind} | {all} | {same:.2} % | {but_explained:.2} % |");
    }
    let (same, but_explained) = (percent(total.1, total.0), percent(total.2, total.0));
    let _ = writeln!(text, "| **all** | {} | **{same:.2} %** | **{but_explained:.2} %** |\n", total.0);
}

/// An exchange as text, what does not print escaped.
fn shown(exchange: &Exchange) -> String {
    let mut bytes = [&exchange.method, b" ".as_slice(), &exchange.target, b" ", &exchange.protocol, b"\n"].concat();
    for (name, value) in &exchange.headers {
        bytes.extend([name, b": ".as_slice(), value, b"\n"].concat());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(&exchange.body);
    let mut text = String::new();
    for byte in bytes.into_iter().take(SHOWN_MAX * 4) {
        match byte {
            b'\n' | b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

fn ids(logged: &[Logged]) -> Ids {
    logged.iter().map(|logged| logged.rule).filter(|rule| *rule != SILENT).collect()
}

/// What the oracle logs, from the file of an earlier run on the same exchanges and rules if there is one.
fn answers(samples: &[Sample], run: &Run) -> Result<Vec<Ids>> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(&run.config)?.hash(&mut hasher);
    samples.iter().for_each(|sample| format!("{:?}", sample.exchange).hash(&mut hasher));
    let path = run.folder.join(format!("answers-{:016x}", hasher.finish()));
    if let Ok(text) = std::fs::read_to_string(&path) {
        let read: Result<Vec<Ids>> =
            text.lines().map(|line| Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)).collect();
        let read = read?;
        ensure!(read.len() == samples.len(), "`{}` is cut off; remove it", path.display());
        return Ok(read);
    }
    let mut oracle = Oracle::start(&run.program, &run.config)?;
    let mut answers = Vec::with_capacity(samples.len());
    for (at, sample) in samples.iter().enumerate() {
        let answer = oracle.ask(&sample.exchange);
        let (logged, _) = answer.with_context(|| format!("exchange {at}:\n{}", shown(&sample.exchange)))?;
        answers.push(ids(&logged));
        if at % 1000 == 999 {
            eprintln!("libmodsecurity: {} of {}", at + 1, samples.len());
        }
    }
    let line = |ids: &Ids| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    std::fs::write(path, answers.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(answers)
}
