//! API keys from `bartizan key` to the gateway that checks them, while it runs, and after it was killed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::{Value, json};

use crate::agent;

/// What the documents promise: a change is taken within this time. Twice, for a machine that is busy with other tests.
const TAKEN: Duration = Duration::from_secs(4);
/// How long uses may take to be written.
const WRITTEN: Duration = Duration::from_secs(20);

fn configuration(origin: u16) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies: [{{ name: callers, mode: enforce, authenticate: {{ methods: [{{ api_key: {{}} }}] }} }}]
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

/// `bartizan key …` on the gateway's directory; what it prints.
pub(super) fn key(data: &Path, words: &[&str]) -> Result<String> {
    let directory = data.display().to_string();
    let output = Bartizan::command(&[&["key"], words, &["--data-dir", &directory]].concat())?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "key {words:?}: {told}");
    let text = String::from_utf8(output.stdout)?.trim_end().to_owned();
    if words.first().is_some_and(|verb| matches!(*verb, "create" | "rotate")) {
        assert!(!told.contains(text.split('_').nth(2).unwrap_or(&text)), "the secret is on standard error: {told}");
    }
    Ok(text)
}

/// Why `bartizan key …` refuses, with its exit code.
fn refused(data: &Path, words: &[&str]) -> Result<(i32, String)> {
    let directory = data.display().to_string();
    let output = Bartizan::command(&[&["key"], words, &["--data-dir", &directory]].concat())?;
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok((output.status.code().context("an exit code")?, String::from_utf8(output.stderr)?))
}

fn keys(data: &Path) -> Result<Vec<Value>> {
    Ok(serde_json::from_str(&key(data, &["list", "--all", "--json"])?)?)
}

fn id_of(text: &str) -> &str {
    text.split('_').nth(1).unwrap_or_default()
}

fn get(gateway: &Bartizan, key: Option<&str>) -> Result<(u16, String)> {
    let request = agent().get(gateway.url("/orders"));
    let request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
    let response = request.call()?;
    let check = response.headers().get("x-bartizan-check").and_then(|check| check.to_str().ok()).unwrap_or_default();
    Ok((response.status().as_u16(), check.to_owned()))
}

/// Waits until the gateway answers a key with `status`; fails when that takes longer than is promised.
fn await_status(gateway: &Bartizan, key: &str, status: u16) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let (answered, check) = get(gateway, Some(key))?;
        if answered == status {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < TAKEN, "still {answered} ({check}), not {status}, after {TAKEN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Fails when one of the secrets is in a file below `folder`.
fn assert_nowhere(folder: &Path, secrets: &[&str]) -> Result<()> {
    let mut open = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else { continue }; // a socket
            files += 1;
            for secret in secrets {
                let secret = secret.split('_').nth(2).context("the secret part of a key")?.as_bytes();
                assert_eq!(secret.len(), 52);
                let is_there = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!is_there, "a key's secret is in {}", path.display());
            }
        }
    }
    assert!(files > 0, "there was something to look at");
    Ok(())
}

