//! What every check says about itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_model::{CheckInfo, Severity};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::schema;

/// A check, in short: what goes beside a finding.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckNote {
    /// A few words
    title: &'static str,
    /// What goes wrong without it
    why: &'static str,
    /// What the developer or operator should do when it fires
    fix: &'static str,
    #[schema(value_type = schema::Severity)]
    severity: Severity,
    /// OWASP API Security risk
    owasp: &'static str,
}

impl From<&CheckInfo> for CheckNote {
    fn from(info: &CheckInfo) -> Self {
        let CheckInfo { title, why, fix, severity, owasp, .. } = *info;
        Self { title, why, fix, severity, owasp }
    }
}

/// Every check there is.
#[utoipa::path(get, path = "/checks", tag = "checks", responses((status = 200, body = Vec<schema::CheckInfo>)))]
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Json<&'static [&'static CheckInfo]> {
    Json(console.parts.checks)
}
