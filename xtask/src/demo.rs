//! `cargo xtask demo`: builds everything, starts the sample API, the gateway with its console, and the player of
//! traffic, and says where to look. Headless it plays for some seconds, then compares the catalog and the events with
//! the player's own ledger; with `--browser` a real Chromium then walks through the console.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::{run, system, ui};

/// Where everything listens; `demo/bartizan.yaml` says the same.
const API: u16 = 9100;
const GATEWAY: u16 = 8080;
const CONSOLE: u16 = 8600;

/// Options of the demo.
#[derive(Args)]
pub struct Options {
    /// Play, verify and end without waiting for a person
    #[arg(long)]
    headless: bool,
    /// Seconds of traffic when headless
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Requests a second
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// Walk through the console with Chromium at the end, and keep screenshots in artifacts/
    #[arg(long)]
    browser: bool,
    /// Build with optimizations (slower to build, lighter to run)
    #[arg(long)]
    release: bool,
}

/// Children that end with the demo, however it ends.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = terminate(child);
            let _ = child.wait();
        }
    }
}

fn terminate(child: &Child) -> Result<()> {
    run::run(Command::new("kill").arg("-TERM").arg(child.id().to_string()).stderr(Stdio::null()))
}

/// What CI runs: the headless demo with a browser.
pub fn check() -> Result<()> {
    run(&Options { headless: true, seconds: 30, rate: 25, browser: true, release: false })
}

/// Plays the demo.
pub fn run(options: &Options) -> Result<()> {
    let step = |what: &str| println!("demo: {what}");
    for port in [API, GATEWAY, CONSOLE] {
        ensure!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is in use; the demo needs it");
    }
    step("building the console's pages");
    ui::run(false)?;
    step("building bartizan and the sample API (the first time takes some minutes)");
    let mut build = run::cargo(["build", "--workspace", "--bins"]);
    run::run(if options.release { build.arg("--release") } else { &mut build })?;
    let folder = run::target_dir().join("demo");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    step("starting the sample bank and shop, the gateway and the player");
    let played = play(options, &folder)?;
    if options.headless {
        verify(&played)?;
        step("the catalog and the events hold what was played");
    }
    Ok(())
}

/// Where a finished play left its traces.
struct Played {
    bartizan: PathBuf,
    data: PathBuf,
    ledger: PathBuf,
    seconds: u32,
}

