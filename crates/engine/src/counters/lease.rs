//! Quotas shared by gateways, leased in blocks: the rules, without the network.
//!
//! One ledger a key is kept in the shared store. It grants blocks of tokens, each at most a part of what remains, down to
//! single ones near the limit. A gateway's [`Lease`] spends them without asking, asks for more in the background when
//! few are left or the lease ends soon, and gives back what it did not spend when the lease lapses. How much it asks for
//! follows what it spent lately. So the request path waits for the store only when nothing is held: when a key begins,
//! grows faster than a round trip, or comes back after a lapse.
//!
//! Never more than the limit: a token granted at `g` is spent before `g + lease`. The ledger counts grants in windows
//! that are longer by the lease, so whatever is spent in one window was granted in one of the ledger's. A gateway
//! measures the lease from when it *asked*, on its own clock: clocks need not agree, and a slow answer shortens the
//! lease. Tokens of a gateway that dies count as spent, until their window is over. By calendar, a lease ends with its
//! window.

/// A block is at most this part of a gateway's even share of what remains: large enough to ask seldom, small enough that
/// what idle gateways hold is little.
const BLOCKS_OF_A_SHARE: u64 = 4;

/// Leases that fit into a window: what the longer window of the ledger costs is one part in so many.
const LEASES_OF_A_WINDOW: u64 = 240;

/// Least length of a lease in microseconds: many round trips to a store nearby.
const LEASE_MIN_US: u64 = 100_000;

/// LIMIT: length of a lease in microseconds: for so long a dead or idle gateway can keep tokens from the others.
const LEASE_MAX_US: u64 = 5_000_000;

/// Tokens that a key begins with: most keys come by a few times and go.
const FIRST_BLOCK: u64 = 4;

/// The window of a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Any window of this length, in microseconds
    Rolling {
        /// Microseconds
        length_us: u64,
    },
    /// Each window of this length, one of which begins at `start_us`
    Calendar {
        /// Microseconds
        length_us: u64,
        /// Microseconds since the epoch
        start_us: i64,
    },
    /// Each calendar month in UTC
    Month,
    /// GCRA: one each interval, and so many at once. It is not leased
    Pace {
        /// Microseconds, rounded up
        interval_us: u64,
        /// At once
        burst: u64,
    },
}

/// Numbers of a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// At most so many
    pub limit: u64,
    /// In each such window
    pub window: Window,
    /// Gateways that share it, at least 1
    pub gateways: u64,
}

/// What the store grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Tokens to spend; 0 when too few remain
    pub tokens: u64,
    /// The store's time of the grant, in microseconds: goes back with what is not spent
    pub granted_at: u64,
    /// How long they hold, from when the gateway asked, in microseconds
    pub lease_us: u64,
    /// When nothing was granted: how long until there may be more, in microseconds; `u64::MAX` for never
    pub wait_us: u64,
    /// What remains with the store after it
    pub remaining: u64,
}

/// Tokens that were not spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// From [`Grant::granted_at`]
    pub granted_at: u64,
    /// How many
    pub tokens: u64,
}

/// A gateway's side of one key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lease {
    tokens: u64,
    block: u64,
    /// How many to ask for next
    wanted: u64,
    granted_at: u64,
    /// What remained with the store
    remaining: u64,
    asked_at: u64,
    /// From when on it is worth asking for the next, so that nobody has to wait for it
    renew_at: u64,
    until: u64,
    refused_until: u64,
    is_asking: bool,
}

/// What a gateway does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Admit it
    Admitted {
        /// And ask the store for more, without waiting for it
        ask: bool,
        /// The grant that the tokens are of
        granted_at: u64,
        /// What is left here, and was left with the store when it last answered
        remaining: u64,
    },
    /// Refuse it: the store has nothing for so many microseconds
    Refused {
        /// Microseconds
        wait_us: u64,
    },
    /// Nothing is held: ask the store and wait for its answer, or for that to another request's question
    Ask {
        /// No other request has asked yet
        is_first: bool,
    },
}

