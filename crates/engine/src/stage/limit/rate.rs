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
//!
//! An API key may bring limits along: a quota of its own, and its plan. They need no `rate` policy: the `authenticate`
//! policy that let the key in answers for them, by its mode. The keys of one application count together, so that a
//! rotation neither doubles nor resets what it may use.

pub(crate) mod checks;
pub(crate) mod fields;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod page;

use std::sync::Arc;

use bartizan_config::{FailureMode, QuotaWindow, RateCount, RateSharing};
use bartizan_model::{CheckInfo, Ending, Location, Mode, Outcome, Part, ResponseHead, Timestamp};
use smallvec::SmallVec;

use crate::bounded::Digest;
use crate::counters::lease::Window;
use crate::counters::shared::{CountWish, Counted, CountedAt, SharedLimit};
use crate::counters::{Counters, Fingerprint, Meter, Outcomes, Period, SharedTerms, Slot, Table, micros};
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{Policies, PolicyIndex, Rule};
use crate::question::{Question, Reply};
use crate::snapshot::Snapshot;
use crate::stage::{Facts, HeadContext, applying};
use fields::Item;
use key::{Fingerprinter, Key};
use login::{Attempt, Login};
use page::PageSize;

/// Names the one question of this stage.
const COUNTS: Digest = *b"counts of limits that are shared";

/// Names its question when the request is complete.
pub(crate) const ATTEMPTS: Digest = *b"attempts to log in as are shared";

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
    /// Only for API keys of these plans; for all requests when empty
    plans: Box<[Box<str>]>,
    counts_all: bool,
    weight: u64,
    weight_header: Option<Box<str>>,
    limits: Box<[Limit]>,
    response_bytes_max: Option<u64>,
    page_size: Option<PageSize>,
    login: Option<Arc<Login>>,
    is_announced: bool,
    outcomes: Arc<Outcomes>,
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
    /// What the caller's API key brings along: its own quota, and its plan
    brought: SmallVec<[Arc<RateRules>; 2]>,
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
    at: LimitIndex,
    key: Fingerprint,
    counted: Counted,
}

