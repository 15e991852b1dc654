//! The tree: nodes in document order in one arena, names and values as spans of two byte buffers.
//!
//! A node knows its parent and where its subtree ends, so ancestors, children, subtrees and paths need neither
//! recursion nor further allocation.

use smallvec::SmallVec;

use crate::fault::{Fault, FaultClass, FaultKind};
use crate::format::Format;
use crate::limits::Limit;

/// A decoded body, query, cookie header or document; borrows the bytes it was decoded from.
#[derive(Debug)]
pub struct Content<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) format: Format<'a>,
    pub(crate) scratch: Scratch,
}

/// The buffers of a [`Content`], to be used again for the next one.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) nodes: Vec<Node>,
    pub(crate) decoded: Vec<u8>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) fault_count: u32,
    pub(crate) kinds_seen: u128,
    pub(crate) limits_seen: u128,
    pub(crate) open: Vec<Open>,
    pub(crate) keys: Vec<(u64, u32)>,
}

/// A node that is not closed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) node: u32,
    pub(crate) children: u32,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes that no decoder knows
    Raw,
    /// JSON object, GraphQL object literal
    Object,
    /// JSON array, GraphQL list literal
    Array,
    /// String of JSON, GraphQL or protobuf, decoded
    String,
    /// Number as written
    Number,
    /// `true` or `false` as written
    Bool,
    /// `null` as written
    Null,
    /// `name=value` of a query or form, percent-decoded
    Pair,
    /// `name=value` of a cookie header, as sent
    Cookie,
    /// A part of a multipart body without a file name
    Field,
    /// A part with a file name
    File,
    /// A header line of a part; raw is the whole line
    Header,
    /// A part's file name
    Filename,
    /// XML element
    Element,
    /// XML attribute, value decoded
    Attribute,
    /// XML namespace declaration: `xmlns` or `xmlns:prefix`
    Namespace,
    /// XML text and CDATA, decoded
    Text,
    /// XML text of white space only
    Space,
    /// XML comment
    Comment,
    /// XML processing instruction
    Instruction,
    /// GraphQL operation; its value is `query`, `mutation` or `subscription`
    Operation,
    /// GraphQL fragment definition; its value is the type condition
    Fragment,
    /// GraphQL field; named by its alias, else its name; its value is the name
    Selection,
    /// GraphQL fragment spread; named by the fragment
    Spread,
    /// GraphQL inline fragment; its value is the type condition
    InlineFragment,
    /// GraphQL directive
    Directive,
    /// GraphQL variable definition; its value is the type
    VariableDefinition,
    /// GraphQL use of a variable
    Variable,
    /// GraphQL enum literal
    Enum,
    /// gRPC length-prefixed message
    Frame,
    /// Protobuf field that reads as a message
    Message,
    /// Protobuf field that reads both as a message and as text
    MessageOrText,
    /// Protobuf field of bytes that are neither message nor text
    Bytes,
    /// Protobuf varint, 32- or 64-bit field; its value is the unsigned number in decimal
    Scalar,
}

impl Kind {
    /// Whether its value is what an application would take as a value of its input.
    ///
    /// Files, part headers, comments and raw bytes are not: ask for them by kind.
    #[inline]
    pub const fn is_leaf(self) -> bool {
        match self {
            Self::String
            | Self::Number
            | Self::Bool
            | Self::Null
            | Self::Pair
            | Self::Cookie
            | Self::Field
            | Self::Attribute
            | Self::Text
            | Self::Enum
            | Self::MessageOrText
            | Self::Bytes
            | Self::Scalar => true,
            Self::Raw
            | Self::Object
            | Self::Array
            | Self::File
            | Self::Header
            | Self::Filename
            | Self::Element
            | Self::Namespace
            | Self::Space
            | Self::Comment
            | Self::Instruction
            | Self::Operation
            | Self::Fragment
            | Self::Selection
            | Self::Spread
            | Self::InlineFragment
            | Self::Directive
            | Self::VariableDefinition
            | Self::Variable
            | Self::Frame
            | Self::Message => false,
        }
    }
}

/// The number of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// Bytes of the source, or (top bit of `start`) of the decoded buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    pub(crate) len: u32,
}

const DECODED: u32 = 1 << 31;

