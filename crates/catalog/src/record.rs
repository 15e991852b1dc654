//! What is known of an endpoint, as the catalog shows it: a plain copy to read, serialize and print.
//!
//! The catalog itself counts in [`Tally`](crate::tally::Tally); a record is made of one when somebody asks.

use bartizan_model::{ActorKind, AuthKind, Endpoint, EndpointId, ParameterPlace, PathTemplate, Timestamp, ValueKind};
use serde::{Deserialize, Serialize};

/// How sure the catalog is that an endpoint exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Asked for, but never answered below 400, and by too few actors
    Candidate,
    /// The upstream answered for it
    Discovered,
}

impl EndpointState {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Discovered => "discovered",
        }
    }
}

/// Everything known of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Its id
    pub id: EndpointId,
    /// Method, as sent
    pub method: Box<str>,
    /// Host in lower case
    pub host: Box<str>,
    /// Path template with named parameters
    pub template: PathTemplate,
    /// API that the route belongs to
    pub api: Option<Box<str>>,
    /// Candidate or discovered
    pub state: EndpointState,
    /// Time of its first event
    pub first_seen: Timestamp,
    /// Time of its latest event
    pub last_seen: Timestamp,
    /// Events in all
    pub requests: u64,
    /// Events whose deny was applied
    pub denied: u64,
    /// Events that ended in a failure, or with a status of 500 and above
    pub errors: u64,
    /// Events by status, ascending; 0 where no status went out
    pub statuses: Vec<StatusCount>,
    /// Events by kind of credential; an event counts once for each kind it carried
    pub auth: Vec<AuthCount>,
    /// Media types of request bodies
    pub request_types: Vec<NamedCount>,
    /// Media types of response bodies
    pub response_types: Vec<NamedCount>,
    /// Parameters by place and name
    pub parameters: Vec<ParameterRecord>,
    /// The callers with most events, most first
    pub callers: Vec<CallerRecord>,
    /// How many callers there were; exact up to 64, then within about 3 %
    pub callers_distinct: u64,
    /// At most five paths as seen, masked
    pub paths_sample: Vec<Box<str>>,
    /// Path segments that are parameters, and whether that can be taken back
    pub merges: Vec<MergeRecord>,
}

impl EndpointRecord {
    /// The endpoint itself.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { method: self.method.clone(), host: self.host.clone(), template: self.template.clone() }
    }
}

/// Events with one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCount {
    /// Status code, 0 where none went out
    pub status: u16,
    /// Events
    pub count: u64,
}

/// Events with one kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthCount {
    /// The kind; `None` for events without any credential
    pub kind: Option<AuthKind>,
    /// Events
    pub count: u64,
}

/// Events with one name, such as a media type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
    /// The name; `(other)` for what no longer fitted
    pub value: Box<str>,
    /// Events
    pub count: u64,
}

/// One parameter of an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterRecord {
    /// Where it stands
    pub place: ParameterPlace,
    /// Its name; for the path, the template's
    pub name: Box<str>,
    /// Type that its values fit
    pub data_type: ParameterType,
    /// Values by kind, most first
    pub kinds: Vec<KindCount>,
    /// Events that carried it
    pub seen: u64,
    /// Events that carried it, of all events of the endpoint, 0 to 1
    pub share: f64,
}

/// Values of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind
    pub kind: ValueKind,
    /// Values
    pub count: u64,
}

/// Type of a parameter: OpenAPI's `type`, with `format` where one is clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// `type: boolean`
    Boolean,
    /// `type: integer`
    Integer,
    /// `type: number`
    Number,
    /// `type: string`
    String,
    /// `type: string, format: uuid`
    Uuid,
    /// `type: string, format: date`
    Date,
    /// `type: string, format: date-time`
    DateTime,
    /// `type: string, format: email`
    Email,
    /// `type: string, format: uri`
    Uri,
    /// `type: string, format: ipv4` or `ipv6`
    Ip,
}

impl ParameterType {
    /// The word in the API: `integer`, `string`, or `string(uuid)`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Uuid => "string(uuid)",
            Self::Date => "string(date)",
            Self::DateTime => "string(date-time)",
            Self::Email => "string(email)",
            Self::Uri => "string(uri)",
            Self::Ip => "string(ip)",
        }
    }
}

/// One caller of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerRecord {
    /// What the actor was recognized by
    pub kind: ActorKind,
    /// The actor's id
    pub id: Box<str>,
    /// Events; an upper bound once the list was full
    pub count: u64,
    /// Time of the latest
    pub last_seen: Timestamp,
}

/// One path segment that is a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRecord {
    /// Index of the segment in the template, from 0
    pub position: usize,
    /// The parameter's name
    pub name: Box<str>,
    /// Distinct values seen; exact up to 64
    pub values_seen: u64,
    /// Some of the values
    pub sample: Vec<Box<str>>,
    /// Whether `undo_merge` can take it back: some of its values are still known one by one
    pub undoable: bool,
}
