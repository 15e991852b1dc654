//! Every file of `faulty/` with the diagnostics it gets: a snapshot each, to be read as a person would read them.

use std::fmt::Write;
use std::path::Path;

use bartizan_config::parse;

#[test]
fn every_fault_of_a_file_is_told_with_its_place() {
    insta::glob!("faulty/*.yaml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let parsed = parse(&text, name, Path::new("/etc/bartizan"));
        assert!(!parsed.diagnostics.is_empty(), "{name} is faultless");
        assert_eq!(parsed.config.is_some(), name.starts_with("warning_"), "{name}");
        let mut told = String::new();
        for diagnostic in &parsed.diagnostics {
            writeln!(told, "{diagnostic}").unwrap();
        }
        insta::assert_snapshot!(told);
    });
}

#[test]
fn a_file_beyond_one_mebibyte_is_not_read() {
    let text = format!("# {}\n", "x".repeat(1 << 20));
    let parsed = parse(&text, "large.yaml", Path::new(""));
    assert_eq!(parsed.config, None);
    assert_eq!(parsed.diagnostics[0].code, "CFG-001");
}

#[test]
fn ten_thousand_faults_are_told_in_two_hundred_lines() {
    let mut text = String::from("listeners:\n");
    for number in 0..10_000 {
        writeln!(text, "  - adress: 127.0.0.1:{number}").unwrap();
    }
    let parsed = parse(&text, "many.yaml", Path::new(""));
    assert!((200..=202).contains(&parsed.diagnostics.len()), "{}", parsed.diagnostics.len());
    assert!(parsed.diagnostics.last().unwrap().message.contains("more faults are not shown"));
}
