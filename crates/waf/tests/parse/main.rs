//! SecLang as people write it: what the parser makes of it, and what it says about faults.

mod core_rule_set;
mod corpus;
mod faults;
mod files;
mod meaning;
mod recommended;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bartizan_model::{Diagnostic, DiagnosticSeverity};
use bartizan_waf::ast::Directive;
use bartizan_waf::{Parsed, Sources, parse};

/// Parses `main.conf`, which may name the other files; a pattern names all files beside it with its ending.
fn parse_files(files: &[(&str, &[u8])]) -> Parsed {
    let files: HashMap<PathBuf, Vec<u8>> =
        files.iter().map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec())).collect();
    let read = |path: &Path| files.get(path).cloned().ok_or_else(|| "no such file".to_owned());
    let glob = |pattern: &Path| {
        let is_found = |path: &&PathBuf| {
            path.parent() == pattern.parent()
                && path.extension() == pattern.extension()
                && path.file_stem() != Some("main".as_ref())
        };
        let mut found: Vec<PathBuf> = files.keys().filter(is_found).cloned().collect();
        found.sort();
        Ok(found)
    };
    parse(&[PathBuf::from("main.conf")], &Sources { read: &read, glob: &glob })
}

/// Parses one text.
fn parse_text(text: &str) -> Parsed {
    parse_files(&[("main.conf", text.as_bytes())])
}

/// The directives of a text without faults.
fn directives(text: &str) -> Vec<Directive> {
    let parsed = parse_text(text);
    assert_eq!(told(&parsed.diagnostics), [""; 0], "{text}");
    parsed.document.directives.into_iter().map(|(_, directive)| directive).collect()
}

/// `main.conf:1:9 SEC-020 unknown variable …`
fn told(diagnostics: &[Diagnostic]) -> Vec<String> {
    let tell = |told: &Diagnostic| {
        let place = told.position.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
        format!("{}{place} {} {}", told.file, told.code, told.message)
    };
    diagnostics.iter().map(tell).collect()
}

/// Whether one of them is an error.
fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|told| told.severity == DiagnosticSeverity::Error)
}
