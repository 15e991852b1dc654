//! Our engine behind the harness: rules from files, one exchange through all phases.

#![allow(dead_code, reason = "the tests, the comparison and the bench each use a part of it")]

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use bartizan_model::{DiagnosticSeverity, HeaderField, RequestId, Timestamp};
use bartizan_waf::{Gates, Intervention, Options, Parsed, Plan, Request, Response, Sources, Transaction, parse};

use crate::harness::{Exchange, Field, Logged, judge, rules};

/// Parses and compiles a configuration with everything it includes.
pub fn plan(config: &Path, gates: Gates) -> Result<Arc<Plan>> {
    plan_with(config, &Options { gates, ..Options::default() })
}

/// The same with other options.
pub fn plan_with(config: &Path, options: &Options) -> Result<Arc<Plan>> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    compiled(config, options, &read)
}

/// As libmodsecurity has it, to compare the two.
pub fn plan_as_peer(config: &Path, gates: Gates) -> Result<Arc<Plan>> {
    plan_with(config, &Options { gates, hides_arrays: true, ..Options::default() })
}

/// The same with `^` and `$` as the ends of lines in every pattern, as libmodsecurity has them.
pub fn plan_of_lines(config: &Path) -> Result<Arc<Plan>> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Ok(text.replace("@rx ", "@rx (?m)").into_bytes())
    };
    compiled(config, &Options { hides_arrays: true, ..Options::default() }, &read)
}

fn compiled(config: &Path, options: &Options, read: &dyn Fn(&Path) -> Result<Vec<u8>, String>) -> Result<Arc<Plan>> {
    let Parsed { document, diagnostics } = parse(&[config.to_owned()], &Sources { read, glob: &rules::glob });
    let faults: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == DiagnosticSeverity::Error)
        .map(ToString::to_string)
        .collect();
    ensure!(faults.is_empty(), "{} faults in the rules:\n{}", faults.len(), faults.join("\n"));
    match Plan::compile(&document, options) {
        Ok(plan) => Ok(Arc::new(plan)),
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            bail!("{} faults in the plan:\n{}", faults.len(), faults.join("\n"))
        }
    }
}

/// What the rules log for this exchange, and the status of an intervention.
pub fn run(plan: &Arc<Plan>, exchange: &Exchange) -> (Vec<Logged>, Option<u16>) {
    let mut transaction = Transaction::new(Arc::clone(plan));
    let intervention = phases(&mut transaction, exchange);
    transaction.finish();
    let logged = transaction.matches().iter().map(|matched| Logged {
        rule: matched.rule,
        line: judge::line(matched.rule, &matched.variable, &matched.message, &matched.data),
    });
    (logged.collect(), intervention.map(|intervention| intervention.status))
}

fn phases(transaction: &mut Transaction, exchange: &Exchange) -> Option<Intervention> {
    request(transaction, exchange, &fields(&exchange.headers)).or_else(|| {
        let headers = fields(&exchange.reply.headers);
        let head = Response { status: exchange.reply.status, protocol: b"HTTP/1.1", headers: &headers };
        transaction.response_head(&head).or_else(|| {
            let body = if transaction.wants_response_body() { exchange.reply.body.as_slice() } else { b"" };
            transaction.response_body(body)
        })
    })
}

/// The phases of the request alone, its fields given apart so that a bench can prepare them.
pub fn request(
    transaction: &mut Transaction,
    exchange: &Exchange,
    headers: &[HeaderField<'_>],
) -> Option<Intervention> {
    let head = Request {
        method: &exchange.method,
        target: &exchange.target,
        protocol: &exchange.protocol,
        headers,
        client: Some(([127, 0, 0, 1], 12_345).into()),
        server: Some(([127, 0, 0, 1], 80).into()),
        id: RequestId::from_bits(0),
        now: Timestamp::from_millis(1_795_305_600_000),
    };
    transaction.request_head(&head).or_else(|| transaction.request_body(&exchange.body))
}

/// Header fields as the engine takes them.
pub fn fields(fields: &[Field]) -> Vec<HeaderField<'_>> {
    fields.iter().map(|(name, value)| HeaderField { name, value }).collect()
}
