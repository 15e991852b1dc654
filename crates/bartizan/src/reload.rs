//! `bartizan reload`: asks the gateway that owns a data directory to read its configuration again.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bartizan_store::{Error, Store, StoreOptions};
use rustix::process::{Pid, Signal, kill_process};

use crate::output;

/// Sends SIGHUP to the process that holds the directory.
pub(crate) fn run(directory: &Path) -> Result<u8> {
    Store::open_read_only(directory)?; // says so when there is nothing, rather than making a directory
    let pid = match Store::open(directory, StoreOptions::default()) {
        Err(Error::Locked { pid, .. }) => pid,
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("no gateway runs with `{}`", directory.display()),
    };
    let process = pid.trim().parse().ok().and_then(Pid::from_raw);
    let process = process.with_context(|| format!("`{pid}` in the lock file is not a process id"))?;
    kill_process(process, Signal::HUP).with_context(|| format!("process {pid} cannot be signalled"))?;
    output::print(&format!(
        "asked process {pid} to reload; its log and the console's revision history say what came of it\n"
    ));
    Ok(0)
}
