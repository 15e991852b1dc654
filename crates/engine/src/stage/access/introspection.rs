//! Tokens that only the authorization server can judge (RFC 7662): the host asks it, the answer is judged here.
//!
//! An answer is believed for as long as the policy says, and no longer than the token lives; so a revoked token is refused
//! within that time. No answer means no access.

use std::sync::Arc;

use bartizan_config::IntrospectionMethod;
use bartizan_model::{CredentialKind, Principal, Secret, Strength};

use super::authenticate::Verdict;
use super::claims::{self, Claims};
use super::verified::{Fault, Privacy, Verified, Who};
use super::{checks, dpop, jose, token};
use crate::bounded::Digest;
use crate::question::{Question, Reply};
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a "no" is believed: a client that tries again at once is not worth a question.
const INACTIVE_SECS: i64 = 10;
/// How old a DPoP proof may be, and how far clocks may differ.
const PROOF_AGE_SECS: i64 = 60;
const LEEWAY_SECS: i64 = 30;

/// The tokens of one authorization server.
#[derive(Debug)]
pub(crate) struct IntrospectionRules {
    id: Digest,
    method: Arc<IntrospectionMethod>,
    proof: dpop::ProofRules,
}

impl IntrospectionRules {
    pub(crate) fn new(method: &IntrospectionMethod, is_subject_plain: bool) -> Self {
        Self {
            id: sha256(&[b"introspection", &[u8::from(is_subject_plain)], format!("{method:?}").as_bytes()]),
            proof: dpop::ProofRules {
                origins: Box::default(),
                age_max_secs: PROOF_AGE_SECS,
                leeway_secs: LEEWAY_SECS,
                is_demanded: method.sender_constrained,
                needs_nonce: method.proof_nonce,
            },
            method: Arc::new(method.clone()),
        }
    }

    pub(crate) fn is_sender_constrained(&self) -> bool {
        self.method.sender_constrained
    }

    pub(crate) fn needs_nonce(&self) -> bool {
        self.method.proof_nonce
    }

    pub(crate) fn verdict(&self, ctx: &mut HeadContext<'_>, privacy: Privacy<'_>) -> Verdict {
        let presented = match token::presented(ctx.fields) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Verdict::Absent,
            Err(fault) => return Verdict::Refused(fault),
        };
        if presented.text.len() > jose::TOKEN_BYTES_MAX {
            return Verdict::Refused(Fault::new(&checks::MALFORMED, "it is longer than 8192 bytes"));
        }
        let name = sha256(&[&self.id, presented.text]);
        let now = ctx.now.as_secs();
        let remembered = ctx.snapshot.access().verified.find(&name).filter(|known| known.holds(now, None));
        let verified = match (remembered, ctx.asked.reply_to(&name)) {
            (Some(known), _) => known,
            (None, Some(Reply::Introspection(answer))) => match self.judge(answer, now, privacy) {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    ctx.snapshot.access().verified.insert(name, Arc::clone(&verified));
                    verified
                }
                Err(fault) => return Verdict::Refused(fault),
            },
            (
                None,
                None
                | Some(
                    Reply::Done
                    | Reply::Password { .. }
                    | Reply::External { .. }
                    | Reply::Counted(_)
                    | Reply::Unavailable,
                ),
            ) => {
                let question = || Question::Introspection {
                    method: Arc::clone(&self.method),
                    token: Secret::new(presented.text.into()),
                };
                if ctx.asked.ask(name, question) {
                    return Verdict::Asked;
                }
                return Verdict::Refused(Fault::new(&checks::UNAVAILABLE, "the authorization server did not answer"));
            }
        };
        if verified.who.is_err() {
            return Verdict::Known(verified); // known to be refused
        }
        match dpop::prove_binding(ctx, &self.proof, &presented, &verified) {
            Ok(()) => Verdict::Known(verified),
            Err(fault) => Verdict::Refused(fault),
        }
    }

    /// What an answer means, and for how long.
    fn judge(&self, answer: &[u8], now: i64, privacy: Privacy<'_>) -> Result<Verified, Fault> {
        const UNREADABLE: Fault = Fault::new(&checks::UNAVAILABLE, "the authorization server's answer cannot be read");
        let answer = answer.get(..).filter(|answer| answer.len() <= ANSWER_BYTES_MAX).ok_or(UNREADABLE)?;
        let claims = Claims::parse(answer).ok_or(UNREADABLE)?;
        let age_max = i64::from(self.method.age_max_secs);
        let no = |fault| Verified {
            who: Err(fault),
            from_secs: i64::MIN,
            until_secs: now.saturating_add(INACTIVE_SECS.min(age_max)),
            keys: None,
        };
        let inactive = |words| no(Fault::new(&checks::INACTIVE, words));
        if !claims.boolean("active").ok_or(UNREADABLE)? {
            return Ok(inactive("the authorization server says that it is not active"));
        }
        let (Ok(expires), Ok(not_before)) = (claims.date("exp"), claims.date("nbf")) else { return Err(UNREADABLE) };
        if expires.is_some_and(|expires| now >= expires) {
            return Ok(inactive("it has expired"));
        }
        if not_before.is_some_and(|from| now.saturating_add(LEEWAY_SECS) < from) {
            return Ok(inactive("it is not valid yet"));
        }
        if !self.method.audiences.is_empty() && !claims.is_for(&self.method.audiences) {
            return Ok(no(Fault::new(&checks::AUDIENCE, "it is for another audience, or for none")));
        }
        let principal = match self.principal(&claims) {
            Ok(principal) => principal,
            Err(fault) => return Ok(no(fault)),
        };
        let believed = now.saturating_add(age_max);
        let until_secs = expires.map_or(believed, |expires| expires.min(believed));
        let who = Who::new(principal, privacy).with_login(claims.login());
        Ok(Verified { who: Ok(who), from_secs: i64::MIN, until_secs, keys: None })
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, Fault> {
        let named = |name: &str| claims.registered(name).filter(|text| claims::is_name(text));
        let application = named("client_id");
        let subject = named("sub").or_else(|| named("username")).or(application);
        let subject = subject.ok_or(Fault::new(&checks::CLAIMS, "its subject is missing, or no name"))?;
        let confirmation = claims.confirmation()?;
        let strength = if confirmation.is_some() { Strength::ProofOfPossession } else { Strength::Bearer };
        Ok(Principal {
            application: application.map(Into::into),
            scopes: claims.words("scope"),
            roles: claims.words("roles"),
            claims: claims.further(),
            confirmation,
            ..Principal::new(&self.method.url, subject, CredentialKind::IntrospectedToken, strength)
        })
    }
}
