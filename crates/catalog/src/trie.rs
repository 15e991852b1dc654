//! The path trie of one host: raw segments, literal or variable, with the evidence that templating needs.
//!
//! Nodes live in one vector and name each other by index; the children of a node are a sorted vector, so a lookup is a
//! binary search without hashing. Methods stand at the node where a path ends. A walk takes the literal if there is one,
//! else the variable if the segment looks like one of its values; its cost is the path's length, but where that way ends
//! nowhere and a merge has left another.

use std::collections::BTreeSet;
use std::sync::Arc;

use bartizan_model::ValueKind;
use serde::{Deserialize, Serialize};

use crate::distinct::Distinct;
use crate::form::{CERTAIN, Form, Odds, kind_of};
use crate::limits::DEPTH_MAX;
use crate::tally::Tally;
use crate::templating::leans_to_value;

/// Index of a node.
pub(crate) type NodeId = u32;

/// Index of an endpoint's entry in its host.
pub(crate) type Slot = u32;

/// The node where every path begins.
pub(crate) const ROOT: NodeId = 0;

/// One place in the trie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    /// Segments before this node's end: 0 at the root
    pub(crate) depth: u8,
    /// The literal segment; `None` for a variable and the root
    pub(crate) segment: Option<Arc<str>>,
    /// Literal children, by segment
    pub(crate) literals: Vec<(Arc<str>, NodeId)>,
    /// The variable child
    pub(crate) parameter: Option<NodeId>,
    /// Endpoints that end here, by method
    pub(crate) methods: Vec<(Arc<str>, Slot)>,
    /// Answered requests that came through
    pub(crate) requests: u64,
    /// Which of 64 groups of actors they came from, a bit each
    pub(crate) actors: u64,
    /// How its segment leans
    pub(crate) odds: Odds,
    /// How its children lean, because of what it is
    pub(crate) context: Odds,
    /// A person said that its children are literals
    pub(crate) pinned: bool,
    /// What is known of the values, for a variable
    pub(crate) variable: Option<Box<Variable>>,
}

/// What is known of the values of a variable segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variable {
    /// Kind of the first value; the parameter's name depends on it
    pub(crate) kind: ValueKind,
    /// How many values there were
    pub(crate) distinct: Distinct,
    /// How many words were found to be values by sibling evidence
    pub(crate) words: u64,
    /// What the siblings say: added to the odds of a segment that is asked for later
    pub(crate) bias: Odds,
    /// Values known one by one, ascending
    pub(crate) values: Vec<Value>,
    /// There were more
    pub(crate) overflow: bool,
}

/// One value of a variable segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Value {
    pub(crate) text: Arc<str>,
    /// Requests since it became a value
    pub(crate) requests: u64,
    /// What was beneath it while it was a literal
    pub(crate) archive: Vec<Archived>,
}

/// One endpoint as it was before its merge: the segments after the merged one (`None` for a variable), method, counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archived {
    pub(crate) suffix: Vec<Option<Arc<str>>>,
    pub(crate) method: Arc<str>,
    pub(crate) tally: Tally,
}

impl Variable {
    pub(crate) fn new(kind: ValueKind) -> Self {
        Self {
            kind,
            distinct: Distinct::default(),
            words: 0,
            bias: CERTAIN, // words beside numbers are names until the siblings say otherwise
            values: Vec::new(),
            overflow: false,
        }
    }

    /// The known value with this text, or where it would stand.
    pub(crate) fn find(&self, text: &str) -> Result<usize, usize> {
        self.values.binary_search_by(|value| (*value.text).cmp(text))
    }
}

/// LIMIT: ways that are tried when the first ends nowhere; merges leave one, rarely two.
const DETOURS_MAX: usize = 16;

/// A path cut into segments, and the nodes it leads through.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'p> {
    segments: [&'p str; DEPTH_MAX],
    kinds: [ValueKind; DEPTH_MAX],
    len: usize,
    nodes: [NodeId; DEPTH_MAX + 1],
    reached: usize,
}

