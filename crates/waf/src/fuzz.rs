//! Fuzz targets: plain functions over bytes. `fuzz/` explores them, ordinary tests replay the corpus.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_model::{HeaderField, RequestId, Timestamp};

use crate::{Gates, Intervention, Match, Options, Parsed, Plan, Request, Sources, Transaction, parse};

/// LIMIT: bytes of an exchange; without gates a rule looks at every value, so longer ones only make exploring slow.
const EXCHANGE_BYTES_MAX: usize = 16 << 10;

/// Parses any bytes as a rule file, which may include itself and name lists of phrases. It never panics.
pub fn fuzz_parse(data: &[u8]) {
    let read = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("conf") => Ok(data.to_vec()),
        Some("data") => Ok(b"# phrases\none\ntwo\n".to_vec()),
        _ => Err("no such file".to_owned()),
    };
    let glob = |path: &Path| Ok(vec![path.with_file_name("other.conf"), path.with_file_name("a.conf")]);
    let Parsed { document, diagnostics } = parse(&[PathBuf::from("fuzz.conf")], &Sources { read: &read, glob: &glob });
    assert!(document.directives.len() <= 100_000 && diagnostics.len() <= 1_001, "a limit does not hold");
}

/// The same rules with and without gates.
#[derive(Debug)]
pub struct Plans {
    gated: Arc<Plan>,
    naive: Arc<Plan>,
}

/// Compiles rule files, name and text each.
///
/// # Panics
/// They have a fault.
pub fn plans(files: &[(PathBuf, Vec<u8>)]) -> Plans {
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| "no such file".to_owned())
    };
    let glob = |_: &Path| Ok(Vec::new());
    let names: Vec<PathBuf> = files.iter().map(|(name, _)| name.clone()).collect();
    let Parsed { document, diagnostics } = parse(&names, &Sources { read: &read, glob: &glob });
    let compile = |gates| {
        let options = Options { gates, detect_bodies: true, opens_values: true, ..Options::default() };
        match Plan::compile(&document, &options) {
            Ok(plan) => Arc::new(plan),
            Err(faults) => panic!("the rules do not compile: {faults:?}, {diagnostics:?}"),
        }
    };
    Plans { gated: compile(Gates::All), naive: compile(Gates::None) }
}

/// Bytes as a request: method, target, then `name:value` fields line by line, an empty line, the body. Rules log and
/// want the same with and without gates, twice in a row.
pub fn fuzz_transaction(plans: &Plans, data: &[u8]) {
    let data = data.get(..EXCHANGE_BYTES_MAX).unwrap_or(data);
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (method, target) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (fields, body) = fields(lines.next().unwrap_or_default());
    let gated = run(&plans.gated, method, target, &fields, body);
    assert_eq!(gated, run(&plans.naive, method, target, &fields, body), "gates change what is logged");
    assert_eq!(gated, run(&plans.gated, method, target, &fields, body), "a second run differs");
}

/// The fields up to an empty line, and what stands behind it.
fn fields(mut rest: &[u8]) -> (Vec<HeaderField<'_>>, &[u8]) {
    let mut fields = Vec::new();
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at_checked(end).unwrap_or_default();
        rest = after.get(1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let at = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(at).unwrap_or_default();
        fields.push(HeaderField { name, value: value.get(1..).unwrap_or_default().trim_ascii() });
    }
    (fields, rest)
}

fn run(
    plan: &Arc<Plan>,
    method: &[u8],
    target: &[u8],
    headers: &[HeaderField<'_>],
    body: &[u8],
) -> (Vec<Match>, Option<Intervention>) {
    let mut transaction = Transaction::new(Arc::clone(plan));
    let (client, server) = (Some(([192, 0, 2, 1], 7).into()), Some(([192, 0, 2, 2], 80).into()));
    let now = Timestamp::from_millis(1_795_305_600_000);
    let id = RequestId::from_bits(0);
    let head = Request { method, target, protocol: b"HTTP/1.1", headers, client, server, id, now };
    let stopped = transaction.request_head(&head).or_else(|| transaction.request_body(body));
    transaction.finish();
    (transaction.matches().to_vec(), stopped)
}
