//! Why a test that holds in process does not hold through the gateway, told from what the gateway did with the request.
//!
//! A cause claims a stage only by what was seen of it: the refusal's reason in the event, a request that cannot be told
//! whole over HTTP, an expectation that names what events never hold. What no cause claims is a failure.

use bartizan_testkit::crs::suite::Expected;

use crate::run::Seen;

/// Rules of phase 5, which only logs: the engine does not run it, the event is the log.
const LOGGING_PHASE: std::ops::RangeInclusive<u32> = 980_000..=980_999;

/// The rule that refuses by the sum of the others.
const SCORE: u32 = 949_110;

/// A reason why a stage comes out otherwise than in process.
pub struct Cause {
    pub name: &'static str,
    pub why: &'static str,
    is_it: fn(&Expected, &Seen) -> bool,
}

/// The first cause that claims a stage.
pub fn of(expected: &Expected, seen: &Seen) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| (cause.is_it)(expected, seen))
}

/// What is known, the narrowest first.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "refused: request line",
        why: "the request line breaks RFC 9112 §3, names a target that only a proxy understands, or holds bytes that no \
              URI has (`<`, `>` and `\"` in the query, RFC 3986 §2); answered 400 (`bad_request_line`) before rules run",
        is_it: |_, seen| is_refused(seen, "bad_request_line"),
    },
    Cause {
        name: "refused: version",
        why: "an HTTP version that is not spoken here; answered 505 (`bad_version`) before rules run",
        is_it: |_, seen| is_refused(seen, "bad_version"),
    },
    Cause {
        name: "refused: framing",
        why: "a body that is framed in two ways, or in none that is certain (RFC 9112 §6.3); answered 400 (`bad_framing`) \
              before rules run",
        is_it: |_, seen| is_refused(seen, "bad_framing"),
    },
    Cause {
        name: "refused: host",
        why: "no host, several, or one that differs from the target's; answered 400 (`bad_authority`) before rules run",
        is_it: |_, seen| is_refused(seen, "bad_authority"),
    },
    Cause {
        name: "refused: CONNECT",
        why: "the gateway is no forward proxy; answered 501 (`connect_method`) before rules run",
        is_it: |_, seen| is_refused(seen, "connect_method"),
    },
    Cause {
        name: "absolute form",
        why: "a target with scheme and host is judged as the upstream gets it, in origin form (RFC 9112 §3.2.2), so that \
              rules about its form find nothing",
        is_it: |_, seen| is_answered(seen) && seen.exchange.target.starts_with(b"http://"),
    },
    Cause {
        name: "phase 5",
        why: "the rule only logs, in phase 5, which the engine does not run: the event is the log",
        is_it: |expected, seen| expected.ids.iter().any(|rule| LOGGING_PHASE.contains(rule)) && is_answered(seen),
    },
    Cause {
        name: "a value inside of a value",
        why: "the product opens what is percent-encoded, JSON, a token or Base64 inside of a value; a rule of higher paranoia \
              that counts characters matches what is in it",
        is_it: |expected, seen| {
            let Some(event) = &seen.event else { return false };
            let mut unwanted = event.logged.iter().map(|logged| logged.rule).filter(|rule| {
                expected.absent_ids.contains(rule)
                    || (expected.absent_pattern.is_some() && !expected.ids.contains(rule))
            });
            let is_unwanted = unwanted.next().map(|rule| event.inside.contains(&rule));
            is_unwanted == Some(true) && unwanted.all(|rule| event.inside.contains(&rule) || rule == SCORE)
        },
    },
    Cause {
        name: "words of a log",
        why: "the test looks for what the client sent in the line of a log; events keep its shape, not its bytes",
        is_it: |expected, seen| {
            let has_rules = seen.event.as_ref().is_some_and(|event| !event.logged.is_empty());
            expected.pattern.is_some() && expected.ids.iter().all(|rule| is_logged(seen, *rule)) && has_rules
        },
    },
];

fn is_refused(seen: &Seen, reason: &str) -> bool {
    let event = seen.event.as_ref().filter(|event| event.logged.is_empty());
    event.and_then(|event| event.evidence("ENG-101")).is_some_and(|evidence| evidence == reason)
}

fn is_answered(seen: &Seen) -> bool {
    seen.event.as_ref().is_some_and(|event| event.ending == "answered")
}

fn is_logged(seen: &Seen, rule: u32) -> bool {
    seen.event.as_ref().is_some_and(|event| event.logged.iter().any(|logged| logged.rule == rule))
}
