//! One exchange against a plan: phase by phase, rule by rule, in the order in which the rules are written.

mod effect;
mod expand;
mod memo;
mod persistent;
mod rule;
mod sieve;
mod state;
mod tx;
mod values;

pub(crate) use self::effect::{EffectId, processor_name};
pub(crate) use self::rule::{Runner, transformed};
pub(crate) use self::state::State;
pub(crate) use self::tx::{TxValue, leading_number, plain_number};
