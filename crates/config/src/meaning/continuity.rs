//! Policies that watch where a verified caller calls from.

use super::Checker;
use crate::config::{AddressFileKind, Config, Continuity, ContinuityKey, PolicyRule};
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

/// Policies that nobody can meet or break: where addresses are is not known, or who calls.
pub(super) fn unanswered(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    let has = |kinds: &[AddressFileKind]| config.address_data.iter().any(|data| kinds.contains(&data.kind));
    let known = [
        has(&[AddressFileKind::Database, AddressFileKind::Countries]),
        has(&[AddressFileKind::Database, AddressFileKind::Asns]),
        has(&[AddressFileKind::Database, AddressFileKind::Coordinates]),
        has(&[AddressFileKind::Labels]),
    ];
    let knows_callers = config.policies.iter().any(|policy| matches!(policy.rule, PolicyRule::Authenticate(_)));
    for (index, policy) in config.policies.iter().enumerate() {
        let PolicyRule::Continuity(rules) = &policy.rule else { continue };
        let at = root.key("policies").index(index).key("continuity");
        if checker.is_partial {
            return;
        }
        let asked = [
            (rules.countries_max.is_some(), "countries_max", "countries"),
            (rules.operators_max.is_some(), "operators_max", "operators"),
            (rules.speed_max.is_some(), "speed_max", "coordinates"),
            (!rules.ignore_labels.is_empty(), "ignore_labels", "labels"),
        ];
        for ((is_asked, key, what), is_known) in asked.into_iter().zip(known) {
            if is_asked && !is_known {
                let message = format!("no file of `address_data` tells {what}");
                checker.error(&at.key(key), report::UNKNOWN_NAME, message, "add one to `address_data`, with `holds`");
            }
        }
        if !knows_callers {
            let message = "nobody is watched: no policy says how callers prove who they are".to_owned();
            checker.warning(&at, report::NO_EFFECT, message, "add a policy with `authenticate`");
        }
    }
}
