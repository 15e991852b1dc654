//! Rules that only take values away from other rules, and when that is idle.
//!
//! A rule such as those of a profile matches most values of a request, and has no consequence but that other rules do not
//! look at them (`ctl:ruleRemoveMatchedById`). Where the gate holds all those others back from a value anyway, whether it
//! was taken away makes no difference, and the rule need not be asked about it.
//!
//! Whether a value is taken away must depend on this value alone, or leaving one out would change what becomes of another:
//! so the rule is one link, or two of which the second looks at what the first has matched and holds the effects.

use crate::plan::{Effect, Head, Link, Outcome, Plan, RuleSet, Skip, Source, Target, Test};

use super::compile::is_left_out;
use super::eligible::is_traceless;
use super::{Bits, Gate, NONE, insert};

/// The rules of this gate that only take values away, each with the links that may look at such a value. Rules that take
/// values away from a rule that looks at the same ones without asking this gate are none of them.
pub(super) fn removers(plan: &Plan, gate: &Gate) -> Vec<(u32, Bits)> {
    let heads = gate.numbers.iter().filter_map(|(head, links)| match links.as_slice() {
        [(0, number)] => Some((*number, plan.heads.get(*head as usize)?)),
        _ => None,
    });
    let removers = heads.filter_map(|(number, head)| {
        let first = head.links.first()?;
        Some((number, askers(plan, gate, &taken_from(plan, head)?, first)?))
    });
    removers.collect()
}

/// The rules that values are taken away from, when the rule does nothing else, and that to each value by itself.
fn taken_from(plan: &Plan, head: &Head) -> Option<RuleSet> {
    let is_silent = !head.is_logged && head.skip == Skip::No && matches!(head.outcome, Outcome::Pass);
    let (last, before) = head.links.split_last()?;
    let is_quiet = |link: &Link| {
        is_traceless(plan, link)
            && !link.is_capturing
            && matches!(link.test, Test::Operator { argument: None, .. })
            && link.targets.iter().all(|target| !target.is_count)
    };
    let looks_at_matched = |link: &Link| link.targets.iter().all(|target| target.source == Source::Matched(false));
    let is_alone = match before {
        [] => true,
        [first] => first.effects.is_empty() && looks_at_matched(last),
        _ => false,
    };
    if !is_silent || !is_alone || !head.links.iter().all(is_quiet) {
        return None;
    }
    let mut all = RuleSet::default();
    for effect in &last.effects {
        let Effect::RemoveMatched(removal) = effect else { return None };
        all.extend(plan.value_removals.get(*removal as usize)?);
    }
    Some(all)
}

/// The links of these rules that look at what `first` looks at; `None` when one of them is not behind this gate.
fn askers(plan: &Plan, gate: &Gate, rules: &RuleSet, first: &Link) -> Option<Bits> {
    let mut askers = NONE;
    for index in plan.running().filter(|index| rules.contains(*index as usize)) {
        let numbers = gate.numbers.get(&index).map(Vec::as_slice).unwrap_or_default();
        let links = plan.heads.get(index as usize).map(|head| head.links.as_slice()).unwrap_or_default();
        for (place, _) in (0..=u8::MAX).zip(links).filter(|(_, link)| share_values(link, first)) {
            let (_, number) = numbers.iter().find(|(gated, _)| *gated == place)?;
            insert(&mut askers, *number);
        }
    }
    Some(askers)
}

/// Whether two links look at values of one place.
fn share_values(one: &Link, other: &Link) -> bool {
    let are_shared = |one: &Target, other: &Target| match (one.source, other.source) {
        (Source::Lists(mine, is_names), Source::Lists(theirs, are_names)) => {
            is_names == are_names && mine.iter().any(|list| theirs.contains(list))
        }
        (Source::Scalar(mine), Source::Scalar(theirs)) => mine == theirs,
        _ => false,
    };
    let mut left = one.targets.iter().filter(|target| !is_left_out(one, target));
    left.any(|target| other.targets.iter().any(|theirs| are_shared(target, theirs)))
}
