//! Decisions that are remembered: Cedar builds each policy's condition anew for each request, some microseconds a policy.
//!
//! A decision follows from the policies, which do not change within a plan, and from what they are asked with. So it is
//! kept under the name of all that: the operation, the caller with everything that makes its entity, the values of path and
//! query, and of the circumstances those that any policy of the operation looks at. What no policy looks at cannot
//! change what it says. A policy that looks at `context.time` is asked anew every second.

use std::borrow::Cow;
use std::net::IpAddr;

use bartizan_model::{Part, Strength};
use cedar_policy::{Context, Policy, RestrictedExpression};
use serde_json::Value;
use smallvec::SmallVec;

use super::super::operation::Match;
use super::super::requirement::Fault;
use super::super::{Clock, Request, checks};
use super::text;
use crate::bounded::{Digest, Pieces};
use crate::stage::access::verified::Who;

/// Values of the query's parameters that policies may read: a list for each, in the configuration's order.
pub(super) type Query<'r> = SmallVec<[SmallVec<[Cow<'r, [u8]>; 1]>; 1]>;

/// What surrounds a request, as far as it can be told to Cedar at all.
pub(super) struct Circumstances<'r> {
    address: IpAddr,
    method: &'r str,
    /// One reading of it
    path: &'r str,
    host: &'r str,
    clock: Clock,
}

/// Members of `context` that policies look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    address: bool,
    method: bool,
    path: bool,
    host: bool,
    time: bool,
    hour: bool,
    minute: bool,
    weekday: bool,
}

/// The name of a decision: SHA-256 over everything that it follows from.
pub(super) fn name(
    operation: usize,
    reads: Reads,
    who: &Who,
    request: &Request<'_>,
    one: &Match<'_>,
    query: &Query<'_>,
    told: &Circumstances<'_>,
) -> Digest {
    let mut pieces = Pieces::default();
    pieces.number(operation as i64);
    pieces.bytes(who.digest());
    pieces.bytes(request.groups_claim.as_bytes());
    pieces.list(one.values.iter().map(|(_, value)| &**value));
    query.iter().for_each(|values| pieces.list(values.iter().map(|value| &**value)));
    match told.address {
        IpAddr::V4(address) if reads.address => pieces.bytes(&address.octets()),
        IpAddr::V6(address) if reads.address => pieces.bytes(&address.octets()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    let texts = [(reads.method, told.method), (reads.path, told.path), (reads.host, told.host)];
    texts.iter().filter(|(is_read, _)| *is_read).for_each(|(_, text)| pieces.bytes(text.as_bytes()));
    let Clock { seconds, hour, minute, weekday } = told.clock;
    let numbers = [(reads.time, seconds), (reads.hour, hour), (reads.minute, minute), (reads.weekday, weekday)];
    numbers.iter().filter(|(is_read, _)| *is_read).for_each(|(_, number)| pieces.number(*number));
    pieces.finish()
}

impl<'r> Circumstances<'r> {
    pub(super) fn of(request: &Request<'r>, path: &'r [u8]) -> Result<Self, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Connection);
        Ok(Self {
            address: request.address.ok_or_else(|| undecided("the client's address is not known"))?,
            path: std::str::from_utf8(path).map_err(|_| undecided("the path is not UTF-8"))?,
            method: std::str::from_utf8(request.head.method).map_err(|_| undecided("the method is not UTF-8"))?,
            host: request.host,
            clock: request.clock(),
        })
    }

    pub(super) fn context(&self, strength: Strength) -> Result<Context, Fault> {
        let members = [
            ("address", RestrictedExpression::new_ip(self.address.to_string())),
            ("method", text(self.method)),
            ("path", text(self.path)),
            ("host", text(self.host)),
            ("strength", text(strength.as_str())),
            ("time", RestrictedExpression::new_long(self.clock.seconds)),
            ("hour", RestrictedExpression::new_long(self.clock.hour)),
            ("minute", RestrictedExpression::new_long(self.clock.minute)),
            ("weekday", RestrictedExpression::new_long(self.clock.weekday)),
        ];
        Context::from_pairs(members.map(|(name, value)| (name.to_owned(), value))).map_err(|_| {
            Fault::new(&checks::UNDECIDED, "the circumstances make no context".to_owned(), Part::Connection)
        })
    }
}

impl Reads {
    /// What any of `policies` looks at: the members that are named after `context`, or all where it stands alone.
    pub(super) fn of(policies: &[Policy]) -> Self {
        let mut reads = Self::default();
        for policy in policies {
            match policy.to_json() {
                Ok(json) => reads.add(&json),
                Err(_) => reads = Self::ALL,
            }
        }
        reads
    }

    const ALL: Self = Self {
        address: true,
        method: true,
        path: true,
        host: true,
        time: true,
        hour: true,
        minute: true,
        weekday: true,
    };

    /// Adds what a policy in Cedar's JSON form looks at.
    fn add(&mut self, policy: &Value) {
        let mut rest = vec![policy];
        while let Some(node) = rest.pop() {
            match node {
                _ if is_context(node) => *self = Self::ALL,
                Value::Array(items) => rest.extend(items),
                Value::Object(members) => {
                    for (operator, operand) in members {
                        let of_context = operand.get("left").is_some_and(is_context);
                        match operand.get("attr").and_then(Value::as_str) {
                            Some(member) if of_context && matches!(operator.as_str(), "." | "has") => self.note(member),
                            Some(_) | None => rest.push(operand),
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }

    fn note(&mut self, member: &str) {
        match member {
            "address" => self.address = true,
            "method" => self.method = true,
            "path" => self.path = true,
            "host" => self.host = true,
            "time" => self.time = true,
            "hour" => self.hour = true,
            "minute" => self.minute = true,
            "weekday" => self.weekday = true,
            "strength" => {} // the caller's, who is in the name
            _ => *self = Self::ALL,
        }
    }
}

/// Whether a node is the variable `context`.
fn is_context(node: &Value) -> bool {
    node.get("Var").and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &str, wanted: Reads) {
        assert_eq!(Reads::of(&[policy.parse().unwrap()]), wanted, "{policy}");
    }

    #[test]
    fn what_a_policy_looks_at_is_found_wherever_it_stands() {
        let none = Reads::default();
        check("permit (principal, action, resource);", none);
        check("permit (principal, action, resource) when { resource.path.method == \"context\" };", none);
        check("permit (principal, action, resource) unless { context.hour > 6 };", Reads { hour: true, ..none });
        check(
            "forbid (principal, action, resource) when { !(1 < 2 && context has path) || [context.method].contains(\"GET\") };",
            Reads { path: true, method: true, ..none },
        );
        check(
            "permit (principal, action, resource) when { {a: [if context[\"time\"] == 1 then context.address else ip(\"::1\")]}.a.isEmpty() };",
            Reads { time: true, address: true, ..none },
        );
        check("permit (principal, action, resource) when { context.strength == \"bearer\" };", none);
        check("permit (principal, action, resource) when { context == {} };", Reads::ALL);
        check(
            "permit (principal, action, resource) when { (if true then context else context).host == \"a\" };",
            Reads::ALL,
        );
    }
}
