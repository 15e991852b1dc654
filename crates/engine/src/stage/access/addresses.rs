//! ACC-102: the client's address is denied. ACC-103: it is not among those allowed.
//!
//! A listed deny wins over a listed allow. When the address is in doubt, every candidate must pass. An address that is
//! not known at all fails an allow list inline (access defaults to closed) and proves nothing in a recording.

use std::net::IpAddr;

use bartizan_model::{CheckInfo, Location, Part, Severity, Source};

use crate::address::AddressSet;
use crate::decide::{Ground, Notices, Refusal};
use crate::policy::PolicyIndex;

pub(crate) static DENIED: CheckInfo = CheckInfo {
    id: "ACC-102",
    title: "client address denied",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[284],
    since: "0.1",
    why: "somebody put this network on a deny list, and it still calls",
    fix: "when the client is welcome, take its network off the list; otherwise nothing",
};

pub(crate) static NOT_ALLOWED: CheckInfo = CheckInfo {
    id: "ACC-103",
    title: "client address not allowed",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[284],
    since: "0.1",
    why: "endpoints for certain networks only (administration, partners, metrics) are called from elsewhere",
    fix: "when the client is welcome, add its network to the list; otherwise look at how it came to know the endpoint",
};

pub(crate) fn check(
    source: Source,
    addresses: [Option<IpAddr>; 2],
    allow: &AddressSet,
    deny: &AddressSet,
    policy: PolicyIndex,
    out: &mut Notices,
) {
    let ground = Ground::Policy(policy, Refusal::Forbidden);
    let location = || Location::named(Part::Connection, "client");
    let known = || addresses.into_iter().flatten();
    if known().any(|address| deny.contains(address)) {
        out.push(DENIED.finding(location(), "the client's address is on the deny list"), ground);
    } else if !allow.is_empty() && known().any(|address| !allow.contains(address)) {
        out.push(NOT_ALLOWED.finding(location(), "the client's address is not on the allow list"), ground);
    } else if !allow.is_empty() && known().next().is_none() && source == Source::Gateway {
        out.push(NOT_ALLOWED.finding(location(), "the client's address is not known"), ground);
    }
}