impl<'p> Walk<'p> {
    /// Cuts a path. `None` for one that does not begin with `/` or is deeper than the catalog goes.
    pub(crate) fn cut(path: &'p str) -> Option<Self> {
        let mut walk = Self {
            segments: [""; DEPTH_MAX],
            kinds: [ValueKind::Empty; DEPTH_MAX],
            len: 0,
            nodes: [ROOT; DEPTH_MAX + 1],
            reached: 0,
        };
        for segment in path.strip_prefix('/')?.split('/') {
            *walk.segments.get_mut(walk.len)? = segment;
            walk.len += 1;
        }
        Some(walk)
    }

    /// All segments; with their kinds where a variable was reached, which is where they are asked for.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&'p str, ValueKind)> {
        self.segments.iter().copied().zip(self.kinds.iter().copied()).take(self.len)
    }

    /// The first segment that no node was found for.
    pub(crate) fn next_segment(&self) -> Option<&'p str> {
        self.segments.get(self.reached).copied().filter(|_| self.reached < self.len)
    }

    /// How many segments no node was found for.
    pub(crate) const fn missing(&self) -> usize {
        self.len - self.reached
    }

    /// The nodes that were reached, the root first.
    pub(crate) fn nodes(&self) -> &[NodeId] {
        self.nodes.get(..=self.reached).unwrap_or_default()
    }

    /// The last node that was reached.
    pub(crate) fn last(&self) -> NodeId {
        self.nodes().last().copied().unwrap_or(ROOT)
    }

    /// Whether every segment has its node.
    pub(crate) const fn is_complete(&self) -> bool {
        self.reached == self.len
    }

    /// Goes back to the root.
    pub(crate) const fn restart(&mut self) {
        self.reached = 0;
    }

    /// Goes one node further, to a variable if the segment's kind is given.
    pub(crate) fn push(&mut self, node: NodeId, kind: Option<ValueKind>) {
        if let (Some(kind), Some(slot)) = (kind, self.kinds.get_mut(self.reached)) {
            *slot = kind;
        }
        if self.reached < self.len
            && let Some(slot) = self.nodes.get_mut(self.reached + 1)
        {
            *slot = node;
            self.reached += 1;
        }
    }
}

/// The trie of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Lowest first, so that a loaded trie goes on like the one that was saved
    free: BTreeSet<NodeId>,
    literals_max: usize,
}

impl Trie {
    pub(crate) fn new(literals_max: usize) -> Self {
        let root = Node { context: ROOT_CONTEXT, ..Node::default() };
        Self { nodes: vec![root], free: BTreeSet::new(), literals_max }
    }

