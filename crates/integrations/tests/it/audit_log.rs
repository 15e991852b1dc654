//! Audit logs: the two forms of a line, what OCSF demands of it, and that no secret gets into one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bartizan_engine::{Counters, Inputs, Snapshot, judge};
use bartizan_integrations::send::{AuditForm, AuditLog, RuleWords};
use bartizan_model::{Event, Exchange, HttpVersion, Request, RequestId, Response, Scheme, Source, Timestamp};
use bartizan_waf::{Options, Parsed, Plan, Sources, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One rule that denies an attack and says what it saw, as the Core Rule Set does, and one that repeats all it can see.
const RULES: &str = r#"
SecRule ARGS "@contains attack" "id:942100,phase:2,deny,status:403,log,msg:'Attack word',severity:'CRITICAL',\
  logdata:'Matched Data: %{MATCHED_VAR} found within %{MATCHED_VAR_NAME}: %{MATCHED_VAR}',tag:'attack-sqli',tag:'PCI/6.5.2'"
SecRule ARGS|ARGS_NAMES|REQUEST_HEADERS|REQUEST_COOKIES|REQUEST_BODY|REQUEST_URI|QUERY_STRING "@rx ." "id:9,phase:2,pass,log,\
  msg:'Seen %{MATCHED_VAR} in %{REQUEST_URI}',logdata:'Matched Data: %{MATCHED_VAR} found within %{MATCHED_VAR_NAME}: %{MATCHED_VAR}'"
"#;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| snapshot("enforce"));

fn snapshot(mode: &str) -> Arc<Snapshot> {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:2\" }}] }}]
policies: [{{ name: exploits, mode: {mode}, threats: {{ own_rules: false, files: [a.conf] }} }}]
"
    );
    let config = bartizan_config::parse(&text, "a.yaml", Path::new("")).config.unwrap();
    let read = |_: &Path| Ok(RULES.as_bytes().to_vec());
    let glob = |_: &Path| Err("no patterns here".to_owned());
    let Parsed { document, diagnostics } = parse(&[PathBuf::from("a.conf")], &Sources { read: &read, glob: &glob });
    assert_eq!(diagnostics, []);
    let options = Options { detect_bodies: true, ..Options::default() };
    let plans = BTreeMap::from([("exploits".to_owned(), Arc::new(Plan::compile(&document, &options).unwrap()))]);
    Arc::new(Snapshot::compile(
        &config,
        Inputs { generation: 1, endpoints: &[], plans: &plans, counters: &Counters::default(), key: [7; 32] },
    ))
}