impl Terms {
    /// How long a lease holds, in microseconds; 0 for what is not leased.
    pub fn lease_us(&self) -> u64 {
        let window_us = match self.window {
            Window::Rolling { length_us } | Window::Calendar { length_us, .. } => length_us,
            Window::Month => u64::MAX,
            Window::Pace { .. } => return 0,
        };
        (window_us / LEASES_OF_A_WINDOW).clamp(LEASE_MIN_US, LEASE_MAX_US)
    }

    /// How many blocks what remains is cut into.
    pub fn blocks(&self) -> u64 {
        BLOCKS_OF_A_SHARE * self.gateways
    }

    /// What each gateway may admit alone; of a small limit and many gateways, nothing.
    pub fn share(&self) -> u64 {
        self.limit / self.gateways
    }
}

impl Lease {
    /// Spends `amount` if so many are held. `now` is the gateway's time in microseconds. A clock that stepped back to
    /// before the question ends the lease: how long it has held is not known then.
    pub fn spend(&mut self, now: u64, amount: u64) -> Spend {
        if (self.asked_at..self.until).contains(&now) && self.tokens >= amount {
            self.tokens -= amount;
            let is_low = self.tokens.saturating_mul(2) < self.block;
            let ask = !self.is_asking && (is_low || now >= self.renew_at);
            if ask {
                let spent = self.block - self.tokens;
                self.wanted = if now < self.renew_at { self.block.saturating_mul(2) } else { spent.saturating_mul(3) };
                self.is_asking = true;
            }
            let remaining = self.remaining.saturating_add(self.tokens);
            return Spend::Admitted { ask, granted_at: self.granted_at, remaining };
        }
        if now < self.refused_until {
            return Spend::Refused { wait_us: self.refused_until - now };
        }
        let is_first = !self.is_asking;
        self.is_asking = true;
        Spend::Ask { is_first }
    }

    /// How many tokens to ask the store for, when `amount` are needed.
    pub fn wish(&self, amount: u64) -> u64 {
        self.wanted.max(amount.saturating_mul(FIRST_BLOCK))
    }

    /// The store answered a question asked at `asked_at`, on the gateway's clock. What an older grant left goes back.
    pub fn granted(&mut self, asked_at: u64, grant: Grant) -> Option<Return> {
        self.is_asking = false;
        if grant.tokens == 0 {
            // Others may give tokens back before the window does: it is worth asking again after a lease.
            self.refused_until = asked_at.saturating_add(grant.wait_us.min(grant.lease_us));
            return None;
        }
        let unspent = self.unspent();
        *self = Self {
            tokens: grant.tokens,
            block: grant.tokens,
            wanted: self.wanted,
            granted_at: grant.granted_at,
            remaining: grant.remaining,
            asked_at,
            renew_at: asked_at.saturating_add(grant.lease_us / 4 * 3),
            until: asked_at.saturating_add(grant.lease_us),
            refused_until: 0,
            is_asking: false,
        };
        unspent
    }

    /// The store did not answer a question that [`Spend`] asked for: whoever waits is judged by the failure mode. Every
    /// such question ends here or in [`Self::granted`]; until it does, no other is asked.
    pub fn unanswered(&mut self) {
        self.is_asking = false;
    }

    /// What was spent of this grant was not needed after all. Whether it is still held here; otherwise it goes back to
    /// the store.
    pub fn take_back(&mut self, granted_at: u64, amount: u64) -> bool {
        let is_held = self.granted_at == granted_at && self.until > 0;
        if is_held {
            self.tokens += amount;
        }
        is_held
    }

    /// What has lapsed and goes back to the store; call it now and then.
    pub fn lapse(&mut self, now: u64) -> Option<Return> {
        if now < self.until { None } else { self.end() }
    }

