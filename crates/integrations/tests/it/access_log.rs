//! Access logs of each product. The nginx and HAProxy samples were written by the real programs (nginx 1.22, HAProxy
//! 2.6), the others follow the vendors' manuals.

use bartizan_integrations::tell::{AccessLog, FieldMap, Format, ReadOptions, Reason, detect};
use bartizan_model::{Scheme, Source};

use super::{read, read_bad, read_one, read_with, shown};

const COMBINED: &str = include_str!("../samples/combined.log");
const HAPROXY: &str = include_str!("../samples/haproxy.log");
const HAPROXY_JSON: &str = include_str!("../samples/haproxy-json.log");
const ENVOY: &str = include_str!("../samples/envoy.log");
const ENVOY_JSON: &str = include_str!("../samples/envoy-json.log");
const NGINX_JSON: &str = include_str!("../samples/json.log");
const AWS: &str = include_str!("../samples/aws.log");

fn check(name: &str, log: AccessLog, text: &str) {
    insta::assert_snapshot!(name, shown(read(Format::AccessLog(log), text.as_bytes())));
}

#[test]
fn combined_and_its_offspring_are_read() {
    check("combined", AccessLog::Combined, COMBINED);
}

#[test]
fn the_text_and_json_logs_of_haproxy_are_read() {
    check("haproxy", AccessLog::Haproxy, HAPROXY);
    check("haproxy-json", AccessLog::Haproxy, HAPROXY_JSON);
}

#[test]
fn the_text_and_json_logs_of_envoy_are_read() {
    check("envoy", AccessLog::Envoy, ENVOY);
    check("envoy-json", AccessLog::Envoy, ENVOY_JSON);
}

#[test]
fn the_json_logs_of_nginx_and_aws_are_read() {
    check("nginx-json", AccessLog::NginxJson, NGINX_JSON);
    check("aws", AccessLog::AwsApiGateway, AWS);
}

#[test]
fn each_sample_is_recognized_from_its_beginning() {
    let check = |text: &str, expected: &str| {
        let format = detect(text.as_bytes());
        assert_eq!(format.map(|format| format.to_string()).as_deref(), Some(expected), "{text}");
    };
    check(COMBINED, "combined");
    check("192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] \"\" 400 0", "combined");
    check(HAPROXY, "haproxy");
    check(HAPROXY_JSON, "nginx-json"); // the same member names
    check(ENVOY, "envoy");
    check(ENVOY_JSON, "envoy");
    check(NGINX_JSON, "nginx-json");
    check(AWS, "aws-api-gateway");
    check(include_str!("../samples/browser.har"), "har");
    check("\u{FEFF}{\"log\":{", "har");
    check(r#"{"request":{"method":"GET","url":"http://a/"}}"#, "exchanges");
    for text in ["", "hello", "{}", "[1,2]", "a,b,c\n1,2,3"] {
        assert_eq!(detect(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn an_access_log_of_unnamed_kind_is_read_as_what_it_looks_like() {
    let exchange = read_one("access-log".parse().unwrap(), ENVOY_JSON.lines().next().unwrap());
    assert_eq!(exchange.request.authority, b"reviews.example");
}

#[test]
fn every_format_has_a_name_that_is_taken_back() {
    for name in Format::NAMES {
        assert_eq!(name.parse::<Format>().unwrap().to_string(), *name);
    }
    assert_eq!("har".parse::<Format>().unwrap().source(), Source::Har);
    assert_eq!("haproxy".parse::<Format>().unwrap().source(), Source::AccessLog);
    let message = "pcap".parse::<Format>().unwrap_err().to_string();
    assert!(message.contains("`pcap`") && message.contains("aws-api-gateway"), "{message}");
}

#[test]
fn what_a_log_does_not_say_is_taken_from_the_options() {
    let options = ReadOptions {
        host: Some("shop.example".into()),
        scheme: Scheme::Https,
        utc_offset_minutes: 120,
        ..ReadOptions::default()
    };
    let line =
        r#"203.0.113.9:1 [06/Feb/2026:12:14:14.655] fe bk/s1 0/0/0/5/5 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#;
    let exchange = read_with("haproxy".parse().unwrap(), options.clone(), line.as_bytes()).remove(0).exchange.unwrap();
    assert_eq!(exchange.time.unwrap().to_string(), "2026-02-06T10:14:14.655000Z");
    assert_eq!(exchange.request.authority, b"shop.example");
    assert_eq!(exchange.request.scheme, Scheme::Http, "HAProxy marks a frontend with TLS");
    assert!(exchange.request.headers.is_empty(), "an assumed host is no field that was logged");

    let line = r#"203.0.113.9 - - [06/Feb/2026:12:14:14 +0000] "GET / HTTP/1.1" 200 1"#;
    let exchange = read_with("combined".parse().unwrap(), options, line.as_bytes()).remove(0).exchange.unwrap();
    assert_eq!(exchange.time.unwrap().to_string(), "2026-02-06T12:14:14.000000Z");
    assert_eq!(exchange.request.scheme, Scheme::Https);
}

#[test]
fn a_field_map_reads_json_of_any_shape() {
    let map = FieldMap::parse([
        "time=ts",
        "client=request.remote_ip",
        "method=request.method",
        "host=request.host",
        "url=request.uri",
        "version=request.proto",
        "status=status",
        "response_bytes=size",
        "duration_s=duration",
        "user_agent=/request/headers/User-Agent",
        "response_type=resp_headers.Content-Type",
        "header.x-trace=trace.id",
    ])
    .unwrap();
    let caddy = r#"{"level":"info","ts":1767225600.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.9","remote_port":"41342","proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/a%2Fb?x=1","headers":{"User-Agent":["curl/7.82.0","second"],"Accept":["*/*"]}},"trace.id":"t-1","duration":0.000929675,"size":10900,"status":200,"resp_headers":{"Content-Type":["text/html; charset=utf-8"]}}"#;
    let items = read(Format::AccessLog(AccessLog::Fields(map)), caddy.as_bytes());
    insta::assert_snapshot!("caddy", shown(items));
}

#[test]
fn bytes_beyond_utf_8_do_not_hide_a_request() {
    // nginx passes them through with escape=json (seen with 1.22), so an attacker could make lines unreadable.
    let line = b"{\"time\":\"1767225600\",\"method\":\"GET\",\"url\":\"/a?q=\xFF'--\",\"status\":\"200\",\"user_agent\":\"\xE9\"}";
    let items = read(Format::AccessLog(AccessLog::NginxJson), line);
    assert_eq!(items[0].exchange.as_ref().unwrap().request.target, b"/a?q=%FF'--");
}

#[test]
fn a_log_line_says_what_is_wrong_with_it() {
    let check = |format: &str, line: &str, reason: Reason| {
        let bad = read_bad(format.parse().unwrap(), line);
        assert_eq!(bad.reason, reason, "{line}: {bad}");
    };
    check("combined", "hello", Reason::Syntax);
    check("combined", "\"GET / HTTP/1.1\" 200", Reason::Syntax);
    check("combined", "1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] \"GET / HT", Reason::Truncated);
    check("combined", "1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] \"-\" 408 0", Reason::NotTraffic);
    check("nginx-json", "GET /", Reason::Syntax);
    check("nginx-json", r#"{"method":"GET","#, Reason::Truncated);
    check("envoy", "hello", Reason::Syntax);
    check("haproxy", "203.0.113.9:1 [nonsense] fe bk/s 0/0/0/0/0 200", Reason::Content);
    assert!(!Reason::NotTraffic.is_fault());
}
