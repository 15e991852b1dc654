//! Policies of rate limits: which numbers, and which of them can never have an effect.

use bartizan_model::{Timestamp, excerpt};

use super::Checker;
use crate::config::{
    Attempts, Bandwidth, FailureMode, Login, PageSize, Quota, QuotaWindow, Rate, RateCount, RateKey, RateSharing,
    SpikeArrest,
};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// The meaning of `rate`.
pub(super) fn rate(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Rate) -> Rate {
    let rate = limits(checker, at, written);
    faults(checker, at, written, &rate);
    rate
}

/// The limits themselves; there may be none.
pub(super) fn limits(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Rate) -> Rate {
    Rate {
        key: key(checker, &at.key("key"), &written.key),
        plans: written.plans.clone(),
        count: match written.count {
            document::RateCount::Admitted => RateCount::Admitted,
            document::RateCount::All => RateCount::All,
        },
        weight: written.weight,
        weight_header: written.weight_header.as_ref().map(|name| checker.header_name(&at.key("weight_header"), name)),
        spike_arrest: written.spike_arrest.as_ref().map(|spike| SpikeArrest {
            requests: spike.requests,
            per_ms: checker.duration(&at.key("spike_arrest").key("per"), &spike.per, defaults::SPIKE_WINDOW),
            burst: spike.burst,
        }),
        quota: written.quota.as_ref().and_then(|written| quota(checker, &at.key("quota"), written)),
        concurrency: written.concurrency,
        bandwidth: written.bandwidth.as_ref().map(|bandwidth| {
            let at = at.key("bandwidth");
            let bytes = checker.size(&at.key("bytes"), &bandwidth.bytes, defaults::BANDWIDTH_BYTES);
            Bandwidth { bytes, per_ms: checker.duration(&at.key("per"), &bandwidth.per, defaults::RATE_WINDOW) }
        }),
        response_bytes_max: written
            .response_bytes_max
            .as_ref()
            .map(|size| checker.size(&at.key("response_bytes_max"), size, defaults::RESPONSE_BYTES)),
        page_size: written.page_size_max.map(|max| PageSize { parameters: written.page_size_parameters.clone(), max }),
        login: written.login.as_ref().map(|written| login(checker, &at.key("login"), written)),
        sharing: sharing(checker, at, written),
        keys_max: written.keys_max,
        announce: written.announce,
    }
}

/// What contradicts itself, or limits nothing.
fn faults(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Rate, rate: &Rate) {
    let is_written = rate.counts() > 0 || written.quota.is_some();
    let is_more = rate.response_bytes_max.is_some() || rate.page_size.is_some() || rate.login.is_some();
    if !is_written && !is_more && !checker.is_partial {
        let help = "add `spike_arrest`, `quota`, `concurrency`, `bandwidth`, `response_bytes_max`, `page_size_max` or \
                    `login`";
        checker.error(at, report::EMPTY, "`rate` limits nothing".to_owned(), help);
    }
    let too_heavy = |limit: u64| u64::from(rate.weight) > limit;
    let is_refused = rate.quota.is_some_and(|quota| too_heavy(quota.requests))
        || rate.spike_arrest.is_some_and(|spike| too_heavy(spike.burst.into()));
    if is_refused {
        let message = format!("a request weighs {}, which is more than ever is admitted", rate.weight);
        let help = "lower `weight`, or raise `requests` of the quota and `burst` of the spike arrest to it";
        checker.error(&at.key("weight"), report::CONTRADICTION, message, help);
    }
}

/// With whom counts are shared: what is written, else what serves best.
fn sharing(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Rate) -> RateSharing {
    let counts_all = matches!(written.count, document::RateCount::All);
    let has_shared = written.quota.is_some() || written.login.is_some();
    let sharing = match written.shared {
        None if checker.has_redis && has_shared && !counts_all => {
            shared(Some(document::RateSharing::Leased), written.failure_mode)
        }
        mode => shared(mode, written.failure_mode),
    };
    let is_written = matches!(sharing, RateSharing::Leased(_) | RateSharing::Strict(_)) && written.shared.is_some();
    if is_written && !checker.has_redis && !checker.is_partial {
        let help = "add `redis: { address: …, gateways: … }`, or write `shared: local`";
        let message = "there is no Redis to share counts through".to_owned();
        checker.error(&at.key("shared"), report::CONTRADICTION, message, help);
    }
    if is_written && counts_all {
        let message = "refused requests cannot be counted for all gateways".to_owned();
        checker.error(&at.key("shared"), report::CONTRADICTION, message, "leave `count: all` out, or `shared`");
    }
    let is_shareable = match sharing {
        RateSharing::Local => true,
        RateSharing::Leased(_) => has_shared,
        RateSharing::Strict(_) => has_shared || written.spike_arrest.is_some(),
    };
    if is_written && !is_shareable {
        let message = "nothing here is shared".to_owned();
        let help = "`leased` shares `quota` and `login`, `strict` shares `spike_arrest` too";
        checker.warning(&at.key("shared"), report::NO_EFFECT, message, help);
    }
    if sharing == RateSharing::Local && written.failure_mode.is_some() {
        let message = "`failure_mode` says what holds without Redis, but counts are local".to_owned();
        let help = "write `shared: leased` or `shared: strict`, or leave it out";
        checker.warning(&at.key("failure_mode"), report::NO_EFFECT, message, help);
    }
    sharing
}

