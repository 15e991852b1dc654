//! What the rules that stay look at: variables that no rule names need not be filled, captures that no rule reads need
//! not be kept.

use crate::Variable;
use crate::inputs::List;
use crate::operator::CAPTURES_MAX;

use super::keep::Keep;
use super::link::{Link, Outcome, SetVarOp, Source, Test};
use super::names::{Piece, Slot, Template};
use super::{Head, Plan};

/// By variable: whether a rule names it, as a target or in a text.
pub(super) fn variables(plan: &Plan) -> Vec<bool> {
    let mut used = vec![false; Variable::ALL.len()];
    for head in plan.running().filter_map(|head| plan.heads.get(head as usize)) {
        head.links.iter().for_each(|link| of_link(link, &mut used));
        if let Outcome::Redirect(url, _) = &head.outcome {
            of_template(url, &mut used);
        }
    }
    used
}

fn of_link(link: &Link, used: &mut [bool]) {
    link.targets.iter().for_each(|target| of_source(target.source, used));
    link.templates().for_each(|template| of_template(template, used));
}

fn of_template(template: &Template, used: &mut [bool]) {
    for piece in &template.0 {
        if let Piece::Value(source, _) = piece {
            of_source(*source, used);
        }
    }
}

fn of_source(source: Source, used: &mut [bool]) {
    let variable = match source {
        Source::Scalar(variable) => variable,
        // The one list that is only filled where a rule asks: it may hold as much as the body does.
        Source::Lists(lists, _) if lists.contains(&List::FilesContent) => Variable::FilesTmpContent,
        _ => return,
    };
    if let Some(slot) = used.get_mut(variable as usize) {
        *slot = true;
    }
}

/// Whether no rule reads `TX.0` to `TX.9` but what one of its own links has captured: a match always sets all ten, so what
/// a rule captures is of no consequence once it has failed.
pub(super) fn has_closed_captures(plan: &Plan) -> bool {
    plan.running().filter_map(|head| plan.heads.get(head as usize)).all(reads_own_captures)
}

fn reads_own_captures(head: &Head) -> bool {
    let mut is_captured = false;
    for link in &head.links {
        let is_asked = link.targets.iter().any(|target| match target.source {
            Source::Slot(slot) => slot.is_capture(),
            Source::Tx => target.slots.iter().any(|slot| slot.is_capture()),
            _ => false,
        });
        if !is_captured && (is_asked || link.test.argument().is_some_and(Template::reads_captures)) {
            return false;
        }
        is_captured |= link.is_capturing && !matches!(link.test, Test::Always);
        let mut kept = link.keeps.iter().flat_map(Keep::templates);
        if !is_captured && (link.set_vars.iter().any(sets_from_captures) || kept.any(Template::reads_captures)) {
            return false;
        }
    }
    let mut words = head.links.iter().flat_map(|link| link.message.iter().chain(&link.data));
    let is_read = match &head.outcome {
        Outcome::Redirect(url, _) => url.reads_captures(),
        Outcome::Pass | Outcome::Deny(_) | Outcome::Drop | Outcome::Allow(_) => false,
    };
    is_captured || !is_read && !words.any(Template::reads_captures)
}

/// How many of `TX.0` to `TX.9`, from the first on, the links of each rule must find: those that it reads itself, and the first,
/// which a log shows. All of them, when rules may read what others have captured.
pub(super) fn number_captures(plan: &mut Plan) {
    let has_closed_captures = plan.has_closed_captures;
    for head in &mut plan.heads {
        let count = if has_closed_captures { captures_of(head) } else { CAPTURES_MAX };
        head.links.iter_mut().for_each(|link| link.captures = count);
    }
}

fn captures_of(head: &Head) -> usize {
    let of_slot = |slot: Slot| if slot.is_capture() { slot.0 as usize + 1 } else { 0 };
    let of_source = |source: Source| match source {
        Source::Slot(slot) => of_slot(slot),
        Source::Tx => CAPTURES_MAX,
        _ => 0,
    };
    let of_piece = |piece: &Piece| match piece {
        Piece::Tx(slot) => of_slot(*slot),
        Piece::Value(source, _) => of_source(*source),
        Piece::Literal(_) | Piece::Rule(_) => 0,
    };
    let of_template = |template: &Template| template.0.iter().map(of_piece).max().unwrap_or(0);
    let of_link = |link: &Link| {
        let targets = link.targets.iter().map(|target| match target.source {
            // A pattern over names means numbered members, some of which may be these.
            Source::Tx => target.slots.iter().map(|slot| of_slot(*slot)).max().unwrap_or(0),
            source => of_source(source),
        });
        let sets = link.set_vars.iter().filter_map(|set| set.slot).map(of_slot);
        targets.chain(sets).chain(link.templates().map(of_template)).max().unwrap_or(0)
    };
    let url = match &head.outcome {
        Outcome::Redirect(url, _) => of_template(url),
        Outcome::Pass | Outcome::Deny(_) | Outcome::Drop | Outcome::Allow(_) => 0,
    };
    head.links.iter().map(of_link).chain([url, 1]).max().unwrap_or(CAPTURES_MAX)
}

fn sets_from_captures(set: &SetVarOp) -> bool {
    set.slot.is_some_and(Slot::is_capture) || set.templates().any(Template::reads_captures)
}
