//! Files → directives in their order: includes are opened where they stand, with a stack instead of recursion.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bartizan_model::Position;

use super::arguments;
use super::directive::{self, Said, WrittenRule};
use super::lines::{Item, Line, Lines};
use super::opened;
use super::report::{
    CONTINUED_COMMENT, FILE_UNREADABLE, Fault, INCLUDE_CYCLE, NO_FILES, OPTIONAL_FILE, REMOTE_FILE, Report, TOO_LARGE,
    excerpt,
};
use super::sequence::Sequence;
use super::{Parsed, Sources};
use crate::ast::{Directive, Document, Place, Rule};

/// LIMIT: bytes of one file; the largest of the Core Rule Set has 200 KB.
const FILE_BYTES_MAX: usize = 16 << 20;
/// LIMIT: bytes of all files together, lists of phrases too.
const ALL_BYTES_MAX: usize = 128 << 20;
/// LIMIT: files read, so that includes of includes of includes end.
const FILES_MAX: usize = 10_000;
/// LIMIT: files that include one another; more is a cycle under many names.
const INCLUDE_DEPTH_MAX: usize = 16;
/// LIMIT: directives of all files; the Core Rule Set has 800.
const DIRECTIVES_MAX: usize = 100_000;

/// A file that is read, or is to be.
enum Frame {
    Unread(Unread),
    Open { path: PathBuf, file: Arc<str>, lines: Lines },
}

struct Unread {
    path: PathBuf,
    /// Where it is named; `None` for the files that parsing begins with
    named_at: Option<(Arc<str>, Position)>,
    is_optional: bool,
}

/// Reads these files and all that they include.
pub(super) fn load(files: &[PathBuf], sources: &Sources<'_>) -> Parsed {
    let mut loader = Loader {
        sources,
        report: Report::default(),
        document: Document::default(),
        sequence: Sequence::default(),
        last_rule: None,
        reader: Reader { sources, kept: HashMap::new(), files: 0, bytes: 0 },
        directives: 0,
    };
    let unread = |path: &PathBuf| Frame::Unread(Unread { path: path.clone(), named_at: None, is_optional: false });
    let mut stack: Vec<Frame> = files.iter().rev().map(unread).collect();
    let mut last_file = String::new();
    while let Some(frame) = stack.pop() {
        match frame {
            Frame::Unread(unread) => stack.extend(loader.open(unread, &stack)),
            Frame::Open { path, file, mut lines } => {
                let Some(item) = lines.next() else { continue };
                let includes = loader.item(&path, &file, item);
                stack.push(Frame::Open { path, file, lines });
                stack.extend(includes.into_iter().rev().map(Frame::Unread));
            }
        }
        if loader.report.is_full() {
            if let Some(Frame::Open { file, .. }) = stack.last() {
                last_file = file.to_string();
            }
            break;
        }
    }
    loader.finish(&last_file)
}

struct Loader<'a> {
    sources: &'a Sources<'a>,
    report: Report,
    document: Document,
    sequence: Sequence,
    /// File and position of the last rule, where an unfinished chain is told
    last_rule: Option<(Arc<str>, Position)>,
    reader: Reader<'a>,
    directives: usize,
}

