//! The admin API as a script on the same machine uses it: with the token from the data directory.

use anyhow::{Context, Result, ensure};
use bartizan_testkit::Bartizan;
use serde_json::Value;

use crate::agent;

fn authorization(gateway: &Bartizan) -> Result<String> {
    let token = std::fs::read_to_string(gateway.data().join("admin-token")).context("the admin token")?;
    Ok(format!("Bearer {}", token.trim()))
}

fn url(gateway: &Bartizan, path: &str) -> String {
    format!("http://127.0.0.1:{}/api/v1{path}", gateway.console_port)
}

/// GET.
pub(crate) fn get(gateway: &Bartizan, path: &str) -> Result<Value> {
    let mut answer = agent().get(url(gateway, path)).header("authorization", authorization(gateway)?).call()?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == 200, "GET {path}: {} {text}", answer.status());
    Ok(serde_json::from_str(&text)?)
}

/// POST without a body.
pub(crate) fn post(gateway: &Bartizan, path: &str) -> Result<Value> {
    let mut answer = agent().post(url(gateway, path)).header("authorization", authorization(gateway)?).send_empty()?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == 200, "POST {path}: {} {text}", answer.status());
    Ok(serde_json::from_str(&text)?)
}

/// POST with a JSON body.
pub(crate) fn post_json(gateway: &Bartizan, path: &str, body: &Value) -> Result<Value> {
    let request = agent().post(url(gateway, path)).header("authorization", authorization(gateway)?);
    let mut answer = request.send_json(body)?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == 200, "POST {path}: {} {text}", answer.status());
    Ok(serde_json::from_str(&text)?)
}

/// What the overview says of the last hour.
pub(crate) fn overview(gateway: &Bartizan) -> Result<Value> {
    get(gateway, "/overview")
}

/// Segments that could not be read and were set aside.
pub(crate) fn segments_quarantined(gateway: &Bartizan) -> Result<u64> {
    let overview = overview(gateway)?;
    let quarantined = &overview["store"]["quarantined"];
    let count = quarantined.as_u64().or_else(|| quarantined.as_array().map(|list| list.len() as u64));
    count.with_context(|| format!("no count of quarantined segments in {overview}"))
}
