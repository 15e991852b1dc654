//! A service of the operator's that is asked about each request: who calls, and whether it may do this.
//!
//! The contract is one `POST` of a JSON object and a JSON object back (docs/callers.md, "An authorizer of your own"). What
//! it is told is what the method lists, and nothing else; what it says of the caller becomes the principal, and reaches the
//! upstream through `identity_headers` alone. No answer, or one that cannot be read, means no access, unless the method
//! says `fail_open`; then the caller is nobody, and a finding tells of it.
//!
//! Envoy's `ext_authz` is the model; a plain 401 or 403 is understood as its "denied".

use std::sync::Arc;

use bartizan_config::ExternalMethod;
use bartizan_model::{CredentialKind, Principal, Scheme, Secret, Strength};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::{Map, Value, json};

use super::authenticate::Verdict;
use super::checks;
use super::claims::{self, Claims};
use super::verified::{Fault, Privacy, Verified, Who};
use crate::bounded::Digest;
use crate::fields::Role;
use crate::question::{Question, Reply};
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a "no" is believed at most: a grant that was just given should not be waited for.
const DENIED_SECS: i64 = 10;

/// The one field with a credential that is meant for proxies (RFC 9110 §11.7.2).
const PROXY_AUTHORIZATION: &str = "proxy-authorization";

const UNREADABLE: Fault = Fault::new(&checks::UNAVAILABLE, "the external authorizer's answer cannot be read");
const DENIED: Fault = Fault::new(&checks::EXTERNAL, "the external authorizer does not let it pass");

/// One authorizer.
#[derive(Debug)]
pub(crate) struct ExternalRules {
    id: Digest,
    method: Arc<ExternalMethod>,
    /// The fields with credentials that it is told
    credentials: Box<[Arc<str>]>,
}

impl ExternalRules {
    pub(crate) fn new(method: &ExternalMethod, is_subject_plain: bool) -> Self {
        let id = sha256(&[b"external", &[u8::from(is_subject_plain)], format!("{method:?}").as_bytes()]);
        let is_credential = |name: &&String| {
            matches!(Role::of(name.as_bytes()), Role::Authorization | Role::Cookie | Role::Key)
                || PROXY_AUTHORIZATION.eq_ignore_ascii_case(name)
        };
        let credentials = method.headers.iter().filter(is_credential);
        let credentials = credentials.map(|name| name.to_ascii_lowercase().into()).collect();
        Self { id, method: Arc::new(method.clone()), credentials }
    }

    /// The fields that carry the credential, as far as the authorizer is told any: those that credentials stand in by
    /// standard or custom.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Arc<str>> {
        self.credentials.iter()
    }

    /// Whether it is told this field.
    pub(crate) fn is_told(&self, name: &[u8]) -> bool {
        self.method.headers.iter().any(|told| name.eq_ignore_ascii_case(told.as_bytes()))
    }

    pub(crate) fn verdict(&self, ctx: &mut HeadContext<'_>, privacy: Privacy<'_>) -> Verdict {
        let request = self.request(ctx).to_string().into_bytes();
        // Whatever it is told is in the name: another request is another question.
        let name = sha256(&[&self.id, &request]);
        let now = ctx.now.as_secs();
        if let Some(known) = ctx.snapshot.access().verified.find(&name).filter(|known| known.holds(now, None)) {
            return Verdict::Known(known);
        }
        let judged = match ctx.asked.reply_to(&name) {
            Some(Reply::External { status, body }) => self.judge(*status, body, now, privacy),
            None
            | Some(
                Reply::Unavailable | Reply::Done | Reply::Introspection(_) | Reply::Counted(_) | Reply::Password { .. },
            ) => {
                let method = Arc::clone(&self.method);
                let question = || Question::External { method, request: Secret::new(request.into_boxed_slice()) };
                if ctx.asked.ask(name, question) {
                    return Verdict::Asked;
                }
                Err(Fault::new(&checks::UNAVAILABLE, "the external authorizer did not answer"))
            }
        };
        match judged {
            Ok(verified) => {
                let verified = Arc::new(verified);
                if verified.until_secs > now {
                    ctx.snapshot.access().verified.insert(name, Arc::clone(&verified));
                }
                Verdict::Known(verified)
            }
            Err(fault) if self.method.fail_open => Verdict::Waived(fault),
            Err(fault) => Verdict::Refused(fault),
        }
    }

    /// What it is told. Bytes beyond ASCII come as the characters of Latin-1: the same bytes, and nothing made equal.
    fn request(&self, ctx: &HeadContext<'_>) -> Value {
        let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
        let mut headers = Map::new();
        for name in &self.method.headers {
            let fields = ctx.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
            let values: Vec<Value> = fields.map(|field| text(field.value).into()).collect();
            if !values.is_empty() {
                headers.insert(name.clone(), values.into());
            }
        }
        let thumbprint = ctx.client_chain.first().map(|leaf| {
            let digest = digest::digest(&digest::SHA256, leaf);
            URL_SAFE_NO_PAD.encode(digest)
        });
        json!({
            "method": text(ctx.head.method),
            "scheme": match ctx.head.scheme { Scheme::Http => "http", Scheme::Https => "https" },
            "host": ctx.facts.host.as_ref().map(|host| host.as_str()),
            "path": text(ctx.head.path()),
            "query": ctx.head.query().map(text),
            "client": ctx.facts.client.ip.map(|ip| ip.to_string()),
            "api": ctx.facts.route.as_ref().map(|route| route.api.to_string()),
            "certificate": thumbprint,
            "headers": headers,
        })
    }

    /// What an answer means, and for how long.
    fn judge(&self, status: u16, body: &[u8], now: i64, privacy: Privacy<'_>) -> Result<Verified, Fault> {
        let age_max = i64::from(self.method.age_max_secs);
        let until = |secs: i64| now.saturating_add(secs);
        let denied =
            || Verified { who: Err(DENIED), from_secs: now, until_secs: until(age_max.min(DENIED_SECS)), keys: None };
        match status {
            200 => {}
            401 | 403 => return Ok(denied()),
            _ => return Err(UNREADABLE),
        }
        let body = body.get(..).filter(|body| body.len() <= ANSWER_BYTES_MAX).ok_or(UNREADABLE)?;
        let claims = Claims::parse(body).ok_or(UNREADABLE)?;
        if !claims.boolean("allow").ok_or(UNREADABLE)? {
            return Ok(denied());
        }
        let principal = principal(&self.method.url, &claims).ok_or(UNREADABLE)?;
        let seconds = claims.number("cache_seconds").map_or(age_max, |seconds| seconds.clamp(0, age_max));
        Ok(Verified { who: Ok(Who::new(principal, privacy)), from_secs: now, until_secs: until(seconds), keys: None })
    }
}

/// Who calls, by an answer that lets it pass: it must say so.
fn principal(authority: &str, claims: &Claims) -> Option<Principal> {
    let subject = claims.registered("subject").filter(|subject| claims::is_name(subject))?;
    Some(Principal {
        application: claims.registered("application").filter(|name| claims::is_name(name)).map(Into::into),
        scopes: claims.words("scopes"),
        roles: claims.words("roles"),
        claims: claims.members("claims"),
        ..Principal::new(authority, subject, CredentialKind::External, Strength::Bearer)
    })
}
