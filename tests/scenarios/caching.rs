//! Kept answers through the real program: who gets which, for how long, and what its events say of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin, Seen};
use serde_json::{Value, json};

use crate::admin;
use crate::api_keys::key;
use crate::browsers::{Answer, send};

/// How long a key, an old answer or an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Attack rules of an operator, over answers.
const RULE: &str = "SecResponseBodyAccess On
SecResponseBodyMimeType text/plain
SecRule RESPONSE_BODY \"@contains stack trace\" \"id:1007,phase:4,deny,log,msg:'Stack trace',severity:'ERROR'\"
";

/// Callers by API key, each with answers of one's own; `more` goes before.
fn configuration(origin: u16, more: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies:
{more}  - name: callers
    mode: enforce
    authenticate: {{ methods: [{{ api_key: {{}} }}], anonymous: true }}
  - name: kept
    mode: enforce
    cache: {{ key: [principal] }}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

/// Answers with the number of the request; the path says what may become of the answer.
fn origin() -> Result<Origin> {
    let count = AtomicUsize::new(0);
    Origin::answering(move |seen: &Seen| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let path = seen.line.split(' ').nth(1).unwrap_or_default();
        let (fields, word) = match path {
            "/private" => ("Cache-Control: private, max-age=60\r\n", ""),
            "/cookie" => ("Cache-Control: public, max-age=60\r\nSet-Cookie: session=of-the-first\r\n", ""),
            "/language" => ("Cache-Control: public, max-age=60\r\nVary: Accept-Language\r\n", ""),
            "/agent" => ("Cache-Control: public, max-age=60\r\nVary: User-Agent\r\n", ""),
            "/all" => ("Cache-Control: public, max-age=60\r\nVary: *\r\n", ""),
            "/short" if seen.header("if-none-match") == Some("\"v1\"") => {
                return "HTTP/1.1 304 Not Modified\r\nCache-Control: public, max-age=60\r\nETag: \"v1\"\r\n\r\n"
                    .to_owned();
            }
            "/short" => ("Cache-Control: public, max-age=1\r\nETag: \"v1\"\r\n", ""),
            "/report" | "/notes" => ("Cache-Control: public, max-age=60\r\n", " with a stack trace"),
            _ => ("Cache-Control: public, max-age=60\r\n", ""),
        };
        let body = format!("answer {number}{word}");
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
    })
}

fn get(gateway: &Bartizan, path: &str, fields: &[&str]) -> Result<Answer> {
    let line = format!("GET {path} HTTP/1.1");
    let answer = send(gateway.port, &[&[line.as_str()], fields].concat(), "")?;
    ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
    Ok(answer)
}

/// What the cache did for the requests for a path, in their order, as soon as there are so many.
fn told(gateway: &Bartizan, path: &str, count: u64) -> Result<Vec<String>> {
    gateway.wait_for_count(&format!("SELECT count(*) FROM events WHERE path = '{path}'"), count)?;
    let rows = gateway.query(&format!("SELECT cache_status FROM events WHERE path = '{path}' ORDER BY time"))?;
    Ok(rows.iter().map(|row| row["cache_status"].as_str().unwrap_or("none").to_owned()).collect())
}

#[test]
fn an_answer_is_kept_given_and_purged_and_events_say_so() -> Result<()> {
    let origin = origin()?;
    let mut gateway = Bartizan::start(&configuration(origin.port, ""))?;
    let first = get(&gateway, "/prices", &[])?;
    let second = get(&gateway, "/prices", &[])?;
    assert_eq!((first.body.as_str(), second.body.as_str()), ("answer 1", "answer 1"));
    assert_eq!((first.field("age"), origin.seen().len()), (String::new(), 1));
    assert!(!second.field("age").is_empty(), "a kept answer says how old it is");
    get(&gateway, "/other", &[])?;

    let purged = admin::post_json(&gateway, "/cache/purge", &json!({ "path_prefix": "/prices" }))?;
    assert_eq!(purged, json!({ "answers": 1 }));
    assert_eq!(get(&gateway, "/prices", &[])?.body, "answer 3", "it is fetched anew");
    get(&gateway, "/prices", &["Range: bytes=0-1"])?;
    assert_eq!(get(&gateway, "/other", &[])?.body, "answer 2", "what was not named is still there");
    assert_eq!(told(&gateway, "/prices", 4)?, ["miss", "hit", "miss", "bypass"]);

    let found = admin::get(&gateway, "/events?q=cache_status:hit%20path:/prices")?;
    let items = found["items"].as_array().context("items")?;
    assert_eq!(items.len(), 1, "{found}");
    let id = items[0]["id"].as_str().context("an id")?;
    let event = admin::get(&gateway, &format!("/events/{id}"))?;
    assert_eq!((&event["cache_status"], &event["upstream"]), (&json!("hit"), &Value::Null), "{event}");
    gateway.stop()
}

