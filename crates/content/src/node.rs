//! Reading a tree: a node, its relatives and its path.

use smallvec::SmallVec;

use crate::kind::Kind;
use crate::tree::{Content, Name, NameSpan, Node, NodeId, append_decimal};

/// A node of a [`Content`].
#[derive(Clone, Copy)]
pub struct NodeRef<'c> {
    pub(crate) content: &'c Content<'c>,
    pub(crate) node: &'c Node,
    pub(crate) id: u32,
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
            Name::Index(index) => format!(" {index}"),
            Name::Bytes(name) => format!(" {}", name.escape_ascii()),
        };
        write!(f, "{:?}{name} = {}", self.kind(), self.value().escape_ascii())
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

/// The children of one node.
pub struct Siblings<'c> {
    pub(crate) content: &'c Content<'c>,
    pub(crate) next: u32,
    pub(crate) end: u32,
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

/// The leaves, or nodes, of a tree with their paths; lends the path until the next step.
pub struct Walk<'c> {
    content: &'c Content<'c>,
    next: u32,
    path: Vec<u8>,
    /// Length of the path of the ancestor at each depth
    ends: SmallVec<[u32; 16]>,
}

impl<'c> Walk<'c> {
    pub(crate) fn new(content: &'c Content<'c>, mut path: Vec<u8>) -> Self {
        path.clear();
        Self { content, next: 0, path, ends: SmallVec::new() }
    }

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

    /// The next node of any kind and its path.
    pub fn next_node(&mut self) -> Option<(&[u8], NodeRef<'c>)> {
        let node = self.content.node_at(self.next)?;
        self.next = self.next.saturating_add(1);
        self.enter(node);
        Some((&self.path, node))
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
