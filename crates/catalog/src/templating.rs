//! Which literal siblings are values of one parameter: the decision, without carrying it out.
//!
//! Each sibling has odds of being a name: its own form and words ([`form`](crate::form)), what stands before it
//! (`/users/…` is followed by ids), what stands beneath it, and how many different actors asked for it. The siblings
//! together have a bias: many of them, each asked for by one actor only (openness: Good and Turing's share of things seen
//! once, taken over actors and not over requests, because a busy path is not a more certain one), or with the same named
//! sub-resources beneath them (`/alice/posts`, `/bob/posts`). Whoever ends below zero is a value. A sibling with strong
//! odds stays a literal beside the parameter: `/users/me`.
//!
//! Sources: I. J. Good, "The population frequencies of species", Biometrika 1953; own measurements in
//! bench/quality/templating.md.

use std::sync::Arc;

use crate::form::{CERTAIN, Odds};
use crate::limits::MERGED_VALUES_MAX;
use crate::trie::{Node, NodeId, Trie};

/// A name that is well known takes no part in the openness of its siblings.
const KNOWN: Odds = 250;

/// The most that siblings can say against a well-known name.
const KNOWN_BIAS_MIN: Odds = -240;

/// Siblings that must agree before words become values.
const SIBLINGS_MIN: usize = 3;

/// Siblings that must agree when they share named sub-resources.
const ALIKE_MIN: usize = 2;

/// LIMIT: named sub-resources of one sibling that are compared.
const NAMES_MAX: usize = 16;

/// What is to be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The literal children that are values
    pub(crate) children: Vec<NodeId>,
    /// What their siblings said, for values that come later
    pub(crate) bias: Odds,
}

/// A literal sibling whose nature is open.
struct Sibling {
    id: NodeId,
    odds: Odds,
    is_known: bool,
    is_single: bool,
    is_alike: bool,
}

/// The literal children of `at` that are values, if any.
pub(crate) fn find_merge(trie: &Trie, at: NodeId) -> Option<Merge> {
    let node = trie.node(at);
    if node.pinned || node.literals.is_empty() {
        return None;
    }
    let variable = node.parameter.and_then(|child| trie.node(child).variable.as_deref());
    let merged = variable.map_or(0, |variable| variable.words);
    let mut siblings = siblings(trie, node);
    if let Some(parameter) = node.parameter {
        siblings.iter_mut().for_each(|sibling| sibling.odds += parameter_odds(trie, sibling.id, parameter));
    }
    let bias = bias(&siblings, merged) + variable.map_or(0, |variable| if variable.words == 0 { 100 } else { -100 });
    let later = variable.map_or(bias, |variable| if variable.words == 0 { bias } else { bias.min(variable.bias) });
    let known = variable.map_or(0, |variable| variable.values.len());
    let (mut children, mut alike) = (Vec::new(), 0);
    for sibling in &siblings {
        // what its form alone does not show must be remembered as a value, and there must be room for that
        let shows = leans_to_value(trie.node(sibling.id).odds, node.context, later);
        if leans_to_value(sibling.odds, node.context, bias) && (shows || known + children.len() < MERGED_VALUES_MAX) {
            children.push(sibling.id);
            alike += usize::from(sibling.is_alike);
        }
    }
    let enough = merged > 0 || children.len() >= SIBLINGS_MIN || alike >= ALIKE_MIN;
    (enough && !children.is_empty()).then_some(Merge { children, bias })
}

/// Whether a segment with these odds is a value where the siblings have this bias. A well-known name gives way only to
/// what stands before it, however many values stand beside it.
pub(crate) fn leans_to_value(odds: Odds, context: Odds, bias: Odds) -> bool {
    let bias = if odds >= KNOWN { bias.max(KNOWN_BIAS_MIN) } else { bias };
    odds.saturating_add(context).saturating_add(bias) < 0
}

