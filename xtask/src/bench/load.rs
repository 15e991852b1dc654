//! `load`: CPU per request of the whole product beside other proxies, all measured in turn within one run.
//!
//! Each round measures every proxy once; the medians are quoted. `pass-through` is a GET without rules, as anybody's
//! proxy does it; `get` and `post` have the Core Rule Set enforced, by Bartizan with its own rules on top and by nginx
//! with libmodsecurity, beside bare proxies on the same traffic. Every request has values of its own (`workload.lua`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cpu::{Figure, measure, median};
use super::proxies::{Kind, Park, Proxy};
use super::{Choice, Options, record, setting};
use crate::{run, system, ui};

/// Of the goal: CPU per request with rules, as a multiple of bare Envoy's.
const GOAL: f64 = 1.5;
/// Share of a workload's innocent requests that rules may refuse before the figure counts as one of refusals.
const REFUSED_MAX: f64 = 0.001;

const BARE: &[Kind] = &[Kind::BarePingora, Kind::Nginx, Kind::HaProxy, Kind::Envoy, Kind::Bartizan];
const WITH_RULES: &[Kind] =
    &[Kind::BarePingora, Kind::Nginx, Kind::Envoy, Kind::Bartizan, Kind::BartizanRules, Kind::NginxModSecurity];

/// What is sent with rules on.
struct Workload {
    name: &'static str,
    what: &'static str,
    script: &'static str,
}

const GET: Workload =
    Workload { name: "get", what: "GET, four parameters, three cookies, seven header fields", script: "get.lua" };
const POST: Workload =
    Workload { name: "post", what: "POST, 240 bytes of JSON, three cookies, nine header fields", script: "post.lua" };

/// Measures what was asked for.
pub(super) fn run(options: &Options) -> Result<()> {
    let workloads: &[&Workload] = match options.workload {
        Choice::PassThrough => &[],
        Choice::Get => &[&GET],
        Choice::Post => &[&POST],
        Choice::All => &[&GET, &POST],
    };
    system::install()?;
    if !workloads.is_empty() {
        system::install_peers()?;
    }
    if !options.no_build {
        build(options)?;
    }
    if matches!(options.workload, Choice::PassThrough | Choice::All) {
        pass_through(options)?;
    }
    if workloads.is_empty() { Ok(()) } else { with_rules(options, workloads) }
}

fn build(options: &Options) -> Result<()> {
    ui::run(false)?;
    let mut build = run::cargo(["build", "-p", "bartizan", "-p", "bartizan-gateway"]);
    build.args((options.profile == "release").then_some("--release"));
    run::run(build.args(["--bin", "bartizan", "--example", "bare_pingora"]))
}

fn pass_through(options: &Options) -> Result<()> {
    let mut park = Park::start(BARE, None, &options.profile)?;
    let raw = rounds(&mut park.proxies, options, None)?;
    let mut text = heading("CPU per request, pass-through", options, Choice::PassThrough)?;
    writeln!(
        text,
        "- load: GET, keep-alive HTTP/1.1, 32 connections, 100-byte JSON answers; Bartizan with events, catalog, console and three policies on"
    )?;
    writeln!(text, "- events stored by Bartizan meanwhile: `{}`\n", events(&park, Kind::Bartizan, options)?)?;
    table(&mut text, &park.proxies)?;
    write!(text, "\nRaw output:\n```\n{raw}```\n")?;
    drop(park);
    println!("\n{text}");
    record(options, "load", &text)
}

fn with_rules(options: &Options, workloads: &[&Workload]) -> Result<()> {
    let rule_set = rule_set();
    let mut park = Park::start(WITH_RULES, rule_set.as_deref(), &options.profile)?;
    let mut text = heading("CPU per request with rules enforced", options, options.workload)?;
    let rules = "Core Rule Set, paranoia level 1, enforced";
    writeln!(
        text,
        "- Bartizan + rules: {rules}, and its own rules, with events, catalog, console and three policies on"
    )?;
    writeln!(text, "- nginx + libmodsecurity: {rules}; {}", versions()?)?;
    writeln!(text, "- rule set: {}; both were seen to refuse an SQL injection before the run", version_of(rule_set)?)?;
    writeln!(
        text,
        "- load: keep-alive HTTP/1.1, 32 connections, 100-byte JSON answers, other values in every request"
    )?;
    for workload in workloads {
        park.proxies.iter_mut().for_each(|proxy| proxy.figures.clear());
        let script = script(workload, park.folder())?;
        let raw = rounds(&mut park.proxies, options, Some(&script))?;
        writeln!(text, "\n## {}: {}\n", workload.name, workload.what)?;
        table(&mut text, &park.proxies)?;
        verdict(&mut text, &park.proxies)?;
        write!(text, "\nRaw output:\n```\n{raw}```\n")?;
    }
    writeln!(
        text,
        "\nEvents stored by Bartizan + rules meanwhile: `{}`",
        events(&park, Kind::BartizanRules, options)?
    )?;
    drop(park);
    println!("\n{text}");
    record(options, "load-rules", &text)
}

