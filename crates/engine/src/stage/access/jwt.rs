//! JSON Web Tokens as credentials: one issuer's, checked as RFC 8725 has it.
//!
//! The order of the checks is the order of their cost, and nothing that the token says chooses how it is checked:
//! algorithm, key source, audience and types come from the configuration, `kid` is only compared, and `jku`, `x5u`, `jwk`
//! and `x5c` are not looked at. A token of another issuer is another method's to judge.
//! Sources: RFC 7519, RFC 8725, RFC 9068 §4, RFC 7800, RFC 6750.

use std::sync::Arc;

use bartizan_config::{JwtAlgorithm, JwtMethod, KeySource};
use bartizan_model::{Confirmation, CredentialKind, Principal, Strength, Timestamp};

use super::authenticate::Verdict;
use super::claims::{self, Claims};
use super::jose::{self, Compact};
use super::jwks::Lookup;
use super::verified::{Fault, Privacy, Verified, Who};
use super::{checks, dpop, token};
use crate::bounded::Digest;
use crate::question::{Question, Reply};
use crate::stage::HeadContext;
use crate::state::{KnownKeys, is_fetched, sha256};

/// How long a token is refused without another question because its issuer publishes no such key; while the keys stay as
/// they are, for with other keys it is judged anew.
const UNKNOWN_KEY_SECS: i64 = 10;

/// The tokens of one issuer.
#[derive(Debug)]
pub(crate) struct JwtRules {
    /// Names this method with all its settings: what one method verified, another did not
    id: Digest,
    method: JwtMethod,
    source: Arc<KeySource>,
    proof: dpop::ProofRules,
}

/// Why a token did not verify.
pub(crate) enum Failure {
    /// It is not this method's to judge
    Foreign(Fault),
    /// The key is not known, as far as the keys at hand go
    UnknownKey,
    /// It is refused
    Refused(Fault),
}

impl JwtRules {
    pub(crate) fn new(method: &JwtMethod, is_subject_plain: bool) -> Self {
        Self {
            id: sha256(&[b"jwt", &[u8::from(is_subject_plain)], format!("{method:?}").as_bytes()]),
            source: Arc::new(method.keys.clone()),
            proof: dpop::ProofRules {
                origins: method.origins.iter().map(|origin| origin.as_str().into()).collect(),
                age_max_secs: i64::from(method.proof_age_max_secs),
                leeway_secs: i64::from(method.leeway_secs),
                is_demanded: method.sender_constrained,
                needs_nonce: method.proof_nonce,
            },
            method: method.clone(),
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
        let now = ctx.now.as_secs();
        let Some(keys) = self.fresh_keys(ctx) else {
            if let Err(Failure::Foreign(fault)) = self.read(presented.text) {
                return Verdict::Foreign(fault);
            }
            return self.ask(ctx).unwrap_or(Verdict::Refused(Fault::new(
                &checks::UNAVAILABLE,
                "the issuer's keys are missing or too old",
            )));
        };
        let name = sha256(&[&self.id, presented.text]);
        let remembered =
            ctx.snapshot.access().verified.find(&name).filter(|known| known.holds(now, Some(&keys.digest)));
        let verified = match remembered {
            Some(known) => known,
            None => match self.verify(presented.text, &keys, ctx.now, privacy) {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    ctx.snapshot.access().verified.insert(name, Arc::clone(&verified));
                    verified
                }
                Err(Failure::Foreign(fault)) => return Verdict::Foreign(fault),
                Err(Failure::Refused(fault)) => return Verdict::Refused(fault),
                Err(Failure::UnknownKey) => return self.ask(ctx).unwrap_or_else(|| self.unknown_key(ctx, name, &keys)),
            },
        };
        if verified.who.is_err() {
            return Verdict::Known(verified); // known to be refused
        }
        match dpop::prove_binding(ctx, &self.proof, &presented, &verified) {
            Ok(()) => Verdict::Known(verified),
            Err(fault) => Verdict::Refused(fault),
        }
    }