fn siblings(trie: &Trie, node: &Node) -> Vec<Sibling> {
    let open = || node.literals.iter().map(|(_, id)| (*id, trie.node(*id))).filter(|(_, child)| child.odds < CERTAIN);
    let mut names: Vec<&Arc<str>> = open().flat_map(|(_, child)| names_beneath(child)).collect();
    names.sort_unstable();
    open()
        .map(|(id, child)| {
            let is_alike = names_beneath(child).any(|name| times(&names, name) > 1);
            Sibling {
                id,
                odds: child.odds + beneath_odds(trie, child, is_alike) + popularity_odds(child),
                is_known: child.odds >= KNOWN,
                is_single: child.actors.count_ones() <= 1,
                is_alike,
            }
        })
        .collect()
}

fn names_beneath(child: &Node) -> impl Iterator<Item = &Arc<str>> {
    child.literals.iter().map(|(name, _)| name).filter(|name| !name.is_empty()).take(NAMES_MAX)
}

fn times(sorted: &[&Arc<str>], name: &Arc<str>) -> usize {
    let from = sorted.partition_point(|other| *other < name);
    sorted.get(from..).unwrap_or_default().iter().take_while(|other| **other == name).count()
}

/// A value is followed by names, the same ones for each; a name is followed by values, or by names of its own.
fn beneath_odds(trie: &Trie, child: &Node, is_alike: bool) -> Odds {
    let followed_by_version =
        child.literals.iter().any(|(name, id)| !name.is_empty() && trie.node(*id).odds >= CERTAIN);
    let followed_by_value = if child.parameter.is_some() { 150 } else { 0 };
    let own_names = if child.literals.is_empty() || is_alike { 0 } else { 75 };
    followed_by_value + own_names + if followed_by_version { 300 } else { 0 }
}

/// Names that stand for "the one concerned" beside a parameter, with the parameter's own sub-resources beneath them.
const ALIASES: [&str; 10] = ["me", "self", "current", "mine", "all", "default", "latest", "my", "own", "new"];

/// A sibling with nothing beneath it but what the parameter beside it has too is most likely one of its values.
fn parameter_odds(trie: &Trie, sibling: NodeId, parameter: NodeId) -> Odds {
    let (node, beside) = (trie.node(sibling), trie.node(parameter));
    let is_alias = node.segment.as_deref().is_some_and(|segment| ALIASES.contains(&segment));
    let shares_names = names_beneath(node).next().is_some()
        && names_beneath(node).all(|name| beside.literals.binary_search_by(|(known, _)| known.cmp(name)).is_ok());
    if shares_names && !is_alias { -250 } else { 0 }
}

/// What many actors ask for is a name.
fn popularity_odds(child: &Node) -> Odds {
    30 * log2(u64::from(child.actors.count_ones()))
}

/// What the siblings say together.
fn bias(siblings: &[Sibling], merged: u64) -> Odds {
    let unknown = || siblings.iter().filter(|sibling| !sibling.is_known);
    let (n, singles) = (unknown().count() as u64, unknown().filter(|sibling| sibling.is_single).count() as u64);
    let alike = unknown().filter(|sibling| sibling.is_alike).count() as u64;
    if n == 0 {
        return 0;
    }
    let openness = if n + merged >= 3 { -90 * log2(n + merged) * scaled(singles, n) / 100 } else { 0 };
    let likeness = if alike >= 2 { -(100 + 100 * log2(alike)) * scaled(alike, n) / 100 } else { 0 };
    openness + likeness
}

/// `part` of `whole` in hundredths.
fn scaled(part: u64, whole: u64) -> Odds {
    Odds::try_from(part * 100 / whole.max(1)).unwrap_or(100)
}

/// Logarithm to base 2, rounded down; 0 of 0.
fn log2(number: u64) -> Odds {
    number.checked_ilog2().map_or(0, |log| Odds::try_from(log).unwrap_or(0))
}
