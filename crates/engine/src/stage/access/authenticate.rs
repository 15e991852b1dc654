//! Who calls: asks the methods of each `authenticate` policy in their order.
//!
//! The first method whose credential the request carries decides; a method that finds a credential of its kind that is
//! somebody else's to judge (a token of another issuer) passes it on. No credential at all is refused, unless the policy
//! says `anonymous`. The same code runs over recordings: there, what was not recorded proves nothing.
//! Sources: RFC 9110 §11.6, RFC 6750 §3, RFC 9449 §7.1; OWASP API2:2023.

use std::sync::Arc;

use bartizan_config::{Authenticate, AuthenticationMethod, IdentityHeader, IdentityValue};
use bartizan_model::{ClaimValue, HeaderField, Location, Mode, Part, RequestHead, Source};

use super::api_key::ApiKeyRules;
use super::basic::BasicRules;
use super::checks;
use super::external::ExternalRules;
use super::introspection::IntrospectionRules;
use super::jwt::JwtRules;
use super::mtls::MtlsRules;
use super::nonce;
use super::signature::SignatureRules;
pub(crate) use super::verified::Verified;
use super::verified::{Fault, Privacy, Who};
use crate::decide::{Ground, Refusal};
use crate::edits::{Edits, field_value, is_same_field};
use crate::policy::{PolicyIndex, Rule};
use crate::stage::{HeadContext, Metered};

/// One `authenticate` policy.
#[derive(Debug)]
pub(crate) struct Authentication {
    methods: Box<[Method]>,
    anonymous: bool,
    required_scopes: Box<[Box<str>]>,
    strip: Option<bool>,
    identity_headers: Box<[(Arc<str>, IdentityValue)]>,
    is_subject_plain: bool,
    realm: Box<str>,
}

/// One way to prove who calls.
#[derive(Debug)]
enum Method {
    Jwt(Box<JwtRules>),
    ApiKey(ApiKeyRules),
    Basic(BasicRules),
    Mtls(Box<MtlsRules>),
    Introspection(Box<IntrospectionRules>),
    Signature(Box<SignatureRules>),
    External(Box<ExternalRules>),
}

/// What a method says of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It carries no credential of this kind
    Absent,
    /// It carries one that another method may know; if none does, this is why
    Foreign(Fault),
    /// It is valid
    Known(Arc<Verified>),
    /// It is not
    Refused(Fault),
    /// Whether it is cannot be said, and the method lets it pass then
    Waived(Fault),
    /// The host has to be asked first
    Asked,
}

/// Runs every policy that applies.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    let policies = ctx.facts.policies.clone();
    let snapshot = ctx.snapshot;
    // It may have run before, up to a question.
    ctx.facts.is_caller_unjudged = false;
    ctx.facts.challenges.clear();
    ctx.facts.fresh_nonce = None;
    ctx.facts.edits = Edits::default();
    ctx.facts.body_digests.clear();
    guard_identity(ctx);
    if ctx.facts.is_preflight() {
        return; // it carries no credential, and goes no further than here
    }
    for index in policies {
        let Some(policy) = snapshot.policies().policy(index) else { continue };
        let Rule::Authenticate(rules) = &policy.rule else { continue };
        rules.run(ctx, index, policy.mode);
        if ctx.asked.pending().is_some() {
            return;
        }
    }
}

impl Authentication {
    pub(crate) fn new(written: &Authenticate) -> Self {
        let plain = written.is_subject_plain;
        let method = |method: &AuthenticationMethod| match method {
            AuthenticationMethod::Jwt(jwt) => Method::Jwt(Box::new(JwtRules::new(jwt, plain))),
            AuthenticationMethod::ApiKey(key) => Method::ApiKey(ApiKeyRules::new(key)),
            AuthenticationMethod::Basic(basic) => Method::Basic(BasicRules::new(basic, plain)),
            AuthenticationMethod::Mtls(mtls) => Method::Mtls(Box::new(MtlsRules::new(mtls, plain))),
            AuthenticationMethod::Introspection(asked) => {
                Method::Introspection(Box::new(IntrospectionRules::new(asked, plain)))
            }
            AuthenticationMethod::Signature(signature) => Method::Signature(Box::new(SignatureRules::new(signature))),
            AuthenticationMethod::External(external) => Method::External(Box::new(ExternalRules::new(external, plain))),
        };
        let header = |header: &IdentityHeader| (header.name.as_str().into(), header.value.clone());
        Self {
            methods: written.methods.iter().map(method).collect(),
            anonymous: written.anonymous,
            required_scopes: written.required_scopes.iter().map(|scope| scope.as_str().into()).collect(),
            strip: written.strip,
            identity_headers: written.identity_headers.iter().map(header).collect(),
            is_subject_plain: plain,
            realm: written.realm.as_str().into(),
        }
    }

