//! A live authorization server (npm `oidc-provider`) in front of the real gateway: its keys are found by discovery and
//! exchanged under load, its opaque tokens are asked about and revoked, and a real client's tokens are bound to its key.
//! Sources: OpenID Connect Discovery 1.0 §4, §10.1.1 of OpenID Connect Core 1.0; RFC 7009, RFC 7662, RFC 9449.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin, Program, free_port};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use crate::access::configuration;
use crate::{npm_packages, script};

/// oidc-provider on a port of its own.
struct AuthorizationServer {
    _program: Program,
    folder: tempfile::TempDir,
    issuer: String,
    control: String,
}

impl AuthorizationServer {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (port, control) = (free_port(), free_port());
        let mut command = Command::new("node");
        command.arg(script("authorization_server.mjs")).args([port, control].map(|port| port.to_string()));
        let mut program =
            Program::start(command.env("BARTIZAN_NPM", npm_packages()), &folder.path().join("server.log"))?;
        program.wait_for_port(control)?;
        program.wait_for_port(port)?;
        std::fs::write(folder.path().join("secret"), "secret of gateway\n")?;
        let address = |port: u16| format!("http://127.0.0.1:{port}");
        Ok(Self { _program: program, folder, issuer: address(port), control: address(control) })
    }

    /// Posts a form as `client`; the answer, which must be 200.
    fn post(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Result<String> {
        let pair = STANDARD.encode(format!("{client}:secret+of+{client}"));
        let request = crate::agent().post(format!("{}{path}", self.issuer));
        let mut answer = request.header("authorization", format!("Basic {pair}")).send_form(form.iter().copied())?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 200, "{path} {form:?}: {} {text}", answer.status());
        Ok(text)
    }

    /// A token for `resource`, by the client credentials grant (RFC 6749 §4.4).
    fn token(&self, client: &str, resource: &str) -> Result<String> {
        let form = [("grant_type", "client_credentials"), ("scope", "orders:read"), ("resource", resource)];
        let answer: Value = serde_json::from_str(&self.post("/token", client, &form)?)?;
        Ok(answer["access_token"].as_str().context("a token")?.to_owned())
    }

    fn revoke(&self, client: &str, token: &str) -> Result<()> {
        self.post("/token/revocation", client, &[("token", token)]).map(drop)
    }

    /// Signs with the first of these keys from now on, and publishes all of them and no others.
    fn publish(&self, keys: &[&str]) -> Result<()> {
        let answer = crate::agent().put(format!("{}/keys", self.control)).send_json(keys)?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(())
    }

    /// How often this path was asked for.
    fn asked(&self, path: &str) -> Result<u64> {
        let counts: Value = crate::agent().get(&self.control).call()?.body_mut().read_json()?;
        Ok(counts[path].as_u64().unwrap_or_default())
    }

    /// A gateway that finds this server's keys by discovery.
    fn gateway_for_jwt(&self, origin: &Origin, more: &str) -> Result<Bartizan> {
        let issuer = &self.issuer;
        let method = format!(
            "        - jwt: {{ issuer: \"{issuer}\", discovery: true, audiences: [shop], algorithms: [ES256], leeway: 0s{more} }}"
        );
        Bartizan::start(&unpaced(&configuration(origin.port, &method)))
    }

    /// A gateway that asks this server about each token.
    fn gateway_for_introspection(&self, origin: &Origin, age_max: &str, more: &str) -> Result<Bartizan> {
        let (issuer, secret) = (&self.issuer, self.folder.path().join("secret"));
        let method = format!(
            "        - introspection: {{ url: \"{issuer}/token/introspection\", client_id: gateway, client_secret_file: \"{}\", audiences: [shop], age_max: {age_max}{more} }}",
            secret.display()
        );
        Bartizan::start(&unpaced(&configuration(origin.port, &method)))
    }
}

