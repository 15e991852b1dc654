//! Attack rules through the gateway: the OWASP Core Rule Set refuses attacks, honest requests pass, faulty rules are
//! named with their line and never run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::Value;

use crate::{admin, agent};

/// The Core Rule Set: `BARTIZAN_CRS`, else beside the checkout; without it the tests that need it say so and pass.
pub fn core_rule_set() -> Option<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let beside = manifest.join("../../shared/crs");
    let folder = std::env::var_os("BARTIZAN_CRS").map_or(beside, PathBuf::from);
    if folder.join("rules").is_dir() {
        return folder.canonicalize().ok();
    }
    eprintln!("SKIPPED: no Core Rule Set in {}; name one in BARTIZAN_CRS", folder.display());
    None
}

fn configuration(origin: u16, mode: &str, threats: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: exploits
    mode: {mode}
    threats:
{threats}
console:
  address: 127.0.0.1:{{console}}
"
    )
}

fn with_core_rule_set(origin: u16, mode: &str, folder: &Path) -> String {
    configuration(origin, mode, &format!("      core_rule_set: {}", folder.display()))
}

/// Status and check of an answer.
type Answer = (u16, Option<String>);

fn answer(response: &ureq::http::Response<ureq::Body>) -> Answer {
    let check = response.headers().get("x-bartizan-check").and_then(|check| check.to_str().ok());
    (response.status().as_u16(), check.map(str::to_owned))
}

fn get(gateway: &Bartizan, target: &str) -> Result<Answer> {
    Ok(answer(&agent().get(gateway.url(target)).call()?))
}

fn post(gateway: &Bartizan, content_type: &str, body: &[u8]) -> Result<Answer> {
    Ok(answer(&agent().post(gateway.url("/items")).content_type(content_type).send(body)?))
}

fn refused() -> Answer {
    (403, Some("WAF-949110".to_owned()))
}

const SQL_INJECTION: &str = "/items?id=1%27%20OR%20%271%27%3D%271";

#[test]
fn the_core_rule_set_refuses_attacks_and_lets_honest_requests_pass() -> Result<()> {
    let Some(folder) = core_rule_set() else { return Ok(()) };
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&with_core_rule_set(origin.port, "enforce", &folder))?;
    assert_eq!(get(&gateway, "/items?id=1&sort=name")?, (200, None));
    assert_eq!(post(&gateway, "application/json", br#"{"name":"a box","price":12.5}"#)?, (200, None));
    assert_eq!(post(&gateway, "application/vnd.shop.v1+json", br#"{"name":"a box"}"#)?, (200, None));
    assert_eq!(answer(&agent().delete(gateway.url("/items/7")).call()?), (200, None), "methods are for policies");
    let seen = origin.seen().len();

    assert_eq!(get(&gateway, SQL_INJECTION)?, refused());
    assert_eq!(post(&gateway, "application/json", br#"{"filter":{"id":"1' OR '1'='1"}}"#)?, refused());
    assert_eq!(post(&gateway, "application/x-www-form-urlencoded", b"id=1%27+OR+%271%27%3D%271")?, refused());
    let entity =
        br#"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x; /etc/passwd</a>"#;
    assert_eq!(post(&gateway, "application/xml", entity)?, refused());
    assert_eq!(origin.seen().len(), seen, "nothing of them reached the upstream");

    let event = event_of(&gateway, "WAF-949110")?;
    let findings = event["findings"].as_array().context("findings")?;
    let sqli = findings.iter().find(|found| found["check"] == "WAF-942100").context("the rule that noticed")?;
    assert_eq!((&sqli["location"]["part"], &sqli["location"]["name"]), (&"query".into(), &"id".into()), "{sqli}");
    assert!(!event.to_string().contains("OR '1'"), "an event carries no payload: {event}");
    gateway.stop()
}

#[test]
fn observed_attacks_pass_and_the_event_says_what_would_have_been() -> Result<()> {
    let Some(folder) = core_rule_set() else { return Ok(()) };
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&with_core_rule_set(origin.port, "observe", &folder))?;
    assert_eq!(get(&gateway, SQL_INJECTION)?, (200, None));
    let body = br#"{"id":"1' OR '1'='1"}"#;
    assert_eq!(post(&gateway, "application/json", body)?, (200, None));
    assert_eq!(origin.seen().last().map(|seen| seen.body.clone()), Some(body.to_vec()));
    let event = event_of(&gateway, "WAF-949110")?;
    assert_eq!(event["decision"]["applied"], false);
    assert_eq!(event["decision"]["policy"], "exploits");
    gateway.stop()
}

/// The event of the first request that this check decided.
fn event_of(gateway: &Bartizan, check: &str) -> Result<Value> {
    gateway.wait_for_count(&format!("SELECT count(*) FROM events WHERE \"check\" = '{check}'"), 1)?;
    let events = admin::get(gateway, &format!("/events?q=check:{check}"))?;
    let id = events["items"].as_array().and_then(|items| items.last()?["id"].as_str()).context("an event")?;
    admin::get(gateway, &format!("/events/{id}"))
}

const RULE: &str = "SecRule ARGS:word \"@streq forbidden\" \"id:1001,phase:2,deny,status:406,msg:'a word'\"\n";

#[test]
fn a_faulty_rule_file_is_named_with_its_line_and_the_old_rules_stay() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("extra.conf");
    std::fs::write(&rules, RULE)?;
    let threats = format!("      own_rules: false\n      files: [{}]", rules.display());
    let mut gateway = Bartizan::start(&configuration(origin.port, "enforce", &threats))?;
    let forbidden = (406, Some("WAF-1001".to_owned()));
    assert_eq!(get(&gateway, "/?word=forbidden")?, forbidden);
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "unchanged");

    std::fs::write(&rules, format!("{RULE}# a comment\nSecRule ARGS \"@rxx a\" \"id:1002,phase:2,deny\"\n"))?;
    let rejected = admin::post(&gateway, "/config/reload")?;
    assert_eq!(rejected["outcome"], "rejected");
    let fault = rejected["diagnostics"].to_string();
    assert!(fault.contains("extra.conf") && fault.contains("\"line\":3") && fault.contains("`@rxx`"), "{fault}");
    assert_eq!(get(&gateway, "/?word=forbidden")?, forbidden, "the old rules stay");

    let file = gateway.folder().join("bartizan.yaml");
    let checked = Bartizan::command(&["check", file.to_str().context("a path")?])?;
    let printed = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(1));
    assert!(printed.contains("extra.conf:3:"), "{printed}");

    std::fs::write(&rules, RULE.replace("forbidden", "banned"))?;
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "applied");
    assert_eq!(get(&gateway, "/?word=forbidden")?, (200, None));
    assert_eq!(get(&gateway, "/?word=banned")?, forbidden);
    gateway.stop()
}

