//! Which variables the rules that stay look at: the others need not be filled.

use crate::Variable;

use super::Plan;
use super::keep::Keep;
use super::link::{Change, Link, Outcome, Source, Test};
use super::names::{Piece, Template};

/// By variable: whether a rule names it, as a target or in a text.
pub(super) fn variables(plan: &Plan) -> Vec<bool> {
    let mut used = vec![false; Variable::ALL.len()];
    let heads = (0..5).flat_map(|phase| plan.order(phase)).filter_map(|head| plan.heads.get(*head as usize));
    for head in heads {
        head.links.iter().for_each(|link| of_link(link, &mut used));
        if let Outcome::Redirect(url, _) = &head.outcome {
            of_template(url, &mut used);
        }
    }
    used
}

fn of_link(link: &Link, used: &mut [bool]) {
    link.targets.iter().for_each(|target| of_source(target.source, used));
    if let Test::Operator { argument: Some(argument), .. } = &link.test {
        of_template(argument, used);
    }
    link.message.iter().chain(&link.data).for_each(|template| of_template(template, used));
    link.keeps.iter().flat_map(Keep::templates).for_each(|template| of_template(template, used));
    for set in &link.set_vars {
        of_template(&set.name, used);
        match &set.change {
            Change::Set(template) | Change::Add(template, _) => of_template(template, used),
            Change::SetNumber(_) | Change::AddNumber(_) | Change::Unset => {}
        }
    }
}

fn of_template(template: &Template, used: &mut [bool]) {
    for piece in &template.0 {
        if let Piece::Value(source, _) = piece {
            of_source(*source, used);
        }
    }
}

fn of_source(source: Source, used: &mut [bool]) {
    if let Source::Scalar(variable) = source
        && let Some(slot) = used.get_mut(variable as usize)
    {
        *slot = true;
    }
}
