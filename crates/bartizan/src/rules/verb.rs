//! `bartizan rules`: which rules a configuration runs, what one is about, and what they say of recorded requests.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bartizan_engine::{Callers, Counters, judge_callers};
use bartizan_integrations::tell::{Format, ReadOptions, Reader};
use bartizan_model::{Action, Event, Exchange, Source, Timestamp};
use bartizan_waf::RuleInfo;
use serde_json::{Value, json};

use crate::arguments::{Rules, RulesVerb, TestRules};
use crate::document::{self, Valid};
use crate::table::Table;
use crate::{REFUSED, SKIPPED, clock, output};

/// Does what the verb says.
pub(crate) fn run(verb: &RulesVerb) -> Result<u8> {
    match verb {
        RulesVerb::List(options) => list(options),
        RulesVerb::Explain { id, options } => explain(*id, options),
        RulesVerb::Test(options) => test(options),
    }
}

/// A policy's name and one of its rules.
fn all(valid: &Valid) -> impl Iterator<Item = (&String, &RuleInfo)> {
    valid.files.rules.plans().iter().flat_map(|(policy, plan)| plan.rules().iter().map(move |rule| (policy, rule)))
}

fn list(options: &Rules) -> Result<u8> {
    let Some(valid) = document::load_or_explain(&options.config)? else { return Ok(REFUSED) };
    if options.json {
        let rules: Vec<Value> = all(&valid).map(|(policy, rule)| as_json(policy, rule)).collect();
        output::print(&format!("{:#}\n", Value::from(rules)));
        return Ok(0);
    }
    let mut rows = Table::new(&["id", "phase", "severity", "policy", "message"]);
    // Rules without a message prepare others; they are in the JSON.
    for (policy, rule) in all(&valid).filter(|(_, rule)| !rule.message.is_empty()) {
        let severity = severity_word(rule.severity).to_owned();
        rows.push([rule.id.to_string(), rule.phase.to_string(), severity, policy.clone(), rule.message.clone()]);
    }
    rows.print();
    Ok(0)
}

fn explain(id: u32, options: &Rules) -> Result<u8> {
    let Some(valid) = document::load_or_explain(&options.config)? else { return Ok(REFUSED) };
    let found: Vec<(&String, &RuleInfo)> = all(&valid).filter(|(_, rule)| rule.id == id).collect();
    let Some((_, rule)) = found.first() else {
        bail!("no policy of `{}` has the rule `{id}`; `bartizan rules list` names them", options.config.display());
    };
    if options.json {
        let rules: Vec<Value> = found.iter().map(|(policy, rule)| as_json(policy, rule)).collect();
        output::print(&format!("{:#}\n", Value::from(rules)));
        return Ok(0);
    }
    let policies: Vec<&str> = found.iter().map(|(policy, _)| policy.as_str()).collect();
    output::print(&format!(
        "WAF-{} {}\nseverity  {}\nphase     {}\npolicies  {}\ntags      {}\nwritten   {}:{}\n",
        rule.id,
        if rule.message.is_empty() { "a rule without a message" } else { &rule.message },
        severity_word(rule.severity),
        phase_words(rule.phase),
        policies.join(", "),
        rule.tags.join(", "),
        rule.place.file,
        rule.place.line,
    ));
    output::print(&format!("exclude   exclusions: [{{ rule: {id}, parameter: NAME }}]\n"));
    Ok(0)
}

fn as_json(policy: &str, rule: &RuleInfo) -> Value {
    json!({
        "id": rule.id,
        "phase": rule.phase,
        "severity": rule.severity.map(|severity| severity_word(Some(severity))),
        "message": rule.message,
        "tags": rule.tags,
        "file": &*rule.place.file,
        "line": rule.place.line,
        "policy": policy,
    })
}

/// SecLang's words for its severities.
const fn severity_word(severity: Option<u8>) -> &'static str {
    match severity {
        Some(0) => "emergency",
        Some(1) => "alert",
        Some(2) => "critical",
        Some(3) => "error",
        Some(4) => "warning",
        Some(5) => "notice",
        Some(6) => "info",
        Some(_) => "debug",
        None => "–",
    }
}

const fn phase_words(phase: u8) -> &'static str {
    match phase {
        1 => "1, the request's head",
        2 => "2, the whole request",
        3 => "3, the response's head",
        4 => "4, the whole response",
        _ => "5, logging; it is not run",
    }
}

