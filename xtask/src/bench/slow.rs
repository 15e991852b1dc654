//! `cargo xtask bench slow`: what a thousand slow connections of each kind cost good clients, and in memory.
//!
//! slowhttptest is slow on HTTP/1, the testkit's `SlowHttp2` on HTTP/2; each for `--seconds`, with the gateway's default
//! waits. Good clients ask all the while, and for as long just before, which is what they are compared with. The gateway
//! has one worker, pinned to core 0; everybody else is on core 1. `BARTIZAN_BIN` names another binary than the release
//! build's.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Slow, SlowHttp2};

use super::children::Children;
use super::cpu::listeners;
use super::proxies::nginx;
use super::{Options, record, setting};
use crate::{run, system};

/// Slow connections at a time.
const CONNECTIONS: u32 = 1000;

/// Good clients, and the pause of each between an answer and the next request.
const GOOD_CLIENTS: usize = 4;
const GOOD_PAUSE: Duration = Duration::from_millis(4);

/// Counting connections takes a core for a moment.
const WATCH_PAUSE: Duration = Duration::from_secs(2);

const PORT: u16 = 9010;

/// A response that no kernel buffer takes whole.
const LARGE_BYTES: usize = 16 << 20;

/// Who is slow, and with what.
enum Attack {
    /// slowhttptest with these options, on a path
    Http1(&'static [&'static str], &'static str),
    Http2(Slow, &'static str),
}

const ATTACKS: &[(&str, Attack)] = &[
    ("HTTP/1 heads", Attack::Http1(&["-H", "-i", "5", "-x", "24"], "/slow")),
    ("HTTP/1 bodies", Attack::Http1(&["-B", "-i", "5", "-x", "10", "-s", "8192"], "/slow")),
    ("HTTP/1 readers", Attack::Http1(&["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"], "/large")),
    ("HTTP/2 heads", Attack::Http2(Slow::Head, "/slow")),
    ("HTTP/2 bodies", Attack::Http2(Slow::Body, "/slow")),
    ("HTTP/2 readers", Attack::Http2(Slow::Read, "/large")),
];

/// What good clients saw.
struct Served {
    latencies: Vec<Duration>,
    failures: u64,
}

/// What one attack did.
struct Figures {
    name: &'static str,
    open_max: usize,
    before: Served,
    during: Served,
    memory_before: u64,
    memory_max: u64,
}

/// Measures every attack and reports.
pub(super) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        system::install()?;
        let mut build = run::cargo(["build", "--release", "-p", "bartizan", "--bin", "bartizan"]);
        run::run(&mut build)?;
    }
    let folder = std::env::temp_dir().join(format!("bartizan-slow-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("large"), vec![b'x'; LARGE_BYTES])?;
    pin(std::process::id())?;
    let mut children = start(&folder)?;
    children.wait_for(9000)?;
    children.wait_for(PORT)?;
    let seconds = Duration::from_secs(u64::from(options.seconds.max(10)));
    let gateway = *listeners(PORT)?.first().context("the gateway's process")?;
    served(Duration::from_secs(2))?; // warm
    let mut all = Vec::new();
    for (name, attack) in ATTACKS {
        let figures = measure(name, attack, seconds, gateway)?;
        println!("{}", row(&figures)?);
        all.push(figures);
    }
    let report = report(&all, options)?;
    drop(children);
    println!("\n{report}");
    record(options, "slow", &report)?;
    std::fs::remove_dir_all(&folder).context("removing the bench's folder")
}

/// This process, and what it starts, to core 1.
fn pin(process: u32) -> Result<()> {
    run::run(Command::new("taskset").args(["-cp", "1", &process.to_string()]).stdout(Stdio::null()))
}

fn start(folder: &Path) -> Result<Children> {
    let config = |name: &str| -> Result<String> {
        let text = std::fs::read_to_string(run::root().join("bench/slow").join(name))?;
        let path = folder.join(name);
        std::fs::write(&path, text.replace("RUN_DIR", &folder.to_string_lossy()))?;
        Ok(path.to_string_lossy().into_owned())
    };
    let mut children = Children::new(folder);
    children.pinned("1", "backend", &nginx(), &["-c", &config("backend.conf")?, "-g", "daemon off;"])?;
    let (document, data) = (config("bartizan.yaml")?, folder.join("data"));
    let arguments = ["run", "--config", &document, "--data-dir", &data.to_string_lossy()];
    children.pinned("0", "bartizan", &binary(), &arguments)?;
    Ok(children)
}

/// The gateway under test.
fn binary() -> PathBuf {
    std::env::var_os("BARTIZAN_BIN").map_or_else(|| run::binary("release", "bartizan"), PathBuf::from)
}

fn measure(name: &'static str, attack: &Attack, seconds: Duration, gateway: u32) -> Result<Figures> {
    let before = served(seconds)?;
    let memory_before = memory(gateway)?;
    let is_over = AtomicBool::new(false);
    let (during, open_max, memory_max) = std::thread::scope(|scope| -> Result<_> {
        let watch = scope.spawn(|| -> Result<(usize, u64)> {
            let (mut open, mut bytes) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                open = open.max(connections()?);
                bytes = bytes.max(memory(gateway)?);
                std::thread::sleep(WATCH_PAUSE);
            }
            Ok((open, bytes))
        });
        let attacker = scope.spawn(|| attack.go_on_for(seconds));
        std::thread::sleep(Duration::from_secs(2)); // the slow ones are there
        let during = served(seconds - Duration::from_secs(2));
        let attacked = attacker.join().expect("an attacker that does not panic");
        is_over.store(true, Ordering::Relaxed);
        let (open, bytes) = watch.join().expect("a watch that does not panic")?;
        attacked?;
        Ok((during?, open, bytes))
    })?;
    std::thread::sleep(Duration::from_secs(3));
    Ok(Figures { name, open_max, before, during, memory_before, memory_max })
}

