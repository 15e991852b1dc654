//! Watching the configuration file: editors replace files, so its folder is watched and its text compared.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Changes come in bursts (truncate, write, rename); the file is read when it has been quiet this long.
const QUIET: Duration = Duration::from_millis(300);

/// Calls `changed` whenever something happened to `file`, until the watcher is dropped.
pub(crate) fn watch(file: &Path, changed: impl Fn() + Send + 'static) -> Result<RecommendedWatcher> {
    let file = std::path::absolute(file)?;
    let folder = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    let name = file.file_name().context("a file name")?.to_owned();
    let (sender, receiver) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == Some(&name)) {
            let _ = sender.send(());
        }
    })?;
    watcher.watch(&folder, RecursiveMode::NonRecursive).with_context(|| format!("watching {}", folder.display()))?;
    std::thread::Builder::new().name("config-watch".to_owned()).spawn(move || {
        while receiver.recv().is_ok() {
            while receiver.recv_timeout(QUIET).is_ok() {}
            changed();
        }
    })?;
    Ok(watcher)
}
