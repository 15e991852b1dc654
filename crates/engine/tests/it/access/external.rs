//! An authorizer of the operator's own: what it is told, what its word is worth, and what happens without it.

use std::cell::{Cell, RefCell};

use bartizan_engine::{CacheBypass, Caching, Question, Reply, Step};
use serde_json::{Value, json};

use super::desk::{Call, Desk};

const POLICY: &str = "{ subject: plain, methods: [{ external: { url: \"https://authorizer.example/check\", headers: [authorization, x-tenant] } }] }";

fn call() -> Call {
    Call::get("/orders/1?page=2").with("authorization", "Token opaque-credential-of-ours").with("cookie", "a=b")
}

/// Answers, and the check that must notice.
fn answers() -> Vec<(&'static str, u16, Value, Option<&'static str>)> {
    let good = json!({ "allow": true, "subject": "jane" });
    vec![
        ("it lets it pass", 200, good.clone(), None),
        ("with more to say", 200, json!({ "allow": true, "subject": "jane", "scopes": "a b", "note": 1 }), None),
        ("it does not", 200, json!({ "allow": false }), Some("ACC-232")),
        ("it does not, whoever it is", 200, json!({ "allow": false, "subject": "jane" }), Some("ACC-232")),
        ("a 403", 403, json!("go away"), Some("ACC-232")),
        ("a 401", 401, good.clone(), Some("ACC-232")),
        ("a 500", 500, good.clone(), Some("ACC-209")),
        ("a 204", 204, Value::Null, Some("ACC-209")),
        ("a redirection", 302, good, Some("ACC-209")),
        ("no word about it", 200, json!({ "subject": "jane" }), Some("ACC-209")),
        ("a word in quotes", 200, json!({ "allow": "true", "subject": "jane" }), Some("ACC-209")),
        ("nobody", 200, json!({ "allow": true }), Some("ACC-209")),
        ("a subject that is no name", 200, json!({ "allow": true, "subject": "a\nb" }), Some("ACC-209")),
        ("a list", 200, json!([true]), Some("ACC-209")),
    ]
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply::External { status, body: body.to_string().into_bytes() }
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let expected: Vec<_> = answers().into_iter().map(|(_, _, _, check)| check).collect();
    super::rows(&expected)
}

