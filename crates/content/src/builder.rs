//! The one writer of trees: every decoder pushes nodes, decoded bytes and faults through it, so every limit that all
//! formats share is checked in one place, before memory is taken.

use crate::encoding;
use crate::fault::{FAULTS_KEPT, Fault, FaultKind};
use crate::format::Format;
use crate::kind::Kind;
use crate::limits::{Limit, Limits};
use crate::tree::{Content, NO_PARENT, NameSpan, Node, NodeId, Open, SOURCE_BYTES_MAX, Scratch, Span, span_bytes};

/// Decoding has stopped; the fault is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop;

/// LIMIT: `usize` lengths compared with `u32` limits; longer ones count as the most.
pub(crate) fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// LIMIT: depth of a tree whatever the limits of its format say; a node stores its depth in 16 bits.
const DEPTH_MAX: u16 = u16::MAX;

pub(crate) struct Builder<'a, 'l> {
    pub(crate) source: &'a [u8],
    pub(crate) limits: &'l Limits,
    scratch: Scratch,
    /// Number and depth of the innermost open node
    parent: u32,
    depth: u16,
}

impl<'a, 'l> Builder<'a, 'l> {
    pub(crate) fn new(mut scratch: Scratch, source: &'a [u8], limits: &'l Limits) -> Self {
        scratch.clear();
        let cut = source.get(..SOURCE_BYTES_MAX);
        let mut builder = Self { source: cut.unwrap_or(source), limits, scratch, parent: NO_PARENT, depth: 0 };
        if cut.is_some_and(|cut| cut.len() < source.len()) {
            builder.limit_reached(Limit::DecodedBytes, SOURCE_BYTES_MAX);
        }
        builder
    }

    pub(crate) fn finish(mut self, format: Format<'a>) -> Content<'a> {
        while !self.scratch.open.is_empty() {
            self.close(self.source.len());
        }
        Content { source: self.source, format, scratch: self.scratch }
    }

    // Nodes

    /// Pushes a node without children.
    #[inline]
    pub(crate) fn leaf(&mut self, kind: Kind, name: NameSpan, value: Span, raw: Span) -> Result<(), Stop> {
        let id = self.next_node(raw)?;
        self.push(id, kind, name, value, raw);
        Ok(())
    }

    /// Pushes a node and opens it: what is pushed until [`Self::close`] is inside it.
    #[inline]
    pub(crate) fn open(&mut self, kind: Kind, name: NameSpan, value: Span, raw: Span) -> Result<u32, Stop> {
        let id = self.next_node(raw)?;
        if self.depth == DEPTH_MAX {
            return Err(self.limit_reached(Limit::Nodes, raw.place().1));
        }
        self.push(id, kind, name, value, raw);
        self.scratch.open.push(Open { node: id, children: 0, kind, may_repeat: false, keys_seen: 0 });
        self.parent = id;
        self.depth += 1;
        Ok(id)
    }

    /// Closes the innermost open node; `end` is the byte of the source after it, if its raw span grew since.
    #[inline]
    pub(crate) fn close(&mut self, end: usize) {
        let next = self.next_id();
        if let Some(closed) = self.scratch.open.pop()
            && let Some(node) = self.scratch.nodes.get_mut(closed.node as usize)
        {
            node.end = next;
            let (is_decoded, start) = node.raw.place();
            if !is_decoded && end > start {
                node.raw = Span::source(start, end);
            }
            self.parent = node.parent;
            self.depth = node.depth;
        }
    }

    /// Closes the innermost open node without touching its raw span.
    pub(crate) fn close_as_is(&mut self) {
        self.close(0);
    }

    #[inline]
    fn next_id(&self) -> u32 {
        saturated(self.scratch.nodes.len())
    }

    #[inline]
    fn next_node(&mut self, raw: Span) -> Result<u32, Stop> {
        let id = self.next_id();
        // INVARIANT: ids stay below NO_PARENT, whatever the limit says.
        if id >= self.limits.nodes || id == NO_PARENT {
            return Err(self.limit_reached(Limit::Nodes, raw.place().1));
        }
        Ok(id)
    }

    #[inline]
    fn push(&mut self, id: u32, kind: Kind, name: NameSpan, value: Span, raw: Span) {
        let end = id.wrapping_add(1);
        self.scratch.nodes.push(Node { kind, depth: self.depth, parent: self.parent, end, name, value, raw });
    }

    /// How many nodes are open.
    #[inline]
    pub(crate) fn open_count(&self) -> u32 {
        saturated(self.scratch.open.len())
    }

    /// The innermost open node.
    #[inline]
    pub(crate) fn innermost(&self) -> Option<Open> {
        self.scratch.open.last().copied()
    }

    /// Counts one more child of the innermost open node; returns how many there are now.
    #[inline]
    pub(crate) fn count_child(&mut self) -> u32 {
        self.scratch.open.last_mut().map_or(0, |open| {
            open.children = open.children.saturating_add(1);
            open.children
        })
    }

    pub(crate) fn node_mut(&mut self, id: u32) -> Option<&mut Node> {
        self.scratch.nodes.get_mut(id as usize)
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.scratch.nodes
    }

    /// Forgets every node from `id` on and what was decoded from `decoded` on: a guess that failed.
    pub(crate) fn roll_back(&mut self, id: u32, decoded: usize) {
        self.scratch.nodes.truncate(id as usize);
        self.scratch.decoded.truncate(decoded);
    }

    // Bytes

    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        span_bytes(self.source, &self.scratch.decoded, span)
    }

