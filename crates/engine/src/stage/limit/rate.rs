//! How often, how much at once, and how many bytes: rate limits, counted in [`crate::counters`].
//!
//! Limits that gateways share are settled first: by a lease at hand, else by a question to the host. Then,
//! at the head, each limit of each policy that applies is asked, and what fits is counted at once, so that two requests
//! can never both take the last one. When an enforced limit refuses, what the others counted for this request is given
//! back. What the request turns out to weigh (its bytes, whether a login failed) is settled when it is known, and what it
//! holds (its place among those in flight) is let go when the inspection ends, on whatever path.
//!
//! What counts (`count`): *admitted* requests, or *all*, refused ones too. Admitted means let through by this stage and
//! those before it; what a later stage denies has been counted. An observed limit counts as an enforced one would: what it
//! would refuse is not counted, so its findings are those of enforcement under the same arrivals.

pub(crate) mod checks;
pub(crate) mod fields;
pub(crate) mod key;
mod key_quota;
pub(crate) mod login;
pub(crate) mod page;

use std::sync::Arc;

use bartizan_config::{FailureMode, QuotaWindow, RateCount, RateSharing};
use bartizan_model::{CheckInfo, Ending, Location, Mode, Outcome, Part, ResponseHead, Timestamp};
use smallvec::SmallVec;

use crate::bounded::Digest;
use crate::counters::lease::Window;
use crate::counters::shared::{CountWish, Counted, CountedAt, SharedLimit};
use crate::counters::{Counters, Fingerprint, Meter, Period, SharedTerms, Slot, Table, micros};
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{Policies, PolicyIndex, Rule};
use crate::question::{Question, Reply};
use crate::stage::{HeadContext, applying};
use fields::Item;
use key::{Fingerprinter, Key};
use key_quota::KeyCharge;
use login::{Attempt, Login};
use page::PageSize;

/// Names the one question of this stage.
const COUNTS: Digest = *b"counts of limits that are shared";

/// Microseconds of a millisecond.
const MILLISECOND: u64 = 1000;

/// LIMIT: what one request can weigh, whatever a header says.
const WEIGHT_MAX: u64 = 1_000_000;

/// A rate policy, compiled.
#[derive(Debug)]
pub(crate) struct RateRules {
    key: Key,
    /// The same for limits that gateways share, hashed alike by all of them
    shared_key: Option<Key>,
    counts_all: bool,
    weight: u64,
    weight_header: Option<Box<str>>,
    limits: Box<[Limit]>,
    response_bytes_max: Option<u64>,
    page_size: Option<PageSize>,
    login: Option<Arc<Login>>,
    is_announced: bool,
}

/// One count of a policy.
#[derive(Debug)]
struct Limit {
    kind: Kind,
    counts: Counts,
    /// What the finding says
    evidence: Box<str>,
    item: Item,
}

/// Where a limit is counted.
#[derive(Debug)]
enum Counts {
    /// Here
    Own(Arc<Table>),
    /// With other gateways
    Shared(Arc<SharedLimit>),
}

/// What a limit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SpikeArrest,
    Quota,
    Concurrency,
    Bandwidth,
}

/// What one exchange counted for, and what is still to be settled.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    at: u64,
    /// What limits that are shared said, before the others are asked
    settled: SmallVec<[Settled; 1]>,
    charges: SmallVec<[Charge; 2]>,
    /// Of the quota that an API key brings along
    key_charge: Option<KeyCharge>,
    in_flight: SmallVec<[Place; 1]>,
    responses: SmallVec<[(PolicyIndex, u64); 1]>,
    response_bytes: u64,
    /// The request went no further than this stage
    is_given_back: bool,
    logins: Vec<Attempt>,
}

/// What a limit said that is shared.
#[derive(Clone, Copy, Debug)]
struct Settled {
    policy: PolicyIndex,
    limit: u8,
    key: Fingerprint,
    counted: Counted,
}

/// What one limit said.
#[derive(Clone, Copy, Debug)]
struct Charge {
    policy: PolicyIndex,
    /// Number of the limit within its policy
    limit: u8,
    place: ChargedAt,
    is_admitted: bool,
    key: Fingerprint,
    amount: u64,
    remaining: u64,
    wait_us: u64,
}

/// Where a request was charged.
#[derive(Clone, Copy, Debug)]
enum ChargedAt {
    Own(Slot),
    Shared(CountedAt),
}

