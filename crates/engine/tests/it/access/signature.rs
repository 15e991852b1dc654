//! Signed messages: what a signature covers, for how long, and how often.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use bartizan_engine::{CacheBypass, Caching};

use super::desk::{Call, Desk, NOW, Signer, base64url};

const POLICY: &str = "{ methods: [{ signature: { jwks_file: keys.jwks } }] }";
const BODY: &str = "{\"hello\": \"world\"}";

/// A request whose head the signer signs.
#[derive(Clone)]
struct Message {
    call: Call,
    /// As they are covered
    components: &'static str,
    parameters: String,
    /// What is signed, in the order of `components`
    lines: Vec<String>,
}

fn message() -> Message {
    Message {
        call: Call::get("/orders/1?page=2"),
        components: "\"@method\" \"@target-uri\"",
        parameters: format!("created={NOW};keyid=\"partner\";nonce=\"n\""),
        lines: vec!["\"@method\": GET".into(), "\"@target-uri\": https://api.example/orders/1?page=2".into()],
    }
}

fn digest(body: &str) -> String {
    format!("sha-256=:{}:", STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, body.as_bytes())))
}

fn signed(message: &Message, signer: &Signer) -> Call {
    let input = format!("({});{}", message.components, message.parameters);
    let base = format!("{}\n\"@signature-params\": {input}", message.lines.join("\n"));
    let signature = STANDARD.encode(signer.sign_bytes(base.as_bytes()));
    message
        .call
        .clone()
        .with("signature-input", format!("sig1={input}"))
        .with("signature", format!("sig1=:{signature}:"))
}

fn partner() -> Signer {
    Signer::ed25519(3)
}

fn desk() -> Desk {
    let desk = Desk::new(POLICY);
    desk.publish(&[partner().named("partner")]);
    desk
}

/// A name, a call, and the check that must notice.
type Row = (&'static str, Call, Option<&'static str>);

const BAD: Option<&str> = Some("ACC-218");

fn table() -> Vec<Row> {
    changes().into_iter().chain(odd()).collect()
}

/// A call whose signature covers these components, by these lines.
fn covering(components: &'static str, lines: &[&str], call: Call) -> Call {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    signed(&Message { components, lines, call, ..message() }, &partner())
}

/// Changes of a message before it is signed, or of the call after it.
fn changes() -> Vec<Row> {
    let parameters = |text: String| signed(&Message { parameters: text, ..message() }, &partner());
    let after = |change: &dyn Fn(&mut Call)| {
        let mut call = signed(&message(), &partner());
        change(&mut call);
        call
    };
    let method_only = covering("\"@method\"", &["\"@method\": GET"], message().call);
    let both = "\"@method\" \"@target-uri\" \"x-tenant\"";
    let tenant = |call: Call| {
        covering(
            both,
            &["\"@method\": GET", "\"@target-uri\": https://api.example/orders/1?page=2", "\"x-tenant\": a, b"],
            call,
        )
    };
    vec![
        ("as it was signed", signed(&message(), &partner()), None),
        ("a little old", parameters(format!("created={};keyid=\"partner\"", NOW - 300)), None),
        ("with its algorithm", parameters(format!("created={NOW};keyid=\"partner\";alg=\"ed25519\"")), None),
        ("a field in two lines", tenant(message().call.with("x-tenant", "a").with("X-Tenant", " b ")), None),
        ("without its field", tenant(message().call), BAD),
        ("another value of its field", tenant(message().call.with("x-tenant", "a")), BAD),
        ("another method", after(&|call| call.method = "DELETE".into()), BAD),
        ("another path", after(&|call| call.target = "/orders/2?page=2".into()), BAD),
        ("another query", after(&|call| call.target = "/orders/1?page=3".into()), BAD),
        ("without TLS", after(&|call| call.is_tls = false), BAD),
        ("too little covered", method_only, BAD),
        ("too old", parameters(format!("created={};keyid=\"partner\"", NOW - 301)), BAD),
        ("from the future", parameters(format!("created={};keyid=\"partner\"", NOW + 31)), BAD),
        ("expired", parameters(format!("created={NOW};expires={NOW};keyid=\"partner\"")), BAD),
        ("without a date", parameters("keyid=\"partner\"".into()), BAD),
        ("a date that is text", parameters(format!("created=\"{NOW}\";keyid=\"partner\"")), BAD),
        ("without a key", parameters(format!("created={NOW}")), BAD),
        ("an unknown key", parameters(format!("created={NOW};keyid=\"somebody\"")), BAD),
        ("another algorithm", parameters(format!("created={NOW};keyid=\"partner\";alg=\"hmac-sha256\"")), BAD),
        ("signed with another key", signed(&message(), &Signer::ed25519(4)), BAD),
    ]
}

