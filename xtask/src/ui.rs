//! The console's pages: npm packages, lint, types, unit tests, build.

use std::process::Command;

use anyhow::Result;

use crate::run;

/// Installs npm packages if the lock file changed, then builds `ui/dist`; with `check`, lint, types and tests first.
pub fn run(check: bool) -> Result<()> {
    install()?;
    if check {
        for script in ["lint", "check", "test"] {
            npm(&["run", "--silent", script])?;
        }
    }
    let page = run::root().join("ui/dist/index.html");
    let before = std::fs::read(&page).ok();
    npm(&["run", "--silent", "build"])?;
    if std::fs::read(&page).ok() != before {
        // The pages are embedded by a macro that cargo does not know to depend on new files.
        let embedding = run::root().join("crates/console/src/assets.rs");
        std::fs::File::options().append(true).open(embedding)?.set_modified(std::time::SystemTime::now())?;
    }
    Ok(())
}

/// `npm ci`, unless the installed packages are those of the lock file.
fn install() -> Result<()> {
    let folder = run::root().join("ui");
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.bartizan-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    Ok(std::fs::write(stamp, lock)?)
}

fn npm(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("npm");
    run::run(command.args(arguments).current_dir(run::root().join("ui")))
}
