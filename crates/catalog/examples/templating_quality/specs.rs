//! The documents: which ones, and the operations in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Documents of one provider that count.
const PER_PROVIDER: usize = 2;
/// Bytes of the largest document that is read.
const BYTES_MAX: u64 = 6_000_000;
/// Operations of one document that count; the largest have thousands, which would drown the others.
const OPERATIONS_MAX: usize = 300;

/// A part of the providers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Dev,
    DevA,
    DevB,
    HeldOut,
}

impl Half {
    pub fn named(name: &str) -> Self {
        match name {
            "dev" => Self::Dev,
            "dev-a" => Self::DevA,
            "dev-b" => Self::DevB,
            "held-out" => Self::HeldOut,
            _ => panic!("no such half: {name}"),
        }
    }

    fn has(self, provider: &str) -> bool {
        let hash = hash(provider);
        match self {
            Self::Dev => hash.is_multiple_of(2),
            Self::DevA => hash.is_multiple_of(4),
            Self::DevB => hash % 4 == 2,
            Self::HeldOut => hash % 2 == 1,
        }
    }
}

/// FNV-1a with a final mix: stable, and all that a split needs.
pub fn hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// One document.
pub struct Spec {
    pub name: String,
    pub provider: String,
    pub operations: Vec<Operation>,
}

/// One method of one path.
pub struct Operation {
    pub method: String,
    pub segments: Vec<Segment>,
}

/// One segment of a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// Text before, parameter, text after: `{id}.json`
    Parameter {
        before: String,
        name: String,
        after: String,
        hint: Hint,
    },
}

/// What the document says of a parameter's values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hint {
    pub kind: String,
    pub format: String,
    pub values: Vec<String>,
}

impl Operation {
    /// The path with nameless parameters, which tells operations apart.
    pub fn shape(&self) -> String {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => format!("/{text}"),
                Segment::Parameter { before, after, .. } => format!("/{before}{{}}{after}"),
            })
            .collect()
    }
}

/// The documents of a part of the providers.
pub fn read(directory: &Path, half: Half) -> Vec<Spec> {
    let mut providers: Vec<PathBuf> =
        fs::read_dir(directory).expect("the directory").map(|entry| entry.unwrap().path()).collect();
    providers.sort();
    let mut specs = Vec::new();
    for place in providers {
        let provider = place.file_name().unwrap().to_string_lossy().trim_end_matches(".json").to_owned();
        if !half.has(&provider) {
            continue;
        }
        let mut files = Vec::new();
        list(&place, &mut files);
        files.sort_by_key(|file| hash(&file.strip_prefix(directory).unwrap().to_string_lossy()));
        let found = files.iter().filter_map(|file| spec(directory, file, &provider));
        specs.extend(found.take(PER_PROVIDER));
    }
    specs
}

fn list(place: &Path, files: &mut Vec<PathBuf>) {
    if place.is_dir() {
        for entry in fs::read_dir(place).unwrap() {
            list(&entry.unwrap().path(), files);
        }
    } else if place.extension().is_some_and(|extension| extension == "json")
        && fs::metadata(place).unwrap().len() <= BYTES_MAX
    {
        files.push(place.to_owned());
    }
}

fn spec(directory: &Path, file: &Path, provider: &str) -> Option<Spec> {
    let document: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let (mut operations, mut shapes) = (Vec::new(), BTreeSet::new());
    for (path, item) in document.get("paths")?.as_object()? {
        for method in ["get", "put", "post", "delete", "patch", "head", "options"] {
            let Some(details) = item.get(method) else { continue };
            let Some(segments) = segments(&document, path, item, details) else { continue };
            let operation = Operation { method: method.to_uppercase(), segments };
            if shapes.insert(format!("{method} {}", operation.shape())) {
                operations.push(operation);
            }
        }
    }
    let name = file.strip_prefix(directory).ok()?.to_string_lossy().into_owned();
    operations.sort_by_key(|operation| hash(&format!("{name}{}{}", operation.method, operation.shape())));
    operations.truncate(OPERATIONS_MAX);
    (!operations.is_empty()).then(|| Spec { name, provider: provider.to_owned(), operations })
}

fn segments(document: &Value, path: &str, item: &Value, details: &Value) -> Option<Vec<Segment>> {
    let path = path.split(['?', '#']).next()?.strip_prefix('/')?;
    let cut = |segment: &str| -> Option<Segment> {
        let Some((before, rest)) = segment.split_once('{') else {
            return (!segment.contains('}')).then(|| Segment::Literal(segment.replace(' ', "%20")));
        };
        let (name, after) = rest.split_once('}')?;
        // a second parameter in the segment is written as a fixed word: the segment is a value either way
        let after = after.replace(['{', '}'], "").replace(' ', "%20");
        let hint = hint(document, name, &[details, item]);
        Some(Segment::Parameter { before: before.replace(' ', "%20"), name: name.to_owned(), after, hint })
    };
    path.split('/').map(cut).collect()
}

fn hint(document: &Value, name: &str, owners: &[&Value]) -> Hint {
    let lists = owners.iter().filter_map(|owner| owner.get("parameters")?.as_array());
    for parameter in lists.flatten() {
        let reference =
            parameter.get("$ref").and_then(Value::as_str).and_then(|text| document.pointer(text.strip_prefix('#')?));
        let parameter = reference.unwrap_or(parameter);
        if parameter.get("name").and_then(Value::as_str) == Some(name)
            && parameter.get("in").and_then(Value::as_str) == Some("path")
        {
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let values = schema.get("enum").and_then(Value::as_array);
            let values =
                values.into_iter().flatten().filter_map(|value| Some(value.as_str()?.replace([' ', '/'], "%20")));
            return Hint {
                kind: text("type"),
                format: text("format"),
                values: values.filter(|value| !value.is_empty()).collect(),
            };
        }
    }
    Hint::default()
}
