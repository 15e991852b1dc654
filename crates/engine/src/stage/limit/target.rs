//! LIM-101: path and query together are longer than the policy allows. Source: RFC 9110 §15.5.15.

use bartizan_model::{CheckInfo, Location, Part, Severity};

use crate::decide::{Ground, Notices, Refusal};
use crate::policy::{PolicyIndex, SizeLimits};

pub(crate) static INFO: CheckInfo = CheckInfo {
    id: "LIM-101",
    title: "request target too long",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770],
    since: "0.1",
    why: "targets far longer than the API needs are probes for overflows, smuggled payloads or runaway clients",
    fix: "send large input in a body; when long targets are honest, raise the limit",
};

pub(crate) fn check(target: &[u8], limits: &SizeLimits, policy: PolicyIndex, out: &mut Notices) {
    let Some(max) = limits.target_bytes_max else { return };
    let bytes = target.len() as u64;
    if bytes > max {
        let evidence = format!("{bytes} bytes, at most {max} are allowed");
        out.push(INFO.finding(Location::part(Part::Path), evidence), Ground::Policy(policy, Refusal::UriTooLong));
    }
}