/// A place among the requests in flight; let go when dropped, so once on every path.
#[derive(Debug)]
struct Place {
    table: Arc<Table>,
    key: Fingerprint,
    slot: Slot,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.give_back(self.key, self.slot, 0, 1);
    }
}

impl Kind {
    const fn info(self) -> &'static CheckInfo {
        match self {
            Self::SpikeArrest => &checks::SPIKE,
            Self::Quota => &checks::QUOTA,
            Self::Concurrency => &checks::CONCURRENCY,
            Self::Bandwidth => &checks::BANDWIDTH,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::SpikeArrest => "spike_arrest",
            Self::Quota => "quota",
            Self::Concurrency => "concurrency",
            Self::Bandwidth => "bandwidth",
        }
    }

    const fn unit(self) -> Option<&'static str> {
        match self {
            Self::SpikeArrest | Self::Quota => None, // requests are what is meant without a unit
            Self::Concurrency => Some("concurrent-requests"),
            Self::Bandwidth => Some("content-bytes"),
        }
    }
}

impl RateRules {
    /// Compiles a valid policy; the counts of limits that were there before go on.
    pub(crate) fn new(
        policy: &str,
        rate: &bartizan_config::Rate,
        counters: &Counters,
        fingerprinter: Fingerprinter,
    ) -> Self {
        let key = rate.key_words();
        let own =
            |kind: Kind, meter: Meter| Counts::Own(counters.table(policy, kind.name(), &key, meter, rate.keys_max));
        let shared = |kind: Kind, requests: u64, window: Window| {
            let (is_leased, failure) = sharing(rate.sharing, kind)?;
            let terms = SharedTerms { limit: requests, window, is_leased, failure, keys_max: rate.keys_max };
            counters.shared_limit(policy, kind.name(), &key, terms).map(Counts::Shared)
        };
        let limit = |kind: Kind, counts: Counts, quota: u64, window_ms: Option<u64>, words: String| Limit {
            kind,
            counts,
            evidence: format!("{words} by {key}").into(),
            item: Item::new(policy, kind.name(), rate.counts() > 1, quota, window_ms, kind.unit()),
        };
        let mut limits = Vec::new();
        if let Some(spike) = rate.spike_arrest {
            let (requests, burst) = (u64::from(spike.requests), u64::from(spike.burst));
            let meter = Meter::gcra(requests, spike.per_ms * MILLISECOND, burst);
            let words = format!("more than {requests} requests in {} and a burst of {burst}", span(spike.per_ms));
            let interval_us = (spike.per_ms * MILLISECOND).div_ceil(requests);
            let counts = shared(Kind::SpikeArrest, burst, Window::Pace { interval_us, burst })
                .unwrap_or_else(|| own(Kind::SpikeArrest, meter));
            limits.push(limit(Kind::SpikeArrest, counts, requests, Some(spike.per_ms), words));
        }
        if let Some(quota) = rate.quota {
            let (meter, window_ms, period) = quota_meter(&quota);
            let words = format!("more than {} requests in {period}", quota.requests);
            let counts =
                shared(Kind::Quota, quota.requests, shared_window(&quota)).unwrap_or_else(|| own(Kind::Quota, meter));
            limits.push(limit(Kind::Quota, counts, quota.requests, window_ms, words));
        }
        if let Some(concurrency) = rate.concurrency.map(u64::from) {
            let words = format!("more than {concurrency} requests in flight");
            let counts = own(Kind::Concurrency, Meter::in_flight(concurrency));
            limits.push(limit(Kind::Concurrency, counts, concurrency, None, words));
        }
        if let Some(bandwidth) = rate.bandwidth {
            let meter = Meter::volume(bandwidth.bytes, bandwidth.per_ms * MILLISECOND);
            let words = format!("more than {} bytes in {}", bandwidth.bytes, span(bandwidth.per_ms));
            limits.push(limit(
                Kind::Bandwidth,
                own(Kind::Bandwidth, meter),
                bandwidth.bytes,
                Some(bandwidth.per_ms),
                words,
            ));
        }
        let login = |login| Arc::new(Login::new(login, policy, rate.keys_max, fingerprinter, counters));
        let is_shared = limits.iter().any(|limit| matches!(limit.counts, Counts::Shared(_)));
        let shared_key = counters.shared_key().filter(|_| is_shared);
        Self {
            key: Key::new(&rate.key, fingerprinter),
            shared_key: shared_key.map(|key| Key::new(&rate.key, Fingerprinter::shared(key))),
            counts_all: rate.count == RateCount::All,
            weight: rate.weight.into(),
            weight_header: rate.weight_header.as_deref().map(Box::from),
            limits: limits.into(),
            response_bytes_max: rate.response_bytes_max,
            page_size: rate.page_size.as_ref().map(PageSize::new),
            login: rate.login.as_ref().map(login),
            is_announced: rate.announce,
        }
    }

