//! What only shows when rules are seen one after the other: ids and chains.
//!
//! A rule with `chain` and the next `SecRule` or `SecAction` belong together, whatever other directives stand between.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::action::Placed;
use super::report::{DUPLICATE_ID, Fault, LINK_ACTION, LINK_METADATA, MISSING_ID, UNFINISHED_CHAIN};
use crate::ast::{Action, Place};

/// Ids and the open chain, so far.
#[derive(Default)]
pub(super) struct Sequence {
    ids: HashMap<u32, Place>,
    chain: Chain,
}

/// Whether the next rule is a link.
#[derive(Default)]
enum Chain {
    #[default]
    Closed,
    /// Yes
    Open,
    /// A fault hides it: the next rule is a link if it has no id
    Unknown,
}

impl Sequence {
    /// Checks the actions of the next rule, which begins at offset `at` of its line.
    pub(super) fn rule(
        &mut self,
        actions: &[Placed],
        is_faulty: bool,
        place: &Place,
        at: usize,
        faults: &mut Vec<Fault>,
    ) {
        let id =
            actions.iter().find_map(|(at, action)| if let Action::Id(id) = action { Some((*at, *id)) } else { None });
        match self.chain {
            Chain::Open => link(actions, faults),
            Chain::Closed if id.is_none() && !is_faulty => {
                let help = "add `id:` and a number of your own; only later rules of a chain have none";
                faults.push(Fault::new(MISSING_ID, at, "a rule without id", help));
            }
            Chain::Closed | Chain::Unknown => {
                if let Some((at, id)) = id {
                    self.claim(id, at, place, faults);
                }
            }
        }
        let is_open = actions.iter().any(|(_, action)| *action == Action::Chain);
        self.chain = match (is_open, is_faulty) {
            (true, _) => Chain::Open,
            (false, true) => Chain::Unknown,
            (false, false) => Chain::Closed,
        };
    }

    /// A line could not be read; it may have been a rule of a chain.
    pub(super) fn lose(&mut self) {
        self.chain = Chain::Unknown;
    }

    /// The fault of a chain that is still open when the files end.
    pub(super) fn finish(self) -> Option<Fault> {
        let message = "a rule says `chain`, and no rule follows it";
        let fault =
            || Fault::new(UNFINISHED_CHAIN, 0, message, "write the next rule of the chain, or take `chain` out");
        matches!(self.chain, Chain::Open).then(fault)
    }

    fn claim(&mut self, id: u32, at: usize, place: &Place, faults: &mut Vec<Fault>) {
        match self.ids.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(place.clone());
            }
            Entry::Occupied(first) => {
                let message = format!("id `{id}` is that of the rule at {} too", first.get());
                faults.push(Fault::new(
                    DUPLICATE_ID,
                    at,
                    message,
                    "give one of them another id, or load the file once",
                ));
            }
        }
    }
}

/// What a later rule of a chain may not have, as ModSecurity sees it.
fn link(actions: &[Placed], faults: &mut Vec<Fault>) {
    for (at, action) in actions {
        let name = match action {
            Action::Id(_) => "id",
            Action::Phase(_) => "phase",
            Action::Disruptive(_) => "a disruptive action",
            Action::Skip(_) => "skip",
            Action::SkipAfter(_) => "skipAfter",
            Action::Message(_)
            | Action::LogData(_)
            | Action::Severity(_)
            | Action::Version(_)
            | Action::Revision(_)
            | Action::Maturity(_)
            | Action::Accuracy(_) => {
                let message = "a later rule of a chain describes itself; reports show what the first rule says";
                faults.push(Fault::new(LINK_METADATA, *at, message, "move it to the first rule of the chain"));
                continue;
            }
            Action::Tag(_)
            | Action::Status(_)
            | Action::Log(_)
            | Action::AuditLog(_)
            | Action::Capture
            | Action::MultiMatch
            | Action::Chain
            | Action::Transform(_)
            | Action::TransformNone
            | Action::SetVar(_)
            | Action::InitCollection(..)
            | Action::SetKey(..)
            | Action::ExpireVar(..)
            | Action::DeprecateVar(..)
            | Action::Ctl(_)
            | Action::Sanitise(_)
            | Action::XmlNamespace(..) => continue,
        };
        let message = format!("a later rule of a chain cannot have {name}");
        let help = "move it to the first rule of the chain; if this is no link, take `chain` out of the rule before";
        faults.push(Fault::new(LINK_ACTION, *at, message, help));
    }
}
