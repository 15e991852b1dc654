//! The files of `address_data`: read from disk, kept until one of them changes.
//!
//! A file that cannot be read or understood refuses the configuration whole: a policy over countries without a database
//! would refuse everybody, or nobody. Old data is told, and used.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bartizan_config::{AddressData as Named, Config, PolicyRule};
use bartizan_engine::{AddressData, AddressFile, AddressFileFault};
use bartizan_model::{Diagnostic, DiagnosticSeverity, Position, Timestamp};

use crate::clock;
use crate::rules::Reading;

/// A file cannot be used.
const UNUSABLE: &str = "CFG-113";
/// A file is old.
const OLD: &str = "CFG-114";
/// A label that no file has.
const UNKNOWN_LABEL: &str = "CFG-115";

/// LIMIT: bytes of one file; the largest databases that are sold have some 300 MiB.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Networks change hands; makers of databases publish a new one every week or month.
const OLD_DAYS: u64 = 90;

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
                Some(built) => format!(", built {} ({} days ago)", day(built), days(built, now)),
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
    let fault = |words: String| AddressFileFault { line: None, fault: words };
    let file = std::fs::File::open(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fault("larger than 1 GiB".to_owned()));
    }
    Ok(bytes)
}

fn unusable(named: &Named, fault: AddressFileFault, index: usize, file: &str) -> Diagnostic {
    let (file, position) = match fault.line {
        Some(line) => (named.file.display().to_string(), Some(Position { line, column: 1 })),
        None => (file.to_owned(), None),
    };
    Diagnostic {
        severity: DiagnosticSeverity::Error,
        code: UNUSABLE.to_owned(),
        file,
        position,
        path: format!("address_data[{index}].file"),
        message: format!("`{}`: {}", named.file.display(), fault.fault),
        help: "mend the file, or say in `holds` what it holds".to_owned(),
    }
}

fn old(data: &AddressData, now: Timestamp, file: &str) -> Vec<Diagnostic> {
    let warning = |(index, info): (usize, bartizan_engine::AddressFileInfo)| {
        let age = days(info.built?, now);
        (age > OLD_DAYS).then(|| Diagnostic {
            severity: DiagnosticSeverity::Warning,
            code: OLD.to_owned(),
            file: file.to_owned(),
            position: None,
            path: format!("address_data[{index}].file"),
            message: format!("the data of `{}` is {age} days old", info.name),
            help: "networks change hands: fetch a newer file and reload".to_owned(),
        })
    };
    data.infos().into_iter().enumerate().filter_map(warning).collect()
}

fn unknown_labels(config: &Config, data: &AddressData, file: &str) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let PolicyRule::Networks(rules) = &policy.rule else { continue };
        for label in rules.labels.allow.iter().chain(&rules.labels.deny).filter(|label| !data.has_label(label)) {
            diagnostics.push(Diagnostic {
                severity: DiagnosticSeverity::Warning,
                code: UNKNOWN_LABEL.to_owned(),
                file: file.to_owned(),
                position: None,
                path: format!("policies[{index}].networks.labels"),
                message: format!("no file of `address_data` has the label `{}`", bartizan_model::excerpt(label)),
                help: "mend the label here or in the file".to_owned(),
            });
        }
    }
    diagnostics
}

fn days(built: Timestamp, now: Timestamp) -> u64 {
    now.micros_since(built) / (86_400 * 1_000_000)
}

fn day(time: Timestamp) -> String {
    time.to_string().chars().take("2026-01-31".len()).collect()
}
