//! Which kinds of credential a request carried. Seen, not verified: verification is access control's work.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// `Authorization: Bearer` with a token that is not a JWT
    Bearer,
    /// `Authorization: Bearer` with a JSON Web Token (RFC 7519)
    Jwt,
    /// `Authorization: Basic` (RFC 7617)
    Basic,
    /// `Authorization: Digest` (RFC 7616)
    Digest,
    /// `Authorization` with a scheme we do not know, or none
    OtherAuthorization,
    /// A key in a header, such as `X-API-Key`
    KeyHeader,
    /// A key in the query string
    KeyQuery,
    /// A cookie that looks like a session
    SessionCookie,
    /// A client certificate
    ClientCertificate,
}

impl AuthKind {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Bearer,
        Self::Jwt,
        Self::Basic,
        Self::Digest,
        Self::OtherAuthorization,
        Self::KeyHeader,
        Self::KeyQuery,
        Self::SessionCookie,
        Self::ClientCertificate,
    ];

    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Basic => "basic",
            Self::Digest => "digest",
            Self::OtherAuthorization => "other_authorization",
            Self::KeyHeader => "key_header",
            Self::KeyQuery => "key_query",
            Self::SessionCookie => "session_cookie",
            Self::ClientCertificate => "client_certificate",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of [`AuthKind`]s; empty means that no credential was seen. In JSON, a list of words.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AuthKinds(u16);

impl AuthKinds {
    /// The empty set: no credential.
    pub const NONE: Self = Self(0);

    /// Adds one kind.
    pub fn insert(&mut self, kind: AuthKind) {
        self.0 |= kind.bit();
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: AuthKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether no credential was seen.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = AuthKind> {
        AuthKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<AuthKind> for AuthKinds {
    fn from_iter<I: IntoIterator<Item = AuthKind>>(kinds: I) -> Self {
        let mut set = Self::NONE;
        kinds.into_iter().for_each(|kind| set.insert(kind));
        set
    }
}

impl fmt::Debug for AuthKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for AuthKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for AuthKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<AuthKind>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_json() {
        let set: AuthKinds = [AuthKind::Jwt, AuthKind::ClientCertificate].into_iter().collect();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["jwt","client_certificate"]"#);
        assert_eq!(serde_json::from_str::<AuthKinds>(&json).unwrap(), set);
    }
}