/// The same without a limit that a load would reach.
fn unpaced(configuration: &str) -> String {
    configuration.replace("requests: 1000, per: 1h", "requests: 1000000, per: 1h")
}

/// A caller with a connection of its own.
struct Caller {
    agent: ureq::Agent,
    url: String,
}

impl Caller {
    fn of(gateway: &Bartizan) -> Self {
        Self { agent: crate::agent(), url: gateway.url("/orders") }
    }

    fn status(&self, token: &str) -> Result<u16> {
        let mut answer = self.agent.get(&self.url).header("authorization", format!("Bearer {token}")).call()?;
        answer.body_mut().read_to_vec()?;
        Ok(answer.status().as_u16())
    }
}

fn parts(token: &str) -> Result<(Value, Value, &str)> {
    let mut parts = token.split('.');
    let (header, claims, signature) = (parts.next(), parts.next(), parts.next());
    let json = |part: Option<&str>| -> Result<Value> {
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.context("a part of a token")?)?)?)
    };
    Ok((json(header)?, json(claims)?, signature.context("a signature")?))
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// A key of the same kind as the server's, but not one of them.
struct Forger(EcdsaKeyPair);

impl Forger {
    fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok().context("a key")?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Ok(Self(pair.ok().context("a key")?))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String> {
        let text = unsigned(header, claims);
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).ok().context("a signature")?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// What others would try with a token that they have seen.
    fn forgeries(&self, token: &str, key_set: &str) -> Result<Vec<(&'static str, String)>> {
        let (header, claims, signature) = parts(token)?;
        let with = |value: &Value, name: &str, member: Value| {
            let mut value = value.clone();
            value[name] = member;
            value
        };
        let root = with(&claims, "sub", json!("root"));
        let confused = unsigned(&with(&header, "alg", json!("HS256")), &root);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key_set.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, confused.as_bytes()));
        Ok(vec![
            ("signed with another key", self.sign(&header, &root)?),
            ("claims exchanged", format!("{}.{signature}", unsigned(&header, &root))),
            ("algorithm none", format!("{}.", unsigned(&with(&header, "alg", json!("none")), &root))),
            ("keys as a secret", format!("{confused}.{tag}")),
            ("another issuer", self.sign(&header, &with(&root, "iss", json!("https://login.example")))?),
        ])
    }
}

/// What must become of a token.
const PASS: u8 = 0;
const REFUSE: u8 = 1;
/// Its key was withdrawn, and the gateway need not know yet.
const EITHER: u8 = 2;

struct Token {
    kind: String,
    text: String,
    due: AtomicU8,
}

impl Token {
    fn new(kind: impl Into<String>, text: String, due: u8) -> Arc<Self> {
        Arc::new(Self { kind: kind.into(), text, due: AtomicU8::new(due) })
    }
}

fn is_right(due: u8, status: u16) -> bool {
    match due {
        PASS => status == 200,
        REFUSE => status == 401,
        _ => matches!(status, 200 | 401),
    }
}

