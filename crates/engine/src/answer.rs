//! The answer the host gives in the upstream's place: problem details (RFC 9457).
//!
//! It says what the client may know: what kind of refusal, the request's id, and the check that refused (so that a
//! false positive can be reported in one word). Nothing of the configuration, and nothing the client sent, is in it.

use bartizan_model::{Action, Decision, Ending, RequestId};
use serde::Serialize;

use crate::checks;
use crate::decide::Refusal;

/// A whole HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code
    pub status: u16,
    /// Header fields, names in lower case; `content-length` is the host's to add
    pub headers: Vec<(&'static str, String)>,
    /// Body
    pub body: Vec<u8>,
}

impl Refusal {
    /// The status it is answered with (RFC 9110 §15.5, RFC 6585 §5).
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::MethodNotAllowed => 405,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::Misdirected => 421,
            Self::UnprocessableContent => 422,
            Self::TooManyRequests => 429,
            Self::HeaderFieldsTooLarge => 431,
            Self::BadGateway => 502,
            Self::ServiceUnavailable => 503,
            Self::Rule(status) => status,
        }
    }
}

/// Title and detail for every status we answer with.
const fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Bad Request", "The request could not be read unambiguously."),
        401 => ("Unauthorized", "This needs valid credentials; the WWW-Authenticate field says which."),
        403 => ("Forbidden", "This request is not allowed here."),
        404 => ("Not Found", "Nothing is served under this host and path."),
        405 => ("Method Not Allowed", "This method is not allowed here; the Allow field lists those that are."),
        413 => ("Content Too Large", "The request body is larger than is allowed here."),
        414 => ("URI Too Long", "The request target is longer than is allowed here."),
        421 => ("Misdirected Request", "This connection was opened for another host; open one for this host."),
        422 => ("Unprocessable Content", "The request's content goes beyond what is allowed here."),
        429 => (
            "Too Many Requests",
            "More was asked for than is allowed here; the Retry-After field says when to come again.",
        ),
        431 => ("Request Header Fields Too Large", "The request's header section is larger than is allowed here."),
        502 => ("Bad Gateway", "The service behind the gateway could not be reached, or did not answer properly."),
        503 => ("Service Unavailable", "Whether this request is allowed cannot be said at the moment."),
        504 => ("Gateway Timeout", "The service behind the gateway did not answer in time."),
        _ if status < 500 => ("Request Refused", "This request is not allowed here."), // the status is a rule's own
        _ => ("Internal Server Error", "The gateway failed to process the request."),
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    request_id: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "<[&str]>::is_empty")]
    violated: &'a [&'a str],
}

/// The answer to a request that `decision` stopped. [`crate::Inspection::answer`] adds the `Allow` field that a 405
/// must have (RFC 9110 §15.5.6); hosts use that.
pub fn answer(decision: &Decision, id: RequestId) -> Answer {
    let check = match decision.action {
        Action::Deny => decision.check.as_ref().map(|check| check.as_str()),
        Action::Allow => None,
    };
    problem(decision.status, check, id)
}

/// The answer to a preflight; what it allows is in the fields that policies set (Fetch, "ok status").
pub(crate) fn preflight(id: RequestId) -> Answer {
    Answer { status: 204, headers: vec![("x-request-id", id.to_string())], body: Vec::new() }
}

/// The answer to a request that is beyond its limits, as draft-ietf-httpapi-ratelimit-headers-10 has it; `violated` names
/// them, where clients are told of them at all.
pub(crate) fn quota_exceeded(decision: &Decision, violated: &[&str], id: RequestId) -> Answer {
    const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
    let check = decision.check.as_ref().map(|check| check.as_str());
    typed_problem(QUOTA_EXCEEDED, decision.status, check, violated, id)
}

/// The answer the host owes after this ending; `None` when the client has its answer, or is gone.
pub fn answer_ending(ending: Ending, id: RequestId) -> Option<Answer> {
    match ending {
        Ending::Answered | Ending::Stopped | Ending::ClientClosed => None,
        Ending::Malformed => Some(problem(400, Some(checks::MALFORMED.id), id)),
        Ending::NoRoute => Some(problem(404, None, id)),
        Ending::UpstreamUnreachable | Ending::UpstreamFailed => Some(problem(502, None, id)),
        Ending::UpstreamTimeout => Some(problem(504, None, id)),
        Ending::InternalFault => Some(problem(500, None, id)),
    }
}

fn problem(status: u16, check: Option<&str>, id: RequestId) -> Answer {
    typed_problem("about:blank", status, check, &[], id)
}

fn typed_problem(r#type: &'static str, status: u16, check: Option<&str>, violated: &[&str], id: RequestId) -> Answer {
    let (title, detail) = words(status);
    let request_id = id.to_string();
    let problem = Problem { r#type, title, status, detail, request_id: &request_id, violated };
    let body = serde_json::to_vec(&problem).unwrap_or_default(); // strings and a number cannot fail
    let mut headers = vec![
        ("content-type", "application/problem+json".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-request-id", request_id),
    ];
    headers.extend(check.map(|check| ("x-bartizan-check", check.to_owned())));
    Answer { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: RequestId = RequestId::from_bits(0xABC);

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_problem_names_the_request_and_the_check() {
        let answer = answer_ending(Ending::Malformed, ID).unwrap();
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        assert_eq!(header(&answer, "x-request-id"), Some("00000000000000000000000000000abc"));
        assert_eq!(header(&answer, "x-bartizan-check"), Some("ENG-101"));
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap(),
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400,
                "detail": "The request could not be read unambiguously.",
                "request_id": "00000000000000000000000000000abc",
            })
        );
    }

    #[test]
    fn every_ending_without_an_answer_of_the_upstream_has_one_of_ours() {
        use Ending::*;
        for (ending, status) in [
            (Answered, None),
            (Stopped, None),
            (ClientClosed, None),
            (Malformed, Some(400)),
            (NoRoute, Some(404)),
            (UpstreamUnreachable, Some(502)),
            (UpstreamFailed, Some(502)),
            (UpstreamTimeout, Some(504)),
            (InternalFault, Some(500)),
        ] {
            assert_eq!(answer_ending(ending, ID).map(|answer| answer.status), status, "{ending:?}");
        }
    }

    #[test]
    fn every_refusal_has_words_of_its_own() {
        use Refusal::*;
        for refusal in [
            BadRequest,
            Unauthorized,
            Forbidden,
            MethodNotAllowed,
            ContentTooLarge,
            UriTooLong,
            TooManyRequests,
            HeaderFieldsTooLarge,
            ServiceUnavailable,
        ] {
            assert_ne!(words(refusal.status()).0, words(500).0, "{refusal:?}");
        }
    }
}
