//! Whom a count is for: a 128-bit keyed hash of what the policy names, so that no value of a request is kept.
//!
//! SipHash-1-3 with a 128-bit output, under a key derived from the installation's: nobody outside can make two clients
//! share a count, or find one by its fingerprint. A member that a request does not show (no credential, no such header)
//! is replaced by the client's network: leaving it out opens no count that strangers share.

use std::borrow::Cow;
use std::hash::Hasher;
use std::net::IpAddr;

use bartizan_config::RateKey;
use bartizan_model::{ActorKind, ClaimValue, Principal, Secret, Source};
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

use crate::counters::Fingerprint;
use crate::credential::{Credentials, Holder};
use crate::parameters;
use crate::stage::access::api_key::AUTHORITY;
use crate::stage::{Facts, HeadContext};

/// Makes fingerprints.
#[derive(Clone, Copy)]
pub(crate) enum Fingerprinter {
    /// Of one installation
    Own { keys: [u64; 2] },
    /// Of gateways that share counts: what leaves the process is hashed so that who has the key still reads nothing
    Shared { key: [u8; 32] },
}

impl std::fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprinter")
    }
}

impl Fingerprinter {
    pub(crate) fn new(installation: &Secret<[u8; 32]>) -> Self {
        let key = blake3::derive_key("bartizan 2026-11 keys of rate limits", installation.expose());
        let half = |at: usize| key.iter().skip(at).take(8).fold(0, |half, byte| half << 8 | u64::from(*byte));
        Self::Own { keys: [half(0), half(8)] }
    }

    /// The same at every gateway with this key.
    pub(crate) fn shared(key: &Secret<[u8; 32]>) -> Self {
        Self::Shared { key: blake3::derive_key("bartizan 2026-11 keys of shared rate limits", key.expose()) }
    }

    /// Whether every gateway makes the same fingerprints.
    const fn is_shared(self) -> bool {
        matches!(self, Self::Shared { .. })
    }

    /// Begins the fingerprint of a key.
    pub(crate) fn begin(self) -> Material {
        match self {
            Self::Own { keys: [first, second] } => Material::Own(SipHasher13::new_with_keys(first, second)),
            Self::Shared { key } => Material::Shared { key, bytes: Vec::new() },
        }
    }
}

/// What a fingerprint is made of, piece by piece.
pub(crate) enum Material {
    Own(SipHasher13),
    /// LIMIT: as many bytes as a head has
    Shared {
        key: [u8; 32],
        bytes: Vec<u8>,
    },
}

impl Material {
    /// Adds a piece; `tag` says what it is. Pieces are told apart by tag and length.
    pub(crate) fn piece(&mut self, tag: u8, bytes: &[u8]) {
        let head = (bytes.len() as u64) << 8 | u64::from(tag);
        match self {
            Self::Own(hasher) => {
                hasher.write_u64(head);
                hasher.write(bytes);
            }
            Self::Shared { bytes: all, .. } => {
                all.extend_from_slice(&head.to_be_bytes());
                all.extend_from_slice(bytes);
            }
        }
    }

    /// Adds a client's network: an IPv4 address, or the /64 of an IPv6 one, which is what one customer gets.
    pub(crate) fn network(&mut self, tag: u8, address: Option<IpAddr>) {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => self.piece(tag, &address.octets()),
            Some(IpAddr::V6(address)) => self.piece(tag, &((address.to_bits() >> 64) as u64).to_be_bytes()),
            None => self.piece(tag, b""),
        }
    }

    pub(crate) fn finish(self) -> Fingerprint {
        match self {
            Self::Own(hasher) => Fingerprint::new(hasher.finish128().into()),
            Self::Shared { key, bytes } => {
                let hash = blake3::keyed_hash(&key, &bytes);
                Fingerprint::new(u128::from_be_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default()))
            }
        }
    }
}

/// Tags of pieces.
mod tag {
    pub(super) const NETWORK: u8 = 1;
    pub(super) const PRINCIPAL: u8 = 2;
    pub(super) const API_KEY: u8 = 3;
    pub(super) const HEADER: u8 = 4;
    pub(super) const COOKIE: u8 = 5;
    pub(super) const QUERY: u8 = 6;
    pub(super) const ENDPOINT: u8 = 7;
    pub(super) const API: u8 = 8;
    pub(super) const COUNTRY: u8 = 9;
    pub(super) const ASN: u8 = 10;
    /// Apart from keys that are only shown: ids are no secrets, and nobody shall use up another's count
    pub(super) const API_KEY_ID: u8 = 11;
    pub(super) const APPLICATION: u8 = 12;
    pub(super) const PLAN: u8 = 13;
    pub(super) const CLAIM: u8 = 14;
    pub(super) const NUMBER: u8 = 15;
    pub(super) const FINGERPRINT: u8 = 16;
}

