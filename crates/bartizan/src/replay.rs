//! `bartizan replay`: recorded traffic through the same engine, catalog and store, on the recorded clock.
//!
//! The input is read twice (docs/decisions/0003): the first pass learns the path templates, the second judges with them,
//! so that the label of an exchange does not depend on what came before it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bartizan_catalog::Catalog;
use bartizan_engine::{Callers, Counters, Judged, Snapshot, judge_callers};
use bartizan_integrations::tell::{AccessLog, BadLine, FieldMap, Format, ReadOptions, Reader, detect};
use bartizan_model::{Action, Event, Exchange, RequestId, Timestamp};
use bartizan_store::{Store, StoreOptions};
use serde_json::{Value, json};

use crate::access::{Offline, is_unchecked};
use crate::arguments::{InputFormat, Replay};
use crate::document::Valid;
use crate::rules::tally::RuleTallies;
use crate::{REFUSED, SKIPPED, catalog, clock, document, output};

/// Events stored at once.
const BATCH: usize = 4096;
/// LIMIT: skipped lines that are reported one by one; the summary counts the rest.
const REPORTED_MAX: u64 = 50;
/// Bytes looked at to tell the format.
const BEGINNING: usize = 64 << 10;
/// A line on the progress every so many exchanges.
const PROGRESS: u64 = 100_000;

/// What a replay came to.
#[derive(Default)]
struct Summary {
    exchanges: u64,
    skipped: u64,
    passed_over: u64,
    allowed: u64,
    denied: u64,
    would_deny: u64,
    /// Who called could not be checked
    unchecked: u64,
    checks: BTreeMap<String, u64>,
    rules: RuleTallies,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Replays a recording.
pub(crate) fn run(options: &Replay) -> Result<u8> {
    let Some(Valid { config, files, .. }) = document::load_or_explain(&options.config)? else {
        return Ok(REFUSED);
    };
    let mut input = open(&options.input)?;
    let format = format(options, &mut input)?;
    let store = options.data_dir.as_deref().map(|directory| {
        Store::open(directory, StoreOptions::default()).with_context(|| directory.display().to_string())
    });
    let store = store.transpose()?;
    let (known, key) = match &store {
        Some(store) => (catalog::load(store)?, *store.installation_key().expose()),
        None => (Catalog::new(catalog::limits(&[0; 32])), [0; 32]),
    };
    let mut callers = Offline::new(&config, options.online)?;
    let access = callers.state();
    let compile = |endpoints: &[_]| {
        let counters = &Counters::default(); // each pass counts for itself, on the recorded clock
        Arc::new(files.compile(&config, 1, endpoints, counters, key).with_access(Arc::clone(&access)))
    };
    let mut judge = |snapshot: &Arc<Snapshot>, exchange: &Exchange, id: RequestId, read_at: Timestamp| -> Judged {
        let mut answer = |question| callers.answer(question);
        let asked = match options.with_credentials {
            true => Callers { are_masked: false, answer: Some(&mut answer) },
            false => Callers { are_masked: true, answer: None },
        };
        judge_callers(snapshot, exchange, format.source(), id, read_at, asked)
    };

    let snapshot = compile(&known.learned());
    let mut scratch = known.clone();
    each(options, &mut input, &format, &mut |line, item| {
        if let Ok(exchange) = item {
            let time = exchange.time.unwrap_or(Timestamp::from_micros(0));
            let judged = judge(&snapshot, &exchange, clock::recorded_id(time, line), time);
            scratch.observe(&judged.event);
        }
        Ok(())
    })?;

    let snapshot = compile(&scratch.learned());
    let mut pass = Pass::new(options, store, known)?;
    each(options, &mut input, &format, &mut |line, item| {
        let exchange = match item {
            Ok(exchange) => exchange,
            Err(fault) => {
                pass.skip(line, &fault);
                return Ok(());
            }
        };
        let read_at = clock::now();
        let id = clock::recorded_id(exchange.time.unwrap_or(read_at), line);
        let judged = judge(&snapshot, &exchange, id, read_at);
        pass.take(line, judged.event, exchange.label, exchange.response.map(|response| response.status))
    })?;
    let unread = if options.with_credentials { callers.unread() } else { Vec::new() };
    pass.finish(options, &format, &unread)
}

/// The second pass: what is written, stored and counted.
struct Pass {
    store: Option<Store>,
    catalog: Catalog,
    batch: Vec<Event>,
    decisions: Option<BufWriter<File>>,
    summary: Summary,
}

impl Pass {
    fn new(options: &Replay, store: Option<Store>, catalog: Catalog) -> Result<Self> {
        let decisions = options.decisions.as_deref().map(|path| {
            let file = File::create_new(path).map(BufWriter::new); // never over the input, or yesterday's answers
            file.with_context(|| format!("`{}` cannot be made", path.display()))
        });
        let decisions = decisions.transpose()?;
        Ok(Self { store, catalog, batch: Vec::with_capacity(BATCH), decisions, summary: Summary::default() })
    }

