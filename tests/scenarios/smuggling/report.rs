//! The table of `bench/quality/smuggling.md`: by class what was sent and refused, by origin what was parsed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::mutation::Mutation;
use super::origins::Kind;
use super::verdict::Tally;

/// One origin's result.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) tally: Tally,
}

const HEAD: &str = "# Requests that origins parsed and the gateway did not inspect: 0

Every mutation goes through the gateway, in its default strictness, to each origin, over a connection of its own. Each
origin writes down the requests that it parses. Each of them must be one that the gateway inspected, with the same method,
target and body, and once; each request that the gateway refused, and each answer that a client got, must be an event.

- Reproduce: `cargo xtask check --only scenarios`; the test is `smuggling` in `tests/scenarios/`. `BARTIZAN_BLESS=1` writes
  this page, `BARTIZAN_KEEP=FOLDER` everything that was sent and seen.
- *refused*: mutations of which the gateway refused at least one request, before any origin heard of it. The same for every
  origin, and checked by the test, as is *mutations*.
- The other columns: requests that the origin parsed. A mutation may hold several requests, each inspected by itself. What
  the gateway passes on and an origin refuses as it comes is not among them, so they depend on the origin's version.

";

/// Fails when what the gateway refuses differs from the committed page, or between origins.
pub(super) fn check(mutations: &[Mutation], rows: &[Row]) -> Result<()> {
    let Some(first) = rows.first() else { anyhow::bail!("no origin") };
    for row in rows {
        for (class, count) in &first.tally.refused {
            let other = row.tally.refused.get(class).copied().unwrap_or_default();
            ensure!(
                *count == other,
                "{class}: {count} refused before {}, {other} before {}",
                first.kind.name(),
                row.kind.name()
            );
        }
    }
    let page = page(mutations, rows)?;
    let path = path();
    if std::env::var_os("BARTIZAN_BLESS").is_some() {
        return Ok(std::fs::write(path, page)?);
    }
    let committed = std::fs::read_to_string(path)?;
    ensure!(
        own_columns(&committed) == own_columns(&page),
        "bench/quality/smuggling.md says otherwise; if that is wanted, BARTIZAN_BLESS=1 writes this:\n{page}"
    );
    Ok(())
}

fn path() -> PathBuf {
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).join("../bench/quality/smuggling.md")
}

/// Class, mutations and refused of every line of the table.
fn own_columns(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with('|'));
    lines.map(|line| line.split('|').map(str::trim).take(4).collect()).collect()
}

fn page(mutations: &[Mutation], rows: &[Row]) -> Result<String> {
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    for mutation in mutations {
        *sent.entry(mutation.class).or_default() += 1;
    }
    let mut page = HEAD.to_owned();
    let names: Vec<&str> = rows.iter().map(|row| row.kind.name()).collect();
    writeln!(page, "| class | mutations | refused | {} |", names.join(" | "))?;
    writeln!(page, "|---|---:|---:|{}", "---:|".repeat(rows.len()))?;
    for (class, count) in &sent {
        let of = |counts: &BTreeMap<&str, usize>| counts.get(class).copied().unwrap_or_default();
        let refused = rows.first().map_or(0, |row| of(&row.tally.refused));
        let parsed: Vec<String> = rows.iter().map(|row| of(&row.tally.parsed).to_string()).collect();
        writeln!(page, "| {class} | {count} | {refused} | {} |", parsed.join(" | "))?;
    }
    let refused: usize = rows.first().map_or(0, |row| row.tally.refused.values().sum());
    let totals: Vec<String> = rows.iter().map(|row| row.tally.parsed.values().sum::<usize>().to_string()).collect();
    writeln!(page, "| **all** | {} | {refused} | {} |", mutations.len(), totals.join(" | "))?;
    let zeros = vec!["0"; rows.len()].join(" | ");
    writeln!(page, "| **parsed, not inspected** | | | {zeros} |")?;
    Ok(page)
}
