//! What callers may do: rules over operations, and Cedar policies, once it is known who calls.
//!
//! A request is one operation or, where servers may read its path differently, several (`operation`). Every rule about
//! each of them must hold, then Cedar must permit each. What cannot be told is refused: access control fails closed. The
//! finding says what was missing; the client learns only that it may not, and which scopes would have done (RFC 6750
//! §3.1). Recordings are judged by the same code; a caller who cannot be verified there proves nothing.
//! Sources: OWASP API1:2023 and API5:2023; RFC 9110 §15.5.2, §15.5.4.

mod body;
pub(crate) mod cedar;
pub(crate) mod checks;
mod condition;
pub(crate) mod object;
mod operation;
mod requirement;

use std::cell::LazyCell;
use std::net::IpAddr;
use std::sync::Arc;

use bartizan_config::{Authorize, MethodOverrides};
use bartizan_model::{
    ClaimValue, Confirmation, CredentialKind, Finding, Location, Mode, Part, Principal, RequestHead, Source, Timestamp,
};
use smallvec::SmallVec;

use super::checks::SCOPE;
use super::media::BodyForm;
use super::overrides::Overrides;
use super::verified::Who;
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{Policies, PolicyIndex, Rule};
use crate::stage::{HeadContext, applying};
use condition::Interpreter;
use operation::{Match, Operations};
use requirement::{Fault, Outcome, Requirement};

/// One `authorize` policy.
#[derive(Debug)]
pub(crate) struct Authorization {
    operations: Operations,
    /// Ids, by place in the configuration
    ids: Box<[Box<str>]>,
    rules: Box<[CompiledRule]>,
    is_unmatched_allowed: bool,
    has_cedar: bool,
    groups_claim: Box<str>,
    body_bytes_max: usize,
    cel: Interpreter,
}

#[derive(Debug)]
struct CompiledRule {
    name: Box<str>,
    /// Sorted; empty = all
    operations: Box<[usize]>,
    anonymous: bool,
    require: Requirement,
    any_of: Box<[Requirement]>,
}

/// What is looked at.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    /// Who calls, if that is known
    pub(crate) who: Option<&'a Who>,
    pub(crate) groups_claim: &'a str,
    pub(crate) address: Option<IpAddr>,
    pub(crate) host: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) cel: &'a Interpreter,
}

/// A time of day, in UTC.
pub(crate) struct Clock {
    /// Since 1970-01-01
    pub(crate) seconds: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    /// Monday is 1, Sunday 7 (ISO 8601)
    pub(crate) weekday: i64,
}

/// What waits for the body, and what was found out.
#[derive(Debug, Default)]
pub(crate) struct Authorizing {
    waiting: SmallVec<[Waiting; 1]>,
    form: BodyForm,
    /// Whether somebody wants to know what determined the outcome
    pub(crate) is_traced: bool,
    pub(crate) trace: Vec<AuthorizationTrace>,
}

/// A rule that holds if the body agrees.
#[derive(Debug)]
struct Waiting {
    policy: PolicyIndex,
    rules: Arc<Authorization>,
    rule: usize,
    operation: Option<usize>,
    /// What its `require` says of the body counts
    is_required: bool,
    /// Alternatives of which one must agree
    alternatives: SmallVec<[usize; 2]>,
}

/// What an `authorize` policy made of one operation of a request, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationTrace {
    /// The policy
    pub policy: Arc<str>,
    /// Id of the operation; `None` where the policy names none
    pub operation: Option<Box<str>>,
    /// Whether it may be done; `None` when that could not be judged
    pub is_permitted: Option<bool>,
    /// Rules and Cedar policies that say so, or what is missing
    pub determined_by: Vec<String>,
}

/// Runs every policy that applies.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    if ctx.facts.is_preflight() {
        return; // no upstream gets it, and it can carry no credential: the call that follows is judged
    }
    for index in ctx.facts.policies.clone() {
        let Some(policy) = ctx.snapshot.policies().policy(index) else { continue };
        if let Rule::Authorize(rules) = &policy.rule {
            rules.run(ctx, index, &policy.name);
        }
    }
}

/// What a rule asks of the body: whether its `require` does, and which alternatives do.
type OfBody = (bool, SmallVec<[usize; 2]>);

/// What the head says.
#[derive(Default)]
struct Judgment {
    fault: Option<(Option<usize>, Option<Box<str>>, Fault)>,
    waiting: SmallVec<[Waiting; 1]>,
    permitted_by: Vec<(Option<usize>, Vec<String>)>,
}

