//! One command for each thing a developer does: `cargo xtask <verb>`.
//!
//! `check` runs exactly what CI runs, fastest first; a red step prints the one command that reproduces it. Every verb
//! works from a fresh machine that has Rust, Node, a C compiler and Debian's packages: what else it needs, it installs.

mod bench;
mod check;
mod demo;
mod docs;
mod fuzz;
mod run;
mod system;
mod tidy;
mod ui;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// One command for each thing a developer does
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything that CI runs: installs what is missing, then formats, lints, builds, tests and plays the demo
    Check {
        /// Start at this step (see the names that `check` prints)
        #[arg(long)]
        from: Option<String>,
        /// Run only this step
        #[arg(long)]
        only: Option<String>,
        /// List the steps
        #[arg(long)]
        list: bool,
    },
    /// Run the tests of one crate, or of all: `cargo xtask test engine`
    Test {
        /// Crate folder, such as `engine`; or `waf-crs`, the regression tests of the OWASP Core Rule Set, or
        /// `waf-crs-http`, the same through the running gateway
        name: Option<String>,
        /// Passed on to cargo nextest
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Check the invariants of ARCHITECTURE.md
    Tidy,
    /// Rewrite snapshots and generated documents after a wanted change
    Bless,
    /// Write the generated documents, or check that they are up to date
    Docs {
        /// Fail when a document differs from what would be generated
        #[arg(long)]
        check: bool,
    },
    /// Build everything, then play the sample bank and shop: product, traffic, console
    Demo(demo::Options),
    /// Measure: `load` CPU per request beside other proxies, `slow` what slow clients cost others, `access` what
    /// access control costs a call, `waf` what rules cost, `waf-differential` whether they log what libmodsecurity logs, `bombs` what hostile requests cost
    Bench(bench::Options),
    /// Explore one fuzz target, or list them
    Fuzz {
        /// Target
        target: Option<String>,
        /// Seconds
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
    /// Build the console's pages; with `--check` lint, types and unit tests too
    Ui {
        /// Lint, check types and run unit tests first
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match obey(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(verb: Verb) -> Result<()> {
    match verb {
        Verb::Check { from, only, list } => check::run(from.as_deref(), only.as_deref(), list),
        Verb::Test { name, rest } => check::test(name.as_deref(), &rest),
        Verb::Tidy => tidy::run(),
        Verb::Bless => docs::bless(),
        Verb::Docs { check } => docs::run(check),
        Verb::Demo(options) => demo::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Verb::Ui { check } => ui::run(check),
    }
}