    fn run(&self, ctx: &mut HeadContext<'_>, index: PolicyIndex, mode: Mode) {
        match self.identify(ctx, index) {
            (_, Verdict::Asked) => {}
            (method, verdict) if !ctx.are_credentials_whole && !matches!(verdict, Verdict::Absent) => {
                let words = "the recording may hold it masked: who calls is not judged";
                self.note(ctx, method, Fault::new(&checks::UNAVAILABLE, words));
            }
            (_, Verdict::Absent) if ctx.lacks_headers || self.is_unseen(ctx) => ctx.facts.is_caller_unjudged = true,
            (_, Verdict::Absent | Verdict::Foreign(_)) if self.is_nobody_welcome(ctx) => {}
            (_, Verdict::Absent) => {
                let fault = Fault::new(&checks::MISSING, "there is no credential that a method knows");
                self.refuse(ctx, index, None, fault);
            }
            (method, Verdict::Foreign(fault) | Verdict::Refused(fault)) => self.refuse(ctx, index, method, fault),
            // Nobody has no scopes.
            (method, Verdict::Waived(fault)) if !self.required_scopes.is_empty() => {
                self.refuse(ctx, index, method, fault);
            }
            (method, Verdict::Waived(fault)) => self.note(ctx, method, fault),
            (method, Verdict::Known(verified)) => match &verified.who {
                Ok(who) => self.admit(ctx, index, mode, method, &verified, who),
                Err(fault) => self.refuse(ctx, index, method, *fault),
            },
        }
    }

    /// The method that decides, and what it says.
    fn identify(&self, ctx: &mut HeadContext<'_>, index: PolicyIndex) -> (Option<&Method>, Verdict) {
        let snapshot = ctx.snapshot;
        let privacy = Privacy { key: snapshot.key(), is_subject_plain: self.is_subject_plain };
        let mut foreign = (None, Verdict::Absent);
        for method in &self.methods {
            let verdict = match method {
                Method::Jwt(rules) => rules.verdict(ctx, privacy),
                Method::ApiKey(rules) => rules.verdict(ctx, privacy),
                Method::Basic(rules) => rules.verdict(ctx, privacy),
                Method::Mtls(rules) => rules.verdict(ctx, privacy),
                Method::Introspection(rules) => rules.verdict(ctx, privacy),
                Method::Signature(rules) => rules.verdict(ctx, index, privacy),
                Method::External(rules) => rules.verdict(ctx, privacy),
            };
            match verdict {
                Verdict::Absent => {}
                Verdict::Foreign(_) => foreign = (Some(method), verdict),
                Verdict::Known(_) | Verdict::Refused(_) | Verdict::Waived(_) | Verdict::Asked => {
                    return (Some(method), verdict);
                }
            }
        }
        foreign
    }

    /// Whether the request comes without any credential, and may. One that no method knows is still a credential: the
    /// upstream might believe it.
    fn is_nobody_welcome(&self, ctx: &HeadContext<'_>) -> bool {
        self.anonymous && ctx.fields.authorization.is_none()
    }

    /// Recordings do not say which certificate a client showed.
    fn is_unseen(&self, ctx: &HeadContext<'_>) -> bool {
        ctx.source != Source::Gateway && self.takes_certificates()
    }