impl Authorization {
    pub(crate) fn new(written: &Authorize) -> Self {
        let rule = |rule: &bartizan_config::AuthorizationRule| CompiledRule {
            name: rule.name.as_str().into(),
            operations: rule.operations.as_slice().into(),
            anonymous: rule.anonymous,
            require: Requirement::new(&rule.require),
            any_of: rule.any_of.iter().map(Requirement::new).collect(),
        };
        Self {
            operations: Operations::new(&written.operations),
            ids: written.operations.iter().map(|operation| operation.id.as_str().into()).collect(),
            rules: written.rules.iter().map(rule).collect(),
            is_unmatched_allowed: written.is_unmatched_allowed,
            has_cedar: written.cedar.is_some(),
            groups_claim: written.groups_claim.as_str().into(),
            body_bytes_max: usize::try_from(written.body_bytes_max).unwrap_or(usize::MAX),
            cel: Interpreter::default(),
        }
    }

    fn run(self: &Arc<Self>, ctx: &mut HeadContext<'_>, index: PolicyIndex, name: &Arc<str>) {
        let verified = ctx.facts.caller.clone();
        let who = verified.as_ref().and_then(|verified| verified.who.as_ref().ok());
        let caller = who.map(|who| &who.principal);
        if caller.is_none() && ctx.facts.is_caller_unjudged {
            return self.trace(ctx, name, None, None, || vec!["the credential cannot be verified here".to_owned()]);
        }
        let readings = ctx.readings;
        let matches = self.operations.matches(ctx.head.method, readings);
        let addresses = [ctx.facts.client.ip].into_iter().chain(ctx.facts.rival.map(Some));
        let mut judgment = Judgment::default();
        for address in addresses {
            let request = Request {
                head: ctx.head,
                who,
                groups_claim: &self.groups_claim,
                address,
                host: ctx.facts.host.as_ref().map_or("", |host| host.as_str()),
                now: ctx.now,
                cel: &self.cel,
            };
            judgment = self.judge(&request, &matches, index, ctx, name);
            if judgment.fault.is_some() {
                break;
            }
        }
        if judgment.fault.is_none() {
            judgment.fault = overridden(ctx).map(|fault| (None, None, fault));
        }
        self.conclude(ctx, index, name, judgment, caller);
    }

    /// Holds every rule, then Cedar, against every operation that the request may be.
    fn judge(
        self: &Arc<Self>,
        request: &Request<'_>,
        matches: &operation::Matches<'_>,
        index: PolicyIndex,
        ctx: &HeadContext<'_>,
        policy: &str,
    ) -> Judgment {
        let mut judgment = Judgment::default();
        if matches.is_cut {
            let words = "the path can be read as more operations than are judged".to_owned();
            judgment.fault = Some((None, None, Fault::new(&checks::UNDECIDED, words, Part::Path)));
            return judgment;
        }
        for one in &matches.list {
            let is_traced = ctx.facts.authorizing.is_traced;
            let mut by = Vec::new();
            let mut is_spoken_of = self.has_cedar;
            for (number, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.is_about(one.operation)) {
                is_spoken_of = true;
                match rule.head(request, one) {
                    Ok(None) => {}
                    Ok(Some((is_required, alternatives))) => judgment.waiting.push(Waiting {
                        policy: index,
                        rules: Arc::clone(self),
                        rule: number,
                        operation: one.operation,
                        is_required,
                        alternatives,
                    }),
                    Err(fault) => {
                        judgment.fault = Some((one.operation, Some(rule.name.clone()), fault));
                        return judgment;
                    }
                }
                if is_traced {
                    by.push(format!("rule `{}`", rule.name));
                }
            }
            let fault = if !is_spoken_of {
                (!self.is_unmatched_allowed).then(unmatched)
            } else if self.has_cedar {
                let outcome = match ctx.snapshot.cedar().get(policy) {
                    Some(plan) => plan.judge(request, one),
                    None => Err(Fault::new(&checks::UNDECIDED, "the Cedar policies are not loaded".into(), Part::Path)),
                };
                let permitting = outcome.as_ref().ok().filter(|_| is_traced);
                by.extend(permitting.into_iter().flat_map(|ids| ids.iter()).map(|id| cedar::named(id)));
                outcome.err()
            } else {
                None
            };
            if let Some(fault) = fault {
                judgment.fault = Some((one.operation, None, fault));
                return judgment;
            }
            judgment.permitted_by.push((one.operation, by));
        }
        if !matches.is_complete && !self.is_unmatched_allowed {
            judgment.fault = Some((None, None, unmatched()));
        }
        judgment
    }

