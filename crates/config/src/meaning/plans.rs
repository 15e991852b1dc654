//! Plans of API keys, and policies that name plans.

use super::Checker;
use crate::config::{Config, Plan, PolicyRule, RateKey};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// Every plan.
pub(super) fn plans(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::Plan]) -> Vec<Plan> {
    checker.names(at, "plan", written.iter().map(|plan| plan.name.as_str()));
    let plan = |(index, plan): (usize, &document::Plan)| {
        let document::Plan { name, spike_arrest, quota, concurrency, bandwidth, shared, failure_mode } = plan.clone();
        let limits = document::Rate {
            key: vec![document::RateKey::Application],
            spike_arrest,
            quota,
            concurrency,
            bandwidth,
            shared,
            failure_mode,
            keys_max: defaults::APPLICATIONS_MAX,
            ..document::Rate::default()
        };
        Plan { name, limits: super::rate::limits(checker, &at.index(index), &limits) }
    };
    written.iter().enumerate().map(plan).collect()
}

/// Rate policies over plans that there are not.
pub(super) fn unknown(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    let known: Vec<&str> = config.plans.iter().map(|plan| plan.name.as_str()).collect();
    for (index, policy) in config.policies.iter().enumerate() {
        let PolicyRule::Rate(rate) = &policy.rule else { continue };
        let at = root.key("policies").index(index).key("rate");
        for (number, name) in rate.plans.iter().enumerate() {
            checker.known_name(&at.key("plans").index(number), "plan", name, &known);
        }
        if known.is_empty() && rate.key.contains(&RateKey::Plan) && !checker.is_partial {
            let message = "no key has a plan: there are no `plans`".to_owned();
            checker.warning(&at.key("key"), report::NO_EFFECT, message, "add `plans`, or leave `plan` out");
        }
    }
}