/// What one limit said.
#[derive(Clone, Copy, Debug)]
struct Charge {
    at: LimitIndex,
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
        Self::brought(policy, &format!(" by {}", rate.key_words()), rate, counters, fingerprinter)
    }

    /// Limits that an API key brings along, under a name that no policy has. What findings say of them ends with `whose`.
    pub(crate) fn brought(
        policy: &str,
        whose: &str,
        rate: &bartizan_config::Rate,
        counters: &Counters,
        fingerprinter: Fingerprinter,
    ) -> Self {
        let key = rate.key_words();
        let own =
            |kind: Kind, meter: Meter| Counts::Own(counters.table(policy, kind.name(), &key, meter, rate.keys_max));
        let shared = |kind: Kind, requests: u64, window: Window| {
            let (is_leased, failure) = sharing(rate.sharing, kind)?;
            let keys_max = rate.keys_max;
            let terms = SharedTerms { limit: requests, window, is_leased, failure, keys_max, share_min: 0 };
            counters.shared_limit(policy, kind.name(), &key, terms).map(Counts::Shared)
        };
        let limit = |kind: Kind, counts: Counts, quota: u64, window_ms: Option<u64>, words: String| Limit {
            kind,
            counts,
            evidence: format!("{words}{whose}").into(),
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
        let login = |login| Arc::new(Login::new(login, policy, rate, fingerprinter, counters));
        let is_shared = limits.iter().any(|limit| matches!(limit.counts, Counts::Shared(_)));
        let shared_key = counters.shared_key().filter(|_| is_shared);
        Self {
            key: Key::new(&rate.key, fingerprinter),
            shared_key: shared_key.map(|key| Key::new(&rate.key, Fingerprinter::shared(key))),
            plans: rate.plans.iter().map(|plan| plan.as_str().into()).collect(),
            counts_all: rate.count == RateCount::All,
            weight: rate.weight.into(),
            weight_header: rate.weight_header.as_deref().map(Box::from),
            limits: limits.into(),
            response_bytes_max: rate.response_bytes_max,
            page_size: rate.page_size.as_ref().map(PageSize::new),
            login: rate.login.as_ref().map(login),
            is_announced: rate.announce,
            outcomes: counters.outcomes(policy),
        }
    }

    /// Whether a request is limited, by the plan of its API key.
    fn is_for(&self, facts: &Facts) -> bool {
        let plan = || facts.metered.as_ref().and_then(|metered| metered.key.plan());
        self.plans.is_empty() || plan().is_some_and(|plan| self.plans.iter().any(|known| **known == *plan))
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
    ctx.rates.brought = brought(ctx);
    let asked = ctx.rates.brought.clone();
    for (index, _, rules) in limiting(ctx.snapshot, ctx.facts, &asked) {
        if let Some(page_size) = &rules.page_size {
            page_size.check(ctx.head.query(), index, ctx.notices);
        }
    }
    if ctx.notices.is_stop(ctx.snapshot.policies()) {
        return count_denied(ctx);
    }
    ctx.rates.at = micros(ctx.now);
    if !settle_shared(ctx, &asked) || !count_unread_logins(ctx, &asked) {
        return; // the stage runs again with the answer
    }
    let mut logins: SmallVec<[(PolicyIndex, Arc<Login>); 1]> = SmallVec::new();
    for (policy, brought, rules) in limiting(ctx.snapshot, ctx.facts, &asked) {
        ctx.rates.responses.extend(rules.response_bytes_max.map(|max| (policy, max)));
        if !rules.limits.is_empty()
            && let Some(key) = rules.key.fingerprint(ctx)
        {
            let weight = rules.weight(ctx);
            let whose = ctx.facts.metered.as_ref().filter(|_| brought.is_some()).map(|metered| metered.key.id());
            ctx.rates.charge(
                LimitIndex { policy, brought, limit: 0 },
                rules,
                Asking { key, weight, whose },
                ctx.notices,
            );
        }
        logins.extend(rules.login.iter().map(|login| (policy, Arc::clone(login))));
    }
    for (policy, login) in logins {
        protect_login(ctx, policy, &login);
    }
    if ctx.notices.is_stop(ctx.snapshot.policies()) {
        ctx.rates.give_back(ctx.snapshot.policies());
    }
}

/// What the caller's API key brings along.
fn brought(ctx: &HeadContext<'_>) -> SmallVec<[Arc<RateRules>; 2]> {
    let Some(metered) = &ctx.facts.metered else { return SmallVec::new() };
    let plan = metered.key.plan().and_then(|plan| ctx.snapshot.policies().plan(plan));
    metered.key.limits().into_iter().chain(plan).cloned().collect()
}

/// All that limits a request, with the policy that answers for it: the policies that apply, then what its API key brings
/// along.
fn limiting<'a>(
    snapshot: &'a Snapshot,
    facts: &'a Facts,
    brought: &'a [Arc<RateRules>],
) -> impl Iterator<Item = (PolicyIndex, Option<u8>, &'a RateRules)> + 'a {
    let policies = applying(snapshot, facts).filter_map(move |(index, policy)| {
        let Rule::Rate(rules) = &policy.rule else { return None };
        rules.is_for(facts).then_some((index, None, &**rules))
    });
    let of_key = facts.metered.iter().flat_map(move |metered| {
        (0..).zip(brought).map(move |(number, rules): (u8, &Arc<RateRules>)| (metered.by, Some(number), &**rules))
    });
    policies.chain(of_key)
}

/// Begins an attempt to log in, which is counted when the request is complete.
fn protect_login(ctx: &mut HeadContext<'_>, policy: PolicyIndex, login: &Arc<Login>) {
    if is_counted_unread(ctx.facts) {
        return; // it is counted
    }
    let mode = ctx.snapshot.policies().policy(policy).map_or(Mode::Observe, |policy| policy.mode);
    let (attempt, wish) = login::begin(ctx, policy, mode, login, ctx.rates.at);
    if ctx.body.is_expected && !ctx.facts.is_streaming() {
        ctx.held.want(wish.bytes);
        ctx.body.is_held |= wish.is_held;
    }
    ctx.rates.logins.push(attempt);
}

/// Attempts to log in whose bodies pass by unread have no end to wait for: they count for their source, before any other
/// limit is charged. `false` when the host was asked; the stage begins anew with the answer.
fn count_unread_logins(ctx: &mut HeadContext<'_>, asked: &[Arc<RateRules>]) -> bool {
    if !is_counted_unread(ctx.facts) {
        return true;
    }
    let mut attempts = Vec::new();
    for (policy, _, rules) in limiting(ctx.snapshot, ctx.facts, asked) {
        let Some(login) = &rules.login else { continue };
        let (mut attempt, _) = login::begin(ctx, policy, Mode::Observe, login, ctx.rates.at);
        attempt.read(&HeldBody::default());
        attempts.push(attempt);
    }
    let wishes: Vec<CountWish> = attempts.iter().flat_map(Attempt::wishes).collect();
    if !wishes.is_empty() && ctx.asked.ask(ATTEMPTS, || Question::Count(wishes)) {
        return false;
    }
    let mut counted = counted(ctx.asked.reply_to(&ATTEMPTS)).iter().copied();
    attempts.iter_mut().for_each(|attempt| attempt.judge(&mut counted, ctx.notices));
    ctx.rates.logins = attempts;
    true
}

/// Whether attempts are counted at the head, as the API streams. Where no API is known they wait for the end, though
/// bodies pass by unread there too.
fn is_counted_unread(facts: &Facts) -> bool {
    facts.route.is_some() && facts.is_streaming()
}

/// Settles the limits that are shared, all with one question. `false` when the host was asked. The stage begins anew with
/// the answer; what is settled by then stays so.
fn settle_shared(ctx: &mut HeadContext<'_>, asked: &[Arc<RateRules>]) -> bool {
    let at = ctx.rates.at;
    let mut wishes: SmallVec<[(LimitIndex, CountWish); 1]> = SmallVec::new();
    for (policy, brought, rules) in limiting(ctx.snapshot, ctx.facts, asked) {
        let Some(key) = rules.shared_key.as_ref().and_then(|key| key.fingerprint(ctx)) else { continue };
        let amount = rules.weight(ctx);
        for (number, limit) in (0..).zip(&rules.limits) {
            let Counts::Shared(shared) = &limit.counts else { continue };
            let index = LimitIndex { policy, brought, limit: number };
            if ctx.rates.settled_of(index).is_some() {
                continue;
            }
            // Whoever was told to wait for an answer takes what the answer says.
            let is_answered = ctx.asked.reply_to(&COUNTS).is_some();
            match if is_answered { None } else { shared.spend(key, at, amount) } {
                Some(counted) => ctx.rates.settled.push(Settled { at: index, key, counted }),
                None => wishes.push((index, CountWish { limit: Arc::clone(shared), key, amount })),
            }
        }
    }
    if wishes.is_empty() {
        return true;
    }
    if ctx.asked.ask(COUNTS, || Question::Count(wishes.iter().map(|(_, wish)| wish.clone()).collect())) {
        return false;
    }
    let replies = counted(ctx.asked.reply_to(&COUNTS));
    for (number, (index, wish)) in wishes.into_iter().enumerate() {
        let counted = replies.get(number).copied().flatten();
        let counted = counted.unwrap_or_else(|| wish.limit.without_store(wish.key, at, wish.amount));
        ctx.rates.settled.push(Settled { at: index, key: wish.key, counted });
    }
    true
}

/// How the host counted each wish; nothing where it did not.
fn counted(reply: Option<&Reply>) -> &[Option<Counted>] {
    match reply {
        Some(Reply::Counted(replies)) => replies,
        None
        | Some(
            Reply::Done
            | Reply::Introspection(_)
            | Reply::Password { .. }
            | Reply::External { .. }
            | Reply::Unavailable,
        ) => &[],
    }
}

/// A request that was denied before its limits were asked: those that count all requests count it.
pub(crate) fn count_denied(ctx: &mut HeadContext<'_>) {
    for (_, _, rules) in limiting(ctx.snapshot, ctx.facts, &[]) {
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

/// Which limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LimitIndex {
    /// The policy that answers for it
    policy: PolicyIndex,
    /// Number of its rules among those that the caller's API key brings along; `None` = the policy's own
    brought: Option<u8>,
    /// Its number within its rules
    limit: u8,
}

/// What the limits of some rules are asked.
#[derive(Clone, Copy)]
struct Asking<'a> {
    key: Fingerprint,
    weight: u64,
    /// Id of the API key that brings them along
    whose: Option<&'a str>,
}

impl Settled {
    fn charge(&self, amount: u64) -> Charge {
        let Counted { is_admitted, remaining, wait_us, place } = self.counted;
        let place = ChargedAt::Shared(place);
        let Self { at, key, .. } = *self;
        Charge { at, place, is_admitted, key, amount, remaining, wait_us }
    }
}

impl Rates {
    /// Asks every limit of one policy, or of what an API key brings along; `first` is the index of the first.
    fn charge(&mut self, first: LimitIndex, rules: &RateRules, asking: Asking<'_>, out: &mut Notices) {
        let mut is_admitted = true;
        for (number, limit) in (0..).zip(&rules.limits) {
            let at = LimitIndex { limit: number, ..first };
            let charge = match &limit.counts {
                Counts::Own(table) => self.charge_own(at, limit.kind, table, asking, rules.counts_all),
                Counts::Shared(_) => match self.settled_of(at) {
                    Some(settled) => settled.charge(asking.weight),
                    None => continue, // whom it counts is not known here
                },
            };
            if !charge.is_admitted {
                let evidence = match asking.whose {
                    Some(id) => format!("{} with key `{id}`", limit.evidence),
                    None => limit.evidence.to_string(),
                };
                let finding = limit.kind.info().finding(Location::part(Part::Connection), evidence);
                out.push(finding, Ground::Policy(at.policy, Refusal::TooManyRequests));
            }
            is_admitted &= charge.is_admitted;
            self.charges.push(charge);
        }
        rules.outcomes.note(is_admitted);
    }

    /// Asks a limit that is counted here.
    fn charge_own(
        &mut self,
        at: LimitIndex,
        kind: Kind,
        table: &Arc<Table>,
        asking: Asking<'_>,
        counts_all: bool,
    ) -> Charge {
        let Asking { key, weight, .. } = asking;
        let (amount, taken) = match kind {
            Kind::SpikeArrest | Kind::Quota => (weight, table.take(key, self.at, weight, counts_all)),
            Kind::Concurrency => (1, table.take(key, self.at, 1, false)),
            Kind::Bandwidth => (0, table.peek(key, self.at)),
        };
        if kind == Kind::Concurrency && taken.is_admitted {
            self.in_flight.push(Place { table: Arc::clone(table), key, slot: taken.slot });
        }
        Charge {
            at,
            place: ChargedAt::Own(taken.slot),
            is_admitted: taken.is_admitted,
            key,
            amount,
            remaining: taken.remaining,
            wait_us: taken.wait_us,
        }
    }

    fn settled_of(&self, at: LimitIndex) -> Option<&Settled> {
        self.settled.iter().find(|settled| settled.at == at)
    }

    /// The request goes no further: what counts admitted requests forgets it, and it is not in flight.
    fn give_back(&mut self, policies: &Policies) {
        self.in_flight.clear();
        self.responses.clear();
        self.logins.drain(..).for_each(|mut attempt| attempt.give_back());
        self.is_given_back = true;
        let at = self.at;
        for charge in self.charges.iter_mut().filter(|charge| charge.is_admitted) {
            let Some((rules, limit)) = limit_of(policies, &self.brought, charge.at) else { continue };
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

    /// The request is complete: what is to be counted in the store before [`Self::request_end`].
    pub(crate) fn wishes_at_end(&mut self, body: &HeldBody) -> Vec<CountWish> {
        self.logins.iter_mut().for_each(|attempt| attempt.read(body));
        self.logins.iter().flat_map(Attempt::wishes).collect()
    }

    /// The request is complete, and `reply` is what the host said of those wishes.
    pub(crate) fn request_end(&mut self, reply: Option<&Reply>, out: &mut Notices) {
        let mut counted = counted(reply).iter().copied();
        self.logins.iter_mut().for_each(|attempt| attempt.judge(&mut counted, out));
    }

    /// The upstream answered.
    pub(crate) fn response_head(&mut self, head: &ResponseHead<'_>, has_body: bool, out: &mut Notices) {
        self.logins.iter_mut().for_each(|attempt| attempt.response_head(head.status));
        self.logins.clear();
        if !has_body || self.responses.is_empty() {
            return;
        }
        let length =
            head.header("content-length").and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
        if let Some(bytes) = length {
            self.compare(bytes, out);
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
            if let Some((_, limit)) = limit_of(policies, &self.brought, charge.at)
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
        self.logins.iter_mut().for_each(Attempt::fail);
    }
}

/// The limit of this index.
fn limit_of<'a>(
    policies: &'a Policies,
    brought: &'a [Arc<RateRules>],
    at: LimitIndex,
) -> Option<(&'a RateRules, &'a Limit)> {
    if let Some(number) = at.brought {
        let rules = brought.get(usize::from(number))?;
        return Some((rules, rules.limits.get(usize::from(at.limit))?));
    }
    let Rule::Rate(rules) = &policies.policy(at.policy)?.rule else { return None };
    Some((rules, rules.limits.get(usize::from(at.limit))?))
}

/// Whether clients are told of this policy's limits.
fn is_told(policies: &Policies, policy: PolicyIndex) -> bool {
    policies.policy(policy).is_some_and(|policy| policy.mode == Mode::Enforce)
}
