//! Benches of rules and decoders in process: they are examples of the crates that they measure.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Options, record, setting};
use crate::{run, system};

/// Exchanges that both engines see, and the seed that they come from. Seed 1 is for working on the engine; what is
/// reported comes from one that nobody had looked at before.
const DIFFERENTIAL: [&str; 3] = ["corpus", "20000", "20261123"];

/// What the rules cost beside libmodsecurity, pinned to one core.
pub(super) fn speed(options: &Options) -> Result<()> {
    system::install_peers()?;
    let text = run::output(&mut example(options, "bartizan-waf", "bench", &[])?)?;
    let report = format!(
        "# What the Core Rule Set costs\n\n{}- command: `cargo xtask bench waf --record`\n- CRS 4.28, paranoia level 1, request phases, one thread; every request has values of its own\n\n{text}",
        setting()?
    );
    println!("{report}");
    record(options, "waf", &report)
}

/// Which rules our engine logs and libmodsecurity does not, and the other way round.
pub(super) fn differential(options: &Options) -> Result<()> {
    system::install_peers()?;
    let text = run::output(&mut example(options, "bartizan-waf", "differential", &DIFFERENTIAL)?)?;
    let report = format!(
        "# The engine beside libmodsecurity: the same rules logged\n\n{}{}- peer: {}\n\n{text}",
        setting()?,
        command("waf-differential", options),
        package("libmodsecurity3")?,
    );
    println!("{report}");
    record(options, "waf-differential", &report)
}

/// What hostile bodies cost, in time and memory. Fails when a bound is crossed.
pub(super) fn bombs(options: &Options) -> Result<()> {
    let output = example(options, "bartizan-engine", "hostile", &[])?.output().context("starting the example")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = format!("# What hostile requests cost\n\n{}{}\n{text}", setting()?, command("bombs", options),);
    println!("{report}");
    anyhow::ensure!(output.status.success(), "a bound is crossed:\n{}", String::from_utf8_lossy(&output.stderr));
    record(options, "bombs", &report)
}

/// The lines of a record that say how it was made.
fn command(name: &str, options: &Options) -> String {
    let profile = &options.profile;
    let argument = if profile == "release" { String::new() } else { format!(" --profile {profile}") };
    format!("- command: `cargo xtask bench {name}{argument} --record`, {profile} build, pinned to one core\n")
}

/// An example of a crate, built and pinned to a core.
pub(super) fn example(options: &Options, package: &str, name: &str, arguments: &[&str]) -> Result<Command> {
    if !options.no_build {
        let mut build = run::cargo(["build", "-p", package, "--example", name]);
        build.args((options.profile == "release").then_some("--release"));
        run::run(&mut build)?;
    }
    let program: PathBuf = run::binary(&format!("{}/examples", options.profile), name);
    let mut command = run::command("taskset");
    command.args(["-c", "0"]).arg(program).args(arguments).env("CARGO_MANIFEST_DIR", run::root());
    Ok(command)
}

fn package(name: &str) -> Result<String> {
    run::output(Command::new("dpkg-query").args(["-W", "-f", "${Package} ${Version}", name]))
}
