//! What CI runs, step by step, fastest first. A red step prints the one command that reproduces it.
//!
//! Every step builds the whole workspace and then chooses what to run: cargo unifies features over the packages that it
//! is asked for, so a step for one package would build the heavy dependencies (DataFusion) once more.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{demo, docs, run, system, tidy, ui};

/// One step of the check.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "system", what: "install what the checks need", run: system::install },
    Step { name: "ui", what: "lint, type-check, test and build the console's pages", run: || ui::run(true) },
    Step { name: "fmt", what: "formatting", run: || run::run(&mut run::cargo(["fmt", "--all", "--check"])) },
    Step { name: "tidy", what: "the invariants of ARCHITECTURE.md", run: tidy::run },
    Step { name: "clippy", what: "lints, warnings are errors", run: clippy },
    Step { name: "build", what: "all binaries", run: build },
    Step { name: "test", what: "unit, case, property and integration tests", run: tests },
    Step { name: "doctest", what: "examples in the documentation", run: doctests },
    Step { name: "docs", what: "generated documents are up to date", run: || docs::run(true) },
    Step { name: "scenarios", what: "real software through the real binary", run: scenarios },
    Step { name: "crs-http", what: "the Core Rule Set's own tests through the real binary", run: crs_http },
    Step { name: "demo", what: "the demo, played and verified, and the console in a real browser", run: demo::check },
];

/// Runs the steps, or those that were asked for.
pub fn run(from: Option<&str>, only: Option<&str>, list: bool) -> Result<()> {
    if list {
        STEPS.iter().for_each(|step| println!("{:<10} {}", step.name, step.what));
        return Ok(());
    }
    let chosen = choose(from, only)?;
    let started = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in chosen {
        println!("\n== {}: {}", step.name, step.what);
        let begun = Instant::now();
        if let Err(error) = (step.run)() {
            eprintln!("\n{} failed: {error:#}\nto run it again: cargo xtask check --only {}", step.name, step.name);
            bail!("check failed at `{}` after {} s", step.name, started.elapsed().as_secs());
        }
        times.push((step.name, begun.elapsed()));
    }
    println!("\ncheck passed in {} s:", started.elapsed().as_secs());
    times.iter().for_each(|(name, time)| println!("  {name:<10} {:>5} s", time.as_secs()));
    Ok(())
}

fn choose(from: Option<&str>, only: Option<&str>) -> Result<&'static [Step]> {
    let position = |name: &str| match STEPS.iter().position(|step| step.name == name) {
        Some(at) => Ok(at),
        None => bail!("there is no step `{name}`; `cargo xtask check --list` names them"),
    };
    Ok(match (from, only) {
        (Some(name), _) => &STEPS[position(name)?..],
        (None, Some(name)) => std::slice::from_ref(&STEPS[position(name)?]),
        (None, None) => STEPS,
    })
}

fn clippy() -> Result<()> {
    run::run(&mut run::cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}

fn tests() -> Result<()> {
    let mut command = run::cargo(["nextest", "run", "--workspace", "-E", "not package(bartizan-scenarios)"]);
    run::run(command.args(["--status-level", "fail", "--no-fail-fast"]).env("INSTA_UPDATE", "no"))
}

fn doctests() -> Result<()> {
    run::run(&mut run::cargo(["test", "--workspace", "--doc", "--quiet"]))
}

fn build() -> Result<()> {
    run::run(&mut run::cargo(["build", "--workspace", "--bins"]))
}

fn scenarios() -> Result<()> {
    build()?;
    let mut command =
        run::cargo(["nextest", "run", "--workspace", "-E", "package(bartizan-scenarios) - binary(crs_http)"]);
    command.args(["--status-level", "pass", "--no-fail-fast"]);
    command.env("BARTIZAN_PYTHON", system::python_environment().join("bin/python"));
    command.env("BARTIZAN_NPM", system::npm_folder());
    command.env("BARTIZAN_BIN", run::binary("debug", "bartizan"));
    run::run(&mut command)
}

fn crs_http() -> Result<()> {
    build()?;
    crs_http_test(&["--workspace", "-E", "package(bartizan-scenarios) & binary(crs_http)"], &[])
}

/// The regression tests of the Core Rule Set through the real program, with their closing line.
fn crs_http_test(what: &[&str], rest: &[String]) -> Result<()> {
    let mut command = run::cargo(["nextest", "run"]);
    command.args(what).args(["--success-output", "final"]).args(rest);
    run::run(command.env("BARTIZAN_BIN", run::binary("debug", "bartizan")))
}

/// `cargo xtask test [crate]`
pub fn test(name: Option<&str>, rest: &[String]) -> Result<()> {
    let mut command = run::cargo(["nextest", "run"]);
    match name {
        Some("waf-crs-http") => {
            build()?;
            return crs_http_test(&["-p", "bartizan-scenarios", "--test", "crs_http"], rest);
        }
        // The Core Rule Set's own regression tests, with their closing line.
        Some("waf-crs") => command.args(["-p", "bartizan-waf", "--test", "crs", "--success-output", "final"]),
        Some(name) if matches!(name, "bartizan" | "xtask") => command.args(["-p", name]),
        Some(name) => command.args(["-p", &format!("bartizan-{name}")]),
        None => command.args(["--workspace", "--exclude", "bartizan-scenarios"]),
    };
    run::run(command.args(rest))
}
