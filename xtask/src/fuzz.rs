//! Coverage-guided exploration of the fuzz targets. The same functions run in the ordinary tests over their corpus.

use anyhow::{Context, Result};

use crate::run;

/// Explores one target for some seconds, or lists the targets.
pub fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let Some(target) = target else {
        println!("fuzz targets: cargo xtask fuzz TARGET [SECONDS]");
        let mut names: Vec<String> = std::fs::read_dir(run::root().join("fuzz/fuzz_targets"))
            .context("fuzz/fuzz_targets")?
            .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names.iter().for_each(|name| println!("  {name}"));
        return Ok(());
    };
    let seconds = format!("-max_total_time={seconds}");
    // cargo-fuzz needs nightly features of the compiler; RUSTC_BOOTSTRAP lets the installed stable one serve.
    let mut command = run::cargo(["fuzz", "run", target, "--", seconds.as_str(), "-rss_limit_mb=4096"]);
    command.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    run::run(&mut command).context("`cargo install --locked cargo-fuzz` once, if it is missing")
}