    /// The keys of the issuer, unless they are too old to be believed.
    fn fresh_keys(&self, ctx: &HeadContext<'_>) -> Option<Arc<KnownKeys>> {
        let keys = ctx.snapshot.access().keys(&self.source)?;
        let age = ctx.now.as_secs().saturating_sub(keys.fetched_secs);
        let is_fresh = match *self.source {
            KeySource::File(_) => true,
            KeySource::Url(_) | KeySource::Discovery(_) => age <= i64::from(self.method.keys_age_max_secs),
        };
        is_fresh.then_some(keys)
    }

    /// Asks the host for newer keys, when that may help.
    fn ask(&self, ctx: &mut HeadContext<'_>) -> Option<Verdict> {
        if !ctx.snapshot.access().may_ask_for_keys(&self.source, ctx.now) {
            return None;
        }
        let question = || Question::Keys { source: Arc::clone(&self.source) };
        ctx.asked.ask(self.question(), question).then_some(Verdict::Asked)
    }

    /// Names the question for newer keys.
    fn question(&self) -> Digest {
        sha256(&[b"keys", self.source.to_string().as_bytes()])
    }

    /// A key that stays unknown is refused only by what its issuer has said since; until then it may be a new one. What
    /// the issuer said of a token is remembered, so that one whose key was withdrawn does not wait again and again.
    fn unknown_key(&self, ctx: &HeadContext<'_>, name: Digest, keys: &KnownKeys) -> Verdict {
        let fault = Fault::new(&checks::KEY, "the issuer publishes no such key");
        if !is_fetched(&self.source) {
            return Verdict::Refused(fault);
        }
        if !matches!(ctx.asked.reply_to(&self.question()), Some(Reply::Done)) {
            let words = "its key is not known, and the issuer could not be asked for newer ones";
            return Verdict::Refused(Fault::new(&checks::UNAVAILABLE, words));
        }
        let until_secs = ctx.now.as_secs().saturating_add(UNKNOWN_KEY_SECS);
        let verified = Verified { who: Err(fault), from_secs: i64::MIN, until_secs, keys: Some(keys.digest) };
        ctx.snapshot.access().verified.insert(name, Arc::new(verified));
        Verdict::Refused(fault)
    }

