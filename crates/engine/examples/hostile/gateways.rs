//! The configurations that hostile requests meet, and what each may cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_engine::{Counters, Engine, Inputs, Plans, Snapshot};
use bartizan_model::DiagnosticSeverity;
use bartizan_waf::{Options, Parsed, Plan, Sources, parse};

/// Of our own rules: only beside the Core Rule Set's.
const TUNING: &str = "api-profile.conf";

/// A configuration, running.
pub struct Gateway {
    pub name: &'static str,
    pub what: &'static str,
    /// LIMIT: time that one request may hold its thread
    pub millis_max: f64,
    /// LIMIT: memory of one request: the held body, the unpacked one, and what both are decoded into
    pub peak_mib_max: f64,
    pub engine: Engine,
}

/// All of them.
pub fn all() -> Vec<Gateway> {
    let plan = plan();
    let gateway = |name, what, policies: &str, millis_max, peak_mib_max| {
        let engine = engine(policies, &plan);
        Gateway { name, what, millis_max, peak_mib_max, engine }
    };
    vec![
        gateway(
            "limits",
            "a `content` policy with its defaults, enforced",
            "  - { name: payloads, mode: enforce, content: { body_bytes_max: 4MiB } }\n",
            60.0,
            32.0,
        ),
        gateway(
            "rules",
            "a `threats` policy with its defaults (the first 128 KiB of a body), enforced",
            "  - { name: exploits, mode: enforce, threats: {} }\n",
            60.0,
            32.0,
        ),
        gateway(
            "all observed",
            "both, observed, rules over 2 MiB of a body: nothing stops, everything is looked at",
            "  - { name: payloads, mode: observe, content: { body_bytes_max: 4MiB } }
  - { name: exploits, mode: observe, threats: { body_bytes_max: 2MiB } }\n",
            600.0,
            96.0,
        ),
    ]
}

fn engine(policies: &str, plan: &Arc<Plan>) -> Engine {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:8080\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:9000\" }}] }}]
apis: [{{ name: all, upstream: origin, body_bytes_max: 8MiB }}]
policies:
{policies}"
    );
    let parsed = bartizan_config::parse(&text, "hostile.yaml", Path::new(""));
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let plans: Plans = [("exploits".to_owned(), Arc::clone(plan))].into();
    let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters: &Counters::default(), key: [7; 32] };
    Engine::new(Snapshot::compile(&config, inputs))
}

/// The Core Rule Set, where there is one.
fn core_rule_set() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let folder = std::env::var_os("BARTIZAN_CRS").map_or(beside, PathBuf::from);
    folder.join("rules").is_dir().then_some(folder)
}

/// Which rules run, in words.
pub fn rules() -> &'static str {
    if core_rule_set().is_some() { "the Core Rule Set at paranoia level 1 and our own" } else { "our own" }
}

/// Our own rules stand between the Core Rule Set's initialization and its evaluation, as the product has them.
fn plan() -> Arc<Plan> {
    let own = confs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules"));
    let is_tuning = |file: &PathBuf| file.ends_with(TUNING);
    let (tuning, own): (Vec<PathBuf>, Vec<PathBuf>) = own.into_iter().partition(is_tuning);
    let mut files = Vec::new();
    match core_rule_set() {
        Some(folder) => {
            files.push(folder.join("crs-setup.conf.example"));
            let core = confs(&folder.join("rules"));
            let begun =
                core.iter().position(|file| file.to_string_lossy().contains("REQUEST-901")).map_or(0, |at| at + 1);
            let (first, rest) = core.split_at(begun);
            files.extend([first, &own, &tuning, rest].into_iter().flatten().cloned());
        }
        None => files.extend(own),
    }
    let read = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    let glob = |_: &Path| Err("no patterns here".to_owned());
    let Parsed { document, diagnostics } = parse(&files, &Sources { read: &read, glob: &glob });
    let faults: Vec<_> = diagnostics.iter().filter(|found| found.severity == DiagnosticSeverity::Error).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let options = Options { detect_bodies: true, ..Options::default() };
    Arc::new(Plan::compile(&document, &options).unwrap_or_else(|faults| panic!("{faults:?}")))
}

/// The rule files of a folder, in order.
fn confs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    files
}
