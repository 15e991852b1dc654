//! Policies that keep answers: whose they are, and what would give one caller the answer of another.
//!
//! Sources: RFC 9111; CWE-524 (cache containing sensitive information); web cache deception and poisoning.

use bartizan_model::{Mode, excerpt};

use super::Checker;
use crate::config::{Cache, CacheKey, Config, PolicyRule, Scope};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// Fields that hold credentials, or that the gateway itself answers for.
const NO_KEYS: [&str; 14] = [
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "dpop",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "proxy-authorization",
    "range",
    "transfer-encoding",
    "upgrade",
];

/// The meaning of `cache`.
pub(super) fn cache(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Cache) -> Cache {
    let ttl_at = at.key("ttl");
    let cache = Cache {
        key: key(checker, &at.key("key"), &written.key),
        shared: written.shared,
        ttl_ms: checker.duration(&ttl_at.key("default"), &written.ttl.default, defaults::CACHE_TTL),
        ttl_max_ms: checker.duration(&ttl_at.key("max"), &written.ttl.max, defaults::CACHE_TTL_MAX),
        ttl_missing_ms: checker.duration(&ttl_at.key("missing"), &written.ttl.missing, defaults::CACHE_TTL_MISSING),
        respect_cache_control: written.respect_cache_control,
        statuses: statuses(checker, &at.key("statuses"), &written.statuses),
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::CACHE_BODY_BYTES),
        bytes_max: checker.size(&at.key("bytes_max"), &written.bytes_max, defaults::CACHE_BYTES),
        stale_while_revalidate_ms: checker.duration(
            &at.key("stale_while_revalidate"),
            &written.stale_while_revalidate,
            defaults::CACHE_STALE,
        ),
        stale_if_error_ms: checker.duration(&at.key("stale_if_error"), &written.stale_if_error, defaults::CACHE_STALE),
        wait_ms: checker.duration(&at.key("wait"), &written.wait, defaults::CACHE_WAIT),
    };
    faults(checker, at, &cache);
    cache
}

fn key(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::CacheKey]) -> Vec<CacheKey> {
    let mut parts: Vec<CacheKey> = Vec::with_capacity(written.len());
    for (index, part) in written.iter().enumerate() {
        let part = match part {
            document::CacheKey::Anonymous => CacheKey::Anonymous,
            document::CacheKey::Principal => CacheKey::Principal,
            document::CacheKey::Application => CacheKey::Application,
            document::CacheKey::Scopes => CacheKey::Scopes,
            document::CacheKey::Roles => CacheKey::Roles,
            document::CacheKey::Query => CacheKey::Query,
            document::CacheKey::Parameter(name) => CacheKey::Parameter(name.clone()),
            document::CacheKey::Header(name) => {
                let at = at.index(index).key("header");
                let name = checker.header_name(&at, name);
                if NO_KEYS.contains(&name.as_str()) {
                    let message = format!("`{}` cannot be part of a key", excerpt(&name));
                    let help = "tell callers apart by `principal`, which is verified; the gateway answers for the rest";
                    checker.error(&at, report::CONTRADICTION, message, help);
                }
                CacheKey::Header(name)
            }
        };
        if parts.contains(&part) {
            let message = "this part of the key is written twice".to_owned();
            checker.error(&at.index(index), report::NOT_UNIQUE, message, "keep one");
        }
        parts.push(part);
    }
    parts
}

fn statuses(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[u16]) -> Vec<u16> {
    for (index, status) in written.iter().enumerate() {
        if !defaults::CACHEABLE_STATUSES.contains(status) {
            let message = format!("answers of status {status} cannot be kept");
            let all: Vec<String> = defaults::CACHEABLE_STATUSES.iter().map(ToString::to_string).collect();
            let help = format!("they are parts, errors of a moment, or for one caller; use some of {}", all.join(", "));
            checker.error(&at.index(index), report::OUT_OF_RANGE, message, help);
        }
    }
    written.to_vec()
}

