//! Cedar policies that `authorize` policies name: read from disk and compiled; every fault has its line.
//!
//! They are read anew at every reload; plans whose settings and files are the same are kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bartizan_config::{Authorize, Config, PolicyRule};
use bartizan_engine::{CedarFile, CedarPlan, CedarPlans};
use bartizan_model::{Diagnostic, DiagnosticSeverity};

use super::{Place, Reading, UNREAD, sources};

/// LIMIT: bytes of a policy file that are read; the engine refuses smaller ones with a position.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The compiled Cedar policies of a configuration.
#[derive(Clone, Default)]
pub(super) struct CedarSets {
    sources: BTreeMap<String, Source>,
    pub(super) plans: Arc<CedarPlans>,
}

/// What a plan was made of.
#[derive(Clone, PartialEq)]
struct Source {
    authorize: Authorize,
    files: Vec<CedarFile>,
    warnings: Vec<Diagnostic>,
}

impl CedarSets {
    /// The policies that `config` names, taken from `before` where nothing changed. With an error among `diagnostics`
    /// they must not be run.
    pub(super) fn load(
        config: &Config,
        file: &str,
        before: &Self,
        reading: Reading,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let (mut sources, mut plans) = (BTreeMap::new(), CedarPlans::new());
        for (index, policy) in config.policies.iter().enumerate() {
            let PolicyRule::Authorize(authorize) = &policy.rule else { continue };
            let Some(settings) = &authorize.cedar else { continue };
            let place = Place { file, path: format!("policies[{index}].authorize.cedar") };
            let known = before.sources.get(&policy.name).zip(before.plans.get(&policy.name));
            let known = known.filter(|(source, _)| source.authorize == **authorize);
            let files: Result<Vec<CedarFile>, Box<Diagnostic>> = match (reading, known) {
                (Reading::Files, _) => {
                    settings.files.iter().enumerate().map(|(at, path)| read(path, at, &place)).collect()
                }
                (Reading::Nothing, Some((source, _))) => Ok(source.files.clone()),
                (Reading::Nothing, None) => {
                    let words =
                        ("the Cedar policies of a draft are not read".to_owned(), "save it and run `bartizan check`");
                    Err(Box::new(place.diagnostic(DiagnosticSeverity::Warning, UNREAD, "files", words)))
                }
            };
            let files = match files {
                Ok(files) => files,
                Err(unread) => {
                    diagnostics.push(*unread);
                    continue;
                }
            };
            let (plan, warnings) = match known.filter(|(source, _)| source.files == files) {
                Some((source, plan)) => (Arc::clone(plan), source.warnings.clone()),
                None => match CedarPlan::compile(authorize, &files) {
                    Ok((plan, warnings)) => (Arc::new(plan), warnings),
                    Err(faults) => {
                        diagnostics.extend(faults.into_iter().map(|fault| placed(fault, &place)));
                        continue;
                    }
                },
            };
            diagnostics.extend(warnings.iter().cloned());
            plans.insert(policy.name.clone(), plan);
            sources.insert(policy.name.clone(), Source { authorize: (**authorize).clone(), files, warnings });
        }
        Self { sources, plans: Arc::new(plans) }
    }

    /// Whether these are the very same compiled policies.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        super::are_same(&self.plans, &other.plans)
    }
}

fn read(path: &Path, at: usize, place: &Place<'_>) -> Result<CedarFile, Box<Diagnostic>> {
    let name = path.display().to_string();
    let unusable = |fault: &str| {
        let message = format!("Cedar policies `{name}` {fault}");
        let help = "name a file with Cedar policies, relative to the configuration";
        Box::new(place.error(&format!("files[{at}]"), message, help))
    };
    let bytes = sources::read(path, FILE_BYTES_MAX).map_err(|fault| unusable(&format!("cannot be read: {fault}")))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("are not UTF-8"))?;
    Ok(CedarFile { name, text })
}

/// A fault of no file is of the configuration.
fn placed(fault: Diagnostic, place: &Place<'_>) -> Diagnostic {
    if fault.file.is_empty() {
        Diagnostic { file: place.file.to_owned(), path: place.path.clone(), ..fault }
    } else {
        fault
    }
}
