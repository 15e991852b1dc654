//! The `bartizan` program: reads its arguments and does what they say.
//!
//! Exit codes: 0 done, 1 the document or request is not acceptable, 2 it could not be done, 3 done, but some input lines
//! were skipped or some events could not be read.

mod access;
mod addresses;
mod arguments;
mod audit;
mod catalog;
mod check;
mod checks;
mod clock;
mod control;
mod document;
mod explain;
mod keys;
mod metrics;
mod output;
mod pipeline;
mod query;
mod record;
mod reload;
mod replay;
mod rules;
mod run;
mod shared_counts;
mod table;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Verb};

/// glibc's allocator keeps what a burst of traffic took; jemalloc gives it back and is faster for small objects.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The input was usable but not accepted: a faulty configuration.
const REFUSED: u8 = 1;
/// It could not be done.
const FAILED: u8 = 2;
/// Done, but some lines of the input were skipped, or some events could not be read.
const SKIPPED: u8 = 3;

/// Directives for libraries that log what a client can cause.
const QUIET: &str = ",pingora_core=off,pingora_proxy=off,pingora_load_balancing=off,pingora_pool=off,rustls=error";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments);
    match obey(arguments.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::note(&format!("bartizan: {}", output::words(&error)));
            ExitCode::from(FAILED)
        }
    }
}

fn obey(verb: Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Run(options) => run::run(&options),
        Verb::Check(options) => check::run(&options),
        Verb::Reload(options) => reload::run(&options.data_dir),
        Verb::Replay(options) => replay::run(&options),
        Verb::Record(options) => record::run(&options),
        Verb::Catalog(options) => catalog::run(&options),
        Verb::Query(options) => query::run(&options),
        Verb::Explain(options) => explain::run(&options),
        Verb::Rules(verb) => rules::verb::run(&verb),
        Verb::Key(verb) => keys::verb::run(&verb),
        Verb::Checks { id, json } => checks::run(id.as_deref(), json),
        Verb::Schema => {
            output::print(&format!("{:#}\n", bartizan_config::schema()));
            Ok(0)
        }
    }
}

/// Logs go to standard error: standard output belongs to what was asked for.
fn start_log(arguments: &Arguments) {
    // Pingora logs an error for every client that misbehaves; those are events here, and would flood a log.
    let quiet = if arguments.log.contains("pingora") { "" } else { QUIET };
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{}{quiet}", arguments.log)).unwrap_or_else(|error| {
        output::note(&format!("bartizan: --log `{}`: {error}; using `info`", arguments.log));
        tracing_subscriber::EnvFilter::new(format!("info{quiet}"))
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| output::Log);
    if arguments.log_json {
        log.json().init();
    } else {
        log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
    }
}
