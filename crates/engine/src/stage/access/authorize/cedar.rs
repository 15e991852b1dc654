//! Policies in Cedar: the schema that follows from the configuration, policies validated against it, and the decision.
//!
//! Principal is the caller, action the operation, resource what the request names, context the circumstances:
//! [`schema_text`] writes it as a Cedar schema, and a policy that says something else is a fault at load. Cedar skips a
//! policy that cannot be computed, so that an erring `forbid` would vanish; here any error refuses. So does a claim that
//! is not of its declared type, which a policy would see as missing. What was decided is remembered under everything that
//! it was decided by (`memo.rs`).
//! Source: docs.cedarpolicy.com; Cutler et al., "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable
//! Authorization" (OOPSLA 2024).

mod load;
mod memo;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use bartizan_config::{Authorize, CedarSettings, ClaimType, Operation};
use bartizan_model::{ClaimValue, Part, Principal};
use cedar_policy::{
    Authorizer, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, RestrictedExpression,
    Schema,
};

use smallvec::SmallVec;

use super::Request;
use super::checks;
use super::operation::Match;
use super::requirement::Fault;
use crate::bounded::Cache;
use crate::parameters::{decode, is_named, plain_name, query_pairs};
use crate::stage::access::verified::Who;
use memo::{Circumstances, Query, Reads};

pub use load::CedarFile;

/// LIMIT: values of one query parameter that policies see; a request with more is refused.
const VALUES_MAX: usize = 64;
/// LIMIT: policies that are told as reasons.
const REASONS_MAX: usize = 8;
/// LIMIT: decisions that are remembered for one `authorize` policy: what the callers of some minutes do, 6 MB at most.
const DECIDED_MAX: usize = 16_384;

/// Ids of the policies that permit.
pub(crate) type Reasons = Arc<[Box<str>]>;

/// What was decided: who permits it, or what speaks against it.
type Decided = Result<Reasons, Fault>;

/// Compiled Cedar policies by the name of their policy. The host reads the files.
pub type CedarPlans = BTreeMap<String, Arc<CedarPlan>>;

/// The Cedar policies of one `authorize` policy, compiled and valid.
#[derive(Debug)]
pub struct CedarPlan {
    policy_count: usize,
    authorizer: Authorizer,
    actions: Box<[Action]>,
    claims: Box<[(String, ClaimType)]>,
    caller: EntityTypeName,
    role: EntityTypeName,
    group: EntityTypeName,
    decided: Cache<Decided>,
    /// For builds with debug assertions, in which every request is held against it
    schema: Schema,
}

/// An operation, as Cedar names it.
#[derive(Debug)]
struct Action {
    uid: EntityUid,
    resource: EntityUid,
    /// Query parameters that policies may read, and their plain names
    query: Box<[(String, Box<[u8]>)]>,
    /// Those that can be about it
    policies: Arc<PolicySet>,
    /// What they look at
    reads: Reads,
}

/// The Cedar schema that the policies of `authorize` are held against.
pub fn schema_text(operations: &[Operation], settings: &CedarSettings) -> String {
    let mut text = String::from("entity Role;\nentity Group;\nentity Caller in [Role, Group] = {\n");
    for member in ["authority: String", "subject: String", "application?: String", "scopes: Set<String>"] {
        _ = writeln!(text, "  {member},");
    }
    for member in ["roles: Set<String>", "groups: Set<String>", "credential: String", "strength: String"] {
        _ = writeln!(text, "  {member},");
    }
    text.push_str("  claims: {\n");
    for (name, kind) in &settings.claims {
        _ = writeln!(text, "    {}?: {},", quoted(name), kind.cedar());
    }
    text.push_str("  },\n};\nnamespace Operation {\n");
    for (operation, name) in operations.iter().zip(type_names(operations)) {
        let path: Vec<String> = operation.path_parameters().map(|name| format!("{}: String", quoted(name))).collect();
        let query: Vec<String> = operation.query.iter().map(|name| format!("{}?: Set<String>", quoted(name))).collect();
        _ = writeln!(
            text,
            "  entity {name} = {{ path: {{ {} }}, query: {{ {} }} }};",
            path.join(", "),
            query.join(", ")
        );
    }
    text.push_str("}\n");
    for (operation, name) in operations.iter().zip(type_names(operations)) {
        _ = writeln!(
            text,
            "action {} appliesTo {{ principal: [Caller], resource: [Operation::{name}], context: {{ address: ipaddr, \
             method: String, path: String, host: String, strength: String, time: Long, hour: Long, minute: Long, weekday: \
             Long }} }};",
            quoted(&operation.id)
        );
    }
    text
}