/// What a test came to.
#[derive(Default)]
struct Tally {
    exchanges: u64,
    skipped: u64,
    denied: u64,
    attacks: u64,
    caught: u64,
    honest: u64,
    wrongly: u64,
}

/// Runs recorded requests and compares with their labels: `{"attack": true}` must be denied, `false` must not.
fn test(options: &TestRules) -> Result<u8> {
    let Some(valid) = document::load_or_explain(&options.rules.config)? else { return Ok(REFUSED) };
    let counters = Counters::default();
    let snapshot = Arc::new(valid.files.compile(&valid.config, 1, &[], &counters, [0; 32]));
    let file = File::open(&options.file).with_context(|| format!("`{}` cannot be read", options.file.display()))?;
    let mut tally = Tally::default();
    for item in Reader::open(Format::Exchanges, ReadOptions::default(), Box::new(BufReader::new(file))) {
        let exchange = match item.exchange {
            Ok(exchange) => exchange,
            Err(fault) => {
                output::note(&format!("line {}: skipped: {fault}", item.line));
                tally.skipped += 1;
                continue;
            }
        };
        let time = exchange.time.unwrap_or(Timestamp::from_micros(0));
        let id = clock::recorded_id(time, item.line);
        let masked = Callers { are_masked: true, answer: None }; // who calls is not what is tested
        let judged = judge_callers(&snapshot, &exchange, Source::Exchanges, id, time, masked);
        let verdict = tally.take(&exchange, &judged.event);
        tell(item.line, &judged.event, verdict, options.rules.json);
    }
    output::print(&tally.summary(options.rules.json));
    Ok(match tally {
        Tally { skipped: 1.., .. } => SKIPPED,
        Tally { wrongly: 1.., .. } => REFUSED,
        Tally { attacks, caught, .. } if caught < attacks => REFUSED,
        _ => 0,
    })
}

impl Tally {
    /// Counts an exchange; says what is wrong about it, if something is.
    fn take(&mut self, exchange: &Exchange, event: &Event) -> Option<&'static str> {
        let is_denied = event.decision.action == Action::Deny;
        self.exchanges += 1;
        self.denied += u64::from(is_denied);
        match is_attack(exchange.label.as_ref()) {
            Some(true) => {
                self.attacks += 1;
                self.caught += u64::from(is_denied);
                (!is_denied).then_some("missed attack")
            }
            Some(false) => {
                self.honest += 1;
                self.wrongly += u64::from(is_denied);
                is_denied.then_some("false positive")
            }
            None => None,
        }
    }

    fn summary(&self, json: bool) -> String {
        let Self { exchanges, skipped, denied, attacks, caught, honest, wrongly } = self;
        if json {
            return format!(
                "{}\n",
                json!({"exchanges": exchanges, "skipped": skipped, "denied": denied, "attacks": attacks,
                       "caught": caught, "honest": honest, "wrongly_denied": wrongly})
            );
        }
        let mut text = format!("{exchanges} exchanges, {denied} denied");
        if attacks + honest > 0 {
            text.push_str(&format!("; {caught} of {attacks} attacks caught, {wrongly} of {honest} honest ones denied"));
        }
        text.push('\n');
        text
    }
}

/// What the label says: `{"attack": true}`, or the attack's name, or `"none"`.
fn is_attack(label: Option<&Value>) -> Option<bool> {
    match label?.get("attack")? {
        Value::Bool(is_attack) => Some(*is_attack),
        Value::String(name) => Some(name != "none"),
        _ => None,
    }
}

/// One line for an exchange that something was noticed of, or that came out wrong.
fn tell(line: u64, event: &Event, verdict: Option<&str>, json: bool) {
    let checks: Vec<String> =
        event.findings.iter().map(|found| format!("{} {}", found.check, found.location)).collect();
    if checks.is_empty() && verdict.is_none() {
        return;
    }
    let request = format!("{} {}", event.method, event.path);
    if json {
        let findings: Vec<&str> = event.findings.iter().map(|found| found.check.as_str()).collect();
        let line = json!({"line": line, "request": request, "findings": findings,
                          "decision": event.decision.action, "wrong": verdict});
        return output::print(&format!("{line}\n"));
    }
    let verdict = verdict.map(|verdict| format!("{}: ", verdict.to_uppercase())).unwrap_or_default();
    let denied = if event.decision.action == Action::Deny { "denied" } else { "passes" };
    output::print(&format!("line {line}: {verdict}{request}: {denied}; {}\n", checks.join(", ")));
}
