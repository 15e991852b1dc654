//! The built `bartizan` program with a configuration and a data directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Program, free_port};

/// How long events may take to become visible.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway; it is killed, and its folder removed, when the value is dropped.
pub struct Bartizan {
    program: Program,
    folder: TempDir,
    /// Port of the first listener
    pub port: u16,
    /// Port of the console
    pub console_port: u16,
    has_console: bool,
}

impl Bartizan {
    /// The built binary: `BARTIZAN_BIN`, else the one beside the running test.
    ///
    /// # Panics
    /// It has not been built.
    pub fn binary() -> PathBuf {
        if let Some(path) = std::env::var_os("BARTIZAN_BIN") {
            return PathBuf::from(path);
        }
        let test = std::env::current_exe().expect("the test's own path");
        let path = test.parent().and_then(Path::parent).map(|folder| folder.join("bartizan")).unwrap_or_default();
        assert!(path.exists(), "{} is missing: run `cargo build -p bartizan`", path.display());
        path
    }

    /// Starts a gateway. In `configuration`, `{port}` and `{console}` stand for free ports and `{folder}` for its
    /// folder, where the data directory is `data`.
    ///
    /// # Errors
    /// It ends, or does not listen within a minute.
    pub fn start(configuration: &str) -> Result<Self> {
        Self::start_with(configuration, &[])
    }

    /// Starts a gateway with further arguments for `bartizan run`.
    ///
    /// # Errors
    /// It ends, or does not listen within a minute.
    pub fn start_with(configuration: &str, arguments: &[&str]) -> Result<Self> {
        Self::start_verb(configuration, "run", arguments)
    }

    /// Starts a gateway that writes whole exchanges, unmasked, to [`Bartizan::recording`].
    ///
    /// # Errors
    /// It ends, or does not listen within a minute.
    pub fn record(configuration: &str) -> Result<Self> {
        Self::start_verb(configuration, "record", &["--no-mask", "--output", "{folder}/recording.ndjson"])
    }

    fn start_verb(configuration: &str, verb: &str, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, console_port) = (free_port(), free_port());
        let text = fill(configuration, folder.path(), port, console_port);
        std::fs::write(folder.path().join("bartizan.yaml"), text)?;
        let arguments: Vec<_> = arguments.iter().map(|word| fill(word, folder.path(), port, console_port)).collect();
        let words: Vec<_> = arguments.iter().map(String::as_str).collect();
        let program = launch_to(folder.path(), verb, &words, &folder.path().join("bartizan.log"))?;
        let has_console = configuration.contains("{console}");
        let mut started = Self { program, folder, port, console_port, has_console };
        started.wait_until_ready()?;
        Ok(started)
    }

    /// Starts again in the same folder, after [`Bartizan::stop`] or [`Bartizan::kill`].
    ///
    /// # Errors
    /// It ends, or does not listen within a minute.
    pub fn start_again(&mut self) -> Result<()> {
        self.program = launch_to(self.folder.path(), "run", &[], &self.folder.path().join("bartizan.log"))?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        self.program.wait_for_port(self.port)?;
        if self.has_console { self.program.wait_for_port(self.console_port) } else { Ok(()) }
    }

    /// Writes another configuration; the running gateway notices the file by itself.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write_configuration(&self, configuration: &str) -> Result<()> {
        let text = fill(configuration, self.folder.path(), self.port, self.console_port);
        Ok(std::fs::write(self.folder.path().join("bartizan.yaml"), text)?)
    }

    /// Starts a second process with `--upgrade`, tells the first to hand its sockets over, and waits for its end.
    ///
    /// # Errors
    /// One of them fails, or the first does not end within a minute.
    pub fn upgrade(&mut self) -> Result<()> {
        let log = self.folder.path().join("upgraded.log");
        let next = launch_to(self.folder.path(), "run", &["--upgrade"], &log)?;
        let socket = self.data().join("upgrade.sock");
        let begun = Instant::now();
        while !socket.exists() {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "no hand-over socket: {}", next.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.program.signal(Signal::QUIT)?;
        let status = self.program.wait()?;
        anyhow::ensure!(status.success(), "the old process ended with {status}:\n{}", self.printed());
        self.program = next;
        self.wait_until_ready()
    }

    /// The folder with `bartizan.yaml` and `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file that a gateway of [`Bartizan::record`] writes.
    pub fn recording(&self) -> PathBuf {
        self.folder.path().join("recording.ndjson")
    }

    /// `http://127.0.0.1:port` with `path` behind it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The running process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Everything it has printed so far.
    pub fn printed(&self) -> String {
        self.program.printed()
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// It does not end within a minute, or fails.
    pub fn stop(&mut self) -> Result<()> {
        self.program.signal(Signal::TERM)?;
        let status = self.program.wait()?;
        anyhow::ensure!(status.success(), "bartizan ended with {status}:\n{}", self.printed());
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.program.signal(Signal::KILL)?;
        self.program.wait().map(drop)
    }

    /// Runs `bartizan` with these arguments to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn command(arguments: &[&str]) -> Result<Output> {
        Command::new(Self::binary()).args(arguments).output().context("starting bartizan")
    }

    /// The rows of an SQL statement over the events, read while the gateway runs.
    ///
    /// # Errors
    /// The statement fails.
    pub fn query(&self, sql: &str) -> Result<Vec<Value>> {
        let text = self.read(&["query", "--json", "--limit", "100000"], &[sql])?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Every endpoint of the catalog, as saved.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn catalog(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.read(&["catalog", "--json"], &[])?)?)
    }

    /// Waits until a statement that counts gives at least `least`; returns what it gives then.
    ///
    /// # Errors
    /// It does not within 20 s.
    pub fn wait_for_count(&self, sql: &str, least: u64) -> Result<u64> {
        let begun = Instant::now();
        loop {
            let rows = self.query(sql).unwrap_or_default();
            let value = rows.first().and_then(|row| row.as_object()?.values().next()?.as_u64()).unwrap_or(0);
            if value >= least {
                return Ok(value);
            }
            if begun.elapsed() > PATIENCE {
                bail!("`{sql}` gives {value}, not {least}:\n{}", self.printed());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn read(&self, verb: &[&str], rest: &[&str]) -> Result<String> {
        let mut command = Command::new(Self::binary());
        let output = command.args(verb).arg("--data-dir").arg(self.data()).args(rest).output()?;
        if !output.status.success() {
            bail!("bartizan {verb:?} {rest:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn fill(configuration: &str, folder: &Path, port: u16, console_port: u16) -> String {
    configuration
        .replace("{port}", &port.to_string())
        .replace("{console}", &console_port.to_string())
        .replace("{folder}", &folder.display().to_string())
}

fn launch_to(folder: &Path, verb: &str, arguments: &[&str], log: &Path) -> Result<Program> {
    let mut command = Command::new(Bartizan::binary());
    command.arg(verb).arg("--config").arg(folder.join("bartizan.yaml"));
    command.arg("--data-dir").arg(folder.join("data")).args(arguments);
    Program::start(&mut command, log)
}