    fn admit(
        &self,
        ctx: &mut HeadContext<'_>,
        index: PolicyIndex,
        mode: Mode,
        method: Option<&Method>,
        verified: &Arc<Verified>,
        who: &Who,
    ) {
        if ctx.facts.caller.is_none() {
            ctx.facts.caller = Some(Arc::clone(verified));
            let is_method = |known: &Method| method.is_some_and(|method| std::ptr::eq(known, method));
            ctx.facts.known_by = self.methods.iter().position(is_method).map(|number| (index, number));
        }
        if matches!(method, Some(Method::ApiKey(_))) {
            meter(ctx, index, mode, who);
        }
        if mode == Mode::Enforce {
            if let Some(method) = method {
                method.strip(ctx, self.strip);
            }
            for (name, value) in &self.identity_headers {
                if let Some(value) = identity(who, value) {
                    ctx.facts.edits.add(name, value);
                }
            }
        }
        if self.required_scopes.iter().any(|scope| !who.principal.has_scope(scope)) {
            let scopes = self.required_scopes.join(" ");
            let realm = &self.realm;
            let challenge = format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\", scope=\"{scopes}\"");
            ctx.facts.challenges.push((index, vec![challenge]));
            let location = method.map_or(Location::part(Part::Header), Method::location);
            let finding = checks::SCOPE.finding(location, "a scope that is demanded is missing");
            ctx.notices.push(finding, Ground::Policy(index, Refusal::Forbidden));
        }
    }

    fn refuse(&self, ctx: &mut HeadContext<'_>, index: PolicyIndex, method: Option<&Method>, fault: Fault) {
        let is_unavailable = fault.is(&checks::UNAVAILABLE);
        if is_unavailable && ctx.source != Source::Gateway {
            return self.note(ctx, method, fault); // what a recording is judged with proves nothing
        }
        let location = if fault.is(&checks::PROOF) || fault.is(&checks::NONCE) {
            Location::named(Part::Header, "dpop")
        } else {
            method.map_or(Location::part(Part::Header), Method::location)
        };
        let refusal = if is_unavailable || fault.is(&checks::PLAN) {
            Refusal::ServiceUnavailable
        } else if fault.is(&checks::EXTERNAL) {
            Refusal::Forbidden
        } else {
            ctx.facts.challenges.push((index, self.challenges(method, fault)));
            if self.methods.iter().any(Method::needs_nonce) {
                ctx.facts.fresh_nonce = Some(nonce::current(ctx.snapshot.key(), ctx.now));
            }
            Refusal::Unauthorized
        };
        ctx.notices.push(fault.info.finding(location, fault.evidence()), Ground::Policy(index, refusal));
    }

    /// Who calls is not known, and that decides nothing here. Of a recording it decides nothing at all; who calls inline
    /// is nobody then.
    fn note(&self, ctx: &mut HeadContext<'_>, method: Option<&Method>, fault: Fault) {
        ctx.facts.is_caller_unjudged |= ctx.source != Source::Gateway;
        let location = method.map_or(Location::part(Part::Header), Method::location);
        ctx.notices.push(fault.info.finding(location, fault.evidence()), Ground::Noted);
    }

    /// What `WWW-Authenticate` says: how to come in, and in a closed set of words why not this time.
    fn challenges(&self, deciding: Option<&Method>, fault: Fault) -> Vec<String> {
        let mut challenges: Vec<String> = Vec::new();
        for method in &self.methods {
            let is_deciding = deciding.is_some_and(|deciding| std::ptr::eq(deciding, method));
            for challenge in method.challenges(&self.realm, is_deciding.then_some(fault)) {
                if !challenges.contains(&challenge) {
                    challenges.push(challenge);
                }
            }
        }
        challenges
    }

    /// How to come in, for who came with nothing.
    pub(crate) fn ways_in(&self) -> Vec<String> {
        self.challenges(None, Fault::new(&checks::MISSING, ""))
    }

    /// The protected space.
    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    /// Whether a client certificate is one of its methods.
    fn takes_certificates(&self) -> bool {
        self.methods.iter().any(|method| matches!(method, Method::Mtls(_)))
    }

    /// Whether this field is what the method of this number knew the caller by, and nothing beside it.
    pub(crate) fn is_proof(&self, method: usize, field: &HeaderField<'_>, head: &RequestHead<'_>) -> bool {
        self.methods.get(method).is_some_and(|method| method.is_proof(field, head))
    }

    /// The fields by which it tells the upstream who calls.
    pub(crate) fn identity_headers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.identity_headers.iter().map(|(name, _)| name)
    }
}

