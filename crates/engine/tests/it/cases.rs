//! Runs every case in `tests/cases/`: inline and as a recording, which must give the same event.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use bartizan_engine::{CHECKS, Inspection, Snapshot, answer_ending, judge};
use bartizan_model::{Action, Decision, Ending, Event, HttpVersion, Outcome, Source, Timestamp};

use crate::document::{self, Case};
use crate::host::{self, ID, Passed};

/// What a host says of a request that it refused by itself.
type Saying = Box<dyn Fn(&mut Inspection)>;

/// Larger than any body in a case: one chunk.
const WHOLE: usize = 1 << 20;

#[test]
fn the_engine_does_what_its_cases_say() {
    let faults: Vec<String> = all_cases()
        .iter()
        .filter_map(|case| fault(case).map(|fault| (case, fault)))
        .map(|(case, fault)| format!("{}\n    {fault}", case.name))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_check_has_two_cases_that_fire_and_two_that_stay_quiet() {
    let mut fires: BTreeMap<String, u32> = BTreeMap::new();
    let mut quiet: BTreeMap<String, u32> = BTreeMap::new();
    for case in all_cases() {
        for (key, value) in &case.expect {
            let (tally, words): (_, Vec<&str>) = match key.as_str() {
                "quiet" => (&mut quiet, value.split(", ").collect()),
                "decision" | "inline" => (&mut fires, value.split(' ').skip(2).take(1).collect()),
                "findings" if !case.expect.iter().any(|(key, _)| key == "decision") => {
                    (&mut fires, value.split(", ").collect())
                }
                "findings" => (&mut fires, value.split(", ").filter(|check| *check == "ENG-102").collect()),
                _ => continue,
            };
            words.into_iter().for_each(|word| *tally.entry(word.to_owned()).or_default() += 1);
        }
    }
    crate::access::tally(&mut fires, &mut quiet);
    for info in CHECKS {
        for (word, tally) in [("fires", &fires), ("stays quiet", &quiet)] {
            let count = tally.get(info.id).copied().unwrap_or_default();
            assert!(count >= 2, "{} {word} in {count} cases", info.id);
        }
    }
}

fn all_cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        document::cases(&name, &std::fs::read_to_string(path).unwrap())
    };
    files.iter().flat_map(read).collect()
}

/// What is wrong with a case, if anything.
fn fault(case: &Case) -> Option<String> {
    let snapshot = host::snapshot(&case.config, &case.endpoints);
    if let Some(reason) = case.request.strip_prefix("malformed ") {
        let passed = malformed(&snapshot, reason.to_owned());
        return case.expect.iter().find_map(|(key, value)| mismatch(key, value, &passed));
    }
    let said: Option<Saying> = match case.request.split_once(' ') {
        // Hosts have constants; a test leaks a word.
        Some(("beyond", reason)) => {
            let reason: &'static str = reason.to_owned().leak();
            Some(Box::new(move |inspection| _ = inspection.beyond_limits(HttpVersion::Http11, reason, NonZeroU64::MIN)))
        }
        Some(("misdirected", reason)) => {
            let reason: &'static str = reason.to_owned().leak();
            Some(Box::new(move |inspection| _ = inspection.misdirected(HttpVersion::Http11, reason)))
        }
        Some(("certificate", reason)) => {
            let reason: &'static str = reason.to_owned().leak();
            Some(Box::new(move |inspection| _ = inspection.certificate_refused(HttpVersion::Http11, reason)))
        }
        _ => None,
    };
    if let Some(say) = said {
        let passed = refused_by_host(&snapshot, &say);
        return case.expect.iter().find_map(|(key, value)| mismatch(key, value, &passed));
    }
    let wants = |key: &str| case.expect.iter().any(|(known, _)| known == key);
    let default = "HTTP/1.1 200 OK\n\n";
    let response = case.response.as_deref().or((!wants("replay-missing")).then_some(default));
    let mut exchange = document::exchange(&case.request, response);
    if let Some(body) = &case.body {
        exchange.request.body = Some(body.clone());
    }
    let source = if wants("inline") { Source::Gateway } else { Source::Exchanges };
    let recorded = host::snapshot(&case.config, &case.endpoints); // with counts of its own
    let mut open = Vec::new();
    for before in &case.before {
        let exchange = document::exchange(&before.request, Some(&before.response));
        for _ in 0..before.times {
            if before.is_open {
                open.push(host::open(&snapshot, &exchange));
            } else {
                host::pass(&snapshot, &exchange, source, WHOLE);
                judge(&recorded, &exchange, Source::Exchanges, ID, Timestamp::default());
            }
        }
    }
    let replayed = judge(&recorded, &exchange, Source::Exchanges, ID, Timestamp::default()).event;
    let passed = host::pass(&snapshot, &exchange, source, WHOLE);
    if !wants("inline") && !wants("replay-missing") && passed.event != replayed {
        return Some(format!("inline {:#?}\n    is not replayed {replayed:#?}", passed.event));
    }
    case.expect.iter().find_map(|(key, value)| match key.as_str() {
        "replay-missing" => differs(key, value, &missing(&replayed)),
        "inline" => differs(key, value, &decision(&passed.event.decision)),
        _ => mismatch(key, value, &passed),
    })
}

