//! Attack rules: each policy of this kind runs its compiled plan over the exchange, phase by phase.
//!
//! Phase 1 runs at the head, phase 2 when the request is complete: at once when no body follows or it streams by,
//! otherwise with as much of it as the policy looks at. Phases 3 and 4 run over the response where the policy says so.
//! Phase 5 only logs, and the event is our log; it is run where its rules keep counters for later exchanges.
//!
//! Every rule that matches and logs is a finding that leads to nothing; the rule that wants the exchange stopped (a
//! `deny`, in the Core Rule Set the evaluation of the score) is the one that its policy's mode decides about.
//! Inspection fails open: what could not be looked at is told (ENG-104) and passes.

pub(crate) mod finding;

use std::net::SocketAddr;
use std::sync::Arc;

use bartizan_content::Limits;
use bartizan_model::{CheckInfo, HeaderField, Location, Mode, Part, ResponseHead, Severity};
use bartizan_waf::{Action, Intervention, Request, Response, Transaction};
use smallvec::SmallVec;

use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{PolicyIndex, Rule, RuleSet};
use crate::stage::access::media::coding;
use crate::stage::{HeadContext, applying};
use finding::Names;

/// Rules could not look at everything.
pub(crate) static INCOMPLETE: CheckInfo = CheckInfo {
    id: "ENG-104",
    title: "inspection incomplete",
    severity: Severity::Low,
    owasp: "API8:2023",
    cwe: &[693],
    since: "0.2",
    why: "what rules did not look at may hold anything: a body longer than they read, one that could not be unpacked, more members than they take",
    fix: "when such bodies are honest, raise the policy's `body_bytes_max`; otherwise lower the API's, so that they are refused",
};

/// LIMIT: findings that one policy's rules add; the event keeps no more either.
const FINDINGS_MAX: usize = 32;

/// The rules that look at one exchange.
#[derive(Debug, Default)]
pub(crate) struct Threats {
    runs: SmallVec<[Run; 1]>,
    names: Names,
    /// Content-Encoding of the request
    coding: Option<Box<[u8]>>,
    /// A body passes that no rule looks at
    pub(crate) is_blind: bool,
    /// The response's body is kept back until its rules have run
    pub(crate) holds_response: bool,
}

/// One policy's rules over one exchange.
#[derive(Debug)]
struct Run {
    policy: PolicyIndex,
    mode: Mode,
    rules: RuleSet,
    transaction: Transaction,
    /// Matches that are findings already
    told: usize,
    findings: usize,
    /// Cuts that are findings already
    told_cuts: usize,
    /// Phase 2 waits for the body
    waits: bool,
    /// Phase 4 waits for the response's body
    waits_for_response: bool,
}

/// Phase 1, and phase 2 when it need not wait.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    let mut threats = Threats::default();
    let is_streaming = ctx.facts.is_streaming();
    let waits = ctx.body.is_expected && !is_streaming;
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Threats(rules) = &policy.rule else { continue };
        let Some(plan) = &rules.plan else {
            let finding =
                INCOMPLETE.finding(Location::part(Part::Connection), "the rules of the policy are not loaded");
            ctx.notices.push(finding, Ground::Noted);
            continue;
        };
        if threats.runs.is_empty() {
            threats.names = Names::of(ctx.head);
            threats.coding = coding(ctx.head.headers);
            threats.is_blind = ctx.body.is_expected && is_streaming;
        }
        let mut transaction = Transaction::new(Arc::clone(plan));
        if plan.keeps_collections() {
            transaction.keep_in(ctx.snapshot.rule_records(), policy.name.as_bytes());
        }
        let (rules, mode) = (rules.clone(), policy.mode);
        let mut run = Run {
            policy: index,
            mode,
            rules,
            transaction,
            told: 0,
            findings: 0,
            told_cuts: 0,
            waits,
            waits_for_response: false,
        };
        let stopped = head(ctx, &mut run.transaction);
        run.tell(stopped, &threats.names, ctx.notices);
        if waits {
            ctx.held.want(run.rules.body_bytes_max);
            ctx.body.is_held |= mode == Mode::Enforce;
        } else {
            let stopped = run.transaction.request_body(b"");
            run.tell(stopped, &threats.names, ctx.notices);
        }
        threats.runs.push(run);
    }
    *ctx.threats = threats;
}

