//! Policies in Cedar: the schema that follows from the configuration, policies validated against it, and the decision.
//!
//! Principal is the caller, action the operation, resource what the request names, context the circumstances:
//! [`schema_text`] writes it as a Cedar schema, and a policy that says something else is a fault at load. Cedar skips a
//! policy that cannot be computed, so that an erring `forbid` would vanish; here any error refuses. So does a claim that
//! is not of its declared type, which a policy would see as missing.
//! Source: docs.cedarpolicy.com; Cutler et al., "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable
//! Authorization" (OOPSLA 2024).

mod load;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use bartizan_config::{Authorize, CedarSettings, ClaimType, Operation};
use bartizan_model::{ClaimValue, Part, Principal};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet,
    RestrictedExpression, Schema,
};

use super::Request;
use super::checks;
use super::object::{is_named, plain_name};
use super::operation::Match;
use super::requirement::Fault;
use crate::parameters::query_pairs;
use crate::redact;

pub use load::CedarFile;

/// LIMIT: values of one query parameter that policies see; a request with more is refused.
const VALUES_MAX: usize = 64;
/// LIMIT: policies that are told as reasons.
const REASONS_MAX: usize = 8;

/// Compiled Cedar policies by the name of their policy. The host reads the files.
pub type CedarPlans = BTreeMap<String, Arc<CedarPlan>>;