#[test]
fn nobody_gets_an_answer_of_another() -> Result<()> {
    let origin = origin()?;
    let mut gateway = Bartizan::start(&configuration(origin.port, ""))?;
    let data = gateway.data();
    let [ann, ben] = [key(&data, &["create", "ann"])?, key(&data, &["create", "ben"])?];
    let [ann, ben] = [ann, ben].map(|text| format!("X-API-Key: {text}"));
    let begun = Instant::now();
    while send(gateway.port, &["GET /ready HTTP/1.1", &ben], "")?.status == 401 {
        ensure!(begun.elapsed() < PATIENCE, "the key is not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut seen = Vec::new();
    for who in [&[ann.as_str()][..], &[&ben], &[]] {
        let body = get(&gateway, "/me", who)?.body;
        assert!(!seen.contains(&body), "{body} is given to two");
        assert_eq!(get(&gateway, "/me", who)?.body, body, "and again to the same");
        seen.push(body);
    }
    assert_eq!(told(&gateway, "/me", 6)?, ["miss", "hit", "miss", "hit", "miss", "hit"]);
    for (path, fields) in [
        ("/private", &[][..]),
        ("/cookie", &[]),
        ("/all", &[]),
        ("/agent", &["User-Agent: one"]),
        ("/signed-in", &["Cookie: session=1"]),
        ("/token", &[&ann, "Authorization: Bearer of-nobody-we-know"]),
        ("/two", &[&ann, "Cookie: session=1"]),
    ] {
        let bodies = [get(&gateway, path, fields)?.body, get(&gateway, path, fields)?.body];
        assert_ne!(bodies[0], bodies[1], "{path} is not kept");
    }
    let language = |language: &str| Ok::<_, anyhow::Error>(get(&gateway, "/language", &[language])?.body);
    let (german, french) = (language("Accept-Language: de")?, language("Accept-Language: fr")?);
    assert_ne!(german, french);
    assert_eq!((language("Accept-Language: de")?, language("Accept-Language: fr")?), (german, french));
    gateway.stop()
}

#[test]
fn an_old_answer_is_confirmed_by_its_upstream_and_given_again() -> Result<()> {
    let origin = origin()?;
    let mut gateway = Bartizan::start(&configuration(origin.port, ""))?;
    let begun = Instant::now();
    while origin.seen().len() < 2 {
        assert_eq!(get(&gateway, "/short", &[])?.body, "answer 1");
        ensure!(begun.elapsed() < PATIENCE, "the answer does not grow old");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(get(&gateway, "/short", &[])?.body, "answer 1");
    let asked: Vec<Option<String>> =
        origin.seen().iter().map(|seen| seen.header("if-none-match").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("\"v1\"".to_owned())], "the body came once");
    gateway.wait_for_count("SELECT count(*) FROM events WHERE cache_status = 'revalidated'", 1)?;
    let told = told(&gateway, "/short", 3)?;
    assert_eq!(told.iter().filter(|status| *status == "revalidated").count(), 1, "{told:?}");
    assert_eq!((told.first().map(String::as_str), told.last().map(String::as_str)), (Some("miss"), Some("hit")));
    gateway.stop()
}

#[test]
fn attack_rules_judge_answers_that_were_kept_before_them_and_what_they_notice_is_not_kept() -> Result<()> {
    let origin = origin()?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("answers.conf");
    std::fs::write(&rules, RULE)?;
    let attacks = |mode: &str| {
        let threats = format!("threats: {{ own_rules: false, files: [{}], responses: true }}", rules.display());
        format!("  - {{ name: attacks, mode: {mode}, {threats} }}\n")
    };
    let mut gateway = Bartizan::start(&configuration(origin.port, ""))?;
    let reload = |more: &str| -> Result<()> {
        gateway.write_configuration(&configuration(origin.port, more))?;
        let outcome = admin::post(&gateway, "/config/reload")?;
        ensure!(matches!(outcome["outcome"].as_str(), Some("applied" | "unchanged")), "{outcome}");
        Ok(())
    };
    assert_eq!(get(&gateway, "/report", &[])?.body, "answer 1 with a stack trace");
    assert_eq!(get(&gateway, "/report", &[])?.body, "answer 1 with a stack trace");

    reload(&attacks("enforce"))?;
    let refused = send(gateway.port, &["GET /report HTTP/1.1"], "")?;
    assert_eq!((refused.status, refused.check().as_str()), (403, "WAF-1007"));
    assert!(!refused.body.contains("stack trace"), "nothing of the answer goes out: {}", refused.body);
    assert_eq!(told(&gateway, "/report", 3)?, ["miss", "hit", "hit"]);
    assert_eq!(origin.seen().len(), 1, "the kept answer was judged, the upstream was not asked");

    // Observed: the answer is given, with a finding, and others must not get it.
    reload(&attacks("observe"))?;
    for number in 2..4 {
        assert_eq!(get(&gateway, "/notes", &[])?.body, format!("answer {number} with a stack trace"));
    }
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/plain", &[])?.body, "answer 4", "what no rule notices is kept");
    }
    assert_eq!(told(&gateway, "/notes", 2)?, ["miss", "miss"]);
    let noticed = "SELECT count(*) FROM events WHERE path = '/notes' AND checks LIKE '%WAF-1007%'";
    assert_eq!(gateway.wait_for_count(noticed, 2)?, 2);
    gateway.stop()
}
