//! libmodsecurity behind a pipe: `bench/waf/oracle.cc`, compiled when needed, asked one exchange at a time.

#![allow(dead_code, reason = "the bench uses a part of it")]

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::harness::{self, Exchange, Field, Logged};

/// LIMIT: bytes of a log line; a longer one means that the two sides do not speak the same form.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The running oracle.
pub struct Oracle {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts the program with a configuration.
    pub fn start(program: &Path, config: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        let mut child = command.arg(config).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = BufWriter::new(child.stdin.take().context("no pipe to the oracle")?);
        let output = BufReader::new(child.stdout.take().context("no pipe from the oracle")?);
        Ok(Self { child, input, output })
    }

    /// What the rules log for this exchange, and the status of an intervention.
    pub fn ask(&mut self, exchange: &Exchange) -> Result<(Vec<Logged>, Option<u16>)> {
        self.input.write_all(&record(exchange))?;
        self.input.flush()?;
        let status = u16::try_from(self.number().context("the oracle ended")?)?;
        let mut logged = Vec::new();
        for _ in 0..self.number()? {
            let rule = self.number()?;
            let length = self.number()? as usize;
            ensure!(length <= LINE_BYTES_MAX, "the oracle answers in another form");
            let mut line = vec![0; length];
            self.output.read_exact(&mut line)?;
            logged.push(Logged { rule, line: String::from_utf8_lossy(&line).into_owned() });
        }
        Ok((logged, (status != 0).then_some(status)))
    }

    fn number(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.output.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long libmodsecurity takes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// CPU time of one request
    pub micros: f64,
    /// Whether every request was stopped
    pub is_stopped: bool,
}

/// Runs the request phases of these exchanges for so many seconds.
pub fn time(program: &Path, config: &Path, exchanges: &[Exchange], seconds: f64) -> Result<Timing> {
    let mut command = Command::new(program);
    command.arg(config).args(["--time", &seconds.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = BufWriter::new(child.stdin.take().context("no pipe to the oracle")?);
    for exchange in exchanges {
        input.write_all(&record(exchange))?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [micros, count, stopped] = words.as_slice() else { bail!("the oracle said `{text}`") };
    Ok(Timing { micros: micros.parse()?, is_stopped: count == stopped })
}

/// Compiles the oracle, unless that was done after its last change.
pub fn build(folder: &Path) -> Result<PathBuf> {
    let source = harness::workspace().join("bench/waf/oracle.cc");
    let program = folder.join("waf-oracle");
    std::fs::create_dir_all(folder)?;
    let age = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if age(&program).is_some_and(|built| Some(built) > age(&source)) {
        return Ok(program);
    }
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-O2", "-o"]).arg(&program).arg(&source).arg("-lmodsecurity");
    let status = command.status().context("cannot run g++; install `g++ libmodsecurity-dev`")?;
    ensure!(status.success(), "the oracle does not compile; install Debian's `g++ libmodsecurity-dev`");
    Ok(program)
}

/// The form that `oracle.cc` reads.
fn record(exchange: &Exchange) -> Vec<u8> {
    let mut record = Vec::new();
    text(&mut record, &exchange.method);
    text(&mut record, &exchange.target);
    text(&mut record, &exchange.protocol);
    fields(&mut record, &exchange.headers);
    text(&mut record, &exchange.body);
    record.extend(u32::from(exchange.reply.status).to_le_bytes());
    fields(&mut record, &exchange.reply.headers);
    text(&mut record, &exchange.reply.body);
    record
}

fn text(record: &mut Vec<u8>, bytes: &[u8]) {
    record.extend((bytes.len() as u32).to_le_bytes());
    record.extend_from_slice(bytes);
}

fn fields(record: &mut Vec<u8>, fields: &[Field]) {
    record.extend((fields.len() as u32).to_le_bytes());
    for (name, value) in fields {
        text(record, name);
        text(record, value);
    }
}