    /// A token of this issuer, or so it says: nothing of it is verified.
    fn read<'t>(&self, text: &'t [u8]) -> Result<(Compact<'t>, Claims), Failure> {
        let foreign = |info, words| Failure::Foreign(Fault::new(info, words));
        let token = Compact::parse(text).map_err(|words| foreign(&checks::MALFORMED, words))?;
        let claims = Claims::parse(&token.payload)
            .ok_or(foreign(&checks::MALFORMED, "its payload is not a JSON object with unique members"))?;
        if claims.registered("iss") != Some(self.method.issuer.as_str()) {
            return Err(foreign(&checks::AUDIENCE, "it is from another issuer, or from none"));
        }
        Ok((token, claims))
    }

    fn verify(&self, text: &[u8], keys: &KnownKeys, now: Timestamp, privacy: Privacy<'_>) -> Result<Verified, Failure> {
        let refused = |fault| Failure::Refused(fault);
        let (token, claims) = self.read(text)?;
        let algorithm = self.header(&token).map_err(refused)?;
        let id =
            token.key_id().map_err(|()| refused(Fault::new(&checks::MALFORMED, "`kid` is no text, or too long")))?;
        let key = match keys.keys.find(id, algorithm) {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(Failure::UnknownKey),
            Lookup::WrongKind => {
                return Err(refused(Fault::new(&checks::ALGORITHM, "its key is for another algorithm")));
            }
        };
        if !key.verifies(algorithm, token.signed, &token.signature) {
            return Err(refused(Fault::new(&checks::SIGNATURE, "the signature does not fit")));
        }
        let (from_secs, until_secs) = self.time(&claims, now).map_err(refused)?;
        self.claims(&claims).map_err(refused)?;
        let principal = self.principal(&claims).map_err(refused)?;
        let who = Who::new(principal, privacy).with_login(claims.login());
        Ok(Verified { who: Ok(who), from_secs, until_secs, keys: Some(keys.digest) })
    }

    /// What the header says, as far as it may say anything; the algorithm.
    fn header(&self, token: &Compact<'_>) -> Result<JwtAlgorithm, Fault> {
        let name = token.header_text("alg").ok().flatten();
        let algorithm = name.and_then(jose::algorithm).filter(|found| self.method.algorithms.contains(found));
        let algorithm = algorithm.ok_or(match name {
            Some(name) if name.eq_ignore_ascii_case("none") => Fault::new(&checks::ALGORITHM, "`none` is no algorithm"),
            Some(_) => Fault::new(&checks::ALGORITHM, "the algorithm is not among those accepted"),
            None => Fault::new(&checks::ALGORITHM, "it names no algorithm"),
        })?;
        // RFC 7515 §4.1.11: what must be understood is not; RFC 7797 travels there.
        if token.header.contains_key("crit") || token.header.contains_key("b64") {
            return Err(Fault::new(&checks::CLAIMS, "its header demands an extension (`crit`)"));
        }
        if token.header.contains_key("cty") || token.header.contains_key("enc") || token.header.contains_key("zip") {
            return Err(Fault::new(&checks::CLAIMS, "another token is nested in it"));
        }
        let kind = token.header_text("typ").map_err(|()| Fault::new(&checks::CLAIMS, "its type is no text"))?;
        let kind = kind.map(|kind| kind.to_ascii_lowercase());
        let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
        let is_accepted = match (self.method.types.as_slice(), kind) {
            ([], kind) => matches!(kind, None | Some("jwt" | "at+jwt")),
            (types, Some(kind)) => types.iter().any(|accepted| accepted == kind),
            (_, None) => false,
        };
        if is_accepted {
            Ok(algorithm)
        } else {
            Err(Fault::new(&checks::CLAIMS, "its type is not among those accepted"))
        }
    }

    /// From when until when it holds, with the leeway.
    fn time(&self, claims: &Claims, now: Timestamp) -> Result<(i64, i64), Fault> {
        let (now, leeway) = (now.as_secs(), i64::from(self.method.leeway_secs));
        let date =
            |name| claims.date(name).map_err(|()| Fault::new(&checks::TIME, "`exp`, `nbf` or `iat` is not a date"));
        let expires = date("exp")?.ok_or(Fault::new(&checks::TIME, "it has no `exp`"))?;
        let not_before = date("nbf")?;
        date("iat")?;
        let until = expires.saturating_add(leeway);
        let from = not_before.map_or(i64::MIN, |from| from.saturating_sub(leeway));
        if now >= until {
            return Err(Fault::new(&checks::TIME, "it has expired"));
        }
        if now < from {
            return Err(Fault::new(&checks::TIME, "it is not valid yet"));
        }
        Ok((from, until))
    }

    fn claims(&self, claims: &Claims) -> Result<(), Fault> {
        if !claims.is_for(&self.method.audiences) {
            return Err(Fault::new(&checks::AUDIENCE, "it is for another audience, or for none"));
        }
        for rule in &self.method.claims {
            if !claims.meets(rule) {
                return Err(Fault::new(&checks::CLAIMS, "a claim that is demanded is missing or has another value"));
            }
        }
        Ok(())
    }

    fn principal(&self, claims: &Claims) -> Result<Principal, Fault> {
        let subject = claims.text(&self.method.subject_claim).filter(|subject| claims::is_name(subject));
        let subject = subject.ok_or(Fault::new(&checks::CLAIMS, "its subject is missing, or no name"))?;
        let confirmation = claims.confirmation()?;
        let strength = if confirmation.is_some() { Strength::ProofOfPossession } else { Strength::Bearer };
        Ok(Principal {
            application: claims
                .text(&self.method.application_claim)
                .or_else(|| claims.text("azp"))
                .filter(|name| claims::is_name(name))
                .map(Into::into),
            scopes: claims.words(&self.method.scopes_claim),
            roles: claims.words(&self.method.roles_claim),
            claims: claims.further(),
            confirmation,
            ..Principal::new(&self.method.issuer, subject, CredentialKind::Jwt, strength)
        })
    }
}

/// The key a verified caller must prove.
pub(crate) fn confirmation(verified: &Verified) -> Option<Confirmation> {
    verified.who.as_ref().ok().and_then(|who| who.principal.confirmation)
}
