//! The life of a request, top to bottom: begin, head, body, end, response, finish.
//!
//! The host drives it and obeys each [`Step`]. The engine never waits, never fails and never sees two exchanges in one
//! inspection. All that an inspection owns is bounded; what it keeps of the request is redacted at once.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bartizan_model::{
    CheckInfo, Client, Connection, Decision, Event, Finding, HttpVersion, Location, Missing, Mode, Outcome, Part,
    Principal, RequestHead, RequestId, ResponseHead, Scheme, Severity, Source, Timestamp,
};
use smallvec::SmallVec;

use crate::answer::{self, Answer};
use crate::caching::{self, Caching};
use crate::checks;
use crate::credential::Credentials;
use crate::decide::{Ground, Notices, Refusal, decide};
use crate::edits::Edits;
use crate::event::{Ended, Seen, response_type};
use crate::fields::Fields;
use crate::held::HeldBody;
use crate::parameters::Parameters;
use crate::path::Readings;
use crate::policy::{PolicyIndex, Rule};
use crate::question::{Asked, Question, Reply};
use crate::response_edits::ResponseEdits;
use crate::snapshot::{Route, Snapshot};
use crate::stage::access::authorize::{AuthorizationTrace, Authorizing};
use crate::stage::access::checks as callers;
use crate::stage::access::cors;
use crate::stage::access::response_headers::{HeaderRules, Occasion};
use crate::stage::access::watch::Watches;
use crate::stage::content::Contents;
use crate::stage::limit::body::BodyGate;
use crate::stage::limit::rate::{self, Rates};
use crate::stage::threat::Threats;
use crate::stage::{Facts, HeadContext, LIMIT, REQUEST_HEAD};

/// The field that gives a client a nonce (RFC 9449 §8.1).
const DPOP_NONCE: &str = "dpop-nonce";

/// What the host does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pass on what was seen so far
    Continue,
    /// Keep the body back until a later step says [`Step::Continue`] or [`Step::Stop`]. When no body follows, call
    /// `request_end` at once
    Hold,
    /// Answer the question, then call [`Inspection::reply`] with the same head, or [`Inspection::reply_at_end`] when
    /// `request_end` asked; nothing goes on until then. Only hosts that said [`Inspection::can_ask`] get it
    Ask(Question),
    /// Answer in the upstream's place with [`Inspection::answer`]: a preflight, which nothing speaks against. No body is
    /// read, nothing goes to the upstream, and the exchange ends as answered
    Answer,
    /// Answer in the upstream's place with [`Inspection::answer`]; nothing more goes to the upstream
    Stop(Decision),
}

/// Holds the current Snapshot and begins inspections on it.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Snapshot>,
}

impl Engine {
    /// An engine that runs `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot) }
    }

    /// The Snapshot that new inspections will run on.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Runs new inspections on `snapshot`; those under way finish on theirs.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
    }

    /// Begins an inspection of an exchange seen inline.
    pub fn begin(&self, connection: &Connection, id: RequestId, now: Timestamp) -> Box<Inspection> {
        Inspection::new(self.snapshot(), connection, id, Source::Gateway, now)
    }
}

/// One exchange while the engine looks at it. Owned and `Send`; pins one Snapshot.
#[derive(Debug)]
pub struct Inspection {
    snapshot: Arc<Snapshot>,
    id: RequestId,
    source: Source,
    begun: Timestamp,
    peer: Option<IpAddr>,
    local: Option<SocketAddr>,
    scheme: Scheme,
    /// Of a request without a head
    version: HttpVersion,
    client_certificate: bool,
    client_chain: Vec<Arc<[u8]>>,
    are_credentials_whole: bool,
    facts: Facts,
    asked: Asked,
    /// The stage of the head that runs next
    next_stage: usize,
    seen: Option<Seen>,
    body: BodyGate,
    held: HeldBody,
    watches: Watches,
    contents: Contents,
    threats: Threats,
    rates: Rates,
    is_request_complete: bool,
    is_from_cache: bool,
    response: ResponseState,
    notices: Notices,
    /// How many findings there were after each stage of the head that ran
    trace: SmallVec<[usize; REQUEST_HEAD.len()]>,
    decision: Decision,
    missing: Missing,
}

/// What was seen of the response.
#[derive(Debug, Default)]
struct ResponseState {
    media_type: Option<Box<str>>,
    held: HeldBody,
    is_body_expected: bool,
    is_complete: bool,
}

