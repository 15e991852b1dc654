//! The generated documents in `docs/` are those of this code. `BARTIZAN_BLESS=1` (`cargo xtask bless`) rewrites them.

use std::path::Path;

use serde_json::Value;

fn check(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("BARTIZAN_BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/{file} is not what the code says; regenerate with `cargo xtask bless`");
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    check("bartizan.schema.json", &format!("{}\n", serde_json::to_string_pretty(&bartizan_config::schema()).unwrap()));
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    check("configure.md", &bartizan_config::reference_markdown());
}

/// Calls `look` with the path and the schema of each setting.
fn each_setting(schema: &Value, look: &mut dyn FnMut(&str, &str, &Value)) {
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, node)| (name.as_str(), node));
    for (name, node) in definitions.chain([("Document", schema)]) {
        for (key, setting) in node["properties"].as_object().into_iter().flatten() {
            look(name, key, setting);
        }
    }
}

#[test]
fn every_setting_is_described() {
    let mut count = 0;
    each_setting(&bartizan_config::schema(), &mut |name, key, setting| {
        count += 1;
        assert!(setting.get("description").is_some(), "{name}.{key} has no description");
    });
    assert!(count > 50, "only {count} settings");
}

#[test]
fn no_setting_takes_null() {
    let text = bartizan_config::schema().to_string();
    assert!(!text.contains("null"), "a key without a value must never mean the default");
}
