//! JSON Web Tokens: what must be let in, and every way that we know to get in without.

use bartizan_config::KeySource;
use bartizan_engine::{Reply, Step};
use bartizan_model::{ActorKind, CredentialKind};
use serde_json::{Value, json};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, SECRET, Served, Signer, at, base64url, file};

const POLICY: &str = "{ methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }] }";

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "jane", "exp": NOW + 600, "iat": NOW, "scope": "orders:read orders:write" })
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "one", "typ": "at+jwt" })
}

/// `base` with `changes`; `null` takes a member out.
fn changed(mut base: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().shift_remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

/// A name, changes of the header and of the claims, and the check that must notice.
type Change = (&'static str, Value, Value, Option<&'static str>);

/// Tokens of the issuer with changed claims or header.
fn changes() -> Vec<Change> {
    header_changes().into_iter().chain(claim_changes()).collect()
}

/// Tokens as they should be, and with a changed header.
fn header_changes() -> Vec<Change> {
    let same = || json!({});
    vec![
        // let in
        ("a token as it should be", same(), same(), None),
        ("one of several audiences", same(), json!({ "aud": ["https://other.example", AUDIENCE] }), None),
        ("a type without `at+`", json!({ "typ": "JWT" }), same(), None),
        ("a type in another case, with `application/`", json!({ "typ": "application/AT+JWT" }), same(), None),
        ("no type", json!({ "typ": null }), same(), None),
        ("no key name, when there is one key of the kind", json!({ "kid": null }), same(), None),
        ("expired within the leeway", same(), json!({ "exp": NOW - 29 }), None),
        ("not yet valid within the leeway", same(), json!({ "nbf": NOW + 29 }), None),
        ("a date with a fraction", same(), json!({ "exp": NOW as f64 + 10.5 }), None),
        (
            "a foreign key in the header, which nobody looks at",
            json!({ "jwk": { "kty": "oct", "k": "AA" } }),
            same(),
            None,
        ),
        ("a key URL in the header, which nobody looks at", json!({ "jku": "https://evil.example/k" }), same(), None),
        // algorithm
        ("the algorithm by its newer name (RFC 9864)", json!({ "alg": "Ed25519" }), same(), None),
        ("the newer name in lower case", json!({ "alg": "ed25519" }), same(), Some("ACC-203")),
        ("another curve by its newer name", json!({ "alg": "Ed448" }), same(), Some("ACC-203")),
        ("`none`", json!({ "alg": "none" }), same(), Some("ACC-203")),
        ("`None`", json!({ "alg": "None" }), same(), Some("ACC-203")),
        ("`nOnE`", json!({ "alg": "nOnE" }), same(), Some("ACC-203")),
        ("no algorithm", json!({ "alg": null }), same(), Some("ACC-203")),
        ("an algorithm that is a number", json!({ "alg": 1 }), same(), Some("ACC-203")),
        ("an algorithm that is a list", json!({ "alg": ["EdDSA"] }), same(), Some("ACC-203")),
        ("an algorithm in lower case", json!({ "alg": "eddsa" }), same(), Some("ACC-203")),
        ("an algorithm with a space", json!({ "alg": "EdDSA " }), same(), Some("ACC-203")),
        ("an unknown algorithm", json!({ "alg": "ES512" }), same(), Some("ACC-203")),
        ("HS256, which is not accepted here", json!({ "alg": "HS256" }), same(), Some("ACC-203")),
        ("another kind than its key", json!({ "alg": "ES256" }), same(), Some("ACC-203")),
        ("RSA for an Edwards key", json!({ "alg": "RS256" }), same(), Some("ACC-203")),
        // key
        ("an unknown key", json!({ "kid": "two" }), same(), Some("ACC-208")),
        ("a key name that is a path", json!({ "kid": "../../dev/null" }), same(), Some("ACC-208")),
        ("a key name that is SQL", json!({ "kid": "x' UNION SELECT 'k" }), same(), Some("ACC-208")),
        ("a key name in another case", json!({ "kid": "ONE" }), same(), Some("ACC-208")),
        ("an empty key name", json!({ "kid": "" }), same(), Some("ACC-208")),
        ("a very long key name", json!({ "kid": "k".repeat(257) }), same(), Some("ACC-202")),
        ("a key name that is a number", json!({ "kid": 1 }), same(), Some("ACC-202")),
        // header
        ("a demanded extension", json!({ "crit": ["exp"], "exp": 1 }), same(), Some("ACC-207")),
        ("no demanded extension, but the list", json!({ "crit": [] }), same(), Some("ACC-207")),
        ("an unencoded payload", json!({ "b64": false }), same(), Some("ACC-207")),
        ("a nested token", json!({ "cty": "JWT" }), same(), Some("ACC-207")),
        ("compressed", json!({ "zip": "DEF" }), same(), Some("ACC-207")),
        ("a DPoP proof", json!({ "typ": "dpop+jwt" }), same(), Some("ACC-207")),
        ("a log-out token", json!({ "typ": "logout+jwt" }), same(), Some("ACC-207")),
        ("a type that is no text", json!({ "typ": ["JWT"] }), same(), Some("ACC-207")),
    ]
}

/// Tokens of the issuer with changed claims, and the check that must notice.
fn claim_changes() -> Vec<Change> {
    let same = || json!({});
    vec![
        // time
        ("expired", same(), json!({ "exp": NOW - 31 }), Some("ACC-205")),
        ("expired to the second", same(), json!({ "exp": NOW - 30 }), Some("ACC-205")),
        ("not yet valid", same(), json!({ "nbf": NOW + 31 }), Some("ACC-205")),
        ("no end", same(), json!({ "exp": null }), Some("ACC-205")),
        ("an end that is text", same(), json!({ "exp": "9999999999" }), Some("ACC-205")),
        ("an end beyond all dates", same(), json!({ "exp": 1e300 }), Some("ACC-205")),
        ("an end that is negative", same(), json!({ "exp": -1 }), Some("ACC-205")),
        ("an end that is true", same(), json!({ "exp": true }), Some("ACC-205")),
        ("a beginning that is text", same(), json!({ "nbf": "0" }), Some("ACC-205")),
        ("a date of issue that is text", same(), json!({ "iat": "now" }), Some("ACC-205")),
        // issuer and audience
        ("no issuer", same(), json!({ "iss": null }), Some("ACC-206")),
        ("another issuer", same(), json!({ "iss": "https://login.example.evil" }), Some("ACC-206")),
        ("an issuer with a slash more", same(), json!({ "iss": "https://login.example/" }), Some("ACC-206")),
        ("an issuer in another case", same(), json!({ "iss": "https://LOGIN.example" }), Some("ACC-206")),
        ("an issuer that is a list", same(), json!({ "iss": [ISSUER] }), Some("ACC-206")),
        ("no audience", same(), json!({ "aud": null }), Some("ACC-206")),
        ("another audience", same(), json!({ "aud": "https://other.example" }), Some("ACC-206")),
        ("no audience in a list", same(), json!({ "aud": [] }), Some("ACC-206")),
        ("an audience that is an object", same(), json!({ "aud": { "https://api.example": 1 } }), Some("ACC-206")),
        ("an audience among numbers", same(), json!({ "aud": [1, AUDIENCE] }), Some("ACC-206")),
        ("an audience that begins like ours", same(), json!({ "aud": "https://api.example.evil" }), Some("ACC-206")),
        // claims
        ("no subject", same(), json!({ "sub": null }), Some("ACC-207")),
        ("an empty subject", same(), json!({ "sub": "" }), Some("ACC-207")),
        ("a subject that is a number", same(), json!({ "sub": 7 }), Some("ACC-207")),
        ("a subject with a line end", same(), json!({ "sub": "jane\r\nx-admin: 1" }), Some("ACC-207")),
        ("a very long subject", same(), json!({ "sub": "j".repeat(256) }), Some("ACC-207")),
        ("a confirmation that is text", same(), json!({ "cnf": "jkt" }), Some("ACC-207")),
        ("a confirmation of an unknown kind", same(), json!({ "cnf": { "kid": "x" } }), Some("ACC-207")),
        (
            "a confirmation of two kinds",
            same(),
            json!({ "cnf": { "jkt": base64url(&[0; 32]), "x5t#S256": base64url(&[0; 32]) } }),
            Some("ACC-207"),
        ),
        ("a confirmation that is too short", same(), json!({ "cnf": { "jkt": "AA" } }), Some("ACC-207")),
        ("an empty confirmation", same(), json!({ "cnf": {} }), Some("ACC-207")),
    ]
}

/// `Authorization` values, and the check that must notice.
fn spellings(token: &str) -> Vec<(&'static str, Vec<String>, Option<&'static str>)> {
    let parts: Vec<&str> = token.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let one = |text: String| vec![text];
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    vec![
        ("as it should be", one(format!("Bearer {token}")), None),
        ("a scheme in another case", one(format!("bEARER {token}")), None),
        ("spaces after the scheme", one(format!("Bearer   {token} ")), None),
        ("no scheme", one(token.to_owned()), Some("ACC-201")),
        ("another scheme", one(format!("Token {token}")), Some("ACC-201")),
        ("no token", one("Bearer".into()), Some("ACC-202")),
        ("an empty token", one("Bearer  ".into()), Some("ACC-202")),
        ("two tokens in one field", one(format!("Bearer {token}, Bearer {token}")), Some("ACC-202")),
        ("two fields", vec![format!("Bearer {token}"), format!("Bearer {token}")], Some("ACC-219")),
        ("another scheme in a second field", vec![format!("Bearer {token}"), "Basic YTpi".into()], Some("ACC-219")),
        ("no signature", one(format!("Bearer {head}.{body}.")), Some("ACC-204")),
        ("no signature and no dot", one(format!("Bearer {head}.{body}")), Some("ACC-202")),
        ("another letter in the signature", one(format!("Bearer {head}.{body}.{flipped}")), Some("ACC-204")),
        ("padding", one(format!("Bearer {token}==")), Some("ACC-202")),
        ("a fourth part", one(format!("Bearer {token}.x")), Some("ACC-202")),
        ("five parts, as encrypted ones have", one(format!("Bearer {head}.a.b.c.d")), Some("ACC-202")),
        ("no header", one(format!("Bearer .{body}.{signature}")), Some("ACC-202")),
        ("no payload", one(format!("Bearer {head}..{signature}")), Some("ACC-202")),
        ("a letter outside of base64url", one(format!("Bearer {head}.{body}+.{signature}")), Some("ACC-202")),
        ("a very long one", one(format!("Bearer {}", "a".repeat(8193))), Some("ACC-202")),
        ("only dots", one("Bearer ..".into()), Some("ACC-202")),
        ("JSON", one("Bearer {\"alg\":\"none\"}".into()), Some("ACC-202")),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let mut expected: Vec<_> = changes().into_iter().map(|(_, _, _, check)| check).collect();
    expected.extend(spellings("a.b.cd").into_iter().map(|(_, _, check)| check));
    expected.extend([Some("ACC-301"), Some("ACC-301"), Some("ACC-209"), Some("ACC-209"), None, None]);
    super::rows(&expected)
}

fn desk() -> (Desk, Signer) {
    let desk = Desk::new(POLICY);
    let signer = Signer::ed25519(1);
    desk.publish(&[signer.named("one")]);
    (desk, signer)
}

#[test]
fn a_token_is_let_in_only_as_it_should_be() {
    let (desk, signer) = desk();
    let table = changes();
    assert!(table.len() >= 60);
    for (name, head, body, check) in table {
        let token = signer.sign(&changed(header(), head), &changed(claims(), body));
        for again in ["", " again, from memory"] {
            desk.check(&format!("{name}{again}"), &Call::bearer(&token), check);
        }
    }
}

#[test]
fn a_token_has_one_spelling() {
    let (desk, signer) = desk();
    for (name, values, check) in spellings(&signer.sign(&header(), &claims())) {
        let call = values.iter().fold(Call::get("/"), |call, value| call.with("authorization", value.as_str()));
        desk.check(name, &call, check);
    }
}

#[test]
fn json_with_two_meanings_is_refused() {
    let (desk, signer) = desk();
    let (head, body) = (header().to_string(), claims().to_string());
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    let deep = format!("{{\"x\":{}{},{}", "[".repeat(40), "]".repeat(40), &body[1..]);
    for (name, head, body) in [
        ("two algorithms", twice(&head, r#""alg":"none""#), body.clone()),
        ("two algorithms, one with an escape", twice(&head, r#""\u0061lg":"none""#), body.clone()),
        ("two subjects", head.clone(), twice(&body, r#""sub":"root""#)),
        ("two members deep inside", head.clone(), twice(&body, r#""x":{"a":1,"a":2}"#)),
        ("text after the object", format!("{head} x"), body.clone()),
        ("a list", head.clone(), "[]".to_owned()),
        ("very deep", head.clone(), deep),
        ("a byte order mark", head.clone(), format!("\u{feff}{body}")),
    ] {
        desk.check(name, &Call::bearer(&signer.sign_text(&head, &body)), Some("ACC-202"));
    }
    desk.check("white space", &Call::bearer(&signer.sign_text(&format!(" {head}\n"), &body)), None);
}

#[test]
fn a_token_of_somebody_else_is_forged() {
    let (desk, _) = desk();
    let other = Signer::ed25519(2);
    desk.check("signed with another key", &Call::bearer(&other.sign(&header(), &claims())), Some("ACC-204"));
    // RFC 8725 §2.1: the public key, which everybody knows, as the secret of an HMAC.
    let signer = Signer::ed25519(1);
    let public = signer.public();
    let head = changed(header(), json!({ "alg": "HS256" }));
    for secret in [public.to_string().into_bytes(), public["x"].as_str().unwrap().as_bytes().to_vec(), Vec::new()] {
        desk.check("confused", &Call::bearer(&Signer::hs256(&secret).sign(&head, &claims())), Some("ACC-203"));
    }
}

#[test]
fn secrets_are_a_choice_and_must_be_long() {
    let policy = POLICY.replace("jwks_file", "algorithms: [HS256], jwks_file");
    let desk = Desk::new(&policy);
    let head = json!({ "alg": "HS256", "kid": "s" });
    desk.publish(&[json!({ "kty": "oct", "kid": "s", "k": base64url(SECRET) })]);
    desk.check("a long secret", &Call::bearer(&Signer::hs256(SECRET).sign(&head, &claims())), None);
    let short = json!({ "keys": [{ "kty": "oct", "kid": "s", "k": base64url(b"short") }] }).to_string();
    assert!(desk.access.publish_keys(&file(), short.as_bytes(), at(0)).is_err(), "a short secret is no key");
}

#[test]
fn a_scope_that_is_demanded_must_be_there() {
    let with =
        |scopes: &str| Desk::new(&POLICY.replace("{ methods", &format!("{{ required_scopes: [{scopes}], methods")));
    let signer = Signer::ed25519(1);
    for (scopes, claim, check) in [
        ("\"orders:read\"", json!("orders:read"), None),
        ("\"orders:read\"", json!(["orders:read"]), None),
        ("\"orders:read\", \"orders:write\"", json!("orders:read"), Some("ACC-301")),
        ("\"orders:read\"", json!("orders:readall"), Some("ACC-301")),
        ("\"orders:read\"", json!("ORDERS:READ"), Some("ACC-301")),
        ("\"orders:read\"", json!({ "orders:read": true }), Some("ACC-301")),
        ("\"orders:read\"", json!(null), Some("ACC-301")),
    ] {
        let desk = with(scopes);
        desk.publish(&[signer.named("one")]);
        let token = signer.sign(&header(), &changed(claims(), json!({ "scope": claim })));
        let served = desk.serve(&Call::bearer(&token));
        assert_eq!(served.check().as_deref(), check, "{claim}");
        if check.is_some() {
            assert_eq!(served.answer.status, 403);
            assert!(served.challenges()[0].contains("error=\"insufficient_scope\""), "{:?}", served.challenges());
            assert!(served.event.principal.is_some(), "who was refused is known");
        }
    }
}

#[test]
fn claims_and_types_that_are_demanded_must_be_there() {
    let policy = POLICY.replace(
        "jwks_file",
        "types: [at+jwt], claims: [{ name: tenant, values: [acme] }, { name: realm.roles, values: [\"7\"] }, { name: amr }], jwks_file",
    );
    let signer = Signer::ed25519(1);
    let desk = Desk::new(&policy);
    desk.publish(&[signer.named("one")]);
    let full = changed(claims(), json!({ "tenant": "acme", "realm": { "roles": ["a", 7] }, "amr": ["pwd"] }));
    for (name, head, body, check) in [
        ("all of them", json!({}), json!({}), None),
        ("another tenant", json!({}), json!({ "tenant": "evil" }), Some("ACC-207")),
        ("a tenant in a list", json!({}), json!({ "tenant": ["evil", "acme"] }), None),
        ("no tenant", json!({}), json!({ "tenant": null }), Some("ACC-207")),
        ("no such role", json!({}), json!({ "realm": { "roles": ["a"] } }), Some("ACC-207")),
        (
            "a claim of that very name wins over the path",
            json!({}),
            json!({ "realm.roles": ["none"] }),
            Some("ACC-207"),
        ),
        ("no `amr`", json!({}), json!({ "amr": null }), Some("ACC-207")),
        ("no type", json!({ "typ": null }), json!({}), Some("ACC-207")),
        ("another type", json!({ "typ": "JWT" }), json!({}), Some("ACC-207")),
    ] {
        let token = signer.sign(&changed(header(), head), &changed(full.clone(), body));
        desk.check(name, &Call::bearer(&token), check);
    }
}

#[test]
fn the_principal_is_told_without_being_told() {
    let (desk, signer) = desk();
    let token = signer.sign(&header(), &changed(claims(), json!({ "client_id": "shop-app" })));
    let Served { event, .. } = desk.serve(&Call::bearer(&token));
    let principal = event.principal.clone().unwrap();
    assert_eq!(principal.credential, CredentialKind::Jwt);
    assert_eq!(principal.application.as_deref(), Some("shop-app"));
    assert_eq!(principal.scopes.len(), 2);
    assert_eq!(principal.subject.len(), 32);
    assert_eq!((event.actor.kind, &event.actor.id), (ActorKind::Principal, &principal.subject));
    assert!(!format!("{event:?}").contains("jane"));
    let other = desk.serve(&Call::bearer(&signer.sign(&header(), &changed(claims(), json!({ "jti": "2" })))));
    assert_eq!(other.event.actor, event.actor, "another token of the same subject is the same actor");
    let plain = Desk::new(&POLICY.replace("{ methods", "{ subject: plain, methods"));
    plain.publish(&[signer.named("one")]);
    let served = plain.serve(&Call::bearer(&token));
    assert_eq!(&*served.event.principal.unwrap().subject, "jane");
}

#[test]
fn what_is_remembered_dies_with_its_time_and_with_its_key() {
    let (desk, signer) = desk();
    let call = Call::bearer(&signer.sign(&header(), &claims()));
    let later = |after_secs| Call { after_secs, ..call.clone() };
    desk.check("new", &call, None);
    desk.check("remembered", &later(629), None);
    desk.check("expired, though remembered", &later(630), Some("ACC-205"));
    desk.publish(&[Signer::ed25519(2).named("two")]);
    desk.check("its key is gone", &call, Some("ACC-208"));
    desk.publish(&[Signer::ed25519(2).named("one")]);
    desk.check("its key is another", &call, Some("ACC-204"));
    desk.publish(&[Signer::ed25519(2).named("two"), signer.named("one")]);
    desk.check("its key is back, beside the next", &call, None);
}

#[test]
fn without_keys_access_is_closed() {
    let desk = Desk::new(POLICY);
    let signer = Signer::ed25519(1);
    let call = Call::bearer(&signer.sign(&header(), &claims()));
    let served = desk.serve(&call);
    assert_eq!((served.check().as_deref(), served.answer.status), (Some("ACC-209"), 503));
    for document in ["", "{}", "{\"keys\":[]}", "{\"keys\":{}}", "{\"keys\":[{\"kty\":\"EC\"}]}"] {
        assert!(desk.access.publish_keys(&file(), document.as_bytes(), at(0)).is_err(), "{document}");
    }
    desk.publish(&[signer.named("one")]);
    desk.check("with keys", &call, None);
    assert!(desk.access.publish_keys(&file(), b"nonsense", at(0)).is_err());
    desk.check("nonsense leaves the keys as they were", &call, None);
}

#[test]
fn an_unknown_key_is_refused_only_by_what_its_issuer_says_after_the_question() {
    let policy = POLICY.replace("jwks_file: keys.jwks", "jwks_url: \"https://login.example/keys\"");
    let desk = Desk::new(&policy);
    let source = KeySource::Url("https://login.example/keys".into());
    let signer = Signer::ed25519(1);
    let call = Call::bearer(&signer.sign(&header(), &claims()));
    let later = |after_secs| Call { after_secs, ..call.clone() };
    assert_eq!(desk.serve(&call).check().as_deref(), Some("ACC-209"), "a host that answers nothing");
    let publish = |after_secs: i64, keys: &[Value]| {
        let document = json!({ "keys": keys }).to_string();
        desk.access.publish_keys(&source, document.as_bytes(), at(after_secs)).unwrap();
        Reply::Done
    };
    let served = desk.serve_with(&call, Some(&|_| publish(0, &[Signer::ed25519(2).named("two")])));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-208"), 1), "the keys came without it");
    let served = desk.serve_with(&later(9), Some(&|_| Reply::Done));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-208"), 0), "it was said a moment ago");
    let served = desk.serve_with(&later(10), Some(&|_| Reply::Unavailable));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-209"), 1), "nobody could say");
    let unreachable = |_: &_| {
        desk.access.keys_unreachable(&source, at(11));
        Reply::Unavailable
    };
    let served = desk.serve_with(&later(11), Some(&unreachable));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-209"), 1));
    let served = desk.serve_with(&later(20), Some(&unreachable));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-209"), 0), "it is left alone a while");
    let served = desk.serve_with(&later(21), Some(&|_| publish(21, &[signer.named("one")])));
    assert_eq!((served.step, served.questions.len()), (Step::Continue, 1), "rotated");
    let other = |kid: &str| {
        let token = signer.sign(&changed(header(), json!({ "kid": kid })), &claims());
        Call { after_secs: 21, ..Call::bearer(&token) }
    };
    let keys = ["one", "two", "three"].map(|kid| signer.named(kid));
    let served = desk.serve_with(&other("two"), Some(&|_| publish(21, &keys[..2])));
    assert_eq!((served.step, served.questions.len()), (Step::Continue, 1), "rotated again within the same second");
    let served = desk.serve_with(&other("three"), Some(&|_| Reply::Done));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-208"), 1));
    publish(21, &keys);
    let served = desk.serve_with(&other("three"), Some(&|_| Reply::Done));
    assert_eq!((served.step, served.questions.len()), (Step::Continue, 0), "other keys are another matter");
    assert_eq!(desk.serve_with(&later(100), Some(&|_| Reply::Done)).questions.len(), 0, "known: nothing to ask");
}

#[test]
fn keys_that_are_too_old_are_not_believed() {
    let policy = POLICY.replace("jwks_file: keys.jwks", "keys_age_max: 1h, discovery: true");
    let desk = Desk::new(&policy);
    let signer = Signer::ed25519(1);
    let source = KeySource::Discovery(ISSUER.into());
    let document = json!({ "keys": [signer.named("one")] }).to_string();
    desk.access.publish_keys(&source, document.as_bytes(), at(0)).unwrap();
    let call = Call::bearer(&signer.sign(&header(), &changed(claims(), json!({ "exp": NOW + 10_000 }))));
    let later = |after_secs| Call { after_secs, ..call.clone() };
    desk.check("an hour old", &later(3600), None);
    desk.check("older", &later(3601), Some("ACC-209"));
    let renew = |_: &_| {
        desk.access.publish_keys(&source, document.as_bytes(), at(3601)).unwrap();
        Reply::Done
    };
    assert_eq!(desk.serve_with(&later(3601), Some(&renew)).check(), None, "fetched again");
    let unreachable = |_: &_| {
        desk.access.keys_unreachable(&source, at(9000));
        Reply::Unavailable
    };
    let served = desk.serve_with(&later(9000), Some(&unreachable));
    assert_eq!((served.check().as_deref(), served.questions.len()), (Some("ACC-209"), 1));
}

#[test]
fn several_issuers_each_judge_their_own() {
    let second = "{ jwt: { issuer: second, audiences: [b], jwks_url: \"https://b.example/keys\" } }";
    let desk = Desk::new(&POLICY.replace("methods: [", &format!("methods: [{second}, ")));
    let (one, two) = (Signer::ed25519(1), Signer::ed25519(2));
    desk.publish(&[one.named("one")]);
    let document = json!({ "keys": [two.named("one")] }).to_string();
    let source = KeySource::Url("https://b.example/keys".into());
    desk.access.publish_keys(&source, document.as_bytes(), at(0)).unwrap();
    let of_second = changed(claims(), json!({ "iss": "second", "aud": "b" }));
    desk.check("the first", &Call::bearer(&one.sign(&header(), &claims())), None);
    desk.check("the second", &Call::bearer(&two.sign(&header(), &of_second)), None);
    desk.check("one in the other's name", &Call::bearer(&one.sign(&header(), &of_second)), Some("ACC-204"));
    desk.check(
        "the other's audience",
        &Call::bearer(&two.sign(&header(), &changed(of_second, json!({ "aud": AUDIENCE })))),
        Some("ACC-206"),
    );
    desk.check(
        "neither",
        &Call::bearer(&one.sign(&header(), &changed(claims(), json!({ "iss": "x" })))),
        Some("ACC-206"),
    );
}

#[test]
fn nobody_is_welcome_only_where_it_is_said() {
    let signer = Signer::ed25519(1);
    let open = Desk::new(&POLICY.replace("{ methods", "{ anonymous: true, methods"));
    open.publish(&[signer.named("one")]);
    open.check("nobody", &Call::get("/"), None);
    open.check("somebody", &Call::bearer(&signer.sign(&header(), &claims())), None);
    open.check("somebody who is not", &Call::bearer("a.b.c"), Some("ACC-202"));
    open.check(
        "a credential that no method knows",
        &Call::get("/").with("authorization", "Basic YTpi"),
        Some("ACC-201"),
    );
    let (closed, _) = desk();
    let served = closed.serve(&Call::get("/"));
    assert_eq!((served.check().as_deref(), served.answer.status), (Some("ACC-201"), 401));
    assert_eq!(served.challenges(), ["Bearer realm=\"api\""]);
}

#[test]
fn the_upstream_is_told_who_calls_by_nobody_else() {
    let headers = "identity_headers: [{ name: x-user, value: subject }, { name: x-scopes, value: scopes }, { name: x-tenant, claim: tenant }]";
    let signer = Signer::ed25519(1);
    let desk = Desk::new(&POLICY.replace("{ methods", &format!("{{ {headers}, strip: true, methods")));
    desk.publish(&[signer.named("one")]);
    let token = signer.sign(&header(), &changed(claims(), json!({ "sub": "Zoë", "tenant": "acme" })));
    let served = desk.serve(&Call::bearer(&token).with("X_User", "root"));
    let added: Vec<_> = served.edits.added().collect();
    assert_eq!(added, [("x-user", "Zo%C3%AB"), ("x-scopes", "orders:read orders:write"), ("x-tenant", "acme")]);
    for (name, is_removed) in
        [("X-User", true), ("x_user", true), ("Authorization", true), ("dpop", true), ("accept", false)]
    {
        assert_eq!(served.edits.removes(name.as_bytes()), is_removed, "{name}");
    }
    let checks: Vec<_> = served.event.findings.iter().map(|finding| finding.check.to_string()).collect();
    assert_eq!(checks, ["ACC-220"], "noted, and let in");
    let elsewhere = Desk::with_policies(&format!(
        "policies: [{{ name: callers, mode: enforce, scope: {{ paths: [/orders/**] }}, authenticate: {} }}]",
        POLICY.replace("{ methods", &format!("{{ {headers}, methods"))
    ));
    let served = elsewhere.serve(&Call::get("/help").with("x-user", "root"));
    assert!(served.step == Step::Continue && served.edits.removes(b"x-user"), "nor where the policy does not apply");
    let (plain, signer) = self::desk();
    let served = plain.serve(&Call::bearer(&signer.sign(&header(), &claims())));
    assert!(!served.edits.removes(b"authorization"), "tokens go on, unless somebody says otherwise");
}

#[test]
fn observed_is_as_enforced_but_for_the_answer() {
    let text = format!("policies: [{{ name: callers, mode: observe, authenticate: {POLICY} }}]");
    let desk = Desk::with_policies(&text);
    let served = desk.serve(&Call::get("/"));
    assert_eq!(served.step, Step::Continue);
    assert_eq!(served.event.decision.status, 401);
    assert!(!served.event.decision.applied && served.edits.is_empty());
}
