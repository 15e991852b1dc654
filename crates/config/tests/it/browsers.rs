//! What policies about web pages mean.

use std::path::Path;

use bartizan_config::{AnswersSet, HeaderNames, OriginPattern, PolicyRule, parse};

fn rule(policy: &str) -> PolicyRule {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]\n\
         upstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n\
         policies:\n  - name: p\n    {policy}\n"
    );
    let parsed = parse(&text, "policy.yaml", Path::new(""));
    assert_eq!(parsed.diagnostics, []);
    parsed.config.unwrap().policies.remove(0).rule
}

#[test]
fn origins_are_kept_as_browsers_write_them() {
    let text = "cors: { origins: [\"HTTPS://Shop.Example:443\", \"http://a.example:8080\", \"https://*.shop.example:8443\", \"capacitor://localhost\", \"https://[2001:db8::1]\"] }";
    let PolicyRule::Cors(cors) = rule(text) else { panic!() };
    let exact = |text: &str| OriginPattern::Exact(text.to_owned());
    let below = OriginPattern::Below { scheme: "https://".to_owned(), suffix: ".shop.example:8443".to_owned() };
    let wanted = [
        exact("https://shop.example"),
        exact("http://a.example:8080"),
        below,
        exact("capacitor://localhost"),
        exact("https://[2001:db8::1]"),
    ];
    assert_eq!(cors.origins, wanted);
}

#[test]
fn every_setting_of_cors_is_the_one_that_is_meant() {
    let text = "cors: { origins: [\"https://a.example\"], opaque_origin: true, methods: [PUT], headers: [X-A], exposed_headers: [\"*\"], max_age: 7m, private_network: true }";
    let PolicyRule::Cors(cors) = rule(text) else { panic!() };
    assert!(cors.opaque_origin && cors.private_network && !cors.credentials && !cors.any_origin);
    assert_eq!((cors.methods, cors.headers), (vec!["PUT".to_owned()], HeaderNames::Listed(vec!["x-a".to_owned()])));
    assert_eq!((cors.exposed_headers, cors.max_age_secs), (HeaderNames::Any, 420));
}

#[test]
fn without_words_a_csrf_policy_is_strict() {
    let PolicyRule::Csrf(csrf) = rule("csrf: {}") else { panic!() };
    assert_eq!(csrf.safe_methods, ["GET", "HEAD", "OPTIONS"]);
    assert!(csrf.origins.is_empty() && !csrf.same_site && !csrf.allow_unknown && csrf.token.is_none());
    let PolicyRule::Csrf(csrf) = rule("csrf: { same_site: true, allow_unknown: true, token: { cookie: c } }") else {
        panic!()
    };
    let token = csrf.token.unwrap();
    assert!(csrf.same_site && csrf.allow_unknown);
    assert_eq!((token.cookie.as_str(), token.header.as_str()), ("c", "x-csrf-token"));
}

#[test]
fn response_headers_are_set_where_they_mean_something() {
    let text = "response_headers: { strict_transport_security: { max_age: 400d, include_subdomains: true, preload: true }, permissions_policy: \"camera=()\", existing: replace, set: [{ name: X-A, value: b, existing: keep }], remove: [Server] }";
    let PolicyRule::ResponseHeaders(headers) = rule(text) else { panic!() };
    let told: Vec<_> =
        headers.set.iter().map(|set| (set.name.as_str(), set.value.as_str(), set.replaces, set.on)).collect();
    let wanted = [
        ("strict-transport-security", "max-age=34560000; includeSubDomains; preload", true, AnswersSet::Tls),
        ("x-content-type-options", "nosniff", true, AnswersSet::All),
        ("referrer-policy", "same-origin", true, AnswersSet::All),
        ("content-security-policy", "frame-ancestors 'none'", true, AnswersSet::All),
        ("permissions-policy", "camera=()", true, AnswersSet::All),
        ("cache-control", "no-store", true, AnswersSet::Credentials),
        ("x-a", "b", false, AnswersSet::All),
    ];
    assert_eq!(told, wanted);
    assert_eq!(headers.remove, ["server"]);
}
