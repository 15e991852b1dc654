//! Who calls, through the real gateway: tokens signed here, keys behind a URL that are exchanged while it runs, an
//! authorization server that is asked, passwords.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// An issuer: its key, and its name in the key set.
pub(super) struct Issuer {
    pub(super) pair: Ed25519KeyPair,
    kid: &'static str,
}

impl Issuer {
    pub(super) fn new(kid: &'static str, seed: u8) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).ok().context("an Ed25519 key of 32 bytes")?;
        Ok(Self { pair, kid })
    }

    pub(super) fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{x}"}}]}}"#, self.kid)
    }

    pub(super) fn token(&self, scope: &str, lives: i64) -> Result<String> {
        self.token_with(scope, lives, "")
    }

    /// With more members of the claims, each with a comma before it.
    pub(super) fn token_with(&self, scope: &str, lives: i64, more: &str) -> Result<String> {
        self.token_of(&format!(r#""sub":"ann","scope":"{scope}"{more}"#), lives)
    }

    /// A token with these claims about its holder, as JSON without its braces.
    pub(super) fn token_of(&self, claims: &str, lives: i64) -> Result<String> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let head = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.kid);
        let expires = now + lives;
        let claims = format!(r#"{{"iss":"https://login.example","aud":"shop",{claims},"exp":{expires}}}"#);
        Ok(self.sign(&head, &claims))
    }

    /// A token of this header and these claims.
    pub(super) fn sign(&self, head: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// A server of one JSON document, that counts how often it was asked.
pub(super) struct Server {
    pub(super) port: u16,
    document: Arc<Mutex<String>>,
    asked: Arc<AtomicU64>,
}

impl Server {
    pub(super) fn start(document: String) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let server = Self { port, document: Arc::new(Mutex::new(document)), asked: Arc::default() };
        let (document, asked) = (Arc::clone(&server.document), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::Relaxed);
                let text = document.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = serve(stream, &text);
            }
        });
        Ok(server)
    }

    fn says(&self, document: String) {
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, document: &str) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_bytes = length.trim().parse()?;
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    std::io::copy(&mut reader.take(body_bytes), &mut std::io::sink())?;
    let length = document.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{document}"
    )?;
    Ok(())
}