fn head(ctx: &HeadContext<'_>, transaction: &mut Transaction) -> Option<Intervention> {
    let mut headers: SmallVec<[HeaderField<'_>; 32]> = SmallVec::new();
    if ctx.fields.host.is_none() && !ctx.head.authority.is_empty() {
        headers.push(HeaderField { name: b"host", value: ctx.head.authority }); // HTTP/2 has it in `:authority`
    }
    headers.extend_from_slice(ctx.head.headers);
    transaction.request_head(&Request {
        method: ctx.head.method,
        target: ctx.head.target,
        protocol: ctx.head.version.as_str().as_bytes(),
        headers: &headers,
        client: ctx.facts.client.ip.map(|ip| SocketAddr::new(ip, 0)),
        server: ctx.local,
        id: ctx.id,
        now: ctx.now,
    })
}

impl Threats {
    /// The request is complete: phase 2.
    pub(crate) fn request_end(&mut self, body: &HeldBody, out: &mut Notices) {
        for run in self.runs.iter_mut().filter(|run| run.waits) {
            run.waits = false;
            let (mut bytes, mut is_cut) = body.first(run.rules.body_bytes_max);
            if is_cut {
                out.push(beyond(Part::Body, run.rules.body_bytes_max), Ground::Noted);
            }
            let mut plain = Vec::new();
            if let Some(coding) = &self.coding {
                is_cut |= !inflate(coding, bytes, is_cut, run.rules.body_bytes_max, &mut plain, out);
                bytes = if plain.is_empty() { bytes } else { &plain };
            }
            let stopped = match is_cut {
                true => run.transaction.request_body_begin(bytes),
                false => run.transaction.request_body(bytes),
            };
            run.tell(stopped, &self.names, out);
        }
    }

    /// Phase 3, and phase 4 when there is no body to wait for.
    pub(crate) fn response_head(
        &mut self,
        head: &ResponseHead<'_>,
        has_body: bool,
        body: &mut HeldBody,
        out: &mut Notices,
    ) {
        if self.runs.is_empty() {
            return;
        }
        let is_stream = head.status == 101 || head.header("content-type").is_some_and(is_event_stream);
        for run in self.runs.iter_mut().filter(|run| run.rules.responses) {
            let stopped = run.transaction.response_head(&Response {
                status: head.status,
                protocol: b"HTTP/1.1",
                headers: head.headers,
            });
            run.tell(stopped, &self.names, out);
            run.waits_for_response = has_body && !is_stream && run.transaction.wants_response_body();
            if run.waits_for_response {
                body.want(run.rules.body_bytes_max);
                self.holds_response |= run.mode == Mode::Enforce;
            } else {
                let stopped = run.transaction.response_body(b"");
                run.tell(stopped, &self.names, out);
            }
        }
    }

    /// The client was answered with `status`: phase 5, where rules keep something in it.
    pub(crate) fn finish(&mut self, status: u16, out: &mut Notices) {
        let keeps = |run: &&mut Run| run.rules.plan.as_ref().is_some_and(|plan| plan.keeps_at_end());
        for run in self.runs.iter_mut().filter(keeps) {
            run.transaction.answered(status);
            run.transaction.finish();
            run.tell(None, &self.names, out);
        }
    }

    /// The response is complete: phase 4.
    pub(crate) fn response_end(&mut self, body: &HeldBody, out: &mut Notices) {
        self.holds_response = false;
        for run in self.runs.iter_mut().filter(|run| run.waits_for_response) {
            run.waits_for_response = false;
            let (bytes, is_cut) = body.first(run.rules.body_bytes_max);
            if is_cut {
                out.push(beyond(Part::Response, run.rules.body_bytes_max), Ground::Noted);
            }
            let stopped = run.transaction.response_body(bytes);
            run.tell(stopped, &self.names, out);
        }
    }
}

impl Run {
    /// Findings of what matched since the last time, and of the rule that wants to stop, though it may not log.
    fn tell(&mut self, stopped: Option<Intervention>, names: &Names, out: &mut Notices) {
        let Some(plan) = &self.rules.plan else { return };
        let matches = self.transaction.matches();
        let mut location = Location::part(Part::Path);
        let mut is_stop_told = stopped.is_none();
        for found in matches.get(self.told..).unwrap_or_default() {
            location = names.location(&found.variable).unwrap_or(location);
            let stopping = stopped.as_ref().filter(|stopped| stopped.rule == found.rule);
            is_stop_told |= stopping.is_some();
            let Some(info) = plan.rules().get(found.index) else { continue };
            if self.findings < FINDINGS_MAX || stopping.is_some() {
                self.findings += 1;
                let finding = finding::of(info, Some(found), location.clone(), stopping.is_some());
                out.push(finding, ground(self.policy, stopping));
            }
        }
        self.told = matches.len();
        let silent = stopped.as_ref().filter(|_| !is_stop_told);
        let info = silent.and_then(|silent| plan.rules().iter().find(|info| info.id == silent.rule));
        if let Some(info) = info {
            out.push(finding::of(info, None, location, true), ground(self.policy, silent));
        }
        self.tell_cuts(out);
    }

    /// Findings of what rules could not look at since the last time.
    fn tell_cuts(&mut self, out: &mut Notices) {
        let cuts = self.transaction.cuts();
        for cut in cuts.get(self.told_cuts..).unwrap_or_default() {
            out.push(INCOMPLETE.finding(Location::part(cut.part), cut.to_string()), Ground::Noted);
        }
        self.told_cuts = cuts.len();
    }
}

fn ground(policy: PolicyIndex, stopped: Option<&Intervention>) -> Ground {
    match stopped {
        Some(stopped) => Ground::Policy(policy, Refusal::Rule(status(stopped))),
        None => Ground::Noted,
    }
}

/// What is answered: a rule's own status when it is one of an error. We neither redirect nor drop.
const fn status(stopped: &Intervention) -> u16 {
    match stopped.action {
        Action::Deny if stopped.status >= 400 && stopped.status < 600 => stopped.status,
        Action::Deny | Action::Drop | Action::Redirect(_) => 403,
    }
}

fn beyond(part: Part, max: usize) -> bartizan_model::Finding {
    INCOMPLETE.finding(Location::part(part), format!("rules looked at the first {max} bytes of a longer body"))
}

/// Unpacks a body, as far as rules look at it; whether that is all of it.
fn inflate(coding: &[u8], bytes: &[u8], is_cut: bool, max: usize, out: &mut Vec<u8>, notices: &mut Notices) -> bool {
    let inflated_bytes = u32::try_from(max).unwrap_or(u32::MAX);
    let limits = Limits { inflated_bytes, ..Limits::default() };
    let inflated = bartizan_content::inflate(coding, bytes, &limits);
    // What is broken by itself stays broken for the rules.
    let is_whole = inflated.fault.is_none_or(|fault| fault.limit.is_none());
    // Of a body that was cut, the end of a layer is missing anyway.
    if let Some(fault) = inflated.fault.filter(|fault| !is_cut || fault.limit.is_some()) {
        let words = format!("the body could not be unpacked whole: {}", fault.name());
        notices.push(INCOMPLETE.finding(Location::part(Part::Body), words), Ground::Noted);
    }
    *out = inflated.bytes.unwrap_or_default();
    is_whole
}

/// Server-sent events end when they end; nobody may wait for that.
fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"text/event-stream")
}