#[test]
fn a_key_lives_from_its_making_to_its_revocation_while_the_gateway_runs() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port))?;
    let data = gateway.data();
    assert_eq!(get(&gateway, None)?, (401, "ACC-201".to_owned()), "nobody");
    assert_eq!(get(&gateway, Some("bz_nonsense"))?, (401, "ACC-213".to_owned()));
    assert_eq!(keys(&data)?.len(), 0);

    let first = key(&data, &["create", "shop", "--owner", "team-shop", "--scope", "orders:read"])?;
    await_status(&gateway, &first, 200)?;
    let wrong: String = first.chars().rev().collect();
    assert_eq!(get(&gateway, Some(&wrong))?.0, 401);

    let second = key(&data, &["rotate", "shop", "--grace", "1h"])?;
    await_status(&gateway, &second, 200)?;
    assert_eq!(get(&gateway, Some(&first))?.0, 200, "both work in the meantime");
    let (code, why) = refused(&data, &["rotate", "shop"])?;
    assert!(code == 1 && why.contains("two live keys"), "{code} {why}");
    key(&data, &["revoke", id_of(&first)])?;
    await_status(&gateway, &first, 401)?;
    assert_eq!(get(&gateway, Some(&first))?.1, "ACC-214");
    assert_eq!(get(&gateway, Some(&second))?.0, 200, "then only the new one");

    let begun = Instant::now();
    let used = loop {
        let all = keys(&data)?;
        let used = all.iter().find(|key| key["id"] == id_of(&second)).context("the second key")?.clone();
        if used["last_used"].is_string() && used["calls"].as_u64() >= Some(2) {
            break used;
        }
        ensure!(begun.elapsed() < WRITTEN, "its use is not written: {used}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&used["application"], &used["state"]), (&json!("shop"), &json!("live")));

    let (config, url) = (gateway.folder().join("bartizan.yaml"), gateway.url("/orders"));
    let explain = |key: &str| -> Result<Value> {
        let (config, data, field) =
            (config.display().to_string(), data.display().to_string(), format!("x-api-key: {key}"));
        let words = ["explain", "--json", "--config", &config, "--data-dir", &data, "GET", &url, "-H", &field];
        let said: Value = serde_json::from_slice(&Bartizan::command(&words)?.stdout)?;
        Ok(said["decision"]["check"].clone())
    };
    assert_eq!((explain(&second)?, explain(&first)?), (Value::Null, json!("ACC-214")), "explain knows the same keys");

    gateway.kill()?;
    gateway.start_again()?;
    assert_eq!(get(&gateway, Some(&second))?.0, 200, "a killed gateway starts with its keys, at once");
    assert_eq!(get(&gateway, Some(&first))?.0, 401);
    gateway.stop()?;
    let stopped = keys(&data)?;
    let after = stopped.iter().find(|key| key["id"] == id_of(&second)).context("the second key")?;
    assert!(after["calls"].as_u64() > used["calls"].as_u64(), "a stop writes the last uses: {after}");

    let by_id =
        format!("SELECT count(*) FROM events WHERE credential_id = '{}' AND application = 'shop'", id_of(&second));
    assert!(gateway.wait_for_count(&by_id, 2)? >= 2, "events name the key");
    let lapsed =
        format!("SELECT count(*) FROM events WHERE findings LIKE '%{}%' AND \"check\" = 'ACC-214'", id_of(&first));
    assert!(gateway.wait_for_count(&lapsed, 1)? >= 1, "and the one that was refused");
    let seen = origin.seen();
    assert!(seen.iter().flat_map(|seen| &seen.headers).all(|line| !line.contains(id_of(&second))), "{seen:?}");
    assert_nowhere(gateway.folder(), &[&first, &second])
}

#[test]
fn a_quota_that_a_key_brings_along_holds_over_its_rotation() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port))?;
    let data = gateway.data();
    let first = key(&data, &["create", "shop", "--quota", "20/1h"])?;
    await_status(&gateway, &first, 200)?;
    let second = key(&data, &["rotate", "shop"])?;
    await_status(&gateway, &second, 200)?;
    let admitted = 2
        + (0..40)
            .map(|at| get(&gateway, Some(if at % 2 == 0 { &first } else { &second })))
            .filter(|answer| matches!(answer, Ok((200, _))))
            .count();
    assert_eq!(admitted, 20, "the keys of one application share it");
    assert_eq!(get(&gateway, Some(&first))?, (429, "LIM-202".to_owned()));
    gateway.stop()
}

#[test]
fn the_console_and_the_command_line_change_the_same_keys() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port))?;
    let data = gateway.data();
    let token = std::fs::read_to_string(data.join("admin-token"))?;
    let api = |method: &str, path: &str, body: Value| -> Result<(u16, Value)> {
        let address = format!("http://127.0.0.1:{}/api/v1{path}", gateway.console_port);
        let request = ureq::http::Request::builder().method(method).uri(address);
        let request = request.header("authorization", format!("Bearer {}", token.trim()));
        let mut response = if body.is_null() {
            agent().run(request.body(())?)?
        } else {
            agent().run(request.header("content-type", "application/json").body(body.to_string())?)?
        };
        let status = response.status().as_u16();
        Ok((status, serde_json::from_str(&response.body_mut().read_to_string()?).unwrap_or_default()))
    };
    let (status, made) = api("POST", "/keys", json!({"application": "bank", "quota": {"requests": 100, "per_s": 60}}))?;
    assert_eq!(status, 201, "{made}");
    let text = made["text"].as_str().context("the key's text")?.to_owned();
    assert_eq!(get(&gateway, Some(&text))?.0, 200, "the gateway takes it before the console answers");
    let shown: Value = serde_json::from_str(&key(&data, &["show", "bank", "--json"])?)?;
    assert_eq!(
        (&shown["created_by"], &shown["quota"]),
        (&json!("admin-token"), &json!({"requests": 100, "per_s": 60}))
    );
    let other = key(&data, &["create", "shop"])?;
    let (_, listed) = api("GET", "/keys", Value::Null)?;
    let applications: Vec<_> = listed.as_array().into_iter().flatten().map(|key| &key["application"]).collect();
    assert_eq!(applications, ["bank", "shop"]);
    await_status(&gateway, &other, 200)?;
    let (status, _) = api("POST", &format!("/keys/{}/revoke", id_of(&other)), json!({}))?;
    assert_eq!(status, 204);
    assert_eq!(get(&gateway, Some(&other))?.0, 401, "at once");
    gateway.stop()?;
    assert_nowhere(gateway.folder(), &[&text, &other])
}

