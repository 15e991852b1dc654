//! The rules that policies name: read from disk, parsed, compiled; kept until a file or a setting changes.
//!
//! Every fault of every file is a diagnostic with its line, and a configuration with one is refused whole: rules that
//! run are rules that were understood.

mod cedar;
mod files;
pub(crate) mod sources;
pub(crate) mod tally;
mod text;
pub(crate) mod verb;

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_config::{Config, ExcludedRules, PolicyRule, Threats};
use bartizan_console::RuleNote;
use bartizan_engine::{CedarPlans, Plans};
use bartizan_model::{Diagnostic, DiagnosticSeverity};
use bartizan_waf::ast::{Action, Directive, Document, TextPart};
use bartizan_waf::{Gates, Memory, Options, Parsed, Plan};

use cedar::CedarSets;
use sources::{Disk, Read};

/// Rule files or their folder cannot be used.
const UNUSABLE: &str = "CFG-110";
/// A rule or an exclusion that does nothing.
const NO_EFFECT: &str = "CFG-111";
/// Rules of a draft that were not looked at.
const UNREAD: &str = "CFG-112";

/// Whose files may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Those that a configuration file on disk names
    Files,
    /// None: the text is a draft from the console, and diagnostics repeat what they stumble over; whoever may draft
    /// must not read the machine's files by it
    Nothing,
}

/// The compiled rules of a configuration.
#[derive(Clone, Default)]
pub(crate) struct RuleSets {
    compiled: Vec<Arc<Compiled>>,
    plans: Plans,
    cedar: CedarSets,
}

/// The rules of one policy, or of several with the same settings.
struct Compiled {
    threats: Threats,
    /// What was read for it
    read: Read,
    /// Of what is written in the policy, not of a place in the configuration
    warnings: Vec<Diagnostic>,
    plan: Arc<Plan>,
}

impl RuleSets {
    /// The rules that `config` names, taken from `before` where nothing changed. With an error among the diagnostics
    /// they must not be run. `file` is the configuration file, for diagnostics.
    pub(crate) fn load(config: &Config, file: &str, before: &Self, reading: Reading) -> (Self, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let cedar = CedarSets::load(config, file, &before.cedar, reading, &mut diagnostics);
        let mut sets = Self { cedar, ..Self::default() };
        for (index, policy) in config.policies.iter().enumerate() {
            let PolicyRule::Threats(threats) = &policy.rule else { continue };
            let place = Place { file, path: format!("policies[{index}].threats") };
            let key = key(threats);
            let is_unread = reading == Reading::Nothing && (key.core_rule_set.is_some() || !key.files.is_empty());
            let known = sets.compiled.iter().find(|compiled| compiled.threats == key);
            let known = known.or_else(|| {
                before
                    .compiled
                    .iter()
                    .find(|compiled| compiled.threats == key && (is_unread || compiled.read.is_unchanged()))
            });
            let compiled = match known {
                Some(known) => Ok(Arc::clone(known)),
                None if is_unread => {
                    let words =
                        ("the rule files of a draft are not read".to_owned(), "save it and run `bartizan check`");
                    diagnostics.push(place.diagnostic(DiagnosticSeverity::Warning, UNREAD, "files", words));
                    continue;
                }
                None => compile(key, &place).map(Arc::new),
            };
            match compiled {
                Ok(compiled) => {
                    for warning in &compiled.warnings {
                        if !diagnostics.contains(warning) {
                            diagnostics.push(warning.clone());
                        }
                    }
                    sets.plans.insert(policy.name.clone(), Arc::clone(&compiled.plan));
                    sets.compiled.push(compiled);
                }
                Err(faults) => diagnostics.extend(faults),
            }
        }
        (sets, diagnostics)
    }

    /// By the name of their policy.
    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }

    /// Cedar policies, by the name of their policy.
    pub(crate) fn cedar(&self) -> Arc<CedarPlans> {
        Arc::clone(&self.cedar.plans)
    }

    /// What the rule of this check (`WAF-942100`) says about itself, if a policy runs it.
    pub(crate) fn note(&self, check: &str) -> Option<RuleNote> {
        let id: u32 = check.strip_prefix("WAF-")?.parse().ok()?;
        let rule = self.plans.values().flat_map(|plan| plan.rules()).find(|rule| rule.id == id)?;
        let severity = bartizan_engine::rule_severity(rule.severity);
        Some(RuleNote { id, message: rule.message.clone(), tags: rule.tags.clone(), severity })
    }

    /// Whether these are the very same compiled rules.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.cedar.is_same(&other.cedar) && are_same(&self.plans, &other.plans)
    }
}

/// Whether these are the very same plans, by the name of their policy.
fn are_same<T>(plans: &BTreeMap<String, Arc<T>>, others: &BTreeMap<String, Arc<T>>) -> bool {
    let is_same = |(name, plan)| others.get(name).is_some_and(|other| Arc::ptr_eq(other, plan));
    plans.len() == others.len() && plans.iter().all(is_same)
}

