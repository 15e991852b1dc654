//! `bartizan record`: the gateway as `run` has it, with its traffic written to a file that `replay` reads.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_gateway::Stop;
use bartizan_integrations::tell::{Masking, Writer};
use bartizan_model::Exchange;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::arguments::Record;
use crate::{output, run, table};

/// LIMIT: exchanges that may wait to be written; beyond it they are dropped and counted, as requests never wait.
const QUEUE_MAX: usize = 1024;
/// How often the file is flushed while nothing arrives.
const QUIET: Duration = Duration::from_millis(500);

/// Serves and writes until stopped, or for the given time.
pub(crate) fn run(options: &Record) -> Result<u8> {
    let mut open = OpenOptions::new();
    let file = open.write(true).create_new(true).mode(0o600).open(&options.output);
    let file = file.with_context(|| format!("`{}` cannot be made", options.output.display()))?;
    let writer = if options.no_mask {
        Writer::as_is(BufWriter::new(file))
    } else {
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("a key for the masks")?;
        Writer::masked(BufWriter::new(file), Masking::new(key))
    };
    let (sender, receiver) = bounded::<Exchange>(QUEUE_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    let thread = std::thread::Builder::new().name("record".to_owned()).spawn(move || write_all(writer, &receiver))?;
    let sink = Arc::new(move |exchange| {
        if sender.try_send(exchange).is_err() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let seconds = options.seconds;
    let code = run::serve(&options.run, Some(sink), move |gateway| {
        if let Some(seconds) = seconds {
            std::thread::Builder::new().name("record-timer".to_owned()).spawn(move || {
                std::thread::sleep(Duration::from_secs(seconds));
                gateway.stop(Stop::Graceful);
            })?;
        }
        Ok(())
    });
    let written = thread.join().ok().context("the recording's thread panicked")??;
    if written == 0 && code.as_ref().map_or(true, |code| *code != 0) {
        let _ = std::fs::remove_file(&options.output); // it never served: the next try may use the name again
    }
    let code = code?;
    let dropped = dropped.load(Ordering::Relaxed);
    let exchanges = table::count(written, "exchange", "exchanges");
    output::note(&format!("{exchanges} recorded in `{}`", options.output.display()));
    if dropped > 0 {
        output::note(&format!("{dropped} more were not recorded: the disk was slower than the traffic"));
    }
    Ok(code)
}

/// Writes until every sender is gone; returns how many.
fn write_all(mut writer: Writer<BufWriter<std::fs::File>>, receiver: &Receiver<Exchange>) -> Result<usize> {
    let mut written = 0;
    loop {
        match receiver.recv_timeout(QUIET) {
            Ok(exchange) => {
                writer.write(&exchange).context("writing the recording")?;
                written += 1;
            }
            Err(RecvTimeoutError::Timeout) => writer.flush().context("writing the recording")?,
            Err(RecvTimeoutError::Disconnected) => {
                writer.flush().context("writing the recording")?;
                return Ok(written);
            }
        }
    }
}