fn play(options: &Options, folder: &Path) -> Result<Played> {
    let profile = if options.release { "release" } else { "debug" };
    let (demo, bartizan) = (run::binary(profile, "bartizan-demo"), run::binary(profile, "bartizan"));
    let (data, ledger) = (folder.join("data"), folder.join("ledger.json"));
    let mut children = Children(Vec::new());
    let api = Command::new(&demo).args(["api", "--address", &format!("127.0.0.1:{API}")]).stdout(Stdio::null()).spawn();
    children.0.push(api.context("starting the sample API")?);
    wait_for(API, &mut children)?;
    let log = folder.join("bartizan.log");
    let mut command = run::command(&bartizan);
    command.args(["run", "--config", "demo/bartizan.yaml", "--data-dir"]).arg(&data);
    children.0.push(command.stderr(File::create(&log)?).spawn().context("starting bartizan")?);
    wait_for(GATEWAY, &mut children)?;
    wait_for(CONSOLE, &mut children)?;
    let printed = std::fs::read_to_string(&log)?;
    let link = printed.split_whitespace().find(|word| word.contains("/setup#token=")).unwrap_or("(none)").to_owned();
    let mut player = Command::new(&demo);
    player.args(["play", "--target", &format!("http://127.0.0.1:{GATEWAY}"), "--rate", &options.rate.to_string()]);
    player.arg("--ledger").arg(&ledger).args(["--seed", "7"]).stdout(Stdio::null());
    if options.headless {
        player.args(["--seconds", &options.seconds.to_string()]);
    }
    children.0.push(player.spawn().context("starting the player")?);
    if options.headless {
        let status = children.0.last_mut().context("the player")?.wait()?;
        ensure!(status.success(), "the player ended with {status}");
        if options.browser {
            browse(&link)?;
        }
    } else {
        show(&link, &bartizan, &data, &log);
        while children.0.iter_mut().all(|child| matches!(child.try_wait(), Ok(None))) {
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    drop(children); // the gateway writes its last events before it ends
    Ok(Played { bartizan, data, ledger, seconds: options.seconds })
}

fn show(link: &str, bartizan: &Path, data: &Path, log: &Path) {
    println!(
        "\n  console   {link}\n            (makes the first user; afterwards http://127.0.0.1:{CONSOLE}/)\n  gateway   http://127.0.0.1:{GATEWAY}/   for example:  curl -H 'host: bank.example' http://127.0.0.1:{GATEWAY}/v2/products\n  catalog   {} catalog --data-dir {}\n  log       {}\n\n  traffic is being played; Ctrl-C ends everything\n",
        bartizan.display(),
        data.display(),
        log.display()
    );
}

fn wait_for(port: u16, children: &mut Children) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = children.0.last_mut().and_then(|child| child.try_wait().ok().flatten()) {
            bail!("the program that should listen on {port} ended with {status}");
        }
        ensure!(begun.elapsed() < Duration::from_secs(60), "nothing listens on port {port} after a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Chromium walks through the console, then the HAR that it recorded is imported.
fn browse(link: &str) -> Result<()> {
    system::install()?;
    let artifacts = run::root().join("artifacts");
    std::fs::create_dir_all(&artifacts)?;
    let har = artifacts.join("console.har");
    let mut command = Command::new("node");
    command.arg("e2e/console.mjs").current_dir(run::root().join("ui"));
    command.env("BASE_URL", format!("http://127.0.0.1:{CONSOLE}")).env("SETUP_URL", link);
    command.env("HAR", &har).env("SCREENS", &artifacts);
    run::run(&mut command)?;
    let data = run::target_dir().join("demo/imported");
    let bartizan = run::binary("debug", "bartizan");
    let mut import = run::command(&bartizan);
    import.args(["replay", "--json", "--config", "demo/bartizan.yaml", "--format", "har", "--input"]).arg(&har);
    run::output(import.arg("--data-dir").arg(&data))?;
    let found = endpoints(&bartizan, &data, |method, _, template| format!("{method} {template}"))?;
    for wanted in
        ["GET /api/v1/overview", "GET /api/v1/endpoints", "GET /api/v1/endpoints/{endpointId}", "GET /api/v1/events"]
    {
        ensure!(found.contains(wanted), "the HAR of the console's session gives no endpoint `{wanted}`: {found:?}");
    }
    println!("demo: the browser's HAR gives {} endpoints", found.len());
    Ok(())
}

/// The player's own account of what it played.
#[derive(Deserialize)]
struct Ledger {
    /// Requests that were answered
    requests: u64,
    /// Honest requests without an answer
    failures: u64,
    /// Requests by operation
    operations: Vec<Operation>,
    /// Requests of each attack
    attacks: BTreeMap<String, Tally>,
    /// Requests of honest callers
    honest: Tally,
}

#[derive(Deserialize)]
struct Tally {
    requests: u64,
    denied: u64,
    failed: u64,
}

#[derive(Deserialize)]
struct Operation {
    requests: u64,
    method: String,
    host: String,
    template: String,
    statuses: BTreeMap<String, u64>,
}

/// An attack of a story, and what the gateway must have said of it.
struct Story {
    attack: &'static str,
    /// Checks that refused, with the condition that picks the attack's events
    told: &'static [(&'static str, &'static str)],
    /// Requests of it that may pass in a minute: none, or what everybody is due
    passes_per_minute: u64,
}

const STORIES: &[Story] = &[
    Story { attack: "exploit", told: &[], passes_per_minute: 0 },
    Story {
        attack: "changed-number",
        told: &[
            ("ACC-306", "path LIKE '/v2/accounts/%' AND status = 403"),
            ("ACC-304", "path LIKE '/admin/accounts/%' AND status = 403"),
        ],
        passes_per_minute: 0,
    },
    Story { attack: "forged-payment", told: &[("ACC-120", "path = '/move' AND status = 403")], passes_per_minute: 0 },
    // The quota of each partner in demo/bartizan.yaml.
    Story {
        attack: "greedy-partner",
        told: &[("LIM-20", "path = '/partner/prices' AND status = 429")],
        passes_per_minute: 90,
    },
];

/// Requests after which the template of an endpoint must be right.
const CONVERGED: u64 = 20;

/// Whether an endpoint without all of its parameters recognized is a case of an operation: `/orders/ORD-7` of
/// `/orders/{}`.
fn is_case_of(endpoint: &str, operation: &str) -> bool {
    let (endpoint, operation): (Vec<&str>, Vec<&str>) = (endpoint.split('/').collect(), operation.split('/').collect());
    endpoint.len() == operation.len()
        && operation.iter().zip(endpoint).all(|(wanted, is)| *wanted == "{}" || *wanted == is)
}

/// Every operation that was answered must be an endpoint; every request must be an event.
fn verify(played: &Played) -> Result<()> {
    let ledger: Ledger = serde_json::from_slice(&std::fs::read(&played.ledger).context("the player's ledger")?)?;
    let name = |method: &str, host: &str, template: &str| format!("{method} {host} {}", unnamed(template));
    let found = endpoints(&played.bartizan, &played.data, name)?;
    let mut missing = Vec::new();
    for operation in &ledger.operations {
        let is_answered = operation.statuses.keys().any(|status| status.starts_with(['2', '3']));
        let name = format!("{} {} {}", operation.method, operation.host, unnamed(&operation.template));
        // Few calls prove an endpoint, but not yet which of its segments are parameters when ids look like names.
        let is_converged = operation.requests >= CONVERGED;
        let is_found = found.contains(&name) || (!is_converged && found.iter().any(|found| is_case_of(found, &name)));
        if is_answered && !is_found {
            missing.push(name);
        }
    }
    let events = query(played, "SELECT count(*) AS events FROM events")?;
    let events = events.first().and_then(|row| row["events"].as_u64()).unwrap_or(0);
    let unanswered: u64 = ledger.attacks.values().map(|attack| attack.failed).sum();
    println!("demo: {} requests answered, {events} events, {} endpoints", ledger.requests, found.len());
    for (name, attack) in &ledger.attacks {
        println!("demo: attack `{name}`: {} requests, {} denied", attack.requests, attack.denied);
    }
    // A refused upload may hang up on its sender: such a request is an event without an answer.
    let expected = ledger.requests..=ledger.requests + unanswered;
    ensure!(expected.contains(&events), "{expected:?} requests were played, {events} events are stored");
    ensure!(ledger.failures == 0, "{} honest requests got no answer", ledger.failures);
    for story in STORIES {
        verify_story(played, &ledger, story)?;
    }
    ensure!(ledger.honest.denied == 0, "{} honest requests were denied", ledger.honest.denied);
    ensure!(missing.is_empty(), "operations without an endpoint in the catalog: {missing:#?}\nfound: {found:#?}");
    Ok(())
}

/// The attack was played and refused, and the events of its refusals say why.
fn verify_story(played: &Played, ledger: &Ledger, story: &Story) -> Result<()> {
    let name = story.attack;
    let attack = ledger.attacks.get(name).with_context(|| format!("no `{name}` was played"))?;
    let passed = attack.requests - attack.denied;
    let passes_max = story.passes_per_minute * (u64::from(played.seconds) / 60 + 1);
    ensure!(attack.denied > 0 && passed <= passes_max, "{passed} of `{name}` passed, {} did not", attack.denied);
    for (check, condition) in story.told {
        let rows = query(played, &format!("SELECT findings, principal FROM events WHERE {condition}"))?;
        let names_caller = |row: &Value| !check.starts_with("ACC-3") || !row["principal"].is_null();
        let says = |row: &&Value| row["findings"].to_string().contains(check) && names_caller(row);
        let silent = rows.len() - rows.iter().filter(says).count();
        ensure!(!rows.is_empty() && silent == 0, "{silent} of {} events of `{name}` do not say {check}", rows.len());
        println!("demo: attack `{name}`: {} events say {check}", rows.len());
    }
    Ok(())
}

/// The rows of an SQL statement over the events.
fn query(played: &Played, sql: &str) -> Result<Vec<Value>> {
    let mut command = Command::new(&played.bartizan);
    let text =
        run::output(command.args(["query", "--json", "--limit", "100000", "--data-dir"]).arg(&played.data).arg(sql))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The endpoints in a catalog, each under the name that `name_of` makes of its method, host and template.
fn endpoints(bartizan: &Path, data: &Path, name_of: fn(&str, &str, &str) -> String) -> Result<BTreeSet<String>> {
    let text = run::output(Command::new(bartizan).args(["catalog", "--json", "--data-dir"]).arg(data))?;
    let endpoints: Vec<Value> = serde_json::from_str(&text)?;
    let names = endpoints.iter().map(|endpoint| {
        let word = |name: &str| endpoint[name].as_str().unwrap_or_default();
        name_of(word("method"), word("host"), word("template"))
    });
    Ok(names.collect())
}

/// A template whose parameters have no names: `/users/{}/orders`.
fn unnamed(template: &str) -> String {
    let segments = template.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