    /// Where the next decoded byte goes.
    pub(crate) fn mark(&self) -> usize {
        self.scratch.decoded.len()
    }

    /// The bytes decoded since `mark`.
    pub(crate) fn decoded_since(&self, mark: usize) -> Span {
        Span::decoded(mark, self.scratch.decoded.len())
    }

    /// The decoded buffer, to append at most `more` bytes to; refused before memory is taken.
    pub(crate) fn decoded_buffer(&mut self, more: usize, at: usize) -> Result<&mut Vec<u8>, Stop> {
        let wanted = self.scratch.decoded.len().saturating_add(more);
        if wanted > self.limits.decoded_bytes as usize || wanted > SOURCE_BYTES_MAX {
            return Err(self.limit_reached(Limit::DecodedBytes, at));
        }
        Ok(&mut self.scratch.decoded)
    }

    /// The span of bytes: of the source if they lie in it, else of a copy.
    pub(crate) fn span_of(&mut self, bytes: &[u8], at: usize) -> Result<Span, Stop> {
        if let Some(start) = encoding::offset_in(self.source, bytes) {
            return Ok(Span::source(start, start + bytes.len()));
        }
        let mark = self.mark();
        self.decoded_buffer(bytes.len(), at)?.extend_from_slice(bytes);
        Ok(self.decoded_since(mark))
    }

    /// Decodes `%hh` and `+` of source bytes `start..end`; the span is of the source if there is nothing to decode.
    pub(crate) fn percent_decoded(&mut self, start: usize, end: usize) -> Result<Span, Stop> {
        let source = self.source;
        let bytes = source.get(start..end).unwrap_or_default();
        if memchr::memchr2(b'%', b'+', bytes).is_none() {
            return Ok(Span::source(start, end));
        }
        let mark = self.mark();
        let bad = encoding::percent_decode_form(bytes, self.decoded_buffer(bytes.len(), start)?);
        if let Some(bad) = bad {
            self.fault(FaultKind::BadPercent, start.saturating_add(bad));
        }
        Ok(self.decoded_since(mark))
    }

    // Faults

    /// Notes a fault and goes on.
    pub(crate) fn fault(&mut self, kind: FaultKind, at: usize) {
        self.note(kind, None, at, false);
    }

    /// Notes a fault that ends decoding.
    #[cold]
    pub(crate) fn stop(&mut self, kind: FaultKind, at: usize) -> Stop {
        self.note(kind, None, at, true);
        Stop
    }

    /// Notes a limit that ends decoding.
    #[cold]
    pub(crate) fn limit_reached(&mut self, limit: Limit, at: usize) -> Stop {
        self.note(FaultKind::LimitReached, Some(limit), at, true);
        Stop
    }

