//! The OpenAPI document: kept in `docs/api.json`, and complete.

use std::path::Path;

use serde_json::Value;

use crate::client::DOCUMENT;
use crate::world::World;

#[test]
fn the_kept_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.json");
    let mut text = serde_json::to_string_pretty(&*DOCUMENT).unwrap();
    text.push('\n');
    if std::env::var_os("BARTIZAN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/api.json is out of date; run `cargo xtask bless`");
    let world = World::new(0);
    assert_eq!(world.admin().get("/openapi.json").expect(200).json, *DOCUMENT);
}

#[test]
fn every_operation_says_what_it_answers_and_what_it_takes() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name}: no summary");
            assert!(operation["security"].is_array(), "{name}: does not say who may");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: no success");
            assert!(responses.contains_key("default"), "{name}: no refusal");
            let documented: Vec<&str> = parameters(operation).collect();
            for variable in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                assert!(documented.contains(&variable), "{name}: `{variable}` is not documented");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let mut pending = vec![&*DOCUMENT];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                pending.extend(members.values());
            }
            Value::Array(items) => pending.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn parameters(operation: &Value) -> impl Iterator<Item = &str> {
    operation["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["name"].as_str())
}
