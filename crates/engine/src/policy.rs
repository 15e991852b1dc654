//! Policies compiled: lists become sets, patterns are split, and each API knows which policies can concern it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_config::{Cache, Config, Hours, MethodOverrides, PolicyRule, Scope, Threats};
use bartizan_model::{Mode, Timestamp};
use bartizan_waf::Plan;

use crate::address::AddressSet;
use crate::counters::Counters;
use crate::path::{Pattern, Readings};
use crate::routes::ApiIndex;
use crate::snapshot::Plans;
use crate::stage::access::authenticate::Authentication;
use crate::stage::access::authorize::Authorization;
use crate::stage::access::continuity::ContinuityRules;
use crate::stage::access::cors::CorsRules;
use crate::stage::access::csrf::CsrfRules;
use crate::stage::access::networks::NetworkRules;
use crate::stage::access::response_headers::HeaderRules;
use crate::stage::access::ssrf::SsrfRules;
use crate::stage::content::ContentRules;
use crate::stage::limit::rate::RateRules;
use crate::stage::limit::rate::key::Fingerprinter;

/// Number of a policy within its Snapshot.
pub(crate) type PolicyIndex = u32;

/// The policies of a Snapshot; those that are off are not among them.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    list: Box<[Policy]>,
    /// What API keys are sold under, by name
    key_plans: BTreeMap<Box<str>, Arc<RateRules>>,
    has_rates: bool,
    has_cors: bool,
    has_watches: bool,
    has_caches: bool,
    has_continuity: bool,
    has_answers: bool,
    /// Fields by which policies tell the upstream who calls, each with the strictest mode
    identity_headers: Box<[(Arc<str>, Mode)]>,
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) mode: Mode,
    scope: CompiledScope,
    pub(crate) rule: Rule,
}

#[derive(Debug)]
struct CompiledScope {
    /// Sorted; `None` = every request, also one without a route
    apis: Option<Box<[ApiIndex]>>,
    methods: Box<[Box<[u8]>]>,
    paths: Box<[Pattern]>,
    hours: Option<Hours>,
}

/// What a policy demands.
#[derive(Debug)]
pub(crate) enum Rule {
    Methods { allow: Box<[Box<[u8]>]>, allow_field: Box<str>, overrides: MethodOverrides },
    Addresses { allow: AddressSet, deny: AddressSet },
    Networks(Box<NetworkRules>),
    Cors(Box<CorsRules>),
    Csrf(Box<CsrfRules>),
    ResponseHeaders(Box<HeaderRules>),
    Cache(Arc<Cache>),
    Ssrf(Box<SsrfRules>),
    Limits(SizeLimits),
    Threats(RuleSet),
    Content(Arc<ContentRules>),
    Rate(Box<RateRules>),
    Authenticate(Box<Authentication>),
    Continuity(Box<ContinuityRules>),
    Authorize(Arc<Authorization>),
}

/// Attack rules of one policy.
#[derive(Clone, Debug)]
pub(crate) struct RuleSet {
    /// `None` when the host compiled none: nothing is looked at, and each exchange says so
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) body_bytes_max: usize,
    /// Phases 3 and 4 run
    pub(crate) responses: bool,
}

/// Sizes; `None` = no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLimits {
    pub(crate) target_bytes_max: Option<u64>,
    pub(crate) header_bytes_max: Option<u64>,
    pub(crate) header_count_max: Option<u32>,
    pub(crate) body_bytes_max: Option<u64>,
}

/// What a scope is compared with.
pub(crate) struct Subject<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) readings: &'a Readings<'a>,
    pub(crate) now: Timestamp,
    /// The API of the route, and those that other readings of the path lead to
    pub(crate) apis: &'a [ApiIndex],
}

