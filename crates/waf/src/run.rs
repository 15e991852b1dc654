//! One exchange against a plan: phase by phase, rule by rule, in the order in which the rules are written.

mod effect;
mod expand;
mod rule;
mod tx;
mod values;

pub(crate) use self::effect::processor_name;
pub(crate) use self::rule::Runner;
