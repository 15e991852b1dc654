//! Documents people write, validated into a [`Config`], with every fault reported at its place.
//!
//! Written → meant → running: [`document`](Document) is what people write, [`Config`] what it means, the engine's
//! Snapshot what runs. [`parse`] goes through four steps and never stops at the first fault of a step: text → marked
//! tree (`yaml`), tree against the JSON Schema generated from the document types (`shape`), tree → document (serde),
//! document → `Config` (`meaning`). The crate reads no file and touches no network.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod authentication;
mod authorization;
mod config;
mod defaults;
mod document;
mod meaning;
mod path;
mod reference;
mod report;
mod schema;
mod shape;
mod units;
mod yaml;

use std::path::{Path, PathBuf};

use bartizan_model::{Diagnostic, Position};

pub use authentication::*;
pub use authorization::*;
pub use config::*;
pub use document::Document;
pub use reference::reference_markdown;
pub use schema::schema;
pub use units::{duration_ms, duration_text};

use report::Report;

/// What came of a document: a configuration, or why there is none. Warnings may come with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The configuration; `None` when at least one diagnostic is an error
    pub config: Option<Config>,
    /// Every fault found, in the order of the document
    pub diagnostics: Vec<Diagnostic>,
    /// Files that the document names: who may read files can see whether they are usable
    pub files: Vec<NamedFile>,
}

/// A file that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The file, as the configuration has it
    pub file: PathBuf,
    /// Where its name stands
    pub position: Position,
    /// Path of the setting, such as `listeners[0].tls.certificates[0].key`
    pub path: String,
}

/// Reads a configuration document.
///
/// `file` is the document's name as the user gave it (for diagnostics only); relative paths in the document are
/// taken from `base_dir`, the folder of the document.
pub fn parse(text: &str, file: &str, base_dir: &Path) -> Parsed {
    let mut report = Report::new(file);
    let config = read(text, base_dir, &mut report);
    let files = std::mem::take(&mut report.files);
    let diagnostics = report.finish();
    Parsed { config, diagnostics, files }
}

/// The four steps. A document that does not fit the schema is read on without its unusable parts, so that the faults
/// of the rest are told too; there is no configuration then.
fn read(text: &str, base_dir: &Path, report: &mut Report<'_>) -> Option<Config> {
    let mut tree = yaml::load(text, report)?;
    let value = shape::check(&mut tree, report)?;
    let document = match serde_json::from_value::<Document>(value) {
        Ok(document) => document,
        Err(error) => {
            report.schema_disagrees(&error);
            return None;
        }
    };
    let config = meaning::of(&document, &tree, base_dir, report);
    (!report.has_errors()).then_some(config)
}

/// Fuzz target: any bytes give a configuration or a diagnostic, never a panic and never neither.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = parse(&text, "fuzz.yaml", Path::new(""));
    let has_error = parsed.diagnostics.iter().any(|found| found.severity == bartizan_model::DiagnosticSeverity::Error);
    assert_eq!(parsed.config.is_none(), has_error, "no configuration exactly when there is an error");
    assert!(parsed.diagnostics.iter().all(|found| found.code != report::SCHEMA_DISAGREES), "schema and types disagree");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_lines_are_enough() {
        let text = include_str!("../../../docs/examples/minimal.yaml");
        let parsed = parse(text, "minimal.yaml", Path::new(""));
        assert_eq!(parsed.diagnostics, []);
        let config = parsed.config.unwrap();
        assert_eq!(config.apis[0].name, "default");
        assert_eq!(config.apis[0].upstream, "shop");
    }
}
