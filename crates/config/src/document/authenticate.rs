//! What people write in a policy that says who may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, duration_bounds};
use crate::defaults;

/// Who may call: the methods are asked in the order written, and the first whose credential the request carries
/// decides. A request without a valid credential is answered 401, one that lacks a scope 403.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// How callers prove who they are; at least one.
    #[schemars(length(min = 1))]
    pub methods: Vec<AuthenticationMethod>,
    /// Let requests without any credential through, as nobody. A credential that is there must still be valid.
    #[serde(default)]
    pub anonymous: bool,
    /// Scopes that the caller must have, all of them.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = defaults::SCOPE_CHARS_MAX)), example = vec!["orders:read"])]
    pub required_scopes: Vec<String>,
    /// Take the credential out of the request before it goes to the upstream. Without it, API keys, passwords and DPoP
    /// proofs are taken out, and tokens are passed on.
    pub strip: Option<bool>,
    /// Header fields that tell the upstream who calls. What a client sends under these names is always removed.
    #[serde(default)]
    pub identity_headers: Vec<IdentityHeader>,
    /// How events name the caller.
    #[serde(default)]
    pub subject: SubjectForm,
    /// Name of the protected space in challenges (RFC 9110 §11.5).
    #[serde(default = "realm")]
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX))]
    pub realm: String,
}

/// One way to prove who calls: exactly one of these.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthenticationMethod {
    /// A signed JSON Web Token of one issuer (RFC 7519, checked as RFC 8725 has it).
    pub jwt: Option<Jwt>,
    /// An API key of this installation.
    pub api_key: Option<ApiKey>,
    /// User name and password (RFC 7617).
    pub basic: Option<Basic>,
    /// A client certificate.
    pub mtls: Option<Mtls>,
    /// A token that the authorization server is asked about (RFC 7662).
    pub introspection: Option<Introspection>,
    /// A signed message (RFC 9421).
    pub signature: Option<Signature>,
    /// Whatever a service of yours looks at.
    pub external: Option<External>,
}

/// Tokens of one issuer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The issuer, exactly as it stands in the claim `iss`.
    #[schemars(length(min = 1, max = defaults::URL_CHARS_MAX), example = &"https://login.example")]
    pub issuer: String,
    /// Who the tokens are for: one of these must stand in the claim `aud`.
    #[schemars(length(min = 1), inner(length(min = 1, max = defaults::URL_CHARS_MAX)), example = vec!["https://api.example"])]
    pub audiences: Vec<String>,
    /// File with the issuer's keys, a JSON Web Key Set (RFC 7517); relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"keys/login.jwks")]
    pub jwks_file: Option<String>,
    /// Where the issuer publishes its keys. Instead of `jwks_file`.
    #[schemars(length(min = 1, max = defaults::URL_CHARS_MAX), extend("title" = "URL"), example = &"https://login.example/keys")]
    pub jwks_url: Option<String>,
    /// Ask the issuer where its keys are (OpenID Connect Discovery). Instead of `jwks_file`.
    #[serde(default)]
    pub discovery: bool,
    /// Signature algorithms that are accepted. HS256, HS384 and HS512 take a `jwks_file` with secrets.
    #[serde(default = "algorithms")]
    #[schemars(length(min = 1))]
    pub algorithms: Vec<JwtAlgorithm>,
    /// Types that are accepted (header `typ`), such as `at+jwt` (RFC 9068). Without it, `JWT`, `at+jwt` and none.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = defaults::NAME_CHARS_MAX)), example = vec!["at+jwt"])]
    pub types: Vec<String>,
    /// How far clocks may differ.
    #[serde(default = "leeway")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::LEEWAY)))]
    pub leeway: Duration,
    /// How old keys from a URL may become while they cannot be fetched again; then every token is refused.
    #[serde(default = "keys_age_max")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::KEYS_AGE)))]
    pub keys_age_max: Duration,
    /// Further claims that a token must have.
    #[serde(default)]
    pub claims: Vec<ClaimRule>,
    /// Claim with the subject. A name that is no claim is a path: `realm_access.roles`.
    #[serde(default = "subject_claim")]
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub subject_claim: String,
    /// Claim with the application.
    #[serde(default = "application_claim")]
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub application_claim: String,
    /// Claim with the scopes: words between spaces, or a list.
    #[serde(default = "scopes_claim")]
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub scopes_claim: String,
    /// Claim with the roles: words between spaces, or a list.
    #[serde(default = "roles_claim")]
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub roles_claim: String,
    /// Accept only tokens that are bound to a key (RFC 9449) or a client certificate (RFC 8705). A bound token must
    /// always be proved, also without this.
    #[serde(default)]
    pub sender_constrained: bool,
    /// Origins by which clients know this API, for the `htu` of DPoP proofs. Without it, scheme and host of the
    /// request as it arrived here.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = defaults::URL_CHARS_MAX)), example = vec!["https://api.example"])]
    pub origins: Vec<String>,
    /// How old a DPoP proof may be.
    #[serde(default = "proof_age_max")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::PROOF_AGE)))]
    pub proof_age_max: Duration,
    /// Demand a nonce of ours in DPoP proofs (RFC 9449 §9): a client is given one with the first 401 (`use_dpop_nonce`),
    /// and a new one before it gets old, every two to four minutes.
    #[serde(default)]
    pub proof_nonce: bool,
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum JwtAlgorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// RSA PSS with SHA-384.
    Ps384,
    /// RSA PSS with SHA-512.
    Ps512,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// Ed25519, by either of its names: `EdDSA` and `Ed25519` (RFC 9864).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256: who can check tokens can forge them.
    Hs256,
    /// HMAC with SHA-384: who can check tokens can forge them.
    Hs384,
    /// HMAC with SHA-512: who can check tokens can forge them.
    Hs512,
}

