//! Proof of possession: a bound token is worth nothing without the key or certificate it is bound to.
//!
//! A DPoP proof is a small token that the client makes for one request, with the key whose thumbprint the access token
//! names. It must be for this method and URL, for this token, fresh, and used once. The embedded key is never trusted:
//! it only has to be the one that the verified access token names, which is compared before any signature is checked.
//! Sources: RFC 9449 §4.3, §7.1, §11.1; RFC 8705 §3; RFC 3986 §6.2.2.

use bartizan_config::JwtAlgorithm;
use bartizan_model::{Confirmation, Scheme, Source};
use ring::digest;
use serde_json::Value;

use super::claims::Claims;
use super::jose::{self, Compact};
use super::jwks::Key;
use super::token::{Presented, TokenScheme};
use super::verified::{Fault, Verified};
use super::{checks, jwt, nonce};
use crate::bounded::{Digest, Registered};
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: bytes of a proof's id; it is only ever compared.
const ID_BYTES_MAX: usize = 256;

/// What a proof must be.
#[derive(Debug)]
pub(crate) struct ProofRules {
    /// Origins by which clients know the API; empty = as the request arrived
    pub(crate) origins: Box<[Box<str>]>,
    pub(crate) age_max_secs: i64,
    pub(crate) leeway_secs: i64,
    /// Tokens that are bound to nothing are refused
    pub(crate) is_demanded: bool,
    /// Proofs need a nonce of ours
    pub(crate) needs_nonce: bool,
}

/// Whether the request proves what its token is bound to.
pub(crate) fn prove_binding(
    ctx: &mut HeadContext<'_>,
    rules: &ProofRules,
    token: &Presented<'_>,
    verified: &Verified,
) -> Result<(), Fault> {
    match (jwt::confirmation(verified), token.scheme) {
        (Some(Confirmation::KeyThumbprint(thumbprint)), TokenScheme::Dpop) => {
            let id = check_proof(ctx, rules, token.text, &thumbprint)?;
            use_once(ctx, rules, id)
        }
        (Some(Confirmation::KeyThumbprint(_)), TokenScheme::Bearer) => {
            Err(Fault::new(&checks::UNBOUND, "it is bound to a key, and comes as a bearer token"))
        }
        (Some(Confirmation::CertificateThumbprint(thumbprint)), _) => check_certificate(ctx, &thumbprint),
        (None, TokenScheme::Dpop) => Err(Fault::new(&checks::UNBOUND, "it comes with a proof, and is bound to no key")),
        (None, TokenScheme::Bearer) if rules.is_demanded => {
            Err(Fault::new(&checks::UNBOUND, "it is bound to no key and no certificate"))
        }
        (None, TokenScheme::Bearer) => Ok(()),
    }
}

/// RFC 8705 §3: the certificate of this connection is the one the token was issued for.
fn check_certificate(ctx: &HeadContext<'_>, thumbprint: &[u8; 32]) -> Result<(), Fault> {
    let Some(leaf) = ctx.client_chain.first() else {
        return Err(Fault::new(&checks::UNBOUND, "it is bound to a certificate, and the client shows none"));
    };
    if digest::digest(&digest::SHA256, leaf).as_ref() == thumbprint {
        return Ok(());
    }
    Err(Fault::new(&checks::UNBOUND, "it is bound to another certificate"))
}

const fn fault(words: &'static str) -> Fault {
    Fault::new(&checks::PROOF, words)
}

/// RFC 9449 §4.3, in its order as far as cost allows. Gives what names the proof.
fn check_proof(
    ctx: &mut HeadContext<'_>,
    rules: &ProofRules,
    token: &[u8],
    thumbprint: &[u8; 32],
) -> Result<Digest, Fault> {
    let head = ctx.head;
    let mut proofs = head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"dpop"));
    let text = match (proofs.next(), proofs.next()) {
        (Some(only), None) => only.value,
        (None, _) => return Err(Fault::new(&checks::UNBOUND, "there is no proof (`DPoP`)")),
        (Some(_), Some(_)) => return Err(fault("there are two proofs")),
    };
    let proof = Compact::parse(text).map_err(|_| fault("it is not a token"))?;
    let kind = proof.header_text("typ").ok().flatten().unwrap_or_default().to_ascii_lowercase();
    if kind.strip_prefix("application/").unwrap_or(&kind) != "dpop+jwt" {
        return Err(fault("its type is not `dpop+jwt`"));
    }
    let algorithm = proof.header_text("alg").ok().flatten().and_then(jose::algorithm);
    let algorithm = algorithm.filter(|found| !found.is_symmetric()).ok_or(fault("its algorithm is not accepted"))?;
    if proof.header.contains_key("crit") {
        return Err(fault("its header demands an extension (`crit`)"));
    }
    let key = embedded_key(&proof)?;
    if key.thumbprint() != thumbprint {
        return Err(fault("it was made with another key than the token is bound to"));
    }
    if !key.verifies(algorithm, proof.signed, &proof.signature) {
        return Err(fault("its signature does not fit"));
    }
    let claims = Claims::parse(&proof.payload).ok_or(fault("its payload is not a JSON object"))?;
    check_claims(ctx, rules, token, &claims)?;
    check_nonce(ctx, rules, &claims)?;
    let id = claims.registered("jti").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
    let id = id.ok_or(fault("it has no id (`jti`), or a very long one"))?;
    Ok(sha256(&[b"dpop", thumbprint, id.as_bytes()]))
}