impl Loader<'_> {
    fn open(&mut self, unread: Unread, stack: &[Frame]) -> Option<Frame> {
        let Unread { path, named_at, is_optional } = unread;
        let mut depth = 0;
        let mut is_cycle = false;
        for frame in stack {
            if let Frame::Open { path: open, .. } = frame {
                depth += 1;
                is_cycle |= plain(open) == plain(&path);
            }
        }
        let shown = path.display().to_string();
        let read = if is_cycle {
            let message = format!("`{}` includes itself", excerpt(&shown));
            Err(Fault::new(INCLUDE_CYCLE, 0, message, "take the `Include` out that closes the circle"))
        } else if depth >= INCLUDE_DEPTH_MAX {
            let message = format!("`{}` is the file of an include in {INCLUDE_DEPTH_MAX} others", excerpt(&shown));
            Err(Fault::new(INCLUDE_CYCLE, 0, message, "include it from a file further out"))
        } else {
            self.reader.read(&path)
        };
        match read {
            Ok(bytes) => Some(Frame::Open { path, file: Arc::from(shown), lines: Lines::new(bytes) }),
            Err(fault) => {
                let is_absent = is_optional && fault.code == FILE_UNREADABLE;
                let fault = if is_absent { Fault { code: OPTIONAL_FILE, ..fault } } else { fault };
                let (file, position) = named_at.map_or_else(|| (Arc::from(shown), None), |(file, at)| (file, Some(at)));
                self.report.push(&file, position, "Include", fault);
                None
            }
        }
    }

    /// One line; gives the files that it includes.
    fn item(&mut self, path: &Path, file: &Arc<str>, item: Item) -> Vec<Unread> {
        let (number, fault) = match item {
            Item::Directive(line) => return self.line(path, file, &line),
            Item::ContinuedComment(number) => {
                let message =
                    "this comment ends with a backslash, so that the next line is comment for some engines only";
                let help = "write `#` before the next line too, or take the backslash out";
                (number, Fault::new(CONTINUED_COMMENT, 0, message, help))
            }
            Item::TooLong(number) => {
                self.sequence.lose();
                let message = "a line with its continuations is longer than 1 MiB";
                (number, Fault::new(TOO_LARGE, 0, message, "put long lists into a file and use `@pmFromFile`"))
            }
        };
        self.report.push(file, Some(Position { line: number, column: 1 }), "", fault);
        Vec::new()
    }

    fn line(&mut self, path: &Path, file: &Arc<str>, line: &Line) -> Vec<Unread> {
        let mut faults = Vec::new();
        let mut includes = Vec::new();
        self.directives += 1;
        let mut name = "";
        match arguments::words(line) {
            _ if self.directives > DIRECTIVES_MAX => {
                // told once, by the first that is too many
                if self.directives == DIRECTIVES_MAX + 1 {
                    let message =
                        format!("more than {DIRECTIVES_MAX} directives; this and the later ones are not read");
                    faults.push(Fault::new(TOO_LARGE, 0, message, "load fewer rules"));
                }
            }
            Ok(words) => {
                name = directive::usual_name(&words.name);
                let reader = &mut self.reader;
                let said = directive::directive(&words, &mut |named| reader.data(path, named), &mut faults);
                let place = Place { file: Arc::clone(file), line: line.number() };
                match said {
                    Some(Said::Directive(directive)) => self.document.directives.push((place, directive)),
                    Some(Said::Rule(rule)) => {
                        self.last_rule = Some((Arc::clone(file), line.position(words.at)));
                        self.rule(place, rule, words.at, &mut faults);
                    }
                    Some(Said::Include { pattern, at, is_optional }) => {
                        let at = (at, line.position(at));
                        includes = self.includes(path, file, &pattern, at, is_optional, &mut faults);
                    }
                    None if name == "SecRule" || name == "SecAction" => self.sequence.lose(),
                    None => {}
                }
            }
            Err(fault) => {
                self.sequence.lose();
                faults.push(fault);
            }
        }
        faults.sort_by_key(|fault| fault.at);
        for fault in faults {
            self.report.push(file, Some(line.position(fault.at)), name, fault);
        }
        includes
    }

    fn rule(&mut self, place: Place, rule: WrittenRule, at: usize, faults: &mut Vec<Fault>) {
        self.sequence.rule(&rule.actions, rule.is_faulty, &place, at, faults);
        let actions = rule.actions.into_iter().map(|(_, action)| action).collect();
        match rule.test {
            Some((targets, operator)) => {
                self.document.directives.push((place, Directive::Rule(Rule { targets, operator, actions })));
            }
            None if rule.is_action => self.document.directives.push((place, Directive::Action(actions))),
            None => {} // a fault says why
        }
    }

    fn includes(
        &self,
        path: &Path,
        file: &Arc<str>,
        pattern: &str,
        (at, position): (usize, Position),
        is_optional: bool,
        faults: &mut Vec<Fault>,
    ) -> Vec<Unread> {
        let target = match beside(path, pattern) {
            Ok(target) => target,
            Err(fault) => {
                faults.push(Fault { at, ..fault });
                return Vec::new();
            }
        };
        let unread = |path| Unread { path, named_at: Some((Arc::clone(file), position)), is_optional };
        if !pattern.contains(['*', '?', '[']) {
            return vec![unread(target)];
        }
        match (self.sources.glob)(&target) {
            Ok(found) if found.is_empty() && !is_optional => {
                let message = format!("`Include {}` names no file", excerpt(pattern));
                let help = "check the pattern, or write `IncludeOptional` if it may name none";
                faults.push(Fault::new(NO_FILES, at, message, help));
                Vec::new()
            }
            Ok(found) => found.into_iter().take(FILES_MAX + 1).map(unread).collect(),
            Err(error) => {
                let message = format!("the files of `{}` cannot be listed: {}", excerpt(pattern), excerpt(error));
                faults.push(Fault::new(FILE_UNREADABLE, at, message, "check that the folder is there and readable"));
                Vec::new()
            }
        }
    }

    fn finish(mut self, last_file: &str) -> Parsed {
        if !self.report.is_full()
            && let Some(fault) = self.sequence.finish()
            && let Some((file, position)) = self.last_rule
        {
            self.report.push(&file, Some(position), "SecRule", fault);
        }
        for (place, fault) in opened::faults(&self.document) {
            self.report.push(&place.file, Some(Position { line: place.line, column: 1 }), "", fault);
        }
        Parsed { document: self.document, diagnostics: self.report.finish(last_file) }
    }
}

