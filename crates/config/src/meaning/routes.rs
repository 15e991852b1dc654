//! APIs and policies: which traffic they take, and what can never match.

use bartizan_model::{Mode, excerpt};

use super::Checker;
use crate::config::{Api, HostHeader, HostPattern, MethodOverrides, Policy, PolicyRule, Scope, Upstream};
use crate::defaults::{self, Range};
use crate::document::{self, Document};
use crate::path::SettingPath;
use crate::report;

/// Every API; a lone upstream without any gets one that takes everything.
pub(super) fn apis(
    checker: &mut Checker<'_, '_>,
    root: &SettingPath,
    document: &Document,
    upstreams: &[Upstream],
) -> Vec<Api> {
    let at = root.key("apis");
    match (document.apis.as_slice(), upstreams) {
        ([], [only]) => return vec![implied(&only.name)],
        ([], _) if checker.is_partial => {}
        ([], _) => {
            let message = format!("there are {} upstreams, and nothing says which requests go where", upstreams.len());
            let help = "write `apis:`, each with `name`, `upstream`, and `hosts` or `path_prefix`";
            checker.error(&at, report::MISSING_KEY, message, help);
        }
        _ => {}
    }
    checker.names(&at, "API", document.apis.iter().map(|api| api.name.as_str()));
    let upstream_names: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    let mut apis = Vec::with_capacity(document.apis.len());
    for (index, written) in document.apis.iter().enumerate() {
        let at = at.index(index);
        checker.known_name(&at.key("upstream"), "upstream", &written.upstream, &upstream_names);
        apis.push(api(checker, &at, written));
    }
    overlaps(checker, &at, &apis);
    for (index, upstream) in upstreams.iter().enumerate() {
        if !checker.report.has_errors() && !apis.iter().any(|api| api.upstream == upstream.name) {
            let message = format!("no API uses the upstream `{}`", excerpt(&upstream.name));
            let at = root.key("upstreams").index(index).key("name");
            checker.warning(&at, report::UNUSED, message, "name it in an API, or remove it");
        }
    }
    apis
}

fn implied(upstream: &str) -> Api {
    Api {
        name: defaults::API_NAME.to_owned(),
        hosts: Vec::new(),
        path_prefix: "/".to_owned(),
        upstream: upstream.to_owned(),
        host_header: HostHeader::Keep,
        body_bytes_max: defaults::BODY_BYTES.default,
        streaming: Vec::new(),
    }
}

fn api(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Api) -> Api {
    let hosts_at = at.key("hosts");
    let path_prefix = checker.path_prefix(&at.key("path_prefix"), &written.path_prefix);
    let errors = checker.report.errors();
    let streaming = checker.path_patterns(&at.key("streaming"), &written.streaming);
    for (index, pattern) in streaming.iter().enumerate() {
        if checker.report.errors() == errors && !can_meet(&path_prefix, &pattern.0) {
            let message =
                format!("`{}` never matches: this API takes only `{}`", excerpt(&pattern.0), excerpt(&path_prefix));
            let help = "write the whole path, with the prefix";
            checker.warning(&at.key("streaming").index(index), report::NO_EFFECT, message, help);
        }
    }
    Api {
        name: written.name.clone(),
        hosts: written
            .hosts
            .iter()
            .enumerate()
            .map(|(index, host)| checker.host_pattern(&hosts_at.index(index), host))
            .collect(),
        path_prefix,
        upstream: written.upstream.clone(),
        host_header: match &written.host_header {
            Some(host) => HostHeader::Replace(checker.host_header(&at.key("host_header"), host)),
            None => HostHeader::Keep,
        },
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::BODY_BYTES),
        streaming,
    }
}

/// Two APIs that claim the same host and prefix: nothing would say which is meant.
fn overlaps(checker: &mut Checker<'_, '_>, at: &SettingPath, apis: &[Api]) {
    let mut claims = std::collections::HashMap::new();
    for (index, api) in apis.iter().enumerate() {
        let every = [None];
        let hosts: Vec<Option<&HostPattern>> = api.hosts.iter().map(Some).collect();
        let hosts: &[Option<&HostPattern>] = if hosts.is_empty() { &every } else { &hosts };
        for (host_index, host) in hosts.iter().enumerate() {
            let Some((first, _)) = claims.insert((*host, api.path_prefix.as_str()), (index, host_index)) else {
                continue;
            };
            let first_name: &str = apis.get(first).map_or("", |other| other.name.as_str());
            let shown = match host {
                None => "every host".to_owned(),
                Some(HostPattern::Exact(name)) => format!("`{}`", excerpt(name)),
                Some(HostPattern::Wildcard(rest)) => format!("`*{}`", excerpt(rest)),
            };
            let place = match host {
                None => at.index(index).key("path_prefix"),
                Some(_) => at.index(index).key("hosts").index(host_index),
            };
            if first == index {
                checker.warning(&place, report::NO_EFFECT, format!("{shown} is written twice"), "keep one");
                continue;
            }
            let message = format!(
                "{shown} with `{}` belongs to both `{}` and `{}`",
                excerpt(&api.path_prefix),
                excerpt(first_name),
                excerpt(&api.name)
            );
            checker.error(&place, report::CONTRADICTION, message, "give one of them another host or `path_prefix`");
        }
    }
}

