//! What callers may do, through the real program: rules, objects in paths and bodies, conditions and Cedar policies; what
//! the log says, what `explain` says, and that a faulty policy file is refused with its line.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::Value;

use crate::access::Issuer;

const POLICIES: &str = r#"
@id("owners")
permit (principal, action == Action::"readAccount", resource)
when { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) };

@id("transfers")
permit (principal, action == Action::"transfer", resource);

@id("suspended")
forbid (principal, action, resource) when { principal.claims has suspended && principal.claims.suspended };
"#;

fn configuration(origin: u16, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "
listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: callers
    mode: enforce
    authenticate:
      methods:
        - jwt: {{ issuer: \"https://login.example\", audiences: [shop], algorithms: [EdDSA], jwks_file: \"{folder}/keys.jwks\" }}
  - name: bank
    mode: enforce
    authorize:
      operations:
        - {{ id: readAccount, methods: [GET], path: \"/accounts/{{accountId}}\" }}
        - {{ id: transfer, methods: [POST], path: /transfers }}
      rules:
        - {{ name: readers, operations: [readAccount], require: {{ scopes: {{ all: [\"accounts:read\"] }} }} }}
        - name: senders
          operations: [transfer]
          require: {{ objects: [\"body.from in principal.claims.accounts\"], when: \"client.address == '127.0.0.1'\" }}
      cedar:
        files: [\"{folder}/bank.cedar\"]
        claims: [{{ name: accounts, type: strings }}, {{ name: suspended, type: boolean }}]
"
    )
}

/// Status, and the value of `WWW-Authenticate`.
fn send(gateway: &Bartizan, head: &str, token: &str, body: &str) -> Result<(u16, Option<String>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text =
        format!("{head} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\nauthorization: Bearer {token}\r\n");
    if !body.is_empty() {
        write!(text, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
    }
    write!(text, "\r\n{body}")?;
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).context("a status line")?.parse()?;
    let challenge =
        answer.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("www-authenticate: ").map(str::to_owned));
    assert!(!answer.contains("owners") && !answer.contains("readers"), "the client learns no rules: {answer}");
    Ok((status, challenge))
}

#[test]
fn callers_may_do_what_rules_and_cedar_policies_permit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let issuer = Issuer::new("one", 3)?;
    std::fs::write(folder.path().join("keys.jwks"), issuer.key_set())?;
    std::fs::write(folder.path().join("bank.cedar"), POLICIES)?;
    let origin = Origin::start(Duration::ZERO)?;
    let text = configuration(origin.port, folder.path());
    let mut gateway = Bartizan::start(&text)?;
    let of = |members: &str| issuer.token_of(&format!(r#""sub":"ann","accounts":["7","8"],{members}"#), 600);
    let token = of(r#""scope":"accounts:read""#)?;

    assert_eq!(send(&gateway, "GET /accounts/7", &token, "")?, (200, None));
    let refused = (403, Some("bearer realm=\"api\", error=\"insufficient_scope\"".to_owned()));
    assert_eq!(send(&gateway, "GET /accounts/9", &token, "")?, refused, "an object of somebody else");
    assert_eq!(send(&gateway, "GET /accounts/%2537", &token, "")?, refused, "an id encoded twice");
    assert_eq!(send(&gateway, "GET /elsewhere", &token, "")?, refused, "no operation");
    let no_scope = send(&gateway, "GET /accounts/7", &of(r#""scope":"x""#)?, "")?;
    assert_eq!(
        no_scope.1.as_deref(),
        Some("bearer realm=\"api\", error=\"insufficient_scope\", scope=\"accounts:read\"")
    );
    let suspended = of(r#""scope":"accounts:read","suspended":true"#)?;
    assert_eq!(send(&gateway, "GET /accounts/7", &suspended, "")?, refused, "a forbidding policy");
    assert_eq!(send(&gateway, "POST /transfers", &token, r#"{"from":"7","to":"9"}"#)?, (200, None));
    assert_eq!(send(&gateway, "POST /transfers", &token, r#"{"from":"7","from":"9"}"#)?.0, 403, "two senders");

    explained(&gateway, &token)?;
    faulty_policies_are_refused(&mut gateway, folder.path(), &token)?;
    gateway.stop()?;
    let seen: Vec<String> = origin.seen().into_iter().map(|seen| seen.line).collect();
    let served = ["GET /accounts/7 HTTP/1.1", "POST /transfers HTTP/1.1", "GET /accounts/7 HTTP/1.1"];
    assert_eq!(seen, served, "what is refused does not reach the origin");
    let checks = gateway.query("SELECT \"check\" AS name, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")?;
    let checks: Vec<String> = checks.iter().map(|row| format!("{} {}", row["name"], row["n"])).collect();
    assert_eq!(checks.join(", "), "\"ACC-301\" 1, \"ACC-303\" 1, \"ACC-306\" 1, \"ACC-308\" 3, null 3");
    Ok(())
}

/// `bartizan explain` verifies the token with the key file, and says what determined the outcome.
fn explained(gateway: &Bartizan, token: &str) -> Result<()> {
    let file = gateway.folder().join("bartizan.yaml");
    let file = file.to_str().context("a path")?;
    let explain = |target: &str, json: &[&str]| -> Result<String> {
        let field = format!("authorization: Bearer {token}");
        let url = format!("http://a.example{target}");
        let mut arguments = vec!["explain", "--client", "127.0.0.1", "--config", file, "GET", &url, "-H", &field];
        arguments.extend(json);
        let output = Bartizan::command(&arguments)?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let permitted = explain("/accounts/7", &[])?;
    let line = "policy `bank`, operation `readAccount`: permitted by rule `readers`, Cedar policy `owners`";
    assert!(permitted.contains(line), "{permitted}");
    let refused = explain("/accounts/9", &["--json"])?;
    let authorization = &serde_json::from_str::<Value>(&refused)?["authorizations"][0];
    assert_eq!(authorization["permitted"], false);
    assert_eq!(authorization["determined_by"][0], "operation `readAccount`: no Cedar policy permits it");
    Ok(())
}

/// A policy file with a fault is told with its line, and what ran before goes on.
fn faulty_policies_are_refused(gateway: &mut Bartizan, folder: &Path, token: &str) -> Result<()> {
    std::fs::write(
        folder.join("bank.cedar"),
        "permit (principal, action, resource)\nwhen { resource.path.acountId == \"7\" };\n",
    )?;
    let file = gateway.folder().join("bartizan.yaml");
    let checked = Bartizan::command(&["check", file.to_str().context("a path")?])?;
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{told}");
    assert!(told.contains("bank.cedar:2:8: error[CFG-117]") && told.contains("acountId"), "{told}");
    assert_eq!(send(gateway, "GET /accounts/7", token, "")?, (200, None));
    Ok(())
}
