//! The catalogue of the engine's checks, and those that belong to no stage.

use bartizan_model::{CheckInfo, Severity};

use crate::stage::access::authorize::checks as authorize;
use crate::stage::access::checks as callers;
use crate::stage::access::{continuity, cors, csrf, networks, overrides, response_headers, ssrf};
use crate::stage::content::checks as content;
use crate::stage::{access, limit, route, threat};

/// The host could not parse the request; it says so through [`crate::Inspection::malformed`].
pub(crate) static MALFORMED: CheckInfo = CheckInfo {
    id: "ENG-101",
    title: "malformed request",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[444, 20],
    since: "0.1",
    why: "a request that is not valid HTTP is a broken client, or an attempt to make two servers read one request \
          differently (request smuggling)",
    fix: "look at the reason in the evidence and at the client; a request that no server should answer needs no exception",
};

/// A client goes beyond a hard limit of the host's; it says so through [`crate::Inspection::beyond_limits`].
pub(crate) static BEYOND_LIMITS: CheckInfo = CheckInfo {
    id: "ENG-110",
    title: "client beyond the gateway's limits",
    severity: Severity::Medium,
    owasp: "API4:2023",
    cwe: &[770, 400],
    since: "0.1",
    why: "a client that opens connections, requests or HTTP/2 frames without end takes the gateway from everybody else",
    fix: "look at the reason in the evidence and at the client; raise the setting in `limits` when it means well",
};

/// Every check of the engine, in order of their ids.
pub const CHECKS: &[&CheckInfo] = &[
    &access::methods::INFO,
    &access::addresses::DENIED,
    &access::addresses::NOT_ALLOWED,
    &overrides::INFO,
    &networks::DENIED,
    &networks::NOT_ALLOWED,
    &cors::ORIGIN,
    &cors::PREFLIGHT,
    &cors::PRIVATE_NETWORK,
    &csrf::CROSS_SITE,
    &csrf::UNKNOWN,
    &csrf::TOKEN,
    &ssrf::NOT_ALLOWED,
    &ssrf::INTERNAL,
    &ssrf::HIDDEN,
    &ssrf::UNSEEN,
    &callers::MISSING,
    &callers::MALFORMED,
    &callers::ALGORITHM,
    &callers::SIGNATURE,
    &callers::TIME,
    &callers::AUDIENCE,
    &callers::CLAIMS,
    &callers::KEY,
    &callers::UNAVAILABLE,
    &callers::UNBOUND,
    &callers::PROOF,
    &callers::REPLAY,
    &callers::API_KEY,
    &callers::API_KEY_LAPSED,
    &callers::PASSWORD,
    &callers::CERTIFICATE,
    &callers::INACTIVE,
    &callers::MESSAGE,
    &callers::AMBIGUOUS,
    &callers::FORGED_IDENTITY,
    &callers::PLAN,
    &callers::NONCE,
    &callers::EXTERNAL,
    &callers::MISDIRECTED,
    &continuity::INFO,
    &callers::SCOPE,
    &authorize::UNKNOWN_CALLER,
    &authorize::UNMATCHED,
    &authorize::ROLE,
    &authorize::CLAIM,
    &authorize::OBJECT,
    &authorize::CONDITION,
    &authorize::CEDAR,
    &authorize::UNDECIDED,
    &content::JSON,
    &content::XML,
    &content::GRAPHQL,
    &content::FORM,
    &content::HEADER,
    &content::MULTIPART,
    &content::PROTOBUF,
    &content::BOMB,
    &content::MALFORMED,
    &content::ODD,
    &content::FILE,
    &content::PATTERN,
    &MALFORMED,
    &route::NO_ROUTE,
    &route::HOST,
    &threat::INCOMPLETE,
    &BEYOND_LIMITS,
    &limit::target::INFO,
    &limit::header::BYTES,
    &limit::header::COUNT,
    &limit::body::INFO,
    &limit::rate::checks::SPIKE,
    &limit::rate::checks::QUOTA,
    &limit::rate::checks::CONCURRENCY,
    &limit::rate::checks::BANDWIDTH,
    &limit::rate::checks::RESPONSE,
    &limit::rate::checks::PAGE,
    &limit::rate::checks::LOGIN,
    &response_headers::MISSING,
    &response_headers::TELLTALE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(CHECKS.is_sorted_by(|a, b| a.id < b.id));
    }

    #[test]
    fn every_check_says_why_and_what_to_do() {
        for info in CHECKS {
            assert!(info.id.len() == 7 && info.id.is_char_boundary(3), "{}", info.id);
            for text in [info.title, info.why, info.fix] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: `{text}`", info.id);
                let first_word = text.split(' ').next().unwrap_or_default();
                let is_name = first_word.chars().all(char::is_uppercase) || first_word == "DPoP";
                assert!(is_name || text.starts_with(|first: char| first.is_lowercase()), "{}: `{text}`", info.id);
            }
        }
    }
}
