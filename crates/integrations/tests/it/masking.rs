//! Masked recordings.

use bartizan_integrations::tell::{Format, Masking, Writer};
use proptest::prelude::*;
use serde_json::json;

use super::{read, read_one};

/// Masks the exchange that `line` describes; what is written.
fn masked(line: &serde_json::Value) -> serde_json::Value {
    let exchange = read_one(Format::Exchanges, &line.to_string());
    let mut writer = Writer::masked(Vec::new(), Masking::new([7; 32]));
    writer.write(&exchange).unwrap();
    serde_json::from_slice(&writer.into_inner()).unwrap()
}

/// `before` masked and compared character by character: masked ones are shown as `x`, kept ones as they are.
fn marked(before: &str, after: &str) -> String {
    assert_eq!(before.len(), after.len(), "{before} {after}");
    before.chars().zip(after.chars()).map(|(before, after)| if before == after { before } else { '✗' }).collect()
}

#[test]
fn credentials_in_header_fields_keep_their_form_only() {
    let check = |name: &str, before: &str, expected: &str| {
        let line = masked(&json!({"request": {"method": "GET", "url": "http://a/", "headers": [[name, before]]}}));
        assert_eq!(line["request"]["headers"][0][0], name);
        assert_eq!(marked(before, line["request"]["headers"][0][1].as_str().unwrap()), expected);
    };
    check("Authorization", "Bearer abc-123", "Bearer ✗✗✗-✗✗✗");
    check("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.abc.def", "Bearer eyJhbGciOiJIUzI1NiJ9.✗✗✗.✗✗✗");
    check("authorization", "abc def", "✗✗✗ ✗✗✗");
    check("Cookie", "sid=abc; theme=dark", "sid=✗✗✗; theme=✗✗✗✗");
    check("Set-Cookie", "sid=abc1; Path=/; HttpOnly", "sid=✗✗✗✗; Path=/; HttpOnly");
    check("X-Api-Key", "k-42", "✗-✗✗");
    check(
        "Referer",
        "https://jo:pw@a.example/x?token=abc&page=2#access_token=abc",
        "https://✗✗:✗✗@a.example/x?token=✗✗✗&page=2#access_token=✗✗✗",
    );
    check("User-Agent", "curl/8.1 (jo@mail.example)", "curl/8.1 (✗✗@✗✗✗✗.example)");
    check("Accept", "application/json", "application/json");
    check("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==");
}

#[test]
fn basic_credentials_stay_decodable() {
    let line = masked(
        &json!({"request": {"method": "GET", "url": "http://a/", "headers": [["Authorization", "Basic am86aHVudGVyMg=="]]}}),
    );
    let value = line["request"]["headers"][0][1].as_str().unwrap();
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(marked("jo:hunter2", std::str::from_utf8(&pair).unwrap()), "✗✗:✗✗✗✗✗✗✗");
}

#[test]
fn targets_keep_their_template() {
    let check = |before: &str, expected: &str| {
        let line = masked(&json!({"request": {"method": "GET", "url": before}}));
        assert_eq!(marked(before, line["request"]["url"].as_str().unwrap()), expected);
    };
    check(
        "https://a.example/users/42/orders?page=2&api_key=s3cr3t",
        "https://a.example/users/42/orders?page=2&api_key=✗✗✗✗✗✗",
    );
    check("https://a.example/password/reset/x7-9f", "https://a.example/password/reset/✗✗-✗✗");
    check("https://a.example/token/refresh", "https://a.example/token/refresh");
    check(
        "https://a.example/u/jo@mail.example/x;jsessionid=a1?x",
        "https://a.example/u/✗✗@✗✗✗✗.example/x;jsessionid=✗✗?x",
    );
    check("https://a.example/a%2Fb/../c?q=%41+b&next=%2F", "https://a.example/a%2Fb/../c?q=%41+b&next=%2F");
}

