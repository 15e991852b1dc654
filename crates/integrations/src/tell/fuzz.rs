//! Fuzz targets: plain functions over bytes, one a format. Whatever the bytes, they return, and what was read can be
//! masked, written and read back.

use std::io::Cursor;

use super::{AccessLog, FieldMap, Format, Masking, ReadOptions, Reader, Writer, detect};

/// LIMIT: small, so that fuzzing reaches the paths for long lines.
const LINE_BYTES_MAX: usize = 4096;

/// The interchange format.
pub fn exchanges(input: &[u8]) {
    read_all(Format::Exchanges, input);
}

/// HAR.
pub fn har(input: &[u8]) {
    read_all(Format::Har, input);
}

/// Every access log, text and JSON, and a field map.
pub fn access_log(input: &[u8]) {
    let _ = detect(input);
    let fields = ["request=a.b", "status=/c/0", "time=t", "client=t", "header.x=a.b", "duration_s=d"];
    let logs = [
        AccessLog::Auto,
        AccessLog::Combined,
        AccessLog::NginxJson,
        AccessLog::Haproxy,
        AccessLog::Envoy,
        AccessLog::AwsApiGateway,
    ];
    for log in logs.into_iter().chain(FieldMap::parse(fields).ok().map(AccessLog::Fields)) {
        read_all(Format::AccessLog(log), input);
    }
}

/// Masking, of a body and a target.
pub fn mask(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let line = serde_json::json!({
        "request": {"method": "POST", "url": format!("https://a.example/{text}"),
                    "headers": [["cookie", text], ["authorization", text], ["location", text]], "body": text},
        "response": {"status": 200, "headers": [["content-type", "application/x-www-form-urlencoded"]], "body": text},
    });
    read_all(Format::Exchanges, line.to_string().as_bytes());
}

fn read_all(format: Format, input: &[u8]) {
    let options = ReadOptions { line_bytes_max: LINE_BYTES_MAX, ..ReadOptions::default() };
    let mut masked = Writer::masked(Vec::new(), Masking::new([7; 32]));
    let mut plain = Writer::as_is(Vec::new());
    let mut exchanges = Vec::new();
    for item in Reader::open(format, options, Box::new(Cursor::new(input.to_vec()))) {
        match item.exchange {
            Ok(exchange) => {
                // A time beyond the year 9999 has no text form.
                let is_writable = exchange.time.is_none_or(|time| time.to_string().parse() == Ok(time));
                if is_writable && masked.write(&exchange).is_ok() && plain.write(&exchange).is_ok() {
                    exchanges.push(exchange);
                }
            }
            Err(bad) => assert!(bad.to_string().len() < 1000, "a report stays short"),
        }
    }
    let again = |bytes: Vec<u8>| {
        let reader = Reader::open(Format::Exchanges, ReadOptions::default(), Box::new(Cursor::new(bytes)));
        reader.map(|item| item.exchange).collect::<Vec<_>>()
    };
    assert_eq!(again(masked.into_inner()).iter().filter(|exchange| exchange.is_ok()).count(), exchanges.len());
    assert!(again(plain.into_inner()).into_iter().eq(exchanges.into_iter().map(Ok)), "written and read is the same");
}