/// Reads files within the limits, and keeps lists of phrases, which many rules share.
struct Reader<'a> {
    sources: &'a Sources<'a>,
    kept: HashMap<PathBuf, Arc<[u8]>>,
    files: usize,
    bytes: usize,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path) -> Result<Vec<u8>, Fault> {
        let shown = excerpt(path.as_os_str().as_encoded_bytes());
        self.files += 1;
        if self.files > FILES_MAX {
            let message = format!("`{shown}` is one of more than {FILES_MAX} files");
            return Err(Fault::new(TOO_LARGE, 0, message, "include fewer files"));
        }
        let bytes = (self.sources.read)(path).map_err(|error| {
            let message = format!("`{shown}` cannot be read: {}", excerpt(error));
            Fault::new(FILE_UNREADABLE, 0, message, "check that the file is there and readable")
        })?;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if bytes.len() > FILE_BYTES_MAX || self.bytes > ALL_BYTES_MAX {
            let (file, all) = (FILE_BYTES_MAX >> 20, ALL_BYTES_MAX >> 20);
            let message = format!("`{shown}` has {} bytes, {} with the files before it", bytes.len(), self.bytes);
            let help = format!("a file can have {file} MiB, all together {all} MiB; split or shorten them");
            return Err(Fault::new(TOO_LARGE, 0, message, help));
        }
        Ok(bytes)
    }

    /// A file that an operator names, relative to the file `beside` which the rule is.
    fn data(&mut self, rule_file: &Path, named: &str) -> Result<Arc<[u8]>, Fault> {
        let path = beside(rule_file, named)?;
        if let Some(kept) = self.kept.get(&path) {
            return Ok(Arc::clone(kept));
        }
        let bytes: Arc<[u8]> = Arc::from(self.read(&path)?);
        self.kept.insert(path, Arc::clone(&bytes));
        Ok(bytes)
    }
}

/// The path of a file that is named in another.
fn beside(file: &Path, named: &str) -> Result<PathBuf, Fault> {
    if named.contains("://") {
        let message = format!("`{}` is not on this machine", excerpt(named));
        return Err(Fault::new(REMOTE_FILE, 0, message, "fetch the file yourself and name it by its path"));
    }
    Ok(file.parent().unwrap_or(Path::new("")).join(named))
}

/// The path without `.` and `..`, to compare.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