impl Attack {
    fn go_on_for(&self, time: Duration) -> Result<()> {
        match self {
            Self::Http1(mode, path) => {
                let url = format!("http://127.0.0.1:{PORT}{path}");
                // It polls without pause; good clients on the same core come first.
                let mut command = Command::new("nice");
                command.args([
                    "-n",
                    "19",
                    "slowhttptest",
                    "-c",
                    &CONNECTIONS.to_string(),
                    "-r",
                    &CONNECTIONS.to_string(),
                    "-p",
                    "5",
                ]);
                command.args(["-l", &time.as_secs().to_string()]).args(*mode).args(["-u", &url]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().context("slowhttptest")?;
                Ok(())
            }
            Self::Http2(slow, path) => {
                let begun = Instant::now();
                let clients = (0..CONNECTIONS).map(|_| SlowHttp2::begin(PORT, *slow, path));
                let mut clients = clients.collect::<Result<Vec<_>>>()?;
                while begun.elapsed() < time {
                    // What is ended begins anew, as slowhttptest has it.
                    for client in &mut clients {
                        if !client.go_on() {
                            *client = SlowHttp2::begin(PORT, *slow, path)?;
                        }
                    }
                    std::thread::sleep(Duration::from_secs(1));
                }
                Ok(())
            }
        }
    }
}

/// Good clients for so long: each asks, reads the answer, pauses.
fn served(time: Duration) -> Result<Served> {
    let mut all = Served { latencies: Vec::new(), failures: 0 };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..GOOD_CLIENTS).map(|_| scope.spawn(|| good_client(time))).collect();
        for client in clients {
            let served = client.join().expect("a client that does not panic");
            all.latencies.extend(served.latencies);
            all.failures += served.failures;
        }
    });
    all.latencies.sort_unstable();
    ensure!(!all.latencies.is_empty(), "no good client was served");
    Ok(all)
}

fn good_client(time: Duration) -> Served {
    let mut served = Served { latencies: Vec::new(), failures: 0 };
    let begun = Instant::now();
    let mut connection = None;
    while begun.elapsed() < time {
        let asked = Instant::now();
        match ask(&mut connection) {
            Ok(()) => served.latencies.push(asked.elapsed()),
            Err(_) => {
                served.failures += 1;
                connection = None;
            }
        }
        std::thread::sleep(GOOD_PAUSE);
    }
    served
}

fn ask(connection: &mut Option<TcpStream>) -> Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", PORT))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            connection.insert(stream)
        }
    };
    stream.write_all(b"GET /good HTTP/1.1\r\nHost: a.example\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut chunk = [0; 2048];
    // The answer is small and has a length: it ends with the body's last brace.
    while !answer.ends_with(b"}") {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "closed");
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "not served");
    Ok(())
}

/// Connections to the gateway that are open now.
fn connections() -> Result<usize> {
    let text = run::output(Command::new("ss").args(["-tnH", "state", "established", &format!("sport = :{PORT}")]))?;
    Ok(text.lines().count())
}

/// Resident bytes of a process.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}

fn percentile(served: &Served, percent: usize) -> f64 {
    let at = (served.latencies.len() * percent / 100).min(served.latencies.len().saturating_sub(1));
    served.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}

fn row(figures: &Figures) -> Result<String> {
    const MIB: f64 = 1024.0 * 1024.0;
    let (before, during) = (percentile(&figures.before, 99), percentile(&figures.during, 99));
    let mut row = String::new();
    write!(
        row,
        "| {} | {} | {} | {} | {:.0} | {:.0} | {before:.0} | {during:.0} | {:.2} | {:.0} | {:.0} |",
        figures.name,
        figures.open_max,
        figures.during.latencies.len(),
        figures.during.failures,
        percentile(&figures.before, 50),
        percentile(&figures.during, 50),
        during / before,
        figures.memory_before as f64 / MIB,
        figures.memory_max as f64 / MIB,
    )?;
    Ok(row)
}

fn report(all: &[Figures], options: &Options) -> Result<String> {
    let mut text = format!(
        "# Good clients beside slow ones\n\n{}- the gateway ({}, one worker) pinned to core 0; clients, slow and good, and the upstream to core 1\n- command: `cargo xtask bench slow --seconds {} --record`\n- {CONNECTIONS} slow connections for that long: slowhttptest on HTTP/1, the testkit's `SlowHttp2` on HTTP/2, default waits\n- {GOOD_CLIENTS} good clients with keep-alive, {} ms after each answer the next request; *before* is as long without slow ones, just before\n\n| slow | open at once | good requests | failed | p50 before, µs | p50, µs | p99 before, µs | p99, µs | × p99 | MiB before | MiB at most |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        setting()?,
        if std::env::var_os("BARTIZAN_BIN").is_some() { "the binary of `BARTIZAN_BIN`" } else { "release build" },
        options.seconds.max(10),
        GOOD_PAUSE.as_millis(),
    );
    for figures in all {
        writeln!(text, "{}", row(figures)?)?;
    }
    Ok(text)
}
