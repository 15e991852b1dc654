//! The configuration reference as Markdown, generated from the JSON Schema, so that it cannot say anything else than
//! what is checked.

use std::fmt::Write;

use serde_json::Value;

/// What stands above the tables.
const INTRODUCTION: &str = "\
<!-- generated from crates/config/src/document.rs by `cargo xtask bless`; do not edit -->
# Configuration reference

Bartizan reads one YAML file. Unknown keys are refused, every fault of a file is told at once with its line and column
(`bartizan check FILE`), and a key without a value is a fault, never a default.
[`examples/minimal.yaml`](examples/minimal.yaml) is the shortest file, [`examples/bartizan.yaml`](examples/bartizan.yaml)
sets everything, and [`bartizan.schema.json`](bartizan.schema.json) lets an editor complete and check while you write.

- A **duration** is digits and `ms`, `s`, `m`, `h` or `d`: `500ms`, `30s`, `5m`, `7d`.
- A **size** is bytes, or digits and `KiB`, `MiB`, `GiB` or `TiB`: `4096`, `64KiB`, `1MiB`, `10GiB`.
- A **network** is an address or a prefix: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
- A **path pattern** is a path in which `*` stands for one segment and a final `**` for any rest.
- Relative file names are taken from the folder of the configuration file.
";

/// The reference: every key with its type, default, bounds, example and meaning.
pub fn reference_markdown() -> String {
    let schema = crate::schema();
    let mut text = INTRODUCTION.to_owned();
    // sections yet to write, last first: path and schema node
    let mut sections = vec![(String::new(), &schema)];
    while let Some((path, node)) = sections.pop() {
        section(&mut text, &schema, &path, node);
        let members = node.get("properties").and_then(Value::as_object).into_iter().flatten();
        let inner = members.filter_map(|(key, member)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            subsection(&schema, path, member)
        });
        let at = sections.len();
        sections.extend(inner);
        if let Some(added) = sections.get_mut(at..) {
            added.reverse(); // the first is popped first
        }
    }
    text
}

/// The section that a setting gets of its own: mappings, and lists of them.
fn subsection<'s>(schema: &'s Value, path: String, member: &'s Value) -> Option<(String, &'s Value)> {
    let node = resolved(schema, member);
    match node.get("items") {
        Some(items) => {
            let items = resolved(schema, items);
            items.get("properties").is_some().then(|| (format!("{path}[]"), items))
        }
        None => node.get("properties").is_some().then_some((path, node)),
    }
}

fn section(text: &mut String, schema: &Value, path: &str, node: &Value) {
    let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
    let description = word(node, "description").unwrap_or_default();
    let _ = write!(text, "\n## {title}\n\n{}\n\n", description.replace('\n', " "));
    text.push_str("| key | type | default | bounds | example | meaning |\n|---|---|---|---|---|---|\n");
    let required: Vec<&str> =
        node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, member) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let target = resolved(schema, member);
        let default = match member.get("default").or_else(|| target.get("default")) {
            _ if required.contains(&key.as_str()) => "**required**".to_owned(),
            Some(Value::Object(_)) | None => "–".to_owned(),
            Some(Value::Array(items)) if items.is_empty() => "none".to_owned(),
            Some(value) => code(value),
        };
        let cells = [
            format!("`{key}`"),
            type_words(schema, member),
            default,
            bounds(member, target),
            member.pointer("/examples/0").map_or_else(|| "–".to_owned(), code),
            word(member, "description").or_else(|| word(target, "description")).unwrap_or_default().replace('\n', " "),
        ];
        let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    for (key, member) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let node = resolved(schema, member);
        choices(text, schema, key, node.get("items").map_or(node, |items| resolved(schema, items)));
    }
}

/// The choices of a setting that takes one of several words.
fn choices(text: &mut String, schema: &Value, key: &str, node: &Value) {
    let Some(choices) = node.get("oneOf").and_then(Value::as_array) else { return };
    let _ = write!(text, "\n`{key}` is one of:\n\n");
    for choice in choices {
        let description = word(choice, "description").unwrap_or_default().replace('\n', " ");
        for value in words_of(choice) {
            let _ = writeln!(text, "- `{value}`: {description}");
        }
        for (name, member) in choice.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let inner = resolved(schema, member);
            let takes: Vec<String> = inner
                .get("oneOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .flat_map(|inner| {
                    let fields = inner.get("properties").and_then(Value::as_object).into_iter().flatten();
                    let fields = fields.map(|(field, _)| format!("`{field}: …`"));
                    words_of(inner).into_iter().map(|word| format!("`{word}`")).chain(fields).collect::<Vec<_>>()
                })
                .collect();
            let takes = if takes.is_empty() { String::new() } else { format!(" It takes {}.", takes.join(", ")) };
            let _ = writeln!(text, "- `{name}: …`: {description}{takes}");
        }
    }
}

fn words_of(choice: &Value) -> Vec<&str> {
    let listed = choice.get("enum").and_then(Value::as_array).into_iter().flatten();
    choice.get("const").into_iter().chain(listed).filter_map(Value::as_str).collect()
}

fn type_words(schema: &Value, member: &Value) -> String {
    let node = resolved(schema, member);
    if let Some(title) = word(member, "title").or_else(|| word(node, "title")) {
        return title.to_owned();
    }
    if node.get("oneOf").is_some() {
        return "choice".to_owned();
    }
    match word(node, "type") {
        Some("array") => {
            let items = node.get("items").map_or_else(|| "value".to_owned(), |items| type_words(schema, items));
            if items == "mapping" { "list of mappings".to_owned() } else { format!("list of {items}") }
        }
        Some("object") => "mapping".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "`true`/`false`".to_owned(),
        Some(other) => other.to_owned(),
        None => "choice".to_owned(),
    }
}

fn bounds(member: &Value, target: &Value) -> String {
    if let Some(bounds) = word(member, "x-bounds") {
        return bounds.to_owned();
    }
    let number = |keyword| member.get(keyword).or_else(|| target.get(keyword));
    match (number("minimum"), number("maximum"), number("minItems"), number("maxLength")) {
        (Some(min), Some(max), _, _) => format!("{min} to {max}"),
        (_, _, Some(min), _) => format!("at least {min}"),
        (_, _, _, Some(max)) => format!("at most {max} characters"),
        _ => "–".to_owned(),
    }
}

/// `node`, or what its `$ref` points at.
fn resolved<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
    word(node, "$ref").and_then(|target| schema.pointer(target.trim_start_matches('#'))).unwrap_or(node)
}

fn word<'s>(node: &'s Value, keyword: &str) -> Option<&'s str> {
    node.get(keyword).and_then(Value::as_str)
}

fn code(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}