/// What a policy can demand, for messages.
const KINDS: &str = "`methods`, `addresses`, `networks`, `cors`, `csrf`, `response_headers`, `cache`, `ssrf`, `limits`, `threats`, `content`, `rate`, `authenticate`, `continuity` and `authorize`";

/// Every policy.
pub(super) fn policies(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &[document::Policy],
    apis: &[Api],
) -> Vec<Policy> {
    checker.names(at, "policy", written.iter().map(|policy| policy.name.as_str()));
    let knows_callers = written.iter().any(|policy| policy.authenticate.is_some());
    for (index, policy) in written.iter().enumerate().filter(|(_, policy)| policy.authorize.is_some()) {
        if !knows_callers && !checker.is_partial {
            let message = format!("nobody is ever known to `{}`: no policy authenticates", excerpt(&policy.name));
            let help = "add a policy with `authenticate` over the same paths";
            checker.warning(&at.index(index).key("authorize"), report::NO_EFFECT, message, help);
        }
    }
    written
        .iter()
        .enumerate()
        .filter_map(|(index, policy)| {
            let at = at.index(index);
            Some(Policy {
                name: policy.name.clone(),
                mode: match policy.mode {
                    document::PolicyMode::Enforce => Mode::Enforce,
                    document::PolicyMode::Observe => Mode::Observe,
                    document::PolicyMode::Off => Mode::Off,
                },
                scope: scope(checker, &at.key("scope"), &policy.scope, apis),
                rule: rule(checker, &at, policy)?,
            })
        })
        .collect()
}

fn scope(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Scope, apis: &[Api]) -> Scope {
    let names: Vec<&str> = apis.iter().map(|api| api.name.as_str()).collect();
    for (index, name) in written.apis.iter().enumerate() {
        checker.known_name(&at.key("apis").index(index), "API", name, &names);
    }
    let errors = checker.report.errors();
    let paths = checker.path_patterns(&at.key("paths"), &written.paths);
    let in_scope: Vec<&Api> =
        apis.iter().filter(|api| written.apis.is_empty() || written.apis.contains(&api.name)).collect();
    for (index, pattern) in paths.iter().enumerate() {
        let is_judged = checker.report.errors() == errors && !in_scope.is_empty() && !checker.is_partial;
        if is_judged && !in_scope.iter().any(|api| can_meet(&api.path_prefix, &pattern.0)) {
            let message = format!("`{}` never matches: no API in this scope takes such a path", excerpt(&pattern.0));
            let help = "write the whole path, with the prefix of the API";
            checker.warning(&at.key("paths").index(index), report::NO_EFFECT, message, help);
        }
    }
    Scope {
        apis: written.apis.clone(),
        methods: checker.methods(&at.key("methods"), &written.methods),
        paths,
        hours: written.hours.as_ref().and_then(|hours| super::hours::hours(checker, &at.key("hours"), hours)),
    }
}

/// The one rule of a policy.
fn rule(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Policy) -> Option<PolicyRule> {
    let methods = written.methods.as_ref().map(|methods| method_rule(checker, &at.key("methods"), methods));
    let addresses = written.addresses.as_ref().map(|addresses| address_rule(checker, &at.key("addresses"), addresses));
    let browsers = super::browsers::rules(checker, at, written);
    let limits = written.limits.as_ref().map(|limits| limit_rule(checker, &at.key("limits"), limits));
    let threats = written
        .threats
        .as_ref()
        .map(|threats| PolicyRule::Threats(super::threats::threats(checker, &at.key("threats"), threats)));
    let content = written
        .content
        .as_ref()
        .map(|content| PolicyRule::Content(Box::new(super::content::content(checker, &at.key("content"), content))));
    let rate =
        written.rate.as_ref().map(|rate| PolicyRule::Rate(Box::new(super::rate::rate(checker, &at.key("rate"), rate))));
    let authenticate = written.authenticate.as_ref().map(|authenticate| {
        let at = at.key("authenticate");
        PolicyRule::Authenticate(Box::new(super::authenticate::authenticate(checker, &at, authenticate)))
    });
    let ssrf =
        written.ssrf.as_ref().map(|ssrf| PolicyRule::Ssrf(Box::new(super::ssrf::ssrf(checker, &at.key("ssrf"), ssrf))));
    let cache = written.cache.as_ref().map(|cache| {
        let at = at.key("cache");
        PolicyRule::Cache(Box::new(super::cache::cache(checker, &at, cache)))
    });
    let networks = written.networks.as_ref().map(|networks| {
        PolicyRule::Networks(Box::new(super::networks::networks(checker, &at.key("networks"), networks)))
    });
    let continuity = written.continuity.as_ref().map(|continuity| {
        let at = at.key("continuity");
        PolicyRule::Continuity(Box::new(super::continuity::continuity(checker, &at, continuity)))
    });
    let authorize = written.authorize.as_ref().map(|authorize| {
        let at = at.key("authorize");
        PolicyRule::Authorize(Box::new(super::authorize::authorize(checker, &at, authorize)))
    });
    let rules = [
        methods,
        addresses,
        networks,
        cache,
        ssrf,
        limits,
        threats,
        content,
        rate,
        authenticate,
        continuity,
        authorize,
    ];
    let mut rules = rules.into_iter().flatten().chain(browsers);
    match (rules.next(), rules.next()) {
        (Some(only), None) => Some(only),
        (None, _) => {
            let message = format!("the policy `{}` demands nothing", excerpt(&written.name));
            checker.error(at, report::NOT_ONE_RULE, message, format!("add one of {KINDS}"));
            None
        }
        (Some(_), Some(_)) => {
            let message = format!("the policy `{}` has more than one rule", excerpt(&written.name));
            checker.error(at, report::NOT_ONE_RULE, message, format!("write a policy for each of {KINDS}"));
            None
        }
    }
}

