//! The rules that cases name: `files: [plain.conf]` is `tests/rules/plain.conf`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_config::{Config, PolicyRule};
use bartizan_engine::Plans;
use bartizan_waf::{Options, Parsed, Plan, Sources, parse};

/// Plans for every policy of attack rules that names a file.
pub fn plans(config: &Config) -> Plans {
    let threats = |rule: &PolicyRule| match rule {
        PolicyRule::Threats(threats) if !threats.files.is_empty() => Some(threats.files.clone()),
        _ => None,
    };
    let policies = config.policies.iter();
    policies.filter_map(|policy| Some((policy.name.clone(), plan(&threats(&policy.rule)?)))).collect()
}

fn plan(files: &[PathBuf]) -> Arc<Plan> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let read = |path: &Path| std::fs::read(folder.join(path)).map_err(|error| error.to_string());
    let glob = |_: &Path| Err("no patterns here".to_owned());
    let Parsed { document, diagnostics } = parse(files, &Sources { read: &read, glob: &glob });
    assert_eq!(diagnostics, [], "{files:?}");
    Arc::new(
        Plan::compile(&document, &Options { detect_bodies: true, opens_values: true, ..Options::default() }).unwrap(),
    )
}