#[test]
fn json_bodies_keep_everything_but_the_secrets() {
    let check = |before: &str, expected: &str| {
        let line = masked(&json!({"request": {"method": "POST", "url": "http://a/", "body": before}}));
        assert_eq!(marked(before, line["request"]["body"].as_str().unwrap()), expected);
    };
    check(
        r#"{ "user": "jo",  "password" : "hunter2", "pin": 1234, "n": 1.50 }"#,
        r#"{ "user": "jo",  "password" : "✗✗✗✗✗✗✗", "pin": ✗✗✗✗, "n": 1.50 }"#,
    );
    check(r#"{"secrets":[{"a":"b"},7,true],"a":"b"}"#, r#"{"secrets":[{"a":"✗"},✗,true],"a":"b"}"#);
    check(
        r#"[{"card":4111111111111111},"4111 1111 1111 1111","jo@mail.example"]"#,
        r#"[{"card":✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗},"✗✗✗✗ ✗✗✗✗ ✗✗✗✗ ✗✗✗✗","✗✗@✗✗✗✗.example"]"#,
    );
    check(
        r#"{"url":"/x?token=abc","inner":"{\"otp\":\"123\"}"}"#,
        r#"{"url":"/x?token=✗✗✗","inner":"{\"otp\":\"✗✗✗\"}"}"#,
    );
    check("{\"token\":\"a1\"}\n{\"token\":\"a2\"}", "{\"token\":\"✗✗\"}\n{\"token\":\"✗✗\"}");
}

#[test]
fn an_escape_does_not_hide_a_secret() {
    let line = masked(&json!({"request": {"method": "POST", "url": "http://a/",
        "body": r#"{"p\u0061ssword":"hun\u0074er2","mail":"jo\u0040mail.example"}"#}}));
    let body = line["request"]["body"].as_str().unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(marked("hunter2", body["password"].as_str().unwrap()), "✗✗✗✗✗✗✗");
    assert_eq!(marked("jo@mail.example", body["mail"].as_str().unwrap()), "✗✗@✗✗✗✗.example");
}

#[test]
fn form_bodies_keep_everything_but_the_secrets() {
    let before = "user=jo&password=hunter2&x=%7B%22pin%22%3A1%7D&mail=jo%40mail.example";
    let line = masked(&json!({"request": {"method": "POST", "url": "http://a/",
        "headers": [["Content-Type", "application/x-www-form-urlencoded; charset=utf-8"]], "body": before}}));
    let after = line["request"]["body"].as_str().unwrap();
    assert!(after.starts_with("user=jo&password="), "{after}");
    for secret in ["hunter2", "jo%40mail", "jo@mail", "%3A1%7D", ":1}"] {
        assert!(!after.contains(secret), "{after}");
    }
}

#[test]
fn a_body_that_cannot_be_searched_is_left_out_and_counted() {
    for body in ["password=hunter2", "<password>hunter2</password>", "{\"password\":\"hunter2\"", "--b\r\n"] {
        let line = masked(&json!({"request": {"method": "POST", "url": "http://a/", "body": body}}));
        assert_eq!(line["request"].get("body"), None, "{body}");
        assert_eq!(line["request"]["body_bytes"], body.len(), "{body}");
    }
    let line = masked(&json!({"request": {"method": "POST", "url": "http://a/", "body": ""}}));
    assert_eq!(line["request"]["body"], "");
}

#[test]
fn one_secret_has_one_mask_throughout_a_recording() {
    let line = masked(&json!({
        "request": {"method": "GET", "url": "http://a/?token=tok-abc123"},
        "response": {"status": 200, "body": "{\"token\":\"tok-abc123\"}"},
    }));
    let body: serde_json::Value = serde_json::from_str(line["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(line["request"]["url"], format!("http://a/?token={}", body["token"].as_str().unwrap()));
}

/// An exchange with `secret` in every place that is known to hold one.
fn with_secret(secret: &str) -> serde_json::Value {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("jo:{secret}"));
    let escaped: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let json = format!(
        r#"{{"password":{0},"deep":[{{"client_secret":[{{"a":{0}}}]}}],"api_key":"{escaped}","inner":{1}}}"#,
        json!(secret),
        json!(json!({"otp": secret}).to_string()),
    );
    json!({
        "request": {
            "method": "POST",
            "url": format!("https://jo:{percent}@a.example/reset/1{percent}/x;sid={percent}?token={percent}&q=1#access_token={percent}"),
            "headers": [
                ["Authorization", format!("Bearer {secret}")], ["authorization", format!("Basic {basic}")],
                ["Proxy-Authorization", secret], ["Cookie", format!("a={secret}; b={secret}")], ["X-Auth-Token", secret],
                ["Referer", format!("https://a.example/?access_token={percent}")],
                ["Content-Type", "application/x-www-form-urlencoded"],
            ],
            "body": format!("password={percent}&user[pin]={percent}"),
        },
        "response": {
            "status": 200,
            "headers": [["Set-Cookie", format!("sid={secret}; Path=/")], ["Location", format!("/cb?id_token={percent}")]],
            "body": json,
        },
    })
}

proptest! {
    #[test]
    fn a_masked_exchange_never_contains_the_secret(secret in "[A-Za-z0-9!#$%*_.-]{0,6}[A-Za-z0-9]{4}[A-Za-z0-9é_.-]{2,12}") {
        let written = masked(&with_secret(&secret)).to_string();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("jo:{secret}"));
        for form in [secret, percent.clone(), percent.to_uppercase(), basic] {
            prop_assert!(!written.contains(&form), "{form} in {written}");
        }
    }

    #[test]
    fn whatever_is_masked_can_be_read_back(exchange in super::exchanges::exchange()) {
        let mut writer = Writer::masked(Vec::new(), Masking::new([7; 32]));
        writer.write(&exchange).unwrap();
        let items = read(Format::Exchanges, &writer.into_inner());
        prop_assert_eq!(items.len(), 1);
        let again = items[0].exchange.as_ref().unwrap();
        prop_assert_eq!(&again.request.method, &exchange.request.method);
        prop_assert_eq!(again.request.headers.len(), exchange.request.headers.len());
    }
}
