//! What rules do with collections that outlive the exchange, `setvar` aside: open them, end or lessen their members.

use crate::Variable;
use crate::ast::Action;

use super::Plan;
use super::names::{Names, Template};

/// `initcol`, `setsid` and their like, `expirevar`, `deprecatevar`, compiled.
#[derive(Debug)]
pub(crate) enum Keep {
    /// Finds the record of a key
    Open {
        /// `IP`, `SESSION`, …
        collection: Variable,
        /// The key
        key: Template,
        /// The variable that then says the key: `SESSIONID` after `setsid`
        says: Option<Variable>,
    },
    /// Ends a member
    Expire {
        /// `IP`, `SESSION`, …
        collection: Variable,
        /// The member
        name: Template,
        /// After so many seconds
        seconds: Template,
    },
    /// Lessens a member as time goes by
    Decay {
        /// `IP`, `SESSION`, …
        collection: Variable,
        /// The member
        name: Template,
        /// By so much
        amount: Template,
        /// In so many seconds
        seconds: Template,
    },
}

impl Keep {
    /// Compiles an action; `None` for those that do something else, or nothing.
    pub(super) fn new(action: &Action, names: &mut Names) -> Option<Self> {
        let lasting = |collection: &str| Variable::of_name(collection).filter(|variable| *variable != Variable::Tx);
        Some(match action {
            Action::InitCollection(collection, key) => {
                Self::Open { collection: lasting(collection)?, key: Template::new(key, names), says: None }
            }
            Action::SetKey(collection, key) => {
                let collection = lasting(collection)?;
                let says = match collection {
                    Variable::Session => Some(Variable::SessionId),
                    Variable::User => Some(Variable::UserId),
                    _ => None,
                };
                Self::Open { collection, key: Template::new(key, names), says }
            }
            Action::ExpireVar(collection, name, seconds) => Self::Expire {
                collection: lasting(collection)?,
                name: Template::new(name, names),
                seconds: Template::new(seconds, names),
            },
            Action::DeprecateVar(collection, name, amount, seconds) => Self::Decay {
                collection: lasting(collection)?,
                name: Template::new(name, names),
                amount: Template::new(amount, names),
                seconds: Template::new(seconds, names),
            },
            _ => return None,
        })
    }

    /// Its texts.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let texts = match self {
            Self::Open { key, .. } => [Some(key), None, None],
            Self::Expire { name, seconds, .. } => [Some(name), Some(seconds), None],
            Self::Decay { name, amount, seconds, .. } => [Some(name), Some(amount), Some(seconds)],
        };
        texts.into_iter().flatten()
    }
}

/// What of a plan concerns collections that outlive the exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeping {
    /// Some rule opens one
    pub(crate) opens: bool,
    /// Some rule of phase 5 writes to one
    pub(crate) at_end: bool,
}

impl Keeping {
    /// Reads it from the rules that are left to run.
    pub(super) fn of(plan: &Plan) -> Self {
        let links = |phase: usize| {
            let heads = plan.order(phase).iter().filter_map(|head| plan.heads.get(*head as usize));
            heads.flat_map(|head| &head.links)
        };
        let opens = |phase| links(phase).any(|link| link.keeps.iter().any(|keep| matches!(keep, Keep::Open { .. })));
        let writes = |phase| {
            links(phase)
                .any(|link| !link.keeps.is_empty() || link.set_vars.iter().any(|set| set.collection != Variable::Tx))
        };
        let opens = (0..5).any(opens);
        Self { opens, at_end: opens && writes(4) }
    }
}

impl Plan {
    /// Whether some rule opens a collection that outlives the exchange: then the transaction wants a store.
    pub const fn keeps_collections(&self) -> bool {
        self.keeping.opens
    }

    /// Whether phase 5 writes to such a collection, so that it must be run, and wants to know the response's status.
    pub const fn keeps_at_end(&self) -> bool {
        self.keeping.at_end
    }
}
