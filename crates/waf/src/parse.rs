//! Text → [`Document`]. Every fault of every file is a diagnostic; nothing that is not understood is skipped.
//!
//! Bytes of a file → lines, continuations joined (`lines`) → name and arguments (`arguments`) → a directive
//! (`directive`, and one file for each language inside it: `target`, `operator`, `action`, `setting`) → checks between
//! rules (`sequence`, `opened`). `load` walks the files and includes; `report` has the table of codes. What other engines know
//! and this one does not is listed in `names`, each with what to write instead.
//!
//! Sources: ModSecurity Reference Manual (v2.x and v3.x), "Configuration Directives", "Variables", "Actions",
//! "Operators".

mod action;
mod arguments;
mod control;
mod directive;
mod lines;
mod load;
mod names;
mod opened;
mod operator;
mod report;
mod sequence;
mod setting;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

use bartizan_model::Diagnostic;

use crate::ast::Document;
#[allow(unused_imports, reason = "read by the documentation of codes, once the crate's root names them")]
pub use report::{CODES, Code};

/// How files are reached: this crate does not touch the disk.
pub struct Sources<'a> {
    /// Reads a file
    pub read: &'a dyn Fn(&Path) -> Result<Vec<u8>, String>,
    /// The files that a pattern with `*` names, sorted
    pub glob: &'a dyn Fn(&Path) -> Result<Vec<PathBuf>, String>,
}

/// What parsing gives.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The directives that were understood
    pub document: Document,
    /// Every fault. With an error among them, the document must not be run
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses these files, one after the other, as if each were included.
pub fn parse(files: &[PathBuf], sources: &Sources<'_>) -> Parsed {
    load::load(files, sources)
}
