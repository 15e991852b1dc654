//! `cargo xtask bench`: measurements that a claim needs, each with a record in `bench/record/`.
//!
//! `load` measures CPU per request of the whole process, read from the kernel's scheduler statistics, so that a noisy
//! neighbour does not count. Every proxy is pinned to core 0, upstream and load generator to core 1; all are measured in
//! turn within one run, several rounds, and the median is quoted.

mod slow;

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{run, system, ui};

/// Options of a bench.
#[derive(Args)]
pub struct Options {
    /// Which: load, slow, waf
    #[arg(default_value = "load")]
    name: String,
    /// Seconds a proxy is measured in each round
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure the binaries that are there, without building
    #[arg(long)]
    no_build: bool,
    /// Write the record to bench/record/
    #[arg(long)]
    record: bool,
}

/// One proxy under test.
struct Proxy {
    name: &'static str,
    port: u16,
    /// CPU µs per request, one figure a round
    figures: Vec<f64>,
    /// Requests a second, one figure a round
    rates: Vec<f64>,
}

/// Children that end with the bench, however it ends.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &self.0 {
            let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        }
        std::thread::sleep(Duration::from_secs(2));
        for child in &mut self.0 {
            let _ = child.kill(); // Pingora sleeps its grace out, which nobody waits for here
            let _ = child.wait();
        }
    }
}

/// Runs one bench.
pub fn run(options: &Options) -> Result<()> {
    match options.name.as_str() {
        "load" => load(options),
        "slow" => slow::run(options),
        "waf" => waf(options),
        other => bail!("there is no bench `{other}`; there are: load, slow, waf"),
    }
}

/// What the rules cost in process, beside libmodsecurity: the bench of crate `waf`, pinned to one core.
fn waf(options: &Options) -> Result<()> {
    let mut build = run::cargo(["build", "--release", "-p", "bartizan-waf", "--example", "bench"]);
    if !options.no_build {
        run::run(&mut build)?;
    }
    let bench = run::binary("release/examples", "bench");
    let text =
        run::output(run::command("taskset").args(["-c", "0"]).arg(bench).env("CARGO_MANIFEST_DIR", run::root()))?;
    let report = format!(
        "# What the Core Rule Set costs\n\n{}- command: `cargo xtask bench waf --record`\n- CRS 4.28, paranoia level 1, request phases, one thread; every request has values of its own\n\n{text}",
        setting()?
    );
    println!("{report}");
    record(options, "waf", &report)
}