    /// A line that is not an exchange: a fault of the input, or something that never was one (a `data:` URL in a HAR).
    fn skip(&mut self, line: u64, fault: &BadLine) {
        if !fault.reason.is_fault() {
            self.summary.passed_over += 1;
            return;
        }
        self.summary.skipped += 1;
        if self.summary.skipped <= REPORTED_MAX {
            output::note(&format!("line {line}: skipped: {fault}"));
        }
    }

    fn take(&mut self, line: u64, mut event: Event, label: Option<Value>, recorded: Option<u16>) -> Result<()> {
        let learned = self.catalog.observe(&event);
        if event.endpoint.is_none() {
            event.endpoint = learned;
        }
        self.count(&event);
        if let Some(out) = &mut self.decisions {
            writeln!(out, "{}", decision_line(line, &event, label, recorded)).context("writing the decisions")?;
        }
        self.batch.push(event);
        if self.batch.len() >= BATCH {
            self.store_batch()?;
        }
        if self.summary.exchanges.is_multiple_of(PROGRESS) && std::io::stderr().is_terminal() {
            output::note(&format!("{} exchanges …", self.summary.exchanges));
        }
        Ok(())
    }

    fn count(&mut self, event: &Event) {
        let summary = &mut self.summary;
        summary.exchanges += 1;
        summary.first = Some(summary.first.map_or(event.time, |first| first.min(event.time)));
        summary.last = Some(summary.last.map_or(event.time, |last| last.max(event.time)));
        match (event.decision.action, event.decision.applied) {
            (Action::Allow, _) => summary.allowed += 1,
            (Action::Deny, true) => summary.denied += 1,
            (Action::Deny, false) => summary.would_deny += 1,
        }
        summary.unchecked += u64::from(is_unchecked(event));
        summary.rules.take(event);
        if let Some(check) = &event.decision.check {
            *summary.checks.entry(check.to_string()).or_default() += 1;
        }
    }

    /// Unlike the gateway, a replay can wait: every batch is on disk before the next is made.
    fn store_batch(&mut self) -> Result<()> {
        if let Some(store) = &self.store {
            store.append(&self.batch);
            store.flush().context("storing the events")?;
        }
        self.batch.clear();
        Ok(())
    }

    fn finish(mut self, options: &Replay, format: &Format, unread: &[String]) -> Result<u8> {
        self.store_batch()?;
        if let Some(mut out) = self.decisions.take() {
            out.flush().context("writing the decisions")?;
        }
        let endpoints = self.catalog.endpoints().len();
        if let Some(store) = &self.store {
            catalog::save(store, self.catalog.save())?;
        }
        if self.summary.unchecked > 0 {
            output::note(&self.summary.why_unchecked(options, unread));
        }
        let text = if options.json {
            self.summary.as_json(format, endpoints)
        } else {
            self.summary.as_text(format, endpoints)
        };
        output::print(&text);
        Ok(if self.summary.skipped > 0 { SKIPPED } else { 0 })
    }
}

/// One line of `--decisions`.
fn decision_line(line: u64, event: &Event, label: Option<Value>, recorded: Option<u16>) -> Value {
    let decision = &event.decision;
    let findings = event
        .findings
        .iter()
        .map(|found| json!({"check": found.check, "severity": found.severity, "location": found.location.to_string()}));
    let endpoint = event.endpoint.as_ref();
    json!({
        "line": line,
        "decision": decision.action,
        "applied": decision.applied,
        "status": if decision.status != 0 { Some(decision.status) } else { recorded },
        "check": decision.check,
        "findings": findings.collect::<Vec<_>>(),
        "endpoint": endpoint.map(|endpoint| format!("{} {} {}", event.method, event.host, endpoint.template)),
        "label": label,
    })
}

impl Summary {
    /// Why callers were not judged, and what to do.
    fn why_unchecked(&self, options: &Replay, unread: &[String]) -> String {
        let callers = crate::table::count(usize::try_from(self.unchecked).unwrap_or(usize::MAX), "caller", "callers");
        if !options.with_credentials {
            return format!(
                "{callers} not checked: a recording may hold credentials masked; when this one has them as they were sent, \
                 say `--with-credentials`"
            );
        }
        format!(
            "{callers} not checked: {}",
            if unread.is_empty() { "nobody could be asked".to_owned() } else { unread.join("; ") }
        )
    }

