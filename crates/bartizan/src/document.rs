//! Reading the configuration file and saying what is wrong with it.

use std::path::Path;

use anyhow::{Context, Result};
use bartizan_config::{Config, Parsed};
use bartizan_engine::{Counters, Inputs, Snapshot};
use bartizan_model::{Diagnostic, DiagnosticSeverity, Endpoint};

use crate::addresses::AddressFiles;
use crate::rules::{Reading, RuleSets};
use crate::{output, table};

/// LIMIT: bytes of a configuration file that are read; `config` refuses far smaller ones with a position.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A configuration file as read.
pub(crate) struct Document {
    /// The text
    pub(crate) text: String,
    /// What came of it
    pub(crate) parsed: Parsed,
    /// What it names
    pub(crate) files: Files,
}

/// What was read of the files that a configuration names; taken again for the next one where nothing changed.
#[derive(Clone, Default)]
pub(crate) struct Files {
    /// Rules
    pub(crate) rules: RuleSets,
    /// Address data
    pub(crate) addresses: AddressFiles,
}

/// A valid configuration.
pub(crate) struct Valid {
    /// The file's text
    pub(crate) text: String,
    /// What it means
    pub(crate) config: Config,
    /// What it names
    pub(crate) files: Files,
}

impl Files {
    /// What `config` names, taken from `before` where nothing changed. With an error among the diagnostics it must not be
    /// used.
    fn load(config: &Config, file: &str, before: &Self, reading: Reading) -> (Self, Vec<Diagnostic>) {
        let (rules, mut diagnostics) = RuleSets::load(config, file, &before.rules, reading);
        let (addresses, of_addresses) = AddressFiles::load(config, file, &before.addresses, reading);
        diagnostics.extend(of_addresses);
        (Self { rules, addresses }, diagnostics)
    }

    /// Whether these are the very same files.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.rules.is_same(&other.rules) && self.addresses.is_same(&other.addresses)
    }

    /// `config`, which names these files, as it runs.
    pub(crate) fn compile(
        &self,
        config: &Config,
        generation: u64,
        endpoints: &[Endpoint],
        counters: &Counters,
        key: [u8; 32],
    ) -> Snapshot {
        let inputs = Inputs { generation, endpoints, plans: self.rules.plans(), counters, key };
        let snapshot = Snapshot::compile(config, inputs).with_cedar(self.rules.cedar());
        snapshot.with_address_data(self.addresses.data())
    }
}

/// Reads and validates `path`, and the files that it names; those of `before` are taken where nothing changed.
pub(crate) fn load(path: &Path, before: &Files) -> Result<Document> {
    let metadata = std::fs::metadata(path).with_context(|| shown(path, "cannot be read"))?;
    anyhow::ensure!(metadata.is_file(), "configuration `{}` is not a regular file", path.display());
    let size = metadata.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "configuration `{}` has {size} bytes; none is that large", path.display());
    let bytes = std::fs::read(path).with_context(|| shown(path, "cannot be read"))?;
    let text = String::from_utf8(bytes).ok().with_context(|| shown(path, "is not UTF-8"))?;
    Ok(parse(text, path, before, Reading::Files))
}

/// Validates text as if it stood in `path`, and the files that it names as far as files may be read.
pub(crate) fn parse(text: String, path: &Path, before: &Files, reading: Reading) -> Document {
    let base = path.parent().unwrap_or(Path::new(""));
    let file = path.display().to_string();
    let mut parsed = bartizan_config::parse(&text, &file, base);
    let mut files = Files::default();
    if let Some(config) = &parsed.config {
        let (loaded, diagnostics) = Files::load(config, &file, before, reading);
        if diagnostics.iter().any(|found| found.severity == DiagnosticSeverity::Error) {
            parsed.config = None;
        }
        files = loaded;
        parsed.diagnostics.extend(diagnostics);
    }
    Document { text, parsed, files }
}

/// The configuration in `path`, with diagnostics on standard error; `None` when it has errors.
pub(crate) fn load_or_explain(path: &Path) -> Result<Option<Valid>> {
    let Document { text, parsed, files } = load(path, &Files::default())?;
    explain(&parsed.diagnostics);
    Ok(parsed.config.map(|config| Valid { text, config, files }))
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
