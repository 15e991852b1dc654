//! Reading the configuration file and saying what is wrong with it.

use std::path::Path;

use anyhow::{Context, Result};
use bartizan_config::{Config, Parsed};
use bartizan_model::{Diagnostic, DiagnosticSeverity};

use crate::{output, table};

/// LIMIT: bytes of a configuration file that are read; `config` refuses far smaller ones with a position.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A configuration file as read.
pub(crate) struct Document {
    /// The text
    pub(crate) text: String,
    /// What came of it
    pub(crate) parsed: Parsed,
}

/// Reads and validates `path`.
pub(crate) fn load(path: &Path) -> Result<Document> {
    let metadata = std::fs::metadata(path).with_context(|| shown(path, "cannot be read"))?;
    anyhow::ensure!(metadata.is_file(), "configuration `{}` is not a regular file", path.display());
    let size = metadata.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "configuration `{}` has {size} bytes; none is that large", path.display());
    let bytes = std::fs::read(path).with_context(|| shown(path, "cannot be read"))?;
    let text = String::from_utf8(bytes).ok().with_context(|| shown(path, "is not UTF-8"))?;
    let parsed = parse(&text, path);
    Ok(Document { text, parsed })
}

/// Validates text as if it stood in `path`.
pub(crate) fn parse(text: &str, path: &Path) -> Parsed {
    let base = path.parent().unwrap_or(Path::new(""));
    bartizan_config::parse(text, &path.display().to_string(), base)
}

/// The configuration in `path`, with diagnostics on standard error; `None` when it has errors.
pub(crate) fn load_or_explain(path: &Path) -> Result<Option<(String, Config)>> {
    let document = load(path)?;
    explain(&document.parsed.diagnostics);
    Ok(document.parsed.config.map(|config| (document.text, config)))
}

/// Prints diagnostics and their count on standard error.
pub(crate) fn explain(diagnostics: &[Diagnostic]) {
    diagnostics.iter().for_each(|diagnostic| output::note(&diagnostic.to_string()));
    let errors = diagnostics.iter().filter(|found| found.severity == DiagnosticSeverity::Error).count();
    if errors > 0 {
        output::note(&table::count(errors, "error", "errors"));
    }
}

fn shown(path: &Path, fault: &str) -> String {
    format!("configuration `{}` {fault}", path.display())
}
