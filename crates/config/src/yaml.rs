//! YAML text → a tree of nodes with positions, within limits.
//!
//! Built from the events of `saphyr-parser`, so that keys have positions too, repeated keys are seen and nothing
//! recurses. Aliases are copied in place under a budget (against "billion laughs"). Numbers, booleans and null are
//! told by the core schema of YAML 1.2.2 §10.3.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bartizan_model::{Position, excerpt};
use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use crate::path::{SettingPath, Step};
use crate::report::{self, Fault, Report};

/// LIMIT: a document; ten thousand routes fit.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// LIMIT: nesting; the deepest setting is at 8.
const DEPTH_MAX: usize = 32;
/// LIMIT: weight of the whole tree with aliases copied; a document without aliases cannot reach it.
const WEIGHT_MAX: usize = 32 << 20;
/// Weight of a node beside its text.
const NODE_WEIGHT: usize = 16;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) content: Content,
    /// Index in its list as written; differs from its index now when siblings were dropped
    index: usize,
    /// Marked by [`Node::drop_marked`]'s caller: this value is unusable
    is_dropped: bool,
    weight: usize,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Text, number, boolean or null, with the text as written
    Scalar(Value, String),
    /// A list
    List(Vec<Node>),
    /// A mapping, in the order written
    Map(Vec<Entry>),
}

/// A member of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) node: Node,
}

impl Node {
    /// The same as JSON, for the schema and for serde. Recursion is bounded by `DEPTH_MAX`.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value, _) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_value())).collect())
            }
        }
    }

    /// The node at `path`, if the document has it.
    pub(crate) fn find(&self, path: &SettingPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| match (&node.content, step) {
            (Content::List(items), Step::Index(index)) => items.get(*index),
            (Content::Map(entries), Step::Key(name)) => {
                entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.node)
            }
            _ => None,
        })
    }

    /// Where the value at `path` is; for a setting that is not written, the nearest thing around it that is.
    pub(crate) fn position_of(&self, path: &SettingPath) -> Position {
        let mut node = self;
        let mut position = self.position;
        for step in &path.0 {
            let next = match (&node.content, step) {
                (Content::List(items), Step::Index(index)) => items.get(*index),
                (Content::Map(entries), Step::Key(name)) => {
                    entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.node)
                }
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
            position = next.position;
        }
        position
    }

    /// Marks the value at `path` as unusable; the whole document cannot be.
    pub(crate) fn mark(&mut self, path: &SettingPath) {
        let mut node = self;
        for step in &path.0 {
            let next = match (&mut node.content, step) {
                (Content::List(items), Step::Index(index)) => items.get_mut(*index),
                (Content::Map(entries), Step::Key(name)) => {
                    entries.iter_mut().find(|entry| entry.key == *name).map(|entry| &mut entry.node)
                }
                _ => None,
            };
            let Some(next) = next else { return };
            node = next;
        }
        node.is_dropped = !path.0.is_empty();
    }

    /// Drops everything marked. Recursion is bounded by `DEPTH_MAX`.
    pub(crate) fn drop_marked(&mut self) {
        match &mut self.content {
            Content::Scalar(..) => {}
            Content::List(items) => {
                items.retain(|item| !item.is_dropped);
                items.iter_mut().for_each(Self::drop_marked);
            }
            Content::Map(entries) => {
                entries.retain(|entry| !entry.node.is_dropped);
                entries.iter_mut().for_each(|entry| entry.node.drop_marked());
            }
        }
    }

    /// `path` with the indexes that the document has, as siblings may have been dropped from the tree.
    pub(crate) fn written_path(&self, path: &SettingPath) -> SettingPath {
        let mut node = Some(self);
        let steps = path.0.iter().map(|step| match (node.map(|node| &node.content), step) {
            (Some(Content::List(items)), Step::Index(index)) => {
                node = items.get(*index);
                Step::Index(node.map_or(*index, |item| item.index))
            }
            (Some(Content::Map(entries)), Step::Key(name)) => {
                node = entries.iter().find(|entry| entry.key == *name).map(|entry| &entry.node);
                step.clone()
            }
            _ => {
                node = None;
                step.clone()
            }
        });
        SettingPath(steps.collect())
    }

    /// Where the key `name` of the mapping at `path` is.
    pub(crate) fn key_position(&self, path: &SettingPath, name: &str) -> Option<Position> {
        match &self.find(path)?.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == name).map(|entry| entry.key_position),
            Content::Scalar(..) | Content::List(_) => None,
        }
    }
}

