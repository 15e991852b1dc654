//! A desk at which callers show what they have: one engine, one policy, keys to sign with.

use std::sync::Arc;

use bartizan_config::KeySource;
use bartizan_engine::{AccessState, Answer, Caching, Edits, Inspection, Question, Reply, Snapshot, Step};
use bartizan_model::{
    Connection, Event, HeaderField, HttpVersion, Outcome, RequestHead, Scheme, Source, Timestamp, TlsInfo,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use ring::{digest, hmac};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z, in seconds.
pub const NOW: i64 = 1_767_225_600;
pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "https://api.example";
/// A secret as long as HS512 wants it.
pub const SECRET: &[u8; 64] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A request.
#[derive(Clone, Default)]
pub struct Call {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// Instead of 192.0.2.1
    pub from: Option<&'static str>,
    /// Instead of `api.example`
    pub host: Option<&'static str>,
    pub is_tls: bool,
    /// DER, leaf first
    pub chain: Vec<Vec<u8>>,
    /// What follows the head; `None` ends with the head
    pub body: Option<&'static str>,
    /// Seconds after [`NOW`]
    pub after_secs: i64,
}

impl Call {
    pub fn get(target: &str) -> Self {
        Self { method: "GET".into(), target: target.into(), is_tls: true, ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn bearer(token: &str) -> Self {
        Self::get("/orders/1?page=2").with("authorization", format!("Bearer {token}"))
    }
}

/// What became of a call.
pub struct Served {
    pub step: Step,
    pub event: Event,
    pub answer: Answer,
    pub edits: Edits,
    pub questions: Vec<Question>,
    /// Fields for the upstream's answer, when there is one
    pub response_fields: Vec<(&'static str, String)>,
    /// Whether the answer may be kept
    pub caching: Caching,
}

impl Served {
    /// The check that refused, if one did.
    pub fn check(&self) -> Option<String> {
        match &self.step {
            Step::Stop(decision) => decision.check.as_ref().map(ToString::to_string),
            Step::Continue | Step::Hold | Step::Answer | Step::Ask(_) => None,
        }
    }

    pub fn challenges(&self) -> Vec<&str> {
        let fields = self.answer.headers.iter().filter(|(name, _)| *name == "www-authenticate");
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// An engine with one policy.
pub struct Desk {
    pub snapshot: Arc<Snapshot>,
    pub access: Arc<AccessState>,
}

impl Desk {
    /// `authenticate` is the policy's YAML in flow style.
    pub fn new(authenticate: &str) -> Self {
        Self::with_policies(&format!("policies: [{{ name: callers, mode: enforce, authenticate: {authenticate} }}]"))
    }

    pub fn with_policies(text: &str) -> Self {
        let access = Arc::new(AccessState::default());
        let snapshot = crate::host::snapshot(text, "");
        let snapshot = Snapshot::with_endpoints(&snapshot, 2, &[]).with_access(Arc::clone(&access));
        Self { snapshot: Arc::new(snapshot), access }
    }

    /// The keys that `jwks_file: keys.jwks` names.
    pub fn publish(&self, keys: &[Value]) {
        let document = json!({ "keys": keys }).to_string();
        self.access.publish_keys(&file(), document.as_bytes(), at(0)).unwrap();
    }

    pub fn serve(&self, call: &Call) -> Served {
        self.serve_with(call, None)
    }

    /// Serves a call; `reply` answers its questions.
    pub fn serve_with(&self, call: &Call, reply: Option<&dyn Fn(&Question) -> Reply>) -> Served {
        let connection = Connection {
            peer: Some((call.from.unwrap_or("192.0.2.1").parse::<std::net::IpAddr>().unwrap(), 1).into()),
            local: None,
            tls: call.is_tls.then(|| TlsInfo {
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_128_GCM_SHA256".into(),
                server_name: None,
                client_certificate: !call.chain.is_empty(),
                client_chain: call.chain.iter().map(|der| Arc::from(der.as_slice())).collect(),
            }),
        };
        let now = at(call.after_secs);
        let snapshot = Arc::clone(&self.snapshot);
        let mut inspection = Inspection::new(snapshot, &connection, crate::host::ID, Source::Gateway, now);
        let headers: Vec<HeaderField<'_>> = call
            .headers
            .iter()
            .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead {
            method: call.method.as_bytes(),
            target: call.target.as_bytes(),
            scheme: if call.is_tls { Scheme::Https } else { Scheme::Http },
            authority: call.host.unwrap_or("api.example").as_bytes(),
            version: HttpVersion::Http11,
            headers: &headers,
        };
        if reply.is_some() {
            inspection.can_ask();
        }
        let mut questions = Vec::new();
        let mut step = inspection.request_head(&head);
        while let (Step::Ask(question), Some(reply)) = (&step, reply) {
            questions.push(question.clone());
            assert!(questions.len() < 10, "an exchange asks for ever");
            let reply = reply(question);
            step = inspection.reply(&head, reply);
        }
        if let (Some(body), false) = (call.body, matches!(step, Step::Stop(_))) {
            assert_eq!(step, Step::Hold, "a body waits for its judgment");
            inspection.request_body(body.as_bytes());
            step = inspection.request_end();
        }
        let (answer, edits) = (inspection.answer(), inspection.edits().clone());
        let response_fields = match step {
            Step::Stop(_) => Vec::new(),
            Step::Continue | Step::Hold | Step::Answer | Step::Ask(_) => inspection.response_fields(),
        };
        let caching = inspection.caching(&head);
        let event = inspection.finish(Outcome::default(), now);
        Served { step, event, answer, edits, questions, response_fields, caching }
    }

    /// Panics unless `call` is refused by `check`, or let in when there is none.
    #[track_caller]
    pub fn check(&self, name: &str, call: &Call, check: Option<&str>) {
        let served = self.serve(call);
        assert_eq!(served.check().as_deref(), check, "{name}: {:?}", served.event.findings);
        let text =
            format!("{:?}{:?}{}", served.event, served.answer.headers, String::from_utf8_lossy(&served.answer.body));
        for (_, value) in &call.headers {
            for word in value.split([' ', ',', '"']).filter(|word| word.len() > 20) {
                assert!(!text.contains(word), "{name}: what was sent is in the event or the answer: {word}");
            }
        }
        match &served.step {
            Step::Stop(decision) if decision.status == 401 => {
                assert!(!served.challenges().is_empty(), "{name}: a 401 has a challenge");
                assert_eq!(served.event.principal, None, "{name}: nobody is known");
            }
            Step::Stop(_) | Step::Continue | Step::Hold | Step::Answer | Step::Ask(_) => {}
        }
    }
}

pub fn at(after_secs: i64) -> Timestamp {
    Timestamp::from_millis((NOW + after_secs) * 1000)
}

pub fn file() -> KeySource {
    KeySource::File("keys.jwks".into())
}

/// A key to sign with, and its public half as a JSON Web Key.
pub enum Signer {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
    Secret(hmac::Key),
}

impl Signer {
    /// The Ed25519 key with this seed.
    pub fn ed25519(seed: u8) -> Self {
        Self::Ed25519(Box::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
    }

    /// A fresh P-256 key.
    pub fn p256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(Box::new(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()))
    }

    pub fn hs256(secret: &[u8]) -> Self {
        Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub fn public(&self) -> Value {
        match self {
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..]) })
            }
            Self::Secret(_) => panic!("a secret has no public half"),
        }
    }

    /// The public half under a name.
    pub fn named(&self, id: &str) -> Value {
        let mut key = self.public();
        key["kid"] = id.into();
        key
    }

    pub fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// A token of `header` and `claims`, as text so that a case can break their grammar.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{signed}.{}", base64url(&self.sign_bytes(signed.as_bytes())))
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }
}

pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn sha256(bytes: &[u8]) -> String {
    base64url(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// RFC 7638.
pub fn thumbprint(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    match text("kty").as_str() {
        "OKP" => sha256(format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, text("crv"), text("x")).as_bytes()),
        _ => sha256(
            format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, text("crv"), text("x"), text("y")).as_bytes(),
        ),
    }
}
