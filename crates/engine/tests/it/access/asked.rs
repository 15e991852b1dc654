//! What the host has to be asked: passwords and tokens that only others can judge.

use std::cell::Cell;

use bartizan_engine::{PasswordCheck, Question, Reply, Step};
use serde_json::{Value, json};

use super::desk::{Call, Desk, NOW, Signer, base64url, sha256, thumbprint};

/// argon2id of `open sesame`, as weak as is allowed.
const HASH: &str = "$argon2id$v=19$m=7168,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$zecR4s9LqouMGq9nNM+Wp04OpIsAQoAsyZvtxhV+Tn4";
const INTROSPECTION: &str = "{ methods: [{ introspection: { url: \"https://login.example/introspect\", client_id: gate, client_secret_file: secret, audiences: [a] } }] }";

fn basic_desk() -> Desk {
    Desk::new(&format!(
        "{{ methods: [{{ basic: {{ users: [{{ name: jane, password_hash: \"{HASH}\", scopes: [\"metrics:read\"] }}] }} }}] }}"
    ))
}

fn basic(text: &str) -> Call {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    Call::get("/").with("authorization", format!("Basic {encoded}"))
}

/// The host: computes passwords.
fn compute(question: &Question) -> Reply {
    match question {
        Question::Password(check) => PasswordCheck::run(check),
        Question::Keys { .. } | Question::Introspection { .. } | Question::External { .. } | Question::Count(_) => {
            Reply::Unavailable
        }
    }
}

/// Answers of the authorization server, and the check that must notice.
fn answers() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let good = json!({ "active": true, "sub": "jane", "aud": "a", "scope": "x y", "exp": NOW + 600 });
    let with = |name: &str, value: Value| {
        let mut answer = good.clone();
        answer[name] = value;
        answer
    };
    vec![
        ("active", good.clone(), None),
        ("without an end", json!({ "active": true, "sub": "jane", "aud": "a" }), None),
        ("of a client", json!({ "active": true, "client_id": "app", "aud": ["a"] }), None),
        ("not active", json!({ "active": false }), Some("ACC-217")),
        ("not active, with everything else", with("active", json!(false)), Some("ACC-217")),
        ("expired", with("exp", json!(NOW)), Some("ACC-217")),
        ("not yet valid", with("nbf", json!(NOW + 31)), Some("ACC-217")),
        ("for another audience", with("aud", json!("b")), Some("ACC-206")),
        ("of nobody", json!({ "active": true, "aud": "a" }), Some("ACC-207")),
        ("bound to something unknown", with("cnf", json!({ "x": "y" })), Some("ACC-207")),
        ("bound to a key", with("cnf", json!({ "jkt": base64url(&[1; 32]) })), Some("ACC-210")),
        ("active in words", json!({ "active": "true", "sub": "jane", "aud": "a" }), Some("ACC-209")),
        ("silent about it", json!({ "sub": "jane", "aud": "a" }), Some("ACC-209")),
        ("an end in words", with("exp", json!("tomorrow")), Some("ACC-209")),
        ("a list", json!([]), Some("ACC-209")),
        ("an error", json!({ "error": "invalid_client" }), Some("ACC-209")),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let mut expected: Vec<_> = answers().into_iter().map(|(_, _, check)| check).collect();
    expected.extend([Some("ACC-215"); 4]);
    super::rows(&expected)
}

