//! Both engines on generated exchanges: which rules one logs and the other does not.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bartizan_waf::Gates;

use crate::causes::Case;
use crate::corpus::{Corpus, Sample};
use crate::counterfactual::{Counterfactual, Ids, Ours};
use crate::engine;
use crate::harness::suite::Test;
use crate::harness::{Exchange, Logged};
use crate::oracle::Oracle;

/// Characters of an exchange that are shown.
const SHOWN_MAX: usize = 900;
/// Left out: libmodsecurity writes no log line for a rule with `noauditlog`, even if it says `log`. ModSecurity 2 does,
/// the regression tests 980170-1 and -2 want it, and CRS overrides them for nginx.
pub const SILENT: u32 = 980_170;

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

/// An exchange for which the engines log different rules.
pub struct Difference {
    pub kind: &'static str,
    pub exchange: Exchange,
    pub ours: Vec<Logged>,
    pub theirs: Vec<Logged>,
    /// Ours, behaving as theirs in one respect
    pub counterfactual: Counterfactual,
}

impl Difference {
    /// One case for each rule that one engine alone logs.
    pub fn cases(&self) -> Vec<Case<'_>> {
        let (our_ids, their_ids) = (ids(&self.ours), ids(&self.theirs));
        let only_ours = our_ids.difference(&their_ids).map(|rule| (*rule, true));
        let only_theirs = their_ids.difference(&our_ids).map(|rule| (*rule, false));
        only_ours.chain(only_theirs).map(|(rule, is_ours)| Case { rule, is_ours, difference: self }).collect()
    }

    /// The case of this rule, if only this engine logs it.
    pub fn case(&self, rule: u32, is_ours: bool) -> Option<Case<'_>> {
        self.cases().into_iter().find(|case| case.rule == rule && case.is_ours == is_ours)
    }
}

/// What a run finds.
pub struct Compared {
    /// Exchanges by kind
    pub kinds: BTreeMap<&'static str, usize>,
    pub differences: Vec<Difference>,
}

/// Both engines, to be asked again.
pub struct Engines {
    ours: Ours,
    oracle: Oracle,
}

impl Engines {
    /// Starts them with the same rules.
    pub fn start(run: &Run) -> Result<Self> {
        Ok(Self { ours: Ours::new(&run.config)?, oracle: Oracle::start(&run.program, &run.config)? })
    }

    /// What they say of an exchange, if it is not the same.
    pub fn ask(&mut self, kind: &'static str, exchange: &Exchange) -> Result<Option<Difference>> {
        let ours = self.ours.logged(exchange);
        let (theirs, _) = self.oracle.ask(exchange)?;
        if ids(&ours) == ids(&theirs) {
            return Ok(None);
        }
        let counterfactual = self.ours.counterfactual(exchange);
        Ok(Some(Difference { kind, exchange: exchange.clone(), ours, theirs, counterfactual }))
    }
}

/// Compares both on a generated corpus.
pub fn run(tests: &[Test], run: &Run, engines: &mut Engines) -> Result<Compared> {
    let mut corpus = Corpus::new(tests, run.seed);
    let samples: Vec<Sample> = (0..run.count).map(|_| corpus.sample()).collect();
    let answers = answers(&samples, run)?;
    let mut compared = Compared { kinds: BTreeMap::new(), differences: Vec::new() };
    for (Sample { kind, exchange }, answer) in samples.into_iter().zip(&answers) {
        *compared.kinds.entry(kind).or_default() += 1;
        // Only rule numbers are kept from earlier runs: what differs is asked again, for its lines.
        if ids(&engines.ours.logged(&exchange)) != *answer {
            compared.differences.extend(engines.ask(kind, &exchange)?);
        }
    }
    Ok(compared)
}

/// Prints every difference.
pub fn list(compared: &Compared) {
    for difference in &compared.differences {
        println!("===== {}", shown(&difference.exchange));
        for case in difference.cases() {
            let who = if case.is_ours { "ours" } else { "theirs" };
            let cause = case.cause().map_or("?", |cause| cause.name);
            println!("----- {} {who} [{cause}] {}", case.rule, case.line());
        }
    }
}

/// Compares our engine with itself without gates: what it logs, messages and all, must be the same.
pub fn gates(tests: &[Test], config: &Path, count: usize, seed: u64) -> Result<()> {
    let (gated, naive) = (engine::plan_as_peer(config, Gates::All)?, engine::plan_as_peer(config, Gates::None)?);
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

/// An exchange as text, what does not print escaped.
pub fn shown(exchange: &Exchange) -> String {
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

/// The rules that are compared.
pub fn ids(logged: &[Logged]) -> Ids {
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