/// Tokens that callers use in turn, and how each use ended.
#[derive(Default)]
struct Load {
    tokens: RwLock<Vec<Arc<Token>>>,
    next: AtomicU64,
    answered: Mutex<BTreeMap<(String, u16), u64>>,
    requests: AtomicU64,
    wrong: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Load {
    fn add(&self, token: &Arc<Token>) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(token));
    }

    fn pick(&self) -> Option<Arc<Token>> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        tokens.get(usize::try_from(next).ok()? % tokens.len()).cloned()
    }

    /// Uses a token. What was due may change on the way; then what was due before is right, too.
    fn call(&self, caller: &Caller, token: &Token) {
        let before = token.due.load(Ordering::SeqCst);
        let answer = caller.status(&token.text);
        let after = token.due.load(Ordering::SeqCst);
        let status = *answer.as_ref().unwrap_or(&0);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *answered.entry((token.kind.clone(), status)).or_default() += 1;
        if !is_right(before, status) && !is_right(after, status) {
            let line = format!("{}: {answer:?}, due {before} and then {after}", token.kind);
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// Tokens of this kind that are good at the moment.
    fn passing(&self, kind: &str) -> Vec<Arc<Token>> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let is_passing = |token: &&Arc<Token>| token.kind.starts_with(kind) && token.due.load(Ordering::SeqCst) == PASS;
        tokens.iter().filter(is_passing).cloned().collect()
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests were answered.
    fn wait_for(&self, more: u64) -> Result<()> {
        let (begun, until) = (Instant::now(), self.requests() + more);
        while self.requests() < until {
            ensure!(begun.elapsed() < Duration::from_secs(60), "the load stands still");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Ends the load also when a check fails.
struct Ending<'l>(&'l Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

/// Callers that use the tokens in turn.
const CALLERS: usize = 4;
/// Exchanges of keys.
const ROTATIONS: usize = 6;
/// Requests before the first exchange, and after each.
const BETWEEN: u64 = 400;

/// Tokens that are good, that are not, and what others make of them.
fn fill(load: &Load, server: &AuthorizationServer, forger: &Forger) -> Result<Arc<Token>> {
    let brief = server.token("ann", "urn:shop:brief")?;
    let first = Token::new("key first", server.token("ann", "urn:shop")?, PASS);
    load.add(&first);
    load.add(&Token::new("key first, another client", server.token("bob", "urn:shop")?, PASS));
    load.add(&Token::new("for another audience", server.token("ann", "urn:elsewhere")?, REFUSE));
    let key_set = crate::agent().get(format!("{}/jwks", server.issuer)).call()?.body_mut().read_to_string()?;
    for (kind, text) in forger.forgeries(&first.text, &key_set)? {
        load.add(&Token::new(kind, text, REFUSE));
    }
    let expires = parts(&brief)?.1["exp"].as_u64().context("an end")?;
    while SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() <= expires {
        std::thread::sleep(Duration::from_millis(50));
    }
    load.add(&Token::new("expired", brief, REFUSE));
    Ok(first)
}

/// Somebody invents names of keys, which makes the gateway look for them.
fn invent(load: &Load, caller: &Caller, forger: &Forger, like: &Token) -> Result<()> {
    let (mut header, claims, _) = parts(&like.text)?;
    for name in 0_u64.. {
        if load.is_over.load(Ordering::SeqCst) {
            break;
        }
        header["kid"] = json!(format!("invented-{name}"));
        load.call(caller, &Token::new("key invented", forger.sign(&header, &claims)?, REFUSE));
    }
    Ok(())
}

/// Exchanges the key, again and again: one more signs, the one before it is still good, the one before that is withdrawn.
/// Returns how long the first token of a new key waited at most.
fn rotate(load: &Load, server: &AuthorizationServer, caller: &Caller, first: Arc<Token>) -> Result<Duration> {
    let (mut current, mut previous) = (first, Vec::new());
    let mut slowest = Duration::ZERO;
    load.wait_for(BETWEEN)?;
    for rotation in 0..ROTATIONS {
        let between = current.kind.trim_start_matches("key ").to_owned();
        let due = |tokens: &[Arc<Token>], due| tokens.iter().for_each(|token| token.due.store(due, Ordering::SeqCst));
        due(&previous, EITHER);
        server.publish(&[&rotation.to_string(), &between])?;
        let new = Token::new(format!("key {rotation}"), server.token("ann", "urn:shop")?, PASS);
        load.add(&new);
        let sent = Instant::now();
        let status = caller.status(&new.text)?;
        slowest = slowest.max(sent.elapsed());
        ensure!(status == 200, "a token of a key that is published is answered {status}");
        due(&previous, REFUSE); // the gateway has read the keys since the exchange
        previous = load.passing(&current.kind);
        current = new;
        load.wait_for(BETWEEN)?;
    }
    Ok(slowest)
}

#[test]
fn keys_are_exchanged_under_load_and_no_answer_is_wrong() -> Result<()> {
    let server = AuthorizationServer::start()?;
    let origin = Origin::start(Duration::ZERO)?;
    let gateway = server.gateway_for_jwt(&origin, "")?;
    let (forger, load) = (Forger::new()?, Load::default());
    let first = fill(&load, &server, &forger)?;
    let begun = Instant::now();
    let slowest = std::thread::scope(|scope| -> Result<Duration> {
        let _ending = Ending(&load);
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let caller = Caller::of(&gateway);
                while let (false, Some(token)) = (load.is_over.load(Ordering::SeqCst), load.pick()) {
                    load.call(&caller, &token);
                }
            });
        }
        scope.spawn(|| invent(&load, &Caller::of(&gateway), &forger, &first));
        rotate(&load, &server, &Caller::of(&gateway), Arc::clone(&first))
    })?;
    let (elapsed, fetches) = (begun.elapsed(), server.asked("/jwks")?);
    let answered = load.answered.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} requests in {:.1} s, {:.0} a second; a new key was taken within {} ms; keys were fetched {fetches} times\n{answered:#?}",
        load.requests(),
        elapsed.as_secs_f64(),
        load.requests() as f64 / elapsed.as_secs_f64(),
        slowest.as_millis(),
    );
    let wrong = load.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{} wrong answers: {:?}", wrong.len(), wrong.iter().take(20).collect::<Vec<_>>());
    for kind in ["key 0", "key first", "key first, another client"] {
        for status in [200, 401] {
            assert!(answered.contains_key(&(kind.to_owned(), status)), "{kind} was never answered {status}");
        }
    }
    assert!(answered.contains_key(&("key invented".to_owned(), 401)));
    // Beside those for tokens: one at the start, one of the test's own, and one in the background.
    assert!(fetches <= elapsed.as_secs() + 4, "{fetches} fetches in {elapsed:?}, however many names are invented");
    Ok(())
}

