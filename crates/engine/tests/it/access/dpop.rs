//! Tokens bound to a key (RFC 9449) or to a certificate (RFC 8705), and proofs that prove nothing.

use serde_json::{Value, json};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, Signer, base64url, sha256, thumbprint};

const POLICY: &str = "{ methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }] }";
const PATH: &str = "/orders/1?page=2";
const URL: &str = "https://api.example/orders/1";

/// An access token, bound as `cnf` says.
fn token(confirmation: Value) -> String {
    let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "jane", "exp": NOW + 10_000 });
    if !confirmation.is_null() {
        claims["cnf"] = confirmation;
    }
    Signer::ed25519(1).sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims)
}

/// The client's key.
fn client() -> Signer {
    Signer::ed25519(9)
}

fn bound() -> String {
    token(json!({ "jkt": thumbprint(&client().public()) }))
}

fn header() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": client().public() })
}

fn claims(id: &str) -> Value {
    json!({ "jti": id, "htm": "GET", "htu": URL, "iat": NOW, "ath": sha256(bound().as_bytes()) })
}

fn merged(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn dpop(token: &str, proof: &str) -> Call {
    Call::get(PATH).with("authorization", format!("DPoP {token}")).with("dpop", proof)
}

/// Changed headers and claims of a proof, and the check that must notice.
fn changes() -> Vec<(&'static str, Value, Value, Option<&'static str>)> {
    const BAD: Option<&str> = Some("ACC-211");
    let same = || json!({});
    let mut private = client().public();
    private["d"] = json!(base64url(&[9; 32]));
    vec![
        ("a proof as it should be", same(), same(), None),
        ("the URL with a query and a fragment", same(), json!({ "htu": format!("{URL}?page=3#x") }), None),
        (
            "the URL with its port and in another case",
            same(),
            json!({ "htu": "HTTPS://API.example:443/orders/1" }),
            None,
        ),
        ("the path in another encoding", same(), json!({ "htu": "https://api.example/%6Frders/1" }), None),
        ("a little early", same(), json!({ "iat": NOW + 29 }), None),
        ("a little late", same(), json!({ "iat": NOW - 89 }), None),
        ("a type in another case", json!({ "typ": "DPoP+JWT" }), same(), None),
        ("the algorithm by its newer name (RFC 9864)", json!({ "alg": "Ed25519" }), same(), None),
        ("another type", json!({ "typ": "JWT" }), same(), BAD),
        ("no type", json!({ "typ": null }), same(), BAD),
        ("`none`", json!({ "alg": "none" }), same(), BAD),
        ("a symmetric algorithm", json!({ "alg": "HS256" }), same(), BAD),
        ("an algorithm of another kind than the key", json!({ "alg": "ES256" }), same(), BAD),
        ("no key", json!({ "jwk": null }), same(), BAD),
        ("a key that is text", json!({ "jwk": "key" }), same(), BAD),
        ("a secret as the key", json!({ "jwk": { "kty": "oct", "k": base64url(&[9; 32]) } }), same(), BAD),
        ("a private key", json!({ "jwk": private }), same(), BAD),
        ("another key", json!({ "jwk": Signer::ed25519(8).public() }), same(), BAD),
        ("a demanded extension", json!({ "crit": ["x"] }), same(), BAD),
        ("another method", same(), json!({ "htm": "POST" }), BAD),
        ("the method in lower case", same(), json!({ "htm": "get" }), BAD),
        ("no method", same(), json!({ "htm": null }), BAD),
        ("another path", same(), json!({ "htu": "https://api.example/orders/2" }), BAD),
        ("another host", same(), json!({ "htu": "https://evil.example/orders/1" }), BAD),
        ("another port", same(), json!({ "htu": "https://api.example:8443/orders/1" }), BAD),
        ("another scheme", same(), json!({ "htu": "http://api.example/orders/1" }), BAD),
        ("a user before the host", same(), json!({ "htu": "https://api.example@evil.example/orders/1" }), BAD),
        ("a path alone", same(), json!({ "htu": "/orders/1" }), BAD),
        ("no URL", same(), json!({ "htu": null }), BAD),
        ("an old one", same(), json!({ "iat": NOW - 91 }), BAD),
        ("one from the future", same(), json!({ "iat": NOW + 31 }), BAD),
        ("no date", same(), json!({ "iat": null }), BAD),
        ("a date that is text", same(), json!({ "iat": NOW.to_string() }), BAD),
        ("no id", same(), json!({ "jti": null }), BAD),
        ("an empty id", same(), json!({ "jti": "" }), BAD),
        ("a very long id", same(), json!({ "jti": "i".repeat(257) }), BAD),
        ("an id that is a number", same(), json!({ "jti": 1 }), BAD),
        ("another token", same(), json!({ "ath": sha256(b"another") }), BAD),
        ("no token", same(), json!({ "ath": null }), BAD),
        ("the token's digest with padding", same(), json!({ "ath": format!("{}=", sha256(bound().as_bytes())) }), BAD),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let mut expected: Vec<_> = changes().into_iter().map(|(_, _, _, check)| check).collect();
    expected.extend([Some("ACC-210"); 6]);
    expected.extend([Some("ACC-212"), Some("ACC-212"), None, None]);
    expected.extend([Some("ACC-231"); 6]);
    super::rows(&expected)
}

fn desk(policy: &str) -> Desk {
    let desk = Desk::new(policy);
    desk.publish(&[Signer::ed25519(1).named("one")]);
    desk
}

#[test]
fn a_proof_is_for_one_request_only() {
    let desk = desk(POLICY);
    let table = changes();
    assert!(table.len() >= 25);
    for (number, (name, head, body, check)) in table.into_iter().enumerate() {
        let proof = client().sign(&merged(header(), &head), &merged(claims(&format!("id-{number}")), &body));
        desk.check(name, &dpop(&bound(), &proof), check);
    }
    let forged = Signer::ed25519(8).sign(&header(), &claims("forged"));
    desk.check("signed with another key", &dpop(&bound(), &forged), Some("ACC-211"));
    let serve = desk.serve(&dpop(&bound(), &forged));
    assert!(serve.challenges().iter().any(|challenge| challenge.contains("error=\"invalid_dpop_proof\"")));
}

#[test]
fn a_proof_of_a_p256_key_is_as_good() {
    let desk = desk(POLICY);
    let client = Signer::p256();
    let token = token(json!({ "jkt": thumbprint(&client.public()) }));
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": client.public() });
    let claims = merged(claims("p256"), &json!({ "ath": sha256(token.as_bytes()) }));
    desk.check("ES256", &dpop(&token, &client.sign(&header, &claims)), None);
}

#[test]
fn a_proof_works_once() {
    let desk = desk(POLICY);
    let call = dpop(&bound(), &client().sign(&header(), &claims("once")));
    desk.check("first", &call, None);
    desk.check("again", &call, Some("ACC-212"));
    desk.check("again, later", &Call { after_secs: 60, ..call }, Some("ACC-212"));
    let other = dpop(&bound(), &client().sign(&header(), &claims("twice")));
    desk.check("another", &other, None);
    desk.check("another again", &other, Some("ACC-212"));
}

#[test]
fn two_policies_of_one_request_use_a_proof_up_once() {
    let text = format!(
        "policies: [{{ name: a, mode: enforce, authenticate: {POLICY} }}, {{ name: b, mode: enforce, authenticate: {POLICY} }}]"
    );
    let desk = Desk::with_policies(&text);
    desk.publish(&[Signer::ed25519(1).named("one")]);
    let call = dpop(&bound(), &client().sign(&header(), &claims("shared")));
    desk.check("both", &call, None);
    desk.check("again", &call, Some("ACC-212"));
}

#[test]
fn a_bound_token_is_nothing_without_its_proof() {
    let desk = desk(POLICY);
    let proof = |id: &str| client().sign(&header(), &claims(id));
    let free = token(Value::Null);
    desk.check("as a bearer token", &Call::bearer(&bound()).with("dpop", proof("a")), Some("ACC-210"));
    let without = Call::get(PATH).with("authorization", format!("DPoP {}", bound()));
    desk.check("without a proof", &without, Some("ACC-210"));
    desk.check("two proofs", &dpop(&bound(), &proof("b")).with("dpop", proof("c")), Some("ACC-211"));
    desk.check("a proof that is no token", &dpop(&bound(), "nonsense"), Some("ACC-211"));
    desk.check("a token that is bound to nothing, with a proof", &dpop(&free, &proof("d")), Some("ACC-210"));
    desk.check("a token that is bound to nothing", &Call::bearer(&free), None);
    let strict = self::desk(&POLICY.replace("jwks_file", "sender_constrained: true, jwks_file"));
    strict.check("where tokens must be bound", &Call::bearer(&free), Some("ACC-210"));
    assert!(strict.serve(&Call::get("/")).challenges()[0].starts_with("DPoP realm=\"api\", algs=\""));
}

#[test]
fn behind_a_proxy_the_public_origin_counts() {
    let desk = desk(&POLICY.replace("jwks_file", "origins: [\"https://public.example/\"], jwks_file"));
    let proof = |id: &str, url: &str| client().sign(&header(), &merged(claims(id), &json!({ "htu": url })));
    let clear = |call: Call| Call { is_tls: false, ..call };
    desk.check("public", &clear(dpop(&bound(), &proof("a", "https://public.example/orders/1"))), None);
    desk.check("inner", &clear(dpop(&bound(), &proof("b", "http://api.example/orders/1"))), Some("ACC-211"));
}

#[test]
fn a_token_is_bound_to_the_certificate_of_its_connection() {
    let desk = desk(POLICY);
    let (ours, other) = (b"certificate one".to_vec(), b"certificate two".to_vec());
    let token = token(json!({ "x5t#S256": sha256(&ours) }));
    let shown = |chain: Vec<Vec<u8>>| Call { chain, ..Call::bearer(&token) };
    desk.check("its own", &shown(vec![ours.clone()]), None);
    desk.check("another", &shown(vec![other.clone()]), Some("ACC-210"));
    desk.check("its own behind another", &shown(vec![other, ours]), Some("ACC-210"));
    desk.check("none", &shown(vec![]), Some("ACC-210"));
}

/// Where a nonce of ours is demanded.
fn nonce_desk() -> Desk {
    desk(&POLICY.replace("jwks_file", "proof_nonce: true, jwks_file"))
}

/// A call with a proof that has this nonce.
fn with_nonce(id: &str, nonce: Value, after_secs: i64) -> Call {
    let changes = json!({ "nonce": nonce, "iat": NOW + after_secs });
    let call = dpop(&bound(), &client().sign(&header(), &merged(claims(id), &changes)));
    Call { after_secs, ..call }
}

fn given(served: &super::desk::Served) -> Option<String> {
    let field = |fields: &[(&'static str, String)]| {
        fields.iter().find(|(name, _)| *name == "dpop-nonce").map(|(_, nonce)| nonce.clone())
    };
    field(&served.answer.headers).or_else(|| field(&served.response_fields))
}

#[test]
fn a_client_is_given_a_nonce_and_comes_again_with_it() {
    let desk = nonce_desk();
    let first = desk.serve(&dpop(&bound(), &client().sign(&header(), &claims("first"))));
    assert_eq!((first.check().as_deref(), first.answer.status), (Some("ACC-231"), 401));
    assert!(first.challenges().iter().any(|challenge| challenge.contains("error=\"use_dpop_nonce\"")));
    let nonce = given(&first).expect("a nonce with the refusal");
    let second = desk.serve(&with_nonce("second", json!(nonce), 1));
    assert_eq!((second.check(), given(&second)), (None, None), "no other one while it is new");
    desk.check("the same proof again", &with_nonce("second", json!(nonce), 1), Some("ACC-212"));
    desk.check("the same nonce again, in another proof", &with_nonce("third", json!(nonce), 2), None);
}

#[test]
fn a_nonce_gets_old_and_its_user_is_given_a_new_one_in_time() {
    let desk = nonce_desk();
    let nonce = given(&desk.serve(&with_nonce("a", Value::Null, 0))).unwrap();
    let mut was_renewed = false;
    for after_secs in (0..=300).step_by(20) {
        let served = desk.serve(&with_nonce(&format!("at {after_secs}"), json!(nonce), after_secs));
        match served.check() {
            None => was_renewed |= given(&served).is_some_and(|new| new != nonce),
            Some(check) => {
                assert_eq!(check, "ACC-231");
                assert!(after_secs >= 120 && was_renewed, "{after_secs}: it was good for its turn and the next");
            }
        }
    }
    assert!(was_renewed);
    desk.check("long after", &with_nonce("late", json!(nonce), 600), Some("ACC-231"));
}

#[test]
fn only_nonces_of_ours_count_and_only_where_they_are_demanded() {
    let desk = nonce_desk();
    let nonce = given(&desk.serve(&with_nonce("a", Value::Null, 0))).unwrap();
    for (name, odd) in [
        ("none", Value::Null),
        ("an empty one", json!("")),
        ("somebody else's", json!(base64url(&[7; 32]))),
        ("a part of it", json!(nonce[..20])),
        ("a number", json!(7)),
        ("with padding", json!(format!("{nonce}="))),
    ] {
        desk.check(name, &with_nonce(name, odd, 0), Some("ACC-231"));
    }
    // A proof that is wrong otherwise is not worth a round with a nonce.
    let wrong = client().sign(&header(), &merged(claims("b"), &json!({ "htm": "POST" })));
    desk.check("another method", &dpop(&bound(), &wrong), Some("ACC-211"));
    // Where nobody demands one, one that is there is not looked at.
    self::desk(POLICY).check("elsewhere", &with_nonce("c", json!("anything"), 0), None);
}