fn malformed(snapshot: &Arc<Snapshot>, reason: String) -> Passed {
    let exchange = document::exchange("GET / HTTP/1.1", None);
    let (source, now) = (Source::Gateway, Timestamp::default());
    let mut inspection = Inspection::new(Arc::clone(snapshot), &host::connection(&exchange), ID, source, now);
    inspection.malformed(HttpVersion::Http11, reason.leak()); // hosts have constants; a test leaks a word
    let answer = inspection.answer();
    assert_eq!(Some(&answer), answer_ending(Ending::Malformed, ID).as_ref(), "one answer for one fault");
    let outcome = Outcome { ending: Ending::Malformed, status: answer.status, ..Outcome::default() };
    let event = inspection.finish(outcome, now);
    let seen_fields = Vec::new();
    Passed { event, steps: vec!["stop"], answer: Some(answer), forwarded: 0, fields: Vec::new(), seen_fields }
}

/// What the host refuses by itself, as it says so.
fn refused_by_host(snapshot: &Arc<Snapshot>, say: &dyn Fn(&mut Inspection)) -> Passed {
    let exchange = document::exchange("GET / HTTP/1.1", None);
    let (source, now) = (Source::Gateway, Timestamp::default());
    let mut inspection = Inspection::new(Arc::clone(snapshot), &host::connection(&exchange), ID, source, now);
    say(&mut inspection);
    let answer = inspection.answer();
    let outcome = Outcome { ending: Ending::Stopped, status: answer.status, ..Outcome::default() };
    Passed {
        event: inspection.finish(outcome, now),
        steps: vec!["stop"],
        answer: Some(answer),
        forwarded: 0,
        fields: Vec::new(),
        seen_fields: Vec::new(),
    }
}

fn mismatch(key: &str, value: &str, passed: &Passed) -> Option<String> {
    let event = &passed.event;
    let text = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let actual = match key {
        "quiet" => {
            let loud = |check: &&str| event.findings.iter().any(|finding| finding.check.as_str() == *check);
            return value.split(", ").find(loud).map(|check| format!("{check} is not quiet"));
        }
        "steps" => {
            let wanted: Vec<&str> = value.split(", ").collect();
            return differs(key, value, &passed.steps[..wanted.len().min(passed.steps.len())].join(", "));
        }
        "allow" => {
            let answer = passed.answer.as_ref();
            let field = answer.and_then(|answer| answer.headers.iter().find(|(name, _)| *name == "allow"));
            text(field.map(|(_, value)| value.as_str()))
        }
        "retry-after" | "ratelimit" | "ratelimit-policy" => {
            let fields = passed.answer.as_ref().map_or(&passed.fields, |answer| &answer.headers);
            text(fields.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str()))
        }
        // `header NAME: VALUE`: a field of the answer as the client sees it
        _ if key.starts_with("header ") => {
            let fields =
                passed.seen_fields.iter().filter(|(name, _)| Some(name.as_str()) == key.strip_prefix("header "));
            joined(fields.map(|(_, value)| value.clone()))
        }
        "answer" => text(passed.answer.as_ref().and_then(|answer| std::str::from_utf8(&answer.body).ok())),
        "challenge" => {
            let headers = passed.answer.iter().flat_map(|answer| &answer.headers);
            text(headers.filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.as_str()).next())
        }
        "actor" => {
            let kind = event.actor.kind.as_str();
            if value.contains(' ') { format!("{kind} {}", event.actor.id) } else { kind.to_owned() }
        }
        "decision" => decision(&event.decision),
        "findings" => joined(event.findings.iter().map(|finding| finding.check.to_string())),
        "evidence" => joined(event.findings.iter().map(|finding| finding.evidence.to_string())),
        "location" => joined(event.findings.iter().map(|finding| finding.location.to_string())),
        "client" => client(event),
        "missing" => missing(event),
        "parameters" => joined(
            event.parameters.iter().map(|one| format!("{}.{}:{}", one.place.as_str(), one.name, one.kind.as_str())),
        ),
        "auth" => joined(event.auth.iter().map(|kind| kind.as_str().to_owned())),
        "ending" => format!("{} {}", event.ending.as_str(), event.status),
        "api" => text(event.api.as_deref()),
        "endpoint" => text(event.endpoint.as_ref().map(|endpoint| &*endpoint.template)),
        "host" => event.host.to_string(),
        "path" => event.path.to_string(),
        "user_agent" => text(event.user_agent.as_deref()),
        "request_type" => text(event.request_type.as_deref()),
        "response_type" => text(event.response_type.as_deref()),
        other => panic!("unknown expectation `{other}`"),
    };
    differs(key, value, &actual)
}

fn differs(key: &str, wanted: &str, actual: &str) -> Option<String> {
    (wanted != actual).then(|| format!("{key}: `{actual}` instead of `{wanted}`"))
}

fn joined(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn missing(event: &Event) -> String {
    joined(event.missing.words().map(str::to_owned))
}

fn client(event: &Event) -> String {
    let ip = event.client.ip.map_or("none".to_owned(), |ip| ip.to_string());
    event.client.via.map_or(ip.clone(), |via| format!("{ip} via {via}"))
}

/// `allow`, `deny 403 ACC-102 by name`, or `observed …` for a deny that was not applied.
fn decision(decision: &Decision) -> String {
    let word = match (decision.action, decision.applied) {
        (Action::Allow, _) => return "allow".to_owned(),
        (Action::Deny, true) => "deny",
        (Action::Deny, false) => "observed",
    };
    let check = decision.check.as_ref().map_or("", |check| check.as_str());
    let by = decision.policy.as_ref().map_or(String::new(), |policy| format!(" by {policy}"));
    format!("{word} {} {check}{by}", decision.status)
}