impl Inspection {
    /// Begins an inspection; `now` is when the request's head was complete. Boxed, as hosts move it with the exchange and
    /// it has some 2 KiB.
    pub fn new(
        snapshot: Arc<Snapshot>,
        connection: &Connection,
        id: RequestId,
        source: Source,
        now: Timestamp,
    ) -> Box<Self> {
        let peer = connection.peer.map(|peer| peer.ip().to_canonical());
        let tls = connection.tls.as_ref();
        let client = Client { ip: peer, via: None, tls_version: tls.map(|tls| tls.version.as_str().into()) };
        Box::new(Self {
            snapshot,
            id,
            source,
            begun: now,
            peer,
            local: connection.local,
            scheme: connection.scheme(),
            version: HttpVersion::Http11,
            client_certificate: tls.is_some_and(|tls| tls.client_certificate),
            client_chain: tls.map(|tls| tls.client_chain.clone()).unwrap_or_default(),
            are_credentials_whole: true,
            facts: Facts {
                client,
                address: OnceLock::new(),
                rival: None,
                host: None,
                route: None,
                endpoint: None,
                policies: SmallVec::new(),
                cors: None,
                caller: None,
                known_by: None,
                is_caller_unjudged: false,
                metered: None,
                challenges: Vec::new(),
                edits: Edits::default(),
                proofs: SmallVec::new(),
                fresh_nonce: None,
                body_digests: Vec::new(),
                authorizing: Authorizing::default(),
            },
            asked: Asked::default(),
            next_stage: 0,
            seen: None,
            body: BodyGate::default(),
            held: HeldBody::default(),
            watches: Watches::default(),
            contents: Contents::default(),
            threats: Threats::default(),
            rates: Rates::default(),
            is_request_complete: false,
            is_from_cache: false,
            response: ResponseState::default(),
            notices: Notices::default(),
            trace: SmallVec::new(),
            decision: Decision::default(),
            missing: Missing { client: peer.is_none(), ..Missing::default() },
        })
    }

    /// The host answers questions: [`Step::Ask`] may come. Without it, what would have to be asked is refused.
    pub fn can_ask(&mut self) {
        self.asked.can_ask = true;
    }

    /// Credentials in this recording may be masked: who calls is not judged where one is there, and a finding says so.
    pub(crate) fn mask_credentials(&mut self) {
        self.are_credentials_whole = false;
    }

    /// The request's head. Call once, first.
    pub fn request_head(&mut self, head: &RequestHead<'_>) -> Step {
        debug_assert!(self.seen.is_none() && self.next_stage == 0, "one head per inspection");
        self.run_head(head)
    }

    /// The answer to a [`Step::Ask`], with the head that was passed in before.
    pub fn reply(&mut self, head: &RequestHead<'_>, reply: Reply) -> Step {
        let was_asked = self.asked.reply(reply);
        debug_assert!(was_asked, "nothing was asked");
        if was_asked { self.run_head(head) } else { self.step() }
    }

    /// Runs the stages of the head that have not run, until one asks or is refused.
    fn run_head(&mut self, head: &RequestHead<'_>) -> Step {
        let fields = Fields::scan(head.headers);
        let readings = Readings::of(head.path());
        let parameters = Parameters::read(head, &fields);
        let credentials = Credentials::read(&fields, &parameters, self.client_certificate);
        let mut is_limited = false;
        while let Some((name, stage)) = REQUEST_HEAD.get(self.next_stage) {
            let before = self.notices.len();
            stage(&mut self.context(head, &fields, &readings, &credentials));
            is_limited |= *name == LIMIT;
            if let Some(question) = self.asked.pending() {
                self.notices.truncate(before); // the stage runs again
                return Step::Ask(question.clone());
            }
            self.next_stage += 1;
            self.trace.push(self.notices.len());
            self.decide_if_new(before);
            if self.decision.is_stop() {
                if !is_limited {
                    rate::count_denied(&mut self.context(head, &fields, &readings, &credentials));
                }
                break;
            }
        }
        self.next_stage = REQUEST_HEAD.len();
        self.missing.request_body |= self.watches.is_blind || self.contents.is_blind || self.threats.is_blind;
        let key = self.snapshot.key();
        self.seen = Some(Seen::head(head, &fields, parameters.list, &credentials, &mut self.facts, key));
        self.step()
    }