/// A claim that must be there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRule {
    /// Name of the claim, or a path.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"tenant")]
    pub name: String,
    /// Values of which it must have one, or of which a list must hold one. Without any, it must only be there.
    #[serde(default)]
    #[schemars(inner(length(max = defaults::MEMBER_NAME_CHARS_MAX)), example = vec!["acme"])]
    pub values: Vec<String>,
}

/// API keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// Header field that carries the key.
    #[schemars(length(min = 1))]
    pub header: String,
    /// Query parameter that may carry it too. Keys in URLs end in logs, histories and referrers.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"api_key")]
    pub query: Option<String>,
}

/// Users with passwords.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The users; at least one.
    #[schemars(length(min = 1))]
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name, unique within the method; without `:`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"metrics")]
    pub name: String,
    /// The password's argon2id hash as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
    #[schemars(length(min = 1, max = 256))]
    pub password_hash: String,
    /// Scopes that the user has.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Roles that the user has.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Rules over the client's certificate. Each list that is written must be met by one of its items; without any, every
/// certificate that the listener's authorities vouch for will do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mtls {
    /// Subjects, whole, in the order of the certificate: `C=DE, O=Example, CN=orders`. Within a value, `\` stands
    /// before `,`, `+` and `=`.
    #[schemars(example = vec!["O=Example, CN=orders"])]
    pub subjects: Vec<String>,
    /// DNS names; `*.example.com` stands for one label below `example.com`.
    #[schemars(example = vec!["orders.internal.example"])]
    pub dns_names: Vec<String>,
    /// URIs, whole.
    pub uris: Vec<String>,
    /// E-mail addresses, whole.
    pub emails: Vec<String>,
    /// SPIFFE ids; `*` stands for one segment of the path, a final `**` for any rest.
    #[schemars(example = vec!["spiffe://example.org/ns/*/sa/orders"])]
    pub spiffe_ids: Vec<String>,
    /// SHA-256 of the certificate (DER, 64 hexadecimal digits) that signed the client's.
    pub issuers: Vec<String>,
    /// Scopes that such a client has.
    pub scopes: Vec<String>,
}

/// Tokens that the authorization server is asked about.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// The introspection endpoint.
    #[schemars(length(min = 1, max = defaults::URL_CHARS_MAX), extend("title" = "URL"), example = &"https://login.example/introspect")]
    pub url: String,
    /// Name by which this gateway is known there.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"bartizan")]
    pub client_id: String,
    /// File with its secret; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"keys/introspection.secret")]
    pub client_secret_file: String,
    /// Who the tokens are for: one of these must stand in `aud`. Without any, `aud` is not looked at.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = defaults::URL_CHARS_MAX)))]
    pub audiences: Vec<String>,
    /// How long an answer is believed, and so how long a revoked token lives on.
    #[serde(default = "introspection_age_max")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::INTROSPECTION_AGE)))]
    pub age_max: Duration,
    /// Accept only tokens that are bound to a key (RFC 9449) or a client certificate (RFC 8705).
    #[serde(default)]
    pub sender_constrained: bool,
    /// Demand a nonce of ours in DPoP proofs (RFC 9449 §9).
    #[serde(default)]
    pub proof_nonce: bool,
}

