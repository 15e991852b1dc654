//! Which links of a chain can stand behind the gate, and what a value needs for each of them to match.
//!
//! A chain cannot match when one of its links cannot. So the gate asks about every link whose values stay as they are
//! once they are there, up to the first one that leaves a trace although the chain may fail further on.

use std::borrow::Cow;

use crate::Variable;
use crate::plan::{Link, Plan, Source, Test};
use crate::run::transformed;
use crate::transform::Transform;

use super::made;
use super::need::{Needs, of_phrases};

/// Scalar variables whose value stays as it is once it is set.
const SCALARS: &[Variable] = &[
    Variable::PathInfo,
    Variable::QueryString,
    Variable::RequestBasename,
    Variable::RequestBody,
    Variable::RequestFilename,
    Variable::RequestLine,
    Variable::RequestMethod,
    Variable::RequestProtocol,
    Variable::RequestUri,
    Variable::RequestUriRaw,
    Variable::ResponseBody,
    Variable::ResponseProtocol,
    Variable::StatusLine,
];

/// Those of them whose few values are remembered, with the rules that match them.
pub(crate) const RECURRING_SCALARS: &[Variable] =
    &[Variable::RequestMethod, Variable::RequestProtocol, Variable::ResponseProtocol, Variable::StatusLine];

/// A link behind the gate.
pub(super) struct Gated<'p> {
    pub(super) number: u32,
    pub(super) link: &'p Link,
    pub(super) needs: Cow<'p, Needs>,
}

impl Gated<'_> {
    /// What happens to a value before it is searched: nothing where nothing is searched for.
    pub(super) fn transforms(&self) -> &[Transform] {
        if self.needs.is_nothing() { &[] } else { &self.link.transforms }
    }

    /// Whether the operator is asked after each step.
    pub(super) fn is_asked_at_each_step(&self) -> bool {
        self.link.is_multi_match && !self.needs.is_nothing()
    }
}

/// The links of a chain that can be gated, with their places.
pub(super) fn links(plan: &Plan, index: u32) -> Vec<(u8, &Link, Cow<'_, Needs>)> {
    let mut found = Vec::new();
    let Some(head) = plan.heads.get(index as usize) else { return found };
    if let Some((first, texts)) =
        head.links.first().zip(made::texts(plan, index)).filter(|(link, _)| needs_of(link).is_some())
    {
        found.push((0, first, Cow::Owned(of_phrases(texts))));
        return found;
    }
    for (place, link) in (0..=u8::MAX).zip(&head.links) {
        if let Some(needs) = needs_of(link) {
            found.push((place, link, needs));
        }
        if !is_traceless(plan, link) {
            break;
        }
    }
    found
}

/// Whether a link leaves nothing behind when it matches and the chain does not.
pub(super) fn is_traceless(plan: &Plan, link: &Link) -> bool {
    link.set_vars.is_empty()
        && link.keeps.is_empty()
        && (!link.is_capturing || plan.has_closed_captures)
        && (link.severity.is_none() || !plan.uses(Variable::HighestSeverity))
}

/// What a value needs, when whether the link matches depends on nothing but values that stay as they are.
fn needs_of(link: &Link) -> Option<Cow<'_, Needs>> {
    let Test::Operator { matcher, is_negated, argument } = &link.test else { return None };
    let is_fixed = link.targets.iter().all(|target| match target.source {
        Source::Lists(..) => true,
        Source::Scalar(variable) => !target.is_count && SCALARS.contains(&variable),
        _ => false,
    });
    if !is_fixed {
        return None;
    }
    let counts = link.targets.iter().any(|target| target.is_count);
    if counts {
        // Nothing there must be no match: then something there is what a match needs.
        let (mut now, mut next) = (Vec::new(), Vec::new());
        let mut matches_after = |step: usize| {
            let steps = link.transforms.get(..step).unwrap_or_default();
            matcher.is_match(transformed(steps, b"0", &mut now, &mut next), None) != *is_negated
        };
        let last = link.transforms.len();
        let first = if link.is_multi_match { 0 } else { last };
        let matches_none = argument.is_some() || (first..=last).any(&mut matches_after);
        return (!matches_none).then_some(Cow::Owned(Needs::NOTHING));
    }
    let is_changed = link.transforms.iter().any(|transform| *transform != Transform::Lowercase);
    let needs = if *is_negated || argument.is_some() {
        Cow::Owned(Needs::NOTHING)
    } else if is_changed || link.is_multi_match {
        Cow::Owned(Needs { length_max: usize::MAX, ..link.needs.clone() })
    } else {
        Cow::Borrowed(&link.needs)
    };
    // What is always there and needs nothing is always a candidate.
    let is_always_there = |source| matches!(source, Source::Scalar(variable) if !RECURRING_SCALARS.contains(&variable));
    let is_pointless = needs.is_nothing() && link.targets.iter().all(|target| is_always_there(target.source));
    (!is_pointless).then_some(needs)
}

impl Needs {
    /// Whether any value may match.
    fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }
}