/// Reads `text`; faults go to `report`, and without any the tree comes back.
pub(crate) fn load(text: &str, report: &mut Report<'_>) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the document has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len());
        let fault = Fault::new(report::TOO_LARGE, message, "is this the right file?");
        report.error(None, &SettingPath::root(), fault);
        return None;
    }
    let mut builder =
        Builder { report, open: Vec::new(), anchors: HashMap::new(), documents: 0, weight: 0, root: None };
    let done = builder.run(text);
    let root = builder.root.take();
    match done {
        Ok(()) => accept(root, report),
        Err(Refusal::Told) => None,
        Err(Refusal::Scan(error)) => {
            let (position, fault) = syntax_fault(text, &error);
            report.error(Some(position), &SettingPath::root(), fault);
            None
        }
    }
}

/// The top must be a mapping.
fn accept(root: Option<Node>, report: &mut Report<'_>) -> Option<Node> {
    const HELP: &str = "begin with `listeners:` and `upstreams:`; docs/examples/minimal.yaml has six lines";
    let (place, found) = match root {
        Some(node) => match node.content {
            Content::Map(_) => return (!report.has_errors()).then_some(node),
            Content::List(_) => (Some(node.position), "a list".to_owned()),
            Content::Scalar(Value::Null, _) => (None, "nothing".to_owned()),
            Content::Scalar(_, text) => (Some(node.position), format!("`{}`", excerpt(&text))),
        },
        None => (None, "nothing".to_owned()),
    };
    let message = format!("a configuration is a mapping of settings; this document holds {found}");
    report.error(place, &SettingPath::root(), Fault::new(report::NOT_ONE_MAPPING, message, HELP));
    None
}

/// Why building stopped early.
enum Refusal {
    /// The report has it
    Told,
    Scan(ScanError),
}

/// A list or mapping that is still open.
struct Open {
    position: Position,
    anchor: usize,
    weight: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Position)> },
}

struct Builder<'r, 'f> {
    report: &'r mut Report<'f>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: usize,
    weight: usize,
    root: Option<Node>,
}

impl Builder<'_, '_> {
    fn run(&mut self, text: &str) -> Result<(), Refusal> {
        let mut parser = Parser::new_from_str(text);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(Refusal::Scan)?;
            let at = position(&span.start);
            match event {
                Event::DocumentStart(_) => self.document(at)?,
                Event::Scalar(text, style, anchor, tag) => self.scalar(at, text, style, anchor, tag.as_ref())?,
                Event::SequenceStart(anchor, _) => self.open(at, anchor, OpenKind::List(Vec::new()))?,
                Event::MappingStart(anchor, _) => {
                    let kind = OpenKind::Map { entries: Vec::new(), seen: HashSet::new(), key: None };
                    self.open(at, anchor, kind)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::Alias(anchor) => self.alias(at, anchor)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(())
    }

    fn document(&mut self, at: Position) -> Result<(), Refusal> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(self.refuse(
                at,
                report::NOT_ONE_MAPPING,
                "a second document begins here",
                "keep one; remove `---`",
            ));
        }
        Ok(())
    }

