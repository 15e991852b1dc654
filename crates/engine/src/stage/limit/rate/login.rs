//! LIM-207: too many failed attempts to log in, at one account or from one network. Source: CWE-307; OWASP API2:2023.
//!
//! An attempt counts when it is made and is taken back when the answer says that it did not fail: a thousand attempts
//! sent at once are a thousand, though none has been answered. An attempt that succeeds takes back itself alone: who
//! logs in to an account of his own in between goes on with the count he had.
//!
//! The account is taken from the body, in every reading that a service may have: what it is called, what it begins like,
//! and a form where it is called nothing that is known. A member counts under every spelling that some server takes for
//! it, and a name given twice counts for both. Accounts are compared without case and surrounding space, as most services do. Only a keyed hash of it is kept. The answer to a refused attempt has
//! the same shape and the same `Retry-After` whatever was exceeded, and whether there is such an account.
//!
//! Attempts that gateways share are counted in the store one by one, when the request is complete; without an answer the
//! failure mode decides, and the store is told later of those that failed.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_config::{FailureMode, RateSharing};
use bartizan_content::{Format, Limits, decode};
use bartizan_model::{Location, Mode, Part, Source};
use smallvec::SmallVec;

use super::key::Fingerprinter;
use super::{ChargedAt, Counts, checks};
use crate::counters::lease::Window;
use crate::counters::shared::{CountWish, Counted};
use crate::counters::{Counters, Fingerprint, Meter, Outcomes, SharedTerms};
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::parameters::{below, folded, is_dotted, plain_name};
use crate::policy::PolicyIndex;
use crate::stage::HeadContext;
use crate::stage::access::media::{Body, BodyForm, second_reading};

/// LIMIT: different accounts that one attempt may name; honest ones name one, and more is a way around the count.
const ACCOUNTS_MAX: usize = 8;

/// Attempts that each gateway admits alone, though its share be less: a store that is away locks nobody out.
const SHARE_MIN: u64 = 1;

/// Microseconds of a millisecond.
const MILLISECOND: u64 = 1000;

/// Tags of the two counts, apart from those of other keys.
const ACCOUNT: u8 = 64;
const SOURCE: u8 = 65;

/// Login protection of a policy, compiled.
#[derive(Debug)]
pub(crate) struct Login {
    /// Path of the member that names it, as members of JSON are compared, and as those of forms are
    account: Box<[u8]>,
    plain_account: Box<[u8]>,
    per_account: Attempts,
    per_source: Attempts,
    failures: Box<[u16]>,
    body_bytes_max: usize,
    outcomes: Arc<Outcomes>,
}

#[derive(Debug)]
struct Attempts {
    counts: Counts,
    /// Makes the keys of these counts
    fingerprinter: Fingerprinter,
    /// What the finding says
    evidence: Box<str>,
    window_ms: u64,
}

/// One attempt under one policy.
#[derive(Debug)]
pub(crate) struct Attempt {
    policy: PolicyIndex,
    login: Arc<Login>,
    address: Option<IpAddr>,
    /// A recording without addresses cannot tell sources apart
    has_source: bool,
    form: BodyForm,
    at: u64,
    /// What is to be counted: the source, and each account
    whom: SmallVec<[Whom; 2]>,
    is_crowd: bool,
    is_judged: bool,
    charges: SmallVec<[Charge; 2]>,
}

/// One count that an attempt is for.
#[derive(Clone, Copy, Debug)]
struct Whom {
    is_account: bool,
    key: Fingerprint,
}

#[derive(Clone, Copy, Debug)]
struct Charge {
    whom: Whom,
    place: ChargedAt,
}