    /// What a request weighs: a header can only add to what is written.
    fn weight(&self, ctx: &HeadContext<'_>) -> u64 {
        let Some(header) = &self.weight_header else { return self.weight };
        let text = ctx.head.header(header).and_then(|value| std::str::from_utf8(value).ok());
        let said = text.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or_default();
        said.clamp(self.weight, WEIGHT_MAX.max(self.weight))
    }
}

/// Whether this kind of limit is leased, and what holds without the store; `None` when it is not shared.
const fn sharing(sharing: RateSharing, kind: Kind) -> Option<(bool, FailureMode)> {
    match (sharing, kind) {
        (RateSharing::Leased(failure), Kind::Quota) => Some((true, failure)),
        (RateSharing::Strict(failure), Kind::Quota | Kind::SpikeArrest) => Some((false, failure)),
        (RateSharing::Leased(_), Kind::SpikeArrest | Kind::Concurrency | Kind::Bandwidth)
        | (RateSharing::Strict(_), Kind::Concurrency | Kind::Bandwidth)
        | (RateSharing::Local, _) => None,
    }
}

/// The window of a quota, for a store.
const fn shared_window(quota: &bartizan_config::Quota) -> Window {
    match quota.window {
        QuotaWindow::Rolling { window_ms } => Window::Rolling { length_us: window_ms * MILLISECOND },
        QuotaWindow::Calendar { length_ms, start } => {
            Window::Calendar { length_us: length_ms * MILLISECOND, start_us: start.as_micros() }
        }
        QuotaWindow::Month => Window::Month,
    }
}

/// The meter of a quota, its window, and its period in words.
fn quota_meter(quota: &bartizan_config::Quota) -> (Meter, Option<u64>, String) {
    match quota.window {
        QuotaWindow::Rolling { window_ms } => {
            let meter = Meter::window(quota.requests, window_ms * MILLISECOND);
            (meter, Some(window_ms), span(window_ms))
        }
        QuotaWindow::Calendar { length_ms, start } => {
            let period = Period::Every { length_us: length_ms * MILLISECOND, start_us: start.as_micros() };
            (
                Meter::calendar(quota.requests, period),
                Some(length_ms),
                format!("a calendar window of {}", span(length_ms)),
            )
        }
        QuotaWindow::Month => (Meter::calendar(quota.requests, Period::Month), None, "a month".to_owned()),
    }
}

/// A length of time in words: `90s`, `1h`.
fn span(ms: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let unit = UNITS.iter().find(|(_, length)| ms >= *length && ms.is_multiple_of(*length));
    unit.map_or_else(|| format!("{ms}ms"), |(name, length)| format!("{}{name}", ms / length))
}

/// Page sizes, which cost nothing to look at; then the counts, unless something has denied the request already.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    if !ctx.snapshot.policies().has_rates() && ctx.facts.metered.is_none() {
        return;
    }
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        if let Rule::Rate(rules) = &policy.rule
            && let Some(page_size) = &rules.page_size
        {
            page_size.check(ctx.head.query(), index, ctx.notices);
        }
    }
    if ctx.notices.is_stop(ctx.snapshot.policies()) {
        return count_denied(ctx);
    }
    ctx.rates.at = micros(ctx.now);
    if !settle_shared(ctx) {
        return; // the stage runs again with the answer
    }
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Rate(rules) = &policy.rule else { continue };
        ctx.rates.responses.extend(rules.response_bytes_max.map(|max| (index, max)));
        if !rules.limits.is_empty()
            && let Some(key) = rules.key.fingerprint(ctx)
        {
            let weight = rules.weight(ctx);
            ctx.rates.charge(index, rules, key, weight, ctx.notices);
        }
        if let Some(login) = &rules.login {
            let (attempt, wish) = login::begin(ctx, index, policy.mode, login, ctx.rates.at);
            if ctx.body.is_expected && !ctx.facts.is_streaming() {
                ctx.held.want(wish.bytes);
                ctx.body.is_held |= wish.is_held;
            }
            ctx.rates.logins.push(attempt);
        }
    }
    ctx.rates.key_charge = key_quota::charge(ctx);
    if ctx.notices.is_stop(ctx.snapshot.policies()) {
        ctx.rates.give_back(ctx.snapshot.policies());
    }
}

