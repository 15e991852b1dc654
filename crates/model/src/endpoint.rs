//! An endpoint: host + method + path template, as *observed*. What a contract documents is an operation.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::PathTemplate;

/// Stable id of an endpoint: 64 bits of BLAKE3 over method, host and template. Text form: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    /// The id of this method, host and template. Parameter names do not count: renaming one keeps the id.
    pub fn of(method: &str, host: &str, template: &PathTemplate) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(method.as_bytes()).update(b" ").update(host.as_bytes());
        for segment in template.segments() {
            match segment {
                crate::Segment::Literal(literal) => hasher.update(b"/").update(literal.as_bytes()),
                crate::Segment::Parameter(_) => hasher.update(b"/{}"),
            };
        }
        let mut id = [0; 8];
        hasher.finalize_xof().fill(&mut id);
        Self(u64::from_be_bytes(id))
    }

    /// The id as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for EndpointId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for EndpointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An observed endpoint: what the catalog teaches the engine through the next Snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Method, as sent
    pub method: Box<str>,
    /// Host in lower case, without a default port
    pub host: Box<str>,
    /// Path template
    pub template: PathTemplate,
}

impl Endpoint {
    /// This endpoint's id.
    pub fn id(&self) -> EndpointId {
        EndpointId::of(&self.method, &self.host, &self.template)
    }
}

impl fmt::Display for Endpoint {
    /// `GET api.example.com /users/{id}`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.host, self.template)
    }
}

/// The endpoint an event belongs to: cheap to clone, shared with the Snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRef {
    /// Its id
    pub id: EndpointId,
    /// Its template as text
    pub template: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(template: &str) -> EndpointId {
        EndpointId::of("GET", "a.example", &template.parse().unwrap())
    }

    #[test]
    fn a_parameters_name_does_not_change_the_id() {
        assert_eq!(id("/users/{id}"), id("/users/{userId}"));
        assert_ne!(id("/users/{id}"), id("/users/me"));
        assert_eq!(id("/a").to_string().parse(), Ok(id("/a")));
    }
}