/// A name between quotes; configured names hold no control characters that Cedar would have to be told of otherwise.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The operations' ids as names of types: other characters than letters, digits and `_` become `_`.
fn type_names(operations: &[Operation]) -> Vec<String> {
    const RESERVED: [&str; 11] = ["if", "then", "else", "in", "is", "has", "like", "true", "false", "Bool", "__cedar"];
    let mut names: Vec<String> = Vec::new();
    for operation in operations {
        let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let mut name: String = operation.id.chars().map(letter).collect();
        if name.starts_with(|first: char| first.is_ascii_digit()) || RESERVED.contains(&name.as_str()) {
            name.insert(0, '_');
        }
        while names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

impl CedarPlan {
    /// Reads and validates policies. `place` is the configuration file, for faults that are of no policy file.
    ///
    /// # Errors
    /// Every fault of every file, with its line; warnings come with a plan.
    pub fn compile(
        authorize: &Authorize,
        files: &[CedarFile],
    ) -> Result<(Self, Vec<bartizan_model::Diagnostic>), Vec<bartizan_model::Diagnostic>> {
        load::compile(authorize, files)
    }

    /// How many policies there are.
    pub fn policy_count(&self) -> usize {
        self.policy_count
    }

    /// Whether the request is permitted in every reading of its path, and the ids of policies that say so.
    pub(crate) fn judge(&self, request: &Request<'_>, one: &Match<'_>) -> Result<Reasons, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Path);
        let Some((number, action)) = one.operation.and_then(|number| Some((number, self.actions.get(number)?))) else {
            return Err(Fault::new(&checks::UNMATCHED, "no operation is meant".to_owned(), Part::Path));
        };
        let Some(who) = request.who else {
            return Err(Fault::new(&checks::UNKNOWN_CALLER, "nobody is known to call".to_owned(), Part::Header));
        };
        let Some(paths) = one.paths() else {
            return Err(undecided("the path can be read in more ways than are judged"));
        };
        let query = action.query(request)?;
        let mut entities = None;
        let mut reasons: Option<Reasons> = None;
        for path in paths {
            let told = Circumstances::of(request, path)?;
            let name = memo::name(number, action.reads, who, request, one, &query, &told);
            let decided = match self.decided.find(&name) {
                Some(decided) => decided,
                None => {
                    let entities = match &mut entities {
                        Some(entities) => &*entities,
                        none => &*none.insert(self.entities(who, request, one, action, &query)?),
                    };
                    let decided = self.decide(&who.principal, action, &told, entities)?;
                    self.decided.insert(name, decided.clone());
                    decided
                }
            };
            let permitting = decided?;
            reasons = Some(match reasons {
                None => permitting,
                Some(known) => together(known, &permitting),
            });
        }
        Ok(reasons.unwrap_or_default())
    }

    /// What Cedar says of one reading.
    fn decide(
        &self,
        principal: &Principal,
        action: &Action,
        told: &Circumstances<'_>,
        entities: &Entities,
    ) -> Result<Decided, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Path);
        let schema = cfg!(debug_assertions).then_some(&self.schema);
        let context = told.context(principal.strength)?;
        let (caller, uid, resource) = (self.caller_uid(principal), action.uid.clone(), action.resource.clone());
        let asked = cedar_policy::Request::new(caller, uid, resource, context, schema);
        let Ok(asked) = asked else { return Err(undecided("the request does not fit the schema")) };
        let response = self.authorizer.is_authorized(&asked, &action.policies, entities);
        let found = response.diagnostics();
        if found.errors().next().is_some() {
            return Ok(Err(undecided("a Cedar policy cannot be computed")));
        }
        let mut reasons: Vec<Box<str>> = found.reason().map(|id| AsRef::<str>::as_ref(id).into()).collect();
        reasons.sort_unstable(); // a set has no order of its own, and events shall not differ
        reasons.truncate(REASONS_MAX);
        Ok(match response.decision() {
            Decision::Allow => Ok(reasons.into()),
            Decision::Deny => {
                let words = match reasons.as_slice() {
                    [] => "no Cedar policy permits it".to_owned(),
                    forbidding => {
                        let forbidding: Vec<String> = forbidding.iter().map(|id| named(id)).collect();
                        format!("forbidden by {}", forbidding.join(", "))
                    }
                };
                Err(Fault::new(&checks::CEDAR, words, Part::Path))
            }
        })
    }

    /// Subjects of two authorities are two callers.
    fn caller_uid(&self, principal: &Principal) -> EntityUid {
        self.uid(&self.caller, &format!("{}#{}", principal.authority, principal.subject))
    }

    fn uid(&self, kind: &EntityTypeName, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
    }

    /// The caller with its attributes, roles and groups, and the resource.
    fn entities(
        &self,
        who: &Who,
        request: &Request<'_>,
        one: &Match<'_>,
        action: &Action,
        query: &Query<'_>,
    ) -> Result<Entities, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Header);
        let principal = &who.principal;
        let groups: Vec<&str> = request.groups().collect();
        let claims = record(self.claims(principal)?).ok_or_else(|| undecided("the claims make no record"))?;
        let attributes = [
            ("authority", text(&principal.authority)),
            ("subject", text(&principal.subject)),
            ("scopes", set(principal.scopes.iter().map(|word| &**word))),
            ("roles", set(principal.roles.iter().map(|word| &**word))),
            ("groups", set(groups.iter().copied())),
            ("credential", text(principal.credential.as_str())),
            ("strength", text(principal.strength.as_str())),
            ("claims", claims),
        ];
        let application = principal.application.as_deref().map(|application| ("application", text(application)));
        let attributes: HashMap<String, RestrictedExpression> =
            attributes.into_iter().chain(application).map(|(name, value)| (name.to_owned(), value)).collect();
        let roles = principal.roles.iter().map(|role| self.uid(&self.role, role));
        let parents: HashSet<EntityUid> =
            roles.chain(groups.iter().map(|group| self.uid(&self.group, group))).collect();
        let resource = action.resource(one, query)?;
        let caller = Entity::new(self.caller_uid(principal), attributes, parents);
        let caller = caller.map_err(|_| undecided("the caller makes no entity"))?;
        let schema = cfg!(debug_assertions).then_some(&self.schema);
        Entities::from_entities([caller, resource], schema).map_err(|_| undecided("the entities do not fit the schema"))
    }

    /// The declared claims that the caller has.
    fn claims(&self, principal: &Principal) -> Result<Vec<(String, RestrictedExpression)>, Fault> {
        let mut claims = Vec::with_capacity(self.claims.len());
        for (name, kind) in &self.claims {
            let Some(value) = principal.claim(name) else { continue };
            let value = match (kind, value) {
                (ClaimType::String, ClaimValue::Text(value)) => text(value),
                (ClaimType::Long, ClaimValue::Number(number)) => RestrictedExpression::new_long(*number),
                (ClaimType::Boolean, ClaimValue::Boolean(boolean)) => RestrictedExpression::new_bool(*boolean),
                (ClaimType::Strings, ClaimValue::List(items)) => set(items.iter().map(|item| &**item)),
                (ClaimType::Strings, ClaimValue::Text(value)) => set(std::iter::once(&**value)),
                (ClaimType::Longs, ClaimValue::Numbers(items)) => {
                    RestrictedExpression::new_set(items.iter().copied().map(RestrictedExpression::new_long))
                }
                // An empty list has no type of its own.
                (ClaimType::Longs, ClaimValue::List(items)) if items.is_empty() => RestrictedExpression::new_set([]),
                _ => {
                    let words = format!("claim `{name}` is not of its type, {}", kind.cedar());
                    return Err(Fault::new(&checks::UNDECIDED, words, Part::Header));
                }
            };
            claims.push((name.clone(), value));
        }
        Ok(claims)
    }
}

