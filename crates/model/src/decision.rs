//! What is done with an exchange. Only `engine::decide` builds a [`Decision`]; `cargo xtask tidy` checks that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::CheckId;

/// How far a policy may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Notice and act
    Enforce,
    /// Notice only; the event says what would have been done
    #[default]
    Observe,
    /// Do not run
    Off,
}

impl Mode {
    /// The word in configuration and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
            Self::Off => "off",
        }
    }
}

/// What a decision does. XACML's word, NIST SP 800-207's sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it through
    #[default]
    Allow,
    /// Answer in the upstream's place
    Deny,
}

impl Action {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What was decided, by which check under which policy, and whether it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do
    pub action: Action,
    /// Whether it was done: `false` for a deny under [`Mode::Observe`]
    pub applied: bool,
    /// HTTP status that the deny answers with; 0 for an allow
    pub status: u16,
    /// The check that decided; `None` when nothing spoke against it
    pub check: Option<CheckId>,
    /// The policy that gave the check its say
    pub policy: Option<Arc<str>>,
}

impl Decision {
    /// Whether the exchange must be stopped now.
    pub fn is_stop(&self) -> bool {
        self.applied && self.action != Action::Allow
    }
}
