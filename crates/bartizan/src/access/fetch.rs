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

/// What an authorization server says of a token (RFC 7662 §2). The secret is read each time: it may be renewed.
pub(super) fn introspection(method: &IntrospectionMethod, token: &Secret<Box<[u8]>>) -> Result<Vec<u8>> {
    use base64::Engine as _;
    let secret = std::fs::read_to_string(&method.client_secret_file).context("the client's secret")?;
    let pair = format!("{}:{}", encoded(method.client_id.as_bytes()), encoded(secret.trim_end().as_bytes()));
    let credentials = base64::engine::general_purpose::STANDARD.encode(pair);
    let form = format!("token={}&token_type_hint=access_token", encoded(token.expose()));
    let request = AGENT.post(&method.url).header("authorization", format!("Basic {credentials}"));
    let request = request.header("accept", "application/json");
    let response = request.content_type("application/x-www-form-urlencoded").send(form.as_bytes())?;
    body(response, ANSWER_BYTES_MAX)
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
}
