//! Collections that rules use and none opens: they stay empty, which is seldom what was meant.

use super::report::{Fault, UNOPENED_COLLECTION};
use crate::Variable;
use crate::ast::{Action, Directive, Document, Place};

/// The collections that outlive an exchange, and are empty before a rule opens them.
const LASTING: [Variable; 5] = [Variable::Ip, Variable::Global, Variable::Session, Variable::User, Variable::Resource];

/// One fault for each collection, at the first rule that uses it.
pub(super) fn faults(document: &Document) -> Vec<(Place, Fault)> {
    let is_open = |collection: &Variable| {
        let mut actions = document.directives.iter().flat_map(|(_, directive)| actions(directive));
        actions.any(|action| match action {
            Action::InitCollection(name, _) | Action::SetKey(name, _) => is_named(*collection, name),
            _ => false,
        })
    };
    let first_use = |collection: Variable| {
        let mut uses = document.directives.iter().filter(move |(_, directive)| uses(directive, collection));
        uses.next().map(|(place, _)| (place.clone(), fault(collection)))
    };
    LASTING.into_iter().filter(|collection| !is_open(collection)).filter_map(first_use).collect()
}

fn fault(collection: Variable) -> Fault {
    let name = collection.name();
    let lower = name.to_ascii_lowercase();
    let message = format!("rules use `{name}`, and none opens it: it stays empty");
    let help = format!("open it before, with `initcol:{lower}=…` and the key that it is kept by");
    Fault::new(UNOPENED_COLLECTION, 0, message, help)
}

fn is_named(collection: Variable, name: &str) -> bool {
    collection.name().eq_ignore_ascii_case(name)
}

fn actions(directive: &Directive) -> &[Action] {
    match directive {
        Directive::Rule(rule) => &rule.actions,
        Directive::Action(actions) | Directive::DefaultAction(actions) => actions,
        _ => &[],
    }
}

fn uses(directive: &Directive, collection: Variable) -> bool {
    let is_looked_at = match directive {
        Directive::Rule(rule) => rule.targets.iter().any(|target| target.variable == collection),
        _ => false,
    };
    is_looked_at
        || actions(directive).iter().any(|action| match action {
            Action::SetVar(set) => is_named(collection, &set.collection),
            Action::ExpireVar(name, ..) | Action::DeprecateVar(name, ..) => is_named(collection, name),
            _ => false,
        })
}
