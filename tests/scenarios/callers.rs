//! Who calls, beyond tokens and passwords: an authorizer of the operator's own, nonces for proofs; and what `explain` and
//! `replay` can say of callers with the keys they have.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SerialNumber,
};
use ring::digest;
use ring::signature::KeyPair as _;
use serde_json::{Value, json};

use crate::access::{Issuer, Server, configuration};

#[path = "../../crates/gateway/tests/it/revocation.rs"]
mod revocation;

/// An authorizer: lets `Token good` pass, and misbehaves on some paths.
struct Authorizer {
    port: u16,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Authorizer {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || drop(judge(stream, &seen)));
            }
        });
        Ok(Self { port, asked })
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn judge(mut stream: TcpStream, seen: &Mutex<Vec<Value>>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body)?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let is_good = request["headers"]["authorization"] == json!(["Token good"]);
    let (status, answer) = match request["path"].as_str() {
        Some("/slow") => {
            // Longer than anybody waits: the gateway has to end it.
            let _ = stream.read(&mut [0]);
            return Ok(());
        }
        Some("/closes") => return Ok(()),
        Some("/garbage") => (200, "<html>".to_owned()),
        Some("/broken") => (500, r#"{"allow":true,"subject":"ann"}"#.to_owned()),
        Some("/forbidden") => (403, String::new()),
        _ if is_good => (
            200,
            json!({"allow": true, "subject": "ann", "scopes": ["orders:read"], "claims": {"tenant": "acme"}})
                .to_string(),
        ),
        _ => (200, json!({"allow": false}).to_string()),
    };
    write!(
        stream,
        "HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok(())
}

fn policies(origin: u16, authenticate: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies: [{{ name: callers, mode: enforce, authenticate: {authenticate} }}]
console: {{ enabled: false }}
"
    )
}

fn call(gateway: &Bartizan, path: &str, headers: &[(&str, &str)]) -> Result<ureq::http::Response<ureq::Body>> {
    let agent = crate::agent();
    let request = agent.get(gateway.url(path));
    Ok(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call()?)
}

#[test]
fn an_authorizer_of_the_operators_own_decides_and_its_silence_lets_nobody_in() -> Result<()> {
    let (origin, authorizer) = (Origin::start(Duration::ZERO)?, Authorizer::start()?);
    let method = format!(
        "{{ methods: [{{ external: {{ url: \"http://127.0.0.1:{}/check\", timeout: 300ms }} }}], identity_headers: [{{ name: x-user, value: subject }}, {{ name: x-tenant, claim: tenant }}] }}",
        authorizer.port
    );
    let mut gateway = Bartizan::start(&policies(origin.port, &method))?;
    let good = [("authorization", "Token good"), ("x-user", "admin"), ("cookie", "secret=1")];
    for (path, headers, status, check) in [
        ("/orders", &good[..], 200, None),
        ("/orders", &good[..], 200, None),
        ("/orders", &[("authorization", "Token bad")][..], 403, Some("ACC-232")),
        ("/orders", &[][..], 403, Some("ACC-232")),
        ("/forbidden", &good[..], 403, Some("ACC-232")),
        ("/closes", &good[..], 503, Some("ACC-209")),
        ("/garbage", &good[..], 503, Some("ACC-209")),
        ("/broken", &good[..], 503, Some("ACC-209")),
    ] {
        let response = call(&gateway, path, headers)?;
        let told = response.headers().get("x-bartizan-check").and_then(|check| check.to_str().ok());
        assert_eq!((response.status().as_u16(), told), (status, check), "{path} {headers:?}");
    }
    let begun = Instant::now();
    assert_eq!(call(&gateway, "/slow", &good)?.status(), 503);
    assert!(begun.elapsed() < Duration::from_secs(3), "no longer than the method says: {:?}", begun.elapsed());
    gateway.stop()?;
    let asked = authorizer.asked();
    assert_eq!(asked.len(), 9, "each request is asked about");
    assert!(asked.iter().all(|asked| asked["headers"].get("cookie").is_none()), "it is told what the method lists");
    let seen = origin.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        let identity: Vec<_> = seen.headers.iter().filter(|line| line.starts_with("x-")).collect();
        ensure!(identity.iter().any(|line| *line == "x-user: ann"), "{identity:?}");
        ensure!(identity.iter().any(|line| *line == "x-tenant: acme"), "{identity:?}");
        ensure!(!identity.iter().any(|line| line.contains("admin")), "{identity:?}");
    }
    Ok(())
}

