//! What a plan of API keys means.

use super::Rate;

/// A plan that API keys are sold under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name, unique
    pub name: String,
    /// What each application with it may use, over all that it calls; perhaps nothing is limited
    pub limits: Rate,
}