/// Notes that an API key is used, once a request, and which policy answers for what it may use.
fn meter(ctx: &mut HeadContext<'_>, index: PolicyIndex, mode: Mode, who: &Who) {
    let Some(id) = who.principal.credential_id.as_deref() else { return };
    let is_first = ctx.facts.metered.is_none();
    if !is_first && mode != Mode::Enforce {
        return;
    }
    let Some(key) = ctx.snapshot.access().api_keys().known(id) else { return };
    if is_first {
        key.note_use(ctx.now.as_secs());
    }
    ctx.facts.metered = Some(Metered { by: index, key });
}

/// Takes out what clients say in our words, and notes that they do. An upstream that believes a field believes it on
/// every path, so this holds for every request, whichever policy applies.
fn guard_identity(ctx: &mut HeadContext<'_>) {
    let snapshot = ctx.snapshot;
    for (name, mode) in snapshot.policies().identity_headers() {
        if *mode == Mode::Enforce {
            ctx.facts.edits.remove(name);
        }
        if ctx.head.headers.iter().any(|field| is_same_field(field.name, name.as_bytes())) {
            let location = Location::named(Part::Header, name);
            let finding = checks::FORGED_IDENTITY.finding(location, "the client sends an identity header");
            ctx.notices.push(finding, Ground::Noted);
        }
    }
}

impl Method {
    /// Where its credential stands.
    fn location(&self) -> Location {
        match self {
            Self::Jwt(_) | Self::Basic(_) | Self::Introspection(_) => Location::named(Part::Header, "authorization"),
            Self::Mtls(_) => Location::named(Part::Connection, "client_certificate"),
            Self::Signature(_) => Location::named(Part::Header, "signature"),
            Self::ApiKey(rules) => Location::named(Part::Header, rules.header()),
            Self::External(_) => Location::part(Part::Header),
        }
    }

    /// Whether this field of a head is what it knows callers by, and nothing beside it.
    fn is_proof(&self, field: &HeaderField<'_>, head: &RequestHead<'_>) -> bool {
        let is_named = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        match self {
            Self::Jwt(_) | Self::Introspection(_) => is_named("authorization") || is_named("dpop"),
            Self::Basic(_) => is_named("authorization"),
            Self::ApiKey(rules) => is_named(rules.header()),
            // One signature is verified; another beside it, in a list or in a field of its own, is nobody's proof.
            Self::Signature(_) if is_named("signature") || is_named("signature-input") => {
                let same = head.headers.iter().filter(|other| other.name.eq_ignore_ascii_case(field.name));
                same.count() == 1 && !field.value.contains(&b',')
            }
            Self::Signature(_) => is_named("content-digest"),
            Self::External(rules) => rules.is_told(field.name),
            Self::Mtls(_) => false,
        }
    }

    /// Whether its proofs need a nonce of ours.
    fn needs_nonce(&self) -> bool {
        match self {
            Self::Jwt(rules) => rules.needs_nonce(),
            Self::Introspection(rules) => rules.needs_nonce(),
            Self::ApiKey(_) | Self::Basic(_) | Self::Mtls(_) | Self::Signature(_) | Self::External(_) => false,
        }
    }

    /// Takes its credential out of what goes to the upstream. Without a choice: long-lived secrets, which an upstream
    /// has no use for once they are checked.
    fn strip(&self, ctx: &mut HeadContext<'_>, choice: Option<bool>) {
        let edits = &mut ctx.facts.edits;
        match self {
            Self::Jwt(_) | Self::Introspection(_) => {
                if choice != Some(false) {
                    edits.remove(&Arc::from("dpop"));
                }
                if choice == Some(true) {
                    edits.remove(&Arc::from("authorization"));
                }
            }
            Self::ApiKey(rules) => {
                if choice != Some(false) {
                    rules.strip(edits);
                }
            }
            Self::Basic(_) => {
                if choice != Some(false) {
                    edits.remove(&Arc::from("authorization"));
                }
            }
            // A signature proves nothing again: it goes on for the record.
            Self::Signature(_) => {
                if choice == Some(true) {
                    ["signature", "signature-input"].into_iter().for_each(|name| edits.remove(&Arc::from(name)));
                }
            }
            // What an authorizer looked at, the upstream may want too.
            Self::External(rules) => {
                if choice == Some(true) {
                    rules.credentials().for_each(|name| edits.remove(name));
                }
            }
            Self::Mtls(_) => {} // the certificate stays with the connection
        }
    }