#[test]
fn a_password_is_computed_once_and_remembered() {
    let desk = basic_desk();
    let served = desk.serve_with(&basic("jane:open sesame"), Some(&compute));
    assert_eq!((served.check(), served.questions.len()), (None, 1));
    assert!(served.edits.removes(b"authorization"), "passwords do not go on");
    assert!(!format!("{:?}", served.questions).contains("sesame"), "a question does not print what it asks");
    let again = desk.serve_with(&basic("jane:open sesame"), Some(&compute));
    assert_eq!((again.check(), again.questions.len()), (None, 0));
    let later = Call { after_secs: 600, ..basic("jane:open sesame") };
    assert_eq!(desk.serve_with(&later, Some(&compute)).questions.len(), 1, "forgotten after ten minutes");
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let desk = basic_desk();
    let mut seen = Vec::new();
    for text in ["jane:open sesam", "jane:", "john:open sesame", ":open sesame"] {
        let served = desk.serve_with(&basic(text), Some(&compute));
        assert_eq!(served.check().as_deref(), Some("ACC-215"), "{text}");
        assert_eq!(served.challenges(), ["Basic realm=\"api\", charset=\"UTF-8\""]);
        let costs: Vec<_> = served.questions.iter().map(|question| matches!(question, Question::Password(_))).collect();
        let findings: Vec<_> = served.event.findings.iter().map(|finding| finding.evidence.clone()).collect();
        seen.push((costs, findings, served.answer));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[test]
fn what_is_no_user_and_password_costs_nothing() {
    let desk = basic_desk();
    for value in ["Basic", "Basic !!!", "Basic amFuZQ==", &format!("Basic {}", "a".repeat(2000))] {
        let served = desk.serve_with(&Call::get("/").with("authorization", value), Some(&compute));
        assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-202"), 0), "{value}");
    }
    let closed = desk.serve(&basic("jane:open sesame"));
    assert_eq!(
        (closed.check().as_deref(), closed.answer.status),
        (Some("ACC-209"), 503),
        "a host that computes nothing"
    );
}

#[test]
fn the_authorization_servers_word_counts() {
    for (name, answer, check) in answers() {
        let desk = Desk::new(INTROSPECTION);
        let reply = |_: &Question| Reply::Introspection(answer.to_string().into_bytes());
        let served = desk.serve_with(&Call::bearer("opaque-token"), Some(&reply));
        assert_eq!(served.check().as_deref(), check, "{name}");
        assert_eq!(served.questions.len(), 1, "{name}");
        assert!(!format!("{:?}{:?}", served.questions, served.event).contains("opaque-token"), "{name}");
    }
}

#[test]
fn an_answer_is_believed_for_its_time() {
    let desk = Desk::new(INTROSPECTION);
    let is_active = Cell::new(true);
    let reply = |_: &Question| {
        let answer = json!({ "active": is_active.get(), "sub": "jane", "aud": "a", "exp": NOW + 10_000 });
        Reply::Introspection(answer.to_string().into_bytes())
    };
    let ask = |after_secs| {
        let served = desk.serve_with(&Call { after_secs, ..Call::bearer("opaque") }, Some(&reply));
        (served.step == Step::Continue, served.questions.len())
    };
    assert_eq!(ask(0), (true, 1));
    is_active.set(false); // revoked
    assert_eq!(ask(59), (true, 0), "within the minute that the policy states");
    assert_eq!(ask(60), (false, 1), "and not beyond");
    assert_eq!(ask(69), (false, 0), "a no is believed for ten seconds");
    is_active.set(true);
    assert_eq!(ask(70), (true, 1));
}

#[test]
fn no_answer_is_no_access() {
    let desk = Desk::new(INTROSPECTION);
    for reply in [
        Reply::Unavailable,
        Reply::Done,
        Reply::Introspection(b"<html>".to_vec()),
        Reply::Introspection(vec![b' '; 70_000]),
    ] {
        let served = desk.serve_with(&Call::bearer("opaque"), Some(&|_| reply.clone()));
        assert_eq!(
            (served.check().as_deref(), served.answer.status),
            (Some("ACC-209"), 503),
            "{:?}",
            served.event.findings
        );
    }
    assert_eq!(desk.serve(&Call::bearer("opaque")).check().as_deref(), Some("ACC-209"));
}

#[test]
fn a_jwt_of_another_issuer_is_the_authorization_servers_to_judge() {
    let jwt = "{ jwt: { issuer: \"https://login.example\", audiences: [a], jwks_file: keys.jwks } }";
    let desk = Desk::new(&INTROSPECTION.replace("methods: [", &format!("methods: [{jwt}, ")));
    let signer = Signer::ed25519(1);
    desk.publish(&[signer.named("one")]);
    let foreign = signer.sign(&json!({ "alg": "EdDSA" }), &json!({ "iss": "x" }));
    let reply = |_: &Question| {
        Reply::Introspection(json!({ "active": true, "sub": "jane", "aud": "a" }).to_string().into_bytes())
    };
    assert_eq!(desk.serve_with(&Call::bearer(&foreign), Some(&reply)).step, Step::Continue);
    assert_eq!(desk.serve_with(&Call::bearer("opaque"), Some(&reply)).step, Step::Continue);
}

#[test]
fn a_proof_survives_a_question() {
    let desk = Desk::new(INTROSPECTION);
    let client = Signer::ed25519(9);
    let reply = |_: &Question| {
        let answer =
            json!({ "active": true, "sub": "jane", "aud": "a", "cnf": { "jkt": thumbprint(&client.public()) } });
        Reply::Introspection(answer.to_string().into_bytes())
    };
    let proof = client.sign(
        &json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": client.public() }),
        &json!({ "jti": "1", "htm": "GET", "htu": "https://api.example/", "iat": NOW, "ath": sha256(b"opaque") }),
    );
    let call = Call::get("/").with("authorization", "DPoP opaque").with("dpop", proof);
    assert_eq!(desk.serve_with(&call, Some(&reply)).check(), None);
    assert_eq!(desk.serve_with(&call, Some(&reply)).check().as_deref(), Some("ACC-212"));
}