/// How counts are shared, and what holds without Redis; nothing written shares nothing.
pub(super) fn shared(written: Option<document::RateSharing>, failure: Option<document::FailureMode>) -> RateSharing {
    let failure = match failure {
        Some(document::FailureMode::Open) => FailureMode::Open,
        Some(document::FailureMode::Closed) => FailureMode::Closed,
        Some(document::FailureMode::Share) | None => FailureMode::Share,
    };
    match written {
        Some(document::RateSharing::Leased) => RateSharing::Leased(failure),
        Some(document::RateSharing::Strict) => RateSharing::Strict(failure),
        Some(document::RateSharing::Local) | None => RateSharing::Local,
    }
}

fn key(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::RateKey]) -> Vec<RateKey> {
    let mut parts = Vec::with_capacity(written.len());
    for (index, part) in written.iter().enumerate() {
        let part = match part {
            document::RateKey::Principal => RateKey::Principal,
            document::RateKey::ApiKey => RateKey::ApiKey,
            document::RateKey::Application => RateKey::Application,
            document::RateKey::Plan => RateKey::Plan,
            document::RateKey::Fingerprint => RateKey::Fingerprint,
            document::RateKey::Address => RateKey::Address,
            document::RateKey::Country => RateKey::Country,
            document::RateKey::Asn => RateKey::Asn,
            document::RateKey::Endpoint => RateKey::Endpoint,
            document::RateKey::Api => RateKey::Api,
            document::RateKey::Global => RateKey::Global,
            document::RateKey::Header(name) => {
                RateKey::Header(checker.header_name(&at.index(index).key("header"), name))
            }
            document::RateKey::Cookie(name) => RateKey::Cookie(name.clone()),
            document::RateKey::Query(name) => RateKey::Query(name.clone()),
            document::RateKey::Claim(name) => RateKey::Claim(name.clone()),
        };
        if parts.contains(&part) {
            let message = format!("`{}` is written twice", excerpt(&part.words()));
            checker.warning(&at.index(index), report::NO_EFFECT, message, "keep one");
        }
        parts.push(part);
    }
    if parts.len() > 1 && parts.contains(&RateKey::Global) {
        let message = "`global` tells no requests apart, and so adds nothing to the rest of the key".to_owned();
        checker.error(at, report::CONTRADICTION, message, "write `global` alone, or leave it out");
    }
    parts
}

fn quota(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Quota) -> Option<Quota> {
    let is_month = written.per.0 == document::MONTH;
    let is_calendar = written.window == document::QuotaWindow::Calendar || is_month;
    let start = match &written.start {
        None => Timestamp::default(),
        Some(_) if is_month => {
            let help = "leave `start` out: months begin on their first day in UTC";
            checker.error(&at.key("start"), report::CONTRADICTION, "a month has its own start".to_owned(), help);
            return None;
        }
        Some(_) if !is_calendar => {
            let help = "add `window: calendar`, or leave `start` out";
            checker.error(&at.key("start"), report::CONTRADICTION, "a rolling window has no start".to_owned(), help);
            return None;
        }
        Some(text) => match text.parse() {
            Ok(start) => start,
            Err(_) => {
                let message = format!("`{}` is not a time", excerpt(text));
                let help = "write it as RFC 3339 has it, such as `2026-01-05T00:00:00Z`";
                checker.error(&at.key("start"), report::MALFORMED_TIME, message, help);
                return None;
            }
        },
    };
    if is_month {
        return Some(Quota { requests: written.requests, window: QuotaWindow::Month });
    }
    let per = document::Duration(written.per.0.clone());
    let length_ms = checker.duration(&at.key("per"), &per, defaults::RATE_WINDOW);
    let window = match written.window {
        document::QuotaWindow::Rolling => QuotaWindow::Rolling { window_ms: length_ms },
        document::QuotaWindow::Calendar => QuotaWindow::Calendar { length_ms, start },
    };
    Some(Quota { requests: written.requests, window })
}

fn login(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Login) -> Login {
    let mut attempts = |name: &str, written: &document::Attempts| Attempts {
        attempts: written.attempts,
        per_ms: checker.duration(&at.key(name).key("per"), &written.per, defaults::RATE_WINDOW),
    };
    Login {
        account: written.account.clone(),
        per_account: attempts("per_account", &written.per_account),
        per_source: attempts("per_source", &written.per_source),
        failure_statuses: written.failure_statuses.clone(),
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::LOGIN_BODY_BYTES),
    }
}