impl Action {
    /// What the query says of the parameters that policies may read, in their order.
    fn query<'r>(&self, request: &Request<'r>) -> Result<Query<'r>, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Query);
        let of = |(_, plain): &(String, Box<[u8]>)| {
            let pairs = query_pairs(request.head.query().unwrap_or_default());
            let named = pairs.filter(|(name, _)| is_named(name, plain)).map(|(_, value)| decode(value));
            let values: SmallVec<[Cow<'r, [u8]>; 1]> = named.take(VALUES_MAX + 1).collect();
            if values.iter().any(|value| std::str::from_utf8(value).is_err()) {
                return Err(undecided("a query parameter is not UTF-8"));
            }
            match values.len() > VALUES_MAX {
                true => Err(undecided("a query parameter has too many values")),
                false => Ok(values),
            }
        };
        self.query.iter().map(of).collect()
    }

    /// What the request names.
    fn resource(&self, one: &Match<'_>, given: &Query<'_>) -> Result<Entity, Fault> {
        let undecided = |part, words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), part);
        let mut path = Vec::with_capacity(one.values.len());
        for (name, value) in &one.values {
            let value =
                std::str::from_utf8(value).map_err(|_| undecided(Part::Path, "a path parameter is not UTF-8"))?;
            path.push((name.to_string(), text(value)));
        }
        let there = self.query.iter().zip(given).filter(|(_, values)| !values.is_empty());
        let texts = |values: &[Cow<'_, [u8]>]| RestrictedExpression::new_set(values.iter().map(|value| lossy(value)));
        let query = there.map(|((name, _), values)| (name.clone(), texts(values))).collect();
        let members =
            record(path).zip(record(query)).ok_or_else(|| undecided(Part::Path, "a parameter stands twice"))?;
        let attributes = HashMap::from([("path".to_owned(), members.0), ("query".to_owned(), members.1)]);
        Entity::new(self.resource.clone(), attributes, HashSet::new())
            .map_err(|_| undecided(Part::Path, "the resource makes no entity"))
    }
}