#[test]
fn opaque_tokens_are_asked_about_and_a_revoked_one_ends_within_the_stated_time() -> Result<()> {
    const AGE_MAX: Duration = Duration::from_secs(2);
    let server = AuthorizationServer::start()?;
    let origin = Origin::start(Duration::ZERO)?;
    let gateway = server.gateway_for_introspection(&origin, "2s", "")?;
    let caller = Caller::of(&gateway);
    let (good, other) = (server.token("ann", "urn:shop:opaque")?, server.token("bob", "urn:shop:opaque")?);
    let asked = |count: &dyn Fn() -> Result<()>| -> Result<u64> {
        let before = server.asked("/token/introspection")?;
        count()?;
        Ok(server.asked("/token/introspection")? - before)
    };
    for _ in 0..3 {
        assert_eq!(caller.status(&good)?, 200);
        assert_eq!(caller.status(&other)?, 200);
    }
    assert_eq!(caller.status(&server.token("ann", "urn:elsewhere:opaque")?)?, 401, "for another audience");
    assert_eq!(caller.status("invented")?, 401);
    let many = || {
        for _ in 0..20 {
            assert_eq!(caller.status("invented-again")?, 401);
        }
        Ok(())
    };
    assert_eq!(asked(&many)?, 1, "a no is remembered");

    server.revoke("ann", &good)?;
    let revoked = Instant::now();
    let mut passed = 0;
    loop {
        let since = revoked.elapsed(); // as it was when the request was sent
        match caller.status(&good)? {
            200 => passed += 1,
            401 => break,
            other => panic!("{other}"),
        }
        assert!(since < AGE_MAX, "a revoked token passes {since:?} after it was revoked");
    }
    println!("refused {:?} after it was revoked, having passed {passed} times", revoked.elapsed());
    for _ in 0..20 {
        assert_eq!(caller.status(&good)?, 401, "once refused, for ever");
        assert_eq!(caller.status(&other)?, 200, "another token is not touched");
    }

    let strict = server.gateway_for_introspection(&origin, "0s", "")?;
    let caller = Caller::of(&strict);
    let good = server.token("ann", "urn:shop:opaque")?;
    let twice = || {
        assert_eq!((caller.status(&good)?, caller.status(&good)?), (200, 200));
        Ok(())
    };
    assert_eq!(asked(&twice)?, 2, "nothing is remembered");
    server.revoke("ann", &good)?;
    assert_eq!(caller.status(&good)?, 401, "revoked is refused at once");
    Ok(())
}