impl Policies {
    pub(crate) fn compile(config: &Config, plans: &Plans, counters: &Counters, fingerprinter: Fingerprinter) -> Self {
        let running = config.policies.iter().filter(|policy| policy.mode != Mode::Off);
        let list: Box<[Policy]> = running
            .map(|policy| Policy {
                name: policy.name.as_str().into(),
                mode: policy.mode,
                scope: CompiledScope::new(&policy.scope, config),
                rule: Rule::new(policy, plans, counters, fingerprinter),
            })
            .collect();
        let key_plan = |plan: &bartizan_config::Plan| {
            // A name that no policy can have: plans and policies are told apart wherever limits are named.
            let (name, words) = (format!("plan:{}", plan.name), format!(" under the plan `{}`", plan.name));
            let rules = RateRules::brought(&name, &words, &plan.limits, counters, fingerprinter);
            (plan.name.as_str().into(), Arc::new(rules))
        };
        let key_plans = config.plans.iter().map(key_plan).collect();
        let has = |is_it: fn(&Rule) -> bool| list.iter().any(|policy| is_it(&policy.rule));
        let is_watching = |rule: &Rule| match rule {
            Rule::Methods { overrides, .. } => *overrides != MethodOverrides::Ignore,
            rule => matches!(rule, Rule::Ssrf(_)),
        };
        Self {
            key_plans,
            has_rates: has(|rule| matches!(rule, Rule::Rate(_))),
            has_cors: has(|rule| matches!(rule, Rule::Cors(_))),
            has_watches: has(is_watching),
            has_caches: has(|rule| matches!(rule, Rule::Cache(_))),
            has_continuity: has(|rule| matches!(rule, Rule::Continuity(_))),
            has_answers: has(|rule| matches!(rule, Rule::ResponseHeaders(_))),
            identity_headers: identity_headers(&list),
            list,
        }
    }

    /// What API keys with a plan of this name may use.
    pub(crate) fn plan(&self, name: &str) -> Option<&Arc<RateRules>> {
        self.key_plans.get(name)
    }

    /// Whether any policy has rate limits.
    pub(crate) fn has_rates(&self) -> bool {
        self.has_rates
    }

    /// Whether any policy says which web pages may call.
    pub(crate) fn has_cors(&self) -> bool {
        self.has_cors
    }

    /// Whether any policy of the access stage looks at bodies.
    pub(crate) fn has_watches(&self) -> bool {
        self.has_watches
    }

    /// Whether any policy keeps answers.
    pub(crate) fn has_caches(&self) -> bool {
        self.has_caches
    }

    /// Whether any policy watches where callers call from.
    pub(crate) fn has_continuity(&self) -> bool {
        self.has_continuity
    }

    /// Whether any policy says which fields answers have.
    pub(crate) fn has_answers(&self) -> bool {
        self.has_answers
    }

    /// Fields that only the gateway may write.
    pub(crate) fn identity_headers(&self) -> &[(Arc<str>, Mode)] {
        &self.identity_headers
    }

    pub(crate) fn policy(&self, index: PolicyIndex) -> Option<&Policy> {
        self.list.get(index as usize)
    }

    /// The policies that apply to `subject`, in the order written.
    pub(crate) fn applying<'a>(&'a self, subject: &'a Subject<'a>) -> impl Iterator<Item = PolicyIndex> + 'a {
        (0..).zip(&self.list).filter(|(_, policy)| policy.scope.holds(subject)).map(|(index, _)| index)
    }
}

impl Policy {
    /// Whether this very path is in the scope: for what loosens. What restricts looks at every reading, in any case.
    pub(crate) fn has_path(&self, path: &[u8]) -> bool {
        self.scope.paths.is_empty() || self.scope.paths.iter().any(|pattern| pattern.is_match(path))
    }
}

fn identity_headers(list: &[Policy]) -> Box<[(Arc<str>, Mode)]> {
    let mut headers: Vec<(Arc<str>, Mode)> = Vec::new();
    for policy in list {
        let Rule::Authenticate(rules) = &policy.rule else { continue };
        for name in rules.identity_headers() {
            match headers.iter_mut().find(|(known, _)| known == name) {
                Some((_, mode)) if policy.mode == Mode::Enforce => *mode = Mode::Enforce,
                Some(_) => {}
                None => headers.push((Arc::clone(name), policy.mode)),
            }
        }
    }
    headers.into()
}

