//! What a run finds, as the text of a record: how often the rules are the same, and each cause of a difference with its
//! numbers, its evidence and a request reduced to what makes the difference.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;

use crate::causes::{CAUSES, Case, Cause};
use crate::compare::{Compared, Difference, Engines, Run, SILENT, shown};
use crate::shrink::shrunk;

/// Rules that are named beside a cause.
const RULES_SHOWN: usize = 8;

/// Differences with one cause, or of one rule that no cause claims.
#[derive(Default)]
struct Bin<'a> {
    exchanges: usize,
    /// Exchanges that would be the same without it
    alone: usize,
    /// Rules that only one engine logs, and how often: ours, libmodsecurity's
    rules: [BTreeMap<u32, usize>; 2],
    /// The shortest exchange, and its rule
    sample: Option<(&'a Difference, u32, bool)>,
}

impl<'a> Bin<'a> {
    fn add(&mut self, case: &Case<'a>) {
        *self.rules[usize::from(!case.is_ours)].entry(case.rule).or_default() += 1;
        let length = |difference: &Difference| difference.exchange.target.len() + difference.exchange.body.len();
        if self.sample.is_none_or(|(shortest, ..)| length(case.difference) < length(shortest)) {
            self.sample = Some((case.difference, case.rule, case.is_ours));
        }
    }

    fn number(&self, side: usize) -> usize {
        self.rules[side].values().sum()
    }
}

/// All differences, sorted.
struct Findings<'a> {
    compared: &'a Compared,
    explained: BTreeMap<&'static str, Bin<'a>>,
    /// By rule and whether it is ours that logs it
    open: BTreeMap<(u32, bool), Bin<'a>>,
    /// By kind: exchanges that differ, and those of them with a difference that is not explained
    kinds: BTreeMap<&'static str, (usize, usize)>,
    /// Rules of scores, which differ because others do
    scores: usize,
}

/// The text of a record, and the share of exchanges that are logged alike or whose difference is explained.
pub fn text(run: &Run, compared: &Compared, engines: &mut Engines) -> Result<(String, f64)> {
    let findings = Findings::sort(compared);
    let mut text = format!(
        "CRS at paranoia level 4, all phases; the sets of logged rules of both engines, {} generated exchanges (seed {}).\n\
         Left out is {SILENT}, which libmodsecurity never logs because of its `noauditlog`.\n\n",
        run.count, run.seed
    );
    let share = findings.agreement(&mut text);
    findings.table(&mut text);
    findings.evidence(&mut text, engines)?;
    findings.open(&mut text, engines)?;
    Ok((text, share))
}

impl<'a> Findings<'a> {
    fn sort(compared: &'a Compared) -> Self {
        let mut findings =
            Self { compared, explained: BTreeMap::new(), open: BTreeMap::new(), kinds: BTreeMap::new(), scores: 0 };
        compared.differences.iter().for_each(|difference| findings.add(difference));
        findings
    }

