//! Signed messages (RFC 9421): the client signs what it sends with a key that is known here.
//!
//! A signature says itself what it covers, so the policy says what it must cover; a body is covered by `content-digest`
//! (RFC 9530), which is compared when the body is complete, and until then nothing of it passes. A signature works once:
//! with a `nonce` the nonce is used up, without one the signature itself. Algorithms are pinned by the kind of the key.
//! Sources: RFC 9421 §2, §3.2, §7.2; RFC 9530 §2; RFC 8941.

use std::sync::Arc;

use bartizan_config::{JwtAlgorithm, KeySource, SignatureMethod};
use bartizan_model::{CredentialKind, HttpVersion, Location, Part, Principal, Scheme, Source, Strength};
use ring::digest;
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser, SerializeValue as _};

use super::api_key::AUTHORITY;
use super::authenticate::Verdict;
use super::checks;
use super::jwks::{Key, Keys, Lookup};
use super::verified::{Fault, Privacy, Verified, Who};
use crate::bounded::Registered;
use crate::decide::{Ground, Notices, Refusal};
use crate::policy::PolicyIndex;
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: bytes of `Signature-Input`, and of `Signature`.
const FIELD_BYTES_MAX: usize = 8192;
/// LIMIT: signatures of a message; each proxy on the way may add one.
const SIGNATURES_MAX: usize = 4;
/// LIMIT: components that a signature covers.
const COMPONENTS_MAX: usize = 64;
/// How far clocks may differ.
const LEEWAY_SECS: i64 = 30;

/// The signed messages of one method.
#[derive(Debug)]
pub(crate) struct SignatureRules {
    method: SignatureMethod,
    source: Arc<KeySource>,
}

/// What a message's body must be, as its signature says.
pub(crate) struct BodyDigest {
    pub(crate) policy: PolicyIndex,
    /// `None`: there must be no body, because nothing covers it
    expected: Option<(digest::Context, Box<[u8]>)>,
    bytes: u64,
}

/// One signature that a key here can check.
struct Candidate<'a> {
    covered: InnerList,
    signature: Vec<u8>,
    key: &'a Key,
    algorithm: JwtAlgorithm,
    key_id: String,
}

const fn fault(words: &'static str) -> Fault {
    Fault::new(&checks::MESSAGE, words)
}

impl SignatureRules {
    pub(crate) fn new(method: &SignatureMethod) -> Self {
        Self { source: Arc::new(method.keys.clone()), method: method.clone() }
    }

