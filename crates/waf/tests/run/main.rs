//! What rules do: small rule sets against single exchanges, each with and without the gates, which must change nothing.

mod cuts;
mod files;
mod inside;
mod properties;
mod removal;
mod settings;
mod xml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_model::{DiagnosticSeverity, HeaderField, RequestId, Timestamp};
use bartizan_waf::{Cut, Gates, Match, Options, Parsed, Plan, Request, Sources, Transaction, parse};

/// One request.
#[derive(Clone, Copy)]
struct Sent<'a> {
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    /// There was more of the body
    is_body_cut: bool,
}

const GET: Sent<'_> = Sent { target: "/", headers: &[], body: b"", is_body_cut: false };

/// A request for this target.
fn get(target: &str) -> Sent<'_> {
    Sent { target, ..GET }
}

/// A request with a body of this type.
fn post<'a>(content_type: &'a [(&'a str, &'a str)], body: &'a str) -> Sent<'a> {
    Sent { headers: content_type, body: body.as_bytes(), ..GET }
}

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];
const XML: &[(&str, &str)] = &[("Content-Type", "application/xml")];
const FORM: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded")];

/// What came of it.
#[derive(Debug, PartialEq)]
struct Seen {
    matches: Vec<Match>,
    cuts: Vec<Cut>,
}

impl Seen {
    /// The ids of the rules that logged.
    fn rules(&self) -> Vec<u32> {
        self.matches.iter().map(|found| found.rule).collect()
    }

    /// `logdata` of every rule that logged.
    fn data(&self) -> Vec<String> {
        self.matches.iter().map(|found| String::from_utf8_lossy(&found.data).into_owned()).collect()
    }

    /// What was left out, in words, behind the part that it is of.
    fn cuts(&self) -> Vec<String> {
        self.cuts.iter().map(|cut| format!("{}: {cut}", cut.part.as_str())).collect()
    }
}

fn plan_of(rules: &str, gates: Gates, opens_values: bool) -> Arc<Plan> {
    plan_with(rules, &Options { gates, detect_bodies: true, opens_values, ..Options::default() })
}

fn plan_with(rules: &str, options: &Options) -> Arc<Plan> {
    let read = |_: &Path| Ok(rules.as_bytes().to_vec());
    let glob = |_: &Path| Ok(Vec::new());
    let Parsed { document, diagnostics } = parse(&[PathBuf::from("test.conf")], &Sources { read: &read, glob: &glob });
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.severity == DiagnosticSeverity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Arc::new(Plan::compile(&document, options).unwrap())
}

/// Runs the request phases over a plan.
fn run(plan: Arc<Plan>, sent: Sent<'_>) -> Seen {
    let headers: Vec<HeaderField<'_>> = sent
        .headers
        .iter()
        .map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let mut transaction = Transaction::new(plan);
    transaction.request_head(&Request {
        method: b"POST",
        target: sent.target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
        client: None,
        server: None,
        id: RequestId::from_bits(0),
        now: Timestamp::default(),
    });
    match sent.is_body_cut {
        true => transaction.request_body_begin(sent.body),
        false => transaction.request_body(sent.body),
    };
    let cuts = transaction.cuts().to_vec();
    Seen { matches: transaction.matches().to_vec(), cuts }
}

/// What rules make of a request, with the gates and without them.
#[track_caller]
fn seen_by(rules: &str, sent: Sent<'_>, opens_values: bool) -> Seen {
    let gated = run(plan_of(rules, Gates::All, opens_values), sent);
    let naive = run(plan_of(rules, Gates::None, opens_values), sent);
    assert_eq!(gated, naive, "gates change what `{rules}` finds in {}", sent.target);
    gated
}

/// As [`seen_by`], without values inside of values.
#[track_caller]
fn seen(rules: &str, sent: Sent<'_>) -> Seen {
    seen_by(rules, sent, false)
}
