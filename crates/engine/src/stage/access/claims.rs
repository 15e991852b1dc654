//! The claims of a token: read with bounds, compared as a policy asks.
//!
//! Sources: RFC 7519 §4, RFC 7662 §2.2, RFC 7800 §3, RFC 8705 §3.1, RFC 9449 §6.1.

use bartizan_config::ClaimRule;
use bartizan_model::{ClaimValue, Confirmation};
use serde_json::{Map, Value};

use super::verified::{Fault, Login};
use super::{checks, jose};

/// LIMIT: audiences that are looked at.
const AUDIENCES_MAX: usize = 64;
/// LIMIT: scopes, and roles, that a principal keeps.
const WORDS_MAX: usize = 128;
/// LIMIT: bytes of each, of a subject and of an application: what OpenID Connect allows for `sub`.
const NAME_BYTES_MAX: usize = 255;
/// LIMIT: further claims that a principal keeps, and items of a list among them.
const CLAIMS_MAX: usize = 32;
const ITEMS_MAX: usize = 64;
/// LIMIT: objects within each other that claims are looked for in; Keycloak's `resource_access.CLIENT.roles` needs three.
const CLAIM_DEPTH_MAX: usize = 3;
/// Claims that are not further: they are judged, or kept by other names.
const REGISTERED: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope"];
/// Numbers beyond this are no dates, and no whole numbers in many readers (RFC 7493 §2.2).
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// The claims of one token.
#[derive(Debug)]
pub(crate) struct Claims(Map<String, Value>);

/// Whether text can name somebody: not empty, bounded, no control characters.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