#[test]
fn an_authorizer_that_stays_away_is_left_alone_for_a_while() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let port = bartizan_testkit::free_port();
    for (setting, status) in [("fail_open: false", 503), ("fail_open: true", 200)] {
        let method = format!("{{ methods: [{{ external: {{ url: \"http://127.0.0.1:{port}/\", {setting} }} }}] }}");
        let mut gateway = Bartizan::start(&policies(origin.port, &method))?;
        for _ in 0..20 {
            assert_eq!(call(&gateway, "/orders", &[])?.status(), status, "{setting}");
        }
        let tried = gateway.printed().matches("external authorizer").count();
        assert!((1..=6).contains(&tried), "{setting}: tried {tried} times");
        gateway.stop()?;
        let told = gateway.query("SELECT count(*) AS n FROM events WHERE actor_kind <> 'principal'")?;
        assert_eq!(told.first().map(|row| row["n"].clone()), Some(json!(20)), "{setting}: nobody is known");
    }
    Ok(())
}

#[test]
fn a_client_learns_the_nonce_of_its_proofs_and_renews_it_in_passing() -> Result<()> {
    let (issuer, client) = (Issuer::new("a", 5)?, Issuer::new("client", 6)?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys.jwks");
    std::fs::write(&file, issuer.key_set())?;
    let origin = Origin::start(Duration::ZERO)?;
    let method = format!(
        "{{ methods: [{{ jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_file: \"{}\", proof_nonce: true }} }}] }}",
        file.display()
    );
    let mut gateway = Bartizan::start(&policies(origin.port, &method))?;
    let sha256 = |text: &str| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let x = URL_SAFE_NO_PAD.encode(client.pair.public_key());
    let thumbprint = sha256(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    let token = issuer.token_with("orders:read", 600, &format!(r#","cnf":{{"jkt":"{thumbprint}"}}"#))?;
    let proof = |id: &str, nonce: &str| -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let head = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        let (url, ath) = (gateway.url("/orders"), sha256(&token));
        let claims = format!(r#"{{"jti":"{id}","htm":"GET","htu":"{url}","iat":{now},"ath":"{ath}"{nonce}}}"#);
        Ok(client.sign(&head, &claims))
    };
    let authorization = format!("DPoP {token}");
    let send = |proof: &str| call(&gateway, "/orders", &[("authorization", &authorization), ("dpop", proof)]);
    let refused = send(&proof("1", "")?)?;
    assert_eq!(refused.status(), 401);
    let text = |name: &str| refused.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(text("www-authenticate").contains("use_dpop_nonce"), "{:?}", refused.headers());
    let nonce = format!(r#","nonce":"{}""#, text("dpop-nonce"));
    assert_eq!(send(&proof("2", &nonce)?)?.status(), 200);
    assert_eq!(send(&proof("2", &nonce)?)?.status(), 401, "a proof works once");
    assert_eq!(send(&proof("3", r#","nonce":"AAAA""#)?)?.status(), 401);
    gateway.stop()?;
    assert_eq!(origin.seen().len(), 1);
    Ok(())
}

/// Runs a verb of the program; what it says, on both ways out.
fn said(arguments: &[&str]) -> Result<String> {
    let output = Bartizan::command(arguments)?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    Ok(String::from_utf8(text)?)
}

#[test]
fn explain_judges_callers_with_the_keys_it_may_have_and_says_when_it_has_none() -> Result<()> {
    let (issuer, stranger) = (Issuer::new("a", 7)?, Issuer::new("a", 8)?);
    let keys = Server::start(issuer.key_set())?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("keys.jwks"), issuer.key_set())?;
    let explain = |source: &str, token: &str, more: &[&str]| -> Result<String> {
        let methods = format!(
            "        - jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], {source} }}"
        );
        let file = folder.path().join("bartizan.yaml");
        let text = configuration(1, &methods).replace("{port}", "1").replace("{console}", "2");
        std::fs::write(&file, text)?;
        let authorization = format!("authorization: Bearer {token}");
        let file = file.to_str().context("a path")?;
        let arguments = ["explain", "--config", file, "GET", "http://a.example/orders", "-H", &authorization];
        said(&[&arguments[..], more].concat())
    };
    let (good, forged) = (issuer.token("orders:read", 600)?, stranger.token("orders:read", 600)?);
    let decision = |text: &str| text.lines().find(|line| line.starts_with("decision")).unwrap_or_default().to_owned();

    let file = "jwks_file: keys.jwks";
    assert!(decision(&explain(file, &good, &[])?).ends_with("allow"));
    assert!(decision(&explain(file, &forged, &[])?).contains("deny with 401 by ACC-204"));
    assert!(decision(&explain(file, &issuer.token("orders:write", 600)?, &[])?).contains("deny with 403 by ACC-301"));

    let url = format!("jwks_url: \"http://127.0.0.1:{}/\"", keys.port);
    for token in [&good, &forged] {
        let text = explain(&url, token, &[])?;
        assert!(decision(&text).contains("cannot be said"), "{text}");
        assert!(text.contains("was not asked; give `--online`"), "{text}");
    }
    assert_eq!(keys.asked(), 0, "nothing is fetched unless somebody says so");
    assert!(decision(&explain(&url, &good, &["--online"])?).ends_with("allow"));
    assert!(decision(&explain(&url, &forged, &["--online"])?).contains("deny with 401 by ACC-204"));
    assert_eq!(keys.asked(), 2);

    let text = explain("jwks_file: nowhere.jwks", &good, &[])?;
    assert!(decision(&text).contains("cannot be said") && text.contains("nowhere.jwks` could not be read"), "{text}");
    let json: Value = serde_json::from_str(&explain(&url, &good, &["--json"])?)?;
    assert_eq!(json["is_caller_unchecked"], true);
    assert_eq!(json["keys_not_read"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn replay_judges_callers_where_the_recording_has_their_credentials_and_counts_nobody_out_else() -> Result<()> {
    let (issuer, stranger) = (Issuer::new("a", 9)?, Issuer::new("a", 10)?);
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("keys.jwks"), issuer.key_set())?;
    let methods = "        - jwt: { issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_file: keys.jwks }";
    let path = |name: &str| folder.path().join(name).to_str().map(str::to_owned).context("a path");
    let text = configuration(1, methods).replace("{port}", "1").replace("{console}", "2");
    std::fs::write(path("bartizan.yaml")?, text)?;
    let mut recording = String::new();
    // A masked token has the form of one, and proves nothing.
    let masked = issuer.token("orders:read", 600)?.rsplit_once('.').context("a token")?.0.to_owned() + ".AAAA";
    let tokens =
        [Some(issuer.token("orders:read", 600)?), Some(stranger.token("orders:read", 600)?), Some(masked), None];
    for token in &tokens {
        let headers: Vec<_> = token.iter().map(|token| json!(["Authorization", format!("Bearer {token}")])).collect();
        let request = json!({"method": "GET", "url": "http://a.example/orders", "headers": headers});
        let exchange = json!({"request": request, "response": {"status": 200, "headers": []}});
        recording.push_str(&format!("{exchange}\n"));
    }
    std::fs::write(path("traffic.ndjson")?, recording)?;
    let replay = |more: &[&str]| -> Result<Value> {
        let (config, input) = (path("bartizan.yaml")?, path("traffic.ndjson")?);
        let arguments = ["replay", "--json", "--config", &config, "--input", &input];
        let output = Bartizan::command(&[&arguments[..], more].concat())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let counts = |summary: &Value| {
        ["allowed", "denied", "callers_unchecked"].map(|name| summary[name].as_u64().unwrap_or_default())
    };
    assert_eq!(counts(&replay(&[])?), [3, 1, 3], "who shows nothing is denied; who shows something is not judged");
    assert_eq!(counts(&replay(&["--with-credentials"])?), [1, 3, 0]);
    let (config, input) = (path("bartizan.yaml")?, path("traffic.ndjson")?);
    let text = said(&["replay", "--config", &config, "--input", &input])?;
    assert!(text.contains("3 callers not checked") && text.contains("--with-credentials"), "{text}");
    Ok(())
}

/// Writes a certificate of `issuer` and its key; gives the two files.
fn certificate(folder: &Path, name: &str, serial: u64, issuer: &CertifiedIssuer<'_, KeyPair>) -> Result<[PathBuf; 2]> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let files = [folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))];
    let [certificate_file, key_file] = &files;
    std::fs::write(certificate_file, params.signed_by(&key, issuer)?.pem())?;
    std::fs::write(key_file, key.serialize_pem())?;
    Ok(files)
}

#[test]
fn curl_comes_in_with_its_certificate_until_that_is_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ca.pem"), authority.pem())?;
    std::fs::write(path("ca.crl"), revocation::list(&authority, &[], 2099)?)?;
    let server = certificate(folder.path(), "localhost", 1, &authority)?;
    let client = certificate(folder.path(), "orders.example", 2, &authority)?;
    let origin = Origin::start(Duration::ZERO)?;
    let text = policies(
        origin.port,
        "{ methods: [{ mtls: { dns_names: [orders.example] } }], identity_headers: [{ name: x-serial, claim: serial }] }",
    );
    let tls = format!(
        "tls: {{ certificates: [{{ certificate: {:?}, key: {:?} }}], client_certificates: {{ authorities: {:?}, revocation_lists: [{:?}] }} }} }}]",
        server[0],
        server[1],
        path("ca.pem"),
        path("ca.crl")
    );
    let mut gateway = Bartizan::start(&text.replacen(" }]", &format!(", {tls}"), 1))?;
    let url = gateway.url("/orders").replace("http://127.0.0.1", "https://localhost");
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).context("a port")?.to_owned();
    let curl = |with: bool| -> Result<String> {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--cacert"])
            .arg(path("ca.pem"));
        command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
        if with {
            command.arg("--cert").arg(&client[0]).arg("--key").arg(&client[1]);
        }
        Ok(String::from_utf8(command.arg(&url).output()?.stdout)?)
    };
    assert_eq!(curl(true)?, "200");
    assert_eq!(curl(false)?, "000", "the handshake fails");
    std::fs::write(path("ca.crl"), revocation::list(&authority, &[2], 2099)?)?;
    gateway.program().signal(rustix::process::Signal::HUP)?;
    let begun = Instant::now();
    while curl(true)? != "000" {
        ensure!(begun.elapsed() < Duration::from_secs(30), "the list is never read again");
    }
    gateway.stop()?;
    let refused = gateway.query("SELECT count(*) AS n FROM events WHERE status = 0")?;
    let refused = refused.first().and_then(|row| row["n"].as_u64()).unwrap_or_default();
    ensure!(refused == 2, "{refused} refusals are events");
    ensure!(origin.seen().iter().all(|seen| seen.headers.iter().any(|line| line == "x-serial: 02")));
    Ok(())
}