    /// Acts on what the head says, and prepares what the body has to say.
    fn conclude(
        &self,
        ctx: &mut HeadContext<'_>,
        index: PolicyIndex,
        name: &Arc<str>,
        judgment: Judgment,
        caller: Option<&Principal>,
    ) {
        if let Some((operation, rule, fault)) = judgment.fault {
            let words = self.words(operation, rule.as_deref(), &fault.words);
            self.trace(ctx, name, operation, Some(false), || vec![words.clone()]);
            self.refuse(ctx, index, caller, rule.as_deref(), Finding { evidence: words.into(), ..found(&fault) });
            return;
        }
        for (operation, by) in judgment.permitted_by {
            self.trace(ctx, name, operation, Some(true), || by);
        }
        if judgment.waiting.is_empty() {
            return;
        }
        if ctx.facts.is_streaming() && ctx.source == Source::Gateway {
            let fault = Fault::new(&checks::UNDECIDED, "the body streams by unread".to_owned(), Part::Body);
            self.refuse(ctx, index, caller, None, found(&fault));
            return;
        }
        ctx.facts.authorizing.form = BodyForm::of(ctx);
        ctx.facts.authorizing.waiting.extend(judgment.waiting);
        ctx.held.want(self.body_bytes_max);
    }

    /// Tells what was made of an operation, if somebody wants to know.
    fn trace(
        &self,
        ctx: &mut HeadContext<'_>,
        policy: &Arc<str>,
        operation: Option<usize>,
        is_permitted: Option<bool>,
        determined_by: impl FnOnce() -> Vec<String>,
    ) {
        let authorizing = &mut ctx.facts.authorizing;
        if authorizing.is_traced {
            let (policy, operation, determined_by) = (Arc::clone(policy), self.id(operation), determined_by());
            authorizing.trace.push(AuthorizationTrace { policy, operation, is_permitted, determined_by });
        }
    }

    /// ``operation `readAccount`, rule `own-accounts`: role `teller` is missing``
    fn words(&self, operation: Option<usize>, rule: Option<&str>, words: &str) -> String {
        let operation = operation.and_then(|number| self.ids.get(number));
        match (operation, rule) {
            (Some(operation), Some(rule)) => format!("operation `{operation}`, rule `{rule}`: {words}"),
            (Some(operation), None) => format!("operation `{operation}`: {words}"),
            (None, Some(rule)) => format!("rule `{rule}`: {words}"),
            (None, None) => words.to_owned(),
        }
    }

    fn refuse(
        &self,
        ctx: &mut HeadContext<'_>,
        index: PolicyIndex,
        caller: Option<&Principal>,
        rule: Option<&str>,
        finding: Finding,
    ) {
        let challenges = match caller {
            None if finding.check.as_str() == checks::UNKNOWN_CALLER.id => ways_in(ctx),
            None => Vec::new(),
            Some(principal) => {
                let realm = realm(ctx);
                let rule = self.rules.iter().find(|known| Some(&*known.name) == rule);
                let is_scope = finding.check.as_str() == SCOPE.id;
                let scopes = rule.filter(|_| is_scope).map(CompiledRule::scopes).unwrap_or_default();
                insufficient_scope(principal, &realm, &scopes).into_iter().collect()
            }
        };
        // A 401 must say how to come in (RFC 9110 §15.5.2); where no policy knows a way, it is a 403.
        let is_unknown = caller.is_none() && !challenges.is_empty();
        let refusal = if is_unknown { Refusal::Unauthorized } else { Refusal::Forbidden };
        if !challenges.is_empty() {
            ctx.facts.challenges.push((index, challenges));
        }
        ctx.notices.push(finding, Ground::Policy(index, refusal));
    }
}

impl CompiledRule {
    fn is_about(&self, operation: Option<usize>) -> bool {
        self.operations.is_empty() || operation.is_some_and(|number| self.operations.binary_search(&number).is_ok())
    }

