//! What happened to real companies, played against the gateway: one number changed, the image that pays, two hundred
//! million calls. Each has its adversary and its honest users, and honest users are served throughout.

use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::Value;

use crate::access::Issuer;

/// Gateway of a bank with a shop, whose callers have tokens of `issuer`.
fn bank(issuer: &Issuer, origin: &Origin, policies: &str) -> Result<(Bartizan, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys.jwks");
    std::fs::write(&keys, issuer.key_set())?;
    let configuration = format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{}\" }}] }}]
policies:
  - name: callers
    mode: enforce
    scope: {{ paths: [/user/**, /admin/**, /orders] }}
    authenticate:
      subject: plain
      methods:
        - jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_file: \"{}\" }}
{policies}",
        origin.port,
        keys.display(),
    );
    Ok((Bartizan::start(&configuration)?, folder))
}

fn bearer(issuer: &Issuer, claims: &str) -> Result<String> {
    Ok(format!("Bearer {}", issuer.token_of(claims, 600)?))
}

/// Sends a request. Returns status and, of a refusal, the check.
fn send(gateway: &Bartizan, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<(u16, String)> {
    let agent = crate::agent();
    let request = ureq::http::Request::builder().method(method).uri(gateway.url(path));
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = agent.run(request.body(())?)?;
    let check = response.headers().get("x-bartizan-check").and_then(|check| check.to_str().ok()).unwrap_or_default();
    Ok((response.status().as_u16(), check.to_owned()))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn one_number_changed_reads_no_other_account_and_opens_no_door_of_administrators() -> Result<()> {
    let (issuer, origin) = (Issuer::new("a", 21)?, Origin::start(Duration::ZERO)?);
    let policies = r#"  - name: accounts
    mode: enforce
    scope: { paths: [/user/**, /admin/**] }
    authorize:
      operations:
        - { id: readAccount, methods: [GET], path: "/user/account/{account}" }
        - { id: administer, methods: [GET], path: "/admin/account/{account}" }
      rules:
        - name: owners
          operations: [readAccount]
          require: { objects: ["path.account in principal.claims.accounts"] }
        - name: administrators
          operations: [administer]
          require: { roles: { any: [administrator] } }
"#;
    let (mut gateway, _keys) = bank(&issuer, &origin, policies)?;
    let ann = bearer(&issuer, r#""sub":"ann","accounts":["1234","1235"]"#)?;
    let bob = bearer(&issuer, r#""sub":"bob","accounts":["5432"]"#)?;
    let ask = |path: &str, token: &str| send(&gateway, "GET", path, &[("authorization", token)]);
    for (path, token, expected) in [
        ("/user/account/1234", &ann, (200, "")),
        ("/user/account/5432", &ann, (403, "ACC-306")),
        ("/user/account/5432", &bob, (200, "")),
        ("/user/account/05432", &ann, (403, "ACC-306")),
        ("/user/account/%35432", &ann, (403, "ACC-306")),
        ("/user/account/1234/../5432", &ann, (403, "ACC-306")),
        ("/admin/account/5432", &ann, (403, "ACC-304")),
        ("/admin/account/1234", &ann, (403, "ACC-304")),
        ("/user/account/1235", &ann, (200, "")),
    ] {
        let (status, check) = ask(path, token)?;
        assert_eq!((status, check.as_str()), expected, "{path}");
    }
    gateway.stop()?;
    let reached: Vec<_> = origin.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(reached.len(), 3, "nothing that was refused reached the bank: {reached:?}");
    let rows = gateway.query("SELECT * FROM events WHERE path = '/user/account/5432' AND status = 403")?;
    let row = rows.first().context("the event of the first attack")?;
    let told = text(&row["findings"]);
    for needed in ["ACC-306", "accounts", "owners", "readAccount"] {
        assert!(told.contains(needed), "the finding names {needed}: {told}");
    }
    assert!(text(&row["principal"]).contains("\"ann\""), "the event names who: {row}");
    Ok(())
}

#[test]
fn an_image_on_another_page_moves_no_money_and_the_banks_own_page_does() -> Result<()> {
    let (issuer, origin) = (Issuer::new("a", 22)?, Origin::start(Duration::ZERO)?);
    let policies = r#"  - name: moves
    mode: enforce
    scope: { paths: [/move] }
    csrf: { safe_methods: [] }
"#;
    let (mut gateway, _keys) = bank(&issuer, &origin, policies)?;
    let cookie = ("cookie", "session=5f1c2d");
    let move_money = |method: &str, fields: &[(&str, &str)]| {
        send(&gateway, method, "/move?amount=5000", &[&[cookie][..], fields].concat())
    };
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    assert_eq!(move_money("GET", &image)?, (403, "ACC-120".to_owned()));
    assert_eq!(move_money("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")])?.0, 403);
    assert_eq!(move_money("POST", &[("origin", "https://evil.example")])?.0, 403, "a browser without Sec-Fetch-Site");
    assert_eq!(move_money("POST", &[("origin", "null")])?.0, 403, "a sandboxed frame");
    assert_eq!(move_money("GET", &[])?, (403, "ACC-121".to_owned()), "nobody says where it comes from");
    assert_eq!(move_money("POST", &[("sec-fetch-site", "same-origin")])?.0, 200);
    gateway.stop()?;
    assert_eq!(origin.seen().len(), 1, "the one that the bank's page sent");
    Ok(())
}

#[test]
fn a_consumer_that_calls_without_end_gets_its_quota_and_takes_nothing_from_others() -> Result<()> {
    const GREEDY: u64 = 400;
    const HONEST: u64 = 60;
    const QUOTA: u64 = 100;
    let (issuer, origin) = (Issuer::new("a", 23)?, Origin::start(Duration::ZERO)?);
    let policies = format!(
        "  - name: consumers
    mode: enforce
    scope: {{ paths: [/orders] }}
    rate: {{ key: [principal], quota: {{ requests: {QUOTA}, per: 1h }}, spike_arrest: {{ requests: 1000, per: 1s, burst: 200 }} }}
"
    );
    let (mut gateway, _keys) = bank(&issuer, &origin, &policies)?;
    let greedy = bearer(&issuer, r#""sub":"greedy""#)?;
    let honest = bearer(&issuer, r#""sub":"honest""#)?;
    let calls = |token: &str, count: u64| -> Result<Vec<(u16, String)>> {
        (0..count).map(|_| send(&gateway, "GET", "/orders", &[("authorization", token)])).collect()
    };
    let (greedy, honest) = std::thread::scope(|scope| {
        let greedy = scope.spawn(|| calls(&greedy, GREEDY));
        let honest = calls(&honest, HONEST);
        (greedy.join(), honest)
    });
    let greedy = greedy.ok().context("the greedy consumer")??;
    let admitted = greedy.iter().filter(|(status, _)| *status == 200).count() as u64;
    assert_eq!(admitted, QUOTA, "all that it is due and nothing more");
    assert!(greedy.iter().all(|(status, check)| *status == 200 || (*status == 429 && check == "LIM-202")));
    assert!(honest?.iter().all(|(status, _)| *status == 200), "others do not notice");
    gateway.stop()?;
    assert_eq!(origin.seen().len() as u64, QUOTA + HONEST);
    let counted = gateway.query("SELECT count(*) AS events FROM events WHERE path = '/orders'")?;
    assert_eq!(
        counted.first().map(|row| text(&row["events"])),
        Some((GREEDY + HONEST).to_string()),
        "no event is lost"
    );
    Ok(())
}