/// The Cedar policies of one `authorize` policy, compiled and valid.
#[derive(Debug)]
pub struct CedarPlan {
    policies: PolicySet,
    authorizer: Authorizer,
    actions: Box<[Action]>,
    claims: Box<[(String, ClaimType)]>,
    caller: EntityTypeName,
    role: EntityTypeName,
    group: EntityTypeName,
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
        self.policies.num_of_policies()
    }

    /// Whether the request is permitted in every reading of its path, and the policies that say so.
    pub(crate) fn judge(&self, request: &Request<'_>, one: &Match<'_>) -> Result<Vec<String>, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Path);
        let Some(action) = one.operation.and_then(|number| self.actions.get(number)) else {
            return Err(Fault::new(&checks::UNMATCHED, "no operation is meant".to_owned(), Part::Path));
        };
        let Some(principal) = request.caller else {
            return Err(Fault::new(&checks::UNKNOWN_CALLER, "nobody is known to call".to_owned(), Part::Header));
        };
        let caller = self.uid(&self.caller, &format!("{}#{}", principal.authority, principal.subject));
        let entities = self.entities(&caller, principal, request, one, action)?;
        let Some(paths) = one.paths() else {
            return Err(undecided("the path can be read in more ways than are judged"));
        };
        let mut reasons = Vec::new();
        for path in paths {
            let context = self.context(principal, request, path)?;
            let schema = cfg!(debug_assertions).then_some(&self.schema);
            let uids = (caller.clone(), action.uid.clone(), action.resource.clone());
            let asked = cedar_policy::Request::new(uids.0, uids.1, uids.2, context, schema);
            let Ok(asked) = asked else { return Err(undecided("the request does not fit the schema")) };
            let permitting = self.decide(&asked, &entities)?;
            reasons.extend(permitting.into_iter().filter(|reason| !reasons.contains(reason)).collect::<Vec<_>>());
        }
        reasons.truncate(REASONS_MAX);
        Ok(reasons)
    }

    /// The policies that permit one reading.
    fn decide(&self, asked: &cedar_policy::Request, entities: &Entities) -> Result<Vec<String>, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Path);
        let response = self.authorizer.is_authorized(asked, &self.policies, entities);
        let found = response.diagnostics();
        if found.errors().next().is_some() {
            return Err(undecided("a Cedar policy cannot be computed"));
        }
        let mut reasons: Vec<String> = found.reason().map(|id| format!("Cedar policy `{id}`")).collect();
        reasons.sort_unstable(); // a set has no order of its own, and events shall not differ
        reasons.truncate(REASONS_MAX);
        match response.decision() {
            Decision::Allow => Ok(reasons),
            Decision::Deny => {
                let words = match reasons.as_slice() {
                    [] => "no Cedar policy permits it".to_owned(),
                    forbidding => format!("forbidden by {}", forbidding.join(", ")),
                };
                Err(Fault::new(&checks::CEDAR, words, Part::Path))
            }
        }
    }

    fn uid(&self, kind: &EntityTypeName, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
    }

    /// The caller with its attributes, roles and groups, and the resource.
    fn entities(
        &self,
        caller: &EntityUid,
        principal: &Principal,
        request: &Request<'_>,
        one: &Match<'_>,
        action: &Action,
    ) -> Result<Entities, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Header);
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
        let resource = self.resource(request, one, action)?;
        let caller = Entity::new(caller.clone(), attributes, parents);
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

    /// What the request names.
    fn resource(&self, request: &Request<'_>, one: &Match<'_>, action: &Action) -> Result<Entity, Fault> {
        let undecided = |part, words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), part);
        let mut path = Vec::with_capacity(one.values.len());
        for (name, value) in &one.values {
            let value =
                std::str::from_utf8(value).map_err(|_| undecided(Part::Path, "a path parameter is not UTF-8"))?;
            path.push((name.to_string(), text(value)));
        }
        let mut query = Vec::new();
        for (name, plain) in &action.query {
            let mut values = Vec::new();
            let pairs = query_pairs(request.head.query().unwrap_or_default());
            for (_, value) in pairs.filter(|(name, _)| is_named(name, plain)) {
                let mut decoded = Vec::with_capacity(value.len());
                redact::decode_onto(&mut decoded, value, true);
                let value = String::from_utf8(decoded);
                values.push(value.map_err(|_| undecided(Part::Query, "a query parameter is not UTF-8"))?);
            }
            if values.len() > VALUES_MAX {
                return Err(undecided(Part::Query, "a query parameter has too many values"));
            }
            if !values.is_empty() {
                query.push((name.clone(), set(values.iter().map(String::as_str))));
            }
        }
        let members =
            record(path).zip(record(query)).ok_or_else(|| undecided(Part::Path, "a parameter stands twice"))?;
        let attributes = HashMap::from([("path".to_owned(), members.0), ("query".to_owned(), members.1)]);
        Entity::new(action.resource.clone(), attributes, HashSet::new())
            .map_err(|_| undecided(Part::Path, "the resource makes no entity"))
    }

    fn context(&self, principal: &Principal, request: &Request<'_>, path: &[u8]) -> Result<Context, Fault> {
        let undecided = |words: &str| Fault::new(&checks::UNDECIDED, words.to_owned(), Part::Connection);
        let address = request.address.ok_or_else(|| undecided("the client's address is not known"))?;
        let path = std::str::from_utf8(path).map_err(|_| undecided("the path is not UTF-8"))?;
        let method = std::str::from_utf8(request.head.method).map_err(|_| undecided("the method is not UTF-8"))?;
        let clock = request.clock();
        let members = [
            ("address", RestrictedExpression::new_ip(address.to_string())),
            ("method", text(method)),
            ("path", text(path)),
            ("host", text(request.host)),
            ("strength", text(principal.strength.as_str())),
            ("time", RestrictedExpression::new_long(clock.seconds)),
            ("hour", RestrictedExpression::new_long(clock.hour)),
            ("minute", RestrictedExpression::new_long(clock.minute)),
            ("weekday", RestrictedExpression::new_long(clock.weekday)),
        ];
        Context::from_pairs(members.map(|(name, value)| (name.to_owned(), value)))
            .map_err(|_| undecided("the circumstances make no context"))
    }
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
    fn new(operation: &Operation, type_name: &str) -> Option<Self> {
        let kind: EntityTypeName = format!("Operation::{type_name}").parse().ok()?;
        let action: EntityTypeName = "Action".parse().ok()?;
        Some(Self {
            uid: EntityUid::from_type_name_and_id(action, EntityId::new(&operation.id)),
            resource: EntityUid::from_type_name_and_id(kind, EntityId::new(&operation.id)),
            query: operation.query.iter().map(|name| (name.clone(), plain_name(name.as_bytes()))).collect(),
        })
    }
}