    /// Whether the head lets it hold; with what must be asked of the body, if anything.
    fn head(&self, request: &Request<'_>, one: &Match<'_>) -> Result<Option<OfBody>, Fault> {
        if request.who.is_none() && !self.anonymous {
            return Err(Fault::new(&checks::UNKNOWN_CALLER, "nobody is known to call".to_owned(), Part::Header));
        }
        let is_required = match self.require.head(request, one) {
            Outcome::Holds => false,
            Outcome::Waits => true,
            Outcome::Fails(fault) => return Err(fault),
        };
        let mut alternatives = SmallVec::new();
        let mut last = None;
        for (number, alternative) in self.any_of.iter().enumerate() {
            match alternative.head(request, one) {
                Outcome::Holds => return Ok(is_required.then(|| (true, SmallVec::new()))),
                Outcome::Waits => alternatives.push(number),
                Outcome::Fails(fault) => last = Some(fault),
            }
        }
        match last {
            Some(fault) if alternatives.is_empty() => Err(self.none_of(fault)),
            _ if is_required || !alternatives.is_empty() => Ok(Some((is_required, alternatives))),
            _ => Ok(None),
        }
    }

    /// The last alternative's fault, told as one of several.
    fn none_of(&self, fault: Fault) -> Fault {
        match self.any_of.len() {
            0 | 1 => fault,
            count => {
                Fault { words: format!("none of {count} alternatives holds; of the last, {}", fault.words), ..fault }
            }
        }
    }

    fn scopes(&self) -> Vec<&str> {
        let all = std::iter::once(&self.require).chain(&self.any_of).flat_map(Requirement::scopes);
        let mut scopes: Vec<&str> = Vec::new();
        all.for_each(|scope| {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        });
        scopes
    }
}

impl Authorizing {
    /// Whether a body must be kept back until a rule of an enforced policy has seen it.
    pub(crate) fn holds(&self, policies: &Policies) -> bool {
        let is_enforced = |index| policies.policy(index).is_some_and(|policy| policy.mode == Mode::Enforce);
        self.waiting.iter().any(|waiting| is_enforced(waiting.policy))
    }

    /// The request is complete. `caller` is who it is, if that still holds.
    pub(crate) fn request_end(
        &mut self,
        policies: &Policies,
        caller: Option<&Principal>,
        held: &HeldBody,
        out: &mut Notices,
    ) {
        // PERF: unpacked and decoded for the first rule that asks, and once for all of them.
        let whole = self.form.body(held, usize::MAX);
        let unpacked = LazyCell::new(|| body::unpack(whole));
        let parameters = LazyCell::new(|| body::read(whole, &unpacked));
        let mut refused: SmallVec<[PolicyIndex; 1]> = SmallVec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            if refused.contains(&waiting.policy) {
                continue;
            }
            let of_body = |rules: &Authorization| match held.first(rules.body_bytes_max) {
                (_, true) => Err(rules.body_bytes_max),
                (_, false) => Ok(&*parameters),
            };
            let Some((fault, rule)) = waiting.fault(caller, of_body) else { continue };
            refused.push(waiting.policy);
            let words = waiting.rules.words(waiting.operation, Some(rule), &fault.words);
            if let Some(policy) = policies.policy(waiting.policy).filter(|_| self.is_traced) {
                let operation = waiting.rules.id(waiting.operation);
                self.trace.retain(|trace| trace.policy != policy.name || trace.operation != operation);
                let determined_by = vec![words.clone()];
                let policy = Arc::clone(&policy.name);
                self.trace.push(AuthorizationTrace { policy, operation, is_permitted: Some(false), determined_by });
            }
            let finding = Finding { evidence: words.into(), ..found(&fault) };
            out.push(finding, Ground::Policy(waiting.policy, Refusal::Forbidden));
        }
    }
}

impl Waiting {
    /// What the body has against the rule, and the rule's name.
    fn fault<'b>(
        &self,
        caller: Option<&Principal>,
        of_body: impl FnOnce(&Authorization) -> Result<&'b body::Reading<'b>, usize>,
    ) -> Option<(Fault, &str)> {
        let rule = self.rules.rules.get(self.rule)?;
        let told = |fault| Some((fault, &*rule.name));
        let Some(principal) = caller else {
            return told(Fault::new(&checks::UNKNOWN_CALLER, "nobody is known to call".to_owned(), Part::Header));
        };
        let parameters = match of_body(&self.rules) {
            Ok(parameters) => parameters,
            Err(bytes) => {
                let words = format!("the body has more than the {bytes} bytes that are looked into");
                return told(Fault::new(&checks::UNDECIDED, words, Part::Body));
            }
        };
        let of = |requirement: &Requirement| {
            body::fault(parameters, principal, &self.rules.groups_claim, requirement.body_objects.iter())
        };
        if let Some(fault) = self.is_required.then(|| of(&rule.require)).flatten() {
            return told(fault);
        }
        let mut last = None;
        for number in &self.alternatives {
            match rule.any_of.get(*number).map(&of) {
                Some(None) => return None,
                Some(fault) => last = fault,
                None => {}
            }
        }
        last.and_then(|fault| told(rule.none_of(fault)))
    }
}