/// 1 GiB of blanks as gzip: stored blocks would not do; a run of one deflate code does.
fn bomb() -> Result<Vec<u8>> {
    let script = "import gzip,sys; sys.stdout.buffer.write(gzip.compress(b' ' * (1 << 28)))";
    let output = std::process::Command::new("python3").args(["-c", script]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Most memory that a process has had, in KiB.
fn peak_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn a_bomb_is_refused_before_it_costs_memory() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let text = format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{}
policies:
  - name: payloads
    mode: enforce
    content:
      limits: {{ json_container_depth: 20, form_field_count: 100 }}
      patterns: [{{ name: no-scripts, part: query, pattern: '(?i)<script' }}]
",
        origin.port
    );
    let mut gateway = Bartizan::start(&text)?;
    assert_eq!(post(&gateway, "application/json", br#"{"name":"a box"}"#)?, (200, None));
    let before = peak_kib(gateway.program().id())?;
    let bomb = bomb()?;
    for _ in 0..8 {
        let sent =
            agent().post(gateway.url("/items")).content_type("application/json").header("content-encoding", "gzip");
        assert_eq!(answer(&sent.send(&bomb[..])?), (413, Some("CON-108".to_owned())));
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post(&gateway, "application/json", deep.as_bytes())?, (422, Some("CON-101".to_owned())));
    let wide: String = (0..50_000).map(|number| format!("p{number}=1&")).collect();
    assert_eq!(
        post(&gateway, "application/x-www-form-urlencoded", wide.as_bytes())?,
        (422, Some("CON-104".to_owned()))
    );
    let entities = b"<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    assert_eq!(post(&gateway, "application/xml", entities)?, (422, Some("CON-102".to_owned())));
    assert_eq!(get(&gateway, "/?q=%3Cscript%3E")?, (403, Some("CON-112".to_owned())));
    let grown = peak_kib(gateway.program().id())? - before;
    assert!(grown < 128 << 10, "{grown} KiB for bodies of {} bytes", bomb.len());
    assert_eq!(origin.seen().len(), 1, "none of it reached the upstream");
    gateway.stop()
}

#[test]
fn a_response_is_judged_before_its_body_passes() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("extra.conf");
    std::fs::write(
        &rules,
        "SecRule RESPONSE_BODY \"@contains ok\" \"id:1001,phase:4,deny,msg:'a leak',chain\"\n  SecRule ARGS:leak \"@streq yes\" \"t:none\"\n",
    )?;
    let threats = format!("      own_rules: false\n      responses: true\n      files: [{}]", rules.display());
    let mut gateway = Bartizan::start(&configuration(origin.port, "enforce", &threats))?;
    let whole = agent().get(gateway.url("/a")).call()?.body_mut().read_to_string()?;
    assert_eq!(whole, "{\"ok\":true}");
    let cut = agent().get(gateway.url("/a?leak=yes")).call().and_then(|mut answer| answer.body_mut().read_to_string());
    // Refused in the upstream's place when its head has not gone yet, else cut off.
    assert!(!cut.as_ref().is_ok_and(|body| body.contains("ok\":")), "{cut:?}");
    assert_eq!(event_of(&gateway, "WAF-1001")?["ending"], "stopped");
    gateway.stop()
}

#[test]
fn rules_are_listed_explained_and_tested_without_traffic() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("extra.conf"), RULE)?;
    let threats = format!("      own_rules: false\n      files: [{}]", at("extra.conf"));
    let text = configuration(9, "observe", &threats).replace("{port}", "8080").replace("{console}", "8600");
    std::fs::write(folder.path().join("bartizan.yaml"), text)?;
    let config = at("bartizan.yaml");
    let printed = |arguments: &[&str]| -> Result<(String, Option<i32>)> {
        let output = Bartizan::command(&[arguments, &["--config", &config]].concat())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((text, output.status.code()))
    };
    let (listed, _) = printed(&["rules", "list"])?;
    assert!(listed.contains("1001") && listed.contains("a word") && listed.contains("exploits"), "{listed}");
    let (explained, _) = printed(&["rules", "explain", "1001"])?;
    assert!(explained.contains("a word") && explained.contains("extra.conf:1"), "{explained}");
    assert_eq!(printed(&["rules", "explain", "7"])?.1, Some(2));

    let line = |target: &str, attack: bool| {
        format!(
            "{{\"request\":{{\"method\":\"GET\",\"url\":\"http://a.example{target}\",\"headers\":[]}},\"label\":{{\"attack\":{attack}}}}}\n"
        )
    };
    let good = line("/?word=forbidden", true) + &line("/?word=fine", false);
    std::fs::write(folder.path().join("good.ndjson"), &good)?;
    let (tested, code) = printed(&["rules", "test", &at("good.ndjson")])?;
    assert!(tested.contains("1 of 1 attacks caught, 0 of 1 honest ones denied") && code == Some(0), "{tested}");
    std::fs::write(
        folder.path().join("bad.ndjson"),
        good + &line("/?word=bidden", true) + &line("/?word=forbidden", false),
    )?;
    let (tested, code) = printed(&["rules", "test", &at("bad.ndjson")])?;
    assert!(tested.contains("MISSED ATTACK") && tested.contains("FALSE POSITIVE") && code == Some(1), "{tested}");

    let (replayed, _) = printed(&["replay", "--input", &at("bad.ndjson")])?;
    let row = replayed.lines().find(|line| line.contains("WAF-1001") && line.contains("×")).unwrap_or_default();
    assert!(row.contains("GET a.example/"), "{replayed}");
    Ok(())
}