    fn open(&mut self, position: Position, anchor: usize, kind: OpenKind) -> Result<(), Refusal> {
        self.expect_key_is_text(position)?;
        if self.open.len() >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(self.refuse(
                position,
                report::TOO_COMPLEX,
                &message,
                "no setting is this deep; check the brackets",
            ));
        }
        self.open.push(Open { position, anchor, weight: NODE_WEIGHT, kind });
        self.charge(position, NODE_WEIGHT)
    }

    fn close(&mut self) -> Result<(), Refusal> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.kind {
            OpenKind::List(items) => Content::List(items),
            OpenKind::Map { entries, .. } => Content::Map(entries),
        };
        self.place(
            Node { position: open.position, content, index: 0, is_dropped: false, weight: open.weight },
            open.anchor,
        )
    }

    fn scalar(
        &mut self,
        at: Position,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Cow<'_, Tag>>,
    ) -> Result<(), Refusal> {
        if let Some(Open { kind: OpenKind::Map { key: key @ None, seen, entries }, .. }) = self.open.last_mut() {
            let name = text.into_owned();
            if !seen.insert(name.clone()) {
                let first = entries.iter().find(|entry| entry.key == name).map_or(0, |entry| entry.key_position.line);
                let message = format!("`{}` is written twice", excerpt(&name));
                let fault = Fault::new(report::DUPLICATE_KEY, message, format!("line {first} has it too; keep one"));
                self.report.error(Some(at), &SettingPath::root(), fault);
            }
            *key = Some((name, at));
            return Ok(());
        }
        let weight = NODE_WEIGHT + text.len();
        let written = text.clone().into_owned();
        let value = match Scalar::parse_from_cow_and_metadata(text, style, tag) {
            Some(scalar) => value_of(scalar, &written),
            None => Value::String(written.clone()),
        };
        // an empty value has no place of its own: its key's is better than the next line's
        let at = match self.open.last() {
            Some(Open { kind: OpenKind::Map { key: Some((_, key_at)), .. }, .. }) if value.is_null() => *key_at,
            _ => at,
        };
        self.charge(at, weight)?;
        self.place(
            Node { position: at, content: Content::Scalar(value, written), index: 0, is_dropped: false, weight },
            anchor,
        )
    }

    /// Counts `weight` against the budget.
    fn charge(&mut self, at: Position, weight: usize) -> Result<(), Refusal> {
        self.weight += weight;
        if self.weight > WEIGHT_MAX {
            return Err(self.refuse(
                at,
                report::TOO_COMPLEX,
                "aliases make this document too large",
                "write fewer of them",
            ));
        }
        Ok(())
    }

    fn alias(&mut self, at: Position, anchor: usize) -> Result<(), Refusal> {
        self.expect_key_is_text(at)?;
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.refuse(
                at,
                report::TOO_COMPLEX,
                "an alias stands inside what it names",
                "write the value out",
            ));
        };
        let (weight, depth) = (node.weight, depth(node));
        if self.open.len() + depth > DEPTH_MAX {
            return Err(self.refuse(at, report::TOO_COMPLEX, "aliases nest too deep here", "write fewer of them"));
        }
        self.charge(at, weight)?; // before the copy is made
        let Some(copy) = self.anchors.get(&anchor).cloned() else { return Ok(()) };
        self.place(copy, 0)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, mut node: Node, anchor: usize) -> Result<(), Refusal> {
        if anchor != 0 {
            self.charge(node.position, node.weight)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.weight += node.weight;
        match &mut parent.kind {
            OpenKind::List(items) => {
                node.index = items.len();
                items.push(node);
            }
            OpenKind::Map { entries, key, .. } => {
                if let Some((key, key_position)) = key.take() {
                    entries.push(Entry { key, key_position, node });
                }
            }
        }
        Ok(())
    }

    fn expect_key_is_text(&mut self, at: Position) -> Result<(), Refusal> {
        match self.open.last() {
            Some(Open { kind: OpenKind::Map { key: None, .. }, .. }) => Err(self.refuse(
                at,
                report::NOT_YAML,
                "a key must be plain text",
                "quote it, or check the brackets and dashes",
            )),
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, at: Position, code: &'static str, message: &str, help: &str) -> Refusal {
        self.report.error(Some(at), &SettingPath::root(), Fault::new(code, message, help));
        Refusal::Told
    }
}

/// Nesting of a node; its recursion is bounded by `DEPTH_MAX`, as no deeper node is built.
fn depth(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(..) => 0,
        Content::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Content::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0),
    }
}

/// A scalar as JSON. Whole floats become integers (`2.0` is 2); infinities stay words, as JSON has none.
fn value_of(scalar: Scalar<'_>, written: &str) -> Value {
    /// Beyond this a float no longer holds every integer.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(flag),
        Scalar::Integer(number) => number.into(),
        Scalar::FloatingPoint(number) => {
            let number = number.into_inner();
            if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
                Value::from(number as i64)
            } else {
                serde_json::Number::from_f64(number).map_or_else(|| Value::String(written.to_owned()), Value::Number)
            }
        }
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}

fn position(mark: &Marker) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(mark.line().max(1)), column: number(mark.col() + 1) }
}

/// The scanner's words, with the two causes that people meet most explained.
fn syntax_fault(text: &str, error: &ScanError) -> (Position, Fault) {
    let at = position(error.marker());
    let line = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
    let tab = line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t');
    if tab.is_some() || error.info().contains("tab") {
        let column = tab.map_or(at.column, |index| u32::try_from(index + 1).unwrap_or(u32::MAX));
        let message = "a tab stands where the indentation is";
        let fault = Fault::new(report::NOT_YAML, message, "indent with spaces; YAML forbids tabs there");
        return (Position { column, ..at }, fault);
    }
    let help = "check the indentation, colons, quotes and brackets on this line and the one before";
    (at, Fault::new(report::NOT_YAML, format!("this is not YAML: {}", excerpt(error.info())), help))
}
