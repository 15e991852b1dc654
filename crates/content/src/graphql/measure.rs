//! What an operation costs once its fragments are followed: depth and fields, without expanding anything.
//!
//! Each definition is measured once, after the fragments it spreads; nodes are in document order, so one backward pass
//! adds every node to its parent. Exponential spreads (`fragment a { ...b ...b }`, …) therefore cost linear time to
//! measure and saturate. A circle of fragments is a fault; what closes it counts nothing.

use crate::builder::{Builder, Stop, saturated};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Node};

/// Arguments by which APIs ask for a number of items (Relay's connections, and the usual names elsewhere).
const PAGE_SIZE_NAMES: [&[u8]; 6] = [b"first", b"last", b"limit", b"pageSize", b"perPage", b"count"];

/// Depth and cost of a subtree.
#[derive(Clone, Copy, Default)]
struct Measure {
    depth: u32,
    cost: u64,
}

/// A definition: its nodes, and the definitions it spreads.
struct Definition {
    nodes: std::ops::Range<usize>,
    is_operation: bool,
    spreads: Vec<usize>,
    measure: Option<Measure>,
}

/// Checks depth and cost of every operation.
pub(super) fn check(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let (mut definitions, spread_of, has_unknown) = definitions(out);
    if has_unknown {
        out.fault(FaultKind::GraphqlUnknownFragment, 0);
    }
    if measure_all(out, &mut definitions, &spread_of) {
        out.fault(FaultKind::GraphqlFragmentCycle, 0);
    }
    for definition in definitions.iter().filter(|definition| definition.is_operation) {
        let measure = definition.measure.unwrap_or_default();
        let at = out.nodes().get(definition.nodes.start).map_or(0, |node| node.raw.place().1);
        out.within(Limit::GraphqlDepth, measure.depth, at)?;
        out.within(Limit::GraphqlCost, u32::try_from(measure.cost).unwrap_or(u32::MAX), at)?;
    }
    Ok(())
}

/// The definitions, which one each spread node names, and whether one names none.
fn definitions(out: &Builder<'_, '_>) -> (Vec<Definition>, Vec<(usize, usize)>, bool) {
    let nodes = out.nodes();
    let mut definitions = Vec::new();
    let mut names = Vec::new();
    let mut next = 0;
    while let Some(node) = nodes.get(next) {
        let end = node.end as usize;
        if node.kind == Kind::Fragment {
            names.push((name(out, node), definitions.len()));
        }
        let is_operation = node.kind == Kind::Operation;
        definitions.push(Definition { nodes: next..end, is_operation, spreads: Vec::new(), measure: None });
        next = end;
    }
    names.sort_unstable();
    let mut spread_of = Vec::new();
    let mut has_unknown = false;
    for definition in &mut definitions {
        for id in definition.nodes.clone() {
            let Some(node) = nodes.get(id).filter(|node| node.kind == Kind::Spread) else { continue };
            let wanted = name(out, node);
            let found = names.partition_point(|&(other, _)| other < wanted);
            match names.get(found).filter(|&&(other, _)| other == wanted) {
                Some(&(_, fragment)) => {
                    definition.spreads.push(fragment);
                    spread_of.push((id, fragment));
                }
                None => has_unknown = true,
            }
        }
    }
    (definitions, spread_of, has_unknown)
}

fn name<'b>(out: &'b Builder<'_, '_>, node: &Node) -> &'b [u8] {
    match node.name {
        NameSpan::Bytes(span) => out.bytes(span),
        NameSpan::None | NameSpan::Index(_) => &[],
    }
}

/// Measures every definition after those it spreads; returns whether there is a circle.
fn measure_all(out: &Builder<'_, '_>, definitions: &mut [Definition], spread_of: &[(usize, usize)]) -> bool {
    let mut has_cycle = false;
    let mut is_entered = vec![false; definitions.len()];
    let mut sums = vec![Measure::default(); out.nodes().len()];
    for root in 0..definitions.len() {
        let mut stack = vec![(root, 0)];
        while let Some((current, next_spread)) = stack.pop() {
            let Some(definition) = definitions.get(current).filter(|definition| definition.measure.is_none()) else {
                continue;
            };
            if let Some(entered) = is_entered.get_mut(current) {
                *entered = true;
            }
            if let Some(&spread) = definition.spreads.get(next_spread) {
                stack.push((current, next_spread + 1));
                let is_measured = definitions.get(spread).is_some_and(|spread| spread.measure.is_some());
                if is_entered.get(spread) == Some(&true) && !is_measured {
                    has_cycle = true;
                } else {
                    stack.push((spread, 0));
                }
                continue;
            }
            let measure = measured(out, definitions, definition, spread_of, &mut sums);
            if let Some(definition) = definitions.get_mut(current) {
                definition.measure = Some(measure);
            }
        }
    }
    has_cycle
}

/// One definition, from its last node to its first.
fn measured(
    out: &Builder<'_, '_>,
    definitions: &[Definition],
    definition: &Definition,
    spread_of: &[(usize, usize)],
    sums: &mut [Measure],
) -> Measure {
    for id in definition.nodes.clone().rev() {
        let (Some(node), Some(&inside)) = (out.nodes().get(id), sums.get(id)) else { continue };
        let own = match node.kind {
            Kind::Selection => Measure {
                depth: inside.depth.saturating_add(1),
                cost: inside.cost.saturating_mul(page_size(out, id, node)).saturating_add(1),
            },
            Kind::Spread => {
                let found = spread_of.binary_search_by_key(&id, |&(spread, _)| spread).ok();
                let fragment =
                    found.and_then(|at| spread_of.get(at)).and_then(|&(_, fragment)| definitions.get(fragment));
                fragment.and_then(|fragment| fragment.measure).unwrap_or_default()
            }
            Kind::InlineFragment | Kind::Operation | Kind::Fragment => inside,
            _ => continue,
        };
        if id == definition.nodes.start {
            return own;
        }
        if let Some(parent) = sums.get_mut(node.parent as usize) {
            parent.depth = parent.depth.max(own.depth);
            parent.cost = parent.cost.saturating_add(own.cost);
        }
    }
    Measure::default()
}

/// The largest page size among a field's own arguments, 1 without one or if it is a variable.
fn page_size(out: &Builder<'_, '_>, id: usize, field: &Node) -> u64 {
    let mut size = 1;
    let mut child = saturated(id) + 1;
    while let Some(node) = out.nodes().get(child as usize).filter(|_| child < field.end) {
        if matches!(node.kind, Kind::Selection | Kind::Spread | Kind::InlineFragment) {
            break;
        }
        if node.kind == Kind::Number && PAGE_SIZE_NAMES.contains(&name(out, node)) {
            let number = std::str::from_utf8(out.bytes(node.value)).ok().and_then(|text| text.parse().ok());
            size = size.max(number.unwrap_or(1));
        }
        child = node.end;
    }
    size
}
