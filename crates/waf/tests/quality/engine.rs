//! The rule sets that are compared, and what they say about a sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bartizan_model::{DiagnosticSeverity, HeaderField, RequestId, Timestamp};
use bartizan_waf::{Gates, Match, Options, Parsed, Plan, Request, Sources, Transaction, parse};

use crate::sample::Sample;
use crate::workspace;

/// Rules that only add up what others found.
const EVALUATION: [u32; 3] = [949_110, 949_111, 9_599_010];

/// The rule sets that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    OwnPack,
    CoreRuleSet,
    Both,
    /// The Core Rule Set with our profile for APIs and without our rules; not in the table
    Profile,
}

impl Configuration {
    pub const ALL: [Self; 3] = [Self::OwnPack, Self::CoreRuleSet, Self::Both];

    pub const fn title(self) -> &'static str {
        match self {
            Self::OwnPack => "own pack",
            Self::CoreRuleSet => "CRS 4.28 PL1",
            Self::Both => "own pack + CRS, API profile",
            Self::Profile => "CRS, API profile",
        }
    }

    fn text(self, rule_set: &Path) -> String {
        let own = format!("Include {}/rules/*.conf\n", workspace().display());
        let rule_set = rule_set.display();
        let setup = format!("Include {rule_set}/crs-setup.conf.example\n");
        let rules = format!("Include {rule_set}/rules/*.conf\n");
        let on = "SecRuleEngine On\nSecRequestBodyAccess On\n".to_owned();
        match self {
            Self::OwnPack => on + &own,
            Self::CoreRuleSet => on + &setup + &rules,
            Self::Profile => format!("{on}{setup}Include {}/rules/api-profile.conf\n{rules}", workspace().display()),
            // The rules that are ours come before those that add up.
            Self::Both => on + &setup + &own + &rules,
        }
    }

    pub fn plan(self, rule_set: &Path, gates: Gates) -> Result<Arc<Plan>> {
        compile(&format!("quality-{self:?}"), &self.text(rule_set), gates)
    }
}

/// Compiles a configuration, in a file of this name while it does.
pub fn compile(name: &str, text: &str, gates: Gates) -> Result<Arc<Plan>> {
    let folder = std::env::temp_dir().join("bartizan-waf");
    std::fs::create_dir_all(&folder)?;
    let config = folder.join(format!("{name}-{}.conf", std::process::id()));
    std::fs::write(&config, text)?;
    let read = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    let Parsed { document, diagnostics } = parse(std::slice::from_ref(&config), &Sources { read: &read, glob: &glob });
    let errors = diagnostics.iter().filter(|found| found.severity == DiagnosticSeverity::Error);
    let faults: Vec<String> = errors.map(ToString::to_string).collect();
    ensure!(faults.is_empty(), "faults in the rules:\n{}", faults.join("\n"));
    let options = Options { gates, detect_bodies: true, opens_values: true, ..Options::default() };
    let plan = Plan::compile(&document, &options);
    plan.map(Arc::new)
        .map_err(|faults| anyhow::anyhow!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()))
}

/// What the rules say about a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub is_stopped: bool,
    /// Rules that were logged, but those that only add up, with where they matched
    pub rules: Vec<(u32, String)>,
}

pub fn judge(plan: &Arc<Plan>, sample: &Sample) -> Verdict {
    let (is_stopped, matches) = run(plan, sample);
    let rules = matches.iter().map(|found| (found.rule, String::from_utf8_lossy(&found.variable).into_owned()));
    Verdict { is_stopped, rules: rules.collect() }
}

/// Whether the rules stop it, and those that were logged, but those that only add up.
pub fn run(plan: &Arc<Plan>, sample: &Sample) -> (bool, Vec<Match>) {
    let headers: Vec<HeaderField<'_>> = sample
        .headers
        .iter()
        .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = Request {
        method: sample.method.as_bytes(),
        target: sample.target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
        client: Some(([198, 51, 100, 7], 40_000).into()),
        server: Some(([203, 0, 113, 1], 443).into()),
        id: RequestId::from_bits(0),
        now: Timestamp::from_millis(1_795_305_600_000),
    };
    let mut transaction = Transaction::new(Arc::clone(plan));
    let stopped = transaction.request_head(&head).or_else(|| transaction.request_body(&sample.body));
    let logged = transaction.matches().iter().filter(|found| !EVALUATION.contains(&found.rule));
    (stopped.is_some(), logged.cloned().collect())
}

/// The Core Rule Set, when there is one.
pub fn rule_set_folder() -> Option<PathBuf> {
    let named = std::env::var_os("BARTIZAN_CRS").map(PathBuf::from);
    let beside = workspace().join("../shared/crs");
    named.into_iter().chain([beside]).find(|folder| folder.join("rules").is_dir())
}

pub fn glob(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let list = || -> Result<Vec<PathBuf>> {
        let suffix = pattern.file_name().context("a name")?.to_string_lossy().replace('*', "");
        let folder = pattern.parent().context("a folder")?;
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| file.to_string_lossy().ends_with(&suffix));
        files.sort();
        Ok(files)
    };
    if pattern.to_string_lossy().contains('*') {
        list().map_err(|error| error.to_string())
    } else {
        Ok(vec![pattern.to_owned()])
    }
}
