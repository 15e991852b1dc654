//! What every check says about itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_model::{CheckInfo, Severity};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::RuleNote;
use crate::schema;

/// A check, in short: what goes beside a finding.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckNote {
    /// A few words
    pub(crate) title: String,
    /// What goes wrong without it
    why: String,
    /// What the developer or operator should do when it fires
    fix: String,
    #[schema(value_type = schema::Severity)]
    pub(crate) severity: Severity,
    /// OWASP API Security risk
    owasp: String,
}

impl From<&CheckInfo> for CheckNote {
    fn from(info: &CheckInfo) -> Self {
        let [title, why, fix, owasp] = [info.title, info.why, info.fix, info.owasp].map(str::to_owned);
        Self { title, why, fix, severity: info.severity, owasp }
    }
}

impl From<RuleNote> for CheckNote {
    fn from(note: RuleNote) -> Self {
        let RuleNote { id, message, tags, severity } = note;
        let why = match tags.as_slice() {
            [] => "an attack rule matched".to_owned(),
            tags => format!("an attack rule matched: {}", tags.join(", ")),
        };
        let fix = format!(
            "look at what matched; when it is honest, exclude the parameter from the rule: \
             `exclusions: [{{ rule: {id}, parameter: NAME }}]`"
        );
        Self { title: message, why, fix, severity, owasp: "API8:2023".to_owned() }
    }
}

/// Every check there is.
#[utoipa::path(get, path = "/checks", tag = "checks", responses((status = 200, body = Vec<schema::CheckInfo>)))]
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Json<&'static [&'static CheckInfo]> {
    Json(console.parts.checks)
}
