//! As whom a request acts: the verified subject of a credential, with what the credential grants.
//!
//! A [`Principal`] lives for one exchange and is read by policies. An Event keeps the [`EventPrincipal`]: the subject as
//! a keyed hash unless a policy says otherwise, names of scopes and roles, no claims and never a credential. Words from
//! RFC 7519 (subject), RFC 6749 (client, scope), RFC 7800 (confirmation), NIST SP 800-63B (strength).

use serde::{Deserialize, Serialize};

/// What a principal proved itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A signed JSON Web Token (RFC 7519)
    Jwt,
    /// A token that the authorization server vouched for (RFC 7662)
    IntrospectedToken,
    /// An API key of ours
    ApiKey,
    /// User name and password (RFC 7617)
    Basic,
    /// A client certificate (RFC 8446 §4.4.2)
    Certificate,
    /// A signed message (RFC 9421)
    Signature,
    /// Whatever an external authorizer looked at
    External,
}

impl CredentialKind {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::IntrospectedToken => "introspected_token",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Certificate => "certificate",
            Self::Signature => "signature",
            Self::External => "external",
        }
    }
}

/// How much a credential proves, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Whoever knows it is let in: a password, a key
    Shared,
    /// Whoever holds it is let in, for a while: a bearer token
    Bearer,
    /// Only the holder of a private key is let in: DPoP, a certificate, a signature
    ProofOfPossession,
}

impl Strength {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Bearer => "bearer",
            Self::ProofOfPossession => "proof_of_possession",
        }
    }
}

/// The key that the holder of a token must prove (RFC 7800 `cnf`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// SHA-256 thumbprint of a JSON Web Key (RFC 9449 `jkt`, RFC 7638)
    KeyThumbprint([u8; 32]),
    /// SHA-256 of a certificate's DER (RFC 8705 `x5t#S256`)
    CertificateThumbprint([u8; 32]),
}

/// A claim's value, as policies compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string
    Text(Box<str>),
    /// A whole number
    Number(i64),
    /// True or false
    Boolean(bool),
    /// Strings
    List(Vec<Box<str>>),
    /// Whole numbers
    Numbers(Vec<i64>),
}

/// As whom a request acts. Never guessed: every field comes from a verified credential or from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who vouches for the subject: the issuer of a token, `bartizan` for what this installation knows itself
    pub authority: Box<str>,
    /// Who it is, unique within the authority; at most 255 bytes
    pub subject: Box<str>,
    /// The OAuth client or the owner of a key
    pub application: Option<Box<str>>,
    /// Public name of the credential itself, where it has one: an API key's id. Never a part of the secret
    pub credential_id: Option<Box<str>>,
    /// What it may do, at most 128 scopes
    pub scopes: Vec<Box<str>>,
    /// What it is, at most 128 roles
    pub roles: Vec<Box<str>>,
    /// Further claims, at most 32
    pub claims: Vec<(Box<str>, ClaimValue)>,
    /// What it proved itself with
    pub credential: CredentialKind,
    /// How much that proves
    pub strength: Strength,
    /// The key it had to prove; `None` for a credential that is bound to none
    pub confirmation: Option<Confirmation>,
}

impl Principal {
    /// A principal who may do nothing yet.
    pub fn new(authority: &str, subject: &str, credential: CredentialKind, strength: Strength) -> Self {
        Self {
            authority: authority.into(),
            subject: subject.into(),
            application: None,
            credential_id: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: Vec::new(),
            credential,
            strength,
            confirmation: None,
        }
    }

    /// Whether it has the scope `name`; scopes are case-sensitive (RFC 6749 §3.3).
    pub fn has_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| **scope == *name)
    }

    /// The value of a claim.
    pub fn claim(&self, name: &str) -> Option<&ClaimValue> {
        self.claims.iter().find(|(claim, _)| **claim == *name).map(|(_, value)| value)
    }
}

/// What an Event keeps of a principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventPrincipal {
    /// Subject: a keyed hash, or as it is where a policy says `subject: plain`
    pub subject: Box<str>,
    /// The OAuth client or the owner of a key, at most 128 bytes
    pub application: Option<Box<str>>,
    /// Public name of the credential itself, where it has one: an API key's id. Never a part of the secret
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Box<str>>,
    /// Scopes, at most 16 of at most 64 bytes
    pub scopes: Vec<Box<str>>,
    /// Roles, at most 16 of at most 64 bytes
    pub roles: Vec<Box<str>>,
    /// What it proved itself with
    pub credential: CredentialKind,
    /// How much that proves
    pub strength: Strength,
}