impl Login {
    pub(crate) fn new(
        login: &bartizan_config::Login,
        policy: &str,
        rate: &bartizan_config::Rate,
        fingerprinter: Fingerprinter,
        counters: &Counters,
    ) -> Self {
        let attempts = |kind: &str, whom: &str, limit: bartizan_config::Attempts| {
            let (attempts, window_us) = (u64::from(limit.attempts), limit.per_ms * MILLISECOND);
            let shared = failure(rate.sharing).and_then(|failure| {
                let window = Window::Rolling { length_us: window_us };
                let keys_max = rate.keys_max;
                let terms =
                    SharedTerms { limit: attempts, window, is_leased: false, failure, keys_max, share_min: SHARE_MIN };
                counters.shared_limit(policy, kind, &login.account, terms).map(Counts::Shared)
            });
            let own = || {
                let meter = Meter::window(attempts, window_us);
                Counts::Own(counters.table(policy, kind, &login.account, meter, rate.keys_max))
            };
            let shared_key = counters.shared_key().filter(|_| shared.is_some());
            Attempts {
                counts: shared.unwrap_or_else(own),
                fingerprinter: shared_key.map_or(fingerprinter, Fingerprinter::shared),
                evidence: format!("more than {attempts} failed attempts in {} {whom}", super::span(limit.per_ms))
                    .into(),
                window_ms: limit.per_ms,
            }
        };
        Self {
            account: folded(login.account.as_bytes()).into(),
            plain_account: plain_name(login.account.as_bytes()).as_slice().into(),
            per_account: attempts("logins of an account", "at one account", login.per_account),
            per_source: attempts("logins of a source", "from one network", login.per_source),
            failures: login.failure_statuses.as_slice().into(),
            body_bytes_max: usize::try_from(login.body_bytes_max).unwrap_or(usize::MAX),
            outcomes: counters.outcomes(policy),
        }
    }

    /// What every refused attempt is told to wait, in seconds.
    pub(crate) fn retry_after_secs(&self) -> u64 {
        self.per_account.window_ms.max(self.per_source.window_ms).div_ceil(1000)
    }

    /// The accounts that a body names, in lower case, each once; at most one more than are counted.
    fn accounts(&self, body: Body<'_>) -> Vec<String> {
        let limits = Limits::default();
        let inflated = body.unpack(&limits).and_then(|inflated| inflated.bytes);
        let bytes = inflated.as_deref().unwrap_or(body.bytes);
        let declared = body.format(bytes);
        // Servers that do not look at the media type, or look at the other one.
        let is_form_too = declared == Format::Raw || body.form.is_ambiguous && declared != Format::Form;
        let readings = [Some(declared), second_reading(declared, bytes), is_form_too.then_some(Format::Form)];
        let mut found: Vec<String> = Vec::new();
        for format in readings.into_iter().flatten() {
            self.read(format, bytes, &limits, |value| {
                let name = String::from_utf8_lossy(value).trim().to_lowercase();
                if !name.is_empty() && !found.contains(&name) && found.len() <= ACCOUNTS_MAX {
                    found.push(name);
                }
            });
        }
        found
    }

    /// Tells of each value that the account's member has in one reading of a body.
    fn read(&self, format: Format<'_>, bytes: &[u8], limits: &Limits, mut tell: impl FnMut(&[u8])) {
        let content = decode(format, bytes, limits);
        if matches!(format, Format::Form | Format::Multipart(_)) {
            let is_meant = |key: &[u8]| *plain_name(key) == *self.plain_account || is_dotted(&self.account, key);
            content.roots().filter(|pair| is_meant(pair.key())).for_each(|pair| tell(pair.value()));
            return;
        }
        let mut walk = content.walk();
        while let Some((path, leaf)) = walk.next() {
            let path = path.strip_prefix(b"json.").or_else(|| path.strip_prefix(b"xml.")).unwrap_or(path);
            let is_item = |rest: &[u8]| rest.iter().all(u8::is_ascii_digit);
            if below(&self.account, &folded(path)).is_some_and(is_item) {
                tell(leaf.value());
            }
        }
    }

    fn attempts(&self, is_account: bool) -> &Attempts {
        if is_account { &self.per_account } else { &self.per_source }
    }
}

/// What holds without the store, when attempts are counted there.
const fn failure(sharing: RateSharing) -> Option<FailureMode> {
    match sharing {
        RateSharing::Leased(failure) | RateSharing::Strict(failure) => Some(failure),
        RateSharing::Local => None,
    }
}

/// At the head of an attempt.
pub(crate) fn begin(
    ctx: &HeadContext<'_>,
    policy: PolicyIndex,
    mode: Mode,
    login: &Arc<Login>,
    at: u64,
) -> (Attempt, BodyWish) {
    let attempt = Attempt {
        policy,
        login: Arc::clone(login),
        address: ctx.facts.client.ip,
        has_source: ctx.facts.client.ip.is_some() || ctx.source == Source::Gateway,
        form: BodyForm::of(ctx),
        at,
        whom: SmallVec::new(),
        is_crowd: false,
        is_judged: false,
        charges: SmallVec::new(),
    };
    (attempt, BodyWish { bytes: login.body_bytes_max, is_held: mode == Mode::Enforce })
}

/// What an attempt needs of the request's body.
pub(crate) struct BodyWish {
    pub(crate) bytes: usize,
    pub(crate) is_held: bool,
}

