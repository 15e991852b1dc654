//! CPU per request of a whole process, read from the kernel's scheduler statistics, so that a noisy neighbour does not
//! count. The load generator runs on core 1.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// What one run of the load generator shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    /// CPU µs per request of the process that listens
    pub micros: f64,
    /// Requests a second
    pub rate: f64,
    /// Answers that were neither 2xx nor 3xx
    pub refused: u64,
    /// Requests answered
    pub requests: u64,
}

/// One run of the load generator against the process that listens on `port`. `script` says what is sent; without one
/// it is a plain GET.
pub(super) fn measure(port: u16, seconds: u32, script: Option<&Path>) -> Result<Figure> {
    let pids = listeners(port)?;
    let mut command = Command::new("taskset");
    // A peer with rules may keep a connection waiting for longer than the two seconds that wrk would call an error.
    command.args(["-c", "1", "wrk", "-t1", "-c32", "--timeout", "20s", &format!("-d{seconds}s")]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://127.0.0.1:{port}/api/users/1?x=1"));
    let before = cpu_ns(&pids);
    let text = run::output(&mut command)?;
    let spent = cpu_ns(&pids).saturating_sub(before);
    if let Some(line) = text.lines().find(|line| line.contains("Socket errors")) {
        bail!("port {port}: {}", line.trim());
    }
    let requests = number(&text, "requests in", 0)?;
    let refused = if text.contains("Non-2xx") { number(&text, "Non-2xx", 4)? } else { 0.0 };
    Ok(Figure {
        micros: spent as f64 / requests / 1000.0,
        rate: number(&text, "Requests/sec", 1)?,
        refused: refused as u64,
        requests: requests as u64,
    })
}

/// A word of the line in which wrk says this.
fn number(text: &str, said: &str, word: usize) -> Result<f64> {
    let line = text.lines().find(|line| line.contains(said)).with_context(|| format!("wrk printed:\n{text}"))?;
    line.split_whitespace().nth(word).and_then(|word| word.parse().ok()).with_context(|| format!("no number: {line}"))
}

/// The processes that listen on a port.
pub(super) fn listeners(port: u16) -> Result<Vec<u32>> {
    let text = run::output(Command::new("ss").args(["-ltnpH", &format!("sport = :{port}")]))?;
    let mut pids: Vec<u32> = text
        .split("pid=")
        .skip(1)
        .filter_map(|rest| rest.split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    if pids.is_empty() {
        bail!("no process is known to listen on port {port}");
    }
    Ok(pids)
}

/// CPU nanoseconds that all threads of these processes have had so far.
fn cpu_ns(pids: &[u32]) -> u64 {
    let threads = pids.iter().filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten();
    let text = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    text.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

/// The middle one; not a number when there is none.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_wrk_prints() {
        let text = "  30001 requests in 1.00s, 3.2MB read\n  Non-2xx or 3xx responses: 12\nRequests/sec:  29870.11\n";
        assert_eq!(number(text, "requests in", 0).unwrap(), 30_001.0);
        assert_eq!(number(text, "Non-2xx", 4).unwrap(), 12.0);
        assert_eq!(number(text, "Requests/sec", 1).unwrap(), 29_870.11);
        assert!(number("connect failed", "requests in", 0).is_err());
    }

    #[test]
    fn the_median_of_an_even_number_is_one_of_them() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 4.0);
        assert!(median([]).is_nan());
    }
}
