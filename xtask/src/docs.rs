//! Generated documents: configuration reference, JSON Schema, admin API, metrics. The tests of the crates that own them compare
//! them with what would be generated; `BARTIZAN_BLESS=1` makes the same tests write them.

use anyhow::Result;

use crate::run;

/// Writes the generated documents, or checks them.
pub fn run(check: bool) -> Result<()> {
    let mut command = run::cargo([
        "nextest",
        "run",
        "--workspace",
        "--no-tests=fail",
        "-E",
        "(binary(it) or package(bartizan)) and (test(documents::) or test(contract::))",
    ]);
    if !check {
        command.env("BARTIZAN_BLESS", "1");
    }
    run::run(&mut command)
}

/// Rewrites generated documents and insta's snapshots.
pub fn bless() -> Result<()> {
    run(false)?;
    let mut command = run::cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
    command.env("INSTA_UPDATE", "always").env("BARTIZAN_BLESS", "1");
    run::run(&mut command)?;
    println!("look at the change before you commit it: git diff");
    Ok(())
}