fn method_rule(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Methods) -> PolicyRule {
    let allow = checker.methods(&at.key("allow"), &written.allow);
    for (index, method) in allow.iter().enumerate() {
        if matches!(method.as_str(), "TRACE" | "CONNECT") {
            let message = format!("`{method}` is no method of an API");
            let help = "remove it: `TRACE` shows a page what it must not see, `CONNECT` makes a proxy of the upstream";
            checker.warning(&at.key("allow").index(index), report::WEAK, message, help);
        }
    }
    let overrides = match written.overrides {
        document::MethodOverrides::Refuse => MethodOverrides::Refuse,
        document::MethodOverrides::Check => MethodOverrides::Check,
        document::MethodOverrides::Ignore => MethodOverrides::Ignore,
    };
    PolicyRule::Methods { allow, overrides }
}

fn address_rule(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Addresses) -> PolicyRule {
    if written.allow.is_empty() && written.deny.is_empty() {
        let message = "`addresses` names no network".to_owned();
        checker.error(at, report::EMPTY, message, "add networks to `allow` or `deny`");
    }
    let allow = checker.networks(&at.key("allow"), &written.allow);
    let deny = checker.networks(&at.key("deny"), &written.deny);
    for (index, network) in allow.iter().enumerate() {
        if let Some(wider) = deny.iter().find(|denied| denied.contains(network)) {
            let message = format!("`{network}` is allowed and yet denied by `{wider}`, which wins");
            let help = "remove it, or narrow the `deny`";
            checker.warning(&at.key("allow").index(index), report::NO_EFFECT, message, help);
        }
    }
    PolicyRule::Addresses { allow, deny }
}

fn limit_rule(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::PolicyLimits) -> PolicyRule {
    const BOUNDS: Range = Range { default: 1, min: 1, max: defaults::POLICY_BYTES_MAX };
    let sizes = [&written.target_bytes_max, &written.header_bytes_max, &written.body_bytes_max];
    if sizes.iter().all(|size| size.is_none()) && written.header_count_max.is_none() {
        let message = "`limits` limits nothing".to_owned();
        let help = "add `target_bytes_max`, `header_bytes_max`, `header_count_max` or `body_bytes_max`";
        checker.error(at, report::EMPTY, message, help);
    }
    let mut size = |name: &str, written: &Option<document::Size>| {
        written.as_ref().map(|written| checker.size(&at.key(name), written, BOUNDS))
    };
    PolicyRule::Limits {
        target_bytes_max: size("target_bytes_max", &written.target_bytes_max),
        header_bytes_max: size("header_bytes_max", &written.header_bytes_max),
        header_count_max: written.header_count_max,
        body_bytes_max: size("body_bytes_max", &written.body_bytes_max),
    }
}

/// Whether a path below `prefix` can match `pattern`.
fn can_meet(prefix: &str, pattern: &str) -> bool {
    let mut wanted = pattern.split('/').skip(1);
    for segment in prefix.split('/').skip(1).filter(|segment| !segment.is_empty()) {
        match wanted.next() {
            Some("**") => return true,
            Some(literal) if literal == "*" || literal == segment => {}
            Some(_) | None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::can_meet;

    #[test]
    fn a_pattern_meets_a_prefix_that_it_begins_with() {
        for (prefix, pattern, meets) in [
            ("/", "/a", true),
            ("/v1", "/v1/users/*", true),
            ("/v1", "/v1", true),
            ("/v1/users", "/**", true),
            ("/v1/users/all", "/v1/**", true),
            ("/v1", "/*/users", true),
            ("/v1", "/users", false),
            ("/v1/users", "/v1", false),
        ] {
            assert_eq!(can_meet(prefix, pattern), meets, "{prefix} {pattern}");
        }
    }
}
