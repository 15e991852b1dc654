//! What folders of rules say about files of exchanges: `judge RULES own|both|crs FILE…`, a line of JSON for each request,
//! with the rules that matched and where. Values inside of values are opened, as the gateway does.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bartizan_model::{DiagnosticSeverity, HeaderField, RequestId, Timestamp};
use bartizan_waf::{Options, Parsed, Plan, Request, Sources, Transaction, parse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let own = arguments.next().context("a folder of rules")?;
    let kind = arguments.next().context("`own`, `both` or `crs`")?;
    let rule_set = std::env::var("BARTIZAN_CRS").unwrap_or_default();
    let own = format!("Include {own}/*.conf\n");
    let setup = format!("Include {rule_set}/crs-setup.conf.example\n");
    let rules = format!("Include {rule_set}/rules/*.conf\n");
    let on = "SecRuleEngine On\nSecRequestBodyAccess On\n";
    let text = match kind.as_str() {
        "own" => format!("{on}{own}"),
        "crs" => format!("{on}{setup}{rules}"),
        _ => format!("{on}{setup}{own}{rules}"),
    };
    let plan = plan(&text)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for file in arguments {
        let text = std::fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate() {
            let exchange: Value = serde_json::from_str(line).with_context(|| format!("{file}:{}", number + 1))?;
            let (is_stopped, matches) = judge(&plan, &exchange);
            writeln!(out, "{}", json!({"line": number + 1, "stopped": is_stopped, "matches": matches}))?;
        }
    }
    Ok(())
}

fn plan(text: &str) -> Result<Arc<Plan>> {
    let config = std::env::temp_dir().join(format!("judge-{}.conf", std::process::id()));
    std::fs::write(&config, text)?;
    let read = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    let Parsed { document, diagnostics } = parse(std::slice::from_ref(&config), &Sources { read: &read, glob: &glob });
    std::fs::remove_file(&config)?;
    let errors = diagnostics.iter().filter(|found| found.severity == DiagnosticSeverity::Error);
    let faults: Vec<String> = errors.map(ToString::to_string).collect();
    ensure!(faults.is_empty(), "faults in the rules:\n{}", faults.join("\n"));
    let options = Options { detect_bodies: true, opens_values: true, requests_only: true, ..Options::default() };
    Plan::compile(&document, &options)
        .map(Arc::new)
        .map_err(|faults| anyhow::anyhow!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()))
}

fn judge(plan: &Arc<Plan>, exchange: &Value) -> (bool, Vec<(u32, String)>) {
    let request = &exchange["request"];
    let url = request["url"].as_str().unwrap_or_default();
    let target = url.split_once("://").map_or(url, |(_, rest)| rest.find(['/', '?']).map_or("/", |at| &rest[at..]));
    let fields = request["headers"].as_array().cloned().unwrap_or_default();
    let headers: Vec<HeaderField<'_>> = fields
        .iter()
        .map(|field| HeaderField {
            name: field[0].as_str().unwrap_or_default().as_bytes(),
            value: field[1].as_str().unwrap_or_default().as_bytes(),
        })
        .collect();
    let body = match (request["body"].as_str(), request["body_base64"].as_str()) {
        (_, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
        (text, None) => text.unwrap_or_default().as_bytes().to_vec(),
    };
    let head = Request {
        method: request["method"].as_str().unwrap_or_default().as_bytes(),
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
        client: Some(([198, 51, 100, 7], 40_000).into()),
        server: Some(([203, 0, 113, 1], 443).into()),
        id: RequestId::from_bits(0),
        now: Timestamp::from_millis(1_795_305_600_000),
    };
    let mut transaction = Transaction::new(Arc::clone(plan));
    let stopped = transaction.request_head(&head).or_else(|| transaction.request_body(&body));
    let matches = transaction.matches().iter();
    let matches = matches.map(|found| (found.rule, String::from_utf8_lossy(&found.variable).into_owned())).collect();
    (stopped.is_some(), matches)
}

fn glob(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let suffix = pattern.file_name().unwrap_or_default().to_string_lossy().replace('*', "");
    let folder = pattern.parent().unwrap_or(pattern);
    if !pattern.to_string_lossy().contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(&suffix));
    files.sort();
    Ok(files)
}