    /// What a stage sees.
    fn context<'a>(
        &'a mut self,
        head: &'a RequestHead<'a>,
        fields: &'a Fields<'a>,
        readings: &'a Readings<'a>,
        credentials: &'a Credentials<'a>,
    ) -> HeadContext<'a> {
        HeadContext {
            snapshot: &self.snapshot,
            source: self.source,
            id: self.id,
            now: self.begun,
            peer: self.peer,
            local: self.local,
            client_chain: &self.client_chain,
            are_credentials_whole: self.are_credentials_whole,
            lacks_headers: self.missing.headers,
            head,
            fields,
            readings,
            credentials,
            facts: &mut self.facts,
            asked: &mut self.asked,
            body: &mut self.body,
            held: &mut self.held,
            watches: &mut self.watches,
            contents: &mut self.contents,
            threats: &mut self.threats,
            rates: &mut self.rates,
            notices: &mut self.notices,
        }
    }

    /// A piece of the request's body, in order.
    pub fn request_body(&mut self, chunk: &[u8]) -> Step {
        self.held.push(chunk);
        self.facts.body_digests.iter_mut().for_each(|digest| digest.update(chunk));
        self.count_request_body(chunk.len() as u64)
    }

    /// As [`Self::request_body`], for a recording that knows a body's size but not its bytes.
    pub(crate) fn count_request_body(&mut self, bytes: u64) -> Step {
        if !self.decision.is_stop() {
            let before = self.notices.len();
            self.body.advance(bytes, self.snapshot.policies(), &mut self.notices);
            self.decide_if_new(before);
        }
        self.step()
    }

    /// The request is complete. Call it also when there was no body.
    pub fn request_end(&mut self) -> Step {
        self.is_request_complete = !self.decision.is_stop();
        self.body.is_held = false;
        let is_body_unseen = self.source != Source::Gateway && self.missing.request_body;
        if self.is_request_complete && !is_body_unseen {
            let before = self.notices.len();
            for digest in std::mem::take(&mut self.facts.body_digests) {
                let policy = digest.policy;
                if !digest.finish(&mut self.notices) {
                    self.facts.challenges.push((policy, vec!["Signature".to_owned()]));
                    self.facts.caller = None; // whoever sends this body is not who signed another
                    if let Some(seen) = &mut self.seen {
                        seen.forget_caller(&self.facts);
                    }
                }
            }
            let caller = self.facts.caller.as_ref().and_then(|verified| verified.who.as_ref().ok());
            let caller = caller.map(|who| &who.principal);
            let policies = self.snapshot.policies();
            self.facts.authorizing.request_end(policies, caller, &self.held, &mut self.notices);
            self.decide_if_new(before);
        }
        if !self.decision.is_stop() {
            let before = self.notices.len();
            self.watches.request_end(self.snapshot.policies(), &self.held, &mut self.notices);
            self.decide_if_new(before);
        }
        if !self.decision.is_stop() {
            let wishes = self.rates.wishes_at_end(&self.held);
            if !wishes.is_empty() && self.asked.ask(rate::ATTEMPTS, || Question::Count(wishes)) {
                return self.asked.pending().map_or(Step::Continue, |question| Step::Ask(question.clone()));
            }
        }
        self.request_end_counted()
    }

    /// The answer to a [`Step::Ask`] of [`Self::request_end`].
    pub fn reply_at_end(&mut self, reply: Reply) -> Step {
        let was_asked = self.asked.reply(reply);
        debug_assert!(was_asked, "nothing was asked");
        if was_asked { self.request_end_counted() } else { self.step() }
    }

    /// The end of a request, from where attempts to log in are counted.
    fn request_end_counted(&mut self) -> Step {
        if !self.decision.is_stop() {
            let before = self.notices.len();
            self.rates.request_end(self.asked.reply_to(&rate::ATTEMPTS), &mut self.notices);
            self.decide_if_new(before);
        }
        if !self.decision.is_stop() {
            let before = self.notices.len();
            self.contents.request_end(&self.held, &mut self.notices);
            self.decide_if_new(before);
        }
        if !self.decision.is_stop() {
            let before = self.notices.len();
            self.threats.request_end(&self.held, &mut self.notices);
            self.decide_if_new(before);
        }
        self.held.clear();
        self.step()
    }

    /// The upstream's response head. Interim ones (1xx but 101) are not passed in.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Step {
        self.response.media_type = response_type(head);
        let is_empty = matches!(head.status, 101 | 204 | 304) || head.header("content-length") == Some(b"0");
        self.response.is_body_expected = !is_empty;
        let has_body = !is_empty && self.seen.as_ref().is_none_or(|seen| !seen.is_head_request());
        let before = self.notices.len();
        self.observe_response(head);
        self.rates.response_head(head, has_body, &mut self.notices);
        self.threats.response_head(head, has_body, &mut self.response.held, &mut self.notices);
        self.decide_if_new(before);
        self.response_step()
    }

    /// A piece of the response's body, in order. On [`Step::Hold`] nothing of the body goes to the client until
    /// [`Self::response_end`] says [`Step::Continue`].
    pub fn response_body(&mut self, chunk: &[u8]) -> Step {
        self.response.held.push(chunk);
        self.count_response_body(chunk.len() as u64)
    }

    /// As [`Self::response_body`], for a recording that knows a body's size but not its bytes.
    pub(crate) fn count_response_body(&mut self, bytes: u64) -> Step {
        let before = self.notices.len();
        self.rates.response_body(bytes, &mut self.notices);
        self.decide_if_new(before);
        self.response_step()
    }

    /// The response is complete. Call it also when there was no body.
    pub fn response_end(&mut self) -> Step {
        self.response.is_complete = true;
        let before = self.notices.len();
        self.threats.response_end(&self.response.held, &mut self.notices);
        self.decide_if_new(before);
        self.response.held.clear();
        self.response_step()
    }

    /// The request could not be parsed; `reason` is a word from the host's closed set, such as `bad_request_line`. The
    /// host answers as [`Self::answer`] says (or its HTTP library already did) and finishes with `Ending::Malformed`.
    /// `version` is what the connection speaks, as far as it is known.
    pub fn malformed(&mut self, version: HttpVersion, reason: &'static str) -> Step {
        self.malformed_times(version, reason, NonZeroU64::MIN)
    }

    /// As [`Self::malformed`], for so many requests that one event tells of them all.
    pub fn malformed_times(&mut self, version: HttpVersion, reason: &'static str, times: NonZeroU64) -> Step {
        self.refused_by_host(&checks::MALFORMED, Refusal::BadRequest, version, reason, times)
    }

    /// The client has more under way than the host's hard limits allow: what it asks for is not looked at. The host
    /// answers 429, if it can. One event may tell of many, as with [`Self::malformed_times`].
    pub fn beyond_limits(&mut self, version: HttpVersion, reason: &'static str, times: NonZeroU64) -> Step {
        self.refused_by_host(&checks::BEYOND_LIMITS, Refusal::TooManyRequests, version, reason, times)
    }

    /// The host's TLS refused the client's certificate, or missed one; nothing was asked for yet, and nobody is answered.
    pub fn certificate_refused(&mut self, version: HttpVersion, reason: &'static str) -> Step {
        let check = &callers::CERTIFICATE;
        self.refused_by_host(check, Refusal::Unauthorized, version, reason, NonZeroU64::MIN)
    }

    /// The connection was opened for another host, where clients must show other certificates. The host answers 421.
    pub fn misdirected(&mut self, version: HttpVersion, reason: &'static str) -> Step {
        let check = &callers::MISDIRECTED;
        self.refused_by_host(check, Refusal::Misdirected, version, reason, NonZeroU64::MIN)
    }

    fn refused_by_host(
        &mut self,
        check: &'static CheckInfo,
        refusal: Refusal,
        version: HttpVersion,
        reason: &'static str,
        times: NonZeroU64,
    ) -> Step {
        self.version = version;
        let evidence = if times == NonZeroU64::MIN { reason.to_owned() } else { format!("{reason}, {times} times") };
        let finding = check.finding(Location::part(Part::Connection), evidence);
        self.notices.push(finding, Ground::Always(refusal));
        self.decision = decide(self.snapshot.policies(), &self.notices);
        self.step()
    }

    /// Where the request goes, after `request_head`; `None` when nothing matches: answer 404, `Ending::NoRoute`.
    pub fn route(&self) -> Option<&Route> {
        self.facts.route.as_deref()
    }

    /// Where the request came from.
    pub fn client(&self) -> &Client {
        &self.facts.client
    }

    /// What was noticed so far.
    pub fn findings(&self) -> &[Finding] {
        self.notices.findings()
    }

    /// What is decided so far.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// For hosts that know what they could not see.
    pub fn missing_mut(&mut self) -> &mut Missing {
        &mut self.missing
    }

    /// The answer to give after a [`Step::Answer`] or a [`Step::Stop`], with `Allow` on a 405, challenges on a 401, and on a 429 of a rate limit with
    /// `Retry-After` and what clients are told of their limits.
    pub fn answer(&self) -> Answer {
        if !self.decision.is_stop() {
            return answer::preflight(self.id);
        }
        let check = self.decision.check.as_ref().map_or("", |check| check.as_str());
        let policies = self.snapshot.policies();
        if check == rate::checks::LOGIN.id {
            let mut answer = answer::answer(&self.decision, self.id);
            answer.headers.extend(self.rates.login_retry_after());
            return answer;
        }
        if rate::checks::COUNTED.iter().any(|info| info.id == check) {
            let mut answer = answer::quota_exceeded(&self.decision, &self.rates.violated(policies), self.id);
            answer.headers.extend(self.rates.retry_after(policies));
            answer.headers.extend(self.rates.response_fields(policies));
            return answer;
        }
        let mut answer = answer::answer(&self.decision, self.id);
        answer.headers.extend(self.allow().map(|allow| ("allow", allow.to_owned())));
        answer.headers.extend(self.challenges().map(|challenge| ("www-authenticate", challenge.clone())));
        if self.decision.status == Refusal::Unauthorized.status() {
            answer.headers.extend(self.facts.fresh_nonce.clone().map(|nonce| (DPOP_NONCE, nonce)));
        }
        answer
    }

    /// Header fields to set on the upstream's response, names in lower case: `RateLimit-Policy` and `RateLimit` of the
    /// limits that admitted the request, where their policies announce them; `DPoP-Nonce` where the client shall use a new
    /// one (RFC 9449 §8.2).
    pub fn response_fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = self.rates.response_fields(self.snapshot.policies());
        fields.extend(self.facts.fresh_nonce.clone().map(|nonce| (DPOP_NONCE, nonce)));
        fields
    }

    /// What changes in the head of an answer, the upstream's or ours, before it goes to the client. Made after
    /// [`Self::response_fields`].
    pub fn response_edits(&self) -> ResponseEdits {
        let mut edits = ResponseEdits::default();
        for (rules, occasion) in self.header_rules(Mode::Enforce) {
            rules.edit(occasion, &mut edits);
        }
        if let Some(told) = &self.facts.cors {
            cors::edit(told, self.snapshot.policies(), &mut edits);
        }
        edits
    }

    /// What observed policies would change in the upstream's answer.
    fn observe_response(&mut self, head: &ResponseHead<'_>) {
        if !self.snapshot.policies().has_answers() {
            return;
        }
        let mut notices = std::mem::take(&mut self.notices);
        for (rules, occasion) in self.header_rules(Mode::Observe) {
            rules.observe(occasion, head, &mut notices);
        }
        self.notices = notices;
    }

    /// The policies of one mode that say which fields the answer has, and what those depend on.
    fn header_rules(&self, mode: Mode) -> impl Iterator<Item = (&HeaderRules, Occasion)> {
        let policies = self.snapshot.policies();
        // PERF: every answer comes by here, and most gateways have no such policy.
        let applying = if policies.has_answers() { self.facts.policies.as_slice() } else { &[] };
        let applying = applying.iter().filter_map(move |index| policies.policy(*index));
        applying.filter(move |policy| policy.mode == mode).filter_map(move |policy| {
            let Rule::ResponseHeaders(rules) = &policy.rule else { return None };
            Some((&**rules, self.occasion()))
        })
    }

    fn occasion(&self) -> Occasion {
        Occasion {
            is_tls: self.scheme == Scheme::Https,
            has_credential: self.facts.caller().is_some() || self.seen.as_ref().is_some_and(Seen::has_credential),
        }
    }

    /// Whether, and under which key, the answer may be one that was kept, and may be kept itself. `head` is the one that
    /// was passed in before. Nothing here decides: ask once the request was found good.
    pub fn caching(&self, head: &RequestHead<'_>) -> Caching {
        if !self.snapshot.policies().has_caches() || self.decision.is_stop() {
            return Caching::Unasked;
        }
        let has_credential = self.seen.as_ref().is_some_and(Seen::has_credential);
        caching::of(&self.snapshot, &self.facts, self.peer, has_credential, head)
    }

    /// Whether the answer may be kept for others: everything of it was seen, and no check noticed anything about the
    /// exchange that is more than worth knowing.
    pub fn may_be_kept(&self) -> bool {
        let is_noticed = |finding: &Finding| finding.severity > Severity::Info;
        !self.decision.is_stop() && !self.notices.findings().iter().any(is_noticed)
    }

    /// The answer was one that was kept: no upstream took part.
    pub fn answered_from_cache(&mut self) {
        self.is_from_cache = true;
    }

    /// What changes in the head before it goes to the upstream.
    pub fn edits(&self) -> &Edits {
        &self.facts.edits
    }

    /// As whom the request acts, when an `authenticate` policy knows.
    pub fn principal(&self) -> Option<&Principal> {
        self.facts.caller().map(|who| &who.principal)
    }

    /// What the deciding policy has to say in `WWW-Authenticate` (RFC 9110 §11.6.1).
    fn challenges(&self) -> impl Iterator<Item = &String> {
        let is_deciding = |index: &PolicyIndex| {
            let policy = self.snapshot.policies().policy(*index);
            self.decision.is_stop() && policy.is_some_and(|policy| Some(&policy.name) == self.decision.policy.as_ref())
        };
        let status = [Refusal::Unauthorized.status(), Refusal::Forbidden.status()];
        let challenges = self.facts.challenges.iter().filter(move |(index, _)| is_deciding(index));
        challenges.filter(move |_| status.contains(&self.decision.status)).flat_map(|(_, challenges)| challenges)
    }

    /// The deciding policy's list of methods.
    fn allow(&self) -> Option<&str> {
        if self.decision.status != Refusal::MethodNotAllowed.status() {
            return None;
        }
        let policies = self.snapshot.policies();
        let mut applying = self.facts.policies.iter().filter_map(|index| policies.policy(*index));
        let deciding = applying.find(|policy| Some(&policy.name) == self.decision.policy.as_ref())?;
        let Rule::Methods { allow_field, .. } = &deciding.rule else { return None };
        Some(allow_field)
    }

    /// Ends the inspection and gives its event: exactly one per exchange.
    pub fn finish(mut self: Box<Self>, outcome: Outcome, now: Timestamp) -> Event {
        self.missing.request_body |= self.body.is_expected && !self.is_request_complete;
        self.missing.response_body |= self.response.is_body_expected && !self.response.is_complete;
        self.rates.finish(self.snapshot.policies(), &outcome, now);
        self.threats.finish(outcome.status, &mut self.notices);
        let seen = self.seen.unwrap_or_else(|| Seen::nothing(self.scheme, self.version, &self.facts));
        let ended = Ended {
            id: self.id,
            source: self.source,
            begun: self.begun,
            now,
            response_type: self.response.media_type,
            findings: self.notices.into_findings(self.snapshot.policies()),
            decision: self.decision,
            missing: self.missing,
            is_from_cache: self.is_from_cache,
            outcome,
        };
        seen.event(self.facts, ended)
    }

    /// For `judge`: the route, shared.
    pub(crate) fn shared_route(&self) -> Option<Arc<Route>> {
        self.facts.route.clone()
    }

    /// For `judge`: keeps what determined the outcome of `authorize` policies.
    pub(crate) fn trace_authorization(&mut self) {
        self.facts.authorizing.is_traced = true;
    }

    /// For `judge`: what they made of the request.
    pub(crate) fn authorizations(&self) -> &[AuthorizationTrace] {
        &self.facts.authorizing.trace
    }

    /// For `judge`: each stage that ran, and how many findings there were after it.
    pub(crate) fn trace(&self) -> impl Iterator<Item = (&'static str, usize)> {
        REQUEST_HEAD.iter().map(|(name, _)| *name).zip(self.trace.iter().copied())
    }

    fn decide_if_new(&mut self, before: usize) {
        if self.notices.len() > before {
            self.decision = decide(self.snapshot.policies(), &self.notices);
        }
    }

    fn response_step(&self) -> Step {
        if self.decision.is_stop() {
            Step::Stop(self.decision.clone())
        } else if self.threats.holds_response {
            Step::Hold
        } else {
            Step::Continue
        }
    }

    fn step(&self) -> Step {
        if self.decision.is_stop() {
            Step::Stop(self.decision.clone())
        } else if self.facts.is_preflight() {
            Step::Answer
        } else if self.body.is_held {
            Step::Hold
        } else {
            Step::Continue
        }
    }
}