/// Settles the limits that are shared, all with one question. `false` when the host was asked. The stage begins anew with
/// the answer; what is settled by then stays so.
fn settle_shared(ctx: &mut HeadContext<'_>) -> bool {
    let at = ctx.rates.at;
    let mut wishes: SmallVec<[(PolicyIndex, u8, CountWish); 1]> = SmallVec::new();
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Rate(rules) = &policy.rule else { continue };
        let Some(key) = rules.shared_key.as_ref().and_then(|key| key.fingerprint(ctx)) else { continue };
        let amount = rules.weight(ctx);
        for (number, limit) in (0..).zip(&rules.limits) {
            let Counts::Shared(shared) = &limit.counts else { continue };
            if ctx.rates.settled_of(index, number).is_some() {
                continue;
            }
            // Whoever was told to wait for an answer takes what the answer says.
            let is_answered = ctx.asked.reply_to(&COUNTS).is_some();
            match if is_answered { None } else { shared.spend(key, at, amount) } {
                Some(counted) => ctx.rates.settled.push(Settled { policy: index, limit: number, key, counted }),
                None => wishes.push((index, number, CountWish { limit: Arc::clone(shared), key, amount })),
            }
        }
    }
    if wishes.is_empty() {
        return true;
    }
    if ctx.asked.ask(COUNTS, || Question::Count(wishes.iter().map(|(_, _, wish)| wish.clone()).collect())) {
        return false;
    }
    let replies = match ctx.asked.reply_to(&COUNTS) {
        Some(Reply::Counted(replies)) => replies.as_slice(),
        None
        | Some(
            Reply::Done
            | Reply::Introspection(_)
            | Reply::Password { .. }
            | Reply::External { .. }
            | Reply::Unavailable,
        ) => &[],
    };
    for (number, (policy, limit, wish)) in wishes.into_iter().enumerate() {
        let counted = replies.get(number).copied().flatten();
        let counted = counted.unwrap_or_else(|| wish.limit.without_store(wish.key, at, wish.amount));
        ctx.rates.settled.push(Settled { policy, limit, key: wish.key, counted });
    }
    true
}

/// A request that was denied before its limits were asked: those that count all requests count it.
pub(crate) fn count_denied(ctx: &mut HeadContext<'_>) {
    for (_, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Rate(rules) = &policy.rule else { continue };
        if !rules.counts_all {
            continue;
        }
        let Some(key) = rules.key.fingerprint(ctx) else { continue };
        let (weight, now) = (rules.weight(ctx), micros(ctx.now));
        for limit in rules.limits.iter().filter(|limit| matches!(limit.kind, Kind::SpikeArrest | Kind::Quota)) {
            match &limit.counts {
                Counts::Own(table) => table.add(key, now, weight),
                Counts::Shared(_) => {} // shared limits count what is admitted
            }
        }
    }
}

impl Settled {
    fn charge(&self, amount: u64) -> Charge {
        let Counted { is_admitted, remaining, wait_us, place } = self.counted;
        let place = ChargedAt::Shared(place);
        let Self { policy, limit, key, .. } = *self;
        Charge { policy, limit, place, is_admitted, key, amount, remaining, wait_us }
    }
}

impl Rates {
    /// Asks every limit of one policy.
    fn charge(&mut self, policy: PolicyIndex, rules: &RateRules, key: Fingerprint, weight: u64, out: &mut Notices) {
        for (number, limit) in (0..).zip(&rules.limits) {
            let charge = match &limit.counts {
                Counts::Own(table) => {
                    let (amount, taken) = match limit.kind {
                        Kind::SpikeArrest | Kind::Quota => (weight, table.take(key, self.at, weight, rules.counts_all)),
                        Kind::Concurrency => (1, table.take(key, self.at, 1, false)),
                        Kind::Bandwidth => (0, table.peek(key, self.at)),
                    };
                    if limit.kind == Kind::Concurrency && taken.is_admitted {
                        self.in_flight.push(Place { table: Arc::clone(table), key, slot: taken.slot });
                    }
                    let (is_admitted, place) = (taken.is_admitted, ChargedAt::Own(taken.slot));
                    let (remaining, wait_us) = (taken.remaining, taken.wait_us);
                    Charge { policy, limit: number, place, is_admitted, key, amount, remaining, wait_us }
                }
                Counts::Shared(_) => match self.settled_of(policy, number) {
                    Some(settled) => settled.charge(weight),
                    None => continue, // whom it counts is not known here
                },
            };
            if !charge.is_admitted {
                let finding = limit.kind.info().finding(Location::part(Part::Connection), limit.evidence.clone());
                out.push(finding, Ground::Policy(policy, Refusal::TooManyRequests));
            }
            self.charges.push(charge);
        }
    }

