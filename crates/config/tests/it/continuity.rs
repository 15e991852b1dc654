//! What policies about where callers call from mean.

use std::path::Path;

use bartizan_config::{Continuity, ContinuityKey, PolicyRule, parse};

fn continuity(written: &str) -> Continuity {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]
upstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]
address_data: [{{ name: places, file: a.mmdb }}, {{ name: lists, file: a.csv, holds: labels }}]
policies:
  - {{ name: callers, authenticate: {{ methods: [{{ api_key: {{}} }}] }} }}
  - {{ name: home, continuity: {written} }}
"
    );
    let parsed = parse(&text, "policy.yaml", Path::new(""));
    assert_eq!(parsed.diagnostics, [], "{written}");
    match parsed.config.unwrap().policies.remove(1).rule {
        PolicyRule::Continuity(continuity) => *continuity,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_words_it_is_one_country_an_hour_for_each_principal() {
    let plain = continuity("{}");
    assert_eq!((plain.countries_max, plain.operators_max, plain.speed_max), (Some(1), None, None));
    assert_eq!((plain.key, plain.window_secs), (ContinuityKey::Principal, 3600));
    assert!(plain.issued_at && !plain.denies_without_step_up && plain.ignore_labels.is_empty());
    assert_eq!(plain.summary(), "a principal: 1 country within 1h");
}

#[test]
fn every_setting_is_the_one_that_is_meant_and_what_is_written_alone_is_asked_alone() {
    let written = continuity(
        "{ key: credential, window: 90m, operators_max: 3, speed_max: 900, ignore_labels: [vpn], issued_at: false, without_step_up: deny }",
    );
    assert_eq!((written.countries_max, written.operators_max, written.speed_max), (None, Some(3), Some(900)));
    assert_eq!((written.key, written.window_secs), (ContinuityKey::Credential, 5400));
    assert!(!written.issued_at && written.denies_without_step_up);
    assert_eq!(written.summary(), "a credential: 3 network operators within 90m, at most 900 km/h, not on vpn");
}
