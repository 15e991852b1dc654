//! Integration tests of the readers and the writer of recorded traffic, and of audit logs.

mod access_log;
mod audit_log;
mod exchanges;
mod har;
mod hostile;
mod masking;

use std::io::BufReader;

use bartizan_integrations::tell::{BadLine, Format, Item, ReadOptions, Reader, Writer};
use bartizan_model::Exchange;

/// Reads `text` as `format`.
fn read(format: Format, text: &[u8]) -> Vec<Item> {
    read_with(format, ReadOptions::default(), text)
}

fn read_with(format: Format, options: ReadOptions, text: &[u8]) -> Vec<Item> {
    let input = std::io::Cursor::new(text.to_vec());
    Reader::open(format, options, Box::new(BufReader::with_capacity(64, input))).collect()
}

/// The one exchange in `text`.
fn read_one(format: Format, text: &str) -> Exchange {
    let mut items = read(format, text.as_bytes());
    assert_eq!(items.len(), 1, "{text}");
    items.remove(0).exchange.unwrap_or_else(|bad| panic!("{bad}: {text}"))
}

/// Why the one line in `text` is bad.
fn read_bad(format: Format, text: &str) -> BadLine {
    let mut items = read(format, text.as_bytes());
    assert_eq!(items.len(), 1, "{text}");
    items.remove(0).exchange.expect_err(text)
}

/// What a reader made of a sample, as lines of the interchange format, and its complaints.
fn shown(items: Vec<Item>) -> String {
    let mut lines = String::new();
    for item in items {
        match item.exchange {
            Ok(exchange) => {
                let mut writer = Writer::as_is(Vec::new());
                writer.write(&exchange).expect("memory takes it");
                lines.push_str(&format!("{} {}", item.line, String::from_utf8(writer.into_inner()).expect("JSON")));
            }
            Err(bad) => {
                let kind = if bad.reason.is_fault() { "bad" } else { "skipped" };
                lines.push_str(&format!("{} {kind} {}: {bad}\n", item.line, bad.reason.as_str()));
            }
        }
    }
    lines
}