#[test]
fn an_exclusion_takes_one_parameter_away_from_a_rule() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("extra.conf");
    std::fs::write(
        &rules,
        "SecRule ARGS \"@contains evil\" \"id:1001,phase:2,deny,tag:'words'\"
SecRule REQUEST_HEADERS|REQUEST_COOKIES \"@contains evil\" \"id:1002,phase:2,deny,tag:'words'\"
SecRule REQUEST_METHOD \"@streq DELETE\" \"id:1003,phase:1,deny\"\n",
    )?;
    let threats = format!(
        "      own_rules: false
      files: [{}]
      exclusions:
        - {{ rule: 1000-1001, parameter: items.*.note }}
        - {{ rule: 1001, parameter: q }}
        - {{ rule: words, header: X-Filter }}
        - {{ rule: 1002, cookie: theme }}
        - {{ rule: 1003 }}",
        rules.display()
    );
    let mut gateway = Bartizan::start(&configuration(origin.port, "enforce", &threats))?;
    let denied = |rule: u32| (403, Some(format!("WAF-{rule}")));
    let json = |body: &str| post(&gateway, "application/json", body.as_bytes());
    assert_eq!(get(&gateway, "/?q=evil")?, (200, None));
    assert_eq!(get(&gateway, "/?qq=evil")?, denied(1001));
    assert_eq!(json(r#"{"items":[{"note":"evil"},{"note":"evil"}]}"#)?, (200, None));
    assert_eq!(json(r#"{"items":[{"name":"evil"}]}"#)?, denied(1001));
    assert_eq!(json(r#"{"note":"evil"}"#)?, denied(1001));
    let with = |name: &str, value: &str| {
        Ok::<_, anyhow::Error>(answer(&agent().get(gateway.url("/")).header(name, value).call()?))
    };
    assert_eq!(with("x-filter", "evil")?, (200, None));
    assert_eq!(with("x-other", "evil")?, denied(1002));
    assert_eq!(answer(&agent().delete(gateway.url("/")).call()?), (200, None));
    gateway.stop()
}

/// Whether `bartizan explain` would deny a request under these settings, and what it noticed.
fn explained(threats: &str, request: &[&str]) -> Result<(bool, String)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bartizan.yaml");
    let text = configuration(9, "enforce", threats).replace("{port}", "8080").replace("{console}", "8600");
    std::fs::write(&file, text)?;
    let config = file.to_str().context("a path")?;
    let output = Bartizan::command(&[&["explain", "--json", "--config", config], request].concat())?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    Ok((told["decision"]["action"] == "deny", told["stages"].to_string()))
}

#[test]
fn paranoia_and_threshold_of_the_policy_reach_the_rules() -> Result<()> {
    let Some(folder) = core_rule_set() else { return Ok(()) };
    let explain = |more: &str, target: &str| {
        let threats = format!("      own_rules: false\n      core_rule_set: {}\n{more}", folder.display());
        let url = format!("http://a.example{target}");
        explained(&threats, &["GET", &url, "-H", "user-agent: a", "-H", "accept: */*"])
    };
    assert!(explain("", SQL_INJECTION)?.0);
    let (is_denied, noticed) = explain("      anomaly_threshold: 1000", SQL_INJECTION)?;
    assert!(!is_denied && noticed.contains("WAF-942100"), "{noticed}");
    let odd = "/items?q=a%28b%29%3Bc";
    let (_, at_one) = explain("      paranoia: 1", odd)?;
    let (_, at_four) = explain("      paranoia: 4", odd)?;
    assert!(!at_one.contains("WAF-920273") && at_four.contains("WAF-920273"), "{at_one}\n{at_four}");
    Ok(())
}

#[test]
fn our_own_rules_run_without_any_setting_and_can_be_left_out() -> Result<()> {
    let body = [
        "POST",
        "http://a.example/users",
        "-H",
        "content-type: application/json",
        "-d",
        r#"{"name":{"$where":"sleep(1)"}}"#,
    ];
    let (is_denied, noticed) = explained("      own_rules: true", &body)?;
    assert!(is_denied && noticed.contains("WAF-95"), "{noticed}");
    let folder = core_rule_set();
    let Some(folder) = folder else { return Ok(()) };
    let (_, noticed) = explained(&format!("      own_rules: false\n      core_rule_set: {}", folder.display()), &body)?;
    assert!(!noticed.contains("WAF-95"), "{noticed}");
    Ok(())
}

#[test]
fn a_folder_that_is_no_core_rule_set_is_refused_with_what_to_do() -> Result<()> {
    let error = explained("      core_rule_set: /nowhere", &["GET", "http://a.example/"]).expect_err("no such folder");
    assert!(error.to_string().contains("/nowhere") && error.to_string().contains("rules/"), "{error}");
    let error = explained("      files: [missing.conf]", &["GET", "http://a.example/"]).expect_err("no such file");
    assert!(error.to_string().contains("missing.conf"), "{error}");
    Ok(())
}

#[test]
fn a_draft_in_the_console_reads_no_file_of_the_machine() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("secret.txt");
    std::fs::write(&secret, "hunter2 is no directive\n")?;
    let mut gateway = Bartizan::start(&configuration(origin.port, "enforce", "      own_rules: true"))?;
    let threats = format!("      files: [{}]", secret.display());
    let draft = configuration(origin.port, "enforce", &threats).replace("{port}", "8080").replace("{console}", "8600");
    let told = admin::post_json(&gateway, "/config/check", &serde_json::json!({ "yaml": draft }))?.to_string();
    assert!(told.contains("CFG-112") && !told.contains("hunter2"), "{told}");
    gateway.stop()
}
