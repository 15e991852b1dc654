//! Builds the event: what is kept of an exchange, redacted while the request's head is still at hand.
//!
//! Text is cut between characters, secrets in paths and names are masked, values become kinds, credentials become a
//! keyed hash. Nothing borrowed from the request survives this module.

use std::sync::Arc;

use bartizan_model::{
    Actor, ActorKind, AuthKinds, Decision, Event, Finding, HttpVersion, Missing, Outcome, Parameter, RequestHead,
    RequestId, ResponseHead, Scheme, Secret, Source, Timestamp,
};

use crate::credential::{self, Credentials};
use crate::fields::Fields;
use crate::redact;
use crate::stage::Facts;

/// LIMIT: bytes of a method that are kept.
const METHOD_BYTES_MAX: usize = 32;
/// LIMIT: bytes of a user agent that are kept.
const USER_AGENT_BYTES_MAX: usize = 256;
/// LIMIT: bytes of a media type that are kept (RFC 6838 §4.2 allows 127 for each half, and real ones are short).
const MEDIA_TYPE_BYTES_MAX: usize = 128;
/// LIMIT: findings that are kept.
const FINDINGS_MAX: usize = 32;

/// What is kept of a request's head.
#[derive(Debug)]
pub(crate) struct Seen {
    scheme: Scheme,
    version: HttpVersion,
    host: Box<str>,
    method: Box<str>,
    path: Box<str>,
    parameters: Vec<Parameter>,
    auth: AuthKinds,
    actor: Actor,
    user_agent: Option<Box<str>>,
    request_type: Option<Box<str>>,
}

/// What the host and the engine know at the end.
pub(crate) struct Ended {
    pub(crate) id: RequestId,
    pub(crate) source: Source,
    pub(crate) begun: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) response_type: Option<Box<str>>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) decision: Decision,
    pub(crate) missing: Missing,
    pub(crate) is_from_cache: bool,
    pub(crate) outcome: Outcome,
}

impl Seen {
    /// Redacts a head. `facts` are those the stages found; the host is taken out of them.
    pub(crate) fn head(
        head: &RequestHead<'_>,
        fields: &Fields<'_>,
        parameters: Vec<Parameter>,
        credentials: &Credentials<'_>,
        facts: &mut Facts,
        key: &Secret<[u8; 32]>,
    ) -> Self {
        Self {
            scheme: head.scheme,
            version: head.version,
            host: facts.host.take().map(crate::host::Host::into_text).unwrap_or_default(),
            method: redact::cut(head.method, METHOD_BYTES_MAX).into(),
            path: redact::mask_path(head.path()),
            auth: credentials.kinds(),
            actor: match facts.caller() {
                Some(who) => Actor { kind: ActorKind::Principal, id: who.actor.clone() },
                None => credentials.actor(facts.client.ip, key),
            },
            parameters,
            user_agent: fields.user_agent.map(|value| redact::cut(value, USER_AGENT_BYTES_MAX).into()),
            request_type: fields.content_type.and_then(media_type),
        }
    }

    /// The caller is not who it seemed to be: the network answers for the request.
    pub(crate) fn forget_caller(&mut self, facts: &Facts) {
        self.actor = credential::network(facts.client.ip);
    }

    /// Whether the request carries a credential of whatever kind, verified or not.
    pub(crate) fn has_credential(&self) -> bool {
        self.auth != AuthKinds::NONE
    }

    /// Whether the response has no body, whatever its head says (RFC 9110 §9.3.2).
    pub(crate) fn is_head_request(&self) -> bool {
        &*self.method == "HEAD"
    }

    /// What is known of a request that could not be parsed.
    pub(crate) fn nothing(scheme: Scheme, version: HttpVersion, facts: &Facts) -> Self {
        Self {
            scheme,
            version,
            host: "".into(),
            method: "".into(),
            path: "".into(),
            parameters: Vec::new(),
            auth: AuthKinds::NONE,
            actor: credential::network(facts.client.ip),
            user_agent: None,
            request_type: None,
        }
    }