#[test]
fn tokens_that_the_server_will_not_judge_are_refused_and_close_the_door_to_nobody_else() -> Result<()> {
    let server = AuthorizationServer::start()?;
    let origin = Origin::start(Duration::ZERO)?;
    let gateway = server.gateway_for_introspection(&origin, "0s", "")?;
    let caller = Caller::of(&gateway);
    let good = server.token("ann", "urn:shop:opaque")?;
    // oidc-provider answers 400 `unsupported_token_type` to a token that is a JWT.
    let structured = server.token("ann", "urn:shop")?;
    for turn in 0..12 {
        assert_eq!(caller.status(&format!("{structured}{turn}"))?, 401);
        assert_eq!(caller.status(&structured)?, 401);
    }
    assert_eq!(caller.status(&good)?, 200, "however many others show what cannot be judged");
    Ok(())
}

/// What the client with a bound token is told, line by line.
fn bound(server: &AuthorizationServer, gateway: &Bartizan, resource: &str, algorithm: &str) -> Result<Vec<String>> {
    let mut command = Command::new("node");
    command.arg(script("oauth_client.mjs")).args([&server.issuer, &gateway.url("/orders"), resource, algorithm]);
    let output = command.env("BARTIZAN_NPM", npm_packages()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[test]
fn a_bound_token_is_worth_nothing_without_the_key_of_its_owner() -> Result<()> {
    let server = AuthorizationServer::start()?;
    let origin = Origin::start(Duration::ZERO)?;
    let more = ", sender_constrained: true, proof_nonce: true";
    let jwt = server.gateway_for_jwt(&origin, more)?;
    let opaque = server.gateway_for_introspection(&origin, "1m", more)?;
    let expected = [
        "token type: dpop",
        "owner: 401 ACC-231 use_dpop_nonce",
        "owner: 200 - -",
        "owner again: 200 - -",
        "proof of its own: 200 - -",
        "proof seen before: 401 ACC-212 invalid_dpop_proof",
        "as a bearer token: 401 ACC-210 invalid_token",
        "without a proof: 401 ACC-210 invalid_token",
        "proof of another key: 401 ACC-211 invalid_dpop_proof",
        "proof for another path: 401 ACC-211 invalid_dpop_proof",
        "proof for another method: 401 ACC-211 invalid_dpop_proof",
        "proof for another token: 401 ACC-211 invalid_dpop_proof",
        "proof of an hour ago: 401 ACC-211 invalid_dpop_proof",
        "proof of another type: 401 ACC-211 invalid_dpop_proof",
        "proof with a nonce of its own: 401 ACC-231 use_dpop_nonce",
        "owner at last: 200 - -",
    ];
    for (gateway, resource) in [(&jwt, "urn:shop"), (&opaque, "urn:shop:opaque")] {
        for algorithm in ["ES256", "Ed25519"] {
            let before = origin.seen().len();
            let lines = bound(&server, gateway, resource, algorithm)?;
            assert_eq!(lines, expected, "{resource}, {algorithm}");
            assert_eq!(origin.seen().len() - before, 4, "{resource}, {algorithm}: the owner's four requests");
        }
    }
    assert_eq!(Caller::of(&jwt).status(&server.token("ann", "urn:shop")?)?, 401, "a token that is bound to nothing");
    Ok(())
}
