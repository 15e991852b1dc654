//! Coverage-guided exploration of the fuzz targets. The same functions run in the ordinary tests over their corpus.

use anyhow::{Context, Result, ensure};

use crate::run;

/// The word for every target, one after the other.
const ALL: &str = "all";

/// Explores one target or all for some seconds each, or lists the targets.
pub fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let names = targets()?;
    match target {
        None => {
            println!("fuzz targets: cargo xtask fuzz TARGET [SECONDS], or `{ALL}`");
            names.iter().for_each(|name| println!("  {name}"));
            Ok(())
        }
        Some(ALL) => names.iter().try_for_each(|name| explore(name, seconds)),
        Some(name) => {
            ensure!(names.iter().any(|known| known == name), "there is no fuzz target `{name}`; there is: {names:?}");
            explore(name, seconds)
        }
    }
}

fn targets() -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(run::root().join("fuzz/fuzz_targets"))
        .context("fuzz/fuzz_targets")?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Explores from the committed corpus; what is found on the way goes to the target directory, crashes to
/// `fuzz/artifacts/`.
fn explore(target: &str, seconds: u32) -> Result<()> {
    let found = run::target_dir().join("fuzz-corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let committed = run::root().join("fuzz/corpus").join(target);
    let total = format!("-max_total_time={seconds}");
    // cargo-fuzz needs nightly features of the compiler; RUSTC_BOOTSTRAP lets the installed stable one serve.
    let mut command = run::cargo(["fuzz", "run", target]);
    command.arg(&found).args(committed.is_dir().then_some(&committed));
    command.args(["--", &total, "-rss_limit_mb=4096", "-print_final_stats=1"]);
    command.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    run::run(&mut command).context("`cargo install --locked cargo-fuzz` once, if it is missing")
}