/// Both lists, each id once.
fn together(known: Reasons, more: &[Box<str>]) -> Reasons {
    let new: Vec<Box<str>> = more.iter().filter(|id| !known.contains(id)).cloned().collect();
    if new.is_empty() { known } else { known.iter().cloned().chain(new).take(REASONS_MAX).collect() }
}

/// A policy, as people know it.
pub(crate) fn named(id: &str) -> String {
    format!("Cedar policy `{id}`")
}

/// Text of which it is known that it is UTF-8.
fn lossy(bytes: &[u8]) -> RestrictedExpression {
    text(&String::from_utf8_lossy(bytes))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set<'w>(words: impl Iterator<Item = &'w str>) -> RestrictedExpression {
    RestrictedExpression::new_set(words.map(text))
}

fn record(members: Vec<(String, RestrictedExpression)>) -> Option<RestrictedExpression> {
    RestrictedExpression::new_record(members).ok()
}

impl Action {
    fn new(operation: &Operation, type_name: &str, policies: Arc<PolicySet>, reads: Reads) -> Option<Self> {
        let kind: EntityTypeName = format!("Operation::{type_name}").parse().ok()?;
        Some(Self {
            uid: action_uid(operation)?,
            resource: EntityUid::from_type_name_and_id(kind, EntityId::new(&operation.id)),
            query: operation
                .query
                .iter()
                .map(|name| (name.clone(), plain_name(name.as_bytes()).as_slice().into()))
                .collect(),
            policies,
            reads,
        })
    }
}

/// What Cedar calls an operation.
fn action_uid(operation: &Operation) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id("Action".parse().ok()?, EntityId::new(&operation.id)))
}
