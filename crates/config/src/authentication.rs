//! What an `authenticate` policy means: validated methods of authentication, for the engine to compile.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use bartizan_model::Mode;

use crate::config::{Config, PolicyRule};

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate {
    /// In the order they are asked; at least one
    pub methods: Vec<AuthenticationMethod>,
    /// A request without any credential passes
    pub anonymous: bool,
    /// Scopes that the caller must have, all of them
    pub required_scopes: Vec<String>,
    /// Whether credentials are kept from the upstream; `None` = keys, passwords and proofs are, tokens are not
    pub strip: Option<bool>,
    /// What the upstream is told
    pub identity_headers: Vec<IdentityHeader>,
    /// Events name the subject as it is
    pub is_subject_plain: bool,
    /// Name of the protected space: printable ASCII without `"` and `\`
    pub realm: String,
}

/// One way to prove who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// JSON Web Tokens of one issuer
    Jwt(Box<JwtMethod>),
    /// API keys of this installation
    ApiKey(ApiKeyMethod),
    /// User name and password
    Basic(BasicMethod),
    /// Client certificates
    Mtls(Box<MtlsMethod>),
    /// Tokens that the authorization server is asked about
    Introspection(Box<IntrospectionMethod>),
    /// Signed messages
    Signature(SignatureMethod),
    /// Whatever a service of the operator's looks at
    External(ExternalMethod),
}

/// JSON Web Tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtMethod {
    /// Claim `iss`, exactly
    pub issuer: String,
    /// Claim `aud` must hold one of these; at least one
    pub audiences: Vec<String>,
    /// Where the keys are
    pub keys: KeySource,
    /// Accepted algorithms; at least one
    pub algorithms: Vec<JwtAlgorithm>,
    /// Accepted types, lower case, without `application/`; empty = `jwt`, `at+jwt` and none
    pub types: Vec<String>,
    /// How far clocks may differ, in seconds
    pub leeway_secs: u32,
    /// How old keys from a URL may become, in seconds
    pub keys_age_max_secs: u32,
    /// Claims that must be there
    pub claims: Vec<ClaimRule>,
    /// Claim with the subject
    pub subject_claim: String,
    /// Claim with the application
    pub application_claim: String,
    /// Claim with the scopes
    pub scopes_claim: String,
    /// Claim with the roles
    pub roles_claim: String,
    /// Tokens must be bound to a key or a certificate
    pub sender_constrained: bool,
    /// Origins by which clients know this API, without a final `/`; empty = as the request arrived
    pub origins: Vec<String>,
    /// How old a DPoP proof may be, in seconds
    pub proof_age_max_secs: u32,
    /// DPoP proofs need a nonce of ours
    pub proof_nonce: bool,
}

/// Where an issuer's keys are. Only what the configuration names is ever fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeySource {
    /// A JSON Web Key Set in a file
    File(PathBuf),
    /// A JSON Web Key Set behind a URL
    Url(String),
    /// The `jwks_uri` of this issuer's metadata
    Discovery(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Url(url) => f.write_str(url),
            Self::Discovery(issuer) => write!(f, "{issuer} (discovery)"),
        }
    }
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    /// RSA PKCS #1 v1.5 with SHA-256
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512
    Rs512,
    /// RSA PSS with SHA-256
    Ps256,
    /// RSA PSS with SHA-384
    Ps384,
    /// RSA PSS with SHA-512
    Ps512,
    /// ECDSA over P-256 with SHA-256
    Es256,
    /// ECDSA over P-384 with SHA-384
    Es384,
    /// Ed25519
    EdDsa,
    /// HMAC with SHA-256
    Hs256,
    /// HMAC with SHA-384
    Hs384,
    /// HMAC with SHA-512
    Hs512,
}

impl JwtAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 12] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The name in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Whether who can check can also sign.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A claim that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// Name, or path
    pub name: String,
    /// One of these; empty = any value
    pub values: Vec<String>,
}

/// Where API keys stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyMethod {
    /// Header field, lower case
    pub header: String,
    /// Query parameter, where that is allowed
    pub query: Option<String>,
}

/// User name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicMethod {
    /// At least one
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique within the method
    pub name: String,
    /// argon2id, a PHC string
    pub password_hash: String,
    /// What the user may do
    pub scopes: Vec<String>,
    /// What the user is
    pub roles: Vec<String>,
}