/// The key of a policy, compiled.
#[derive(Debug)]
pub(crate) struct Key {
    parts: Box<[RateKey]>,
    fingerprinter: Fingerprinter,
}

impl Key {
    pub(crate) fn new(parts: &[RateKey], fingerprinter: Fingerprinter) -> Self {
        Self { parts: parts.into(), fingerprinter }
    }

    /// The key of a request; `None` when a recording does not say enough to tell its sender from others.
    pub(crate) fn fingerprint(&self, ctx: &HeadContext<'_>) -> Option<Fingerprint> {
        let address = ctx.facts.client.ip;
        let mut material = self.fingerprinter.begin();
        for part in &self.parts {
            let is_shown = add(part, ctx, &mut material, self.fingerprinter.is_shared());
            if !is_shown {
                if address.is_none() && ctx.source != Source::Gateway {
                    return None;
                }
                material.network(tag::NETWORK, address);
            }
        }
        Some(material.finish())
    }
}

/// Adds what `part` names; `false` when the request does not show it.
fn add(part: &RateKey, ctx: &HeadContext<'_>, material: &mut Material, is_shared: bool) -> bool {
    match part {
        RateKey::Global => true,
        RateKey::Address => false,
        RateKey::Principal if is_shared && ctx.facts.caller().is_some() => {
            // The actor's id is this installation's; other gateways know the subject by its name.
            let principal = ctx.facts.caller().map(|who| &who.principal);
            let names = principal.map(|who| [who.authority.as_bytes(), who.subject.as_bytes()]).unwrap_or_default();
            names.iter().for_each(|name| material.piece(tag::PRINCIPAL, name));
            true
        }
        RateKey::Principal => match principal(ctx.facts, ctx.credentials) {
            Some(principal) => {
                material.piece(tag::PRINCIPAL, principal.domain);
                material.piece(tag::PRINCIPAL, &principal.name);
                true
            }
            None => false,
        },
        RateKey::ApiKey => api_key(ctx).is_some_and(|(tag, key)| shown(material, tag, key)),
        RateKey::Header(name) => {
            let fields = ctx.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
            pieces(material, tag::HEADER, fields.map(|field| field.value))
        }
        RateKey::Cookie(name) => {
            let fields = ctx.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie"));
            let pairs = fields.flat_map(|field| parameters::cookie_pairs(field.value));
            let named = pairs.filter(|(pair, _)| *pair == name.as_bytes());
            pieces(material, tag::COOKIE, named.map(|(_, value)| value))
        }
        RateKey::Query(name) => {
            let pairs = ctx.head.query().into_iter().flat_map(parameters::query_pairs);
            let named = pairs.filter(|(pair, _)| parameters::decode(pair).eq_ignore_ascii_case(name.as_bytes()));
            pieces(material, tag::QUERY, named.map(|(_, value)| parameters::decode(value)))
        }
        RateKey::Endpoint => {
            match &ctx.facts.endpoint {
                Some(endpoint) => material.piece(tag::ENDPOINT, &endpoint.id.as_u64().to_be_bytes()),
                // Not learned yet: method and API, not the path, which anybody can vary.
                None => {
                    material.piece(tag::ENDPOINT, ctx.head.method);
                    material.piece(tag::API, api(ctx.facts));
                }
            }
            true
        }
        RateKey::Country => ctx.address_facts().country.is_some_and(|country| shown(material, tag::COUNTRY, &country)),
        RateKey::Asn => ctx.address_facts().asn.is_some_and(|asn| shown(material, tag::ASN, &asn.to_be_bytes())),
        RateKey::Api => shown(material, tag::API, api(ctx.facts)),
        RateKey::Application => application(ctx.facts)
            .is_some_and(|names| pieces(material, tag::APPLICATION, names.iter().map(|name| name.as_bytes()))),
        RateKey::Plan => {
            let plan = ctx.facts.metered.as_ref().and_then(|metered| metered.key.plan());
            plan.is_some_and(|plan| shown(material, tag::PLAN, plan.as_bytes()))
        }
        RateKey::Claim(name) => ctx.facts.caller().is_some_and(|who| claim(&who.principal, name, material)),
        RateKey::Fingerprint => {
            look(ctx, material);
            true
        }
    }
}

