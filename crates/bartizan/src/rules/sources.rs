//! Where rule files come from: the disk, what is built into the program, and what we make from the policy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bartizan_waf::{Parsed, Sources, parse};

/// The folder of our own rules, as rule files name it.
const OWN: &str = "bartizan:own";

/// Our own rules and their lists of phrases.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../rules"]
#[allow_missing = true]
struct Own;

/// LIMIT: bytes of a rule file that are read; the parser refuses smaller ones with a position.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Our own rule files, in order.
pub(super) fn own() -> Vec<PathBuf> {
    let mut names: Vec<String> = Own::iter().filter(|name| name.ends_with(".conf")).map(String::from).collect();
    names.sort();
    names.into_iter().map(|name| Path::new(OWN).join(name)).collect()
}

/// Reads for the parser, and remembers what it read.
#[derive(Default)]
pub(super) struct Disk {
    files: RefCell<BTreeMap<PathBuf, Option<u64>>>,
    globs: RefCell<Vec<(PathBuf, Vec<PathBuf>)>>,
}

/// What was read: as long as it is the same, so are the rules.
pub(super) struct Read {
    files: BTreeMap<PathBuf, Option<u64>>,
    globs: Vec<(PathBuf, Vec<PathBuf>)>,
}

impl Disk {
    /// Parses these files; those among `made` are not on disk.
    pub(super) fn parse(&self, files: &[PathBuf], made: &BTreeMap<PathBuf, String>) -> Parsed {
        let read_one = |path: &Path| {
            if let Some(text) = made.get(path) {
                return Ok(text.clone().into_bytes());
            }
            if let Ok(name) = path.strip_prefix(OWN) {
                let own = name.to_str().and_then(Own::get).ok_or_else(|| "no such file".to_owned())?;
                return Ok(own.data.into_owned());
            }
            let bytes = read(path, FILE_BYTES_MAX);
            self.files.borrow_mut().insert(path.to_owned(), bytes.as_deref().ok().map(hash));
            bytes
        };
        let glob_one = |pattern: &Path| {
            let found = glob(pattern)?;
            self.globs.borrow_mut().push((pattern.to_owned(), found.clone()));
            Ok(found)
        };
        parse(files, &Sources { read: &read_one, glob: &glob_one })
    }

    /// What was read. The folders of `files` count too: a file that is added to them may belong to the rules.
    pub(super) fn into_read(self, files: &[PathBuf]) -> Read {
        let mut globs = self.globs.into_inner();
        let mut folders: Vec<&Path> = files.iter().filter_map(|file| file.parent()).filter(|it| it.is_dir()).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let pattern = folder.join("*.conf");
            globs.extend(glob(&pattern).ok().map(|found| (pattern, found)));
        }
        Read { files: self.files.into_inner(), globs }
    }
}

impl Read {
    /// Whether everything is as it was read.
    pub(super) fn is_unchanged(&self) -> bool {
        self.files.iter().all(|(path, known)| read(path, FILE_BYTES_MAX).as_deref().ok().map(hash) == *known)
            && self.globs.iter().all(|(pattern, known)| glob(pattern).is_ok_and(|found| found == *known))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// A whole, regular file of at most so many bytes; else why not.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}

/// The files that a pattern names, sorted. `*` and `?` stand in the file's name.
pub(super) fn glob(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.to_string_lossy().contains(['*', '?']) {
        return Err("`*` and `?` may stand in the file's name only".to_owned());
    }
    let wanted = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let is_meant = is_match(wanted.as_bytes(), entry.file_name().to_string_lossy().as_bytes());
        if is_meant && entry.path().is_file() {
            found.push(pattern.with_file_name(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

/// Wildcards: on a mismatch after a `*`, it takes one byte more.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(here) => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    here = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn a_star_stands_for_any_rest() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.example", false),
            ("REQUEST-9?1-*.conf", "REQUEST-911-METHOD.conf", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("**", "", true),
            ("a", "", false),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }
}