impl Attempt {
    /// The request is complete: finds out whom the attempt is counted for.
    pub(crate) fn read(&mut self, body: &HeldBody) {
        if self.is_judged {
            return;
        }
        let login = Arc::clone(&self.login);
        let accounts = login.accounts(self.form.body(body, login.body_bytes_max));
        self.is_crowd = accounts.len() > ACCOUNTS_MAX;
        if self.has_source {
            let mut source = login.per_source.fingerprinter.begin();
            source.network(SOURCE, self.address);
            self.whom.push(Whom { is_account: false, key: source.finish() });
        }
        for account in accounts.iter().take(ACCOUNTS_MAX) {
            let mut material = login.per_account.fingerprinter.begin();
            material.piece(ACCOUNT, account.as_bytes());
            self.whom.push(Whom { is_account: true, key: material.finish() });
        }
    }

    /// What is to be counted in the store, in the order that [`Self::judge`] takes the answers in.
    pub(crate) fn wishes(&self) -> impl Iterator<Item = CountWish> + '_ {
        self.whom.iter().filter_map(|whom| match &self.login.attempts(whom.is_account).counts {
            Counts::Own(_) => None,
            Counts::Shared(limit) => Some(CountWish { limit: Arc::clone(limit), key: whom.key, amount: 1 }),
        })
    }

    /// Counts the attempt, or finds it one too many. `counted` is what the store said of each wish.
    pub(crate) fn judge(&mut self, counted: &mut dyn Iterator<Item = Option<Counted>>, out: &mut Notices) {
        if std::mem::replace(&mut self.is_judged, true) {
            return;
        }
        let login = Arc::clone(&self.login);
        let mut exceeded = None;
        for whom in std::mem::take(&mut self.whom) {
            let is_admitted = match &login.attempts(whom.is_account).counts {
                Counts::Own(table) => {
                    let taken = table.take(whom.key, self.at, 1, false);
                    self.note(whom, ChargedAt::Own(taken.slot), taken.is_admitted)
                }
                Counts::Shared(limit) => {
                    let counted = counted.next().flatten();
                    let counted = counted.unwrap_or_else(|| limit.alone(whom.key, self.at, 1));
                    self.note(whom, ChargedAt::Shared(counted.place), counted.is_admitted)
                }
            };
            if !is_admitted {
                exceeded = exceeded.or(Some(whom.is_account));
            }
        }
        login.outcomes.note(exceeded.is_none() && !self.is_crowd);
        let evidence = match exceeded {
            Some(is_account) => &*login.attempts(is_account).evidence,
            None if self.is_crowd => "one attempt names many accounts",
            None => return,
        };
        let finding = checks::LOGIN.finding(Location::part(Part::Body), evidence);
        out.push(finding, Ground::Policy(self.policy, Refusal::TooManyRequests));
        self.give_back();
    }

    /// What a refused attempt is told to wait, in seconds.
    pub(crate) fn retry_after_secs(&self) -> u64 {
        self.login.retry_after_secs()
    }

    /// The upstream answered.
    pub(crate) fn response_head(&mut self, status: u16) {
        if self.login.failures.contains(&status) {
            self.fail();
        } else {
            self.give_back();
        }
    }

    /// It stays counted; the store is told of what it was not asked.
    pub(crate) fn fail(&mut self) {
        for Charge { whom, place } in self.charges.drain(..) {
            if let (Counts::Shared(limit), ChargedAt::Shared(place)) =
                (&self.login.attempts(whom.is_account).counts, place)
            {
                limit.report_alone(whom.key, 1, place);
            }
        }
    }

    /// Takes back what this attempt counted for.
    pub(crate) fn give_back(&mut self) {
        for Charge { whom, place } in self.charges.drain(..) {
            match (&self.login.attempts(whom.is_account).counts, place) {
                (Counts::Own(table), ChargedAt::Own(slot)) => table.give_back(whom.key, slot, self.at, 1),
                (Counts::Shared(limit), ChargedAt::Shared(place)) => {
                    limit.take_back(whom.key, 1, place);
                    limit.take_back_alone(whom.key, 1, place);
                }
                (Counts::Own(_), ChargedAt::Shared(_)) | (Counts::Shared(_), ChargedAt::Own(_)) => {}
            }
        }
    }

    /// Remembers what was counted; passes on whether it was admitted.
    fn note(&mut self, whom: Whom, place: ChargedAt, is_admitted: bool) -> bool {
        if is_admitted {
            self.charges.push(Charge { whom, place });
        }
        is_admitted
    }
}
