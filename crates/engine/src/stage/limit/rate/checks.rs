//! The checks of rate limits: what was too much. Sources: OWASP API4:2023 and API2:2023; CWE-770, CWE-799, CWE-307;
//! RFC 6585 §4.

use bartizan_model::{CheckInfo, Severity};

/// The checks whose refusals say when to come again.
pub(crate) const COUNTED: [&CheckInfo; 4] = [&SPIKE, &QUOTA, &CONCURRENCY, &BANDWIDTH];

/// LIM-201: faster than the pace and its burst.
pub(crate) static SPIKE: CheckInfo = CheckInfo {
    id: "LIM-201",
    title: "requests too fast",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770, 799],
    since: "0.3",
    why: "a spike takes the service from everybody else, whether a client runs wild or somebody tries out what it bears",
    fix: "when the pace is honest, raise `requests` or `burst`; otherwise look at who calls so fast, and tell clients to wait",
};

/// LIM-202: more than the quota.
pub(crate) static QUOTA: CheckInfo = CheckInfo {
    id: "LIM-202",
    title: "quota used up",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770, 799],
    since: "0.3",
    why: "who calls without end costs money, copies data in bulk, or guesses until something fits",
    fix: "when the use is honest, raise the quota or sell a larger plan; otherwise look at what is fetched or guessed",
};

/// LIM-203: too many at once.
pub(crate) static CONCURRENCY: CheckInfo = CheckInfo {
    id: "LIM-203",
    title: "too many requests in flight",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770, 400],
    since: "0.3",
    why: "slow requests tie up workers and connections at a rate that no other limit notices",
    fix: "when the client needs so many at once, raise `concurrency`; otherwise look at what makes its requests slow",
};

/// LIM-204: more bytes than the bandwidth quota.
pub(crate) static BANDWIDTH: CheckInfo = CheckInfo {
    id: "LIM-204",
    title: "bandwidth used up",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770, 400],
    since: "0.3",
    why: "few large bodies carry as much as many small ones: traffic is paid for, and data leaves in bulk",
    fix: "when the transfers are honest, raise `bandwidth`; otherwise look at what is fetched or uploaded",
};

/// LIM-205: a larger answer than the policy allows.
pub(crate) static RESPONSE: CheckInfo = CheckInfo {
    id: "LIM-205",
    title: "response too large",
    severity: Severity::Medium,
    owasp: "API4:2023",
    cwe: &[770, 400],
    since: "0.3",
    why: "an answer beyond what the endpoint means to give is a missing page limit, or data leaving in bulk",
    fix: "give the endpoint pages of bounded size; when such answers are meant, raise `response_bytes_max`",
};

/// LIM-206: a larger page than the policy allows.
pub(crate) static PAGE: CheckInfo = CheckInfo {
    id: "LIM-206",
    title: "page size too large",
    severity: Severity::Low,
    owasp: "API4:2023",
    cwe: &[770, 1284],
    since: "0.3",
    why: "one request for a million records costs what a million requests cost, and no rate limit notices it",
    fix: "ask for smaller pages; when such pages are meant, raise `page_size_max`",
};

/// LIM-207: too many attempts to log in.
pub(crate) static LOGIN: CheckInfo = CheckInfo {
    id: "LIM-207",
    title: "too many login attempts",
    severity: Severity::High,
    owasp: "API2:2023",
    cwe: &[307, 799],
    since: "0.3",
    why: "passwords are guessed, or stolen ones are tried in bulk, one account after the other",
    fix: "look at the source and the account; an honest user waits a while, or resets the password",
};
