//! Audit log: one line of JSON for each exchange, with the rules that matched. docs/threats.md describes both forms.
//!
//! Every value comes from an [`Event`], so that none is a payload: what matched is shown by its shape, secrets in paths
//! are masked, headers are the user agent and the media types.

mod json;
mod ocsf;

use bartizan_model::{Event, Finding};
use serde_json::Value;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditForm {
    /// Our own, with the names of ModSecurity's JSON audit log
    Json,
    /// OCSF 1.5, class HTTP Activity (4002) with the profile Security Control
    Ocsf,
}

/// What a rule says about itself, in its author's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleWords {
    /// `msg:` as written, macros unexpanded
    pub message: String,
    /// `tag:`
    pub tags: Vec<String>,
}

/// Writes events as lines.
#[derive(Clone, Copy, Debug)]
pub struct AuditLog {
    /// Form of a line
    pub form: AuditForm,
    /// Exchanges in which no attack rule matched and that no policy denied, or would have, are left out
    pub only_relevant: bool,
    /// The product's version
    pub version: &'static str,
}

impl AuditLog {
    /// Appends the event's line to `out`, if it is one for this log; whether it was. `rule`: what the rule of a check
    /// (`WAF-942100`) says about itself.
    pub fn append(&self, event: &Event, rule: &mut dyn FnMut(&str) -> Option<RuleWords>, out: &mut Vec<u8>) -> bool {
        if self.only_relevant && !is_relevant(event) {
            return false;
        }
        let line = match self.form {
            AuditForm::Json => json::line(event, self.version, rule),
            AuditForm::Ocsf => ocsf::line(event, self.version, rule),
        };
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
        true
    }
}

/// Whether an attack rule matched, or a policy spoke against the exchange.
fn is_relevant(event: &Event) -> bool {
    event.decision.check.is_some() || event.findings.iter().any(|finding| rule_id(finding).is_some())
}

/// The id of an attack rule, `942100`; `None` for our own checks.
fn rule_id(finding: &Finding) -> Option<&str> {
    finding.check.as_str().strip_prefix("WAF-")
}

/// A finding's words, and the shape of what matched, which stands behind them in backticks.
fn words_and_shape(finding: &Finding) -> (&str, Option<&str>) {
    let parted = finding.evidence.strip_suffix('`').and_then(|rest| rest.split_once(": `"));
    parted.map_or((&finding.evidence, None), |(words, shape)| (words, Some(shape)))
}

/// The object without its members that are null: what is not known is left out.
fn known(object: Value) -> Value {
    match object {
        Value::Object(members) => Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}
