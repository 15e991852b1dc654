//! Conditions in CEL, compiled with the Snapshot, computed for each request over values that are bounded.
//!
//! The configuration's validation keeps expressions short and flat (see `config/meaning/condition.rs`); what they go
//! through is bounded here. A condition allows: one that cannot be computed (a member that is not there, values of types
//! that cannot be compared, a result that is neither true nor false) does not hold. It must hold for every reading of the
//! path.
//! Source: the CEL language definition, github.com/google/cel-spec.

use std::collections::HashMap;
use std::sync::Arc;

use bartizan_model::{ClaimValue, Part, Principal};
use cel::common::ast::IdedExpr;
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

/// The variables that it names.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    request: bool,
    principal: bool,
    client: bool,
    parameters: bool,
}

impl Condition {
    pub(crate) fn new(text: &str) -> Self {
        let root = Parser::new().max_recursion_depth(DEPTH_MAX).parse(text).ok();
        let uses = root.as_ref().map(|root| {
            let names = root.references();
            Uses {
                request: names.has_variable("request"),
                principal: names.has_variable("principal"),
                client: names.has_variable("client"),
                parameters: names.has_variable("parameters"),
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
        paths.iter().find_map(|path| {
            let Some(context) = self.context(request, one, path) else {
                return fault(&checks::UNDECIDED, "the condition looks at more than it can go through");
            };
            match Value::resolve(root, &context) {
                Ok(Value::Bool(true)) => None,
                Ok(Value::Bool(false)) => fault(&checks::CONDITION, "the condition does not hold"),
                Ok(_) => fault(&checks::UNDECIDED, "the condition is neither true nor false"),
                Err(_) => fault(&checks::UNDECIDED, "the condition cannot be computed"), // the error would repeat values
            }
        })
    }

    /// The variables that it names; `None` when there is too much of something.
    fn context(&self, request: &Request<'_>, one: &Match<'_>, path: &[u8]) -> Option<Context<'static, 'static>> {
        let mut context = Context::with_env(Arc::clone(&request.cel.0));
        context.add_function("inNetwork", in_network).ok()?;
        if self.uses.request {
            context.add_variable_from_value("request", of_request(request, path)?);
        }
        if self.uses.principal {
            let value = request.caller.map_or(Value::Null, |principal| of_principal(principal, request));
            context.add_variable_from_value("principal", value);
        }
        if self.uses.client {
            let address = request.address.map(|address| ("address", text(&address.to_string())));
            context.add_variable_from_value("client", map(address.into_iter()));
        }
        if self.uses.parameters {
            context.add_variable_from_value("parameters", parameters(request, one)?);
        }
        Some(context)
    }
}

/// `inNetwork(client.address, "10.0.0.0/8")`; an address or network that is none is in nothing.
fn in_network(address: Arc<String>, network: Arc<String>) -> bool {
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let network = network.parse::<IpNet>().or_else(|_| network.parse::<std::net::IpAddr>().map(IpNet::from));
    network.is_ok_and(|network| network.contains(&address.to_canonical()))
}

/// `path` is one reading of the request's.
fn of_request(request: &Request<'_>, path: &[u8]) -> Option<Value> {
    if path.len() > BYTES_MAX {
        return None;
    }
    let clock = request.clock();
    let members = [
        ("method", text(&String::from_utf8_lossy(request.head.method))),
        ("path", text(&String::from_utf8_lossy(path))),
        ("host", text(request.host)),
        ("scheme", text(request.head.scheme.as_str())),
        ("time", Value::Int(clock.seconds)),
        ("hour", Value::Int(clock.hour)),
        ("minute", Value::Int(clock.minute)),
        ("weekday", Value::Int(clock.weekday)),
    ];
    Some(map(members.into_iter()))
}

fn of_principal(principal: &Principal, request: &Request<'_>) -> Value {
    let list = |words: &[Box<str>]| Value::List(Arc::new(words.iter().map(|word| text(word)).collect()));
    let claims = principal.claims.iter().map(|(name, value)| {
        let value = match value {
            ClaimValue::Text(value) => text(value),
            ClaimValue::Number(number) => Value::Int(*number),
            ClaimValue::Boolean(boolean) => Value::Bool(*boolean),
            ClaimValue::List(items) => list(items),
            ClaimValue::Numbers(items) => Value::List(Arc::new(items.iter().copied().map(Value::Int).collect())),
        };
        (&**name, value)
    });
    let members = [
        ("authority", text(&principal.authority)),
        ("subject", text(&principal.subject)),
        ("scopes", list(&principal.scopes)),
        ("roles", list(&principal.roles)),
        ("groups", Value::List(Arc::new(request.groups().map(text).collect()))),
        ("claims", map(claims)),
        ("credential", text(principal.credential.as_str())),
        ("strength", text(principal.strength.as_str())),
    ];
    let application = principal.application.as_deref().map(|application| ("application", text(application)));
    map(members.into_iter().chain(application))
}

/// `path`: each parameter's value; `query`: each parameter's values, in order.
fn parameters(request: &Request<'_>, one: &Match<'_>) -> Option<Value> {
    let path = one.values.iter().map(|(name, value)| (&**name, text(&String::from_utf8_lossy(value))));
    let query = request.head.query().unwrap_or_default();
    if query.len() > BYTES_MAX {
        return None;
    }
    let mut values: HashMap<String, Vec<Value>> = HashMap::new();
    for (count, (name, value)) in query_pairs(query).enumerate() {
        if count == PAIRS_MAX {
            return None;
        }
        let name = String::from_utf8_lossy(&decode(name)).into_owned();
        values.entry(name).or_default().push(text(&String::from_utf8_lossy(&decode(value))));
    }
    let query: HashMap<String, Value> = values.into_iter().map(|(name, values)| (name, Value::from(values))).collect();
    Some(map([("path", map(path)), ("query", Value::from(query))].into_iter()))
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn map<'n>(members: impl Iterator<Item = (&'n str, Value)>) -> Value {
    let members: HashMap<String, Value> = members.map(|(name, value)| (name.to_owned(), value)).collect();
    Value::from(members)
}
