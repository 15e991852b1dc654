//! `ctl:`: what a rule changes about the engine for the rest of one exchange.
//!
//! `ruleRemoveMatchedById`, `…ByTag` and `…ByMsg` are ours: where `ruleRemoveTargetById=942000-942999;ARGS` takes every
//! argument from these rules, they take only the very values that the rule, or the link of a chain on which they stand,
//! has matched. Another argument of the same name is still looked at.

use bartizan_model::listed;

use super::action::Written;
use super::names::UNSUPPORTED_CONTROLS;
use super::report::{Fault, UNKNOWN_CONTROL, UNSUPPORTED_CONTROL, excerpt, suggestion};
use super::setting::is_audit_parts;
use super::target;
use super::text;
use crate::ast::{Action, BodyProcessor, Ctl, EngineMode, IdRange, Target};

const SWITCH: &[(&str, bool)] = &[("On", true), ("Off", false)];
const MODES: &[(&str, EngineMode)] =
    &[("On", EngineMode::On), ("Off", EngineMode::Off), ("DetectionOnly", EngineMode::DetectionOnly)];
const PROCESSORS: &[(&str, BodyProcessor)] = &[
    ("URLENCODED", BodyProcessor::UrlEncoded),
    ("MULTIPART", BodyProcessor::Multipart),
    ("JSON", BodyProcessor::Json),
    ("XML", BodyProcessor::Xml),
];
const AUDIT: &[(&str, &str)] = &[("On", "On"), ("Off", "Off"), ("RelevantOnly", "RelevantOnly")];

/// Its names, in one spelling.
const NAMES: [&str; 16] = [
    "auditEngine",
    "auditLogParts",
    "forceRequestBodyVariable",
    "requestBodyAccess",
    "requestBodyProcessor",
    "responseBodyAccess",
    "ruleEngine",
    "ruleRemoveById",
    "ruleRemoveByMsg",
    "ruleRemoveByTag",
    "ruleRemoveMatchedById",
    "ruleRemoveMatchedByMsg",
    "ruleRemoveMatchedByTag",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByMsg",
    "ruleRemoveTargetByTag",
];

/// `name=value` as written.
struct Control<'t> {
    name: &'static str,
    value: &'t str,
    /// Where the value begins
    at: usize,
}

/// Reads `ctl:name=value`.
pub(super) fn control(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let whole = written.some_value("write what to change, such as `ctl:ruleEngine=Off`", faults)?;
    let (name, value) = whole.split_once('=').unwrap_or((whole, ""));
    let at = written.value_at + whole.len() - value.len();
    let name = match known(name.trim_ascii(), written.value_at) {
        Ok(name) => name,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let value = value.trim_ascii();
    if value.is_empty() {
        faults.push(written.malformed(format!("`ctl:{name}` has no value"), "write `=` and a value"));
        return None;
    }
    effect(&Control { name, value, at }, written, faults).map(Action::Ctl)
}

fn known(name: &str, at: usize) -> Result<&'static str, Fault> {
    if let Some(known) = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(known);
    }
    let shown = excerpt(name);
    if let Some((_, help)) = UNSUPPORTED_CONTROLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Err(Fault::new(UNSUPPORTED_CONTROL, at, format!("`ctl:{shown}` is not supported"), *help));
    }
    let help = suggestion(name, NAMES, "what can be changed is listed in the ModSecurity reference manual");
    Err(Fault::new(UNKNOWN_CONTROL, at, format!("unknown `ctl:{shown}`"), help))
}

