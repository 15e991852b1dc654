//! What an `authorize` policy means: operations, rules over them, and Cedar's settings, for the engine to compile.

use std::fmt;
use std::path::PathBuf;

use bartizan_model::PathTemplate;

use crate::authentication::ClaimRule;

/// What callers may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    /// What can be done, ids unique
    pub operations: Vec<Operation>,
    /// Each must hold for the operations that it is about
    pub rules: Vec<AuthorizationRule>,
    /// Requests that nothing speaks about pass
    pub is_unmatched_allowed: bool,
    /// Claim with the groups
    pub groups_claim: String,
    /// Largest body that is looked into, in bytes, compressed and not
    pub body_bytes_max: u64,
    /// Policies in Cedar
    pub cedar: Option<CedarSettings>,
}

/// Methods on paths of one form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Its id
    pub id: String,
    /// Methods, upper case; empty = all
    pub methods: Vec<String>,
    /// Form of the path
    pub template: PathTemplate,
    /// Anything may follow the template, on whole segments
    pub is_open: bool,
    /// Query parameters that Cedar policies may read
    pub query: Vec<String>,
}

impl Operation {
    /// Names of the path's parameters.
    pub fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.template.segments().iter().filter_map(|segment| match segment {
            bartizan_model::Segment::Parameter(name) => Some(&**name),
            bartizan_model::Segment::Literal(_) => None,
        })
    }
}

/// What must hold for some operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRule {
    /// Unique in its policy
    pub name: String,
    /// Indexes into the policy's operations, sorted; empty = all
    pub operations: Vec<usize>,
    /// A request without a known caller passes, if the conditions hold
    pub anonymous: bool,
    /// All of it must hold
    pub require: Requirement,
    /// One of these must hold too; empty = nothing more
    pub any_of: Vec<Requirement>,
}

/// What must be true of caller and request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// Scopes
    pub scopes: Words,
    /// Roles
    pub roles: Words,
    /// Groups
    pub groups: Words,
    /// Claims
    pub claims: Vec<ClaimRule>,
    /// Objects that must be the caller's
    pub objects: Vec<ObjectRule>,
    /// A condition in CEL that parses, and keeps the bounds
    pub when: Option<String>,
}

impl Requirement {
    /// Whether it demands nothing that only a known caller can have.
    pub fn is_for_anybody(&self) -> bool {
        self.scopes.is_empty()
            && self.roles.is_empty()
            && self.groups.is_empty()
            && self.claims.is_empty()
            && self.objects.is_empty()
    }
}

/// Words of which all, and one of others, must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Every one of these
    pub all: Vec<String>,
    /// At least one of these; empty = none is asked for
    pub any: Vec<String>,
}

impl Words {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty()
    }
}

/// A parameter that must agree with what is known of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRule {
    /// Where the parameter stands
    pub place: ObjectPlace,
    /// Its name; headers in lower case; in bodies a path with `*` for one name or index
    pub name: String,
    /// How it is compared
    pub comparison: Comparison,
    /// What it is compared with
    pub attribute: Attribute,
}

impl fmt::Display for ObjectRule {
    /// As it is written: `path.accountId in principal.claims.accounts`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comparison = match self.comparison {
            Comparison::Equal => "==",
            Comparison::In => "in",
        };
        write!(f, "{}.{} {comparison} {}", self.place.as_str(), self.name, self.attribute)
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectPlace {
    /// A `{name}` of the operation's path
    Path,
    /// The query
    Query,
    /// A header field
    Header,
    /// A cookie
    Cookie,
    /// JSON or a form
    Body,
}

impl ObjectPlace {
    /// Every place.
    pub const ALL: [Self; 5] = [Self::Path, Self::Query, Self::Header, Self::Cookie, Self::Body];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Body => "body",
        }
    }
}

/// How a parameter is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is this one value
    Equal,
    /// It is one of these
    In,
}

/// Something that is known of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The subject
    Subject,
    /// The application
    Application,
    /// The scopes
    Scopes,
    /// The roles
    Roles,
    /// The groups
    Groups,
    /// A claim
    Claim(String),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject => f.write_str("principal.subject"),
            Self::Application => f.write_str("principal.application"),
            Self::Scopes => f.write_str("principal.scopes"),
            Self::Roles => f.write_str("principal.roles"),
            Self::Groups => f.write_str("principal.groups"),
            Self::Claim(name) => write!(f, "principal.claims.{name}"),
        }
    }
}

/// Where Cedar policies are, and what they may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CedarSettings {
    /// Files, at least one
    pub files: Vec<PathBuf>,
    /// Claims with their types, names unique
    pub claims: Vec<(String, ClaimType)>,
}

/// What a claim is, in Cedar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimType {
    /// `String`
    String,
    /// `Long`
    Long,
    /// `Bool`
    Boolean,
    /// `Set<String>`
    Strings,
    /// `Set<Long>`
    Longs,
}

impl ClaimType {
    /// The type's name in a Cedar schema.
    pub const fn cedar(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Long => "Long",
            Self::Boolean => "Bool",
            Self::Strings => "Set<String>",
            Self::Longs => "Set<Long>",
        }
    }
}
