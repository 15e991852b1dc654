//! The examples in `docs/examples` are valid without a warning, and mean what their snapshots say.

use std::path::Path;

use bartizan_config::{Config, parse};

fn read(text: &str, file: &str) -> Config {
    let parsed = parse(text, file, Path::new("/etc/bartizan"));
    let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(told, [""; 0]);
    parsed.config.unwrap()
}

#[test]
fn six_lines_are_a_configuration_with_every_default_set() {
    let text = include_str!("../../../../docs/examples/minimal.yaml");
    assert_eq!(text.lines().count(), 6);
    insta::assert_debug_snapshot!(read(text, "minimal.yaml"));
}

#[test]
fn the_full_example_sets_everything() {
    let text = include_str!("../../../../docs/examples/bartizan.yaml");
    insta::assert_debug_snapshot!(read(text, "bartizan.yaml"));
}
