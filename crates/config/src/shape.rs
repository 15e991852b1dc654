//! The tree against the JSON Schema: unknown and missing keys, wrong types, words and numbers out of bounds.
//!
//! `jsonschema` finds the faults, all of them; here they get positions and our words.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

use bartizan_model::{did_you_mean, excerpt, listed};

use crate::path::{SettingPath, Step};
use crate::report::{self, Fault, Report};
use crate::units;
use crate::yaml::{Content, Node};

/// LIMIT: faults that are looked at; the report shows fewer.
const FAULTS_MAX: usize = 2000;

/// LIMIT: rounds of dropping what does not fit; a value takes at most its holders with it.
const ROUNDS_MAX: usize = 16;

/// Lists that every document has.
const REQUIRED_LISTS: [&str; 2] = ["listeners", "upstreams"];

/// Reports everything in `tree` that does not fit the schema, and drops it from the tree.
///
/// What comes back is the rest as JSON, which serde can read; nothing when too little is left.
pub(crate) fn check(tree: &mut Node, report: &mut Report<'_>) -> Option<Value> {
    let schema = crate::schema();
    let validator = match jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            // our own schema is not one: a bug that every test of this crate would show
            let message = excerpt(&error.to_string());
            let fault = Fault::new(report::SCHEMA_DISAGREES, message, "this is a bug; please report it");
            report.error(None, &SettingPath::root(), fault);
            return None;
        }
    };
    let mut value = tree.to_value();
    let mut shape = Shape { schema: &schema, tree, report };
    let mut unusable = Vec::new();
    for error in validator.iter_errors(&value).take(FAULTS_MAX) {
        shape.tell(&error);
        unusable.extend(unusable_parts(&error));
    }
    if !report.has_errors() {
        return Some(value);
    }
    for _ in 0..ROUNDS_MAX {
        unusable.iter().for_each(|path| tree.mark(path));
        tree.drop_marked();
        value = tree.to_value();
        if let Value::Object(members) = &mut value {
            for name in REQUIRED_LISTS {
                members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            }
        }
        unusable = validator.iter_errors(&value).take(FAULTS_MAX).flat_map(|error| unusable_parts(&error)).collect();
        if unusable.is_empty() {
            return Some(value);
        }
    }
    None
}

/// What must go for the rest to fit: the value, the unknown keys, or the mapping that lacks something.
fn unusable_parts(error: &ValidationError<'_>) -> Vec<SettingPath> {
    let at = setting_path(error.instance_path());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected.iter().map(|key| at.key(key)).collect(),
        ValidationErrorKind::MinItems { .. } => Vec::new(), // serde and the checks take an empty list
        _ if at.0.is_empty() => Vec::new(),                 // a required list, which is filled in
        _ => vec![at],
    }
}

struct Shape<'a, 'f> {
    schema: &'a Value,
    tree: &'a Node,
    report: &'a mut Report<'f>,
}

