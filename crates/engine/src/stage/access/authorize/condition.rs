//! Conditions in CEL, compiled with the Snapshot, computed for each request over values that are bounded.
//!
//! The configuration's validation keeps expressions short and flat (see `config/meaning/condition.rs`); what they go
//! through is bounded here. A condition allows: one that cannot be computed (a member that is not there, values of types
//! that cannot be compared, a result that is neither true nor false) does not hold. It must hold for every reading of the
//! path.
//! Source: the CEL language definition, github.com/google/cel-spec.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bartizan_model::{ClaimValue, Part, Principal};
use cel::common::ast::IdedExpr;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::parser::Parser;
use cel::{Context, Env, Value};
use ipnet::IpNet;

use super::Request;
use super::checks;
use super::operation::Match;
use super::requirement::Fault;
use crate::parameters::{decode, query_pairs};

/// LIMIT: pairs of a query that conditions see; a request with more has none that could be trusted.
const PAIRS_MAX: usize = 64;
/// LIMIT: bytes of a path, and of a query, that conditions see.
const BYTES_MAX: usize = 8192;
/// Expressions within each other, as validation has it.
const DEPTH_MAX: u16 = 32;

/// CEL's functions, shared by all conditions of a policy.
pub(crate) struct Interpreter(Arc<Env>);

impl Default for Interpreter {
    fn default() -> Self {
        Self(Arc::new(Env::stdlib()))
    }
}

impl std::fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interpreter")
    }
}

/// A condition.
#[derive(Debug)]
pub(crate) struct Condition {
    /// `None` when it does not parse, which validation refuses: it never holds
    root: Option<IdedExpr>,
    uses: Uses,
}

/// What it names of that which is bounded, or costs something.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    request: bool,
    parameters: bool,
    in_network: bool,
}

/// What a condition sees. A member that it names (`principal.roles`) is looked up alone, and borrows from the request.
struct Variables<'a, 'r> {
    request: &'a Request<'a>,
    one: &'a Match<'r>,
    /// One reading of the request's path
    path: &'a [u8],
    uses: Uses,
}

/// A value that borrows from the request.
type Borrowed<'v> = Box<dyn Val + 'v>;

impl Condition {
    pub(crate) fn new(text: &str) -> Self {
        let root = Parser::new().max_recursion_depth(DEPTH_MAX).parse(text).ok();
        let uses = root.as_ref().map(|root| {
            let names = root.references();
            Uses {
                request: names.has_variable("request"),
                parameters: names.has_variable("parameters"),
                in_network: names.has_function("inNetwork"),
            }
        });
        Self { root, uses: uses.unwrap_or_default() }
    }

    /// Why it does not hold, if it does not.
    pub(crate) fn fault(&self, request: &Request<'_>, one: &Match<'_>) -> Option<Fault> {
        let fault = |info, words: &str| Some(Fault::new(info, words.to_owned(), Part::Path));
        let Some(root) = &self.root else { return fault(&checks::UNDECIDED, "the condition does not parse") };
        // Readings count where the condition may look at them.
        let any: &[&[u8]] = &[b""];
        let paths = if self.uses.request { one.paths() } else { Some(any) };
        let Some(paths) = paths else {
            return fault(&checks::UNDECIDED, "the path can be read in more ways than are judged");
        };
        let is_within = |path: &&[u8]| !self.uses.request || path.len() <= BYTES_MAX;
        if !paths.iter().all(is_within) || self.uses.parameters && !is_query_within(request) {
            return fault(&checks::UNDECIDED, "the condition looks at more than it can go through");
        }
        paths.iter().find_map(|path| {
            let variables = Variables { request, one, path, uses: self.uses };
            let mut context = Context::with_env(Arc::clone(&request.cel.0));
            context.set_variable_resolver(&variables);
            if self.uses.in_network && context.add_function("inNetwork", in_network).is_err() {
                return fault(&checks::UNDECIDED, "the condition cannot be computed");
            }
            match Value::resolve(root, &context) {
                Ok(Value::Bool(true)) => None,
                Ok(Value::Bool(false)) => fault(&checks::CONDITION, "the condition does not hold"),
                Ok(_) => fault(&checks::UNDECIDED, "the condition is neither true nor false"),
                Err(_) => fault(&checks::UNDECIDED, "the condition cannot be computed"), // the error would repeat values
            }
        })
    }
}

