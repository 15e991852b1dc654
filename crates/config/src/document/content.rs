//! What people write in a policy of threat limits.

use std::collections::BTreeMap;

use bartizan_content::{Limit, Limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Size, size_bounds};
use crate::defaults;

/// Threat limits: how deep, how many and how long the parts of a request may be, and what they may not match. What goes
/// beyond a limit is answered 422, a malformed body 400, a decompression bomb 413, a match 403.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// Bytes of a body that are looked at. A larger body passes with a note in the event: set the API's
    /// `body_bytes_max` no higher to refuse it.
    #[schemars(extend("x-bounds" = size_bounds(defaults::CONTENT_BODY_BYTES)))]
    pub body_bytes_max: Size,
    /// Limits by their names; those not written keep their defaults.
    pub limits: ContentLimits,
    /// Refuse bodies that break the grammar of their media type. When not, they are only noted.
    pub refuse_malformed: bool,
    /// Extensions that the names of uploaded files may have (multipart), without the point. Without any, all.
    #[schemars(inner(length(min = 1, max = 32)), example = vec!["png", "pdf"])]
    pub file_extensions: Vec<String>,
    /// Media types that uploaded files may have (multipart), as the client declares them. Without any, all.
    #[schemars(inner(length(min = 1, max = 128)), example = vec!["image/png", "application/pdf"])]
    pub file_types: Vec<String>,
    /// Regular expressions that must match nowhere. They take linear time: no look-around, no back-references.
    pub patterns: Vec<Pattern>,
}

/// A regular expression that must not match a part of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Name, unique in its list: letters, digits, `-`, `_` and `.`; the event tells it.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"no-scripts")]
    pub name: String,
    /// Which part it looks at.
    pub part: PatternPart,
    /// The one member of the part that it looks at: a parameter, a field, a cookie, or a path in JSON in which `*`
    /// stands for one name or index. Without it, every member.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"items.*.note")]
    pub member: Option<String>,
    /// The expression (Rust's `regex`, over bytes). It looks at decoded values.
    #[schemars(length(min = 1, max = defaults::PATTERN_CHARS_MAX), example = &"(?i)<script")]
    pub pattern: String,
}

/// A part of a request that a pattern looks at.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatternPart {
    /// The path.
    Path,
    /// Values of the query's parameters.
    Query,
    /// Values of header fields.
    Header,
    /// Values of cookies.
    Cookie,
    /// Values of a form's fields, multipart ones too.
    Form,
    /// Values in a JSON body.
    Json,
    /// Texts and attributes of an XML body.
    Xml,
}

/// Limits by their names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentLimits(pub(crate) BTreeMap<String, u32>);

impl JsonSchema for ContentLimits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ContentLimits".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let defaults = Limits::default();
        let properties: Map<String, Value> = Limit::ALL
            .iter()
            .map(|limit| {
                let number = defaults.of(*limit);
                let mut node = json!({
                    "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": limit.text(),
                });
                if let (Some(node), true) = (node.as_object_mut(), number < u32::MAX) {
                    node.insert("default".to_owned(), number.into());
                }
                (limit.name().to_owned(), node)
            })
            .collect();
        json_schema!({
            "description": "Limits on what a request may hold, named as Apigee's threat protection names them where it does.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

impl Default for Content {
    fn default() -> Self {
        Self {
            body_bytes_max: Size::default_of(defaults::CONTENT_BODY_BYTES),
            limits: ContentLimits::default(),
            refuse_malformed: true,
            file_extensions: Vec::new(),
            file_types: Vec::new(),
            patterns: Vec::new(),
        }
    }
}