fn load(options: &Options) -> Result<()> {
    system::install()?;
    if !options.no_build {
        build()?;
    }
    let folder = std::env::temp_dir().join(format!("bartizan-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let children = start(&folder)?;
    let mut proxies = [("bare Pingora", 9001), ("nginx", 9002), ("HAProxy", 9003), ("Envoy", 9004), ("Bartizan", 9010)]
        .map(|(name, port)| Proxy { name, port, figures: Vec::new(), rates: Vec::new() });
    for port in std::iter::once(9000).chain(proxies.iter().map(|proxy| proxy.port)) {
        wait_for(port)?;
    }
    for round in 0..=options.rounds {
        for proxy in &mut proxies {
            let (figure, rate) = measure(proxy.port, if round == 0 { 1 } else { options.seconds })?;
            if round > 0 {
                println!("round {round}  {:<14} {figure:>7.2} µs CPU/request {rate:>9.0} requests/s", proxy.name);
                proxy.figures.push(figure);
                proxy.rates.push(rate);
            }
        }
    }
    let report = report(&proxies, options, &folder)?;
    drop(children);
    println!("\n{report}");
    record(options, "load", &report)?;
    std::fs::remove_dir_all(&folder).context("removing the bench's folder")
}

/// Writes a report to `bench/record/` when that is asked for.
fn record(options: &Options, name: &str, report: &str) -> Result<()> {
    if options.record {
        let path = run::root().join(format!("bench/record/{}-{name}.md", today()?));
        std::fs::write(&path, report)?;
        println!("written: {}", path.display());
    }
    Ok(())
}

/// When, of what, and where: the first lines of a record.
fn setting() -> Result<String> {
    let commit = run::output(run::command("git").args(["rev-parse", "--short", "HEAD"]))?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism()?;
    Ok(format!("- date {}, commit {commit}- machine: {cores} × {cpu}\n", today()?))
}

fn build() -> Result<()> {
    ui::run(false)?;
    let mut build = run::cargo(["build", "--release", "-p", "bartizan", "-p", "bartizan-gateway"]);
    run::run(build.args(["--bin", "bartizan", "--example", "bare_pingora"]))
}

/// Starts the upstream and every proxy, each on its core.
fn start(folder: &Path) -> Result<Children> {
    let config = |name: &str| -> Result<PathBuf> {
        let text = std::fs::read_to_string(run::root().join("bench/load").join(name))?;
        let path = folder.join(name);
        std::fs::write(&path, text.replace("RUN_DIR", &folder.to_string_lossy()))?;
        Ok(path)
    };
    let mut children = Children(Vec::new());
    let mut pinned = |core: &str, log: &str, program: &Path, arguments: &[&str]| -> Result<()> {
        let output = std::fs::File::create(folder.join(log))?;
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        children.0.push(command.spawn().with_context(|| format!("starting {}", program.display()))?);
        Ok(())
    };
    let nginx = if Path::new("/usr/sbin/nginx").exists() { Path::new("/usr/sbin/nginx") } else { Path::new("nginx") };
    let haproxy =
        if Path::new("/usr/sbin/haproxy").exists() { Path::new("/usr/sbin/haproxy") } else { Path::new("haproxy") };
    let backend = config("backend.conf")?;
    pinned("1", "backend.log", nginx, &["-c", &backend.to_string_lossy(), "-g", "daemon off;"])?;
    let bare = run::binary("release/examples", "bare_pingora");
    pinned("0", "bare.log", &bare, &["127.0.0.1:9001", "127.0.0.1:9000"])?;
    let proxy = config("nginx.conf")?;
    pinned("0", "nginx.log", nginx, &["-c", &proxy.to_string_lossy(), "-g", "daemon off;"])?;
    pinned("0", "haproxy.log", haproxy, &["-db", "-f", &config("haproxy.cfg")?.to_string_lossy()])?;
    let envoy = envoy_binary()?;
    pinned(
        "0",
        "envoy.log",
        &envoy,
        &["--concurrency", "1", "-l", "error", "-c", &config("envoy.yaml")?.to_string_lossy()],
    )?;
    let data = folder.join("data");
    let bartizan = run::binary("release", "bartizan");
    let document = config("bartizan.yaml")?;
    let arguments = ["run", "--config", &document.to_string_lossy(), "--data-dir", &data.to_string_lossy()];
    pinned("0", "bartizan.log", &bartizan, &arguments)?;
    Ok(children)
}

/// Envoy's binary inside its Python package.
fn envoy_binary() -> Result<PathBuf> {
    let library = system::python_environment().join("lib");
    let python = std::fs::read_dir(&library)?.next().context("the Python environment is empty")??.path();
    Ok(python.join("site-packages/envoy/_bin/envoy"))
}

fn wait_for(port: u16) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("nothing listens on port {port} after 30 s; see the logs in the bench's folder");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// One run of the load generator: CPU µs per request of the process that listens, and requests a second.
fn measure(port: u16, seconds: u32) -> Result<(f64, f64)> {
    let pids = listeners(port)?;
    let before = cpu_ns(&pids);
    let url = format!("http://127.0.0.1:{port}/api/users/1?x=1");
    let duration = format!("-d{seconds}s");
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "wrk", "-t1", "-c32", &duration, &url]);
    let text = run::output(&mut command)?;
    let spent = cpu_ns(&pids).saturating_sub(before);
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("port {port}: {}", line.trim());
    }
    let requests: f64 = number(&text, |line| line.contains("requests in"), 0)?;
    let rate: f64 = number(&text, |line| line.contains("Requests/sec"), 1)?;
    Ok((spent as f64 / requests / 1000.0, rate))
}

fn number(text: &str, is_line: impl Fn(&str) -> bool, word: usize) -> Result<f64> {
    let line = text.lines().find(|line| is_line(line)).with_context(|| format!("wrk printed:\n{text}"))?;
    Ok(line.split_whitespace().nth(word).context("a number")?.parse()?)
}

/// The processes that listen on a port.
fn listeners(port: u16) -> Result<Vec<u32>> {
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

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(proxies: &[Proxy], options: &Options, folder: &Path) -> Result<String> {
    let bare = median(&proxies[0].figures);
    let data = run::binary("release", "bartizan");
    let count = run::output(
        Command::new(data)
            .args(["query", "--json", "--data-dir"])
            .arg(folder.join("data"))
            .arg("SELECT count(*) AS events FROM events"),
    )?;
    let mut text = format!(
        "# CPU per request, pass-through\n\n{}- proxies pinned to core 0, upstream and wrk to core 1\n- command: `cargo xtask bench load --seconds {} --rounds {} --record`\n- load: GET, keep-alive HTTP/1.1, 32 connections, 100-byte JSON answers; Bartizan with events, catalog, console and three policies on\n- events stored by Bartizan meanwhile: `{}`\n\n| proxy | CPU µs per request (median) | min–max | × bare Pingora | requests/s (median) |\n|---|---:|---:|---:|---:|\n",
        setting()?,
        options.seconds,
        options.rounds,
        count.trim(),
    );
    for proxy in proxies {
        let figure = median(&proxy.figures);
        let least = proxy.figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = proxy.figures.iter().copied().fold(0.0, f64::max);
        writeln!(
            text,
            "| {} | {figure:.1} | {least:.1}–{most:.1} | {:.2} | {:.0} |",
            proxy.name,
            figure / bare,
            median(&proxy.rates)
        )?;
    }
    Ok(text)
}

fn today() -> Result<String> {
    Ok(run::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}