    /// The event.
    pub(crate) fn event(self, facts: Facts, ended: Ended) -> Event {
        let outcome = ended.outcome;
        let principal = facts.caller().map(|who| Arc::clone(&who.event));
        let is_preflight = facts.is_preflight();
        let (api, upstream) = match facts.route {
            // A preflight is answered here, and so is what was kept.
            Some(route) => {
                let is_ours = is_preflight || ended.is_from_cache;
                (Some(route.api.clone()), (!is_ours).then(|| route.upstream.clone()))
            }
            None => (None, None),
        };
        Event {
            id: ended.id,
            time: ended.begun,
            source: ended.source,
            client: facts.client,
            actor: self.actor,
            scheme: self.scheme,
            version: self.version,
            host: self.host,
            method: self.method,
            path: self.path,
            api,
            endpoint: facts.endpoint,
            parameters: self.parameters,
            auth: self.auth,
            principal,
            user_agent: self.user_agent,
            request_type: self.request_type,
            response_type: ended.response_type,
            ending: outcome.ending,
            status: outcome.status,
            request_bytes: outcome.request_bytes,
            response_bytes: outcome.response_bytes,
            duration_us: outcome.duration_us.unwrap_or_else(|| ended.now.micros_since(ended.begun)),
            upstream_us: outcome.upstream_us,
            upstream,
            findings: bounded(ended.findings, &ended.decision),
            decision: ended.decision,
            missing: ended.missing,
            cache_status: outcome.cache_status,
        }
    }
}

/// Media type of a response body, without parameters.
pub(crate) fn response_type(head: &ResponseHead<'_>) -> Option<Box<str>> {
    head.header("content-type").and_then(media_type)
}

/// `Application/JSON; charset=utf-8` → `application/json`; anything that is no media type is not kept.
fn media_type(value: &[u8]) -> Option<Box<str>> {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    let name = value.get(..end)?.trim_ascii();
    if name.len() > MEDIA_TYPE_BYTES_MAX {
        return None;
    }
    let mut slashes = 0;
    for byte in name {
        match *byte {
            b'/' => slashes += 1,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {}
            b'!' | b'#' | b'$' | b'&' | b'^' | b'_' | b'.' | b'+' | b'-' => {}
            _ => return None,
        }
    }
    let mut text: Box<str> = std::str::from_utf8(name).ok().filter(|_| slashes == 1)?.into();
    text.make_ascii_lowercase();
    Some(text)
}

/// At most [`FINDINGS_MAX`], the deciding one among them.
fn bounded(mut findings: Vec<Finding>, decision: &Decision) -> Vec<Finding> {
    let deciding = findings.iter().position(|finding| Some(&finding.check) == decision.check.as_ref());
    if let Some(deciding) = deciding.filter(|at| *at >= FINDINGS_MAX) {
        findings.swap(deciding, FINDINGS_MAX - 1);
    }
    findings.truncate(FINDINGS_MAX);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_loses_its_parameters_and_its_case() {
        let text = |value: &str| media_type(value.as_bytes()).map(String::from);
        assert_eq!(text("Application/JSON; charset=utf-8").as_deref(), Some("application/json"));
        assert_eq!(text("application/problem+json").as_deref(), Some("application/problem+json"));
        assert_eq!(text("json"), None);
        assert_eq!(text("jane@example.com/x"), None);
        assert_eq!(text(" text/html ;").as_deref(), Some("text/html"));
        assert_eq!(text("a/b/c"), None);
        assert_eq!(
            text(&format!("a/{}", "b".repeat(MEDIA_TYPE_BYTES_MAX - 2))).map(|text| text.len()),
            Some(MEDIA_TYPE_BYTES_MAX)
        );
        assert_eq!(text(&format!("a/{}", "b".repeat(MEDIA_TYPE_BYTES_MAX - 1))), None);
        assert_eq!(text(""), None);
    }
}