/// LIMIT: bytes of a source; spans are 31 bits. A longer source is cut there, with a fault.
pub(crate) const SOURCE_BYTES_MAX: usize = (DECODED - 1) as usize;

#[expect(clippy::cast_possible_truncation, reason = "sources are at most SOURCE_BYTES_MAX long, buffers no longer")]
impl Span {
    /// Bytes `start..end` of the source.
    #[inline]
    pub(crate) const fn source(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: end.saturating_sub(start) as u32 }
    }

    /// Bytes `start..end` of the decoded buffer.
    #[inline]
    pub(crate) const fn decoded(start: usize, end: usize) -> Self {
        Self { start: start as u32 | DECODED, len: end.saturating_sub(start) as u32 }
    }

    /// Whether the bytes are in the decoded buffer, and where.
    #[inline]
    pub(crate) const fn place(self) -> (bool, usize) {
        (self.start & DECODED != 0, (self.start & !DECODED) as usize)
    }
}

/// The name of a node inside its parent, stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameSpan {
    None,
    Index(u32),
    Bytes(Span),
}

/// One node of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) depth: u16,
    pub(crate) parent: u32,
    pub(crate) end: u32,
    pub(crate) name: NameSpan,
    pub(crate) value: Span,
    pub(crate) raw: Span,
}

pub(crate) const NO_PARENT: u32 = u32::MAX;

/// The name of a node inside its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'c> {
    /// It has none: a root, a text
    None,
    /// Its place in an array, or a protobuf field number
    Index(u32),
    /// A key, decoded
    Bytes(&'c [u8]),
}

/// The bytes of a span, from the source or the decoded buffer.
#[inline]
pub(crate) fn span_bytes<'c>(source: &'c [u8], decoded: &'c [u8], span: Span) -> &'c [u8] {
    let (is_decoded, start) = span.place();
    let buffer = if is_decoded { decoded } else { source };
    buffer.get(start..start.saturating_add(span.len as usize)).unwrap_or_default()
}

impl<'a> Content<'a> {
    /// What it was decoded as.
    pub fn format(&self) -> Format<'a> {
        self.format
    }

    /// The bytes it was decoded from.
    pub fn source(&self) -> &'a [u8] {
        self.source
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.scratch.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.scratch.nodes.is_empty()
    }

    /// All nodes in document order, each before its descendants.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeRef<'_>> {
        (0..self.node_count()).zip(&self.scratch.nodes).map(|(id, node)| NodeRef { content: self, node, id })
    }

    /// The nodes of one kind in document order.
    pub fn of_kind(&self, kind: Kind) -> impl DoubleEndedIterator<Item = NodeRef<'_>> {
        self.nodes().filter(move |node| node.kind() == kind)
    }

    /// The nodes whose kind [is a leaf](Kind::is_leaf), in document order.
    pub fn leaves(&self) -> impl DoubleEndedIterator<Item = NodeRef<'_>> {
        self.nodes().filter(|node| node.kind().is_leaf())
    }

    /// The nodes that have no parent: one document, or the pairs and parts of a form.
    pub fn roots(&self) -> Siblings<'_> {
        Siblings { content: self, next: 0, end: self.node_count() }
    }

    /// The leaves with their dotted paths; the cheapest way to have every path.
    pub fn walk(&self) -> Walk<'_> {
        Walk { content: self, next: 0, path: Vec::new(), ends: SmallVec::new() }
    }

    /// [`Self::walk`] with a buffer to write the paths to.
    pub fn walk_in(&self, mut path: Vec<u8>) -> Walk<'_> {
        path.clear();
        Walk { content: self, next: 0, path, ends: SmallVec::new() }
    }

    /// The node of this number; `None` only for a number of another tree.
    pub fn node(&self, id: NodeId) -> Option<NodeRef<'_>> {
        self.node_at(id.0)
    }

    /// What was noticed: the first 32 faults and the first of each kind and limit.
    pub fn faults(&self) -> &[Fault] {
        &self.scratch.faults
    }

    /// How many faults there were, kept or not.
    pub fn fault_count(&self) -> u32 {
        self.scratch.fault_count
    }

    /// Whether a fault of this kind was noticed.
    pub fn has(&self, kind: FaultKind) -> bool {
        self.scratch.kinds_seen >> kind as u32 & 1 == 1
    }

    /// Whether this limit was reached.
    pub fn has_reached(&self, limit: Limit) -> bool {
        self.scratch.limits_seen >> limit as u32 & 1 == 1
    }

    /// Whether the document follows its format's grammar, as far as it was read.
    pub fn is_well_formed(&self) -> bool {
        self.faults().iter().all(|fault| fault.kind.class() != FaultClass::Syntax)
    }

    /// The fault that ended decoding before the end of the source.
    pub fn stopped(&self) -> Option<&Fault> {
        self.faults().iter().find(|fault| fault.has_stopped)
    }

    /// Appends the text of all elements, as XPath's string value of the document: what `XML:/*` means.
    pub fn append_text(&self, out: &mut Vec<u8>) {
        for node in self.nodes().filter(|node| matches!(node.kind(), Kind::Text | Kind::Space)) {
            out.extend_from_slice(node.value());
        }
    }

    /// The buffers, for [`decode_in`](crate::decode_in).
    pub fn into_scratch(self) -> Scratch {
        self.scratch
    }

    fn node_count(&self) -> u32 {
        u32::try_from(self.scratch.nodes.len()).unwrap_or(NO_PARENT)
    }

    #[inline]
    fn node_at(&self, id: u32) -> Option<NodeRef<'_>> {
        self.scratch.nodes.get(id as usize).map(|node| NodeRef { content: self, node, id })
    }

    #[inline]
    fn bytes(&self, span: Span) -> &[u8] {
        span_bytes(self.source, &self.scratch.decoded, span)
    }
}