    fn as_json(&self, format: &Format, endpoints: usize) -> String {
        let summary = json!({
            "format": format.to_string(),
            "exchanges": self.exchanges,
            "skipped": self.skipped,
            "passed_over": self.passed_over,
            "first": self.first,
            "last": self.last,
            "allowed": self.allowed,
            "denied": self.denied,
            "would_deny": self.would_deny,
            "callers_unchecked": self.unchecked,
            "checks": self.checks,
            "rules": self.rules.as_json(),
            "endpoints": endpoints,
        });
        format!("{summary:#}\n")
    }

    fn as_text(&self, format: &Format, endpoints: usize) -> String {
        let mut text = format!("format      {format}\nexchanges   {}\n", self.exchanges);
        if let (Some(first), Some(last)) = (self.first, self.last) {
            text.push_str(&format!("recorded    {first} to {last}\n"));
        }
        text.push_str(&format!(
            "decisions   {} allowed, {} denied, {} would be denied if enforced\n",
            self.allowed, self.denied, self.would_deny
        ));
        for (check, count) in &self.checks {
            text.push_str(&format!("  {check:<10}{count:>8}\n"));
        }
        if self.unchecked > 0 {
            text.push_str(&format!("callers     {} not checked, and not counted against\n", self.unchecked));
        }
        text.push_str(&self.rules.as_text());
        text.push_str(&format!("endpoints   {endpoints}\nskipped     {} faulty lines", self.skipped));
        text.push_str(&format!(", {} that are no exchange\n", self.passed_over));
        text
    }
}

/// The recording as a file that can be read twice; standard input is spooled first.
fn open(path: &Path) -> Result<File> {
    if path != Path::new("-") {
        return File::open(path).with_context(|| format!("`{}` cannot be read", path.display()));
    }
    let mut spool = tempfile::tempfile().context("a temporary file for standard input")?;
    std::io::copy(&mut std::io::stdin().lock(), &mut spool).context("reading standard input")?;
    Ok(spool)
}

/// The format: as told, else from the file's beginning.
fn format(options: &Replay, input: &mut File) -> Result<Format> {
    if !options.fields.is_empty() {
        let map = FieldMap::parse(options.fields.iter().map(String::as_str))?;
        return Ok(Format::AccessLog(AccessLog::Fields(map)));
    }
    if let Some(preset) = &options.preset {
        let format = preset.parse::<Format>()?;
        let is_log = matches!(format, Format::AccessLog(_));
        if !is_log || !matches!(options.format, None | Some(InputFormat::AccessLog)) {
            bail!("--preset names a kind of access log; leave it out, or say `--format access-log`");
        }
        return Ok(format);
    }
    input.seek(SeekFrom::Start(0)).context("the input cannot be read twice; give a file")?;
    let mut beginning = Vec::new();
    input.take(BEGINNING as u64).read_to_end(&mut beginning)?;
    match (options.format, detect(&beginning)) {
        (Some(InputFormat::Exchanges), _) => Ok(Format::Exchanges),
        (Some(InputFormat::Har), _) => Ok(Format::Har),
        (Some(InputFormat::AccessLog), Some(log @ Format::AccessLog(_))) => Ok(log),
        (Some(InputFormat::AccessLog), _) => Ok(Format::AccessLog(AccessLog::Auto)),
        (None, Some(format)) => Ok(format),
        (None, None) => bail!(
            "`{}` looks like none of the formats that Bartizan reads; name it with --format",
            options.input.display()
        ),
    }
}

type Item = Result<bartizan_model::Exchange, BadLine>;

/// Every item of the input, from its beginning.
fn each(
    options: &Replay,
    input: &mut File,
    format: &Format,
    take: &mut dyn FnMut(u64, Item) -> Result<()>,
) -> Result<()> {
    input.seek(SeekFrom::Start(0)).context("the input cannot be read twice; give a file")?;
    let again: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 20, input.try_clone()?));
    let read =
        ReadOptions { host: options.host.clone(), utc_offset_minutes: options.utc_offset, ..ReadOptions::default() };
    for item in Reader::open(format.clone(), read, again) {
        take(item.line, item.exchange)?;
    }
    Ok(())
}