    /// Ends decoding if the measure exceeds the limit.
    #[inline]
    pub(crate) fn within(&mut self, limit: Limit, measure: u32, at: usize) -> Result<(), Stop> {
        if measure > self.limits.of(limit) { Err(self.limit_reached(limit, at)) } else { Ok(()) }
    }

    /// Whether a fault of this kind was noted.
    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.scratch.kinds_seen >> kind as u32 & 1 == 1
    }

    fn note(&mut self, kind: FaultKind, limit: Option<Limit>, at: usize, has_stopped: bool) {
        let scratch = &mut self.scratch;
        scratch.fault_count = scratch.fault_count.saturating_add(1);
        let (kind_bit, limit_bit) = (1 << kind as u32, limit.map_or(0, |limit| 1 << limit as u32));
        let is_new = scratch.kinds_seen & kind_bit == 0 || scratch.limits_seen & limit_bit != limit_bit;
        scratch.kinds_seen |= kind_bit;
        scratch.limits_seen |= limit_bit;
        if is_new || has_stopped || scratch.faults.len() < FAULTS_KEPT {
            let node = (self.parent != NO_PARENT).then_some(NodeId(self.parent));
            scratch.faults.push(Fault { kind, limit, offset: saturated(at), node, has_stopped });
        }
    }

    // Keys

    /// Remembers a key of the innermost open node.
    ///
    /// PERF: one bit of each tells most objects to have no key twice, so that only the others compare their keys.
    #[inline]
    pub(crate) fn note_key(&mut self, key: Span) {
        let bit = 1 << (fingerprint(self.bytes(key)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
        if let Some(open) = self.scratch.open.last_mut() {
            open.may_repeat |= open.keys_seen & bit != 0;
            open.keys_seen |= bit;
        }
    }

    /// Notes a fault if two of the keys of the node's children, of all kinds or one, are equal.
    ///
    /// Few keys are compared by fingerprint in place; many are sorted by fingerprint, then bytes, so that equal
    /// fingerprints that an attacker finds cost comparisons of his own bytes only: n log n at worst.
    pub(crate) fn check_duplicate_keys(&mut self, id: u32, kind: Option<Kind>, at: usize) {
        let mut keys = std::mem::take(&mut self.scratch.keys);
        keys.clear();
        let mut child = id.saturating_add(1);
        while let Some(node) = self.scratch.nodes.get(child as usize) {
            if let NameSpan::Bytes(name) = node.name
                && kind.is_none_or(|kind| node.kind == kind)
            {
                keys.push((fingerprint(self.bytes(name)), child));
            }
            child = node.end;
        }
        if self.has_equal_keys(&mut keys) {
            self.fault(FaultKind::DuplicateKey, at);
        }
        self.scratch.keys = keys;
    }

    fn has_equal_keys(&self, keys: &mut [(u64, u32)]) -> bool {
        // PERF: up to here comparing all pairs of fingerprints is faster than sorting.
        const PAIRS_MAX: usize = 16;
        let key = |id: u32| match self.scratch.nodes.get(id as usize).map(|node| node.name) {
            Some(NameSpan::Bytes(name)) => self.bytes(name),
            Some(NameSpan::None | NameSpan::Index(_)) | None => &[],
        };
        if keys.len() <= PAIRS_MAX {
            let mut rest = &keys[..];
            while let [(first, id), others @ ..] = rest {
                if others.iter().any(|(other, other_id)| other == first && key(*other_id) == key(*id)) {
                    return true;
                }
                rest = others;
            }
            return false;
        }
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        keys.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0 && key(a.1) == key(b.1)))
    }
}

/// A cheap mix of a key's length, first and last bytes; equal keys have equal fingerprints.
#[inline]
fn fingerprint(key: &[u8]) -> u64 {
    let length = (key.len() as u64) << 56;
    if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        return u64::from_le_bytes(*first).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from_le_bytes(*last) ^ length;
    }
    if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))) ^ length;
    }
    key.iter().fold(length, |mixed, &byte| mixed << 8 | u64::from(byte))
}