    /// What a message must cover, for a challenge.
    pub(crate) fn components(&self) -> String {
        self.method.components.iter().map(|component| format!("\\\"{component}\\\"")).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn verdict(&self, ctx: &mut HeadContext<'_>, policy: PolicyIndex, privacy: Privacy<'_>) -> Verdict {
        let input = field(ctx, "signature-input");
        let signature = field(ctx, "signature");
        let (Some(input), Some(signature)) = (input, signature) else { return Verdict::Absent };
        let Some(keys) = ctx.snapshot.access().keys(&self.source) else {
            return Verdict::Refused(Fault::new(&checks::UNAVAILABLE, "the keys are missing"));
        };
        match self.verify(ctx, policy, &keys.keys, &input, &signature) {
            Ok(key_id) => {
                let principal = Principal {
                    scopes: self.method.scopes.iter().map(|scope| scope.as_str().into()).collect(),
                    ..Principal::new(AUTHORITY, &key_id, CredentialKind::Signature, Strength::ProofOfPossession)
                };
                let now = ctx.now.as_secs();
                let who = Ok(Who::new(principal, privacy));
                Verdict::Known(Arc::new(Verified { who, from_secs: now, until_secs: now, keys: None }))
            }
            Err(fault) => Verdict::Refused(fault),
        }
    }

    fn verify(
        &self,
        ctx: &mut HeadContext<'_>,
        policy: PolicyIndex,
        keys: &Keys,
        input: &[u8],
        signature: &[u8],
    ) -> Result<String, Fault> {
        let candidate = candidate(keys, input, signature)?;
        let names = component_names(&candidate.covered)?;
        if self.method.components.iter().any(|demanded| !names.contains(&demanded.as_str())) {
            return Err(fault("it does not cover every component that is demanded"));
        }
        self.check_time(ctx.now.as_secs(), &candidate.covered)?;
        let base = signature_base(ctx, &names, &candidate.covered)?;
        if !candidate.key.verifies(candidate.algorithm, base.as_bytes(), &candidate.signature) {
            return Err(fault("it does not fit what was sent"));
        }
        let body = self.body(ctx, policy, names.contains(&"content-digest"))?;
        self.use_once(ctx, &candidate)?;
        ctx.facts.body_digests.extend(body);
        Ok(candidate.key_id)
    }

    fn check_time(&self, now: i64, covered: &InnerList) -> Result<(), Fault> {
        let number =
            |name: &str| covered.params.get(name).map(|value| value.as_int().ok_or(fault("its dates are none")));
        let created = number("created").transpose()?.ok_or(fault("it does not say when it was made"))?;
        if created > now.saturating_add(LEEWAY_SECS) {
            return Err(fault("it is from the future"));
        }
        if created < now.saturating_sub(i64::from(self.method.age_max_secs)) {
            return Err(fault("it is too old"));
        }
        match number("expires").transpose()? {
            Some(expires) if expires <= now => Err(fault("it has expired")),
            Some(_) | None => Ok(()),
        }
    }

    /// What the body has to be compared with.
    fn body(&self, ctx: &HeadContext<'_>, policy: PolicyIndex, is_covered: bool) -> Result<Option<BodyDigest>, Fault> {
        let declared = ctx.fields.content_length.filter(|_| !ctx.fields.transfer_encoding);
        let may_follow = match ctx.head.version {
            HttpVersion::Http10 | HttpVersion::Http11 => ctx.fields.transfer_encoding,
            HttpVersion::Http2 | HttpVersion::Http3 => declared.is_none(),
        };
        let is_streaming = ctx.facts.route.as_ref().is_some_and(|route| route.streaming);
        if is_streaming && (may_follow || declared.is_some_and(|bytes| bytes > 0)) {
            return Err(fault("the body of a streaming path is not looked at, and cannot be compared"));
        }
        if is_covered {
            let written = field(ctx, "content-digest").ok_or(fault("`content-digest` is missing"))?;
            let expected =
                content_digest(&written).ok_or(fault("`content-digest` is of no algorithm that is known"))?;
            return Ok(Some(BodyDigest { policy, expected: Some(expected), bytes: 0 }));
        }
        if declared.is_some_and(|bytes| bytes > 0) || (ctx.fields.transfer_encoding && may_follow) {
            return Err(fault("the body is not covered (`content-digest`)"));
        }
        Ok(may_follow.then_some(BodyDigest { policy, expected: None, bytes: 0 }))
    }

    fn use_once(&self, ctx: &mut HeadContext<'_>, candidate: &Candidate<'_>) -> Result<(), Fault> {
        let nonce = candidate.covered.params.get("nonce").and_then(BareItem::as_str).map(str::as_bytes);
        let once = nonce.unwrap_or(&candidate.signature);
        let id = sha256(&[b"signature", candidate.key_id.as_bytes(), once]);
        if ctx.source != Source::Gateway || ctx.facts.proofs.contains(&id) {
            return Ok(());
        }
        let seconds = i64::from(self.method.age_max_secs).saturating_add(LEEWAY_SECS).max(1);
        match ctx.snapshot.access().used.register(id, ctx.now.as_secs(), seconds) {
            Registered::First => {
                ctx.facts.proofs.push(id);
                Ok(())
            }
            Registered::Again => Err(Fault::new(&checks::REPLAY, "it was used before")),
            Registered::Full => {
                Err(Fault::new(&checks::UNAVAILABLE, "no more signatures can be remembered for the moment"))
            }
        }
    }
}

/// The first signature whose key is known here.
fn candidate<'k>(keys: &'k Keys, input: &[u8], signature: &[u8]) -> Result<Candidate<'k>, Fault> {
    const MALFORMED: Fault = Fault::new(&checks::MALFORMED, "`Signature-Input` or `Signature` is not a dictionary");
    if input.len() > FIELD_BYTES_MAX || signature.len() > FIELD_BYTES_MAX {
        return Err(Fault::new(&checks::MALFORMED, "`Signature-Input` or `Signature` is longer than 8192 bytes"));
    }
    let inputs: Dictionary = Parser::parse_dictionary(input).map_err(|_| MALFORMED)?;
    let signatures: Dictionary = Parser::parse_dictionary(signature).map_err(|_| MALFORMED)?;
    for (label, entry) in inputs.into_iter().take(SIGNATURES_MAX) {
        let ListEntry::InnerList(covered) = entry else { return Err(MALFORMED) };
        let Some(ListEntry::Item(item)) = signatures.get(&label) else { continue };
        let Some(bytes) = item.bare_item.as_byte_seq() else { return Err(MALFORMED) };
        let Some(key_id) = covered.params.get("keyid").and_then(BareItem::as_str).map(str::to_owned) else { continue };
        let Some((key, algorithm, name)) = key_of(keys, &key_id) else { continue };
        let says = covered.params.get("alg").map(|says| says.as_str() == Some(name));
        if says == Some(false) {
            return Err(fault("it says another algorithm than its key has"));
        }
        return Ok(Candidate { signature: bytes.clone(), covered, key, algorithm, key_id });
    }
    Err(fault("no key here can check it"))
}

