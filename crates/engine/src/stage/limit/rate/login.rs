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

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_content::{Format, Limits, decode};
use bartizan_model::{Location, Mode, Part, Source};
use smallvec::SmallVec;

use super::checks;
use super::key::Fingerprinter;
use crate::counters::{Counters, Fingerprint, Meter, Slot, Table};
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::parameters::{below, folded, is_dotted, plain_name};
use crate::policy::PolicyIndex;
use crate::stage::HeadContext;
use crate::stage::access::media::{Body, BodyForm, second_reading};

/// LIMIT: different accounts that one attempt may name; honest ones name one, and more is a way around the count.
const ACCOUNTS_MAX: usize = 8;

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
    fingerprinter: Fingerprinter,
}

#[derive(Debug)]
struct Attempts {
    table: Arc<Table>,
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
    charges: SmallVec<[Charge; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Charge {
    is_account: bool,
    key: Fingerprint,
    slot: Slot,
}

impl Login {
    pub(crate) fn new(
        login: &bartizan_config::Login,
        policy: &str,
        keys_max: u32,
        fingerprinter: Fingerprinter,
        counters: &Counters,
    ) -> Self {
        let attempts = |kind: &str, whom: &str, limit: bartizan_config::Attempts| Attempts {
            table: counters.table(
                policy,
                kind,
                &login.account,
                Meter::window(limit.attempts.into(), limit.per_ms * MILLISECOND),
                keys_max,
            ),
            evidence: format!("more than {} failed attempts in {} {whom}", limit.attempts, super::span(limit.per_ms))
                .into(),
            window_ms: limit.per_ms,
        };
        Self {
            account: folded(login.account.as_bytes()).into(),
            plain_account: plain_name(login.account.as_bytes()).as_slice().into(),
            per_account: attempts("logins of an account", "at one account", login.per_account),
            per_source: attempts("logins of a source", "from one network", login.per_source),
            failures: login.failure_statuses.as_slice().into(),
            body_bytes_max: usize::try_from(login.body_bytes_max).unwrap_or(usize::MAX),
            fingerprinter,
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
    /// The request is complete: counts the attempt, or finds it one too many.
    pub(crate) fn request_end(&mut self, body: &HeldBody, out: &mut Notices) {
        let login = Arc::clone(&self.login);
        let accounts = login.accounts(self.form.body(body, login.body_bytes_max));
        let is_crowd = accounts.len() > ACCOUNTS_MAX;
        let mut exceeded = None;
        if self.has_source {
            let mut source = login.fingerprinter.begin();
            source.network(SOURCE, self.address);
            exceeded = self.take(false, source.finish());
        }
        for account in accounts.iter().take(ACCOUNTS_MAX) {
            let mut material = login.fingerprinter.begin();
            material.piece(ACCOUNT, account.as_bytes());
            exceeded = exceeded.or(self.take(true, material.finish()));
        }
        let evidence = match exceeded {
            Some(is_account) => &*login.attempts(is_account).evidence,
            None if is_crowd => "one attempt names many accounts",
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
            self.charges.clear(); // it stays counted
        } else {
            self.give_back();
        }
    }

    /// Takes back what this attempt counted for.
    pub(crate) fn give_back(&mut self) {
        for charge in self.charges.drain(..) {
            let table = &self.login.attempts(charge.is_account).table;
            table.give_back(charge.key, charge.slot, self.at, 1);
        }
    }

    /// Counts one; says which count it was too much for.
    fn take(&mut self, is_account: bool, key: Fingerprint) -> Option<bool> {
        let taken = self.login.attempts(is_account).table.take(key, self.at, 1, false);
        if taken.is_admitted {
            self.charges.push(Charge { is_account, key, slot: taken.slot });
        }
        (!taken.is_admitted).then_some(is_account)
    }
}