/// The settings that the compiled rules depend on; the engine does the rest.
fn key(threats: &Threats) -> Threats {
    Threats { body_bytes_max: 0, ..threats.clone() }
}

/// Where diagnostics that are of no rule file point.
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) path: String,
}

impl Place<'_> {
    pub(crate) fn diagnostic(
        &self,
        severity: DiagnosticSeverity,
        code: &str,
        setting: &str,
        words: (String, &str),
    ) -> Diagnostic {
        Diagnostic {
            severity,
            code: code.to_owned(),
            file: self.file.to_owned(),
            position: None,
            path: format!("{}.{setting}", self.path),
            message: words.0,
            help: words.1.to_owned(),
        }
    }

    fn error(&self, setting: &str, message: String, help: &str) -> Diagnostic {
        self.diagnostic(DiagnosticSeverity::Error, UNUSABLE, setting, (message, help))
    }

    fn warning(&self, setting: &str, message: String, help: &str) -> Diagnostic {
        self.diagnostic(DiagnosticSeverity::Warning, NO_EFFECT, setting, (message, help))
    }
}

fn compile(threats: Threats, place: &Place<'_>) -> Result<Compiled, Vec<Diagnostic>> {
    let disk = Disk::default();
    let (files, mut warnings) = files::of(&threats, place)?;
    let virtual_files = text::of(&threats);
    let Parsed { document, diagnostics } = disk.parse(&files, &virtual_files);
    if diagnostics.iter().any(|found| found.severity == DiagnosticSeverity::Error) {
        return Err(diagnostics);
    }
    let options = Options {
        gates: Gates::All,
        memory: Memory::On,
        detect_bodies: true,
        opens_values: true,
        hides_arrays: false,
        requests_only: !threats.responses,
    };
    let plan = Plan::compile(&document, &options)?;
    warnings.extend(diagnostics);
    warnings.extend(useless_exclusions(&threats, &document, place));
    warnings.extend(never_run(&threats, &plan));
    Ok(Compiled { threats, read: disk.into_read(&files), warnings, plan: Arc::new(plan) })
}

/// Exclusions that name no rule: a slip of the pen, or a rule that is gone.
fn useless_exclusions(threats: &Threats, document: &Document, place: &Place<'_>) -> Vec<Diagnostic> {
    let rules: Vec<(u32, Vec<String>)> =
        document.directives.iter().filter_map(|(_, directive)| named(directive)).collect();
    let is_useless = |rules_meant: &ExcludedRules| match rules_meant {
        ExcludedRules::Ids { first, last } => !rules.iter().any(|(id, _)| (*first..=*last).contains(id)),
        ExcludedRules::Tag(tag) => !rules.iter().any(|(_, tags)| tags.contains(tag)),
    };
    let useless = threats.exclusions.iter().enumerate().filter(|(_, exclusion)| is_useless(&exclusion.rules));
    useless
        .map(|(index, exclusion)| {
            let message = format!("no rule is meant by `{}`", text::rules_named(&exclusion.rules));
            let help = "`bartizan rules list` names the rules of a configuration";
            place.warning(&format!("exclusions[{index}].rule"), message, help)
        })
        .collect()
}

/// Id and tags of a rule.
fn named(directive: &Directive) -> Option<(u32, Vec<String>)> {
    let actions = match directive {
        Directive::Rule(rule) => &rule.actions,
        Directive::Action(actions) => actions,
        _ => return None,
    };
    let id = actions.iter().find_map(|action| if let Action::Id(id) = action { Some(*id) } else { None })?;
    let tag = |action: &Action| match action {
        Action::Tag(text) => Some(
            text.parts
                .iter()
                .map(|part| match part {
                    TextPart::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    TextPart::Macro(..) => String::new(),
                })
                .collect(),
        ),
        _ => None,
    };
    Some((id, actions.iter().filter_map(tag).collect()))
}

/// Rules of the user's own files that this policy never runs.
fn never_run(threats: &Threats, plan: &Plan) -> Vec<Diagnostic> {
    let own: Vec<String> = threats.files.iter().map(|file| file.display().to_string()).collect();
    let found = plan.rules().iter().filter(|rule| own.iter().any(|file| **file == *rule.place.file));
    found
        .filter_map(|rule| {
            let (message, help) = match rule.phase {
                5 if plan.keeps_at_end() => return None,
                5 => ("it only logs, and is not run", "events and audit logs are the log; take the rule out"),
                3 | 4 if !threats.responses => ("it looks at responses, and is not run", "write `responses: true`"),
                _ => return None,
            };
            Some(Diagnostic {
                severity: DiagnosticSeverity::Warning,
                code: NO_EFFECT.to_owned(),
                file: rule.place.file.to_string(),
                position: Some(bartizan_model::Position { line: rule.place.line, column: 1 }),
                path: "SecRule".to_owned(),
                message: format!("rule `{}` is of phase {}: {message}", rule.id, rule.phase),
                help: help.to_owned(),
            })
        })
        .collect()
}