    /// Ends the lease: what is left goes back to the store.
    pub fn end(&mut self) -> Option<Return> {
        self.until = 0;
        self.unspent()
    }

    /// Whether the lease is that of this grant.
    pub fn is_of(&self, granted_at: u64) -> bool {
        self.granted_at == granted_at
    }

    /// Whether nothing is held, and nothing asked for.
    pub fn is_idle(&self) -> bool {
        !self.is_asking && self.tokens == 0
    }

    fn unspent(&mut self) -> Option<Return> {
        let tokens = std::mem::take(&mut self.tokens);
        self.block = 0;
        (tokens > 0).then_some(Return { granted_at: self.granted_at, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::calendar::Period;
    use crate::counters::meter::Meter;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;
    const BEGIN: u64 = 1_767_225_600 * SECOND;

    /// The store's side of one key, as the script in the store has it: what it counts with differs, not what it promises.
    #[derive(Clone, Debug)]
    struct Ledger {
        terms: Terms,
        meter: Meter,
        state: Vec<u64>,
    }

    impl Ledger {
        fn new(terms: Terms) -> Self {
            let meter = match terms.window {
                Window::Calendar { length_us, start_us } => {
                    Meter::calendar(terms.limit, Period::Every { length_us, start_us })
                }
                Window::Rolling { length_us } => Meter::window(terms.limit, length_us + terms.lease_us()),
                Window::Month | Window::Pace { .. } => unreachable!("not simulated"),
            };
            Self { state: vec![0; meter.words()], meter, terms }
        }

        /// Tokens of one grant: at least what is asked for, while it remains.
        fn block(&self, remaining: u64, amount: u64, wish: u64) -> u64 {
            if amount > remaining { 0 } else { wish.min(remaining / self.terms.blocks()).max(amount) }
        }

        fn grant(&mut self, now: u64, amount: u64, wish: u64) -> Grant {
            self.meter.settle(&mut self.state, now);
            let before = self.meter.remaining(&self.state, now);
            let tokens = self.block(before, amount, wish);
            self.meter.add(&mut self.state, now, tokens);
            let lease_us = match self.terms.window {
                Window::Calendar { .. } => {
                    self.meter.expires(&self.state).saturating_sub(now).min(self.terms.lease_us())
                }
                Window::Rolling { .. } | Window::Month | Window::Pace { .. } => self.terms.lease_us(),
            };
            let wait_us = if tokens == 0 { self.meter.wait(&self.state, now, amount) } else { 0 };
            Grant { tokens, granted_at: now, lease_us, wait_us, remaining: before - tokens }
        }

        fn give_back(&mut self, now: u64, unspent: Return) {
            self.meter.settle(&mut self.state, now);
            self.meter.give_back(&mut self.state, unspent.granted_at, unspent.tokens);
        }
    }

    fn rolling(limit: u64, length_us: u64, gateways: u64) -> Terms {
        Terms { limit, window: Window::Rolling { length_us }, gateways }
    }

    fn calendar(limit: u64, length_us: u64, gateways: u64) -> Terms {
        Terms { limit, window: Window::Calendar { length_us, start_us: 0 }, gateways }
    }

    /// What is under way between a gateway and the store.
    enum Message {
        /// To the store; an answer that gets lost is not sent
        Question { asked_at: u64, wish: u64, is_lost: bool },
        /// To the gateway
        Answer { asked_at: u64, grant: Grant },
        /// To the store
        Unspent(Return),
    }

    /// Gateways with clocks that differ, one store, answers that take their time, some of which get lost. Everything
    /// happens in the order of its time: a store that heard of a later time has rightly forgotten what an earlier one
    /// still had to count.
    struct Cluster {
        ledger: Ledger,
        leases: Vec<Lease>,
        skews: Vec<u64>,
        /// Arrival, gateway, what; in the order in which it was sent
        messages: Vec<(u64, usize, Message)>,
        /// Time of what happened last
        time: u64,
        /// Requests of each gateway that wait for an answer
        waiting: Vec<u64>,
        waited: u64,
        admitted: Vec<u64>,
        /// Of a question and its answer
        latency: u64,
        loses: bool,
        asked: u64,
    }

    impl Cluster {
        fn new(terms: Terms, gateways: usize, latency: u64, loses: bool) -> Self {
            Self {
                ledger: Ledger::new(terms),
                leases: vec![Lease::default(); gateways],
                skews: (0..gateways as u64).map(|at| at * 77 * SECOND).collect(),
                messages: Vec::new(),
                time: BEGIN,
                waiting: vec![0; gateways],
                waited: 0,
                admitted: Vec::new(),
                latency,
                loses,
                asked: 0,
            }
        }

        fn ask(&mut self, at: usize, now: u64) {
            self.asked += 1;
            let is_lost = self.loses && self.asked.is_multiple_of(7);
            if is_lost {
                self.leases[at].unanswered(); // the grant will be gone, as if the gateway had died
                self.waiting[at] = 0;
            }
            let (asked_at, wish) = (now + self.skews[at], self.leases[at].wish(1));
            self.messages.push((now + self.latency / 2, at, Message::Question { asked_at, wish, is_lost }));
        }

        fn send_back(&mut self, at: usize, now: u64, unspent: Option<Return>) {
            if let Some(unspent) = unspent {
                self.messages.push((now + self.latency / 2, at, Message::Unspent(unspent)));
            }
        }

        /// Delivers what arrives until `now`, the earliest first: a delivery may send what arrives before the next.
        fn settle(&mut self, now: u64) {
            while let Some(next) = (0..self.messages.len()).min_by_key(|at| self.messages[*at].0)
                && self.messages[next].0 <= now
            {
                let (arrival, at, message) = self.messages.remove(next);
                self.pass(arrival);
                self.deliver(at, arrival, message);
            }
            self.pass(now);
        }

        /// Time passes, and leases lapse.
        fn pass(&mut self, now: u64) {
            assert!(self.time <= now, "{now} happens after {}", self.time);
            self.time = now;
            for at in 0..self.leases.len() {
                let unspent = self.leases[at].lapse(now + self.skews[at]);
                self.send_back(at, now, unspent);
            }
        }

        fn deliver(&mut self, at: usize, now: u64, message: Message) {
            match message {
                Message::Question { asked_at, wish, is_lost } => {
                    let grant = self.ledger.grant(now, 1, wish);
                    if !is_lost {
                        let arrival = now + self.latency.div_ceil(2);
                        self.messages.push((arrival, at, Message::Answer { asked_at, grant }));
                    }
                }
                Message::Answer { asked_at, grant } => {
                    let unspent = self.leases[at].granted(asked_at, grant);
                    self.send_back(at, now, unspent);
                    (0..std::mem::take(&mut self.waiting[at])).for_each(|_| self.serve(at, now));
                }
                Message::Unspent(unspent) => self.ledger.give_back(now, unspent),
            }
        }

        /// A request; where it has to, it waits for one answer.
        fn request(&mut self, at: usize, now: u64) {
            self.settle(now);
            self.serve(at, now);
        }

        fn serve(&mut self, at: usize, now: u64) {
            match self.leases[at].spend(now + self.skews[at], 1) {
                Spend::Admitted { ask, .. } => {
                    self.admitted.push(now);
                    if ask {
                        self.ask(at, now);
                    }
                }
                Spend::Ask { is_first } => {
                    self.waiting[at] += 1;
                    self.waited += 1;
                    if is_first {
                        self.ask(at, now);
                    }
                }
                Spend::Refused { .. } => {}
            }
        }

        fn most_in_any_window(&self, window: u64) -> usize {
            let mut times = self.admitted.clone();
            times.sort_unstable();
            (0..times.len())
                .map(|first| times[first..].iter().take_while(|time| **time < times[first] + window).count())
                .max()
                .unwrap_or_default()
        }
    }

    /// Pauses between requests, in microseconds.
    const PAUSES: [u64; 6] = [0, 1, 5_000, 90_000, 1_000_000, 9_999_999];

    /// What the property below once found, each pause by its place in [`PAUSES`]: a simulation that delivered the answer
    /// to the previous question only with the next request let the store's clock run forth and back, by minutes in the end.
    const LATE_ANSWERS: &str = concat!(
        "532310215554523050315201414050103544213512550532131054535445443132043001223240312323154412",
        "043410105200544401032022322131520341404211452312055245353141040215054304404142430551054543",
        "503513311113532233014324400333425011533221130442214112200210043321052545144045522301211122",
        "533313345223233303121454020341153022423504344032454311252245440243013440355042045050353415",
        "30500551431540540043451021054233141502054",
    );

    #[test]
    fn a_lone_gateway_that_waits_for_each_answer_never_admits_more_than_the_limit_in_any_window() {
        let window = 10 * SECOND;
        let mut cluster = Cluster::new(rolling(10, window, 1), 1, 75_000, false);
        let mut now = BEGIN;
        for digit in LATE_ANSWERS.bytes() {
            now += PAUSES[usize::from(digit - b'0')];
            cluster.request(0, now);
        }
        assert_eq!(cluster.most_in_any_window(window), 10);
    }

    #[test]
    fn a_token_spent_at_the_end_of_its_lease_counts_for_a_whole_window() {
        let window = 10 * SECOND;
        let terms = rolling(10, window, 1);
        let lease = terms.lease_us();
        for (late, again) in [(lease - 1, window), (lease, window), (lease * 2 - 1, window + lease)] {
            let mut cluster = Cluster::new(terms, 1, 0, false);
            cluster.request(0, BEGIN);
            for now in [BEGIN + late, BEGIN + again] {
                (0..50).for_each(|_| cluster.request(0, now));
            }
            assert_eq!(cluster.most_in_any_window(window), 10, "late by {late}, again after {again}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn gateways_together_never_admit_more_than_the_limit_in_any_window(
            limit in 1u64..400,
            gateways in 1usize..7,
            latency in 0u64..400_000,
            loses in any::<bool>(),
            steps in proptest::collection::vec((0usize..7, prop::sample::select(PAUSES.to_vec())), 1..1500),
        ) {
            let window = 10 * SECOND;
            let mut cluster = Cluster::new(rolling(limit, window, gateways as u64), gateways, latency, loses);
            let mut now = BEGIN;
            for (at, pause) in steps {
                now += pause;
                cluster.request(at % gateways, now);
            }
            prop_assert!(cluster.most_in_any_window(window) as u64 <= limit);
        }

        #[test]
        fn a_calendar_quota_is_never_exceeded_in_its_window(
            limit in 1u64..400,
            gateways in 1usize..7,
            latency in 0u64..400_000,
            steps in proptest::collection::vec((0usize..7, prop::sample::select(vec![0u64, 1, 5_000, 90_000, 1_000_000])), 1..1500),
        ) {
            let length = 20 * SECOND;
            let mut cluster = Cluster::new(calendar(limit, length, gateways as u64), gateways, latency, true);
            let mut now = BEGIN;
            for (at, pause) in steps {
                now += pause;
                cluster.request(at % gateways, now);
            }
            let mut by_window = std::collections::BTreeMap::<u64, u64>::new();
            cluster.admitted.iter().for_each(|time| *by_window.entry(time / length).or_default() += 1);
            prop_assert!(by_window.values().all(|count| *count <= limit), "{:?}", by_window);
        }
    }

    /// Demand of twice the limit over four gateways, `share` of it at the first; parts of the limit that were admitted in
    /// whole windows after the first.
    fn admitted_part(limit: u64, share: u64, is_calendar: bool) -> f64 {
        let window = 60 * SECOND;
        let terms = match is_calendar {
            true => calendar(limit, window, 4),
            false => rolling(limit, window, 4),
        };
        let mut cluster = Cluster::new(terms, 4, 2_000, false);
        let pause = window / (limit * 2);
        let windows = 5;
        for request in 0..limit * 2 * windows {
            let dice = request * 7919 % 100;
            let at = if dice < share { 0 } else { 1 + (dice % 3) as usize };
            cluster.request(at, BEGIN + request * pause);
        }
        let later = cluster.admitted.iter().filter(|time| **time >= BEGIN + window).count();
        later as f64 / (limit * (windows - 1)) as f64
    }

    #[test]
    fn under_skewed_load_nearly_all_of_the_limit_is_admitted() {
        for limit in [100, 1_000, 20_000] {
            for share in [25, 90, 100] {
                let calendar = admitted_part(limit, share, true);
                assert!((0.95..=1.0).contains(&calendar), "calendar {limit}, {share} %: {calendar}");
                let rolling = admitted_part(limit, share, false);
                assert!((0.95..=1.0).contains(&rolling), "rolling {limit}, {share} %: {rolling}");
            }
        }
    }

    #[test]
    fn a_steady_key_asks_seldom_and_waits_only_at_its_beginning() {
        let mut cluster = Cluster::new(rolling(100_000, 60 * SECOND, 4), 4, 2_000, false);
        (0..10_000).for_each(|request| cluster.request(0, BEGIN + request * 5_000));
        assert_eq!((cluster.admitted.len(), cluster.waited), (10_000, 1), "only the first had to wait");
        let lapses = 10_000 * 5_000 / rolling(1, 60 * SECOND, 4).lease_us();
        assert!(cluster.asked <= lapses * 2, "{} for {lapses}", cluster.asked);
    }

    #[test]
    fn a_key_that_comes_by_once_takes_little_from_the_others() {
        let mut cluster = Cluster::new(rolling(1_000_000, 60 * SECOND, 2), 2, 0, false);
        cluster.request(0, BEGIN);
        cluster.settle(BEGIN + 1);
        let held = 1_000_000 - cluster.ledger.meter.remaining(&cluster.ledger.state, BEGIN + 1);
        assert_eq!(held, FIRST_BLOCK);
    }

    #[test]
    fn a_clock_that_steps_back_ends_the_lease() {
        let mut lease = Lease::default();
        let grant = Grant { tokens: 8, granted_at: 7, lease_us: 1000, wait_us: 0, remaining: 90 };
        assert_eq!(lease.granted(5000, grant), None);
        let admitted = |remaining| Spend::Admitted { ask: false, granted_at: 7, remaining };
        assert_eq!(lease.spend(5001, 1), admitted(97));
        assert_eq!(lease.spend(4999, 1), Spend::Ask { is_first: true });
    }

    #[test]
    fn what_is_taken_back_can_be_spent_again_while_its_grant_holds() {
        let mut lease = Lease::default();
        lease.granted(0, Grant { tokens: 1, granted_at: 7, lease_us: 1000, wait_us: 0, remaining: 0 });
        assert!(matches!(lease.spend(1, 1), Spend::Admitted { granted_at: 7, .. }));
        assert!(!lease.take_back(6, 1), "of another grant");
        assert!(lease.take_back(7, 1));
        assert!(matches!(lease.spend(2, 1), Spend::Admitted { .. }));
        assert_eq!(lease.lapse(1000), None, "all is spent");
        assert!(!lease.take_back(7, 1), "the lease is over: it goes back to the store");
    }

    #[test]
    fn a_lease_is_short_beside_its_window() {
        let lease = |length_us| rolling(1, length_us, 1).lease_us();
        assert_eq!([lease(SECOND), lease(60 * SECOND), lease(86_400 * SECOND)], [100_000, 250_000, 5_000_000]);
    }
}