    fn settled_of(&self, policy: PolicyIndex, limit: u8) -> Option<&Settled> {
        self.settled.iter().find(|settled| (settled.policy, settled.limit) == (policy, limit))
    }

    /// The request goes no further: what counts admitted requests forgets it, and it is not in flight.
    fn give_back(&mut self, policies: &Policies) {
        self.in_flight.clear();
        self.responses.clear();
        self.logins.clear();
        self.is_given_back = true;
        let at = self.at;
        self.key_charge.iter_mut().for_each(|charge| charge.give_back(at));
        for charge in self.charges.iter_mut().filter(|charge| charge.is_admitted) {
            let Some((rules, limit)) = limit_of(policies, charge) else { continue };
            if matches!(limit.kind, Kind::SpikeArrest | Kind::Quota) && !rules.counts_all {
                match (&limit.counts, charge.place) {
                    (Counts::Own(table), ChargedAt::Own(slot)) => table.give_back(charge.key, slot, at, charge.amount),
                    (Counts::Shared(shared), ChargedAt::Shared(place)) => {
                        shared.take_back(charge.key, charge.amount, place);
                    }
                    (Counts::Own(_), ChargedAt::Shared(_)) | (Counts::Shared(_), ChargedAt::Own(_)) => {}
                }
                charge.remaining += charge.amount;
            }
        }
    }

    /// The request is complete.
    pub(crate) fn request_end(&mut self, body: &HeldBody, out: &mut Notices) {
        self.logins.iter_mut().for_each(|attempt| attempt.request_end(body, out));
    }

    /// The upstream answered.
    pub(crate) fn response_head(&mut self, head: &ResponseHead<'_>, has_body: bool, out: &mut Notices) {
        self.logins.iter_mut().for_each(|attempt| attempt.response_head(head.status));
        self.logins.clear();
        let length =
            head.header("content-length").and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
        match length {
            Some(bytes) if has_body => self.compare(bytes, out),
            _ => {}
        }
    }

    /// So many more bytes of the response's body.
    pub(crate) fn response_body(&mut self, bytes: u64, out: &mut Notices) {
        self.response_bytes = self.response_bytes.saturating_add(bytes);
        self.compare(self.response_bytes, out);
    }

    /// One finding for each policy whose limit is exceeded.
    fn compare(&mut self, bytes: u64, out: &mut Notices) {
        self.responses.retain(|(policy, max)| {
            let is_exceeded = bytes > *max;
            if is_exceeded {
                let evidence = format!("more than the {max} bytes that are allowed");
                let finding = checks::RESPONSE.finding(Location::part(Part::Response), evidence);
                out.push(finding, Ground::Policy(*policy, Refusal::BadGateway));
            }
            !is_exceeded
        });
    }

    /// The exchange is over: its bytes are known, and what was not answered has not failed.
    pub(crate) fn finish(&mut self, policies: &Policies, outcome: &Outcome, now: Timestamp) {
        let bytes = outcome.request_bytes.saturating_add(outcome.response_bytes);
        let is_counted = |charge: &&Charge| charge.is_admitted && !self.is_given_back;
        for charge in self.charges.iter().filter(is_counted) {
            if let Some((_, limit)) = limit_of(policies, charge)
                && limit.kind == Kind::Bandwidth
                && let Counts::Own(table) = &limit.counts
            {
                table.add(charge.key, micros(now), bytes);
            }
        }
        // Who goes away before the answer, or is stopped, may have learned what was to be learned.
        if !matches!(outcome.ending, Ending::ClientClosed | Ending::Stopped) {
            self.logins.iter_mut().for_each(Attempt::give_back);
        }
    }
}

/// The limit that a charge is of.
fn limit_of<'a>(policies: &'a Policies, charge: &Charge) -> Option<(&'a RateRules, &'a Limit)> {
    let Rule::Rate(rules) = &policies.policy(charge.policy)?.rule else { return None };
    Some((rules, rules.limits.get(usize::from(charge.limit))?))
}

/// Whether clients are told of this policy's limits.
fn is_told(policies: &Policies, policy: PolicyIndex) -> bool {
    policies.policy(policy).is_some_and(|policy| policy.mode == Mode::Enforce)
}
