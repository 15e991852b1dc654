//! Our interchange format.

use std::net::IpAddr;

use bartizan_integrations::tell::{Format, ReadOptions, Reason, Writer};
use bartizan_model::{Exchange, HttpVersion, Request, Response, Scheme, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{read, read_bad, read_one, read_with};

#[test]
fn the_line_of_the_documentation_is_read_in_full() {
    let line = r#"{"time":"2026-01-31T12:00:00.5Z","client":{"ip":"203.0.113.7"},"request":{"method":"POST","url":"https://api.example/users/42%2F7/../x?q=a+b%20c#d","http_version":"HTTP/2","headers":[["Content-Type","application/json"],["X-A","1"],["X-A","2"]],"body":"{\"name\":\"Jo\"}"},"response":{"status":201,"headers":[["Location","/users/43"]],"body_base64":"AP8="},"duration_us":1234,"label":{"attack":"none"},"added_by_others":[1,{"x":null}]}"#;
    let exchange = read_one(Format::Exchanges, line);
    let fields = |list: &[(&str, &str)]| -> Vec<(Vec<u8>, Vec<u8>)> {
        list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    };
    let expected = Exchange {
        time: Some(Timestamp::from_micros(1_769_860_800_500_000)),
        client: Some(IpAddr::from([203, 0, 113, 7])),
        request: Request {
            method: b"POST".to_vec(),
            scheme: Scheme::Https,
            authority: b"api.example".to_vec(),
            target: b"/users/42%2F7/../x?q=a+b%20c#d".to_vec(),
            version: HttpVersion::Http2,
            headers: fields(&[("Content-Type", "application/json"), ("X-A", "1"), ("X-A", "2")]),
            body: Some(br#"{"name":"Jo"}"#.to_vec()),
            body_bytes: None,
        },
        response: Some(Response {
            status: 201,
            headers: fields(&[("Location", "/users/43")]),
            body: Some(vec![0, 255]),
            body_bytes: None,
        }),
        duration_us: Some(1234),
        label: Some(serde_json::json!({"attack": "none"})),
    };
    assert_eq!(exchange, expected);
}

#[test]
fn only_the_method_and_the_url_must_be_there() {
    let exchange = read_one(Format::Exchanges, r#"{"request":{"method":"GET","url":"http://a.example"}}"#);
    assert_eq!(exchange.request.target, b"/");
    assert_eq!(exchange.request.version, HttpVersion::Http11);
    assert_eq!((exchange.time, exchange.client, exchange.response, exchange.label), (None, None, None, None));
    assert_eq!(exchange.request.body, None, "not recorded is not the same as empty");
}

#[test]
fn each_fault_has_its_reason_and_quotes_nothing() {
    let check = |line: &str, reason: Reason, words: &str| {
        let bad = read_bad(Format::Exchanges, line);
        assert_eq!(bad.reason, reason, "{line}: {bad}");
        assert!(bad.detail.contains(words), "{line}: {bad}");
        assert!(!bad.to_string().contains("hunter2"), "{bad}");
    };
    check(r#"{"request":{"method":"GET","url":"http://a/"#, Reason::Truncated, "ends in the middle");
    check("hunter2", Reason::Syntax, "the JSON is wrong");
    check(r#"{"request":{"method":"GET"}}"#, Reason::Content, "missing field `url`");
    check(r#"{"request":{"method":"GET","url":"/hunter2"}}"#, Reason::Content, "`url` is not absolute");
    check(r#"{"request":{"method":"","url":"http://a/"}}"#, Reason::Content, "`method` is empty");
    check(r#"{"time":"hunter2","request":{"method":"GET","url":"http://a/"}}"#, Reason::Content, "`time` is not");
    check(
        r#"{"request":{"method":"GET","url":"http://a/","body":"hunter2","body_base64":""}}"#,
        Reason::Content,
        "both",
    );
    check(r#"{"request":{"method":"GET","url":"http://a/","body_base64":"hunter2!"}}"#, Reason::Content, "not base64");
    check(r#"{"request":{"method":"GET","url":"http://a/","http_version":"hunter2"}}"#, Reason::Content, "HTTP/1.0");
    check(
        r#"{"request":{"method":"GET","url":"http://a/"},"response":{"status":"hunter2"}}"#,
        Reason::Content,
        "expected u16",
    );
    check(r#"{"request":{"method":"GET","url":"http://a/"},"response":{"status":7}}"#, Reason::Content, "between 100");
    check(r#"{"request":{"method":"GET","url":"http://a/"},"client":{"ip":"hunter2"}}"#, Reason::Content, "");
    check(r#"{"request":{"method":"GET","url":"http://a/","headers":[["a","b","c"]]}}"#, Reason::Syntax, "");
    let headers = format!("[{}]", vec![r#"["a","b"]"#; 1025].join(","));
    check(
        &format!(r#"{{"request":{{"method":"GET","url":"http://a/","headers":{headers}}}}}"#),
        Reason::Content,
        "more than 1024",
    );
}

#[test]
fn reading_goes_on_behind_a_bad_line_and_counts_every_line() {
    let good = r#"{"request":{"method":"GET","url":"http://a/"}}"#;
    let text = format!("{good}\n\n{{\n{good}\r\n{}\n{good}", "x".repeat(100));
    let options = ReadOptions { line_bytes_max: 80, ..ReadOptions::default() };
    let items = read_with(Format::Exchanges, options, text.as_bytes());
    let lines: Vec<(u64, Option<Reason>)> =
        items.iter().map(|item| (item.line, item.exchange.as_ref().err().map(|bad| bad.reason))).collect();
    assert_eq!(lines, [(1, None), (3, Some(Reason::Truncated)), (4, None), (5, Some(Reason::TooLong)), (6, None)]);
}

#[test]
fn an_input_that_fails_is_reported_once() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    for format in ["exchanges", "har", "access-log"] {
        let input = Box::new(std::io::BufReader::new(Broken));
        let reader = bartizan_integrations::tell::Reader::open(format.parse().unwrap(), ReadOptions::default(), input);
        let items: Vec<_> = reader.collect();
        assert_eq!(items.len(), 1, "{format}");
        let bad = items[0].exchange.as_ref().unwrap_err();
        assert_eq!(bad.reason, Reason::Unreadable);
        assert!(bad.detail.contains("the disk is gone"));
    }
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..max), "[ -~é\n\u{1F600}]{0,12}".prop_map(String::into_bytes)]
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec((bytes(8), bytes(16)), 0..4)
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        bytes(24),
        bytes(24).prop_map(|rest| [b"/", rest.as_slice()].concat()),
        "(/[a-z%2F.]{0,6}){1,4}(\\?[a-z=&%+#]{0,9})?".prop_map(String::into_bytes),
        Just(b"*".to_vec()),
    ]
}

prop_compose! {
    fn request()(
        method in bytes(8).prop_filter("a method is not empty", |method| !method.is_empty()),
        https in any::<bool>(),
        authority in bytes(16),
        target in target(),
        version in prop::sample::select(vec![HttpVersion::Http10, HttpVersion::Http11, HttpVersion::Http2, HttpVersion::Http3]),
        headers in headers(),
        body in prop::option::of(bytes(40)),
        body_bytes in any::<Option<u64>>(),
    ) -> Request {
        let scheme = if https { Scheme::Https } else { Scheme::Http };
        Request { method, scheme, authority, target, version, headers, body, body_bytes }
    }
}

prop_compose! {
    fn response()(
        status in 100..=999_u16,
        headers in headers(),
        body in prop::option::of(bytes(40)),
        body_bytes in any::<Option<u64>>(),
    ) -> Response {
        Response { status, headers, body, body_bytes }
    }
}

prop_compose! {
    pub(super) fn exchange()(
        time in prop::option::of(-60_000_000_000_000_000..250_000_000_000_000_000_i64),
        client in any::<Option<IpAddr>>(),
        request in request(),
        response in prop::option::of(response()),
        duration_us in any::<Option<u64>>(),
        label in prop::option::of("[a-z\"\\\\]{0,5}"),
    ) -> Exchange {
        let label = label.map(|word| serde_json::json!({"word": word, "list": [1, true, null]}));
        Exchange { time: time.map(Timestamp::from_micros), client, request, response, duration_us, label }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read_back_the_same(exchanges in vec(exchange(), 1..4)) {
        let mut writer = Writer::as_is(Vec::new());
        for exchange in &exchanges {
            writer.write(exchange).unwrap();
        }
        let items = read(Format::Exchanges, &writer.into_inner());
        let again: Vec<Exchange> = items.into_iter().map(|item| item.exchange.unwrap()).collect();
        prop_assert_eq!(again, exchanges);
    }
}