/// `inNetwork(client.address, "10.0.0.0/8")`; an address or network that is none is in nothing.
fn in_network(address: Arc<String>, network: Arc<String>) -> bool {
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let network = network.parse::<IpNet>().or_else(|_| network.parse::<std::net::IpAddr>().map(IpNet::from));
    network.is_ok_and(|network| network.contains(&address.to_canonical()))
}

/// Whether the query has no more than conditions go through.
fn is_query_within(request: &Request<'_>) -> bool {
    let query = request.head.query().unwrap_or_default();
    query.len() <= BYTES_MAX && query_pairs(query).nth(PAIRS_MAX).is_none()
}

impl VariableResolver for Variables<'_, '_> {
    /// PERF: CEL asks for `principal.claims.tenant` first, then for `principal.claims`, then for `principal`: what is
    /// answered early need not be built as a map.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let (variable, member) =
            name.split_once('.').map_or((name, None), |(variable, member)| (variable, Some(member)));
        let found = match (variable, member) {
            // What is not named plainly was not looked at beforehand.
            ("request", _) if !self.uses.request => None,
            ("parameters", _) if !self.uses.parameters => None,
            ("request", Some(member)) => self.of_request(member),
            ("request", None) => Some(all(&REQUEST, |name| self.of_request(name))),
            ("principal", Some(member)) => self.request.caller().and_then(|caller| self.of_principal(caller, member)),
            ("principal", None) => Some(self.request.caller().map_or_else(
                || Box::new(CelNull) as Borrowed<'_>,
                |caller| all(&PRINCIPAL, |name| self.of_principal(caller, name)),
            )),
            ("client", Some(member)) => self.of_client(member),
            ("client", None) => Some(all(&["address"], |name| self.of_client(name))),
            ("parameters", Some(member)) => self.of_parameters(member),
            ("parameters", None) => Some(all(&["path", "query"], |name| self.of_parameters(name))),
            _ => None,
        };
        found.map(CowVal::Owned)
    }
}

/// Members of `request`.
const REQUEST: [&str; 8] = ["method", "path", "host", "scheme", "time", "hour", "minute", "weekday"];

/// Members of `principal`; `application` may be missing.
const PRINCIPAL: [&str; 9] =
    ["authority", "subject", "application", "scopes", "roles", "groups", "claims", "credential", "strength"];