/// The application that the caller's credential was given to, and who vouches for it.
fn application(facts: &Facts) -> Option<[&str; 2]> {
    match &facts.metered {
        Some(metered) => Some([AUTHORITY, metered.key.application()]),
        None => facts.caller().and_then(|who| Some([&*who.principal.authority, who.principal.application.as_deref()?])),
    }
}

/// Adds a claim, and who vouches for it; `false` when the caller has none of this name, or one that says nothing.
fn claim(principal: &Principal, name: &str, material: &mut Material) -> bool {
    let Some(value) = principal.claim(name) else { return false };
    let mut words: SmallVec<[(u8, Cow<'_, [u8]>); 4]> = SmallVec::new();
    let number = |number: &i64| (tag::NUMBER, Cow::Owned(number.to_be_bytes().to_vec()));
    match value {
        ClaimValue::Text(one) => words.push((tag::CLAIM, Cow::Borrowed(one.as_bytes()))),
        ClaimValue::Number(one) => words.push(number(one)),
        ClaimValue::Boolean(one) => words.push((tag::NUMBER, Cow::Owned(vec![u8::from(*one)]))),
        ClaimValue::List(all) => words.extend(all.iter().map(|one| (tag::CLAIM, Cow::Borrowed(one.as_bytes())))),
        ClaimValue::Numbers(all) => words.extend(all.iter().map(number)),
    }
    if words.iter().all(|(_, bytes)| bytes.is_empty()) {
        return false;
    }
    material.piece(tag::CLAIM, principal.authority.as_bytes());
    words.iter().for_each(|(tag, bytes)| material.piece(*tag, bytes));
    true
}

/// Fields that a program sends alike with each request, whatever it asks for.
const ALIKE: [&[u8]; 6] =
    [b"user-agent", b"accept-encoding", b"accept-language", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform"];

/// Adds what the client's software looks like: versions, and those fields in their order. It is always shown: that a field
/// is missing is a look, too.
fn look(ctx: &HeadContext<'_>, material: &mut Material) {
    material.piece(tag::FINGERPRINT, ctx.facts.client.tls_version.as_deref().unwrap_or_default().as_bytes());
    material.piece(tag::FINGERPRINT, ctx.head.version.as_str().as_bytes());
    for field in ctx.head.headers {
        if let Some(name) = ALIKE.iter().find(|name| field.name.eq_ignore_ascii_case(name)) {
            material.piece(tag::FINGERPRINT, name);
            material.piece(tag::FINGERPRINT, field.value);
        }
    }
}

/// As whom a request acts, for counting: whom an authenticator verified, else what the request shows.
fn principal<'a>(facts: &'a Facts, credentials: &'a Credentials<'a>) -> Option<Holder<'a>> {
    match facts.caller() {
        Some(who) => {
            Some(Holder { kind: ActorKind::Principal, domain: b"principal", name: Cow::Borrowed(who.actor.as_bytes()) })
        }
        None => credentials.holder(),
    }
}

/// The API key that let the request in. What only looks like one counts where nobody is verified: beside a caller who is,
/// it could be another with each request.
fn api_key<'a>(ctx: &'a HeadContext<'_>) -> Option<(u8, &'a [u8])> {
    match (&ctx.facts.metered, ctx.facts.caller()) {
        (Some(metered), _) => Some((tag::API_KEY_ID, metered.key.id().as_bytes())),
        (None, Some(_)) => None,
        (None, None) => ctx.credentials.key_header.or(ctx.credentials.query_key).map(|key| (tag::API_KEY, key)),
    }
}

fn api(facts: &Facts) -> &[u8] {
    facts.route.as_ref().map_or(b"", |route| route.api.as_bytes())
}

/// Adds one piece, which the request shows.
fn shown(material: &mut Material, tag: u8, bytes: &[u8]) -> bool {
    material.piece(tag, bytes);
    true
}

/// Every value counts: which of several an upstream takes is not known, and each choice of values is a key of its own.
fn pieces<V: AsRef<[u8]>>(material: &mut Material, tag: u8, values: impl Iterator<Item = V>) -> bool {
    let mut is_shown = false;
    for value in values {
        material.piece(tag, value.as_ref());
        is_shown = true;
    }
    is_shown
}