fn event(snapshot: &Arc<Snapshot>, request: Request) -> Event {
    let response = Response {
        status: 200,
        headers: vec![(b"content-type".to_vec(), b"application/json; charset=utf-8".to_vec())],
        body: Some(b"{}".to_vec()),
        body_bytes: None,
    };
    let exchange = Exchange {
        time: Some(Timestamp::from_millis(1_767_225_600_123)),
        client: Some("192.0.2.1".parse().unwrap()),
        request,
        response: Some(response),
        duration_us: Some(2_500),
        label: None,
    };
    judge(snapshot, &exchange, Source::Exchanges, RequestId::from_bits(0xB0), Timestamp::default()).event
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut fields = vec![(b"host".to_vec(), b"shop.example".to_vec())];
    fields.extend(headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    fields.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
    Request {
        method: method.into(),
        scheme: Scheme::Https,
        authority: b"shop.example".to_vec(),
        target: target.into(),
        version: HttpVersion::Http11,
        headers: fields,
        body: Some(body.into()),
        body_bytes: None,
    }
}

fn words(check: &str) -> Option<RuleWords> {
    let tags = vec!["attack-sqli".to_owned(), "PCI/6.5.2".to_owned()];
    (check == "WAF-942100").then(|| RuleWords { message: "Attack word".to_owned(), tags })
}

/// The line of an event, if it has one.
fn line_if(form: AuditForm, only_relevant: bool, event: &Event) -> Option<String> {
    let mut out = Vec::new();
    let log = AuditLog { form, only_relevant, version: "1.2.3" };
    let is_written = log.append(event, &mut words, &mut out);
    assert_eq!(is_written, !out.is_empty());
    let text = String::from_utf8(out).unwrap();
    is_written.then(|| text.strip_suffix('\n').unwrap().to_owned()).inspect(|line| assert!(!line.contains('\n')))
}

fn line(form: AuditForm, event: &Event) -> Value {
    serde_json::from_str(&line_if(form, true, event).unwrap()).unwrap()
}

fn attack() -> Request {
    let headers = [("user-agent", "curl/8"), ("content-type", "application/json")];
    request("POST", "/items?sort=name", &headers, r#"{"note":"attack 4711"}"#)
}

#[test]
fn a_line_of_our_own_form_tells_request_response_and_rules() {
    let line = line(AuditForm::Json, &event(&SNAPSHOT, attack()));
    let transaction = &line["transaction"];
    assert_eq!(transaction["time_stamp"], "2026-01-01T00:00:00.123000Z");
    assert_eq!(transaction["client_ip"], "192.0.2.1");
    assert_eq!(transaction["unique_id"], "000000000000000000000000000000b0");
    assert_eq!(
        transaction["request"],
        json!({
            "method": "POST",
            "http_version": "1.1",
            "uri": "/items",
            "headers": { "user-agent": "curl/8", "content-type": "application/json" },
            "body_bytes": 22,
        })
    );
    assert_eq!(transaction["response"]["http_code"], 403);
    let producer = &transaction["producer"];
    assert_eq!(
        (&producer["policy"], &producer["action"], &producer["applied"]),
        (&"exploits".into(), &"deny".into(), &true.into())
    );
    let messages = transaction["messages"].as_array().unwrap();
    let message = messages.iter().find(|message| message["details"]["ruleId"] == "942100").unwrap();
    assert_eq!(message["message"], "Attack word");
    let details = &message["details"];
    assert_eq!(details["tags"], json!(["attack-sqli", "PCI/6.5.2"]));
    assert_eq!((&details["location"], &details["severity"]), (&"body.note".into(), &"high".into()));
    let data = details["data"].as_str().unwrap();
    assert!(!data.is_empty() && !data.contains("4711"), "the shape of what matched: {data}");
}

/// Paths that OCSF 1.5 demands: base event, HTTP Activity, and the objects that are there.
const REQUIRED: &[&str] = &[
    "/activity_id",
    "/category_uid",
    "/class_uid",
    "/severity_id",
    "/time",
    "/type_uid",
    "/metadata/version",
    "/metadata/product/name",
    "/metadata/product/vendor_name",
    "/http_request/http_method",
    "/http_request/url/hostname",
    "/http_request/url/path",
    "/http_request/url/url_string",
    "/http_response/code",
    "/dst_endpoint/hostname",
    "/src_endpoint/ip",
    "/action_id",
    "/disposition_id",
    "/firewall_rule/uid",
    "/firewall_rule/name",
    "/policy/name",
];

/// What OCSF wants of any line: numbers where it says so, within its enumerations, and no nulls.
fn check_ocsf(line: &Value) {
    let number = |path: &str| line.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} of {line}"));
    assert_eq!((number("/class_uid"), number("/category_uid")), (4002, 4), "{line}");
    assert!((0..=8).contains(&number("/activity_id")) || number("/activity_id") == 99, "{line}");
    assert_eq!(number("/type_uid"), number("/class_uid") * 100 + number("/activity_id"), "{line}");
    assert!((1..=5).contains(&number("/severity_id")), "{line}");
    assert!((1..=2).contains(&number("/action_id")), "{line}");
    assert!([1, 2, 15].contains(&number("/disposition_id")), "{line}");
    assert_eq!(line["metadata"]["profiles"], json!(["security_control"]));
    assert!(number("/time") > 1_000_000_000_000, "milliseconds: {line}");
    assert!(!line.to_string().contains(":null"), "what is not known is left out: {line}");
    for path in &REQUIRED[..11] {
        assert!(line.pointer(path).is_some(), "{path} is required: {line}");
    }
}

#[test]
fn a_line_of_ocsf_has_what_the_class_demands() {
    let line = line(AuditForm::Ocsf, &event(&SNAPSHOT, attack()));
    check_ocsf(&line);
    for path in REQUIRED {
        assert!(line.pointer(path).is_some_and(|value| !value.is_null()), "{path} is required: {line}");
    }
    assert_eq!((&line["activity_id"], &line["type_uid"]), (&6.into(), &400_206.into()));
    assert_eq!((&line["action"], &line["disposition"]), (&"Denied".into(), &"Blocked".into()));
    assert_eq!(line["firewall_rule"]["uid"], "WAF-942100");
    assert_eq!(line["firewall_rule"]["match_location"], "body.note");
    assert_eq!(line["http_request"]["url"]["url_string"], "https://shop.example/items");
    assert_eq!((&line["severity_id"], &line["is_alert"]), (&4.into(), &true.into()));
}

#[test]
fn observed_attacks_are_detected_and_not_blocked() {
    let line = line(AuditForm::Ocsf, &event(&snapshot("observe"), attack()));
    check_ocsf(&line);
    assert_eq!((&line["action"], &line["disposition"]), (&"Allowed".into(), &"Detected".into()));
    assert_eq!(line["policy"]["is_applied"], false);
}

#[test]
fn a_host_and_its_port_stand_apart() {
    for (host, hostname, port) in [
        ("shop.example", "shop.example", None),
        ("shop.example:8443", "shop.example", Some(8443)),
        ("[2001:db8::1]:8443", "[2001:db8::1]", Some(8443)),
        ("[2001:db8::1]", "[2001:db8::1]", None),
    ] {
        let mut event = event(&SNAPSHOT, attack());
        event.host = host.into();
        let line = line(AuditForm::Ocsf, &event);
        let endpoint = &line["dst_endpoint"];
        assert_eq!((endpoint["hostname"].as_str(), endpoint["port"].as_u64()), (Some(hostname), port), "{host}");
        assert_eq!(line["http_request"]["url"]["port"], port.unwrap_or(443), "{host}");
    }
}

#[test]
fn every_method_has_an_activity() {
    for (method, activity) in [("GET", 3), ("HEAD", 4), ("DELETE", 2), ("PATCH", 99), ("PROPFIND", 99), ("get", 99)] {
        let line = line(AuditForm::Ocsf, &event(&SNAPSHOT, request(method, "/", &[], "")));
        check_ocsf(&line);
        assert_eq!(line["activity_id"], activity, "{method}");
    }
}

#[test]
fn what_nothing_spoke_against_is_left_out_unless_all_is_wanted() {
    let mut quiet = event(&SNAPSHOT, request("GET", "/", &[], ""));
    quiet.findings.clear();
    for form in [AuditForm::Json, AuditForm::Ocsf] {
        assert_eq!(line_if(form, true, &quiet), None);
        assert!(line_if(form, false, &quiet).is_some());
    }
    check_ocsf(&serde_json::from_str(&line_if(AuditForm::Ocsf, false, &quiet).unwrap()).unwrap());
}

/// Where a secret may be planted.
fn planted(place: usize, secret: &str) -> Request {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    match place {
        0 => request("GET", &format!("/items?token={secret}"), &[], ""),
        1 => request("POST", "/login", &form, &format!("user=jane&password={secret}")),
        2 => request(
            "POST",
            "/login",
            &[("content-type", "application/json")],
            &format!("{{\"password\":\"{secret}\"}}"),
        ),
        3 => request("GET", "/", &[("authorization", &format!("Bearer {secret}"))], ""),
        4 => request("GET", "/", &[("cookie", &format!("sid={secret}; a=b"))], ""),
        5 => request("GET", "/", &[("x-api-key", secret)], ""),
        6 => request("GET", &format!("/reset/{secret}"), &[], ""),
        7 => request("POST", "/a", &[("content-type", "text/plain")], &format!("attack {secret}")),
        8 => request("GET", &format!("/a?note=attack%20{secret}"), &[("x-note", secret)], ""),
        _ => request("POST", "/a", &[("content-type", "application/json")], &format!("{{\"{secret}\":\"attack\"}}")),
    }
}

proptest! {
    #[test]
    fn no_line_holds_a_secret(secret in "[A-Za-z0-9]{11}[0-9][A-Z][0-9a-z]{15,30}", place in 0..10usize) {
        let event = event(&SNAPSHOT, planted(place, &secret));
        for form in [AuditForm::Json, AuditForm::Ocsf] {
            let line = line_if(form, false, &event).unwrap();
            prop_assert!(!line.contains(&secret), "{} in {}", secret, line);
            // Nor a half of it.
            prop_assert!(!line.contains(&secret[..secret.len() / 2]), "{} in {}", secret, line);
        }
    }
}