/// Signatures over odd components, and fields that are no signatures.
fn odd() -> Vec<Row> {
    vec![
        (
            "a component twice",
            covering(
                "\"@method\" \"@target-uri\" \"@method\"",
                &["\"@method\": GET", "\"@target-uri\": https://api.example/orders/1?page=2", "\"@method\": GET"],
                message().call,
            ),
            BAD,
        ),
        (
            "a component with a parameter",
            covering(
                "\"@method\" \"@target-uri\" \"@query-param\";name=\"page\"",
                &[
                    "\"@method\": GET",
                    "\"@target-uri\": https://api.example/orders/1?page=2",
                    "\"@query-param\";name=\"page\": 2",
                ],
                message().call,
            ),
            BAD,
        ),
        (
            "an unknown component",
            covering(
                "\"@method\" \"@target-uri\" \"@status\"",
                &["\"@method\": GET", "\"@target-uri\": https://api.example/orders/1?page=2", "\"@status\": 200"],
                message().call,
            ),
            BAD,
        ),
        (
            "a signature that is a word",
            message()
                .call
                .with("signature-input", format!("sig1=();created={NOW};keyid=\"partner\""))
                .with("signature", "sig1=word"),
            Some("ACC-202"),
        ),
        (
            "an input that is no list",
            message().call.with("signature-input", "sig1=1").with("signature", "sig1=:AA==:"),
            Some("ACC-202"),
        ),
        ("nonsense", message().call.with("signature-input", "(((").with("signature", "x"), Some("ACC-202")),
        ("an input without a signature", message().call.with("signature-input", "sig1=()"), Some("ACC-201")),
        (
            "a very long input",
            message().call.with("signature-input", "a".repeat(9000)).with("signature", "x"),
            Some("ACC-202"),
        ),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let mut expected: Vec<_> = table().into_iter().map(|(_, _, check)| check).collect();
    expected.push(Some("ACC-212"));
    super::rows(&expected)
}

#[test]
fn a_signature_holds_for_what_was_signed() {
    for (name, call, check) in table() {
        desk().check(name, &call, check);
    }
}

#[test]
fn a_signature_works_once() {
    let desk = desk();
    let call = signed(&message(), &partner());
    desk.check("first", &call, None);
    desk.check("again", &call, Some("ACC-212"));
    let without = Message { parameters: format!("created={NOW};keyid=\"partner\""), ..message() };
    desk.check("without a nonce", &signed(&without, &partner()), None);
    desk.check("without a nonce, again", &signed(&without, &partner()), Some("ACC-212"));
    let other = Message { parameters: format!("created={};keyid=\"partner\";nonce=\"n\"", NOW - 1), ..message() };
    desk.check("another date, the same nonce", &signed(&other, &partner()), Some("ACC-212"));
}

#[test]
fn a_body_is_the_one_that_was_signed() {
    let post = |length: usize| Call {
        method: "POST".into(),
        ..message().call.with("content-digest", digest(BODY)).with("content-length", length.to_string())
    };
    let covered = |call: Call| Message {
        components: "\"@method\" \"@target-uri\" \"content-digest\"",
        lines: vec![
            "\"@method\": POST".into(),
            "\"@target-uri\": https://api.example/orders/1?page=2".into(),
            format!("\"content-digest\": {}", digest(BODY)),
        ],
        call,
        ..message()
    };
    let sent = |message: &Message, body| Call { body: Some(body), ..signed(message, &partner()) };
    let good = covered(post(BODY.len()));
    desk().check("the body", &sent(&good, BODY), None);
    desk().check("another body", &sent(&good, "{\"hello\": \"w0rld\"}"), Some("ACC-218"));
    desk().check("no body", &sent(&good, ""), Some("ACC-218"));
    let uncovered = Message {
        lines: vec!["\"@method\": POST".into(), "\"@target-uri\": https://api.example/orders/1?page=2".into()],
        call: post(BODY.len()),
        ..message()
    };
    desk().check("a body that is not covered", &signed(&uncovered, &partner()), Some("ACC-218"));
    let mut chunked = uncovered;
    chunked.call.headers.retain(|(name, _)| name != "content-length");
    chunked.call = chunked.call.with("transfer-encoding", "chunked");
    desk().check("a body of unknown length that is not covered", &signed(&chunked, &partner()), Some("ACC-218"));
}

#[test]
fn the_signature_is_taken_out_where_the_policy_says_so() {
    for (strip, is_removed) in [("strip: true,", true), ("strip: false,", false), ("", false)] {
        let desk = Desk::new(&POLICY.replace("{ methods", &format!("{{ {strip} methods")));
        desk.publish(&[partner().named("partner")]);
        let served = desk.serve(&signed(&message(), &partner()));
        assert_eq!(served.check(), None);
        for name in ["Signature", "signature-input"] {
            assert_eq!(served.edits.removes(name.as_bytes()), is_removed, "{strip} {name}");
        }
        assert!(!served.edits.removes(b"content-digest"), "a digest is no credential");
    }
}

#[test]
fn keys_of_each_kind_sign() {
    let p256 = Signer::p256();
    let desk = Desk::new(POLICY);
    desk.publish(&[p256.named("partner")]);
    desk.check("ECDSA", &signed(&message(), &p256), None);
    let secret = b"a secret that both ends have known for long";
    let desk = Desk::new(POLICY);
    desk.publish(&[json!({ "kty": "oct", "kid": "partner", "k": base64url(secret) })]);
    desk.check("HMAC", &signed(&message(), &Signer::hs256(secret)), None);
    desk.check("HMAC with another secret", &signed(&message(), &Signer::hs256(b"another")), Some("ACC-218"));
    assert_eq!(Desk::new(POLICY).serve(&signed(&message(), &p256)).check().as_deref(), Some("ACC-209"), "no keys");
}

/// The request of RFC 9421 §B.2, at the time it was signed.
#[test]
fn rfc_9421_b_2() {
    let desk = Desk::new("{ methods: [{ signature: { jwks_file: keys.jwks, components: [date] } }] }");
    desk.publish(&[json!({ "kty": "OKP", "crv": "Ed25519", "kid": "test-key-ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs" })]);
    let call = Call {
        method: "POST".into(),
        after_secs: 1_618_884_473 - NOW,
        host: Some("example.com"),
        ..Call::get("/foo?param=Value&Pet=dog")
            .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
            .with("content-type", "application/json")
            .with("content-length", "18")
            .with("signature-input", "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"")
            .with("signature", "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:")
    };
    // The example covers the length of its body and not the body: its signature fits, and that is not enough for us.
    let evidence = |call: &Call| desk.serve(call).event.findings[0].evidence.to_string();
    assert_eq!(evidence(&call), "the body is not covered (`content-digest`)");
    assert_eq!(evidence(&Call { method: "PUT".into(), ..call }), "it does not fit what was sent");
    let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ";
    let secret = base64url(&base64::engine::general_purpose::STANDARD_NO_PAD.decode(secret).unwrap());
    desk.publish(&[json!({ "kty": "oct", "kid": "test-shared-secret", "k": secret })]);
    let call = Call {
        method: "POST".into(),
        after_secs: 1_618_884_473 - NOW,
        host: Some("example.com"),
        ..Call::get("/foo?param=Value&Pet=dog")
            .with("date", "Tue, 20 Apr 2021 02:07:55 GMT")
            .with("content-type", "application/json")
            .with(
                "signature-input",
                "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
            )
            .with("signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:")
    };
    desk.check("B.2.5", &call, None);
}

#[test]
fn an_answer_to_a_signed_call_is_kept_unless_another_signature_stands_beside_it() {
    let caching = |change: &dyn Fn(Call) -> Call| {
        let kept = "{ name: kept, mode: enforce, cache: { key: [principal, query] } }";
        let callers = format!("{{ name: callers, mode: enforce, authenticate: {POLICY} }}");
        let desk = Desk::with_policies(&format!("policies: [{callers}, {kept}]"));
        desk.publish(&[partner().named("partner")]);
        let served = desk.serve(&change(signed(&message(), &partner())));
        assert_eq!(served.check(), None);
        served.caching
    };
    let others = (format!("sig2=(\"@method\");created={NOW};keyid=\"other\""), "sig2=:AAAA:");
    assert!(matches!(caching(&|call| call), Caching::Keyed(_)));
    let in_a_field_of_its_own =
        caching(&|call| call.with("signature-input", others.0.clone()).with("signature", others.1));
    let in_the_list = caching(&|mut call| {
        for (name, value) in &mut call.headers {
            let other = if name == "signature" { others.1 } else { &others.0 };
            *value = format!("{value}, {other}");
        }
        call
    });
    for caching in [in_a_field_of_its_own, in_the_list] {
        assert_eq!(caching, Caching::Bypass(CacheBypass::Field));
    }
}
