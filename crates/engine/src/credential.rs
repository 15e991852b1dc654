//! Which credentials a request shows, and the actor they make: seen, not verified.
//!
//! The actor's id is a keyed BLAKE3 hash: stable within one installation, useless outside of it, and the credential
//! cannot be read back. What names the holder is hashed, not what changes with each request: Basic's user
//! (RFC 7617 §2), Digest's username (RFC 7616 §3.4), a token or key as a whole.

use std::borrow::Cow;
use std::net::IpAddr;

use bartizan_model::{Actor, ActorKind, AuthKind, AuthKinds, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::address::network_of;
use crate::fields::Fields;
use crate::parameters::Parameters;

/// LIMIT: longest Basic credential that is decoded; a longer one is hashed as it stands.
const BASIC_BYTES_MAX: usize = 1024;

/// Hexadecimal digits of an actor's id: 128 bits.
const ACTOR_DIGITS: usize = 32;

/// The credentials of one request, borrowed from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credentials<'a> {
    /// From `Authorization`: its kind, and the part of it that names the holder
    pub(crate) authorization: Option<(AuthKind, &'a [u8])>,
    pub(crate) key_header: Option<&'a [u8]>,
    pub(crate) query_key: Option<&'a [u8]>,
    pub(crate) session: Option<&'a [u8]>,
    pub(crate) client_certificate: bool,
}

impl<'a> Credentials<'a> {
    /// What a head shows.
    pub(crate) fn read(fields: &Fields<'a>, parameters: &Parameters<'a>, client_certificate: bool) -> Self {
        Self {
            authorization: fields.authorization.map(authorization),
            key_header: fields.key,
            query_key: parameters.query_key,
            session: parameters.session,
            client_certificate,
        }
    }

    /// The kinds that were seen.
    pub(crate) fn kinds(&self) -> AuthKinds {
        [
            self.authorization.map(|(kind, _)| kind),
            self.key_header.map(|_| AuthKind::KeyHeader),
            self.query_key.map(|_| AuthKind::KeyQuery),
            self.session.map(|_| AuthKind::SessionCookie),
            self.client_certificate.then_some(AuthKind::ClientCertificate),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whom the request is charged to: the strongest credential, else the session, else the network.
    pub(crate) fn actor(&self, address: Option<IpAddr>, key: &Secret<[u8; 32]>) -> Actor {
        match self.holder() {
            Some(holder) => hashed(key, holder.kind, holder.domain, &holder.name),
            None => network(address),
        }
    }

    /// Who holds the strongest credential, else the session.
    pub(crate) fn holder(&self) -> Option<Holder<'_>> {
        let holder = |kind, domain, name| Some(Holder { kind, domain, name });
        if let Some((kind, name)) = self.authorization {
            let (domain, name): (&[u8], _) = match kind {
                AuthKind::Basic => (b"basic", basic_user(name).map_or(Cow::Borrowed(name), Cow::Owned)),
                AuthKind::Digest => (b"digest", Cow::Borrowed(digest_user(name).unwrap_or(name))),
                _ => (b"token", Cow::Borrowed(name)),
            };
            return holder(ActorKind::Credential, domain, name);
        }
        if let Some(value) = self.key_header.or(self.query_key) {
            return holder(ActorKind::Credential, b"token", Cow::Borrowed(value));
        }
        self.session.and_then(|value| holder(ActorKind::Session, b"session", Cow::Borrowed(value)))
    }
}

/// Who holds a credential: never leaves this crate but as a keyed hash.
pub(crate) struct Holder<'a> {
    pub(crate) kind: ActorKind,
    /// What kind of name it is
    pub(crate) domain: &'static [u8],
    pub(crate) name: Cow<'a, [u8]>,
}

/// The client's network, or nobody.
pub(crate) fn network(address: Option<IpAddr>) -> Actor {
    match address {
        Some(address) => Actor { kind: ActorKind::Network, id: network_of(address) },
        None => Actor { kind: ActorKind::Unknown, id: "".into() },
    }
}

/// The kind of an `Authorization` value and what follows the scheme (RFC 9110 §11.4).
pub(crate) fn authorization(value: &[u8]) -> (AuthKind, &[u8]) {
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(space).unwrap_or((value, b""));
    let rest = rest.trim_ascii();
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    if rest.is_empty() {
        (AuthKind::OtherAuthorization, value)
    } else if is("Bearer") || is("DPoP") {
        (if is_jwt(rest) { AuthKind::Jwt } else { AuthKind::Bearer }, rest)
    } else if is("Basic") {
        (AuthKind::Basic, rest)
    } else if is("Digest") {
        (AuthKind::Digest, rest)
    } else {
        (AuthKind::OtherAuthorization, value)
    }
}

/// Three parts, or five when encrypted, the first a JSON object in base64url (RFC 7519 §3, RFC 7516 §3.1).
fn is_jwt(token: &[u8]) -> bool {
    token.starts_with(b"eyJ") && matches!(memchr::memchr_iter(b'.', token).count(), 2 | 4)
}

fn basic_user(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut user = STANDARD.decode(encoded.get(..).filter(|text| text.len() <= BASIC_BYTES_MAX)?).ok()?;
    let colon = user.iter().position(|&byte| byte == b':')?;
    user.truncate(colon);
    Some(user)
}

fn digest_user(parameters: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(parameters, b"username=\"")?;
    parameters.get(at + b"username=\"".len()..)?.split(|&byte| byte == b'"').next()
}

fn hashed(key: &Secret<[u8; 32]>, kind: ActorKind, domain: &[u8], value: &[u8]) -> Actor {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    hasher.update(domain).update(b"\0").update(value);
    let hex = hasher.finalize().to_hex();
    Actor { kind, id: hex.get(..ACTOR_DIGITS).unwrap_or_default().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Secret<[u8; 32]> = Secret::new([7; 32]);

    fn with(authorization: &str) -> Credentials<'_> {
        Credentials { authorization: Some(super::authorization(authorization.as_bytes())), ..Credentials::default() }
    }

    fn kind(authorization: &str) -> AuthKind {
        with(authorization).kinds().iter().next().unwrap()
    }

    fn id(credentials: Credentials<'_>) -> Actor {
        credentials.actor(Some("192.0.2.7".parse().unwrap()), &KEY)
    }

    #[test]
    fn schemes_are_told_apart_in_any_case() {
        assert_eq!(kind("bearer abc"), AuthKind::Bearer);
        assert_eq!(kind("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), AuthKind::Jwt);
        assert_eq!(kind("Basic YTpi"), AuthKind::Basic);
        assert_eq!(kind("Digest username=\"a\""), AuthKind::Digest);
        assert_eq!(kind("AWS4-HMAC-SHA256 Credential=x"), AuthKind::OtherAuthorization);
        assert_eq!(kind("secret-without-scheme"), AuthKind::OtherAuthorization);
        assert_eq!(kind("Bearer "), AuthKind::OtherAuthorization);
    }

    #[test]
    fn the_actor_is_the_user_whatever_the_password() {
        assert_eq!(id(with("Basic YTpi")), id(with("basic YTpj"))); // a:b, a:c
        assert_ne!(id(with("Basic YTpi")), id(with("Basic Yjpi"))); // b:b
        assert_eq!(id(with("Digest username=\"a\", nc=1")), id(with("Digest nc=2, username=\"a\"")));
        assert_ne!(id(with("Bearer a")), id(with("Bearer b")));
    }

    #[test]
    fn a_key_is_one_actor_wherever_it_travels() {
        let header = Credentials { key_header: Some(b"k1"), ..Credentials::default() };
        let query = Credentials { query_key: Some(b"k1"), ..Credentials::default() };
        assert_eq!(id(header), id(query));
        assert_eq!(id(header).kind, ActorKind::Credential);
    }

    #[test]
    fn the_id_depends_on_the_installation_and_hides_the_value() {
        let other = with("Bearer abc").actor(None, &Secret::new([8; 32]));
        assert_ne!(id(with("Bearer abc")), other);
        assert_eq!(other.id.len(), 32);
    }

    #[test]
    fn without_credentials_the_network_answers() {
        assert_eq!(&*id(Credentials::default()).id, "192.0.2.7");
        assert_eq!(Credentials::default().actor(None, &KEY).kind, ActorKind::Unknown);
        let session = Credentials { session: Some(b"s"), ..Credentials::default() };
        assert_eq!(id(session).kind, ActorKind::Session);
    }
}
