//! A usual way of looking names up in a list, seen through: a chain whose first link makes a member of `TX` of each value,
//! and whose second link asks whether one of these is within a text.
//!
//! ```text
//! SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "capture,t:lowercase,setvar:'tx.name_%{tx.0}=/%{tx.0}/',chain"
//!   SecRule TX:/^name_/ "@within /proxy/ /range/"
//! ```
//!
//! The chain can only match when some value has one of the names in it. That the first link then makes no members of the
//! other values has no consequence as long as nothing else reads them, which is checked here for the whole plan.

use crate::Variable;
use crate::operator::{Matcher, Relation};
use crate::plan::{Change, Effect, Head, Link, NamePattern, Piece, Plan, Slot, Source, Subject, Template, Test};

use super::need::Need;

/// The texts of which a value needs any for such a chain to match; `None` when this is no such chain, or others read what it
/// makes.
pub(super) fn texts(plan: &Plan, index: u32) -> Option<Vec<Vec<u8>>> {
    let head = plan.heads.get(index as usize)?;
    let [first, second, rest @ ..] = head.links.as_slice() else { return None };
    let (prefix, mark) = made(first)?;
    let (list, names) = asked(second)?;
    let later = || std::iter::once(second).chain(rest);
    let is_own = plan.has_closed_captures
        && first.keeps.is_empty()
        && !first.effects.iter().any(|effect| matches!(effect, Effect::RemoveMatched(_)))
        && (first.severity.is_none() || !plan.uses(Variable::HighestSeverity))
        && !later().any(reads_captures)
        && !first.message.iter().chain(&first.data).any(Template::reads_captures)
        && !rest
            .iter()
            .flat_map(|link| &link.targets)
            .any(|target| matches!(target.source, Source::Tx | Source::Matched(_) | Source::LastMatched(_)));
    if !is_own || !names.all_begin_with(prefix) {
        return None;
    }
    let mut texts: Vec<Vec<u8>> = between(list, mark)?;
    for other in plan.running().filter(|other| *other != index) {
        let other = plan.heads.get(other as usize)?;
        texts.extend(read_by(other, prefix)?);
        if makes(other, prefix) {
            return None;
        }
    }
    let mut numbered = plan.names.slots().map(|slot| plan.names.text(slot));
    let is_free = !numbered.any(|name| name.starts_with(prefix)) && !later().any(|link| link_makes(link, prefix));
    is_free.then_some(texts)
}

/// The beginning of the names that a link makes, and what stands around their values.
fn made(link: &Link) -> Option<(&[u8], u8)> {
    let Test::Operator { matcher, is_negated: false, argument: None } = &link.test else { return None };
    let is_all = matcher.takes_all();
    let [set] = link.set_vars.as_slice() else { return None };
    let [Piece::Literal(prefix), Piece::Tx(Slot(0))] = set.name.0.as_slice() else { return None };
    let Change::Set(value) = &set.change else { return None };
    let [Piece::Literal(before), Piece::Tx(Slot(0)), Piece::Literal(behind)] = value.0.as_slice() else { return None };
    let ([mark], [same]) = (&**before, &**behind) else { return None };
    let is_made = is_all
        && link.is_capturing
        && !link.is_multi_match
        && set.collection == Variable::Tx
        && set.slot.is_none()
        && mark == same
        && !prefix.is_empty()
        && prefix.to_ascii_lowercase() == **prefix;
    is_made.then_some((prefix, *mark))
}

/// The text that a link looks for members of `TX` in, and which of them.
fn asked(link: &Link) -> Option<(&[u8], &NamePattern)> {
    let Test::Operator { matcher, is_negated: false, argument: None } = &link.test else { return None };
    let Matcher::Text(Relation::Within, list) = &**matcher else { return None };
    let [target] = link.targets.as_slice() else { return None };
    let (Source::Tx, Subject::Matching(names)) = (target.source, &target.subject) else { return None };
    let is_plain = link.transforms.is_empty() && !link.is_multi_match && !target.is_count && target.slots.is_empty();
    is_plain.then_some((list, names))
}

/// Texts of which any must be in a value that, between two marks, is within the list.
fn between(list: &[u8], mark: u8) -> Option<Vec<Vec<u8>>> {
    let parts: Vec<&[u8]> = list.split(|byte| *byte == mark).collect();
    let inner = parts.get(1..parts.len().checked_sub(1)?)?;
    let is_useful = !inner.is_empty() && inner.iter().all(|part| !part.is_empty());
    is_useful.then(|| inner.iter().map(|part| part.to_ascii_lowercase()).collect())
}

/// Texts of which any must be in a name behind this prefix for a rule to read it; `None` when it may read any.
fn read_by(head: &Head, prefix: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for target in head.links.iter().flat_map(|link| &link.targets).filter(|target| target.source == Source::Tx) {
        let Subject::Matching(names) = &target.subject else { return None };
        if !names.may_begin_with(prefix) {
            continue;
        }
        let Need::Literals(literals) = names.need() else { return None };
        for literal in literals {
            if memchr::memmem::find(prefix, literal).is_some() {
                return None;
            }
            // It may begin in the prefix and end behind it.
            let cuts = (0..literal.len()).filter_map(|at| literal.split_at_checked(at));
            texts.extend(cuts.filter(|(head, _)| prefix.ends_with(head)).map(|(_, tail)| tail.to_vec()));
        }
    }
    Some(texts)
}

/// Whether a rule sets members whose names may begin with this prefix.
fn makes(head: &Head, prefix: &[u8]) -> bool {
    head.links.iter().any(|link| link_makes(link, prefix))
}

fn link_makes(link: &Link, prefix: &[u8]) -> bool {
    link.set_vars.iter().filter(|set| set.collection == Variable::Tx && set.slot.is_none()).any(|set| {
        let Some(Piece::Literal(other)) = set.name.0.first() else { return true };
        let other = other.to_ascii_lowercase();
        other.starts_with(prefix) || prefix.starts_with(&other)
    })
}

fn reads_captures(link: &Link) -> bool {
    let is_target = link.targets.iter().any(|target| matches!(target.source, Source::Slot(slot) if slot.is_capture()));
    is_target || link.templates().any(Template::reads_captures)
}
