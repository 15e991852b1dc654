//! What people write in a policy of attack rules.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Size, size_bounds};
use crate::defaults;

/// Attack rules in SecLang: our own, the OWASP Core Rule Set, and files of your own. A request that they refuse is
/// answered 403, or with the rule's own status.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Threats {
    /// Folder of the OWASP Core Rule Set: as released (`crs-setup.conf` or its `.example`, and `rules/`), or Debian's
    /// `/usr/share/modsecurity-crs`; relative to this document's folder. Without it, none of its rules run.
    #[schemars(length(min = 1), extend("title" = "directory"), example = &"/usr/share/modsecurity-crs")]
    pub core_rule_set: Option<String>,
    /// Further rule files, read after it; relative to this document's folder.
    #[schemars(inner(length(min = 1)), example = vec!["rules/extra.conf"])]
    pub files: Vec<String>,
    /// Run the rules that come with Bartizan.
    pub own_rules: bool,
    /// Paranoia level: how suspicious the rules are. Without it, what `crs-setup.conf` says, else 1.
    #[schemars(range(min = defaults::PARANOIA.min, max = defaults::PARANOIA.max), example = 1)]
    pub paranoia: Option<u32>,
    /// Score from which a request is refused; a critical rule adds 5. Without it, what `crs-setup.conf` says, else 5.
    #[schemars(range(min = defaults::ANOMALY_THRESHOLD.min, max = defaults::ANOMALY_THRESHOLD.max), example = 5)]
    pub anomaly_threshold: Option<u32>,
    /// Run rules over responses too. In `enforce`, response bodies of the media types that rules look at are held back
    /// until they are judged.
    pub responses: bool,
    /// Bytes of a body that rules look at, after decompression. Of a larger body the first bytes are looked at, and the
    /// event says so.
    #[schemars(extend("x-bounds" = size_bounds(defaults::THREAT_BODY_BYTES)))]
    pub body_bytes_max: Size,
    /// What rules shall not look at: false positives, told apart as narrowly as you can.
    pub exclusions: Vec<Exclusion>,
}

/// Rules that do not run, or do not look at one member of a request. `scope` of the policy narrows them further.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// The rules: an id, a range of ids, or a tag.
    pub rule: RuleName,
    /// Parameter in query, form or JSON that they shall not look at: its name, or its path in JSON, in which `*` stands
    /// for one name or index.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"items.*.note")]
    pub parameter: Option<String>,
    /// Header field that they shall not look at.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"x-filter")]
    pub header: Option<String>,
    /// Cookie that they shall not look at.
    #[schemars(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX), example = &"preferences")]
    pub cookie: Option<String>,
}

/// Rules, as people name them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RuleName {
    /// A rule's id
    Id(u64),
    /// A range of ids, or a tag
    Text(String),
}

impl JsonSchema for RuleName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RuleName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "rule id, range of ids or tag",
            "description": "Rules: an id, a range of ids such as `942000-942999`, or a tag.",
            "type": ["string", "integer"],
            "minimum": 1,
            "maximum": u32::MAX,
            "minLength": 1,
            "maxLength": defaults::MEMBER_NAME_CHARS_MAX,
            "examples": [942_100],
        })
    }
}

impl Default for Threats {
    fn default() -> Self {
        Self {
            core_rule_set: None,
            files: Vec::new(),
            own_rules: true,
            paranoia: None,
            anomaly_threshold: None,
            responses: false,
            body_bytes_max: Size::default_of(defaults::THREAT_BODY_BYTES),
            exclusions: Vec::new(),
        }
    }
}
