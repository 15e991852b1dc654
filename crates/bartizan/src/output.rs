//! What goes to people and pipes: standard output for what was asked for, standard error for remarks and the log.
//!
//! Whoever reads may go away (`| head`, a closed terminal). Then `println!` and `eprintln!` panic, and a gateway must
//! not end because nobody reads its log; so nothing here fails but standard output on a full disk.

use std::io::{self, ErrorKind, Write};

/// Writes to standard output. When the reader went away, the program ends quietly.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        note(&format!("bartizan: standard output: {error}"));
        std::process::exit(i32::from(crate::FAILED));
    }
}

/// Writes a line to standard error, if anybody reads it.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// An error with its causes. Some errors repeat their cause in their own words; it is said once.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

/// Standard error for the log: takes everything, whether or not anybody reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let disk = bartizan_gateway::Error::Runtime(io::Error::other("no threads left"));
        let error = anyhow::Error::new(disk).context("starting");
        assert_eq!(words(&error), "starting: cannot start the worker threads: no threads left");
    }
}
