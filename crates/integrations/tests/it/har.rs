//! HAR files.

use bartizan_integrations::tell::{Format, ReadOptions, Reason};

use super::{read, read_with, shown};

const BROWSER: &str = include_str!("../samples/browser.har");

#[test]
fn an_export_is_read_leniently_entry_by_entry() {
    insta::assert_snapshot!("browser", shown(read(Format::Har, BROWSER.as_bytes())));
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_whole() {
    let whole = read(Format::Har, BROWSER.as_bytes());
    let second = BROWSER.find("\"_resourceType\": \"fetch\"").unwrap();
    let items = read(Format::Har, &BROWSER.as_bytes()[..second + 40]);
    assert_eq!(items[0], whole[0]);
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].line, 2);
    assert_eq!(items[1].exchange.as_ref().unwrap_err().reason, Reason::Truncated);
}

#[test]
fn an_entry_over_the_limit_is_skipped_and_the_next_is_read() {
    let entry = |path: &str| format!(r#"{{"request":{{"method":"GET","url":"http://a/{path}"}}}}"#);
    let document = format!(r#"{{"log":{{"entries":[{},{}]}}}}"#, entry(&"x".repeat(200)), entry("short"));
    let options = ReadOptions { line_bytes_max: 100, ..ReadOptions::default() };
    let items = read_with(Format::Har, options, document.as_bytes());
    assert_eq!(items[0].exchange.as_ref().unwrap_err().reason, Reason::TooLong);
    assert_eq!(items[1].exchange.as_ref().unwrap().request.target, b"/short");
    assert_eq!(items.len(), 2);
}

#[test]
fn a_document_without_entries_is_said_to_be_none() {
    for document in ["", "{}", "hello", r#"{"log":{"version":"1.2"}}"#, r#"{"entries":[{}]}"#] {
        let items = read(Format::Har, document.as_bytes());
        assert_eq!(items.len(), 1, "{document}");
        assert_eq!(items[0].exchange.as_ref().unwrap_err().reason, Reason::Syntax, "{document}");
    }
    assert_eq!(read(Format::Har, br#"{"log":{"entries":[]}}"#), []);
}
