//! Audit logs and counters of rules, through the gateway: an attack is a line in a file, secrets are in none, and who was
//! counted stays counted over a reload.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bartizan_testkit::{Bartizan, Origin};
use rustix::process::Signal;
use serde_json::Value;

use crate::admin;
use crate::threats::core_rule_set;

const SECRET: &str = "sk_live_51Habc9DEFghi7JKLmno";

fn configuration(origin: u16, threats: &str, more: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: exploits
    mode: enforce
    threats:
{threats}
console:
  address: 127.0.0.1:{{console}}
{more}"
    )
}

/// Status of an answer.
fn get(gateway: &Bartizan, target: &str) -> Result<u16> {
    let agent = crate::agent();
    let request = agent.get(gateway.url(target)).header("authorization", &format!("Bearer {SECRET}"));
    Ok(request.call()?.status().as_u16())
}

/// The first line of a file for which this holds, once there is one.
fn line(path: &Path, is_meant: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines = whole.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        if let Some(found) = lines.into_iter().find(&is_meant) {
            return Ok(found);
        }
        ensure!(begun.elapsed() < Duration::from_secs(20), "no such line in {}: {text}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_attack_is_a_line_in_each_audit_log_and_its_secrets_are_in_none() -> Result<()> {
    let Some(folder) = core_rule_set() else { return Ok(()) };
    let origin = Origin::start(Duration::ZERO)?;
    let threats = format!("      core_rule_set: {}", folder.display());
    let logs = "audit_logs:\n  - file: audit.json\n  - { file: audit-ocsf.json, format: ocsf }\n";
    let mut gateway = Bartizan::start(&configuration(origin.port, &threats, logs))?;
    let (own, ocsf) = (gateway.folder().join("audit.json"), gateway.folder().join("audit-ocsf.json"));
    assert_eq!(get(&gateway, "/items?id=7")?, 200);
    assert_eq!(get(&gateway, &format!("/items?id={SECRET}%27%20OR%20%271%27%3D%271"))?, 403);

    let own_line = line(&own, |line| line["transaction"]["response"]["http_code"] == 403)?;
    let transaction = &own_line["transaction"];
    assert_eq!(transaction["producer"]["policy"], "exploits");
    let messages = transaction["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sqli = messages.iter().find(|message| message["details"]["ruleId"] == "942100");
    let sqli = sqli.unwrap_or_else(|| panic!("the rule that noticed: {own_line}"));
    assert_eq!(sqli["details"]["location"], "query.id");
    assert!(sqli["details"]["tags"].as_array().is_some_and(|tags| tags.contains(&"attack-sqli".into())), "{sqli}");
    let ocsf_line = line(&ocsf, |line| line["disposition"] == "Blocked")?;
    assert_eq!((&ocsf_line["class_uid"], &ocsf_line["action"]), (&4002.into(), &"Denied".into()), "{ocsf_line}");
    assert_eq!(ocsf_line["firewall_rule"]["uid"], "WAF-949110");

    let moved = gateway.folder().join("audit.old");
    std::fs::rename(&own, &moved)?;
    gateway.program().signal(Signal::HUP)?;
    let begun = Instant::now();
    while !own.exists() {
        get(&gateway, "/items?id=%27%20OR%20%271%27%3D%271")?;
        ensure!(begun.elapsed() < Duration::from_secs(20), "the file is not opened anew");
        std::thread::sleep(Duration::from_millis(100));
    }
    for file in [&own, &moved, &ocsf] {
        let text = std::fs::read_to_string(file)?;
        assert!(!text.contains(SECRET) && !text.contains(&SECRET[..12]), "{text}");
    }
    gateway.stop()
}

#[test]
fn an_audit_log_that_cannot_be_written_stops_nothing_and_is_told() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("extra.conf");
    std::fs::write(
        &rules,
        "SecRule ARGS:word \"@streq forbidden\" \"id:1001,phase:1,deny,status:406,msg:'a word'\"\n",
    )?;
    let threats = format!("      own_rules: false\n      files: [{}]", rules.display());
    let mut gateway = Bartizan::start(&configuration(origin.port, &threats, "audit_logs: [{ file: /dev/full }]\n"))?;
    assert_eq!(get(&gateway, "/?word=forbidden")?, 406);
    gateway.wait_for_count("SELECT count(*) FROM events WHERE \"check\" = 'WAF-1001'", 1)?;
    assert_eq!(get(&gateway, "/")?, 200);
    assert!(gateway.printed().contains("lines of the audit log are lost"), "{}", gateway.printed());
    gateway.stop()
}

#[test]
fn a_client_that_rules_have_counted_stays_counted_over_a_reload() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("extra.conf");
    let text = "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR}\"\n\
                SecRule IP:requests \"@ge 3\" \"id:2,phase:1,deny,status:429,msg:'too many'\"\n\
                SecRule REQUEST_FILENAME \"@streq /login\" \
                \"id:3,phase:5,nolog,pass,setvar:ip.requests=+1,expirevar:ip.requests=600\"\n";
    std::fs::write(&rules, text)?;
    let threats = format!("      own_rules: false\n      files: [{}]", rules.display());
    let mut gateway = Bartizan::start(&configuration(origin.port, &threats, ""))?;
    assert_eq!([(); 3].map(|()| get(&gateway, "/login").unwrap_or_default()), [200, 200, 200]);
    let begun = Instant::now();
    while get(&gateway, "/other")? != 429 {
        ensure!(begun.elapsed() < Duration::from_secs(20), "phase 5 comes after the answer, not that much later");
    }
    std::fs::write(&rules, format!("# changed\n{text}"))?;
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "applied");
    assert_eq!(get(&gateway, "/other")?, 429, "a reload forgives nobody");
    gateway.stop()
}