impl CompiledScope {
    fn new(scope: &Scope, config: &Config) -> Self {
        let apis = (!scope.apis.is_empty()).then(|| {
            let named = (0..).zip(&config.apis).filter(|(_, api)| scope.apis.contains(&api.name));
            named.map(|(index, _)| index).collect()
        });
        Self {
            apis,
            methods: scope.methods.iter().map(|method| method.as_bytes().into()).collect(),
            paths: scope.paths.iter().map(Pattern::new).collect(),
            hours: scope.hours.clone(),
        }
    }

    /// Methods are compared without case here, though they are case-sensitive (RFC 9110 §9.1): an upstream that
    /// takes `post` for `POST` must not open a way around a policy. So are paths (RFC 3986 §6.2.2.1), for upstreams that
    /// route without case.
    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.apis.as_ref().is_none_or(|apis| subject.apis.iter().any(|api| apis.contains(api)))
            && (self.methods.is_empty()
                || self.methods.iter().any(|method| method.eq_ignore_ascii_case(subject.method)))
            && (self.paths.is_empty()
                || subject.readings.any(|path| self.paths.iter().any(|pattern| pattern.is_match_in_any_case(path))))
            && self.hours.as_ref().is_none_or(|hours| hours.holds(subject.now))
    }
}

impl Rule {
    fn new(policy: &bartizan_config::Policy, plans: &Plans, counters: &Counters, fingerprinter: Fingerprinter) -> Self {
        match &policy.rule {
            PolicyRule::Methods { allow, overrides } => Self::Methods {
                allow: allow.iter().map(|method| method.as_bytes().into()).collect(),
                allow_field: allow.join(", ").into(),
                overrides: *overrides,
            },
            PolicyRule::Addresses { allow, deny } => {
                Self::Addresses { allow: AddressSet::new(allow), deny: AddressSet::new(deny) }
            }
            PolicyRule::Networks(written) => Self::Networks(Box::new(NetworkRules::new(written))),
            PolicyRule::Cors(written) => Self::Cors(Box::new(CorsRules::new(written))),
            PolicyRule::Csrf(written) => Self::Csrf(Box::new(CsrfRules::new(written))),
            PolicyRule::ResponseHeaders(written) => Self::ResponseHeaders(Box::new(HeaderRules::new(written))),
            PolicyRule::Cache(written) => Self::Cache(Arc::new(Cache::clone(written))),
            PolicyRule::Ssrf(written) => Self::Ssrf(Box::new(SsrfRules::new(written))),
            PolicyRule::Limits { target_bytes_max, header_bytes_max, header_count_max, body_bytes_max } => {
                Self::Limits(SizeLimits {
                    target_bytes_max: *target_bytes_max,
                    header_bytes_max: *header_bytes_max,
                    header_count_max: *header_count_max,
                    body_bytes_max: *body_bytes_max,
                })
            }
            PolicyRule::Authenticate(written) => Self::Authenticate(Box::new(Authentication::new(written))),
            PolicyRule::Continuity(written) => Self::Continuity(Box::new(ContinuityRules::new(written))),
            PolicyRule::Authorize(written) => Self::Authorize(Arc::new(Authorization::new(written))),
            PolicyRule::Content(content) => Self::Content(Arc::new(ContentRules::new(content))),
            PolicyRule::Threats(Threats { responses, body_bytes_max, .. }) => Self::Threats(RuleSet {
                plan: plans.get(&policy.name).cloned(),
                body_bytes_max: usize::try_from(*body_bytes_max).unwrap_or(usize::MAX),
                responses: *responses,
            }),
            PolicyRule::Rate(rate) => Self::Rate(Box::new(RateRules::new(&policy.name, rate, counters, fingerprinter))),
        }
    }
}