#[test]
fn the_command_line_says_what_is_wrong_and_what_is_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (code, why) = refused(&data, &["list"])?;
    assert!(code == 2 && why.contains("there is no Bartizan data"), "{code} {why}");
    assert_eq!(refused(&data, &["revoke", "shop"])?.0, 2);
    assert!(!data.exists(), "only `create` makes a directory");
    let made = key(&data, &["create", "shop"])?;
    assert!(made.starts_with("bz_") && made.len() == 78, "{made}");
    let table = key(&data, &["list"])?;
    assert!(table.contains(id_of(&made)) && table.contains("never") && !table.contains(&made), "{table}");
    for (words, reason) in [
        (&["create", "two words"][..], "1 to 64 letters"),
        (&["create", "a", "--quota", "10"], "10000/1d"),
        (&["create", "a", "--expires", "tomorrow"], "90d"),
        (&["create", "a", "--expires", "2020-01-01T00:00:00Z"], "in the future"),
        (&["create", "a", "--scope", "a b"], "scope `a b`"),
        (&["create", "a", "--plan", "gold"], "no configuration has run"),
        (&["rotate", "shop", "--grace", "soon"], "12h"),
        (&["rotate", "shop", "--grace", "91d"], "90 days"),
        (&["show", "nobody"], "no key or application `nobody`"),
        (&["revoke", "bank", "--all"], "no application `bank`"),
    ] {
        let (code, why) = refused(&data, words)?;
        assert!(code == 1 && why.contains(reason), "{words:?}: {code} {why}");
    }
    let stranger = made.replace(id_of(&made), "aaaaaaaaaaaaa");
    let (_, why) = refused(&data, &["revoke", &stranger])?;
    assert!(why.contains("no such key") && !why.contains("aaaa"), "a key is not repeated: {why}");
    key(&data, &["revoke", &made])?;
    assert_eq!(key(&data, &["list"])?.lines().count(), 1, "what has ended is not listed");
    assert_eq!(keys(&data)?.first().map(|key| &key["state"]), Some(&json!("revoked")));
    assert_nowhere(&data, &[&made])
}

#[test]
fn a_reload_changes_what_a_plan_means_and_a_plan_that_is_gone_lets_nobody_in() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let with_plans = |plans: &str| format!("{}plans: [{plans}]\n", configuration(origin.port));
    let mut gateway = Bartizan::start(&with_plans("{ name: gold, quota: { requests: 20, per: 1h } }, { name: free }"))?;
    let data = gateway.data();
    let (code, why) = refused(&data, &["create", "shop", "--plan", "silver"])?;
    assert!(code == 1 && why.contains("no plan `silver` (it has `gold`, `free`)"), "{code} {why}");
    let made = key(&data, &["create", "shop", "--plan", "gold"])?;
    let table = key(&data, &["list"])?;
    assert!(table.lines().next().is_some_and(|head| head.contains("plan")) && table.contains("gold"), "{table}");
    await_status(&gateway, &made, 200)?;
    let admitted = |requests: usize| -> Result<usize> {
        let answers: Vec<(u16, String)> = (0..requests).map(|_| get(&gateway, Some(&made))).collect::<Result<_>>()?;
        assert!(answers.iter().all(|(status, check)| *status == 200 || check == "LIM-202"), "{answers:?}");
        Ok(answers.iter().filter(|(status, _)| *status == 200).count())
    };
    assert_eq!(admitted(40)?, 19, "one was let in before");

    let reload = |plans: &str| -> Result<()> {
        gateway.write_configuration(&with_plans(plans))?;
        let outcome = crate::admin::post(&gateway, "/config/reload")?;
        assert!(matches!(outcome["outcome"].as_str(), Some("applied" | "unchanged")), "{outcome}");
        Ok(())
    };
    reload("{ name: gold, quota: { requests: 30, per: 1h } }")?;
    assert_eq!(admitted(40)?, 30, "the same key, another meaning of its plan");
    reload("{ name: platinum }")?;
    assert_eq!(get(&gateway, Some(&made))?, (503, "ACC-221".to_owned()));
    assert!(gateway.printed().contains("no such plan"), "{}", gateway.printed());
    let (code, _) = refused(&data, &["create", "bank", "--plan", "gold"])?;
    assert_eq!(code, 1, "the command goes by the configuration that runs");
    reload("{ name: gold }")?;
    assert_eq!(admitted(5)?, 5, "a plan without limits");
    gateway.stop()
}
