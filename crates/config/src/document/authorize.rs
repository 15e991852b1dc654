//! What people write in a policy that says what callers may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authenticate::ClaimRule;
use super::{Size, size_bounds};
use crate::defaults;

/// What callers may do, once `authenticate` knows who they are. Every rule for the operation that a request is must
/// hold, and the Cedar policies must permit it; a request that is refused is answered 403, and 401 when nobody is known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Authorize {
    /// What can be done here: named pairs of methods and a path template. Of two that fit a path, the one with a literal
    /// where the other has a parameter is meant.
    pub operations: Vec<Operation>,
    /// What must hold. A further rule can only forbid more, never less.
    pub rules: Vec<AuthorizationRule>,
    /// What becomes of requests that are no operation, or one without a rule while there are no Cedar policies.
    pub unmatched: Unmatched,
    /// Claim with the caller's groups: a list, or words between spaces.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX))]
    pub groups_claim: String,
    /// Largest body that `body.…` is looked for in, compressed or not; a larger one is refused.
    #[schemars(extend("x-bounds" = size_bounds(defaults::AUTHORIZE_BODY_BYTES)))]
    pub body_bytes_max: Size,
    /// Policies in Cedar, for what rules cannot say.
    pub cedar: Option<Cedar>,
}

/// Something that can be done: methods on paths of one form.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Id, unique in the policy, such as the contract's `operationId`: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"readAccount")]
    pub id: String,
    /// Methods; without any, all. `GET` is also `HEAD`.
    #[serde(default)]
    #[schemars(example = vec!["GET"])]
    pub methods: Vec<String>,
    /// The whole path; `{name}` stands for one segment, a final `**` for any rest.
    #[schemars(length(min = 1), extend("title" = "path template"), example = &"/accounts/{accountId}")]
    pub path: String,
    /// Query parameters that Cedar policies may read.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX)), example = vec!["currency"])]
    pub query: Vec<String>,
}

/// What becomes of requests that nothing speaks about.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// They are refused.
    #[default]
    Deny,
    /// They pass. What is forgotten is open to everybody.
    Allow,
}

/// What must hold for some operations.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationRule {
    /// Name, unique in the policy: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"own-accounts")]
    pub name: String,
    /// Ids of the operations that it is about; without any, all.
    #[serde(default)]
    #[schemars(example = vec!["readAccount"])]
    pub operations: Vec<String>,
    /// Nobody may do it too: a request without a known caller passes, if its conditions hold.
    #[serde(default)]
    pub anonymous: bool,
    /// What must hold, all of it. Without it, the caller must only be known.
    pub require: Option<Requirement>,
    /// Of these, one must hold too.
    #[serde(default)]
    #[schemars(length(max = defaults::ALTERNATIVES_MAX))]
    pub any_of: Vec<Requirement>,
}

/// What a caller must have, and what must be true of the request; all of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Requirement {
    /// Scopes of its credential.
    pub scopes: Words,
    /// Its roles.
    pub roles: Words,
    /// Its groups, from `groups_claim`.
    pub groups: Words,
    /// Its claims.
    pub claims: Vec<ClaimRule>,
    /// Which objects are the caller's: a parameter against what is known of the caller, as
    /// `path.accountId in principal.claims.accounts`, `query.user == principal.subject` or `body.items.*.owner == principal.subject`.
    /// Parameters are those of `path`, `query`, `header`, `cookie` and `body`; a missing one is refused.
    #[schemars(
        length(max = defaults::OBJECT_RULES_MAX),
        inner(length(min = 1, max = defaults::OBJECT_RULE_CHARS_MAX)),
        example = vec!["path.accountId in principal.claims.accounts"]
    )]
    pub objects: Vec<String>,
    /// A condition in CEL over `request`, `principal`, `client` and `parameters`. What cannot be computed does not hold.
    #[schemars(
        length(min = 1, max = defaults::CONDITION_CHARS_MAX),
        extend("title" = "CEL"),
        example = &"principal.strength == 'proof_of_possession'"
    )]
    pub when: Option<String>,
}

/// Words of which all, or one, must be there.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// Every one of these.
    #[schemars(inner(length(min = 1, max = defaults::WORD_CHARS_MAX)), example = vec!["accounts:read"])]
    pub all: Vec<String>,
    /// At least one of these.
    #[schemars(inner(length(min = 1, max = defaults::WORD_CHARS_MAX)), example = vec!["teller", "auditor"])]
    pub any: Vec<String>,
}

/// Policies in Cedar. Their schema follows from `operations` and `claims`; what a policy says against it is a fault of
/// the configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cedar {
    /// Files with policies; relative to this document's folder.
    #[schemars(length(min = 1, max = defaults::CEDAR_FILES_MAX), inner(length(min = 1)), example = vec!["policies/accounts.cedar"])]
    pub files: Vec<String>,
    /// Claims that policies may read, and what they are.
    #[serde(default)]
    pub claims: Vec<CedarClaim>,
}

/// A claim that Cedar policies may read. A caller whose claim is something else is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CedarClaim {
    /// Name of the claim.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"accounts")]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ClaimType,
}

/// What a claim is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimType {
    /// Text: `String`.
    String,
    /// A whole number: `Long`.
    Long,
    /// True or false: `Bool`.
    Boolean,
    /// A list of texts: `Set<String>`. One text alone is a list of one.
    Strings,
    /// A list of whole numbers: `Set<Long>`.
    Longs,
}

impl Default for Authorize {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            rules: Vec::new(),
            unmatched: Unmatched::Deny,
            groups_claim: defaults::GROUPS_CLAIM.to_owned(),
            body_bytes_max: Size::default_of(defaults::AUTHORIZE_BODY_BYTES),
            cedar: None,
        }
    }
}
