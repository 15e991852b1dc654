//! What a caller must have: scopes, roles, groups, claims; what must be its own: objects; and what must be true.
//!
//! A requirement is held against the head first. What needs the body waits until the body is there, and only when
//! nothing else speaks against the request. Source: RFC 6749 §3.3, RFC 9068 §2.2.3.1 (roles, groups).

use bartizan_config::{ClaimRule, ObjectPlace, Words};
use bartizan_model::{CheckInfo, ClaimValue, Location, Part, Principal};

use super::Request;
use super::checks;
use super::condition::Condition;
use super::object::Object;
use super::operation::Match;
use crate::stage::access::checks::SCOPE;

/// A requirement, compiled.
#[derive(Debug)]
pub(crate) struct Requirement {
    scopes: Words,
    roles: Words,
    groups: Words,
    claims: Box<[ClaimRule]>,
    /// Of the head
    objects: Box<[Object]>,
    /// Of the body
    pub(crate) body_objects: Box<[Object]>,
    when: Option<Condition>,
}

/// Why something is not allowed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) info: &'static CheckInfo,
    /// What is missing, in words for the event
    pub(crate) words: String,
    pub(crate) location: Location,
}

/// What the head says of a requirement.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It holds
    Holds,
    /// It holds if the body agrees
    Waits,
    /// It does not
    Fails(Fault),
}

impl Fault {
    pub(crate) fn new(info: &'static CheckInfo, words: String, part: Part) -> Self {
        Self { info, words, location: Location::part(part) }
    }
}

impl Requirement {
    pub(crate) fn new(written: &bartizan_config::Requirement) -> Self {
        let is_body = |object: &&bartizan_config::ObjectRule| object.place == ObjectPlace::Body;
        Self {
            scopes: written.scopes.clone(),
            roles: written.roles.clone(),
            groups: written.groups.clone(),
            claims: written.claims.as_slice().into(),
            objects: written.objects.iter().filter(|object| !is_body(object)).map(Object::new).collect(),
            body_objects: written.objects.iter().filter(is_body).map(Object::new).collect(),
            when: written.when.as_deref().map(Condition::new),
        }
    }

    /// Holds it against the head. Without a caller only conditions can hold.
    pub(crate) fn head(&self, request: &Request<'_>, one: &Match<'_>) -> Outcome {
        let fault = match request.caller() {
            Some(principal) => self.of_caller(request, principal, one),
            None => None, // such a rule demands conditions only
        };
        let condition = || self.when.as_ref().and_then(|when| when.fault(request, one));
        match fault.or_else(condition) {
            Some(fault) => Outcome::Fails(fault),
            None if self.body_objects.is_empty() => Outcome::Holds,
            None => Outcome::Waits,
        }
    }

    fn of_caller(&self, request: &Request<'_>, principal: &Principal, one: &Match<'_>) -> Option<Fault> {
        let scope = || {
            let fault = missing(&self.scopes, |word| principal.has_scope(word));
            fault.map(|words| Fault::new(&SCOPE, format!("scope {words}"), Part::Header))
        };
        let role = || {
            let fault = missing(&self.roles, |word| principal.roles.iter().any(|role| **role == *word));
            fault.map(|words| Fault::new(&checks::ROLE, format!("role {words}"), Part::Header))
        };
        let group = || {
            let fault = missing(&self.groups, |word| request.groups().any(|group| group == word));
            fault.map(|words| Fault::new(&checks::ROLE, format!("group {words}"), Part::Header))
        };
        let claim = || {
            let rule = self.claims.iter().find(|rule| !meets(principal, rule))?;
            let fault = if principal.claim(&rule.name).is_none() { "is missing" } else { "has another value" };
            Some(Fault::new(&checks::CLAIM, format!("claim `{}` {fault}", rule.name), Part::Header))
        };
        let object = || self.objects.iter().find_map(|object| object.head_fault(request, one));
        scope().or_else(role).or_else(group).or_else(claim).or_else(object)
    }

    /// Scopes that it demands, for challenges.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &String> {
        self.scopes.all.iter().chain(&self.scopes.any)
    }
}

/// What of `words` is not there.
fn missing(words: &Words, has: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(word) = words.all.iter().find(|word| !has(word)) {
        return Some(format!("`{word}` is missing"));
    }
    let lacks_any = !words.any.is_empty() && !words.any.iter().any(|word| has(word));
    lacks_any.then(|| match words.any.as_slice() {
        [only] => format!("`{only}` is missing"),
        several => {
            format!("`{}` or another of {} is missing", several.first().map_or("", String::as_str), several.len())
        }
    })
}

/// Whether the claim that `rule` demands is there, with one of its values.
fn meets(principal: &Principal, rule: &ClaimRule) -> bool {
    let is_one = |text: &str| rule.values.iter().any(|value| *value == *text);
    match principal.claim(&rule.name) {
        None => false,
        Some(_) if rule.values.is_empty() => true,
        Some(ClaimValue::Text(text)) => is_one(text),
        Some(ClaimValue::Number(number)) => is_one(&number.to_string()),
        Some(ClaimValue::Boolean(boolean)) => is_one(&boolean.to_string()),
        Some(ClaimValue::List(items)) => items.iter().any(|item| is_one(item)),
        Some(ClaimValue::Numbers(items)) => items.iter().any(|item| is_one(&item.to_string())),
    }
}