/// Every proxy once each round, after a round that is not counted. Returns what was measured, line by line.
fn rounds(proxies: &mut [Proxy], options: &Options, script: Option<&Path>) -> Result<String> {
    let mut raw = String::new();
    for round in 0..=options.rounds {
        for proxy in &mut *proxies {
            let seconds = if round == 0 { 1 } else { options.seconds };
            let figure = measure(proxy.port(), seconds, script).with_context(|| proxy.kind.name())?;
            let share = figure.refused as f64 / figure.requests.max(1) as f64;
            ensure!(share <= REFUSED_MAX, "{} refuses {:.2} % of the requests", proxy.kind.name(), share * 100.0);
            if round == 0 {
                continue;
            }
            let Figure { micros, rate, refused, .. } = figure;
            let line = format!(
                "round {round}  {:<22} {micros:>8.2} µs CPU/request {rate:>9.0} requests/s {refused:>4} refused",
                proxy.kind.name()
            );
            println!("{line}");
            raw += &line;
            raw.push('\n');
            proxy.figures.push(figure);
        }
    }
    Ok(raw)
}

/// The script of a workload, whole: wrk takes one file.
fn script(workload: &Workload, folder: &Path) -> Result<PathBuf> {
    let read = |name: &str| std::fs::read_to_string(run::root().join("bench/load").join(name));
    let path = folder.join(workload.script);
    std::fs::write(&path, read("workload.lua")? + &read(workload.script)?)?;
    Ok(path)
}

fn heading(title: &str, options: &Options, workload: Choice) -> Result<String> {
    let workload = match workload {
        Choice::PassThrough => "pass-through",
        Choice::Get => "get",
        Choice::Post => "post",
        Choice::All => "all",
    };
    let unusual = if options.profile == "release" { "" } else { " **(not a release build: no figures to quote)**" };
    Ok(format!(
        "# {title}\n\n{}- proxies pinned to core 0, upstream and wrk to core 1{unusual}\n- command: `cargo xtask bench load --workload {workload} --seconds {} --rounds {} --record`\n",
        setting()?,
        options.seconds,
        options.rounds,
    ))
}

fn table(text: &mut String, proxies: &[Proxy]) -> Result<()> {
    text.push_str("| proxy | CPU µs per request (median) | min–max | × bare Pingora | × bare Envoy | requests/s (median) |\n|---|---:|---:|---:|---:|---:|\n");
    let (pingora, envoy) = (micros_of(proxies, Kind::BarePingora), micros_of(proxies, Kind::Envoy));
    for proxy in proxies {
        let micros = || proxy.figures.iter().map(|figure| figure.micros);
        let figure = median(micros());
        let (least, most) = (micros().fold(f64::INFINITY, f64::min), micros().fold(0.0, f64::max));
        writeln!(
            text,
            "| {} | {figure:.1} | {least:.1}–{most:.1} | {:.2} | {:.2} | {:.0} |",
            proxy.kind.name(),
            figure / pingora,
            figure / envoy,
            median(proxy.figures.iter().map(|figure| figure.rate)),
        )?;
    }
    Ok(())
}

/// The goal and what the rules cost, in words.
fn verdict(text: &mut String, proxies: &[Proxy]) -> Result<()> {
    let micros = |kind| micros_of(proxies, kind);
    let rules = micros(Kind::BartizanRules);
    let share = rules / micros(Kind::Envoy);
    let is_met = if share <= GOAL { "met" } else { "missed" };
    writeln!(
        text,
        "\n**{share:.2} × bare Envoy (goal: at most {GOAL} ×, {is_met}).** The rules cost {:.1} µs a request over Bartizan without them; nginx + libmodsecurity takes {:.0} times the CPU.",
        rules - micros(Kind::Bartizan),
        micros(Kind::NginxModSecurity) / rules,
    )?;
    Ok(())
}

fn micros_of(proxies: &[Proxy], kind: Kind) -> f64 {
    let found = proxies.iter().find(|proxy| proxy.kind == kind);
    median(found.into_iter().flat_map(|proxy| &proxy.figures).map(|figure| figure.micros))
}

/// How many events Bartizan has written, as it says itself.
fn events(park: &Park, kind: Kind, options: &Options) -> Result<String> {
    let mut query = Command::new(run::binary(&options.profile, "bartizan"));
    query.args(["query", "--json", "--data-dir"]).arg(park.data(kind));
    Ok(run::output(query.arg("SELECT count(*) AS events FROM events"))?.trim().to_owned())
}

/// The Core Rule Set: `BARTIZAN_CRS`, else beside the checkout.
fn rule_set() -> Option<PathBuf> {
    let folder = std::env::var_os("BARTIZAN_CRS").map_or_else(|| run::root().join("../shared/crs"), PathBuf::from);
    folder.join("rules").is_dir().then(|| folder.canonicalize().unwrap_or(folder))
}

/// What the rule set says that it is.
fn version_of(rule_set: Option<PathBuf>) -> Result<String> {
    let set_up = rule_set.context("no Core Rule Set")?.join("crs-setup.conf.example");
    let text = std::fs::read_to_string(&set_up).with_context(|| set_up.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("# OWASP CRS ver."));
    Ok(format!("OWASP CRS {}", line.unwrap_or("of unknown version").trim()))
}

/// Of Debian's packages.
fn versions() -> Result<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Package} ${Version}, ", "nginx", "libnginx-mod-http-modsecurity", "libmodsecurity3"]);
    Ok(run::output(&mut query)?.trim_end_matches(", ").to_owned())
}
