//! A parameter of a request as it was seen: its place, name and the kind of its value, never the value.

use serde::{Deserialize, Serialize};

use crate::ValueKind;

/// Where a parameter stands; OpenAPI's `in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterPlace {
    /// A variable segment of the path template
    Path,
    /// The query string
    Query,
    /// A header field that is not one of HTTP's own
    Header,
    /// A cookie
    Cookie,
}

impl ParameterPlace {
    /// OpenAPI's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// One parameter seen in one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parameter {
    /// Where it stands
    pub place: ParameterPlace,
    /// Its name, cut at 128 bytes; `[]` and indices kept as sent
    pub name: Box<str>,
    /// What its value looks like
    pub kind: ValueKind,
}