    /// Nodes in use.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    // INVARIANT: a NodeId is made by `add` (or checked by `restore`) and is dropped from its parent before `remove` frees it
    #[expect(clippy::indexing_slicing, reason = "ids never dangle, see the invariant")]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "ids never dangle, see the invariant")]
    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// Follows the path as far as there are nodes.
    pub(crate) fn walk(&self, walk: &mut Walk<'_>) {
        self.descend(walk);
        if self.is_known(walk) {
            return;
        }
        // A merge may have made a literal and a value of one text neighbors: what lies behind the value is still there.
        // Where literals end nowhere, the values are tried, as the engine's router does.
        let mut open: Vec<(Walk<'_>, usize)> = Vec::new();
        let mut next = Some((walk.clone(), 0));
        for _ in 0..DETOURS_MAX {
            let Some((base, from)) = next.take().or_else(|| open.pop()) else { return };
            for position in (from..base.reached).rev() {
                let Some(mut detour) = self.detour(&base, position) else { continue };
                self.descend(&mut detour);
                if self.is_known(&detour) {
                    *walk = detour;
                    return;
                }
                open.push((detour, position + 1));
            }
        }
    }

    /// The walk up to `position`, and from there to the variable that holds the segment, if the walk went to a literal.
    fn detour<'p>(&self, walk: &Walk<'p>, position: usize) -> Option<Walk<'p>> {
        let (at, taken) = (*walk.nodes.get(position)?, *walk.nodes.get(position + 1)?);
        let segment = *walk.segments.get(position)?;
        let parameter = self.node(at).parameter.filter(|parameter| *parameter != taken)?;
        let variable = self.node(parameter).variable.as_deref()?;
        if !variable.overflow && variable.find(segment).is_err() {
            return None;
        }
        let mut detour = walk.clone();
        detour.reached = position;
        detour.push(parameter, Some(kind_of(segment)));
        Some(detour)
    }

    /// Whether the walk ends where some method is known.
    fn is_known(&self, walk: &Walk<'_>) -> bool {
        walk.is_complete() && !self.node(walk.last()).methods.is_empty()
    }

    /// Goes on by literals, and by variables where there is none.
    fn descend(&self, walk: &mut Walk<'_>) {
        while let Some(segment) = walk.next_segment() {
            let at = walk.last();
            if let Some(child) = self.literal(at, segment) {
                walk.push(child, None); // PERF: a literal's kind is never looked at, 40 ns a segment
                continue;
            }
            let Some(child) = self.node(at).parameter else { return };
            let kind = kind_of(segment);
            if !self.is_value(at, segment, kind) {
                return;
            }
            walk.push(child, Some(kind));
        }
    }

    /// The literal child with this segment.
    pub(crate) fn literal(&self, at: NodeId, segment: &str) -> Option<NodeId> {
        let literals = &self.node(at).literals;
        let found = literals.binary_search_by(|(literal, _)| (**literal).cmp(segment)).ok()?;
        literals.get(found).map(|(_, child)| *child)
    }

    /// Whether a segment that is no literal child of `at` is a value there.
    pub(crate) fn is_value(&self, at: NodeId, segment: &str, kind: ValueKind) -> bool {
        let node = self.node(at);
        if segment.is_empty() {
            return false; // a parameter takes one non-empty segment
        }
        if segment.contains(['{', '}']) || node.literals.len() >= self.literals_max {
            return true;
        }
        if node.pinned {
            return false;
        }
        match Form::of(segment, kind, usize::from(node.depth)) {
            Form::Value => true,
            Form::Open(odds) => match node.parameter.and_then(|child| self.node(child).variable.as_deref()) {
                // a merged value stays one, even if its own form would not say so
                Some(variable) => leans_to_value(odds, node.context, variable.bias) || variable.find(segment).is_ok(),
                None => false,
            },
        }
    }

    /// Adds a literal child.
    pub(crate) fn add_literal(&mut self, at: NodeId, segment: &Arc<str>, kind: ValueKind) -> NodeId {
        let (depth, position) = (self.node(at).depth.saturating_add(1), usize::from(self.node(at).depth));
        let odds = match Form::of(segment, kind, position) {
            Form::Open(odds) => odds,
            Form::Value => -300, // a literal by a person's decision
        };
        let context = context_of(segment, odds);
        let node = Node { parent: at, depth, segment: Some(Arc::clone(segment)), odds, context, ..Node::default() };
        let child = self.add(node);
        self.link_literal(at, segment, child);
        child
    }

    /// Puts `child` among the literals of `at`.
    pub(crate) fn link_literal(&mut self, at: NodeId, segment: &Arc<str>, child: NodeId) {
        let literals = &mut self.node_mut(at).literals;
        if let Err(place) = literals.binary_search_by(|(literal, _)| literal.cmp(segment)) {
            literals.insert(place, (Arc::clone(segment), child));
        }
    }

    /// The variable child, made if there is none; `kind` is that of its first value.
    pub(crate) fn ensure_parameter(&mut self, at: NodeId, kind: ValueKind) -> NodeId {
        if let Some(child) = self.node(at).parameter {
            return child;
        }
        let variable = Some(Box::new(Variable::new(kind)));
        let depth = self.node(at).depth.saturating_add(1);
        let child = self.add(Node { parent: at, depth, variable, context: PARAMETER_CONTEXT, ..Node::default() });
        self.node_mut(at).parameter = Some(child);
        child
    }

    fn add(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop_first() {
            *self.node_mut(id) = node;
            return id;
        }
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX); // LIMIT: nodes_max keeps far below
        self.nodes.push(node);
        id
    }

    /// Frees a node that nothing points to any more.
    pub(crate) fn remove(&mut self, id: NodeId) -> Node {
        self.free.insert(id);
        std::mem::take(self.node_mut(id))
    }

    /// The nodes from `top` downwards, parents first.
    pub(crate) fn subtree(&self, top: NodeId) -> Vec<NodeId> {
        let mut found = vec![top];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            let node = self.node(id);
            found.extend(node.literals.iter().map(|(_, child)| *child).chain(node.parameter));
            next += 1;
        }
        found
    }

    /// The nodes from the root down to `id`, without the root.
    pub(crate) fn lineage(&self, mut id: NodeId) -> Vec<NodeId> {
        let mut line = Vec::new();
        while id != ROOT {
            line.push(id);
            id = self.node(id).parent;
        }
        line.reverse();
        line
    }

    /// Removes nodes without endpoints and children, from `id` upwards.
    pub(crate) fn prune(&mut self, mut id: NodeId) {
        while id != ROOT {
            let node = self.node(id);
            if !node.methods.is_empty() || !node.literals.is_empty() || node.parameter.is_some() || node.pinned {
                return;
            }
            let parent = node.parent;
            let above = self.node_mut(parent);
            above.literals.retain(|(_, child)| *child != id);
            above.parameter = above.parameter.filter(|child| *child != id);
            self.remove(id);
            id = parent;
        }
    }

    /// Every node with its id, for saving.
    pub(crate) fn saved(&self) -> Vec<(NodeId, &Node)> {
        self.subtree(ROOT).into_iter().map(|id| (id, self.node(id))).collect()
    }

    /// The trie that was saved; `None` when the nodes do not form a tree.
    pub(crate) fn restore(saved: Vec<(NodeId, Node)>, literals_max: usize, nodes_max: usize) -> Option<Self> {
        let mut trie = Self::new(literals_max);
        let size = saved.iter().map(|(id, _)| *id as usize + 1).max()?;
        if size > nodes_max.checked_mul(4)? {
            return None;
        }
        trie.nodes.resize(size, Node::default());
        let mut pending = vec![true; size];
        for (id, node) in saved {
            *pending.get_mut(id as usize)? = false;
            *trie.nodes.get_mut(id as usize)? = node;
        }
        trie.free = (0..).zip(&pending).filter(|(_, pending)| **pending).map(|(id, _)| id).collect();
        trie.is_tree(&pending).then_some(trie)
    }

    /// Whether every node in use is the child of exactly one other, one level deeper, and every id is in use.
    fn is_tree(&self, pending: &[bool]) -> bool {
        let mut seen = vec![false; self.nodes.len()];
        let mut stack = vec![ROOT];
        while let Some(id) = stack.pop() {
            match (seen.get_mut(id as usize), pending.get(id as usize)) {
                (Some(seen), Some(false)) if !*seen => *seen = true,
                _ => return false,
            }
            let node = self.node(id);
            let fits = |child: &NodeId| {
                self.nodes.get(*child as usize).is_some_and(|below| {
                    below.parent == id && below.depth == node.depth + 1 && usize::from(below.depth) <= DEPTH_MAX
                })
            };
            let sorted = node.literals.is_sorted_by(|a, b| a.0 < b.0);
            let variable = node.parameter.is_none_or(|child| {
                self.nodes.get(child as usize).is_some_and(|below| below.variable.is_some() && below.segment.is_none())
            });
            let children = || node.literals.iter().map(|(_, child)| child).chain(&node.parameter);
            if !sorted || !variable || !children().all(fits) {
                return false;
            }
            stack.extend(children());
        }
        seen.iter().zip(pending).all(|(seen, pending)| seen != pending)
    }
}

/// Beneath the root and beneath versions stand names.
const ROOT_CONTEXT: Odds = 300;

/// Beneath a value mostly stand names: `/users/{id}/orders`.
const PARAMETER_CONTEXT: Odds = 175;

/// How the children of a literal lean: ids follow plural nouns and `by-…`.
fn context_of(segment: &str, odds: Odds) -> Odds {
    if odds >= CERTAIN || ["api", "apis", "rest", "public", "internal"].contains(&segment) {
        ROOT_CONTEXT
    } else if is_by(segment) {
        -200
    } else if crate::form::is_plural(segment) {
        -100
    } else {
        0
    }
}

/// `by`, `by-name`, `byName`, `by_name`.
pub(crate) fn is_by(segment: &str) -> bool {
    segment.strip_prefix("by").is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(|c: char| c == '-' || c == '_' || c.is_ascii_uppercase())
    })
}
