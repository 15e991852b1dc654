//! Requests of ours to issuers and authorization servers: few, small, to configured places only.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bartizan_config::{ExternalMethod, IntrospectionMethod, KeySource};
use bartizan_model::Secret;
use serde::Deserialize;
use ureq::Agent;

/// Name, connection, request and answer together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// LIMIT: bytes of a key set, as the engine takes them.
const KEYS_BYTES_MAX: u64 = 256 << 10;
/// LIMIT: bytes of other answers.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).http_status_as_error(false);
    config.user_agent("bartizan").build().new_agent()
});

/// An issuer's metadata, as far as it is read (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The key set of a source that is not a file.
pub(super) fn keys(source: &KeySource) -> Result<Vec<u8>> {
    match source {
        KeySource::File(path) => Ok(std::fs::read(path)?),
        KeySource::Url(url) => get(url, KEYS_BYTES_MAX),
        KeySource::Discovery(issuer) => get(&discovered(issuer)?, KEYS_BYTES_MAX),
    }
}

/// Where an issuer says that its keys are.
fn discovered(issuer: &str) -> Result<String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata: Metadata = serde_json::from_slice(&get(&url, ANSWER_BYTES_MAX)?).context("the issuer's metadata")?;
    ensure!(metadata.issuer == issuer, "the metadata is of the issuer `{}`", metadata.issuer);
    let is_secure = metadata.jwks_uri.starts_with("https://");
    ensure!(is_secure || issuer.starts_with("http://"), "`jwks_uri` is not https, though the issuer is");
    Ok(metadata.jwks_uri)
}

fn get(url: &str, bytes_max: u64) -> Result<Vec<u8>> {
    let response = AGENT.get(url).header("accept", "application/json").call()?;
    body(response, bytes_max)
}

fn body(mut response: ureq::http::Response<ureq::Body>, bytes_max: u64) -> Result<Vec<u8>> {
    if response.status() != 200 {
        bail!("the answer is {}", response.status());
    }
    Ok(response.body_mut().with_config().limit(bytes_max).read_to_vec()?)
}

/// What an authorization server says when it is asked about a token.
pub(super) enum Said {
    /// An answer of RFC 7662 §2.2
    Answer(Vec<u8>),
    /// It cannot make sense of this question (400)
    Refused,
    /// It is not well, wants fewer questions, or does not know us; the status
    Failed(u16),
}

/// What an authorization server says of a token (RFC 7662 §2). The secret is read each time: it may be renewed.
pub(super) fn introspection(method: &IntrospectionMethod, token: &Secret<Box<[u8]>>) -> Result<Said> {
    use base64::Engine as _;
    let secret = std::fs::read_to_string(&method.client_secret_file).context("the client's secret")?;
    let pair = format!("{}:{}", encoded(method.client_id.as_bytes()), encoded(secret.trim_end().as_bytes()));
    let credentials = base64::engine::general_purpose::STANDARD.encode(pair);
    let form = format!("token={}&token_type_hint=access_token", encoded(token.expose()));
    let request = AGENT.post(&method.url).header("authorization", format!("Basic {credentials}"));
    let request = request.header("accept", "application/json");
    let mut response = request.content_type("application/x-www-form-urlencoded").send(form.as_bytes())?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
    Ok(said(status, body))
}

/// Some servers refuse tokens of a kind that they do not judge, rather than call them inactive (RFC 7009 §2.2.1 names
/// the error). Anybody can send such a token: it is worth nothing, and says nothing of the server's health.
fn said(status: u16, body: Vec<u8>) -> Said {
    #[derive(Deserialize)]
    struct Fault {
        error: String,
    }
    let names_kind =
        |body: &[u8]| serde_json::from_slice(body).is_ok_and(|fault: Fault| fault.error == "unsupported_token_type");
    match status {
        200 => Said::Answer(body),
        400 if names_kind(&body) => Said::Answer(br#"{"active":false}"#.to_vec()),
        400 => Said::Refused,
        _ => Said::Failed(status),
    }
}

/// What an external authorizer says: status and body, whatever the status.
pub(super) fn external(
    method: &ExternalMethod,
    request: &Secret<Box<[u8]>>,
    timeout: Duration,
) -> Result<(u16, Vec<u8>)> {
    let asked = AGENT.post(&method.url).header("accept", "application/json").content_type("application/json");
    let asked = asked.config().timeout_global(Some(timeout)).build();
    let mut response = asked.send(&request.expose()[..])?;
    let status = response.status().as_u16();
    Ok((status, response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?))
}

/// `application/x-www-form-urlencoded`, as RFC 6749 §2.3.1 wants names and secrets, too.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_reserved_characters_survives_the_form() {
        assert_eq!(encoded(b"a-B_1.*"), "a-B_1.*");
        assert_eq!(encoded(b"p:s/w+d %&="), "p%3As%2Fw%2Bd%20%25%26%3D");
    }

    #[test]
    fn a_token_of_a_kind_that_the_server_does_not_judge_is_inactive_and_other_refusals_are_no_answer() {
        let check = |status, body: &str, expected: &str| {
            let told = match said(status, body.into()) {
                Said::Answer(answer) => String::from_utf8(answer).expect("text"),
                Said::Refused => "refused".to_owned(),
                Said::Failed(status) => format!("failed {status}"),
            };
            assert_eq!(told, expected, "{status} {body}");
        };
        check(200, r#"{"active":true}"#, r#"{"active":true}"#);
        check(400, r#"{"error":"unsupported_token_type"}"#, r#"{"active":false}"#);
        check(400, r#"{"error":"invalid_request"}"#, "refused");
        check(400, "unsupported_token_type", "refused");
        check(401, r#"{"error":"invalid_client"}"#, "failed 401");
        check(302, "", "failed 302");
        check(429, "", "failed 429");
        check(503, r#"{"active":true}"#, "failed 503");
    }
}
