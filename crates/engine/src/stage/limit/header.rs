//! LIM-102: the header section is larger than the policy allows. LIM-103: it has more fields. Source: RFC 6585 §5.

use bartizan_model::{CheckInfo, Location, Part, Severity};

use crate::decide::{Ground, Notices, Refusal};
use crate::policy::{PolicyIndex, SizeLimits};

pub(crate) static BYTES: CheckInfo = CheckInfo {
    id: "LIM-102",
    title: "header section too large",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770],
    since: "0.1",
    why: "huge header sections tie up memory in every server on the way and hide payloads from inspection",
    fix: "look for a cookie or token that grows without bound; when large headers are honest, raise the limit",
};

pub(crate) static COUNT: CheckInfo = CheckInfo {
    id: "LIM-103",
    title: "too many header fields",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770],
    since: "0.1",
    why: "hundreds of fields cost every server on the way time and are how hash collisions and desync attacks are tried",
    fix: "look for a proxy that adds fields in a loop; when many fields are honest, raise the limit",
};

pub(crate) fn check(bytes: u64, count: usize, limits: &SizeLimits, policy: PolicyIndex, out: &mut Notices) {
    let ground = Ground::Policy(policy, Refusal::HeaderFieldsTooLarge);
    if let Some(max) = limits.header_bytes_max.filter(|max| bytes > *max) {
        let evidence = format!("{bytes} bytes, at most {max} are allowed");
        out.push(BYTES.finding(Location::part(Part::Header), evidence), ground);
    }
    if let Some(max) = limits.header_count_max.filter(|max| count > *max as usize) {
        let evidence = format!("{count} fields, at most {max} are allowed");
        out.push(COUNT.finding(Location::part(Part::Header), evidence), ground);
    }
}