/// The public key in the proof's header; a private one would have been published with every request.
fn embedded_key(proof: &Compact<'_>) -> Result<Key, Fault> {
    const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
    let Some(Value::Object(members)) = proof.header.get("jwk") else { return Err(fault("it carries no key (`jwk`)")) };
    if PRIVATE.iter().any(|member| members.contains_key(*member)) {
        return Err(fault("it carries a private key"));
    }
    Key::parse(members).ok_or(fault("its key cannot be used"))
}

fn check_claims(ctx: &HeadContext<'_>, rules: &ProofRules, token: &[u8], claims: &Claims) -> Result<(), Fault> {
    if claims.registered("htm").map(str::as_bytes) != Some(ctx.head.method) {
        return Err(fault("it is for another method (`htm`)"));
    }
    if !claims.registered("htu").is_some_and(|url| is_this(ctx, rules, url)) {
        return Err(fault("it is for another URL (`htu`)"));
    }
    let now = ctx.now.as_secs();
    let made = claims.date("iat").ok().flatten().ok_or(fault("it has no date (`iat`)"))?;
    if made < now.saturating_sub(rules.age_max_secs + rules.leeway_secs) {
        return Err(fault("it is too old"));
    }
    if made > now.saturating_add(rules.leeway_secs) {
        return Err(fault("it is from the future"));
    }
    let token_digest = digest::digest(&digest::SHA256, token);
    let bound = claims.registered("ath").and_then(|text| jose::base64url(text.as_bytes()));
    if bound.as_deref() != Some(token_digest.as_ref()) {
        return Err(fault("it is for another token (`ath`)"));
    }
    Ok(())
}

/// RFC 9449 §9: a nonce of ours shows that the proof was made just now. Recordings are judged later, and elsewhere.
fn check_nonce(ctx: &mut HeadContext<'_>, rules: &ProofRules, claims: &Claims) -> Result<(), Fault> {
    if !rules.needs_nonce || ctx.source != Source::Gateway {
        return Ok(());
    }
    let missing = Fault::new(&checks::NONCE, "it has no nonce");
    let nonce = claims.registered("nonce").ok_or(missing)?;
    match nonce::standing(ctx.snapshot.key(), ctx.now, nonce) {
        nonce::Standing::Current => Ok(()),
        nonce::Standing::Previous => {
            ctx.facts.fresh_nonce = Some(nonce::current(ctx.snapshot.key(), ctx.now));
            Ok(())
        }
        nonce::Standing::Unknown => Err(Fault::new(&checks::NONCE, "its nonce is too old, or none of ours")),
    }
}

/// Whether `url` names this request, without query and fragment.
fn is_this(ctx: &HeadContext<'_>, rules: &ProofRules, url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at_checked(slash).unwrap_or((rest, "")),
        None => (rest, "/"),
    };
    if normal_path(path.as_bytes()) != normal_path(ctx.head.path()) {
        return false;
    }
    let named = normal_origin(scheme, authority.as_bytes());
    if rules.origins.is_empty() {
        let scheme = match ctx.head.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        return normal_origin(scheme, ctx.head.authority) == named;
    }
    rules.origins.iter().any(|origin| {
        origin.split_once("://").is_some_and(|(scheme, host)| normal_origin(scheme, host.as_bytes()) == named)
    })
}

/// Lower case, without the port that the scheme has anyway (RFC 3986 §6.2.3).
fn normal_origin(scheme: &str, authority: &[u8]) -> Vec<u8> {
    let scheme = scheme.to_ascii_lowercase();
    let port: &[u8] = if scheme == "https" { b":443" } else { b":80" };
    let authority = authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    [scheme.as_bytes(), b"://", &authority].concat()
}

/// Percent-encoding in one spelling (RFC 3986 §6.2.2.1, §6.2.2.2).
fn normal_path(path: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, after) {
            (b'%', [high, low, beyond @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let byte = hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0);
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    normal.push(byte);
                } else {
                    normal.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
                }
                rest = beyond;
            }
            _ => {
                normal.push(*first);
                rest = after;
            }
        }
    }
    if normal.is_empty() { b"/".to_vec() } else { normal }
}

/// A proof works once. Recordings may be judged again and again, so only traffic as it passes uses proofs up.
fn use_once(ctx: &mut HeadContext<'_>, rules: &ProofRules, id: Digest) -> Result<(), Fault> {
    if ctx.source != Source::Gateway || ctx.facts.proofs.contains(&id) {
        return Ok(());
    }
    let seconds = rules.age_max_secs.saturating_add(rules.leeway_secs.saturating_mul(2)).max(1);
    match ctx.snapshot.access().used.register(id, ctx.now.as_secs(), seconds) {
        Registered::First => {
            ctx.facts.proofs.push(id);
            Ok(())
        }
        Registered::Again => Err(Fault::new(&checks::REPLAY, "its id (`jti`) was used before")),
        Registered::Full => Err(Fault::new(&checks::UNAVAILABLE, "no more proofs can be remembered for the moment")),
    }
}

/// The algorithms to name in a challenge (RFC 9449 §5.1).
pub(crate) fn accepted_algorithms() -> String {
    let accepted = JwtAlgorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric());
    accepted.map(JwtAlgorithm::as_str).chain([jose::ED25519]).collect::<Vec<_>>().join(" ")
}
