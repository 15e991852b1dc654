//! The files of `address_data`: read from disk, kept until one of them changes.
//!
//! A file that cannot be read or understood refuses the configuration whole: a policy over countries without a database
//! would refuse everybody, or nobody. Old data is told, and used.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bartizan_config::{AddressData as Named, Config, PolicyRule};
use bartizan_console::ADDRESS_DATA_OLD_DAYS;
use bartizan_engine::{AddressData, AddressFile, AddressFileFault};
use bartizan_model::{Diagnostic, DiagnosticSeverity, Position, Timestamp};

use crate::clock;
use crate::rules::sources;
use crate::rules::{Place, Reading};

/// A file cannot be used.
const UNUSABLE: &str = "CFG-113";
/// A file is old.
const OLD: &str = "CFG-114";
/// A label that no file has.
const UNKNOWN_LABEL: &str = "CFG-115";

/// LIMIT: bytes of one file; the largest databases that are sold have some 300 MiB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The files of a configuration, read.
#[derive(Clone, Default)]
pub(crate) struct AddressFiles {
    stamps: Vec<(Named, Option<Stamp>)>,
    data: Arc<AddressData>,
}

/// What changes when a file does.
type Stamp = (SystemTime, u64);

impl AddressFiles {
    /// The files that `config` names, taken from `before` where none of them changed. With an error among the diagnostics
    /// they must not be used. `file` is the configuration file, for diagnostics.
    pub(crate) fn load(config: &Config, file: &str, before: &Self, reading: Reading) -> (Self, Vec<Diagnostic>) {
        if reading == Reading::Nothing {
            return (before.clone(), Vec::new());
        }
        let stamps: Vec<_> = config.address_data.iter().map(|named| (named.clone(), stamp(&named.file))).collect();
        let mut diagnostics = Vec::new();
        let data = if stamps == before.stamps {
            Arc::clone(&before.data)
        } else {
            let mut files = Vec::new();
            for (index, named) in config.address_data.iter().enumerate() {
                let read = bytes(&named.file).and_then(|bytes| AddressFile::read(&named.name, named.kind, bytes));
                match read {
                    Ok(file) => files.push(file),
                    Err(fault) => diagnostics.push(unusable(named, fault, index, file)),
                }
            }
            Arc::new(AddressData::new(files))
        };
        if diagnostics.is_empty() {
            diagnostics.extend(unknown_labels(config, &data, file));
        }
        diagnostics.extend(old(&data, clock::now(), file));
        (Self { stamps, data }, diagnostics)
    }

    /// What the engine looks addresses up in.
    pub(crate) fn data(&self) -> Arc<AddressData> {
        Arc::clone(&self.data)
    }

    /// Whether these are the very same files.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.stamps == other.stamps
    }

    /// A line for each file: what it is, and how old.
    pub(crate) fn lines(&self) -> Vec<String> {
        let now = clock::now();
        let line = |info: bartizan_engine::AddressFileInfo| {
            let networks = info.networks.map(|networks| format!(", {networks} networks")).unwrap_or_default();
            let age = match info.built {
                Some(built) => format!(", built {} ({} days ago)", day(built), now.days_since(built)),
                None => String::new(),
            };
            format!("address data `{}`: {}{networks}{age}", info.name, info.kind)
        };
        self.data.infos().into_iter().map(line).collect()
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, AddressFileFault> {
    let fault = |words| AddressFileFault { line: None, fault: format!("cannot be read: {words}") };
    sources::read(path, FILE_BYTES_MAX).map_err(fault)
}

fn unusable(named: &Named, fault: AddressFileFault, index: usize, file: &str) -> Diagnostic {
    let message = format!("`{}`: {}", named.file.display(), fault.fault);
    let words = (message, "mend the file, or say in `holds` what it holds");
    let found = place(file, index).diagnostic(DiagnosticSeverity::Error, UNUSABLE, "file", words);
    match fault.line {
        Some(line) => {
            Diagnostic { file: named.file.display().to_string(), position: Some(Position { line, column: 1 }), ..found }
        }
        None => found,
    }
}

/// An entry of `address_data`.
fn place(file: &str, index: usize) -> Place<'_> {
    Place { file, path: format!("address_data[{index}]") }
}

fn old(data: &AddressData, now: Timestamp, file: &str) -> Vec<Diagnostic> {
    let warning = |(index, info): (usize, bartizan_engine::AddressFileInfo)| {
        let age = now.days_since(info.built?);
        let message = format!("the data of `{}` is {age} days old", info.name);
        let words = (message, "networks change hands: fetch a newer file and reload");
        (age > ADDRESS_DATA_OLD_DAYS)
            .then(|| place(file, index).diagnostic(DiagnosticSeverity::Warning, OLD, "file", words))
    };
    data.infos().into_iter().enumerate().filter_map(warning).collect()
}

fn unknown_labels(config: &Config, data: &AddressData, file: &str) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let (key, lists): (&str, [&[String]; 2]) = if let PolicyRule::Networks(rules) = &policy.rule {
            ("labels", [&rules.labels.allow[..], &rules.labels.deny[..]])
        } else if let PolicyRule::Continuity(rules) = &policy.rule {
            ("ignore_labels", [&rules.ignore_labels[..], &[]])
        } else {
            continue;
        };
        let place = Place { file, path: format!("policies[{index}].{}", policy.rule.kind()) };
        for label in lists.into_iter().flatten().filter(|label| !data.has_label(label)) {
            let message = format!("no file of `address_data` has the label `{}`", bartizan_model::excerpt(label));
            let words = (message, "mend the label here or in the file");
            diagnostics.push(place.diagnostic(DiagnosticSeverity::Warning, UNKNOWN_LABEL, key, words));
        }
    }
    diagnostics
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take("2026-01-31".len()).collect()
}
