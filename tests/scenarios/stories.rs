//! What happened to real companies, played against the gateway: one number changed, two countries in an hour, the image
//! that pays, two hundred million calls. Each has its adversary and its honest users, and honest users are served throughout.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Where clients of the bank are: Germany, the United States, a VPN in Austria.
const DE: &str = "203.0.113.7";
const US: &str = "203.0.113.200";
const VPN: &str = "198.51.100.7";

/// A call from an address that the bank's proxy vouches for: status, check, challenge.
fn from(gateway: &Bartizan, address: &str, path: &str, token: &str) -> Result<(u16, String, String)> {
    let request = crate::agent().get(gateway.url(path)).header("authorization", token);
    let response = request.header("x-forwarded-for", address).call()?;
    let field =
        |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok((response.status().as_u16(), field("x-bartizan-check"), field("www-authenticate")))
}

#[test]
fn a_token_in_two_countries_within_the_hour_has_to_show_its_user_again_and_its_owner_notices_nothing() -> Result<()> {
    let (issuer, origin) = (Issuer::new("a", 24)?, Origin::start(Duration::ZERO)?);
    let files = tempfile::tempdir()?;
    let written = |name: &str, bytes: &[u8]| -> Result<String> {
        std::fs::write(files.path().join(name), bytes)?;
        Ok(files.path().join(name).display().to_string())
    };
    let countries = written("countries.csv", b"203.0.113.0/25,DE\n203.0.113.128/25,US\n198.51.100.0/24,AT\n")?;
    let lists = written("lists.csv", b"198.51.100.0/24,vpn\n")?;
    let cities = [("203.0.113.0", 25, "DE", [52.52, 13.4]), ("203.0.113.128", 25, "US", [40.71, -74.01])];
    let cities = written("cities.mmdb", &crate::reach::mmdb::city_database(&cities, 1_767_225_600))?;
    let policies = format!(
        "  - {{ name: home, mode: enforce, scope: {{ paths: [/orders] }}, continuity: {{ ignore_labels: [vpn], countries_max: 1 }} }}
  - {{ name: flights, mode: observe, scope: {{ paths: [/user/**] }}, continuity: {{ speed_max: 1000 }} }}
trusted_proxies: [127.0.0.1]
address_data:
  - {{ name: countries, file: \"{countries}\", holds: countries }}
  - {{ name: cities, file: \"{cities}\" }}
  - {{ name: lists, file: \"{lists}\", holds: labels }}
"
    );
    let (mut gateway, _keys) = bank(&issuer, &origin, &policies)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let ann = |verified: u64| bearer(&issuer, &format!(r#""sub":"ann","auth_time":{verified}"#));
    let (stolen, bob) = (ann(now - 60)?, bearer(&issuer, &format!(r#""sub":"bob","auth_time":{}"#, now - 60))?);
    let order = |address: &str, token: &str| from(&gateway, address, "/orders", token);
    assert_eq!(order(DE, &stolen)?.0, 200, "ann at home");
    assert_eq!(order(VPN, &stolen)?.0, 200, "ann through her VPN, which moves nobody");
    assert_eq!(order(US, &bob)?.0, 200, "bob is somewhere else");
    for _ in 0..2 {
        let (status, check, challenge) = order(US, &stolen)?;
        assert_eq!((status, check.as_str()), (401, "ACC-240"), "the thief");
        assert!(
            challenge.starts_with("Bearer realm=\"api\", error=\"insufficient_user_authentication\""),
            "{challenge}"
        );
        assert!(challenge.contains("max_age=\""), "{challenge}");
        assert_eq!(order(DE, &stolen)?.0, 200, "ann at home is not shut out");
    }
    // Her user logs in again, by an issuer whose clock is some seconds ahead: she has traveled after all.
    let renewed = ann(now + 30)?;
    assert_eq!(order(US, &renewed)?.0, 200);
    assert_eq!(order(DE, &stolen)?.0, 200, "and what runs at home goes on");
    assert_eq!(order(US, &bob)?.0, 200);

    assert_eq!(from(&gateway, DE, "/user/account/1", &bob)?.0, 200);
    assert_eq!(from(&gateway, US, "/user/account/1", &bob)?.0, 200, "observed only");
    gateway.stop()?;
    let rows = gateway.query("SELECT * FROM events WHERE path = '/orders' AND status = 401")?;
    assert_eq!(rows.len(), 2);
    let told = text(&rows[0]["findings"]);
    for needed in ["ACC-240", "`US` less than a minute after `DE`", "\"home\""] {
        assert!(told.contains(needed), "the finding names {needed}: {told}");
    }
    assert!(text(&rows[0]["principal"]).contains("\"ann\""), "the event names who: {}", rows[0]);
    let flights = gateway.query("SELECT * FROM events WHERE path LIKE '/user/%'")?;
    let told: Vec<_> =
        flights.iter().map(|row| text(&row["findings"])).filter(|told| told.contains("ACC-240")).collect();
    let [told] = &told[..] else { anyhow::bail!("one of two calls is impossible: {flights:?}") };
    assert!(told.contains(" km away"), "how far is told: {told}");
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