fn effect(control: &Control<'_>, written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Ctl> {
    let Control { name, value, at } = control;
    Some(match *name {
        "ruleEngine" => Ctl::RuleEngine(control.one_of(MODES, written, faults)?),
        "requestBodyAccess" => Ctl::RequestBodyAccess(control.one_of(SWITCH, written, faults)?),
        "responseBodyAccess" => Ctl::ResponseBodyAccess(control.one_of(SWITCH, written, faults)?),
        "forceRequestBodyVariable" => Ctl::ForceRequestBodyVariable(control.one_of(SWITCH, written, faults)?),
        "requestBodyProcessor" => Ctl::RequestBodyProcessor(control.one_of(PROCESSORS, written, faults)?),
        "auditEngine" => Ctl::Audit(format!("{name}={}", control.one_of(AUDIT, written, faults)?)),
        "auditLogParts" if is_audit_parts(value.strip_prefix(['+', '-']).unwrap_or(value)) => {
            Ctl::Audit(format!("{name}={value}"))
        }
        "ruleRemoveById" => Ctl::RemoveById(text::id_ranges(value, *at, faults)),
        "ruleRemoveByTag" => Ctl::RemoveByTag(control.pattern(value, faults)),
        "ruleRemoveByMsg" => Ctl::RemoveByMessage(control.pattern(value, faults)),
        "ruleRemoveMatchedById" => Ctl::RemoveMatchedById(text::id_ranges(value, *at, faults)),
        "ruleRemoveMatchedByTag" => Ctl::RemoveMatchedByTag(control.pattern(value, faults)),
        "ruleRemoveMatchedByMsg" => Ctl::RemoveMatchedByMessage(control.pattern(value, faults)),
        "ruleRemoveTargetById" => {
            let (ids, target): (Vec<IdRange>, Target) =
                control.with_target(written, faults, |ids, faults| text::id_ranges(ids, *at, faults))?;
            Ctl::RemoveTargetById(ids, target)
        }
        "ruleRemoveTargetByTag" => {
            let (tag, target) = control.with_target(written, faults, |tag, faults| control.pattern(tag, faults))?;
            Ctl::RemoveTargetByTag(tag, target)
        }
        "ruleRemoveTargetByMsg" => {
            let (message, target) = control.with_target(written, faults, |msg, faults| control.pattern(msg, faults))?;
            Ctl::RemoveTargetByMessage(message, target)
        }
        _ => {
            let message = format!("`ctl:{name}={}`: parts are letters from A to K and Z", excerpt(value));
            faults.push(Fault { at: *at, ..written.malformed(message, "write such as `ABCFHZ`, `+E` or `-E`") });
            return None;
        }
    })
}

impl Control<'_> {
    fn one_of<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        written: &Written<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(self.value)).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let message = format!("`ctl:{}={}` is not known", self.name, excerpt(self.value));
            let help = format!("write {}", listed(words.iter().map(|(word, _)| *word)));
            faults.push(Fault { at: self.at, ..written.malformed(message, help) });
        }
        found
    }

    fn pattern(&self, pattern: &str, faults: &mut Vec<Fault>) -> String {
        text::pattern(pattern, self.at, faults);
        pattern.to_owned()
    }

    /// `rules;target`.
    fn with_target<T>(
        &self,
        written: &Written<'_>,
        faults: &mut Vec<Fault>,
        rules: impl FnOnce(&str, &mut Vec<Fault>) -> T,
    ) -> Option<(T, Target)> {
        let Some((which, list)) = self.value.split_once(';').filter(|(which, _)| !which.trim_ascii().is_empty()) else {
            let message = format!("`ctl:{}={}` lacks rules or a variable", self.name, excerpt(self.value));
            let help = "write the rules, a semicolon and a variable, such as `942100;ARGS:comment`";
            faults.push(Fault { at: self.at, ..written.malformed(message, help) });
            return None;
        };
        let at = self.at + self.value.len() - list.len();
        let rules = rules(which.trim_ascii(), faults);
        let faults_before = faults.len();
        let mut targets = target::targets(list, at, faults);
        if faults.len() > faults_before {
            return None;
        }
        match (targets.pop(), targets.is_empty()) {
            (Some(target), true) if !target.is_excluded && !target.is_count => Some((rules, target)),
            _ => {
                let message = format!("`ctl:{}` takes one variable, yet `{}` is given", self.name, excerpt(list));
                let help = "write one variable without `!` or `&`, and one `ctl` for each";
                faults.push(Fault { at, ..written.malformed(message, help) });
                None
            }
        }
    }
}