impl Scratch {
    /// Forgets what it holds and keeps the memory.
    pub fn clear(&mut self) {
        let Self { nodes, decoded, faults, fault_count, kinds_seen, limits_seen, open, keys } = self;
        nodes.clear();
        decoded.clear();
        faults.clear();
        open.clear();
        keys.clear();
        (*fault_count, *kinds_seen, *limits_seen) = (0, 0, 0);
    }
}

/// A node of a [`Content`].
#[derive(Clone, Copy)]
pub struct NodeRef<'c> {
    content: &'c Content<'c>,
    node: &'c Node,
    id: u32,
}

impl<'c> NodeRef<'c> {
    /// Its number.
    pub fn id(&self) -> NodeId {
        NodeId(self.id)
    }

    /// What it is.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    /// How many ancestors it has.
    pub fn depth(&self) -> u16 {
        self.node.depth
    }

    /// Its name inside its parent.
    #[inline]
    pub fn name(&self) -> Name<'c> {
        match self.node.name {
            NameSpan::None => Name::None,
            NameSpan::Index(index) => Name::Index(index),
            NameSpan::Bytes(span) => Name::Bytes(self.content.bytes(span)),
        }
    }

    /// Its name if that is bytes, else nothing.
    #[inline]
    pub fn key(&self) -> &'c [u8] {
        match self.name() {
            Name::Bytes(key) => key,
            Name::None | Name::Index(_) => &[],
        }
    }

    /// Its value, decoded.
    #[inline]
    pub fn value(&self) -> &'c [u8] {
        self.content.bytes(self.node.value)
    }

    /// Its source bytes: a string without its quotes, a whole pair, a whole element, a part's header line.
    pub fn raw(&self) -> &'c [u8] {
        self.content.bytes(self.node.raw)
    }

    /// Where [`Self::raw`] is in the source; `None` if it lies in decoded bytes.
    pub fn raw_range(&self) -> Option<std::ops::Range<usize>> {
        let (is_decoded, start) = self.node.raw.place();
        (!is_decoded).then(|| start..start.saturating_add(self.node.raw.len as usize))
    }

    /// Whether its value had to be decoded, so that it differs from what was sent.
    pub fn is_decoded(&self) -> bool {
        self.node.value.place().0
    }

    /// The node it is in.
    pub fn parent(&self) -> Option<NodeRef<'c>> {
        self.content.node_at(self.node.parent)
    }

    /// The nodes directly in it.
    pub fn children(&self) -> Siblings<'c> {
        Siblings { content: self.content, next: self.id.saturating_add(1), end: self.node.end }
    }

    /// All nodes in it, at any depth, in document order.
    pub fn descendants(&self) -> impl Iterator<Item = NodeRef<'c>> + use<'c> {
        let content = self.content;
        (self.id.saturating_add(1)..self.node.end).filter_map(move |id| content.node_at(id))
    }

    /// The first child of this name.
    pub fn child(&self, key: &[u8]) -> Option<NodeRef<'c>> {
        self.children().find(|child| child.name() == Name::Bytes(key))
    }

    /// The file name of a multipart part.
    pub fn filename(&self) -> Option<&'c [u8]> {
        self.children().find(|child| child.kind() == Kind::Filename).map(|child| child.value())
    }

    /// The header lines of a multipart part.
    pub fn headers(&self) -> impl Iterator<Item = NodeRef<'c>> + use<'c> {
        self.children().filter(|child| child.kind() == Kind::Header)
    }

    /// The value of a multipart part's header field, ASCII case of the name ignored.
    pub fn header(&self, name: &[u8]) -> Option<&'c [u8]> {
        self.headers().find(|header| header.key().eq_ignore_ascii_case(name)).map(|header| header.value())
    }

    /// Appends the dotted path, as `json.items.0.sku`; linear in the depth.
    pub fn append_path(&self, out: &mut Vec<u8>) {
        let mut ancestors = SmallVec::<[NodeRef<'c>; 16]>::new();
        let mut next = Some(*self);
        while let Some(node) = next {
            ancestors.push(node);
            next = node.parent();
        }
        out.extend_from_slice(self.content.format.root());
        for node in ancestors.iter().rev() {
            append_step(*node, out);
        }
    }
}

