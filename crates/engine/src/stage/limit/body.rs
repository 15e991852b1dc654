//! LIM-104: the request body is larger than its API or a policy allows. Source: RFC 9110 §15.5.14.
//!
//! With a `Content-Length` the head decides. A body of unknown length (chunked, or HTTP/2 without the field) is held
//! back until its size is proven, so that no part of a refused body reaches the upstream. On a streaming path the
//! API's limit does not apply and nothing is held; a policy's limit still counts along and cuts the stream.

use bartizan_model::{CheckInfo, HttpVersion, Location, Part, Severity};
use smallvec::SmallVec;

use crate::decide::{Ground, Notices, Refusal, is_enforced};
use crate::policy::{Policies, Rule};
use crate::stage::access::signature::BodyDigest;
use crate::stage::{HeadContext, applying};

pub(crate) static INFO: CheckInfo = CheckInfo {
    id: "LIM-104",
    title: "request body too large",
    severity: Severity::Medium,
    owasp: "API4:2023",
    cwe: &[770, 400],
    since: "0.1",
    why: "bodies beyond what the API needs exhaust memory and disk behind the gateway, and cannot be inspected as a whole",
    fix: "when the size is honest, raise the limit of the API or the policy, or declare the path as streaming",
};

/// Counts a request body against its limits.
#[derive(Debug, Default)]
pub(crate) struct BodyGate {
    /// Limits not yet exceeded, smallest first
    limits: SmallVec<[Limit; 2]>,
    bytes: u64,
    /// The body's size is not proven yet, and none of it may pass
    pub(crate) is_held: bool,
    /// A body follows, or may follow, the head
    pub(crate) is_expected: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    max: u64,
    ground: Ground,
}

/// At the head: gathers the limits and compares them with the declared length, if there is one.
pub(crate) fn open(ctx: &mut HeadContext<'_>) {
    let policies = ctx.snapshot.policies();
    let route = ctx.facts.route.as_ref();
    let mut limits: SmallVec<[Limit; 2]> = applying(ctx.snapshot, ctx.facts)
        .filter_map(|(index, policy)| {
            let Rule::Limits(limits) = &policy.rule else { return None };
            let ground = Ground::Policy(index, Refusal::ContentTooLarge);
            limits.body_bytes_max.map(|max| Limit { max, ground })
        })
        .collect();
    if let Some(route) = route.filter(|route| !route.streaming) {
        limits.push(Limit { max: route.body_bytes_max, ground: Ground::Always(Refusal::ContentTooLarge) });
    }
    // Of equal limits the observed ones come first, so that they are recorded before an enforced one stops.
    limits.sort_by_key(|limit| (limit.max, is_enforced(policies, limit.ground)));

    let declared = ctx.fields.content_length.filter(|_| !ctx.fields.transfer_encoding);
    let is_unknown = declared.is_none()
        && match ctx.head.version {
            HttpVersion::Http10 | HttpVersion::Http11 => ctx.fields.transfer_encoding,
            HttpVersion::Http2 | HttpVersion::Http3 => true,
        };
    let is_streaming = ctx.facts.is_streaming();
    let is_awaited = |body: &BodyDigest| is_enforced(policies, Ground::Policy(body.policy, Refusal::Unauthorized));
    *ctx.body = BodyGate {
        limits,
        bytes: 0,
        // A signed body passes once it is known to be the one that was signed, and one that names objects once they are
        // known to be the caller's.
        is_held: (is_unknown && !is_streaming)
            || ctx.facts.body_digests.iter().any(is_awaited)
            || ctx.facts.authorizing.holds(policies),
        is_expected: is_unknown || declared.is_some_and(|bytes| bytes > 0),
    };
    if let Some(bytes) = declared {
        ctx.body.compare(bytes, policies, ctx.notices);
    }
}

impl BodyGate {
    /// Counts `bytes` more of the body.
    pub(crate) fn advance(&mut self, bytes: u64, policies: &Policies, out: &mut Notices) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.compare(self.bytes, policies, out);
    }

    /// One finding for each limit below `bytes`, from the smallest up to the first that stops: then the findings do
    /// not depend on how the body was cut into chunks.
    fn compare(&mut self, bytes: u64, policies: &Policies, out: &mut Notices) {
        while let Some(limit) = self.limits.first().copied().filter(|limit| bytes > limit.max) {
            self.limits.remove(0);
            let evidence = format!("more than the {} bytes that are allowed", limit.max);
            out.push(INFO.finding(Location::part(Part::Body), evidence), limit.ground);
            if is_enforced(policies, limit.ground) {
                self.limits.clear();
            }
        }
    }
}