/// A service of yours that is asked about each request, with a `POST` of JSON: whether it may pass, and as whose.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Where it is.
    #[schemars(length(min = 1, max = defaults::URL_CHARS_MAX), extend("title" = "URL"), example = &"https://authorizer.internal/check")]
    pub url: String,
    /// Fields of the request that it is told, beside method, host, path, query and the client's address and certificate.
    #[serde(default = "external_headers")]
    #[schemars(length(max = defaults::EXTERNAL_HEADERS_MAX), inner(length(min = 1)))]
    pub headers: Vec<String>,
    /// How long its answer may take; a request waits for it.
    #[serde(default = "external_timeout")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::EXTERNAL_TIMEOUT)))]
    pub timeout: Duration,
    /// Let requests pass, as nobody's, when it does not answer or its answer cannot be read; an event's finding tells of
    /// each. Without it they are answered 503.
    #[serde(default)]
    pub fail_open: bool,
    /// How long an answer to the same question is believed; `0s` asks every time. An answer may ask for less.
    #[serde(default = "external_age_max")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::EXTERNAL_AGE)))]
    pub age_max: Duration,
}

/// Messages signed with keys that are known here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// File with the keys, a JSON Web Key Set (RFC 7517); relative to this document's folder. A signature's `keyid` is
    /// the `kid` of its key; the key's kind says the algorithm: `ed25519`, `ecdsa-p256-sha256`, `rsa-pss-sha512`, or
    /// `hmac-sha256` when the set holds secrets.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"keys/partners.jwks")]
    pub jwks_file: String,
    /// Components that a signature must cover. A request with a body must cover `content-digest` too.
    #[serde(default = "components")]
    #[schemars(length(min = 1))]
    pub components: Vec<String>,
    /// How long after its creation a signature is accepted.
    #[serde(default = "signature_age_max")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::SIGNATURE_AGE)))]
    pub age_max: Duration,
    /// Scopes that a signer has.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// A header field that tells the upstream who calls: its name, and exactly one of `value` and `claim`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityHeader {
    /// Name of the field.
    #[schemars(length(min = 1), example = &"x-user")]
    pub name: String,
    /// What it holds.
    pub value: Option<IdentityValue>,
    /// Claim that it holds.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"tenant")]
    pub claim: Option<String>,
}

/// What a header field tells of the caller.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityValue {
    /// Who it is.
    Subject,
    /// Who vouches for it.
    Issuer,
    /// The OAuth client, or the owner of the key.
    Application,
    /// Its scopes, between spaces.
    Scopes,
    /// Its roles, between spaces.
    Roles,
}

/// How events name a caller.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectForm {
    /// By a keyed hash: the same for the same caller, meaningless elsewhere.
    #[default]
    Hashed,
    /// By the subject itself.
    Plain,
}

impl Default for ApiKey {
    fn default() -> Self {
        Self { header: defaults::API_KEY_HEADER.to_owned(), query: None }
    }
}

fn realm() -> String {
    defaults::REALM.to_owned()
}

fn algorithms() -> Vec<JwtAlgorithm> {
    use JwtAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, EdDsa]
}

fn leeway() -> Duration {
    Duration::default_of(defaults::LEEWAY)
}

fn keys_age_max() -> Duration {
    Duration::default_of(defaults::KEYS_AGE)
}

fn proof_age_max() -> Duration {
    Duration::default_of(defaults::PROOF_AGE)
}

fn introspection_age_max() -> Duration {
    Duration::default_of(defaults::INTROSPECTION_AGE)
}

fn external_headers() -> Vec<String> {
    vec!["authorization".to_owned()]
}

fn external_timeout() -> Duration {
    Duration::default_of(defaults::EXTERNAL_TIMEOUT)
}

fn external_age_max() -> Duration {
    Duration::default_of(defaults::EXTERNAL_AGE)
}

fn signature_age_max() -> Duration {
    Duration::default_of(defaults::SIGNATURE_AGE)
}

fn subject_claim() -> String {
    "sub".to_owned()
}

fn application_claim() -> String {
    "client_id".to_owned()
}

fn scopes_claim() -> String {
    "scope".to_owned()
}

fn roles_claim() -> String {
    "roles".to_owned()
}

fn components() -> Vec<String> {
    ["@method", "@target-uri"].map(str::to_owned).to_vec()
}