impl std::fmt::Debug for NodeRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.name() {
            Name::None => String::new(),
            Name::Index(index) => index.to_string(),
            Name::Bytes(name) => name.escape_ascii().to_string(),
        };
        write!(f, "{:?} {name} = {}", self.kind(), self.value().escape_ascii())
    }
}

fn append_step(node: NodeRef<'_>, out: &mut Vec<u8>) {
    match node.name() {
        Name::None => {}
        Name::Index(index) => {
            append_dot(out);
            append_decimal(index, out);
        }
        Name::Bytes(name) => {
            append_dot(out);
            if node.kind() == Kind::Attribute {
                out.push(b'@');
            }
            out.extend_from_slice(name);
        }
    }
}

fn append_dot(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b'.');
    }
}

/// Appends a number in decimal.
pub(crate) fn append_decimal(number: impl Into<u64>, out: &mut Vec<u8>) {
    let mut rest: u64 = number.into();
    let start = out.len();
    loop {
        out.push(b'0' | (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// The children of one node.
pub struct Siblings<'c> {
    content: &'c Content<'c>,
    next: u32,
    end: u32,
}

impl<'c> Iterator for Siblings<'c> {
    type Item = NodeRef<'c>;

    fn next(&mut self) -> Option<NodeRef<'c>> {
        if self.next >= self.end {
            return None;
        }
        let node = self.content.node_at(self.next)?;
        self.next = node.node.end;
        Some(node)
    }
}

/// The leaves of a tree with their paths; lends the path until the next step.
pub struct Walk<'c> {
    content: &'c Content<'c>,
    next: u32,
    path: Vec<u8>,
    /// Length of the path of the ancestor at each depth
    ends: SmallVec<[u32; 16]>,
}

impl<'c> Walk<'c> {
    /// The next leaf and its path.
    #[expect(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Option<(&[u8], NodeRef<'c>)> {
        loop {
            let node = self.content.node_at(self.next)?;
            self.next = self.next.saturating_add(1);
            self.enter(node);
            if node.kind().is_leaf() {
                return Some((&self.path, node));
            }
        }
    }

    /// The buffer, for [`Content::walk_in`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.path
    }

    #[expect(clippy::cast_possible_truncation, reason = "a path is no longer than its source and the indexes in it")]
    fn enter(&mut self, node: NodeRef<'c>) {
        let depth = node.node.depth as usize;
        self.ends.truncate(depth);
        match self.ends.last() {
            Some(&end) => self.path.truncate(end as usize),
            None => {
                self.path.clear();
                self.path.extend_from_slice(self.content.format.root());
            }
        }
        append_step(node, &mut self.path);
        self.ends.push(self.path.len() as u32);
    }
}
