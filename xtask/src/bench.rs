//! `cargo xtask bench`: measurements that a claim needs, each with a record in `bench/record/`.

mod access;
mod children;
mod cpu;
mod load;
mod proxies;
mod slow;
mod waf;

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::run;

/// Options of a bench.
#[derive(Args)]
pub struct Options {
    /// Which: load, slow, access, waf, waf-differential, bombs
    #[arg(default_value = "load")]
    name: String,
    /// What `load` sends: no rules, or rules over GET or POST requests
    #[arg(long, value_enum, default_value_t = Choice::PassThrough)]
    workload: Choice,
    /// Seconds a proxy is measured in each round
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure the binaries that are there, without building
    #[arg(long)]
    no_build: bool,
    /// Which build of Bartizan is measured; anything but `release` is for trying the bench itself
    #[arg(long, default_value = "release", value_parser = ["release", "debug"])]
    profile: String,
    /// Write the record to bench/record/
    #[arg(long)]
    record: bool,
}

/// What `load` sends.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// GET without rules, against bare proxies
    PassThrough,
    /// GET with parameters, cookies and headers, the Core Rule Set enforced
    Get,
    /// POST of 240 bytes of JSON, the Core Rule Set enforced
    Post,
    /// All of them
    All,
}

/// Runs one bench.
pub fn run(options: &Options) -> Result<()> {
    match options.name.as_str() {
        "load" => load::run(options),
        "slow" => slow::run(options),
        "access" => access::run(options),
        "waf" => waf::speed(options),
        "waf-differential" => waf::differential(options),
        "bombs" => waf::bombs(options),
        other => bail!("there is no bench `{other}`; there are: load, slow, access, waf, waf-differential, bombs"),
    }
}

/// Writes a report to `bench/record/` when that is asked for.
fn record(options: &Options, name: &str, report: &str) -> Result<()> {
    if options.record {
        let path = run::root().join(format!("bench/record/{}-{name}.md", today()?));
        std::fs::write(&path, report).with_context(|| format!("writing {}", path.display()))?;
        println!("written: {}", path.display());
    }
    Ok(())
}

/// When, of what, and where: the first lines of a record.
fn setting() -> Result<String> {
    let commit = run::output(run::command("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changed = run::output(run::command("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    let changes = if changed.is_empty() { "" } else { " with changes" };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism()?;
    Ok(format!("- date {}, commit {}{changes}\n- machine: {cores} × {cpu}\n", today()?, commit.trim()))
}

fn today() -> Result<String> {
    Ok(run::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}
