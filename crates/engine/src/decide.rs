//! Findings and the modes of their policies in, one decision out. The only place that builds a [`Decision`].
//!
//! Checks notice; they never act. What a finding can lead to is its [`Ground`]: a policy with its mode, the engine's
//! own rules (always enforced: a request without a host cannot be judged at all), or nothing. Of all denies the
//! strongest decides: enforced before observed, then the more severe, then the earlier.

use std::sync::Arc;

use bartizan_model::{Action, Decision, Finding, FindingPolicy, Mode};

use crate::policy::{Policies, PolicyIndex};

/// What the client is refused for; `answer.rs` says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    MethodNotAllowed,
    ContentTooLarge,
    Misdirected,
    UriTooLong,
    UnprocessableContent,
    TooManyRequests,
    HeaderFieldsTooLarge,
    BadGateway,
    ServiceUnavailable,
    /// A rule's own status, of an error
    Rule(u16),
}

/// What a finding may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Worth knowing, nothing else
    Noted,
    /// A rule of the engine's own, or the body limit of an API: always enforced
    Always(Refusal),
    /// A policy, by its mode
    Policy(PolicyIndex, Refusal),
}

/// What the checks noticed, each with its ground.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    findings: Vec<Finding>,
    grounds: Vec<Ground>,
}

impl Notices {
    pub(crate) fn push(&mut self, finding: Finding, ground: Ground) {
        self.findings.push(finding);
        self.grounds.push(ground);
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub(crate) fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether something enforced speaks against the exchange.
    pub(crate) fn is_stop(&self, policies: &Policies) -> bool {
        self.grounds.iter().any(|ground| is_enforced(policies, *ground))
    }

    /// Forgets what was pushed after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.findings.truncate(len);
        self.grounds.truncate(len);
    }

    /// The findings, each with the policy that it could lead to a deny under.
    pub(crate) fn into_findings(mut self, policies: &Policies) -> Vec<Finding> {
        for (finding, ground) in self.findings.iter_mut().zip(&self.grounds) {
            finding.policy = match ground {
                Ground::Noted | Ground::Always(_) => None,
                Ground::Policy(index, _) => policies
                    .policy(*index)
                    .map(|policy| FindingPolicy { name: Arc::clone(&policy.name), mode: policy.mode }),
            };
        }
        self.findings
    }
}

/// The decision that follows from `notices` under `policies`.
pub(crate) fn decide(policies: &Policies, notices: &Notices) -> Decision {
    let mut strongest = Decision::default();
    let mut rank = None;
    for (finding, ground) in notices.findings.iter().zip(&notices.grounds) {
        let (mode, refusal, policy) = match ground {
            Ground::Noted => continue,
            Ground::Always(refusal) => (Mode::Enforce, refusal, None),
            Ground::Policy(index, refusal) => {
                let Some(policy) = policies.policy(*index) else { continue };
                (policy.mode, refusal, Some(&policy.name))
            }
        };
        let applied = match mode {
            Mode::Enforce => true,
            Mode::Observe => false,
            Mode::Off => continue,
        };
        if rank < Some((applied, finding.severity)) {
            rank = Some((applied, finding.severity));
            strongest = Decision {
                action: Action::Deny,
                applied,
                status: refusal.status(),
                check: Some(finding.check.clone()),
                policy: policy.cloned(),
            };
        }
    }
    strongest
}

/// Whether a finding on this ground stops the exchange.
pub(crate) fn is_enforced(policies: &Policies, ground: Ground) -> bool {
    match ground {
        Ground::Noted => false,
        Ground::Always(_) => true,
        Ground::Policy(index, _) => policies.policy(index).is_some_and(|policy| policy.mode == Mode::Enforce),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{Location, Part, Severity};

    use crate::testing::{config, policy};
    use crate::{CHECKS, stage};

    fn decided(modes: &[Mode], severities: &[Severity]) -> Decision {
        let mut config = config();
        config.policies = modes.iter().enumerate().map(|(at, mode)| policy(&format!("p{at}"), *mode)).collect();
        let mut notices = Notices::default();
        for (at, severity) in severities.iter().enumerate() {
            let mut finding = stage::access::addresses::DENIED.finding(Location::part(Part::Connection), "");
            finding.severity = *severity;
            notices.push(finding, Ground::Policy(at as PolicyIndex, Refusal::Forbidden));
        }
        decide(&crate::testing::policies(&config), &notices)
    }

    #[test]
    fn the_enforced_deny_outweighs_the_more_severe_observed_one() {
        use Mode::{Enforce, Observe};
        let decision = decided(&[Observe, Enforce, Enforce], &[Severity::Critical, Severity::Low, Severity::Low]);
        assert!(decision.is_stop());
        assert_eq!(decision.policy.as_deref(), Some("p1"));
    }

    #[test]
    fn an_observed_deny_is_recorded_and_not_applied() {
        let decision = decided(&[Mode::Observe, Mode::Observe], &[Severity::Low, Severity::High]);
        assert_eq!((decision.action, decision.applied, decision.status), (Action::Deny, false, 403));
        assert_eq!(decision.policy.as_deref(), Some("p1"));
    }

    #[test]
    fn a_finding_names_the_policy_that_it_speaks_under_also_when_another_decides() {
        let mut config = config();
        config.policies = vec![policy("first", Mode::Observe), policy("second", Mode::Enforce)];
        let policies = crate::testing::policies(&config);
        let mut notices = Notices::default();
        let finding = || stage::access::addresses::DENIED.finding(Location::part(Part::Connection), "");
        for ground in [
            Ground::Policy(0, Refusal::Forbidden),
            Ground::Policy(1, Refusal::Forbidden),
            Ground::Noted,
            Ground::Always(Refusal::BadRequest),
        ] {
            notices.push(finding(), ground);
        }
        let spoken: Vec<_> = notices.into_findings(&policies).into_iter().map(|finding| finding.policy).collect();
        let of = |name: &str, mode| Some(FindingPolicy { name: name.into(), mode });
        assert_eq!(spoken, [of("first", Mode::Observe), of("second", Mode::Enforce), None, None]);
    }

    #[test]
    fn what_is_only_noted_decides_nothing() {
        let mut notices = Notices::default();
        for info in CHECKS {
            notices.push(info.finding(Location::part(Part::Path), ""), Ground::Noted);
        }
        assert_eq!(decide(&Policies::default(), &notices), Decision::default());
    }
}