    fn challenges(&self, realm: &str, fault: Option<Fault>) -> Vec<String> {
        match self {
            Self::Jwt(rules) => token_challenges(realm, rules.is_sender_constrained(), fault),
            Self::Introspection(rules) => token_challenges(realm, rules.is_sender_constrained(), fault),
            Self::Basic(_) => vec![format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")],
            // No scheme is registered for it; a 401 must name one all the same (RFC 9110 §15.5.2).
            Self::Mtls(_) => vec![format!("Certificate realm=\"{realm}\"")],
            Self::Signature(rules) => {
                vec![format!("Signature realm=\"{realm}\", components=\"{}\"", rules.components())]
            }
            Self::External(_) => Vec::new(), // it refuses with 403
            Self::ApiKey(rules) => vec![format!("ApiKey realm=\"{realm}\", header=\"{}\"", rules.header())],
        }
    }
}

/// RFC 6750 §3.1, RFC 9449 §7.1.
fn token_challenges(realm: &str, is_sender_constrained: bool, fault: Option<Fault>) -> Vec<String> {
    let about_proof = fault.is_some_and(|fault| {
        [&checks::PROOF, &checks::REPLAY, &checks::UNBOUND, &checks::NONCE].into_iter().any(|info| fault.is(info))
    });
    let error = match fault {
        None => String::new(),
        Some(fault) if fault.is(&checks::NONCE) => ", error=\"use_dpop_nonce\"".to_owned(),
        Some(fault) if fault.is(&checks::PROOF) || fault.is(&checks::REPLAY) => {
            ", error=\"invalid_dpop_proof\"".to_owned()
        }
        Some(fault) if fault.is(&checks::AMBIGUOUS) => ", error=\"invalid_request\"".to_owned(),
        Some(_) => ", error=\"invalid_token\"".to_owned(),
    };
    let mut challenges = Vec::new();
    if !is_sender_constrained {
        let bearer_error = if about_proof { "" } else { error.as_str() };
        challenges.push(format!("Bearer realm=\"{realm}\"{bearer_error}"));
    }
    if is_sender_constrained || about_proof {
        let algorithms = super::dpop::accepted_algorithms();
        challenges.push(format!("DPoP realm=\"{realm}\", algs=\"{algorithms}\"{error}"));
    }
    challenges
}

/// What an identity header says of the caller; `None` when there is nothing to say.
fn identity(who: &Who, value: &IdentityValue) -> Option<String> {
    let principal = &who.principal;
    let list = |words: &[Box<str>]| (!words.is_empty()).then(|| words.join(" "));
    let text = match value {
        IdentityValue::Subject => Some(principal.subject.to_string()),
        IdentityValue::Issuer => Some(principal.authority.to_string()),
        IdentityValue::Application => principal.application.as_deref().map(str::to_owned),
        IdentityValue::Scopes => list(&principal.scopes),
        IdentityValue::Roles => list(&principal.roles),
        IdentityValue::Claim(name) => match principal.claim(name)? {
            ClaimValue::Text(text) => Some(text.to_string()),
            ClaimValue::Number(number) => Some(number.to_string()),
            ClaimValue::Boolean(boolean) => Some(boolean.to_string()),
            ClaimValue::List(items) => list(items),
            ClaimValue::Numbers(items) => {
                let words: Vec<String> = items.iter().map(i64::to_string).collect();
                (!words.is_empty()).then(|| words.join(" "))
            }
        },
    }?;
    Some(field_value(&text))
}

/// Whether more than one field of this name came; the upstream may read the other one.
pub(crate) fn is_twice(ctx: &HeadContext<'_>, name: &str) -> bool {
    ctx.head.headers.iter().filter(|field| is_same_field(field.name, name.as_bytes())).count() > 1
}
