//! What the stage `authorize` notices: ACC-302 to ACC-309. ACC-301 (scope missing) is beside the other checks of callers.
//!
//! The client gets none of these words: it is refused, and the event says what was missing.
//! Sources: OWASP API1:2023 (object level), API5:2023 (function level); CWE-285, 639, 862.

use bartizan_model::{CheckInfo, Severity};

/// Nobody is known, where somebody must be.
pub(crate) static UNKNOWN_CALLER: CheckInfo = CheckInfo {
    id: "ACC-302",
    title: "caller unknown",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[306, 862],
    since: "0.1",
    why: "an operation that only known callers may do is tried by nobody in particular",
    fix: "when anybody may do this, write `anonymous: true` in a rule for the operation; otherwise let the client \
          authenticate, and see that an `authenticate` policy covers the path",
};

/// The operation is not spoken of.
pub(crate) static UNMATCHED: CheckInfo = CheckInfo {
    id: "ACC-303",
    title: "operation without a rule",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[862],
    since: "0.1",
    why: "what no rule speaks of was forgotten, or is reached by a spelling that only some servers understand",
    fix: "when this is an operation, name it in `operations` with a rule; otherwise look at who asks",
};

/// A role or group is missing.
pub(crate) static ROLE: CheckInfo = CheckInfo {
    id: "ACC-304",
    title: "role or group missing",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[285, 862],
    since: "0.1",
    why: "a known caller tries a function that is for others: clerks' and administrators' operations are found by guessing",
    fix: "when the caller may do this, give it the role or the group; otherwise look at what else it tries",
};

/// A claim is missing or has another value.
pub(crate) static CLAIM: CheckInfo = CheckInfo {
    id: "ACC-305",
    title: "claim missing",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[285, 862],
    since: "0.1",
    why: "a known caller tries what needs a property that its credential does not have",
    fix: "when the caller may do this, let the issuer say so in the claim; otherwise look at what else it tries",
};

/// Somebody else's object.
pub(crate) static OBJECT: CheckInfo = CheckInfo {
    id: "ACC-306",
    title: "object of somebody else",
    severity: Severity::High,
    owasp: "API1:2023",
    cwe: &[639, 284],
    since: "0.1",
    why: "a caller names an object that is not its own: the most frequent way data leaks from APIs is an id that was changed",
    fix: "when the object is the caller's, let the issuer list it in the claim; otherwise look at how many ids it tries",
};

/// A condition does not hold.
pub(crate) static CONDITION: CheckInfo = CheckInfo {
    id: "ACC-307",
    title: "condition not met",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[285],
    since: "0.1",
    why: "a known caller tries something under circumstances that a rule does not allow",
    fix: "read the condition (`when`) of the rule in the evidence; change it when the circumstances are right",
};

/// A Cedar policy forbids it, or none permits it.
pub(crate) static CEDAR: CheckInfo = CheckInfo {
    id: "ACC-308",
    title: "not permitted by Cedar policies",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[285, 639],
    since: "0.1",
    why: "a caller tries what the policies of this API do not permit",
    fix: "the evidence names the policy that forbids it, or says that none permits it; `bartizan explain` shows the decision",
};

/// It cannot be told whether it is allowed.
pub(crate) static UNDECIDED: CheckInfo = CheckInfo {
    id: "ACC-309",
    title: "authorization undecided",
    severity: Severity::High,
    owasp: "API1:2023",
    cwe: &[285, 703],
    since: "0.1",
    why: "what a rule or a policy looks at cannot be read or computed, so that it is refused: a request that is built so \
          may be meant to slip by",
    fix: "the evidence says what could not be read; mend the client, or the policy that fails on honest requests",
};
