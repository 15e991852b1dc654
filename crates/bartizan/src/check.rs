//! `bartizan check`: everything that is wrong with a configuration file.

use std::path::Path;

use anyhow::Result;
use bartizan_config::{NamedFile, Parsed};
use bartizan_gateway::{FileFault, unusable_files};
use bartizan_model::{Diagnostic, DiagnosticSeverity};

use crate::arguments::Check;
use crate::document::{self, Document, Files};
use crate::{REFUSED, output, table};

/// Prints diagnostics, or what a valid document sets up.
pub(crate) fn run(options: &Check) -> Result<u8> {
    let Document { parsed, files: Files { addresses, .. }, .. } = document::load(&options.file, &Files::default())?;
    let Parsed { config, mut diagnostics, files } = parsed;
    if let Some(config) = &config {
        let faults = unusable_files(config).into_iter();
        diagnostics.extend(faults.map(|fault| diagnostic(&options.file, &files, &fault)));
    }
    let is_valid = diagnostics.iter().all(|found| found.severity != DiagnosticSeverity::Error);
    if options.json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&diagnostics)?));
    } else {
        document::explain(&diagnostics);
    }
    if let Some(config) = config.filter(|_| is_valid && !options.json) {
        output::print(&format!(
            "{}: valid; {} listening, {}, {}, {}\n",
            options.file.display(),
            table::count(config.listeners.len(), "address", "addresses"),
            table::count(config.upstreams.len(), "upstream", "upstreams"),
            table::count(config.apis.len(), "API", "APIs"),
            table::count(config.policies.len(), "policy", "policies"),
        ));
        addresses.lines().iter().for_each(|line| output::print(&format!("{line}\n")));
    }
    Ok(if is_valid { 0 } else { REFUSED })
}

/// A file that cannot be used, told where the document names it.
fn diagnostic(document: &Path, files: &[NamedFile], fault: &FileFault) -> Diagnostic {
    let named = files.iter().find(|named| named.file == fault.file);
    Diagnostic {
        severity: DiagnosticSeverity::Error,
        code: "CFG-100".to_owned(),
        file: document.display().to_string(),
        position: named.map(|named| named.position),
        path: named.map(|named| named.path.clone()).unwrap_or_default(),
        message: format!("`{}`: {}", fault.file.display(), fault.fault),
        help: String::new(),
    }
}
