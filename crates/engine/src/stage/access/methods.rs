//! ACC-101: the method is not on the policy's list. Source: RFC 9110 §9.1 (methods are case-sensitive), §15.5.6.

use bartizan_model::{CheckInfo, Location, Part, Severity};

use crate::decide::{Ground, Notices, Refusal};
use crate::policy::PolicyIndex;

pub(crate) static INFO: CheckInfo = CheckInfo {
    id: "ACC-101",
    title: "method not allowed",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[650, 749],
    since: "0.1",
    why: "methods that nobody meant to offer (TRACE, DELETE, a framework's extras) reach code that was never reviewed",
    fix: "when the method is meant, add it to the policy's list; otherwise look at who tries it",
};

/// Methods that may be named in evidence; any other word could hold anything.
const KNOWN: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"];

pub(crate) fn check(method: &[u8], allow: &[Box<[u8]>], policy: PolicyIndex, out: &mut Notices) {
    if allow.iter().any(|allowed| **allowed == *method) {
        return;
    }
    let evidence = match KNOWN.iter().find(|known| known.as_bytes() == method) {
        Some(known) => format!("`{known}` is not on the list"),
        None => "an unusual method is not on the list".to_owned(),
    };
    out.push(INFO.finding(Location::part(Part::Method), evidence), Ground::Policy(policy, Refusal::MethodNotAllowed));
}
