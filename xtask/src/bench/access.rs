//! What access control costs a call: microseconds of an exchange, and instructions of each stage.
//!
//! Times come from an example of the engine, pinned to a core. Instructions come from the same example under callgrind,
//! which counts them one by one: they do not depend on what else the machine does. Valgrind's processor has no SHA
//! instructions, so that hashes count for more there than they cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::waf::example;
use super::{Options, record, setting};
use crate::{run, system};

/// Calls that are counted: each of 16 callers reads each of its 4 accounts ten times.
const CALLS: u32 = 640;

/// Rows whose stages are told apart: names of the example's.
const STAGED: [&str; 4] = ["none", "jwt", "all-but-cedar", "all"];

/// Parts of an exchange, in their order, and the functions that carry them out.
const PARTS: [(&str, &str); 15] = [
    ("begin", "cost::begin"),
    ("request head", "cost::request_head"),
    ("– identify", "stage::identify::run"),
    ("– route", "stage::route::run"),
    ("– access", "stage::access::run"),
    ("– authenticate", "stage::access::authenticate::run"),
    ("– continuity", "stage::access::continuity::run"),
    ("– authorize", "stage::access::authorize::run"),
    ("– limit", "stage::limit::run"),
    ("– content", "stage::content::run"),
    ("– threat", "stage::threat::run"),
    ("request end", "cost::request_end"),
    ("response head", "cost::response_head"),
    ("changes to the answer", "cost::response_changes"),
    ("finish, with the event", "cost::finish"),
];

/// What a run under callgrind counted: instructions by the functions that they were carried out for.
type Counts = BTreeMap<String, u64>;

pub(super) fn run(options: &Options) -> Result<()> {
    system::install_peers()?;
    let times = run::output(&mut example(options, "bartizan-engine", "access_cost", &[])?)?;
    let names: Vec<&str> = times.lines().skip(2).filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
    let mut counted = Vec::new();
    for name in names {
        println!("counting `{name}`");
        counted.push((name, count(options, name)?));
    }
    let report = format!(
        "# What access control costs\n\n{}- command: `cargo xtask bench access --record`, {} build, pinned to one core\n\
         - one exchange is head, end, response head, changes to the answer and event, as a gateway drives it; 16 callers with tokens \
         that are remembered, 4 accounts each\n\n{times}\n{}\n{}",
        setting()?,
        options.profile,
        whole(&counted),
        staged(&counted),
    );
    println!("{report}");
    record(options, "access", &report)
}

/// Counts one row.
fn count(options: &Options, name: &str) -> Result<Counts> {
    let file = run::target_dir().join(format!("access-{name}.callgrind"));
    let program = run::binary(&format!("{}/examples", options.profile), "access_cost");
    let mut command = run::command("valgrind");
    command.args(["-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=access_cost::counted*"]);
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(program);
    run::run(command.args(["run", name, &CALLS.to_string()]))?;
    let mut command = run::command("callgrind_annotate");
    let text = run::output(command.args(["--inclusive=yes", "--threshold=100", "--show-percs=no"]).arg(&file))?;
    std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    Ok(counts(&text))
}

/// Reads lines such as `1,234  src/a.rs:bartizan_engine::stage::route::run [/path]`.
fn counts(text: &str) -> Counts {
    let line = |line: &str| {
        let (count, place) = line.trim_start().split_once(' ')?;
        let count: u64 = count.replace(',', "").parse().ok()?;
        let (_, function) = place.trim_start().split_once(':')?;
        let function = function.rsplit_once(" [").map_or(function, |(function, _)| function);
        Some((function.trim().to_owned(), count))
    };
    let mut counts = Counts::new();
    for (function, count) in text.lines().filter_map(line) {
        let known = counts.entry(function).or_insert(0);
        *known = count.max(*known);
    }
    counts
}

/// Instructions a call of the function that has this name, at the end of its path.
fn of(counts: &Counts, function: &str) -> u64 {
    let is_it = |name: &str| {
        // The old way of mangling ends names with a hash.
        let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
        name.strip_suffix(function).is_some_and(|before| before.is_empty() || before.ends_with("::"))
    };
    let count = counts.iter().filter(|(name, _)| is_it(name)).map(|(_, count)| *count).max();
    count.unwrap_or_default() / u64::from(CALLS)
}

fn whole(counted: &[(&str, Counts)]) -> String {
    let mut text = "| policies | instructions an exchange | more than without |\n| --- | ---: | ---: |\n".to_owned();
    let without = counted.first().map_or(0, |(_, counts)| of(counts, "access_cost::counted"));
    for (name, counts) in counted {
        let count = of(counts, "access_cost::counted");
        let _ = writeln!(text, "| {name} | {count} | {:+} |", count as i64 - without as i64);
    }
    text
}

fn staged(counted: &[(&str, Counts)]) -> String {
    let columns: Vec<_> = counted.iter().filter(|(name, _)| STAGED.contains(name)).collect();
    let names: String = columns.iter().map(|(name, _)| format!(" {name} |")).collect();
    let mut text = format!("| instructions of |{names}\n| --- |{}\n", " ---: |".repeat(columns.len()));
    for (label, function) in PARTS {
        let cells: String = columns.iter().map(|(_, counts)| format!(" {} |", of(counts, function))).collect();
        let _ = writeln!(text, "| {label} |{cells}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_from_what_callgrind_prints() {
        let text = "Ir\n--------\n64,000  PROGRAM TOTALS\n\n64,000  a.rs:access_cost::counted [/x/access_cost]\n\
                    6,400  crates/b.rs:bartizan_engine::stage::route::run::h0123456789abcdef [/x]\n\
                    640  c.rs:bartizan_engine::enroute::run [/x]\n";
        let counts = counts(text);
        assert_eq!(of(&counts, "access_cost::counted"), 100);
        assert_eq!(of(&counts, "stage::route::run"), 10);
        assert_eq!(of(&counts, "route::run"), 10);
        assert_eq!(of(&counts, "stage::limit::run"), 0);
    }
}