#[test]
fn the_authorizers_word_counts() {
    for (name, status, body, check) in answers() {
        let served = Desk::new(POLICY).serve_with(&call(), Some(&|_| reply(status, &body)));
        assert_eq!(served.check().as_deref(), check, "{name}: {:?}", served.event.findings);
        let expected = match check {
            Some("ACC-232") => 403,
            Some(_) => 503,
            None => 0,
        };
        if let Step::Stop(decision) = &served.step {
            assert_eq!(decision.status, expected, "{name}");
        }
        assert_eq!(served.questions.len(), 1, "{name}");
        assert!(!format!("{:?}{:?}", served.questions, served.event).contains("opaque-credential"), "{name}");
    }
    let twice = Reply::External { status: 200, body: br#"{"allow":false,"allow":true,"subject":"a"}"#.to_vec() };
    let served = Desk::new(POLICY).serve_with(&call(), Some(&|_| twice.clone()));
    assert_eq!(served.check().as_deref(), Some("ACC-209"), "a member that stands twice");
    let large = Reply::External { status: 200, body: vec![b' '; 70_000] };
    let served = Desk::new(POLICY).serve_with(&call(), Some(&|_| large.clone()));
    assert_eq!(served.check().as_deref(), Some("ACC-209"), "more than 64 KiB");
}

#[test]
fn it_is_told_what_the_method_lists_and_nothing_else() {
    let told = RefCell::new(Value::Null);
    let note = |question: &Question| {
        let Question::External { method, request } = question else { panic!("{question:?}") };
        assert_eq!(method.timeout_ms, 500);
        *told.borrow_mut() = serde_json::from_slice(request.expose()).unwrap();
        reply(200, &json!({ "allow": true, "subject": "jane" }))
    };
    let chain = vec![b"certificate".to_vec()];
    Desk::new(POLICY).serve_with(&Call { chain, ..call().with("X-Tenant", "\u{e9}") }, Some(&note));
    assert_eq!(
        *told.borrow(),
        json!({
            "method": "GET", "scheme": "https", "host": "api.example", "path": "/orders/1", "query": "page=2",
            "client": "192.0.2.1", "api": "default",
            "certificate": super::desk::sha256(b"certificate"),
            "headers": { "authorization": ["Token opaque-credential-of-ours"], "x-tenant": ["\u{c3}\u{a9}"] },
        })
    );
}

#[test]
fn what_it_says_of_the_caller_reaches_the_upstream_where_the_policy_lists_it() {
    let desk = Desk::new(
        "{ required_scopes: [read], identity_headers: [{ name: x-user, value: subject }, { name: x-tenant, claim: tenant }], methods: [{ external: { url: \"https://a.example\" } }] }",
    );
    let body =
        json!({ "allow": true, "subject": "jane", "scopes": ["read"], "claims": { "tenant": "acme", "secret": "s" } });
    let served = desk.serve_with(&call(), Some(&|_| reply(200, &body)));
    assert_eq!(served.check(), None);
    let edits = format!("{:?}", served.edits);
    assert!(edits.contains("jane") && edits.contains("acme") && !edits.contains("secret"), "{edits}");
    let body = json!({ "allow": true, "subject": "jane", "scopes": [] });
    let served = desk.serve_with(&Call::get("/other"), Some(&|_| reply(200, &body)));
    assert_eq!(served.check().as_deref(), Some("ACC-301"), "scopes are the policy's to demand");
}

#[test]
fn an_answer_is_believed_for_its_time_and_for_the_same_question() {
    let desk = Desk::new(&POLICY.replace("headers", "age_max: 60s, headers"));
    let allow = Cell::new(true);
    let ask = |call: &Call, after_secs| {
        let answer = |_: &Question| reply(200, &json!({ "allow": allow.get(), "subject": "jane" }));
        let served = desk.serve_with(&Call { after_secs, ..call.clone() }, Some(&answer));
        (served.step == Step::Continue, served.questions.len())
    };
    assert_eq!(ask(&call(), 0), (true, 1));
    allow.set(false);
    assert_eq!(ask(&call(), 59), (true, 0));
    assert_eq!(ask(&Call::get("/orders/2"), 59), (false, 1), "another path");
    assert_eq!(ask(&call().with("x-tenant", "b"), 59), (false, 1), "another field that it is told");
    assert_eq!(ask(&call().with("x-other", "b"), 59), (true, 0), "a field that it is not told");
    assert_eq!(ask(&call(), 60), (false, 1));
    allow.set(true);
    assert_eq!(ask(&call(), 69), (false, 0), "a no is believed for ten seconds");
    assert_eq!(ask(&call(), 70), (true, 1));
    let short = Desk::new(&POLICY.replace("headers", "age_max: 60s, headers"));
    let answer = |_: &Question| reply(200, &json!({ "allow": true, "subject": "jane", "cache_seconds": 5 }));
    let asked = |after_secs| short.serve_with(&Call { after_secs, ..call() }, Some(&answer)).questions.len();
    assert_eq!([asked(0), asked(4), asked(5)], [1, 0, 1], "an answer may ask for less");
    let every = Desk::new(POLICY);
    let asked = || every.serve_with(&call(), Some(&answer)).questions.len();
    assert_eq!([asked(), asked()], [1, 1], "without `age_max` each request is asked about");
}

#[test]
fn no_answer_is_no_access_unless_the_method_says_so() {
    for answer in [Reply::Unavailable, Reply::Done] {
        let served = Desk::new(POLICY).serve_with(&call(), Some(&|_| answer.clone()));
        assert_eq!((served.check().as_deref(), served.answer.status), (Some("ACC-209"), 503));
    }
    assert_eq!(Desk::new(POLICY).serve(&call()).check().as_deref(), Some("ACC-209"), "a host that asks nobody");
    let open = Desk::new(&POLICY.replace("headers", "fail_open: true, headers"));
    let served = open.serve_with(&call(), Some(&|_| Reply::Unavailable));
    assert_eq!((served.check(), served.event.principal), (None, None), "it passes as nobody");
    assert_eq!(served.event.findings[0].check.as_str(), "ACC-209", "and a finding tells of it");
    let served = open.serve_with(&call(), Some(&|_| reply(200, &json!({ "allow": false }))));
    assert_eq!(served.check().as_deref(), Some("ACC-232"), "a no is a no");
}

#[test]
fn the_credentials_that_it_is_told_are_taken_out_where_the_policy_says_so() {
    let told = "[Authorization, cookie, proxy-authorization, x-tenant]";
    let policy = |strip: &str| {
        POLICY.replace("[authorization, x-tenant]", told).replace("{ subject", &format!("{{ {strip} subject"))
    };
    let reply = |_: &Question| reply(200, &json!({ "allow": true, "subject": "jane" }));
    for (strip, is_removed) in [("strip: true,", true), ("strip: false,", false), ("", false)] {
        let served = Desk::new(&policy(strip)).serve_with(&call(), Some(&reply));
        assert_eq!(served.check(), None);
        for name in ["Authorization", "cookie", "Proxy-Authorization"] {
            assert_eq!(served.edits.removes(name.as_bytes()), is_removed, "{strip} {name}");
        }
        assert!(!served.edits.removes(b"x-tenant") && !served.edits.removes(b"accept"), "{strip}");
    }
    let served = Desk::new(&POLICY.replace("{ subject", "{ strip: true, subject")).serve_with(&call(), Some(&reply));
    assert!(!served.edits.removes(b"cookie"), "what it is not told is no credential for it");
}

#[test]
fn what_another_authorizer_is_told_keeps_an_answer_from_being_kept() {
    let method = |header: &str| {
        format!("{{ external: {{ url: \"https://{header}.example/check\", headers: [{header}], fail_open: true }} }}")
    };
    let policies = format!(
        "policies: [{{ name: callers, mode: enforce, authenticate: {{ methods: [{}, {}], anonymous: true }} }}, {{ name: kept, \
         mode: enforce, cache: {{ key: [principal, query] }} }}]",
        method("x-first"),
        method("x-second")
    );
    let jane = json!({ "allow": true, "subject": "jane" });
    let caching = |fields: &[&str]| {
        let call = fields.iter().fold(Call::get("/"), |call, name| call.with(name, "a-credential"));
        Desk::with_policies(&policies).serve_with(&call, Some(&|_| reply(200, &jane))).caching
    };
    assert!(matches!(caching(&["x-first"]), Caching::Keyed(_)));
    for fields in [&["x-second"][..], &["x-first", "x-second"]] {
        assert_eq!(caching(fields), Caching::Bypass(CacheBypass::Field), "{fields:?}");
    }
}