impl<'a> Shape<'a, '_> {
    fn tell(&mut self, error: &ValidationError<'_>) {
        let at = setting_path(error.instance_path());
        let instance: &Value = error.instance();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => self.unknown_keys(error, &at, unexpected),
            ValidationErrorKind::Required { property } => {
                self.missing_key(error, &at, property.as_str().unwrap_or_default());
            }
            ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
                self.no_choice(error, &at, context);
            }
            ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => {
                let words = self.words(self.schema_around(error));
                self.unknown_word(&at, instance, &words);
            }
            ValidationErrorKind::Pattern { pattern } => self.malformed_unit(&at, instance, pattern),
            ValidationErrorKind::Minimum { limit } | ValidationErrorKind::Maximum { limit } => {
                self.out_of_range(error, &at, instance, limit);
            }
            ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MinLength { .. } => {
                let name = name_of(&at);
                let fault = Fault::new(report::EMPTY, format!("{name} is empty"), "write at least one entry");
                let fault =
                    if instance.is_string() { Fault { help: "write a value".to_owned(), ..fault } } else { fault };
                self.report.error_at(self.tree, &at, fault);
            }
            ValidationErrorKind::MaxLength { limit } => {
                let message = format!("`{}` is too long", excerpt(&self.words_at(&at, instance)));
                let fault = Fault::new(report::OUT_OF_RANGE, message, format!("use at most {limit} characters"));
                self.report.error_at(self.tree, &at, fault);
            }
            _ => self.wrong_type(error, &at, instance),
        }
    }

    fn unknown_keys(&mut self, error: &ValidationError<'_>, at: &SettingPath, unexpected: &[String]) {
        let known: Vec<&str> = self
            .schema_around(error)
            .and_then(|node| node.get("properties"))
            .and_then(Value::as_object)
            .map(|members| members.keys().map(String::as_str).collect())
            .unwrap_or_default();
        for key in unexpected {
            let place = if at.0.is_empty() { "the top level".to_owned() } else { name_of(at) };
            let message = format!("unknown key `{}` in {place}", excerpt(key));
            let help = did_you_mean(key, known.iter().copied())
                .unwrap_or_else(|| format!("known here: {}", listed(known.iter().copied())));
            let position = self.tree.key_position(at, key).or_else(|| Some(self.tree.position_of(at)));
            self.report.error(position, &at.key(key), Fault::new(report::UNKNOWN_KEY, message, help));
        }
    }

    fn missing_key(&mut self, error: &ValidationError<'_>, at: &SettingPath, key: &str) {
        let place = if at.0.is_empty() { "the document".to_owned() } else { name_of(at) };
        let example = self
            .schema_around(error)
            .and_then(|node| node.pointer(&format!("/properties/{key}/examples/0")))
            .and_then(Value::as_str);
        let help = match example {
            Some(example) => format!("add it, such as `{key}: {example}`"),
            None => format!("add `{key}:`; docs/configure.md says what goes into it"),
        };
        let fault = Fault::new(report::MISSING_KEY, format!("{place} has no `{key}`"), help);
        self.report.error_at(self.tree, at, fault);
    }

    /// A value that is none of several things: a word of a list, or a mapping with one of some keys.
    fn no_choice(&mut self, error: &ValidationError<'_>, at: &SettingPath, context: &[Vec<ValidationError<'static>>]) {
        let choices = self.schema_at(error.schema_path()).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if let Value::Object(members) = error.instance().as_ref() {
            let branch = choices.iter().position(|choice| {
                choice
                    .get("properties")
                    .and_then(Value::as_object)
                    .is_some_and(|known| members.keys().any(|key| known.contains_key(key)))
            });
            if let Some(inner) = branch.and_then(|index| context.get(index)) {
                for error in inner {
                    self.tell(error);
                }
                return;
            }
        }
        let words = self.words(self.schema_around(error));
        self.unknown_word(at, error.instance(), &words);
    }

    fn unknown_word(&mut self, at: &SettingPath, instance: &Value, words: &[String]) {
        let name = name_of(at);
        let known = || words.iter().map(String::as_str);
        if instance.is_null() {
            let fault =
                Fault::new(report::WRONG_TYPE, format!("{name} has no value"), format!("write {}", listed(known())));
            self.report.error_at(self.tree, at, fault);
            return;
        }
        let written = self.words_at(at, instance);
        let help = if words.contains(&written) {
            format!("it needs more: write `{written}:` and what it takes")
        } else {
            did_you_mean(&written, known()).unwrap_or_else(|| format!("write {}", listed(known())))
        };
        let message = format!("{name} cannot be `{}`", excerpt(&written));
        self.report.error_at(self.tree, at, Fault::new(report::UNKNOWN_WORD, message, help));
    }

    fn malformed_unit(&mut self, at: &SettingPath, instance: &Value, pattern: &str) {
        let written = self.words_at(at, instance);
        let (what, help) = match pattern {
            units::DURATION_PATTERN => ("duration", DURATION_HELP),
            units::SIZE_PATTERN => ("size", SIZE_HELP),
            units::SPAN_PATTERN => ("duration", SPAN_HELP),
            _ => ("value", "see docs/configure.md"),
        };
        let message = format!("{} is `{}`, which is not a {what}", name_of(at), excerpt(&written));
        self.report.error_at(self.tree, at, Fault::new(report::MALFORMED_UNIT, message, help));
    }

    fn out_of_range(&mut self, error: &ValidationError<'_>, at: &SettingPath, instance: &Value, limit: &Value) {
        let node = self.schema_around(error);
        let bound = |name: &str| node.and_then(|node| node.get(name)).filter(|bound| !bound.is_null());
        let bounds = match (bound("minimum"), bound("maximum")) {
            (Some(min), Some(max)) => format!("it must lie between `{min}` and `{max}`"),
            _ => format!("the bound is `{limit}`"),
        };
        let message = format!("{} is `{}`; {bounds}", name_of(at), excerpt(&self.words_at(at, instance)));
        self.report.error_at(
            self.tree,
            at,
            Fault::new(report::OUT_OF_RANGE, message, "write a value within the bounds"),
        );
    }

    fn wrong_type(&mut self, error: &ValidationError<'_>, at: &SettingPath, instance: &Value) {
        let wanted = self.schema_around(error);
        let title = wanted.and_then(|node| node.get("title")).and_then(Value::as_str);
        let kind = wanted.and_then(|node| node.get("type"));
        let name = name_of(at);
        let (expected, help) = match (title, kind.and_then(Value::as_str)) {
            (Some("duration"), _) => ("a duration", DURATION_HELP),
            (Some("size"), _) => ("a size", SIZE_HELP),
            (Some("duration or month"), _) => ("a duration", SPAN_HELP),
            (_, Some("string")) => ("text", "if it looks like a number or a truth value, quote it"),
            (_, Some("integer")) => ("a whole number", "write digits without unit and quotes"),
            (_, Some("boolean")) => ("`true` or `false`", "write `true` or `false`, without quotes"),
            (_, Some("array")) => ("a list", "begin each entry on its own line with `- `"),
            (_, Some("object")) if instance.is_boolean() && wanted.is_some_and(has_switch) => {
                ("a mapping", "write `enabled: true` or `enabled: false` below it, indented")
            }
            (_, Some("object")) => ("a mapping", "write its keys below it, indented"),
            _ => ("something else", "see docs/configure.md"),
        };
        let message = match instance {
            Value::Null => format!("{name} has no value; it takes {expected}"),
            Value::Object(_) => format!("{name} is a mapping; it takes {expected}"),
            Value::Array(_) => format!("{name} is a list; it takes {expected}"),
            _ => format!("{name} is `{}`; it takes {expected}", excerpt(&self.words_at(at, instance))),
        };
        let help = if instance.is_null() { "give it a value, or remove the key" } else { help };
        self.report.error_at(self.tree, at, Fault::new(report::WRONG_TYPE, message, help));
    }

    /// The user's words at `at`, as written.
    fn words_at(&self, at: &SettingPath, instance: &Value) -> String {
        match self.tree.find(at).map(|node| &node.content) {
            Some(Content::Scalar(_, written)) => written.clone(),
            Some(Content::List(_)) => "a list".to_owned(),
            Some(Content::Map(entries)) => {
                entries.first().map_or_else(|| "{}".to_owned(), |entry| format!("{}: …", entry.key))
            }
            None => instance.to_string(),
        }
    }

    /// Every word that a schema node takes: its constants, and the keys of its mappings.
    fn words(&self, node: Option<&Value>) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        let single = std::slice::from_ref(node);
        let choices =
            node.get("oneOf").or_else(|| node.get("anyOf")).and_then(Value::as_array).map_or(single, Vec::as_slice);
        let mut words = Vec::new();
        for choice in choices {
            let listed = choice.get("enum").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let constants = choice.get("const").into_iter().chain(listed);
            words.extend(constants.filter_map(Value::as_str).map(str::to_owned));
            words.extend(
                choice.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()),
            );
        }
        words
    }

    /// The schema node whose keyword failed.
    fn schema_around(&self, error: &ValidationError<'_>) -> Option<&'a Value> {
        let pointer = error.schema_path().as_str();
        let (node, _keyword) = pointer.rsplit_once('/')?;
        self.schema.pointer(node)
    }

    fn schema_at(&self, path: &Location) -> Option<&'a Value> {
        self.schema.pointer(path.as_str())
    }
}

const DURATION_HELP: &str = "write digits and `ms`, `s`, `m`, `h` or `d`, such as `500ms`, `30s`, `5m` or `7d`";
const SPAN_HELP: &str = "write digits and `ms`, `s`, `m`, `h` or `d`, such as `1h`, or `month`";
const SIZE_HELP: &str = "write bytes, or digits and `KiB`, `MiB`, `GiB` or `TiB`, such as `64KiB` or `1MiB`";

/// Whether a mapping can be switched off.
fn has_switch(node: &Value) -> bool {
    node.pointer("/properties/enabled").is_some()
}

/// The setting in words: its path in backticks.
fn name_of(at: &SettingPath) -> String {
    if at.0.is_empty() { "the document".to_owned() } else { format!("`{}`", excerpt(&at.to_string())) }
}

fn setting_path(location: &Location) -> SettingPath {
    let steps = location.segments().map(|segment| match segment {
        LocationSegment::Property(name) => Step::Key(name.into_owned()),
        LocationSegment::Index(index) => Step::Index(index),
    });
    SettingPath(steps.collect())
}