    fn add(&mut self, difference: &'a Difference) {
        let cases = difference.cases();
        // A score differs because another rule does; alone it must be explained as any other.
        let (scores, others): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.is_score());
        self.scores += scores.len();
        let cases = if others.is_empty() { scores } else { others };
        let mut names: Vec<&'static str> = Vec::new();
        let mut is_open = false;
        for case in cases {
            if let Some(Cause { name, .. }) = case.cause() {
                names.push(*name);
                self.explained.entry(*name).or_default().add(case);
            } else {
                is_open = true;
                self.open.entry((case.rule, case.is_ours)).or_default().add(case);
            }
        }
        names.sort_unstable();
        names.dedup();
        let is_alone = names.len() == 1 && !is_open;
        for name in names {
            let bin = self.explained.entry(name).or_default();
            bin.exchanges += 1;
            bin.alone += usize::from(is_alone);
        }
        let kind = self.kinds.entry(difference.kind).or_default();
        *kind = (kind.0 + 1, kind.1 + usize::from(is_open));
    }

    fn agreement(&self, text: &mut String) -> f64 {
        text.push_str(
            "| exchanges | number | same rules | same, or every difference explained |\n| --- | ---: | ---: | ---: |\n",
        );
        let share = |part: usize, all: usize| 1.0 - part as f64 / all.max(1) as f64;
        let mut total = (0, 0, 0);
        for (kind, all) in &self.compared.kinds {
            let (different, open) = self.kinds.get(kind).copied().unwrap_or_default();
            total = (total.0 + all, total.1 + different, total.2 + open);
            let (same, explained) = (share(different, *all) * 100.0, share(open, *all) * 100.0);
            let _ = writeln!(text, "| {kind} | {all} | {same:.2} % | {explained:.2} % |");
        }
        let (same, explained) = (share(total.1, total.0), share(total.2, total.0));
        let (same, percent) = (same * 100.0, explained * 100.0);
        let _ = writeln!(text, "| **all** | {} | **{same:.2} %** | **{percent:.2} %** |\n", total.0);
        explained
    }

    fn table(&self, text: &mut String) {
        text.push_str(
            "## Causes\n\n*alone*: exchanges that would be the same without this cause. *Ours*, *theirs*: rules that Bartizan \
             alone, and libmodsecurity alone, logs.\n\n| cause | exchanges | alone | ours | theirs | rules |\n\
             | --- | ---: | ---: | ---: | ---: | --- |\n",
        );
        for (name, bin) in self.by_number() {
            let mut rules: Vec<u32> = bin.rules.iter().flat_map(BTreeMap::keys).copied().collect();
            rules.sort_unstable();
            rules.dedup();
            let shown: Vec<String> = rules.iter().take(RULES_SHOWN).map(u32::to_string).collect();
            let more = rules.len().saturating_sub(RULES_SHOWN);
            let more = if more == 0 { String::new() } else { format!(", {more} more") };
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {}{more} |",
                bin.exchanges,
                bin.alone,
                bin.number(0),
                bin.number(1),
                shown.join(", "),
            );
        }
        let _ = writeln!(text, "\nRules about the score differ {} times because of these.\n", self.scores);
    }

    fn by_number(&self) -> Vec<(&'static str, &Bin<'a>)> {
        let mut causes: Vec<_> = self.explained.iter().map(|(name, bin)| (*name, bin)).collect();
        causes.sort_by_key(|(_, bin)| std::cmp::Reverse(bin.exchanges));
        causes
    }

    fn evidence(&self, text: &mut String, engines: &mut Engines) -> Result<()> {
        text.push_str("## Evidence\n\nEach request is one of the corpus, reduced to what makes the difference.\n\n");
        for (name, bin) in self.by_number() {
            let Some(cause) = CAUSES.iter().find(|cause| cause.name == name) else { continue };
            let _ = writeln!(text, "### {name}\n\n{}\n\n*Reference:* {}\n", cause.why, cause.reference);
            bin.show(text, engines, Some(name))?;
        }
        Ok(())
    }

    fn open(&self, text: &mut String, engines: &mut Engines) -> Result<()> {
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_by_key(|(_, bin)| std::cmp::Reverse(bin.number(0) + bin.number(1)));
        text.push_str("## Differences that are not explained\n\n");
        if open.is_empty() {
            text.push_str("None.\n");
        }
        for ((rule, is_ours), bin) in open {
            let who = if *is_ours { "ours" } else { "libmodsecurity" };
            let _ = writeln!(text, "### {rule}: only {who}, {} times\n", bin.number(0) + bin.number(1));
            bin.show(text, engines, None)?;
        }
        Ok(())
    }
}

impl Bin<'_> {
    /// Its sample, reduced, with the line of the engine that logs.
    fn show(&self, text: &mut String, engines: &mut Engines, cause: Option<&str>) -> Result<()> {
        let Some((difference, rule, is_ours)) = self.sample else { return Ok(()) };
        let reduced = shrunk(difference, rule, is_ours, cause, engines)?;
        let reduced = reduced.as_ref().unwrap_or(difference);
        let Some(case) = reduced.case(rule, is_ours) else { return Ok(()) };
        let who = if is_ours { "Bartizan" } else { "libmodsecurity" };
        let line: String = brief(case.line()).chars().take(LINE_SHOWN_MAX).collect();
        let _ = writeln!(
            text,
            "```text\n{}\n```\n\nOnly {who}: {rule}\n\n```text\n{line}\n```\n",
            shown(&reduced.exchange).trim_end()
        );
        Ok(())
    }
}

/// Characters of a log line that are shown.
const LINE_SHOWN_MAX: usize = 400;

/// What matched, without the pattern and the places of files that libmodsecurity adds.
fn brief(line: &str) -> String {
    let Some((operator, rest)) = line.split_once("' with parameter `") else {
        return line.split_once(" [file ").map_or(line, |(start, _)| start).to_owned();
    };
    let matched = rest.rsplit_once("' against variable ").map_or(rest, |(_, matched)| matched);
    let matched = matched.split_once(" [file ").map_or(matched, |(start, _)| start);
    let operator = operator.rsplit_once('`').map_or(operator, |(_, operator)| operator);
    format!("@{operator} matched {matched}")
}