impl Claims {
    /// Reads a JSON object with unique members.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        jose::object(payload).map(Self)
    }

    /// The claim of this name; a name that is no claim is a path between dots.
    fn claim(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let mut steps = name.split('.');
        let first = self.0.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }

    /// A claim of exactly this name that is text.
    pub(crate) fn registered(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name).and_then(Value::as_str)
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.claim(name).and_then(Value::as_bool)
    }

    /// A claim of exactly this name that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// A NumericDate (RFC 7519 §2) in whole seconds, `None` when it is not there.
    pub(crate) fn date(&self, name: &str) -> Result<Option<i64>, ()> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().filter(|seconds| seconds.abs() <= INTEGER_MAX).ok_or(())?;
                Ok(Some(number.as_i64().unwrap_or(seconds.floor() as i64)))
            }
            Some(_) => Err(()),
        }
    }

    /// When the user was verified. What is no date says nothing.
    pub(crate) fn login(&self) -> Login {
        let date = |name| self.date(name).ok().flatten();
        Login { authenticated_secs: date("auth_time"), issued_secs: date("iat") }
    }

    /// Whether the token is for one of `audiences` (RFC 7519 §4.1.3). Anything but text in `aud` is for nobody.
    pub(crate) fn is_for(&self, audiences: &[String]) -> bool {
        let is_ours = |audience: &str| audiences.iter().any(|ours| ours == audience);
        match self.0.get("aud") {
            Some(Value::String(only)) => is_ours(only),
            Some(Value::Array(listed)) => {
                listed.len() <= AUDIENCES_MAX
                    && listed.iter().all(Value::is_string)
                    && listed.iter().filter_map(Value::as_str).any(is_ours)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
        }
    }

    /// Whether the claim that `rule` demands is there, with one of its values.
    pub(crate) fn meets(&self, rule: &ClaimRule) -> bool {
        let is_value = |value: &Value| match value {
            Value::String(text) => rule.values.contains(text),
            Value::Number(_) | Value::Bool(_) => rule.values.contains(&value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        match self.claim(&rule.name) {
            None | Some(Value::Null) => false,
            Some(_) if rule.values.is_empty() => true,
            Some(Value::Array(listed)) => listed.iter().take(ITEMS_MAX).any(is_value),
            Some(value) => is_value(value),
        }
    }

    /// The words of a claim: text between spaces (RFC 6749 §3.3), or a list.
    pub(crate) fn words(&self, name: &str) -> Vec<Box<str>> {
        let fits = |word: &&str| is_name(word);
        match self.claim(name) {
            Some(Value::String(text)) => text.split(' ').filter(fits).take(WORDS_MAX).map(Into::into).collect(),
            Some(Value::Array(listed)) => {
                listed.iter().filter_map(Value::as_str).filter(fits).take(WORDS_MAX).map(Into::into).collect()
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        }
    }

    /// The key that the holder must prove. A confirmation that is not understood is never met (RFC 7800 §3.1).
    pub(crate) fn confirmation(&self) -> Result<Option<Confirmation>, Fault> {
        const FAULT: Fault = Fault::new(&checks::CLAIMS, "its confirmation (`cnf`) is of an unknown kind");
        let members = match self.0.get("cnf") {
            None => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(FAULT),
        };
        let mut found = members.iter();
        let (Some((kind, Value::String(text))), None) = (found.next(), found.next()) else { return Err(FAULT) };
        let thumbprint = jose::base64url(text.as_bytes()).and_then(|bytes| bytes.try_into().ok()).ok_or(FAULT)?;
        match kind.as_str() {
            "jkt" => Ok(Some(Confirmation::KeyThumbprint(thumbprint))),
            "x5t#S256" => Ok(Some(Confirmation::CertificateThumbprint(thumbprint))),
            _ => Err(FAULT),
        }
    }

    /// The members of a claim that is an object, bounded.
    pub(crate) fn members(&self, name: &str) -> Vec<(Box<str>, ClaimValue)> {
        let Some(Value::Object(members)) = self.0.get(name) else { return Vec::new() };
        let named = members.iter().filter(|(name, _)| is_name(name));
        named.filter_map(|(name, value)| Some((name.as_str().into(), value_of(value)?))).take(CLAIMS_MAX).collect()
    }

    /// The claims that policies may ask for, bounded; what lies in an object is named by its path (`realm_access.roles`).
    /// Those at the top come first: neither their names nor their room can be taken by others.
    pub(crate) fn further(&self) -> Vec<(Box<str>, ClaimValue)> {
        let is_further = |name: &str| !REGISTERED.contains(&name) && is_name(name);
        let top = self.0.iter().filter(|(name, _)| is_further(name)).map(|(name, value)| (name.clone(), value));
        let mut found: Vec<(Box<str>, ClaimValue)> = Vec::new();
        let mut level: Vec<(String, &Value)> = top.collect();
        for _ in 0..CLAIM_DEPTH_MAX {
            let mut below = Vec::new();
            for (name, value) in level {
                if found.len() == CLAIMS_MAX {
                    return found;
                }
                if let Value::Object(members) = value {
                    let path = |member: &String| format!("{name}.{member}");
                    below.extend(
                        members.iter().map(|(member, value)| (path(member), value)).filter(|(path, _)| is_name(path)),
                    );
                } else if let Some(value) = value_of(value)
                    && !found.iter().any(|(known, _)| **known == *name)
                {
                    found.push((name.into(), value));
                }
            }
            level = below;
        }
        found
    }
}

fn value_of(value: &Value) -> Option<ClaimValue> {
    match value {
        Value::String(text) => Some(ClaimValue::Text(bounded(text)?)),
        Value::Number(number) => number.as_i64().map(ClaimValue::Number),
        Value::Bool(boolean) => Some(ClaimValue::Boolean(*boolean)),
        Value::Array(items) if items.len() <= ITEMS_MAX => {
            let texts = items.iter().map(|item| bounded(item.as_str()?)).collect::<Option<_>>().map(ClaimValue::List);
            texts.or_else(|| items.iter().map(Value::as_i64).collect::<Option<_>>().map(ClaimValue::Numbers))
        }
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}

fn bounded(text: &str) -> Option<Box<str>> {
    (text.len() <= NAME_BYTES_MAX).then(|| text.into())
}