pub(super) fn configuration(origin: u16, methods: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies:
  - name: callers
    mode: enforce
    authenticate:
      required_scopes: [\"orders:read\"]
      identity_headers: [{{ name: x-user, value: subject }}]
      methods:
{methods}
  - name: pace
    mode: enforce
    rate: {{ key: [principal], quota: {{ requests: 1000, per: 1h }} }}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

fn get(gateway: &Bartizan, headers: &[(&str, &str)]) -> Result<(u16, Option<String>)> {
    let agent = crate::agent();
    let request =
        headers.iter().fold(agent.get(gateway.url("/orders")), |request, (name, value)| request.header(*name, *value));
    let response = request.call()?;
    let check = response.headers().get("x-bartizan-check").and_then(|check| check.to_str().ok()).map(str::to_owned);
    let is_challenged = response.headers().contains_key("www-authenticate");
    assert!(response.status() != 401 || is_challenged, "a 401 has a challenge (RFC 9110 §15.5.2)");
    Ok((response.status().as_u16(), check))
}

fn bearer(gateway: &Bartizan, token: &str) -> Result<(u16, Option<String>)> {
    get(gateway, &[("authorization", &format!("Bearer {token}"))])
}

fn denied(status: u16, check: &str) -> (u16, Option<String>) {
    (status, Some(check.to_owned()))
}

#[test]
fn tokens_are_checked_with_keys_behind_a_url_and_an_exchange_of_keys_goes_unnoticed() -> Result<()> {
    let (old, new, stranger) = (Issuer::new("old", 1)?, Issuer::new("new", 2)?, Issuer::new("old", 3)?);
    let (origin, keys) = (Origin::start(Duration::ZERO)?, Server::start(old.key_set())?);
    let methods = format!(
        "        - jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_url: \"http://127.0.0.1:{}/\" }}",
        keys.port
    );
    let mut gateway = Bartizan::start(&configuration(origin.port, &methods))?;
    assert_eq!(bearer(&gateway, &old.token("orders:read", 600)?)?, (200, None));
    assert_eq!(get(&gateway, &[])?.0, 401);
    assert_eq!(bearer(&gateway, &stranger.token("orders:read", 600)?)?.0, 401);
    assert_eq!(bearer(&gateway, &old.token("orders:read", -600)?)?.0, 401);
    assert_eq!(bearer(&gateway, &old.token("orders:write", 600)?)?, denied(403, "ACC-301"));
    let asked = keys.asked();
    assert!((1..=3).contains(&asked), "asked {asked} times");

    keys.says(new.key_set());
    let token = new.token("orders:read", 600)?;
    let begun = std::time::Instant::now();
    while bearer(&gateway, &token)?.0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the new key is never fetched");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(keys.asked() <= asked + 3, "however many tokens name an unknown key, few fetches");

    let seen = origin.seen();
    let told = |value: &str| seen.iter().filter(|seen| seen.headers.iter().any(|line| line == value)).count();
    assert_eq!(told("x-user: ann"), seen.len(), "the upstream is told who calls: {:?}", seen.last());
    gateway.stop()?;
    let rows = gateway.query("SELECT DISTINCT actor_kind FROM events WHERE status = 200")?;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows.first().and_then(|row| row["actor_kind"].as_str()), Some("principal"));
    Ok(())
}

#[test]
fn identity_that_a_client_claims_by_itself_never_reaches_the_upstream() -> Result<()> {
    let issuer = Issuer::new("a", 4)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys.jwks");
    std::fs::write(&file, issuer.key_set())?;
    let origin = Origin::start(Duration::ZERO)?;
    let methods = format!(
        "        - jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_file: \"{}\" }}",
        file.display()
    );
    let mut gateway = Bartizan::start(&configuration(origin.port, &methods))?;
    let token = format!("Bearer {}", issuer.token("orders:read", 600)?);
    let headers = [("authorization", token.as_str()), ("x-user", "admin"), ("x_user", "root")];
    assert_eq!(get(&gateway, &headers)?, (200, None));
    gateway.stop()?;
    let seen = origin.seen();
    let users: Vec<_> = seen.iter().flat_map(|seen| &seen.headers).filter(|line| line.contains("user:")).collect();
    assert_eq!(users, ["x-user: ann"], "{seen:?}");
    Ok(())
}

#[test]
fn an_authorization_server_is_asked_once_and_its_silence_lets_nobody_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret\n")?;
    let origin = Origin::start(Duration::ZERO)?;
    let server = Server::start(r#"{"active":true,"sub":"ann","scope":"orders:read"}"#.to_owned())?;
    let methods = format!(
        "        - introspection: {{ url: \"http://127.0.0.1:{}/introspect\", client_id: gateway, client_secret_file: \"{}\" }}",
        server.port,
        secret.display()
    );
    let mut gateway = Bartizan::start(&configuration(origin.port, &methods))?;
    for _ in 0..5 {
        assert_eq!(bearer(&gateway, "opaque-token-1")?, (200, None));
    }
    assert_eq!(server.asked(), 1, "the answer is remembered");
    server.says(r#"{"active":false}"#.to_owned());
    assert_eq!(bearer(&gateway, "opaque-token-2")?.0, 401);
    server.says("no JSON".to_owned());
    assert_eq!(bearer(&gateway, "opaque-token-3")?.0, 503);
    gateway.stop()?;
    assert_eq!(origin.seen().len(), 5);
    Ok(())
}

#[test]
fn a_password_is_computed_off_the_request_path_and_kept_from_the_upstream() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    // argon2id of `correct horse`, 7 MiB, one pass
    let methods = "        - basic: { users: [{ name: ann, scopes: [\"orders:read\"], password_hash: \"HASH\" }] }";
    let hash = password_hash("correct horse")?;
    let mut gateway = Bartizan::start(&configuration(origin.port, &methods.replace("HASH", &hash)))?;
    let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    assert_eq!(get(&gateway, &[("authorization", &basic("ann:correct horse"))])?, (200, None));
    assert_eq!(get(&gateway, &[("authorization", &basic("ann:wrong horse"))])?.0, 401);
    assert_eq!(get(&gateway, &[("authorization", &basic("bob:correct horse"))])?.0, 401);
    gateway.stop()?;
    let seen = origin.seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen.iter().flat_map(|seen| &seen.headers).all(|line| !line.to_ascii_lowercase().starts_with("authorization"))
    );
    Ok(())
}

fn password_hash(password: &str) -> Result<String> {
    use argon2::PasswordHasher as _;
    let parameters = argon2::Params::new(7168, 1, 1, None).ok().context("parameters of argon2")?;
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let hash = hasher.hash_password_with_salt(password.as_bytes(), &[7; 16]).ok().context("a hash")?;
    Ok(hash.to_string())
}
