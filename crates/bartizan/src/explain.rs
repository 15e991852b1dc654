//! `bartizan explain`: what would be decided about one request, stage by stage, without traffic.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bartizan_engine::{AccessState, AuthorizationTrace, Callers, Counters, Judged, judge_callers};
use bartizan_gateway::{FormFault, admit};
use bartizan_model::{Action, Endpoint, Exchange, HttpVersion, Request, RequestId, Scheme, Source};
use bartizan_store::Store;
use serde_json::json;

use crate::access::{Offline, is_unchecked};
use crate::arguments::Explain;
use crate::document::Valid;
use crate::{REFUSED, catalog, clock, document, keys, output};

/// Judges the request and prints the trace.
pub(crate) fn run(options: &Explain) -> Result<u8> {
    let Some(Valid { config, files, .. }) = document::load_or_explain(&options.config)? else {
        return Ok(REFUSED);
    };
    let mut callers = Offline::new(&config, options.online)?;
    let endpoints = known(options, &callers.state())?;
    let counters = Counters::default();
    let snapshot = files.compile(&config, 1, &endpoints, &counters, [0; 32]).with_access(callers.state());
    let mut exchange = exchange(options)?;
    if let Err(fault) = admit(&mut exchange.request, &config.limits) {
        output::print(&refused(&fault, options.json));
        return Ok(0);
    }
    let id = RequestId::from_bits(0);
    let mut answer = |question| callers.answer(question);
    let asked = Callers { are_masked: false, answer: Some(&mut answer) };
    let judged = judge_callers(&Arc::new(snapshot), &exchange, Source::Exchanges, id, clock::now(), asked);
    let unread = callers.unread();
    if options.json {
        output::print(&format!("{:#}\n", as_json(&judged, &unread)));
    } else {
        output::print(&as_text(&judged, &unread));
    }
    Ok(0)
}

/// What a gateway knows that runs on the same data directory: endpoints and API keys.
fn known(options: &Explain, access: &AccessState) -> Result<Vec<Endpoint>> {
    let Some(directory) = &options.data_dir else { return Ok(Vec::new()) };
    let store = Store::open_read_only(directory)?;
    let set = store.block_on(store.api_keys()).context("reading the API keys")?;
    access.publish_api_keys(keys::engine_keys(&store, &set.keys));
    Ok(catalog::load(&store)?.learned())
}

/// The request as an exchange without a response.
fn exchange(options: &Explain) -> Result<Exchange> {
    let (scheme, rest) = match options.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => bail!("`{}` is not an absolute URL; write `http://host/path` or `https://host/path`", options.url),
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let mut headers = Vec::new();
    for field in &options.header {
        let (name, value) = field.split_once(':').with_context(|| format!("header `{field}`: write `name: value`"))?;
        headers.push((name.trim().as_bytes().to_vec(), value.trim().as_bytes().to_vec()));
    }
    let body = options.data.as_deref().unwrap_or_default().as_bytes().to_vec();
    let is_named = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
    if !body.is_empty() && !is_named("content-length") && !is_named("transfer-encoding") {
        headers.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
    }
    let request = Request {
        method: options.method.as_bytes().to_vec(),
        scheme,
        authority: authority.as_bytes().to_vec(),
        target: target.into_bytes(),
        version: HttpVersion::Http11,
        headers,
        body: Some(body),
        body_bytes: None,
    };
    Ok(Exchange { time: None, client: Some(options.client), request, response: None, duration_us: None, label: None })
}

/// What the gateway answers before any stage runs.
fn refused(fault: &FormFault, json: bool) -> String {
    let FormFault { check, reason, status } = fault;
    if json {
        let decision = json!({"action": "deny", "applied": true, "status": status, "check": check});
        return format!("{:#}\n", json!({"form": reason, "stages": [], "decision": decision}));
    }
    format!(
        "{:<12} {check}: {reason}\n{:<12} deny with {status} by {check}, before any policy is asked\n",
        "form", "decision"
    )
}

fn as_json(judged: &Judged, unread: &[String]) -> serde_json::Value {
    let stages = judged.trace.iter().map(|stage| json!({"stage": stage.stage, "findings": stage.findings}));
    json!({
        "api": judged.event.api,
        "upstream": judged.event.upstream,
        "endpoint": judged.event.endpoint,
        "client": judged.event.client,
        "stages": stages.collect::<Vec<_>>(),
        "authorizations": judged.authorizations.iter().map(authorization_as_json).collect::<Vec<_>>(),
        "decision": judged.event.decision,
        "is_caller_unchecked": is_unchecked(&judged.event),
        "keys_not_read": unread,
    })
}

fn authorization_as_json(trace: &AuthorizationTrace) -> serde_json::Value {
    let AuthorizationTrace { policy, operation, is_permitted, determined_by } = trace;
    json!({"policy": policy, "operation": operation, "permitted": is_permitted, "determined_by": determined_by})
}

/// What determined the outcome of an `authorize` policy: ``policy `bank`, operation `readAccount`: permitted by rule `own` ``
fn authorization_as_text(trace: &AuthorizationTrace) -> String {
    let operation = trace.operation.as_ref().map_or(String::new(), |id| format!(", operation `{id}`"));
    let by = trace.determined_by.join(", ");
    let outcome = match trace.is_permitted {
        Some(true) if by.is_empty() => "permitted: nothing speaks of it".to_owned(),
        Some(true) => format!("permitted by {by}"),
        Some(false) => format!("refused: {by}"),
        None => format!("not judged: {by}"),
    };
    format!("policy `{}`{operation}: {outcome}", trace.policy)
}

fn as_text(judged: &Judged, unread: &[String]) -> String {
    let event = &judged.event;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12} {value}\n"));
    line("client", &event.client.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()));
    match &event.api {
        Some(api) => line("route", &format!("API `{api}` → upstream `{}`", event.upstream.as_deref().unwrap_or("?"))),
        None => line("route", "nothing matches this host and path: 404"),
    }
    if let Some(endpoint) = &event.endpoint {
        line("endpoint", &format!("{} {} {}", event.method, event.host, endpoint.template));
    }
    for stage in &judged.trace {
        let authorizations = if stage.stage == "authorize" { judged.authorizations.as_slice() } else { &[] };
        for authorization in authorizations {
            line(stage.stage, &authorization_as_text(authorization));
        }
        if stage.findings.is_empty() && authorizations.is_empty() {
            line(stage.stage, "nothing noticed");
        }
        for found in &stage.findings {
            let severity = found.severity.as_str();
            line(stage.stage, &format!("{} ({severity}) at {}: {}", found.check, found.location, found.evidence));
        }
    }
    for source in unread {
        line("keys", source);
    }
    let decision = &event.decision;
    let by = match (&decision.check, &decision.policy) {
        (Some(check), Some(policy)) => format!(" by {check} under policy `{policy}`"),
        (Some(check), None) => format!(" by {check}"),
        (None, _) => String::new(),
    };
    line(
        "decision",
        &match (decision.action, decision.applied) {
            (Action::Allow, _) if is_unchecked(event) => {
                "cannot be said: nothing else speaks against it, but who calls could not be checked here".to_owned()
            }
            (Action::Allow, _) => "allow".to_owned(),
            (Action::Deny, true) => format!("deny with {}{by}", decision.status),
            (Action::Deny, false) => format!("allow; would deny with {}{by} if it were enforced", decision.status),
        },
    );
    text
}
