//! Both engines on generated exchanges: which rules one logs and the other does not, counted and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bartizan_waf::Gates;

use crate::corpus::{Corpus, Sample};
use crate::engine;
use crate::harness::suite::{self, Test, list, member, text_of};
use crate::harness::{self, Exchange, Logged};
use crate::oracle::Oracle;

/// Characters of an exchange that are shown.
const SHOWN_MAX: usize = 900;

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

/// One rule, logged by one engine alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    rule: u32,
    is_ours: bool,
}

/// Compares and prints a record.
pub fn run(tests: &[Test], run: &Run) -> Result<()> {
    let mut corpus = Corpus::new(tests, run.seed);
    let samples: Vec<Sample> = (0..run.count).map(|_| corpus.sample()).collect();
    let plan = engine::plan(&run.config, Gates::All)?;
    let theirs = answers(&samples, run)?;
    let explained = explanations()?;
    let mut differences: BTreeMap<Difference, Vec<usize>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (at, (sample, theirs)) in samples.iter().zip(&theirs).enumerate() {
        let ours = ids(&engine::run(&plan, &sample.exchange).0);
        let only_ours = ours.difference(theirs).map(|rule| Difference { rule: *rule, is_ours: true });
        let only_theirs = theirs.difference(&ours).map(|rule| Difference { rule: *rule, is_ours: false });
        let found: Vec<Difference> = only_ours.chain(only_theirs).collect();
        let kind = kinds.entry(sample.kind).or_default();
        kind.0 += 1;
        kind.1 += usize::from(found.is_empty());
        kind.2 += usize::from(found.iter().all(|difference| explained.contains_key(&difference.rule)));
        found.into_iter().for_each(|difference| differences.entry(difference).or_default().push(at));
    }
    let mut oracle = Oracle::start(&run.program, &run.config)?;
    let mut text = heading(run);
    agreement(&mut text, &kinds);
    let mut ranked: Vec<(&Difference, &Vec<usize>)> = differences.iter().collect();
    ranked.sort_by_key(|(_, samples)| std::cmp::Reverse(samples.len()));
    for (difference, found) in ranked {
        let why = explained.get(&difference.rule);
        let shortest = found.iter().min_by_key(|at| shown(&samples[**at].exchange).len()).context("no sample")?;
        let exchange = &samples[*shortest].exchange;
        let logged = if difference.is_ours { engine::run(&plan, exchange).0 } else { oracle.ask(exchange)?.0 };
        describe(&mut text, *difference, found.len(), why, exchange, &logged);
    }
    print!("{text}");
    Ok(())
}

fn heading(run: &Run) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let machine =
        said("sh", &["-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc"]).replace('\n', ", cores: ");
    let command =
        format!("cargo run --release -p bartizan-waf --example differential -- corpus {} {}", run.count, run.seed);
    format!(
        "# The engine beside libmodsecurity\n\nMachine: {machine}. Commit: {commit}. Command: `{command}`\n\nCRS at paranoia \
         level 4, all phases; the sets of logged rules of both engines, {} generated exchanges.\n\n",
        run.count
    )
}

fn agreement(text: &mut String, kinds: &BTreeMap<&str, (usize, usize, usize)>) {
    text.push_str("| exchanges | number | same rules | same but for explained rules |\n| --- | --- | --- | --- |\n");
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

fn describe(
    text: &mut String,
    difference: Difference,
    count: usize,
    why: Option<&String>,
    exchange: &Exchange,
    logged: &[Logged],
) {
    let who = if difference.is_ours { "ours" } else { "libmodsecurity" };
    let _ = writeln!(text, "## {}: only {who}, {count} times\n", difference.rule);
    if let Some(why) = why {
        let _ = writeln!(text, "{why}\n");
        return;
    }
    let line = logged.iter().find(|logged| logged.rule == difference.rule).map_or("", |logged| logged.line.as_str());
    let line: String = line.chars().take(SHOWN_MAX).collect();
    let _ = writeln!(text, "```\n{}\n```\n\n```\n{line}\n```\n", shown(exchange));
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
    logged.iter().map(|logged| logged.rule).collect()
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

/// Rules that the two engines are known to log differently, and why (`bench/waf/differences.yaml`).
fn explanations() -> Result<BTreeMap<u32, String>> {
    let path = harness::workspace().join("bench/waf/differences.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut explained = BTreeMap::new();
    for document in suite::documents(&text)? {
        for entry in list(member(&document, "differences")) {
            let why = member(entry, "reason").and_then(text_of).context("a difference has no `reason`")?;
            for rule in list(member(entry, "rules")) {
                explained.insert(text_of(rule).context("a rule is no number")?.parse()?, why.trim().to_owned());
            }
        }
    }
    Ok(explained)
}
