//! Policies that watch where a verified caller calls from.

use super::Checker;
use crate::config::{Config, Continuity, ContinuityKey, PolicyRule};
use crate::defaults;
use crate::document::{self, WithoutStepUp};
use crate::path::SettingPath;
use crate::report;

/// The meaning of `continuity`.
pub(super) fn continuity(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::Continuity,
) -> Continuity {
    let is_plain = written.countries_max.is_none() && written.operators_max.is_none() && written.speed_max.is_none();
    let window_ms = checker.duration(&at.key("window"), &written.window, defaults::CONTINUITY_WINDOW);
    Continuity {
        key: match written.key {
            document::ContinuityKey::Principal => ContinuityKey::Principal,
            document::ContinuityKey::Credential => ContinuityKey::Credential,
        },
        window_secs: u32::try_from(window_ms.div_ceil(1000)).unwrap_or(u32::MAX),
        countries_max: if is_plain { Some(1) } else { written.countries_max },
        operators_max: written.operators_max,
        speed_max: written.speed_max,
        ignore_labels: written.ignore_labels.clone(),
        issued_at: written.issued_at,
        denies_without_step_up: match written.without_step_up {
            WithoutStepUp::Report => false,
            WithoutStepUp::Deny => true,
        },
    }
}

/// Policies that watch nobody: who calls is not known.
pub(super) fn unwatched(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    let knows_callers = config.policies.iter().any(|policy| matches!(policy.rule, PolicyRule::Authenticate(_)));
    if knows_callers || checker.is_partial {
        return;
    }
    for (index, policy) in config.policies.iter().enumerate() {
        if matches!(policy.rule, PolicyRule::Continuity(_)) {
            let at = root.key("policies").index(index).key("continuity");
            let message = "nobody is watched: no policy says how callers prove who they are".to_owned();
            checker.warning(&at, report::NO_EFFECT, message, "add a policy with `authenticate`");
        }
    }
}
