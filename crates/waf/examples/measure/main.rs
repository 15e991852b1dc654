//! What the rules say about a file of labelled exchanges: attacks stopped and honest requests stopped, class by class.
//!
//! `cargo run --release -p bartizan-waf --example measure -- FILE…` prints a table for our own rules and for them with the
//! Core Rule Set (at `BARTIZAN_CRS` or `../shared/crs`), loaded as the product loads them for a policy without settings. `--wrong` names besides each request that is judged wrongly, by
//! which rules and what they matched; `--own` leaves the Core Rule Set out. A line of a file is an exchange
//! (docs/formats.md) with a `label` that says whether it is an attack and its class.

#[path = "../../tests/quality/engine.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod engine;
#[path = "../../tests/quality/sample.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bartizan_waf::{Gates, Plan};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::sample::Sample;

/// How much of what a rule matched is shown.
const SHOWN_CHARS: usize = 240;

/// Requests of a class, and those of them that each configuration stops.
#[derive(Debug, Default)]
struct Row {
    requests: usize,
    stopped: Vec<usize>,
}

/// A request, and what to call it.
#[derive(Debug)]
struct Labelled {
    sample: Sample,
    id: String,
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn main() -> Result<()> {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let mut titles = vec!["own rules", "own + CRS"];
    let mut shows_wrong = false;
    for flag in &flags {
        match flag.as_str() {
            "--own" => titles.truncate(1),
            "--wrong" => shows_wrong = true,
            other => bail!("unknown flag `{other}`; there are `--own` and `--wrong`"),
        }
    }
    if files.is_empty() {
        bail!("no file: name one or more files of labelled exchanges");
    }
    let mut plans = vec![engine::compile("measure-own", &text(None)?, Gates::All)?];
    if titles.len() > plans.len() {
        let rule_set = engine::rule_set_folder();
        let rule_set =
            rule_set.context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`; `--own` goes without")?;
        plans.push(engine::compile("measure-both", &text(Some(&rule_set))?, Gates::All)?);
    }
    for file in &files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{file}`"))?;
        let requests = text.lines().filter(|line| !line.is_empty()).enumerate();
        let requests = requests
            .map(|(at, line)| request(line, at + 1).with_context(|| format!("{file}:{}", at + 1)))
            .collect::<Result<Vec<_>>>()?;
        let verdicts = std::thread::scope(|scope| {
            let running: Vec<_> = plans.iter().map(|plan| scope.spawn(|| judge_all(plan, &requests))).collect();
            running.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect::<Vec<_>>()
        });
        println!("# {file}\n");
        for is_attack in [true, false] {
            table(&requests, &verdicts, &titles, is_attack);
        }
        if shows_wrong {
            wrong(&requests, &verdicts, &titles);
        }
    }
    Ok(())
}

/// The files in the order in which the product loads them, with its defaults for APIs.
fn text(rule_set: Option<&Path>) -> Result<String> {
    const PRODUCT: &str = include_str!("../../../bartizan/src/rules/text.rs");
    let (_, defaults) = PRODUCT.split_once("API_DEFAULTS: &str = r#\"").context("no defaults in the product")?;
    let (defaults, _) = defaults.split_once("\"#;").context("no end of the defaults")?;
    let include =
        |files: Vec<PathBuf>| files.iter().map(|file| format!("Include {}\n", file.display())).collect::<String>();
    let listed = |folder: &Path| engine::glob(&folder.join("*.conf")).map_err(anyhow::Error::msg);
    let own = listed(&workspace().join("rules"))?;
    let (profile, own): (Vec<_>, Vec<_>) = own.into_iter().partition(|file| file.ends_with("api-profile.conf"));
    let Some(rule_set) = rule_set else { return Ok(format!("{defaults}{}", include(own))) };
    let (mut first, mut rest) = (listed(&rule_set.join("rules"))?, Vec::new());
    let begun = first.iter().rposition(|file| file.to_string_lossy().contains("REQUEST-901")).map_or(0, |at| at + 1);
    rest.extend(first.drain(begun..));
    let set_up = vec![rule_set.join("crs-setup.conf.example")];
    let files = [set_up, first, own, profile, rest].map(include);
    Ok(format!("{defaults}{}", files.concat()))
}

/// What was found in one request: whether it is stopped, and by what.
type Found = (bool, Vec<(u32, String, String)>);

fn judge_all(plan: &Arc<Plan>, requests: &[Labelled]) -> Vec<Found> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARS).collect::<String>();
    let judge = |request: &Labelled| {
        let (is_stopped, matches) = engine::run(plan, &request.sample);
        let matches = matches.iter().map(|found| (found.rule, text(&found.variable), text(&found.matched)));
        (is_stopped, matches.collect())
    };
    requests.iter().map(judge).collect()
}

