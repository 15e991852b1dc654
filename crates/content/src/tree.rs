//! The tree: nodes in document order in one arena, names and values as spans of two byte buffers.
//!
//! A node knows its parent and where its subtree ends, so ancestors, children, subtrees and paths (`node.rs`) need
//! neither recursion nor further allocation.

use crate::fault::{Fault, FaultClass, FaultKind};
use crate::format::Format;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::node::{NodeRef, Siblings, Walk};

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
    /// Whether two of its keys may be equal
    pub(crate) may_repeat: bool,
    /// One bit of each key's fingerprint
    pub(crate) keys_seen: u64,
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
        Walk::new(self, Vec::new())
    }

    /// [`Self::walk`] with a buffer to write the paths to.
    pub fn walk_in(&self, path: Vec<u8>) -> Walk<'_> {
        Walk::new(self, path)
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
    pub(crate) fn node_at(&self, id: u32) -> Option<NodeRef<'_>> {
        self.scratch.nodes.get(id as usize).map(|node| NodeRef { content: self, node, id })
    }

    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
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