/// Rules over the client's certificate; an empty list demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MtlsMethod {
    /// Whole subjects
    pub subjects: Vec<String>,
    /// DNS names, lower case, also `*.example.com`
    pub dns_names: Vec<String>,
    /// Whole URIs
    pub uris: Vec<String>,
    /// Whole e-mail addresses
    pub emails: Vec<String>,
    /// SPIFFE ids with `*` and a final `**`
    pub spiffe_ids: Vec<String>,
    /// SHA-256 of the issuer's certificate
    pub issuers: Vec<[u8; 32]>,
    /// What such a client may do
    pub scopes: Vec<String>,
}

/// Tokens that the authorization server is asked about (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IntrospectionMethod {
    /// The endpoint
    pub url: String,
    /// Our name there
    pub client_id: String,
    /// File with our secret there
    pub client_secret_file: PathBuf,
    /// `aud` must hold one of these; empty = not looked at
    pub audiences: Vec<String>,
    /// How long an answer is believed, in seconds
    pub age_max_secs: u32,
    /// Tokens must be bound to a key or a certificate
    pub sender_constrained: bool,
    /// DPoP proofs need a nonce of ours
    pub proof_nonce: bool,
}

/// A service that is asked about each request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalMethod {
    /// Where it is
    pub url: String,
    /// Fields of the request that it is told, lower case
    pub headers: Vec<String>,
    /// How long its answer may take, in milliseconds
    pub timeout_ms: u64,
    /// A request passes, as nobody's, when it does not answer
    pub fail_open: bool,
    /// How long an answer is believed, in seconds; 0 = not at all
    pub age_max_secs: u32,
}

/// Signed messages (RFC 9421).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureMethod {
    /// Where the keys are: always a file
    pub keys: KeySource,
    /// Components that a signature must cover, lower case; at least one
    pub components: Vec<String>,
    /// How long after its creation a signature is accepted, in seconds
    pub age_max_secs: u32,
    /// What a signer may do
    pub scopes: Vec<String>,
}

/// A header field that tells the upstream who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// Lower case
    pub name: String,
    /// What it holds
    pub value: IdentityValue,
}

/// What a header field tells of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityValue {
    /// Who it is
    Subject,
    /// Who vouches for it
    Issuer,
    /// The OAuth client, or the owner of the key
    Application,
    /// Its scopes, between spaces
    Scopes,
    /// Its roles, between spaces
    Roles,
    /// One of its claims
    Claim(String),
}

impl AuthenticationMethod {
    /// The word for it in documents and the console.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Jwt(_) => "jwt",
            Self::ApiKey(_) => "api_key",
            Self::Basic(_) => "basic",
            Self::Mtls(_) => "mtls",
            Self::Introspection(_) => "introspection",
            Self::Signature(_) => "signature",
            Self::External(_) => "external",
        }
    }
}

impl Authenticate {
    /// Where keys are needed from; the same source may come more than once.
    pub fn key_sources(&self) -> impl Iterator<Item = &KeySource> {
        self.methods.iter().filter_map(|method| match method {
            AuthenticationMethod::Jwt(jwt) => Some(&jwt.keys),
            AuthenticationMethod::Signature(signature) => Some(&signature.keys),
            AuthenticationMethod::ApiKey(_)
            | AuthenticationMethod::Basic(_)
            | AuthenticationMethod::Mtls(_)
            | AuthenticationMethod::Introspection(_)
            | AuthenticationMethod::External(_) => None,
        })
    }
}

impl Config {
    /// Every source of keys that a policy needs, unless the policy is off: the host reads the files, fetches the rest, and
    /// publishes both.
    pub fn key_sources(&self) -> BTreeSet<&KeySource> {
        let running = self.policies.iter().filter(|policy| policy.mode != Mode::Off);
        let sources = running.flat_map(|policy| match &policy.rule {
            PolicyRule::Authenticate(authenticate) => authenticate.key_sources().collect::<Vec<_>>(),
            PolicyRule::Methods { .. }
            | PolicyRule::Addresses { .. }
            | PolicyRule::Networks(_)
            | PolicyRule::Cors(_)
            | PolicyRule::Csrf(_)
            | PolicyRule::ResponseHeaders(_)
            | PolicyRule::Cache(_)
            | PolicyRule::Ssrf(_)
            | PolicyRule::Limits { .. }
            | PolicyRule::Threats(_)
            | PolicyRule::Content(_)
            | PolicyRule::Rate(_)
            | PolicyRule::Continuity(_)
            | PolicyRule::Authorize(_) => Vec::new(),
        });
        sources.collect()
    }
}
