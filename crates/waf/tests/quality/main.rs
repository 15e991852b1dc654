//! How much the rules catch and how much they disturb, on labelled requests of our own in `bench/quality/waf/`.
//!
//! `attacks/` has payloads by class and `benign/` has requests of honest clients, both in three parts that share no
//! template: rules are tuned on the first and judged by the second; the third was written when they were finished. A generator puts payloads in every place of a request
//! and wraps them in encodings; what it makes is committed as exchanges (docs/formats.md), so that others can replay it.
//! `bench/quality/waf.md` has the result; a test fails when it becomes worse. `BARTIZAN_BLESS=1` writes both anew.

mod attack;
mod benign;
mod encode;
mod engine;
mod evasion;
mod rules;
mod sample;
mod shapes;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bartizan_waf::Gates;

use crate::engine::Configuration;
use crate::sample::Sample;
use crate::table::Measured;

/// The parts of the corpus.
const SETS: [&str; 3] = ["tuning", "measuring", "unseen"];

/// Goals on the measuring set with our pack and the Core Rule Set, in percent.
const CAUGHT_PERCENT_MIN: f64 = 95.0;
const DISTURBED_PERCENT_MAX: f64 = 0.3;

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn corpus_folder() -> PathBuf {
    workspace().join("bench/quality/waf")
}

fn is_blessing() -> bool {
    std::env::var_os("BARTIZAN_BLESS").is_some()
}

/// All samples of a set, from the tables.
fn generate(set: &str) -> Result<Vec<Sample>> {
    let mut samples = attack::samples(&corpus_folder().join("attacks"), set)?;
    samples.extend(benign::samples(&corpus_folder().join("benign"), set)?);
    Ok(samples)
}

fn exchanges_file(set: &str) -> PathBuf {
    corpus_folder().join(format!("{set}.ndjson"))
}

#[test]
fn the_committed_exchanges_are_those_of_the_tables() -> Result<()> {
    for set in SETS {
        let generated = sample::write_all(&generate(set)?);
        let file = exchanges_file(set);
        if is_blessing() {
            std::fs::write(&file, generated)?;
            continue;
        }
        let committed = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let differing = committed.lines().zip(generated.lines()).position(|(one, other)| one != other);
        assert_eq!((differing, committed.len()), (None, generated.len()), "set {set}: run `cargo xtask bless`");
    }
    Ok(())
}

#[test]
fn what_the_rules_catch_and_disturb_is_not_worse_than_the_committed_table() -> Result<()> {
    let Some(rule_set) = engine::rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: detection quality was NOT measured");
        return Ok(());
    };
    let sets: Vec<(&str, Vec<Sample>)> =
        SETS.into_iter().map(|set| anyhow::Ok((set, generate(set)?))).collect::<Result<_>>()?;
    let measured = std::thread::scope(|scope| {
        let running: Vec<_> = Configuration::ALL
            .iter()
            .map(|configuration| scope.spawn(|| Measured::of(*configuration, &rule_set, &sets)))
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect::<Result<Vec<_>>>()
    })?;
    if let Ok(set) = std::env::var("BARTIZAN_QUALITY_DETAIL") {
        table::print_detail(&measured, &sets, &set);
    }
    let text = table::text(&measured);
    let file = corpus_folder().with_extension("md");
    let measuring = table::goals(&measured, "measuring");
    println!("{text}");
    if is_blessing() {
        std::fs::write(&file, text)?;
    } else {
        let committed = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let worse = table::worsened(&committed, &text);
        assert!(worse.is_empty(), "worse than `bench/quality/waf.md`: {worse:#?}");
        if committed != text {
            println!("`bench/quality/waf.md` is out of date: run `cargo xtask bless`");
        }
    }
    let (caught, disturbed) = measuring;
    assert!(caught >= CAUGHT_PERCENT_MIN, "{caught:.2} % of the attacks are caught, {CAUGHT_PERCENT_MIN} % should be");
    assert!(disturbed <= DISTURBED_PERCENT_MAX, "{disturbed:.2} % of honest requests are stopped");
    Ok(())
}

#[test]
fn gates_change_nothing_on_our_rules() -> Result<()> {
    let gated = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let naive = Configuration::OwnPack.plan(Path::new(""), Gates::None)?;
    for sample in &generate("tuning")? {
        assert_eq!(engine::judge(&gated, sample), engine::judge(&naive, sample), "{sample:?}");
    }
    Ok(())
}

#[test]
fn gates_change_nothing_on_all_rules_together() -> Result<()> {
    let Some(rule_set) = engine::rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: gates were NOT compared");
        return Ok(());
    };
    let gated = Configuration::Both.plan(&rule_set, Gates::All)?;
    let naive = Configuration::Both.plan(&rule_set, Gates::None)?;
    // One in three: every class, place and encoding comes up, and the oracle is slow.
    for sample in generate("tuning")?.iter().step_by(3) {
        assert_eq!(engine::judge(&gated, sample), engine::judge(&naive, sample), "{sample:?}");
    }
    Ok(())
}