impl Variables<'_, '_> {
    /// `path` is one reading of the request's.
    fn of_request(&self, member: &str) -> Option<Borrowed<'_>> {
        let request = self.request;
        let clock = || request.clock();
        Some(match member {
            "method" => lossy(request.head.method),
            "path" => lossy(self.path),
            "host" => text(request.host),
            "scheme" => text(request.head.scheme.as_str()),
            "time" => number(clock().seconds),
            "hour" => number(clock().hour),
            "minute" => number(clock().minute),
            "weekday" => number(clock().weekday),
            _ => return None,
        })
    }

    fn of_principal<'b>(&'b self, principal: &'b Principal, member: &str) -> Option<Borrowed<'b>> {
        Some(match member {
            "authority" => text(&principal.authority),
            "subject" => text(&principal.subject),
            "application" => text(principal.application.as_deref()?),
            "scopes" => words(&principal.scopes),
            "roles" => words(&principal.roles),
            "groups" => list(self.request.groups().map(text)),
            "credential" => text(principal.credential.as_str()),
            "strength" => text(principal.strength.as_str()),
            "claims" => map(principal.claims.iter().map(|(name, value)| (Cow::Borrowed(&**name), claim(value)))),
            _ => claim(principal.claim(member.strip_prefix("claims.").filter(|name| is_plain(name))?)?),
        })
    }

    fn of_client(&self, member: &str) -> Option<Borrowed<'_>> {
        let address = self.request.address.filter(|_| member == "address")?;
        Some(Box::new(CelString::from(address.to_string())))
    }

    /// `path`: each parameter's value; `query`: each parameter's values, in order.
    fn of_parameters(&self, member: &str) -> Option<Borrowed<'_>> {
        let pairs = || query_pairs(self.request.head.query().unwrap_or_default());
        let decoded = |text: &[u8]| owned(&decode(text));
        match member.split_once('.') {
            None if member == "path" => {
                Some(map(self.one.values.iter().map(|(name, value)| (Cow::Borrowed(&**name), lossy(value)))))
            }
            None if member == "query" => {
                let mut values: HashMap<String, Vec<Borrowed<'_>>> = HashMap::new();
                for (name, value) in pairs() {
                    let name = String::from_utf8_lossy(&decode(name)).into_owned();
                    values.entry(name).or_default().push(decoded(value));
                }
                Some(map(values.into_iter().map(|(name, values)| (Cow::Owned(name), list(values.into_iter())))))
            }
            Some(("path", name)) if is_plain(name) => self.one.value(name).map(lossy),
            Some(("query", name)) if is_plain(name) => {
                let named = pairs().filter(|(other, _)| String::from_utf8_lossy(&decode(other)) == name);
                let values: Vec<Borrowed<'_>> = named.map(|(_, value)| decoded(value)).collect();
                (!values.is_empty()).then(|| list(values.into_iter()))
            }
            _ => None,
        }
    }
}

/// Whether what CEL asks for is one name, and no member of something named so.
fn is_plain(name: &str) -> bool {
    !name.contains('.')
}

fn claim(value: &ClaimValue) -> Borrowed<'_> {
    match value {
        ClaimValue::Text(value) => text(value),
        ClaimValue::Number(value) => number(*value),
        ClaimValue::Boolean(boolean) => Box::new(CelBool::from(*boolean)),
        ClaimValue::List(items) => words(items),
        ClaimValue::Numbers(items) => list(items.iter().copied().map(number)),
    }
}

fn text(text: &str) -> Borrowed<'_> {
    Box::new(CelString::from(text))
}

fn lossy(bytes: &[u8]) -> Borrowed<'_> {
    Box::new(CelString::from(String::from_utf8_lossy(bytes)))
}

fn owned<'v>(bytes: &[u8]) -> Borrowed<'v> {
    Box::new(CelString::from(String::from_utf8_lossy(bytes).into_owned()))
}

fn number<'v>(number: i64) -> Borrowed<'v> {
    Box::new(CelInt::from(number))
}

fn words(words: &[Box<str>]) -> Borrowed<'_> {
    list(words.iter().map(|word| text(word)))
}

fn list<'v>(items: impl Iterator<Item = Borrowed<'v>>) -> Borrowed<'v> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

fn map<'v>(members: impl Iterator<Item = (Cow<'v, str>, Borrowed<'v>)>) -> Borrowed<'v> {
    let key = |name| match name {
        Cow::Borrowed(name) => CelMapKey::from(name),
        Cow::Owned(name) => CelMapKey::from(name),
    };
    Box::new(CelMap::from(members.map(|(name, value)| (key(name), value)).collect::<HashMap<_, _>>()))
}

/// Every member that is there.
fn all<'v>(names: &[&'static str], member: impl Fn(&str) -> Option<Borrowed<'v>>) -> Borrowed<'v> {
    map(names.iter().filter_map(|name| Some((Cow::Borrowed(*name), member(name)?))))
}