fn request(line: &str, number: usize) -> Result<Labelled> {
    let value: Value = serde_json::from_str(line)?;
    let (request, label) = (&value["request"], &value["label"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let url = text(&request["url"]).context("no `url`")?;
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if target.is_empty() { "/" } else { target }.to_owned();
    let headers = request["headers"].as_array().context("no `headers`")?.iter();
    let headers = headers.map(|field| Some((text(&field[0])?, text(&field[1])?))).collect::<Option<Vec<_>>>();
    let mut headers = headers.context("a header field without a name or a value")?;
    // HTTP/2 has it in `:authority`.
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.push(("host".to_owned(), authority.to_owned()));
    }
    let body = match request.get("body_base64").and_then(Value::as_str) {
        Some(encoded) => STANDARD.decode(encoded)?,
        None => text(&request["body"]).unwrap_or_default().into_bytes(),
    };
    let is_attack = match (&label["attack"], label["label"].as_str()) {
        (Value::Bool(is_attack), _) => *is_attack,
        (_, Some(name)) => name == "attack",
        (_, None) => bail!("the label does not say whether it is an attack"),
    };
    let template = text(&label["template"]).unwrap_or_default();
    let sample = Sample {
        class: text(&label["class"]).context("no `class`")?,
        is_attack,
        method: text(&request["method"]).context("no `method`")?,
        target,
        headers,
        body,
        ..Sample::default()
    };
    Ok(Labelled { sample, id: format!("{number} {template}") })
}

fn table(requests: &[Labelled], verdicts: &[Vec<Found>], titles: &[&str], is_attack: bool) {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate().filter(|(_, request)| request.sample.is_attack == is_attack) {
        for class in ["", &request.sample.class] {
            let row = rows.entry(class).or_default();
            row.requests += 1;
            row.stopped.resize(titles.len(), 0);
            for (stopped, verdicts) in row.stopped.iter_mut().zip(verdicts) {
                *stopped += usize::from(verdicts[at].0);
            }
        }
    }
    let columns: String = titles.iter().map(|title| format!(" {title} |")).collect();
    println!("| {} | requests |{columns}", if is_attack { "attacks stopped" } else { "honest requests stopped" });
    println!("|---|---:|{}", "---:|".repeat(titles.len()));
    for (class, row) in rows {
        let class = if class.is_empty() { "**all**" } else { class };
        let share = |stopped: &usize| {
            let percent = 100.0 * *stopped as f64 / row.requests as f64;
            format!(" {stopped} ({percent:.1} %) |")
        };
        println!("| {class} | {} |{}", row.requests, row.stopped.iter().map(share).collect::<String>());
    }
    println!();
}

fn wrong(requests: &[Labelled], verdicts: &[Vec<Found>], titles: &[&str]) {
    for (at, request) in requests.iter().enumerate() {
        for (title, verdicts) in titles.iter().zip(verdicts) {
            let (is_stopped, rules) = &verdicts[at];
            if *is_stopped != request.sample.is_attack {
                let kind = if request.sample.is_attack { "MISSED" } else { "STOPPED" };
                println!("{kind} by {title}: {} {}", request.sample.class, request.id);
                for (rule, variable, matched) in rules {
                    println!("    {rule} {variable}: {matched:?}");
                }
            }
        }
    }
}