/// What contradicts itself, or keeps nothing.
fn faults(checker: &mut Checker<'_, '_>, at: &SettingPath, cache: &Cache) {
    let is_anonymous = cache.key.contains(&CacheKey::Anonymous);
    let key_at = at.key("key");
    if !cache.key.is_empty() && !is_anonymous && !cache.is_by_caller() {
        let message = "the key does not say whose answers these are".to_owned();
        let help = "add `principal`, so that nobody gets the answer of another, or `anonymous` where nobody is known";
        checker.error(&key_at, report::CONTRADICTION, message, help);
    }
    if is_anonymous && cache.is_by_caller() {
        let message = "`anonymous` is nobody, and the rest of the key tells callers apart".to_owned();
        checker.error(&key_at, report::CONTRADICTION, message, "remove `anonymous`, or the parts about callers");
    }
    let has_parameters = cache.key.iter().any(|part| matches!(part, CacheKey::Parameter(_)));
    if has_parameters && cache.key.contains(&CacheKey::Query) {
        let message = "`query` is every parameter; the named ones add nothing".to_owned();
        checker.error(&key_at, report::CONTRADICTION, message, "remove `query`, or the parameters");
    }
    if cache.shared && cache.is_by_caller() {
        let message = "answers are shared by all callers, and told apart by caller".to_owned();
        let help = "remove `shared`, or write `key: [anonymous]`";
        checker.error(&at.key("shared"), report::CONTRADICTION, message, help);
    }
    let is_by_group = cache.is_by_caller() && !cache.key.contains(&CacheKey::Principal);
    if is_by_group {
        let message = "callers of one group get each other's answers".to_owned();
        let help = "add `principal`, unless answers depend on nothing else of the caller";
        checker.warning(&key_at, report::WEAK, message, help);
    }
    if !cache.respect_cache_control && cache.ttl_ms == 0 {
        let message = "`respect_cache_control: false` keeps answers for `ttl.default`, which is 0".to_owned();
        let help = "write `ttl: {default: 1m}`, or leave it to what answers say";
        checker.error(&at.key("respect_cache_control"), report::CONTRADICTION, message, help);
    }
    if cache.ttl_ms > cache.ttl_max_ms {
        let message = "`default` is longer than `max`, which wins".to_owned();
        checker.error(&at.key("ttl").key("default"), report::CONTRADICTION, message, "lower it, or raise `max`");
    }
    if cache.body_bytes_max > cache.bytes_max / 2 {
        let message = "one answer may take more than half of all memory".to_owned();
        let help = "lower `body_bytes_max`, or raise `bytes_max` to twice as much";
        checker.error(&at.key("body_bytes_max"), report::CONTRADICTION, message, help);
    }
}

/// Answers to callers who are known must not go to others, unless someone has written so; where nobody is known, there is
/// nobody to tell apart.
pub(super) fn callers(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    if checker.is_partial {
        return;
    }
    for (index, policy) in config.policies.iter().enumerate() {
        let PolicyRule::Cache(cache) = &policy.rule else { continue };
        if policy.mode == Mode::Off {
            continue;
        }
        let at = root.key("policies").index(index).key("cache");
        let is_for_all = cache.key.contains(&CacheKey::Anonymous) && !cache.is_by_caller();
        let mut running = config.policies.iter().filter(|other| other.mode != Mode::Off);
        let guard = running.find(|other| {
            matches!(other.rule, PolicyRule::Authenticate(_)) && can_concern_one(&policy.scope, &other.scope)
        });
        match guard {
            Some(guard) if is_for_all && !cache.shared => {
                let message = format!(
                    "callers whom `{}` knows would get each other's answers: the key does not tell them apart",
                    excerpt(&guard.name)
                );
                let help = "add `principal` to the key; write `shared: true` only where answers depend on nobody";
                checker.error(&at.key("key"), report::CONTRADICTION, message, help);
            }
            None if cache.is_by_caller() => {
                let message = "nobody is ever known here: no policy authenticates the same requests".to_owned();
                let help = "add a policy with `authenticate` over the same paths, or write `key: [anonymous]`";
                checker.warning(&at.key("key"), report::NO_EFFECT, message, help);
            }
            None if cache.shared => {
                let message = "`shared` is about callers who are known, and nobody is here".to_owned();
                checker.warning(&at.key("shared"), report::NO_EFFECT, message, "leave it out");
            }
            Some(_) | None => {}
        }
        if !reads(&policy.scope) {
            let message = "only answers to `GET` and `HEAD` are kept, which this scope leaves out".to_owned();
            let at = root.key("policies").index(index).key("scope").key("methods");
            checker.warning(&at, report::NO_EFFECT, message, "add `GET`, or remove `methods`");
        }
    }
}

/// Whether a `GET` or `HEAD` can be in both scopes, hours left aside.
fn can_concern_one(one: &Scope, other: &Scope) -> bool {
    let shares_api =
        one.apis.is_empty() || other.apis.is_empty() || one.apis.iter().any(|api| other.apis.contains(api));
    let shares_path = one.paths.is_empty()
        || other.paths.is_empty()
        || one.paths.iter().any(|path| other.paths.iter().any(|known| can_match_one(&path.0, &known.0)));
    reads(one) && reads(other) && shares_api && shares_path
}

/// Whether a `GET` or `HEAD` can be in the scope.
fn reads(scope: &Scope) -> bool {
    scope.methods.is_empty() || scope.methods.iter().any(|method| matches!(method.as_str(), "GET" | "HEAD"))
}

/// Whether one path can match both patterns, however servers write it: without case.
fn can_match_one(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
            (Some(""), None) | (None, Some("")) => {} // a slash at the end
            (Some(one), Some(other)) if one == "*" || other == "*" || one.eq_ignore_ascii_case(other) => {}
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::can_match_one;

    #[test]
    fn two_patterns_meet_when_one_path_matches_both() {
        for (one, other, meets) in [
            ("/a/**", "/a/b", true),
            ("/a", "/a/**", true),
            ("/**", "/x", true),
            ("/a/*/c", "/a/b/*", true),
            ("/A/b", "/a/B", true),
            ("/a", "/a/", true),
            ("/public/**", "/private/**", false),
            ("/a/*", "/a", false),
            ("/a/b", "/a/b/c", false),
        ] {
            assert_eq!(can_match_one(one, other), meets, "{one} {other}");
            assert_eq!(can_match_one(other, one), meets, "{other} {one}");
        }
    }
}