impl<'a> Request<'a> {
    /// The same, without what is remembered of it.
    pub(crate) fn caller(&self) -> Option<&'a Principal> {
        self.who.map(|who| &who.principal)
    }

    /// The caller's groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        let claim = self.caller().and_then(|principal| principal.claim(self.groups_claim));
        let (text, list): (Option<&str>, &[Box<str>]) = match claim {
            Some(ClaimValue::Text(text)) => (Some(text), &[]),
            Some(ClaimValue::List(list)) => (None, list),
            Some(ClaimValue::Number(_) | ClaimValue::Boolean(_) | ClaimValue::Numbers(_)) | None => (None, &[]),
        };
        let words = text.into_iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty());
        words.chain(list.iter().map(|item| &**item))
    }

    pub(crate) fn clock(&self) -> Clock {
        const DAY: i64 = 86_400;
        let seconds = self.now.as_secs();
        let of_day = seconds.rem_euclid(DAY);
        // 1970-01-01 was a Thursday
        let weekday = (seconds.div_euclid(DAY) + 3).rem_euclid(7) + 1;
        Clock { seconds, hour: of_day / 3600, minute: of_day / 60 % 60, weekday }
    }
}

impl Authorization {
    fn id(&self, operation: Option<usize>) -> Option<Box<str>> {
        operation.and_then(|number| self.ids.get(number)).cloned()
    }
}

fn found(fault: &Fault) -> Finding {
    fault.info.finding(fault.location.clone(), fault.words.clone())
}

/// A method named beside the request's own: an upstream that believes it carries out an operation that was not judged.
/// What a body names is for a policy over `methods` to see.
fn overridden(ctx: &HeadContext<'_>) -> Option<Fault> {
    let overrides = Overrides { what: MethodOverrides::Refuse, allow: &[], method: ctx.head.method };
    let (finding, _) = overrides.head(ctx.head, ctx.fields)?;
    let words = "another method than the request's own is named: what it would do is not judged".to_owned();
    Some(Fault { info: &checks::UNDECIDED, words, location: finding.location })
}

fn unmatched() -> Fault {
    Fault { info: &checks::UNMATCHED, words: "no rule speaks of it".to_owned(), location: Location::part(Part::Path) }
}

/// How to come in, by the `authenticate` policies that apply.
fn ways_in(ctx: &HeadContext<'_>) -> Vec<String> {
    let mut challenges: Vec<String> = Vec::new();
    for (_, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Authenticate(rules) = &policy.rule else { continue };
        for challenge in rules.ways_in() {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
    }
    challenges
}

/// The protected space, as the policy that knows the caller names it.
pub(super) fn realm(ctx: &HeadContext<'_>) -> Box<str> {
    for (_, policy) in applying(ctx.snapshot, ctx.facts) {
        if let Rule::Authenticate(rules) = &policy.rule {
            return rules.realm().into();
        }
    }
    Box::default() // nobody is known then
}

/// RFC 6750 §3.1, RFC 9449 §7.1: for callers who came with a token.
fn insufficient_scope(principal: &Principal, realm: &str, scopes: &[&str]) -> Option<String> {
    if !matches!(principal.credential, CredentialKind::Jwt | CredentialKind::IntrospectedToken) {
        return None;
    }
    let scheme = match principal.confirmation {
        Some(Confirmation::KeyThumbprint(_)) => "DPoP",
        Some(Confirmation::CertificateThumbprint(_)) | None => "Bearer",
    };
    let scope = if scopes.is_empty() { String::new() } else { format!(", scope=\"{}\"", scopes.join(" ")) };
    Some(format!("{scheme} realm=\"{realm}\", error=\"insufficient_scope\"{scope}"))
}