/// The key of this name, with the one algorithm that its kind is used with here, and that algorithm's name in RFC 9421.
fn key_of<'k>(keys: &'k Keys, id: &str) -> Option<(&'k Key, JwtAlgorithm, &'static str)> {
    let algorithms = [
        (JwtAlgorithm::EdDsa, "ed25519"),
        (JwtAlgorithm::Es256, "ecdsa-p256-sha256"),
        (JwtAlgorithm::Ps512, "rsa-pss-sha512"),
        (JwtAlgorithm::Hs256, "hmac-sha256"),
    ];
    algorithms.into_iter().find_map(|(algorithm, name)| match keys.find(Some(id), algorithm) {
        Lookup::Found(key) if key.id() == Some(id) => Some((key, algorithm, name)),
        Lookup::Found(_) | Lookup::Unknown | Lookup::WrongKind => None,
    })
}

/// The covered components: names without parameters, each once.
fn component_names(covered: &InnerList) -> Result<Vec<&str>, Fault> {
    if covered.items.len() > COMPONENTS_MAX {
        return Err(fault("it covers more than 64 components"));
    }
    let mut names: Vec<&str> = Vec::with_capacity(covered.items.len());
    for item in &covered.items {
        let name = item.bare_item.as_str().filter(|_| item.params.is_empty());
        let name = name.ok_or(fault("it covers a component with parameters, which is not supported"))?;
        if names.contains(&name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(fault("it covers a component twice, or one in upper case"));
        }
        names.push(name);
    }
    Ok(names)
}

/// What is signed (RFC 9421 §2.5).
fn signature_base(ctx: &HeadContext<'_>, names: &[&str], covered: &InnerList) -> Result<String, Fault> {
    let mut base = String::new();
    for name in names {
        let value = component(ctx, name)?;
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    let parameters = vec![ListEntry::InnerList(covered.clone())].serialize_value();
    let parameters = parameters.map_err(|_| fault("its parameters cannot be written again"))?;
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    Ok(base)
}

/// The value of one component (RFC 9421 §2.1, §2.2).
fn component(ctx: &HeadContext<'_>, name: &str) -> Result<String, Fault> {
    let head = ctx.head;
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(['\r', '\n']) => Ok(text.to_owned()),
        _ => Err(fault("it covers something that is no text")),
    };
    let scheme = match head.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    match name {
        "@method" => text(head.method),
        "@authority" => Ok(authority(&text(head.authority)?, scheme)),
        "@scheme" => Ok(scheme.to_owned()),
        "@target-uri" => Ok(format!("{scheme}://{}{}", authority(&text(head.authority)?, scheme), text(head.target)?)),
        "@request-target" => text(head.target),
        "@path" => text(if head.path().is_empty() { b"/" } else { head.path() }),
        "@query" => Ok(format!("?{}", text(head.query().unwrap_or_default())?)),
        _ if name.starts_with('@') => Err(fault("it covers a component that is not known here")),
        _ => text(&field(ctx, name).ok_or(fault("it covers a field that is missing"))?),
    }
}

/// Lower case, without the port that the scheme has anyway (RFC 9421 §2.2.3).
fn authority(text: &str, scheme: &str) -> String {
    let port = if scheme == "https" { ":443" } else { ":80" };
    text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase()
}

/// Every value of a field, one after the other (RFC 9421 §2.1).
fn field(ctx: &HeadContext<'_>, name: &str) -> Option<Vec<u8>> {
    let fields = ctx.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
    let values: Vec<&[u8]> = fields.map(|field| field.value.trim_ascii()).collect();
    (!values.is_empty()).then(|| values.join(b", ".as_slice()))
}

/// The strongest digest of `Content-Digest` (RFC 9530 §2), with what to compute it by.
fn content_digest(written: &[u8]) -> Option<(digest::Context, Box<[u8]>)> {
    let digests: Dictionary =
        Parser::parse_dictionary(written.get(..).filter(|text| text.len() <= FIELD_BYTES_MAX)?).ok()?;
    [("sha-512", &digest::SHA512), ("sha-256", &digest::SHA256)].into_iter().find_map(|(name, algorithm)| {
        let Some(ListEntry::Item(item)) = digests.get(name) else { return None };
        Some((digest::Context::new(algorithm), item.bare_item.as_byte_seq()?.as_slice().into()))
    })
}

impl std::fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyDigest").field("policy", &self.policy).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl BodyDigest {
    /// The next piece of the body.
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if let Some((context, _)) = &mut self.expected {
            context.update(chunk);
        }
    }

    /// The body is complete. Whether it is the one that was signed.
    pub(crate) fn finish(self, notices: &mut Notices) -> bool {
        let words = match self.expected {
            Some((context, expected)) if context.clone().finish().as_ref() != &*expected => {
                "the body is not the one that was signed"
            }
            None if self.bytes > 0 => "there is a body, and it is not covered",
            Some(_) | None => return true,
        };
        let finding = checks::MESSAGE.finding(Location::part(Part::Body), words);
        notices.push(finding, Ground::Policy(self.policy, Refusal::Unauthorized));
        false
    }
}
